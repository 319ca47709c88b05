//! Options for starting and opening a rollout.

use std::path::PathBuf;
use std::sync::Arc;

use crate::rollout::Signer;

/// Options for starting or opening a [`Rollout`](super::Rollout).
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::{Rollout, RolloutOptions};
/// use stagegate::store::Memory;
///
/// # let path = std::env::temp_dir().join(format!("stagegate-intents-doc-{}", std::process::id()));
/// let options = RolloutOptions::new().keep_intents_in(path);
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let document = "schema = 1\n[flags.a]\nstage = \"ga\"";
/// let rollout = Rollout::start_with(Memory::new(), clock, document, "ana", &options)?;
/// assert!(rollout.by("ana").roll_back("a", "slow")?.unrecorded.is_none());
/// # Ok::<(), stagegate::rollout::RolloutError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RolloutOptions {
    pub(super) intents: Option<PathBuf>,
    pub(super) segment_bytes: u64,
    pub(super) reads_all_segments: bool,
    pub(super) signers: Vec<Arc<dyn Signer>>,
}

impl RolloutOptions {
    /// Returns the defaults: unrecorded rollbacks are kept in memory only, and segments have 8 MiB.
    #[must_use]
    pub fn new() -> RolloutOptions {
        RolloutOptions {
            intents: None,
            segment_bytes: 8 << 20,
            reads_all_segments: false,
            signers: Vec::new(),
        }
    }

    /// Begins another segment of the journal when the last one is longer than this, in bytes, and eight times as long as
    /// the state at its beginning. Opening a rollout reads the last segment only.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> RolloutOptions {
        self.segment_bytes = bytes;
        self
    }

    /// Opens from the first record that the store has. So every record is checked, and the state at the beginning of each
    /// segment is compared with the records before it.
    #[must_use]
    pub fn read_all_segments(mut self) -> RolloutOptions {
        self.reads_all_segments = true;
        self
    }

    /// Signs every record that this process writes in the signer's [name](Signer::name). Call it once for each name.
    ///
    /// A journal of format 1 has no signatures until it is [upgraded](super::Actor::upgrade).
    #[must_use]
    pub fn sign_with(mut self, signer: impl Signer + 'static) -> RolloutOptions {
        self.signers.push(Arc::new(signer));
        self
    }

    /// Keeps unrecorded rollbacks in this file, for the next process that opens the rollout with the same file. That
    /// process serves the flags rolled back from its first answer on, and records the rollbacks when it can write to
    /// the store.
    ///
    /// Name a file on another disk than the store's, in a directory that exists. Give each process its own file. While
    /// another process uses the file, this process keeps rollbacks in memory only, and its
    /// [status](super::RolloutStatus::notices) says so.
    ///
    /// A rollback takes effect before the file is written. If the file cannot be written, the rollback is in force
    /// nevertheless, and a notice says that a restart would lose it.
    #[must_use]
    pub fn keep_intents_in(mut self, path: impl Into<PathBuf>) -> RolloutOptions {
        self.intents = Some(path.into());
        self
    }
}

impl Default for RolloutOptions {
    fn default() -> RolloutOptions {
        RolloutOptions::new()
    }
}
