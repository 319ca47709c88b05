//! Explanations: why a user has a flag or not, stage by stage.

use std::sync::Arc;

use crate::eval::{AsUser, StageName};
use crate::eval::{Evaluation, Flag, Group, Position};
use crate::percent::Percent;
use crate::plan::model::flag::FlagPlan;

impl<'p> FlagPlan<'p> {
    /// Explains whether the user has the flag at the document's `stage`, and would have it at each other stage.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [groups.team]
    ///     users = ["ana"]
    ///     [flags.search]
    ///     stage = "internal"
    ///     stages = [{ name = "internal", groups = ["team"] }, { name = "ga", percent = 100 }]
    /// "#)?;
    /// let ana = plan.flag("search").unwrap().explain("ana");
    /// assert!(ana.evaluation.enabled);
    /// assert_eq!(ana.stages[0].groups, ["team"]);
    /// assert!(!ana.stages[0].by_percent && ana.stages[1].by_percent);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, user: impl AsUser) -> Explanation<'p> {
        self.explain_position(self.planned.declared, &user)
    }

    /// Explains whether the user has the flag at another stage, or at `off`. `None` if the flag has no such stage.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse("schema = 1\n[flags.search]\nstage = \"off\"")?;
    /// let search = plan.flag("search").unwrap();
    /// assert!(search.explain_at("ga", "ana").unwrap().evaluation.enabled);
    /// assert!(!search.explain_at("off", "ana").unwrap().evaluation.enabled);
    /// assert!(search.explain_at("glad", "ana").is_none());
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn explain_at(&self, stage: &str, user: impl AsUser) -> Option<Explanation<'p>> {
        let position = self.definition().position_of(stage)?;
        Some(self.explain_position(position, &user))
    }

    fn explain_position(&self, position: Position, user: &impl AsUser) -> Explanation<'p> {
        let flag = Flag::new(Arc::clone(&self.planned.definition), self.planned.declared);
        let stages = (0..self.stages().len()).filter_map(|index| self.explain_stage(index, user));
        let evaluation = flag.at(position).evaluate(user, 1);
        Explanation { evaluation, stages: stages.collect() }
    }

    fn explain_stage(&self, index: usize, user: &impl AsUser) -> Option<StageExplanation<'p>> {
        let definition = self.definition();
        let key = user.key();
        let key = key.as_bytes();
        let mine = |group: &&'p Group| group.contains(key, user);
        let name = |group: &'p Group| group.name.as_str();

        let until = definition.stages.get(..=index)?;
        let stage = until.last()?;
        let listed = until.iter().flat_map(|stage| stage.groups.iter()).map(|group| &**group);
        let groups: Vec<&str> = listed.filter(mine).map(name).collect();
        let later = definition.hold_back.iter().filter(|hold| usize::from(hold.until) > index + 1);
        let waiting = later.map(|hold| &*hold.group);
        let held_back: Vec<&str> = waiting.filter(mine).map(name).collect();
        let by_percent = stage.threshold.admits(definition.salt.bucket_of(key));
        Some(StageExplanation {
            stage: *stage.name(),
            percent: stage.percent,
            enabled: held_back.is_empty() && (by_percent || !groups.is_empty()),
            by_percent,
            groups,
            held_back,
        })
    }
}

/// The reasons why a user has a flag or not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation<'p> {
    /// The answer at the stage that was asked about.
    pub evaluation: Evaluation,
    /// The answer and its reasons at each stage, in order.
    pub stages: Vec<StageExplanation<'p>>,
}

/// Whether a user has a flag in one stage, and the reasons.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StageExplanation<'p> {
    /// The stage.
    pub stage: StageName,
    /// Its percentage.
    pub percent: Percent,
    /// The answer.
    pub enabled: bool,
    /// Whether the user's bucket is within the percentage.
    pub by_percent: bool,
    /// The user's groups, of the groups of this stage and of the stages before.
    pub groups: Vec<&'p str>,
    /// The user's groups that are held back until a later stage. One such group is enough to refuse the flag.
    pub held_back: Vec<&'p str>,
}
