//! What an update may do to a flag: who may be let in without a reason, and how many may lose the flag at once.

mod audience;
mod change;
mod compare;

use std::fmt;

use audience::Audience;
pub use change::AudienceChange;
use change::share;
pub(crate) use compare::Comparison;

use crate::eval::{FlagDefinition, Group, Position, StageName};
use crate::percent::Percent;
use crate::plan::{Plan, PlannedFlag, Problem};

/// An edit of a flag's plan while the flag is at a stage.
///
/// # The rule
///
/// Without a reason, an update may only let in users whom the plan in force admits: at the flag's current stage or, if the
/// update moves the flag, at the stage that is next. It compares audiences: percentages, salts, groups and hold-backs, never positions in a list of stages. Users who join a
/// list pass, unless the group is new to the flag's audience and the plan in force lists them for a later stage. With a
/// reason, an update may let in anybody, and [`changes`](Edit::changes) say whom.
///
/// An update that leaves the flag in its stage may take it from as many users as `limits.per_update` allows; more needs a
/// reason. Moving a flag to a lower stage needs none.
pub(crate) struct Edit<'e> {
    before: Audience<'e>,
    /// What the update may let in without a reason.
    allowed: Audience<'e>,
    after: Audience<'e>,
    /// The part of users that one update may take the flag from.
    per_update: Percent,
}

/// Why an edit needs a reason.
#[derive(Clone, Debug)]
pub(crate) struct Objection {
    /// For programs: `percent`, `salt`, `group`, `hold_back`, `list`, `per_update`.
    pub(crate) kind: &'static str,
    /// What the stage does, as the rest of a sentence: `admits 100% of users: ...`.
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

impl<'e> Edit<'e> {
    /// `current` and `allowed` are positions of `old`, `to` one of the new plan.
    pub(crate) fn new(
        old: &'e FlagDefinition,
        (current, allowed): (Position, Position),
        new: &'e FlagDefinition,
        to: Position,
        per_update: Percent,
    ) -> Edit<'e> {
        let of = |definition, position| Audience { definition, position };
        Edit { before: of(old, current), allowed: of(old, allowed), after: of(new, to), per_update }
    }

    /// What the edit changes of the stage's audience. That a flag goes to another stage is no change of this kind.
    pub(crate) fn changes(&self, comparison: &mut Comparison<'e>) -> Vec<AudienceChange> {
        let same_stage = self.old_position_of_stage();
        let position = same_stage.unwrap_or(self.before.position);
        comparison.of(Audience { position, ..self.before }, self.after)
    }

    /// Everything about the edit that needs a reason; empty where it needs none.
    pub(crate) fn objections(&self, comparison: &mut Comparison<'e>) -> Vec<Objection> {
        let mut objections = self.gains(comparison);
        if !self.goes_down() {
            objections.extend(self.losses(comparison));
        }
        // A changed salt lets in some users and takes the flag from others.
        objections.dedup_by_key(|objection| objection.what.clone());
        objections
    }

    /// Whether the edit lets in nobody beyond what is allowed, but for users who join a list that is there already.
    pub(crate) fn lets_in_nobody(&self, comparison: &mut Comparison<'e>) -> bool {
        let joins = |group| self.allowed.lacks_one_of(group, self.after);
        self.gains(comparison).is_empty() && !self.allowed.new_groups(self.after).any(joins)
    }

    fn gains(&self, comparison: &mut Comparison<'e>) -> Vec<Objection> {
        let gained = comparison.of(self.allowed, self.after).into_iter();
        let mut gains: Vec<Objection> =
            gained.filter(AudienceChange::lets_in).map(|gain| self.gain(&gain)).collect();
        for group in self.allowed.new_groups(self.after) {
            let later = self.allowed.lists_later(group, self.after);
            if later > 0 {
                let what = format!(
                    "admits {} of group \"{}\", whom the plan in force lists for a later stage",
                    Users(later),
                    group.name.as_str()
                );
                gains.push(Objection { kind: "list", what, hint: KEEP });
            }
        }
        gains
    }

    fn gain(&self, gain: &AudienceChange) -> Objection {
        let (kind, what) = match gain {
            AudienceChange::Percent { from, to } => {
                let most = format!("allows at most {from}%{}", self.allowed_stage());
                ("percent", format!("admits {to}% of users: the plan in force {most}"))
            }
            AudienceChange::Salt => ("salt", SALT.to_owned()),
            AudienceChange::Users { group, .. } | AudienceChange::Attributes { group, .. } => {
                let what = format!(
                    "admits users by the attributes of group \"{group}\" whom the plan in force does not admit yet"
                );
                ("group", what)
            }
            AudienceChange::HoldBack { group, .. } => {
                let what =
                    format!("admits users of group \"{group}\" whom the plan in force holds back");
                ("hold_back", what)
            }
        };
        Objection { kind, what, hint: KEEP }
    }

    fn losses(&self, comparison: &mut Comparison<'e>) -> Vec<Objection> {
        let lost = comparison.of(self.before, self.after);
        let too_much = lost.into_iter().filter_map(|change| {
            let part = change.takes(self.before, self.after)?;
            if part <= self.per_update {
                return None;
            }
            let most = format!("`limits.per_update` allows {}%", self.per_update);
            let what = match change {
                AudienceChange::Salt => SALT.to_owned(),
                AudienceChange::Users { group, removed, .. } => format!(
                    "takes the flag from {}, {part}% of group \"{group}\", at once: {most}",
                    Users(removed)
                ),
                AudienceChange::Attributes { group, .. } => format!(
                    "takes the flag from users of group \"{group}\" by their attributes at once: {most}"
                ),
                _ => format!("takes the flag from {part}% of users at once: {most}"),
            };
            Some(Objection { kind: PER_UPDATE, what, hint: MEANT })
        });
        too_much.collect()
    }

    /// Which stage allows that much.
    fn allowed_stage(&self) -> String {
        let Audience { definition, position } = self.allowed;
        match definition.stage(position) {
            None => ", as the flag is off".to_owned(),
            Some(stage) if position == self.before.position => {
                format!(", at its stage \"{}\"", stage.name())
            }
            Some(stage) => format!(", at its next stage \"{}\"", stage.name()),
        }
    }

    /// The position that the old plan has for the stage that the new one puts the flag in.
    fn old_position_of_stage(&self) -> Option<Position> {
        let stage = self.after.definition.stage_name(self.after.position)?;
        self.before.definition.position_of(&stage)
    }

    /// Whether the flag goes to a stage that the old plan has below its present one, or off.
    fn goes_down(&self) -> bool {
        self.old_position_of_stage().is_some_and(|position| position < self.before.position)
    }
}

/// The kind of what takes the flag from users.
pub(crate) const PER_UPDATE: &str = "per_update";
const SALT: &str = "admits other users than the plan in force, as the salt changed";
const KEEP: &str = "keep to that";
const MEANT: &str = "raise `limits.per_update` if that is meant";

impl Objection {
    /// What to do about it; `used`: whether the document has a reason that an update before used up.
    pub(crate) fn remedy(&self, used: bool) -> String {
        let hint = self.hint;
        match used {
            false => format!("{hint}, or give a `skip_reason` beside `stage`"),
            true => format!("{hint}, or give a new `skip_reason`: this one was used before"),
        }
    }
}

/// The reason that a document gives for this update: one that the document in force does not have.
pub(crate) fn new_reason<'p>(old: &FlagDefinition, new: &'p FlagDefinition) -> Option<&'p str> {
    // A reason is good for the one document that brings it: left behind, it would disarm the rule.
    new.skip_reason().filter(|reason| old.skip_reason() != Some(reason))
}

/// The flags that are gone, where they are more than `limits.per_update` allows. One flag may always go.
pub(crate) fn too_many_gone(plan: &Plan, on: usize, gone: usize) -> Option<Problem> {
    let most = plan.per_update();
    (gone > 1 && share(gone, on) > most).then(|| {
        let message = format!(
            "found {} of the {on} flags that are on: `limits.per_update` allows {most}% to go at once",
            on - gone
        );
        let hint = "keep the flags, or set `limits.per_update` to 100 if all of them may go";
        plan.problem_at(&(0..0), &["flags"], message, hint)
    })
}

/// Files of users that have become empty while flags that are on name the group.
///
/// An export that failed leaves an empty file, and would take the flag from everybody on the list.
pub(crate) fn emptied<'g>(
    plan: &Plan,
    in_force: impl Iterator<Item = &'g Group>,
    is_on: impl Fn(&PlannedFlag) -> bool,
) -> Vec<Problem> {
    let empty: Vec<_> = plan.empty_lists().collect();
    if empty.is_empty() {
        return Vec::new();
    }
    let mut before = std::collections::BTreeMap::new();
    for group in in_force {
        if let Some(users) = group.by_file.filter(|users| *users > 0) {
            before.insert(group.name.as_str(), users);
        }
    }
    let is_used = |group: &Group| {
        plan.planned().any(|flag| {
            is_on(flag) && flag.definition.groups().any(|named| named.name == group.name)
        })
    };
    let emptied =
        empty.into_iter().filter(|(group, _)| is_used(group)).filter_map(|(group, at)| {
            let users = before.get(group.name.as_str())?;
            let message =
                format!("found a file that lists no users, where the one in force lists {users}");
            let hint = "export the list again, or write `may_be_empty = true` if that is meant";
            Some(plan.problem_at(at, &["groups", group.name.as_str(), "users_file"], message, hint))
        });
    emptied.collect()
}

/// `1 user`, `12 users`.
struct Users(usize);

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} user{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// A position's name in a plan.
pub(super) fn name(definition: &FlagDefinition, position: Position) -> StageName {
    definition.stage_name(position).unwrap_or(StageName::OFF)
}
