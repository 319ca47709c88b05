//! How a rollout is opened.

use std::path::PathBuf;

/// How a [`Rollout`](super::Rollout) is started or opened.
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
    /// Returns the defaults: rollbacks that the store does not have yet are kept in memory alone.
    #[must_use]
    pub fn new() -> RolloutOptions {
        RolloutOptions::default()
    }

    /// Keeps rollbacks that the store does not have yet in this file, for the next process that opens the same rollout
    /// with it. That process serves the flags as they were rolled back, from its first answer on, and records the
    /// rollbacks when the store can be written.
    ///
    /// Name a file on another disk than the store's. Its directory has to exist. Use one file for each process: while one
    /// process has it, another one keeps nothing, and its [status](super::RolloutStatus::notices) says so.
    ///
    /// A rollback takes effect before the file is written. Where the file cannot be written, the rollback is in force all
    /// the same, and a notice says that a restart would lose it.
    #[must_use]
    pub fn keep_intents_in(mut self, path: impl Into<PathBuf>) -> RolloutOptions {
        self.intents = Some(path.into());
        self
    }
}
