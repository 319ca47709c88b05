//! Explanations: why a user has a flag or not, stage by stage.

use std::sync::Arc;

use crate::eval::{
    AsUser, Evaluation, Finding, Flag, Group, Position, Prerequisite, Snapshot, StageName,
};
use crate::percent::Percent;
use crate::plan::flags::PlannedFlag;
use crate::plan::model::flag::FlagPlan;
use crate::plan::model::group::Condition;

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
        self.explain_position(self.planned.declared, &|_| None, &user)
    }

    /// Explains whether the user has the flag at another stage, or at `off`. `None` if the flag has no such stage.
    ///
    /// Flags that this one requires are at their `stage` of the document.
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
        Some(self.explain_position(position, &|_| None, &user))
    }

    /// Explains whether the user has the flag, with every flag at the stage that `stage_of` returns for its key.
    ///
    /// A flag without such a stage is at its `stage` of the document.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Plan, Reason};
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.new-api]
    ///     [flags.search]
    ///     stage = "ga"
    ///     requires = { new-api = "pilot" }
    /// "#)?;
    /// let search = plan.flag("search").unwrap();
    /// assert_eq!(search.explain("ana").evaluation.reason, Reason::Prerequisite);
    /// let ga = search.stage();
    /// assert!(search.explain_with(|_| Some(ga), "ana").evaluation.enabled);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn explain_with(
        &self,
        stage_of: impl Fn(&str) -> Option<StageName>,
        user: impl AsUser,
    ) -> Explanation<'p> {
        let stage = stage_of(self.key()).and_then(|stage| self.definition().position_of(&stage));
        self.explain_position(stage.unwrap_or(self.planned.declared), &stage_of, &user)
    }

    fn explain_position(
        &self,
        position: Position,
        stage_of: &dyn Fn(&str) -> Option<StageName>,
        user: &impl AsUser,
    ) -> Explanation<'p> {
        let definition = self.definition();
        let required =
            definition.targeting().into_iter().flat_map(|targeting| &targeting.all_required);
        let others = required.filter_map(|required| {
            let other = self.find(required)?;
            let stage = stage_of(required.flag.as_str());
            let position = stage.and_then(|stage| other.definition.position_of(&stage));
            Some(compile(other, position.unwrap_or(other.declared)))
        });
        // Only the flags that the answer depends on.
        let flags = others.chain([compile(self.planned, position)]);
        let snapshot = Snapshot::new(1, flags.collect(), None);
        let flag = compile(self.planned, position);
        let stages = 0..self.stages().len();
        let explain = |index| self.explain_stage(index, &flag, &snapshot, user);
        let required = definition.requires().iter();
        let key = user.key();
        let key = key.as_bytes();
        Explanation {
            evaluation: flag.evaluate(user, &snapshot),
            stages: stages.filter_map(explain).collect(),
            groups: self.groups().iter().map(|it| explain_group(it.compiled, key, user)).collect(),
            is_excluded: definition.is_excluded(key, user),
            prerequisites: required
                .filter_map(|it| explain_required(it, &snapshot, user))
                .collect(),
        }
    }

    /// Returns a flag of the same plan.
    fn find(&self, required: &Prerequisite) -> Option<&'p PlannedFlag> {
        let found = self.all.binary_search_by(|flag| flag.definition.key.cmp(&required.flag));
        self.all.get(found.ok()?)
    }

    fn explain_stage(
        &self,
        index: usize,
        flag: &Flag,
        snapshot: &Snapshot,
        user: &impl AsUser,
    ) -> Option<StageExplanation<'p>> {
        let definition = self.definition();
        let key = user.key();
        let key = key.as_bytes();
        let mine = |group: &&'p Group| group.contains(key, user);
        let name = |group: &'p Group| group.name.as_str();

        let until = definition.stages.get(..=index)?;
        let stage = until.last()?;
        let position = Position::try_from(index + 1).ok()?;
        let listed = until.iter().flat_map(|stage| stage.groups.iter()).map(|group| &**group);
        let groups: Vec<&str> = listed.filter(mine).map(name).collect();
        let later = definition.hold_back.iter().filter(|hold| hold.until > position);
        let waiting = later.filter(|hold| hold.holds(key, user)).map(|hold| &*hold.group);
        let held_back: Vec<&str> = waiting.map(name).collect();
        let bucket = definition.bucket(key, user);
        let by_percent = definition.first_share_stage(position, bucket, key, user) <= position;
        Some(StageExplanation {
            stage: *stage.name(),
            percent: stage.percent,
            within: stage.within.iter().map(|group| group.name.as_str()).collect(),
            is_within: stage.is_within(key, user),
            enabled: flag.at(position).is_enabled(user, snapshot),
            by_percent,
            groups,
            held_back,
        })
    }
}

fn compile(planned: &PlannedFlag, position: Position) -> Flag {
    Flag::new(Arc::clone(&planned.definition), planned.declared).at(position)
}

fn explain_group<'p>(group: &'p Group, key: &[u8], user: &impl AsUser) -> GroupExplanation<'p> {
    let condition = |compiled: &'p crate::eval::Condition| ConditionExplanation {
        condition: Condition { compiled },
        finding: compiled.finding(user),
    };
    let alternatives = group.alternatives.iter();
    let included = group.includes.iter().filter(|group| group.contains(key, user));
    GroupExplanation {
        group: group.name.as_str(),
        contains: group.contains(key, user),
        is_listed: group.lists(key, user),
        alternatives: alternatives.map(|all| all.iter().map(condition).collect()).collect(),
        included: included.map(|group| group.name.as_str()).collect(),
    }
}

fn explain_required<'p>(
    required: &'p Prerequisite,
    snapshot: &Snapshot,
    user: &impl AsUser,
) -> Option<PrerequisiteExplanation<'p>> {
    let flag = snapshot.flag(required.flag.as_str())?;
    let stage = flag.definition().stage_name(flag.position()).unwrap_or(StageName::OFF);
    let has_reached = flag.position() >= required.position;
    Some(PrerequisiteExplanation {
        flag: required.flag.as_str(),
        requires: required.stage,
        stage,
        has_reached,
        has_flag: flag.is_enabled(user, snapshot),
    })
}

/// The reasons why a user has a flag or not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation<'p> {
    /// The answer at the stage that was asked about.
    pub evaluation: Evaluation,
    /// The answer and its reasons at each stage, in order.
    pub stages: Vec<StageExplanation<'p>>,
    /// The groups that the flag names, and the groups that these include, sorted by name.
    pub groups: Vec<GroupExplanation<'p>>,
    /// Whether the flag has `only`, and the user is in none of its groups.
    pub is_excluded: bool,
    /// The flags of `requires`.
    pub prerequisites: Vec<PrerequisiteExplanation<'p>>,
}

/// Whether a user has a flag in one stage, and the reasons.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StageExplanation<'p> {
    /// The stage.
    pub stage: StageName,
    /// Its percentage.
    pub percent: Percent,
    /// The groups whose users the percentage refers to. Empty: all users.
    pub within: Vec<&'p str>,
    /// Whether the percentage refers to the user.
    pub is_within: bool,
    /// The answer.
    pub enabled: bool,
    /// Whether the user's bucket is within the percentage of this stage or of a stage before.
    pub by_percent: bool,
    /// The user's groups, of the groups of this stage and of the stages before.
    pub groups: Vec<&'p str>,
    /// The user's groups that are held back until a later stage. One such group is enough to refuse the flag.
    pub held_back: Vec<&'p str>,
}

/// Whether a user is in a group, and the reasons.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupExplanation<'p> {
    /// The group's name.
    pub group: &'p str,
    /// The answer.
    pub contains: bool,
    /// Whether the group itself lists the user or, with `values_of`, a value of the user's attribute.
    pub is_listed: bool,
    /// The conditions of `where`, and those of each table of `any`. All conditions of one of them must match.
    pub alternatives: Vec<Vec<ConditionExplanation<'p>>>,
    /// The included groups that contain the user.
    pub included: Vec<&'p str>,
}

/// Whether a user matches a condition on an attribute, and why not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConditionExplanation<'p> {
    /// The condition.
    pub condition: Condition<'p>,
    /// The answer.
    pub finding: Finding,
}

/// Whether a required flag lets in a user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PrerequisiteExplanation<'p> {
    /// The key of the required flag.
    pub flag: &'p str,
    /// The stage that the flag must have reached.
    pub requires: StageName,
    /// The stage of the flag.
    pub stage: StageName,
    /// Whether the flag has reached the stage.
    pub has_reached: bool,
    /// Whether the user has the flag.
    pub has_flag: bool,
}
