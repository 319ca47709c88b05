//! Options for starting and opening a rollout.

use std::path::PathBuf;

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
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RolloutOptions {
    pub(super) intents: Option<PathBuf>,
}

impl RolloutOptions {
    /// Returns the defaults: unrecorded rollbacks are kept in memory only.
    #[must_use]
    pub fn new() -> RolloutOptions {
        RolloutOptions::default()
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
