//! Calls of the application that moved flags down, until the rollout of the gate records them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::eval::StageName;

/// A call that the rollout has yet to record: the flag, and the stage that the flag may not pass.
pub(crate) type Call = (Box<str>, StageName);

/// The calls since the rollout took them last, and the function that wakes the rollout.
///
/// A call holds the lock of `pending` while it moves a flag, and so does the rollout. So a promotion finds every
/// earlier call.
#[derive(Default)]
pub(super) struct Calls {
    pending: Mutex<Vec<Call>>,
    /// Makes the rollout take the calls soon. Takes no lock of the rollout, because the caller may hold one.
    wake_rollout: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

impl Calls {
    /// Locks the pending calls.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        // No code panics while it holds the lock, so the content of a poisoned lock is valid.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the rollout take the pending calls soon.
    pub(super) fn wake_rollout(&self) {
        let wake = self.wake_rollout.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Sets the function that wakes the rollout.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(super) fn wake_with(&self, wake: impl Fn() + Send + Sync + 'static) {
        *self.wake_rollout.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(wake));
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("pending", &self.lock().len()).finish_non_exhaustive()
    }
}
