//! What a look has asked for and nobody could do yet: it is asked for again until it is done.

use super::Guard;
use crate::eval::StageName;

/// What is still to be done about a flag in its stage. It is forgotten with the stage, as the breach is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(crate) enum Owed {
    /// The action of a trigger, by its place in the guard's plan, on this evidence.
    Breach { trigger: usize, evidence: String },
    /// A hold, as users are split unevenly.
    Hold,
}

#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
impl Guard {
    /// This could not be done about a look at the flag in that stage.
    pub(crate) fn owe(&self, flag: &str, stage: StageName, owed: Owed) {
        let mut state = self.state();
        let watched = state.flags.get_mut(flag).and_then(|flag| flag.watched.as_mut());
        if let Some(watched) = watched.filter(|it| it.stage == stage && !it.owed.contains(&owed)) {
            watched.owed.push(owed);
        }
    }

    /// What could not be done so far.
    pub(crate) fn take_owed(&self, flag: &str) -> Vec<Owed> {
        let mut state = self.state();
        let watched = state.flags.get_mut(flag).and_then(|flag| flag.watched.as_mut());
        watched.map(|watched| std::mem::take(&mut watched.owed)).unwrap_or_default()
    }
}
