//! Calls that took flags of a driven gate down, until its rollout has seen them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::eval::StageName;

/// A call that the rollout has not seen: the flag, and the stage that it may not pass.
pub(crate) type Call = (Box<str>, StageName);

/// What the application's calls have taken down since the rollout looked last.
///
/// The lock is held while a call, or the rollout, moves a flag: so a promotion finds every call that came before it.
#[derive(Default)]
pub(super) struct Calls {
    unseen: Mutex<Vec<Call>>,
    /// Has the rollout look soon. It takes no lock of the rollout: a call may come from within one.
    on_call: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

impl Calls {
    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the rollout that there is a call to see.
    pub(super) fn tell(&self) {
        let on_call = self.on_call.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(tell) = on_call {
            tell();
        }
    }

    /// Whom to tell.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(super) fn on_call(&self, tell: impl Fn() + Send + Sync + 'static) {
        *self.on_call.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tell));
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("unseen", &self.lock().len()).finish_non_exhaustive()
    }
}
