//! Actions that a verdict asked for and that failed: the rollout retries them at each look.

use super::Guard;
use crate::eval::StageName;

/// An action on a flag in its current stage. The guard drops it when the flag leaves the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(crate) enum RetryAction {
    /// The action of a trigger, given by its index in the guard's plan, for this evidence.
    Breach { trigger: usize, evidence: String },
    /// A hold because users are split unevenly.
    Hold,
}

#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
impl Guard {
    /// Keeps an action that failed, unless the flag has left that stage.
    pub(crate) fn retry_later(&self, flag: &str, stage: StageName, action: RetryAction) {
        let mut state = self.state();
        let monitor = state.flags.get_mut(flag).and_then(|flag| flag.monitor.as_mut());
        if let Some(monitor) =
            monitor.filter(|it| it.stage == stage && !it.retries.contains(&action))
        {
            monitor.retries.push(action);
        }
    }

    /// Removes and returns the actions of a flag that failed.
    pub(crate) fn take_retries(&self, flag: &str) -> Vec<RetryAction> {
        let mut state = self.state();
        let monitor = state.flags.get_mut(flag).and_then(|flag| flag.monitor.as_mut());
        monitor.map(|monitor| std::mem::take(&mut monitor.retries)).unwrap_or_default()
    }
}
