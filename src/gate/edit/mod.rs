//! The rules of updates: which users a flag may let in without a reason, and how many may lose it at once.

mod audience;
mod change;
mod compare;

use std::fmt;

use audience::Audience;
pub use change::AudienceChange;
use change::share;
pub(crate) use compare::AudienceComparison;

use crate::eval::{FlagDefinition, Group, Position, Prerequisite, StageName};
use crate::percent::Percent;
use crate::plan::{Plan, PlannedFlag, Problem};

/// An edit of a flag's plan while the flag is at a stage.
///
/// # The rule
///
/// An update without a reason may only let in users that the plan in force admits at the flag's current stage. If the
/// update moves the flag, users of the next stage count as well. The rule compares audiences: percentages, salts, units, groups,
/// hold-backs and requirements. Positions in the list of stages play no part.
///
/// A longer list passes. An added group may not list users whom the plan in force lists for a later stage. With a
/// reason, an update may let in any user, and [`changes`](Edit::changes) reports the changed parts of the audience.
///
/// At most `limits.per_update` of the users may lose the flag in one update. More needs a reason, unless the flag moves
/// to a lower stage.
pub(crate) struct Edit<'e> {
    before: Audience<'e>,
    /// The users whom the update may let in without a reason.
    allowed: Audience<'e>,
    after: Audience<'e>,
    /// The share of users whom one update may take the flag from.
    per_update: Percent,
}

/// Why an edit needs a reason.
#[derive(Clone, Debug)]
pub(crate) struct Objection {
    /// For programs: `percent`, `within`, `salt`, `unit`, `group`, `hold_back`, `only`, `requires`, `list` or
    /// `per_update`.
    pub(crate) kind: &'static str,
    /// The effect of the edit, as the end of a sentence about the stage: `admits 100% of users: ...`.
    pub(crate) effect: String,
    pub(crate) hint: &'static str,
}

impl<'e> Edit<'e> {
    /// Creates an edit. `current` and `allowed` are positions in `old`, and `to` is a position in `new`.
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

    /// Returns the changes of the stage's audience. Moving the flag to another stage is not such a change.
    pub(crate) fn changes(&self, comparison: &mut AudienceComparison<'e>) -> Vec<AudienceChange> {
        let same_stage = self.old_position_of_stage();
        let position = same_stage.unwrap_or(self.before.position);
        comparison.changes(Audience { position, ..self.before }, self.after)
    }

    /// Returns every effect of the edit that needs a reason; empty if the edit needs none.
    pub(crate) fn objections(&self, comparison: &mut AudienceComparison<'e>) -> Vec<Objection> {
        let mut objections = self.gains(comparison);
        if !self.goes_down() {
            objections.extend(self.losses(comparison));
        }
        // A changed salt lets in some users and takes the flag from others.
        objections.dedup_by_key(|objection| objection.effect.clone());
        objections
    }

    /// Returns an objection if the flag requires another flag that only now counts as having reached its stage.
    ///
    /// `is_reached` returns whether a flag is at a stage or past it, as far as the plan in force allows, and after the
    /// update. A flag may reach the stage by moving one stage up, but not by an edit of its list of stages.
    pub(crate) fn reached_requirement(
        &self,
        is_reached: impl Fn(&Prerequisite, &Prerequisite) -> (bool, bool),
    ) -> Option<Objection> {
        let (old, new) = (self.before.definition.requires(), self.after.definition.requires());
        let is_newly_reached = |required: &&Prerequisite| {
            let still = new.iter().find(|other| other.flag == required.flag);
            still.is_some_and(|still| is_reached(required, still) == (false, true))
        };
        let required = old.iter().find(is_newly_reached).filter(|_| !self.after.is_empty())?;
        let (flag, stage) = (required.flag.as_str(), &required.stage);
        let effect = format!(
            "admits users, as the stages of `{flag}` changed: in the plan in force it has not reached \"{stage}\""
        );
        Some(Objection { kind: "requires", effect, hint: "keep these stages" })
    }

    /// Returns whether every user after the edit is allowed. Also allows users who join a list that the flag already
    /// has.
    pub(crate) fn lets_in_no_one(&self, comparison: &mut AudienceComparison<'e>) -> bool {
        let joins = |group| self.allowed.lacks_user_of(group, self.after);
        self.gains(comparison).is_empty() && !self.allowed.added_groups(self.after).any(joins)
    }

    fn gains(&self, comparison: &mut AudienceComparison<'e>) -> Vec<Objection> {
        let gained = comparison.changes(self.allowed, self.after).into_iter();
        let mut gains: Vec<Objection> =
            gained.filter(AudienceChange::lets_in).map(|gain| self.gain(&gain)).collect();
        for group in self.allowed.added_groups(self.after) {
            let later = self.allowed.count_listed_later(group, self.after);
            if later > 0 {
                let effect = format!(
                    "admits {} of group \"{}\", whom the plan in force lists for a later stage",
                    Users(later),
                    group.name.as_str()
                );
                let hint = "leave them to that stage";
                gains.push(Objection { kind: "list", effect, hint });
            }
        }
        gains
    }

    fn gain(&self, gain: &AudienceChange) -> Objection {
        let (kind, effect, hint) = match gain {
            AudienceChange::Percent { from, to } => {
                let most = format!("allows at most {from}%{}", self.allowed_stage());
                let effect = format!("admits {to}% of users: the plan in force {most}");
                ("percent", effect, "do not exceed that percentage")
            }
            AudienceChange::Salt => ("salt", SALT.to_owned(), KEEP_SALT),
            AudienceChange::Unit { .. } => ("unit", UNIT.to_owned(), "keep `by`"),
            AudienceChange::Within { groups, from, to, .. } => {
                let effect = match from == to {
                    true => format!("admits {to}% of more users, as {} changed", groups.join(", ")),
                    false => format!(
                        "admits {to}% of users in {}: the plan in force allows {from}%{}",
                        groups.join(", "),
                        self.allowed_stage()
                    ),
                };
                ("within", effect, "let them in at a later stage")
            }
            AudienceChange::Only { .. } => {
                let effect = "admits users whom `only` of the plan in force excludes".to_owned();
                ("only", effect, "keep `only`")
            }
            AudienceChange::Requires { flag, .. } => {
                let effect =
                    format!("admits users without `{flag}`, which the plan in force requires");
                ("requires", effect, "keep `requires`")
            }
            AudienceChange::Users { group, .. } | AudienceChange::Attributes { group, .. } => {
                let effect = format!(
                    "admits users by the attributes of group \"{group}\" whom the plan in force does not admit yet"
                );
                ("group", effect, "let them in at a later stage")
            }
            AudienceChange::HoldBack { group, .. } => {
                let effect =
                    format!("admits users of group \"{group}\" whom the plan in force holds back");
                ("hold_back", effect, "keep the hold-back")
            }
        };
        Objection { kind, effect, hint }
    }

    fn losses(&self, comparison: &mut AudienceComparison<'e>) -> Vec<Objection> {
        let lost = comparison.changes(self.before, self.after);
        let too_much = lost.into_iter().filter_map(|change| {
            let part = change.lost_share(self.before, self.after)?;
            if part <= self.per_update {
                return None;
            }
            let most = format!("`limits.per_update` allows {}%", self.per_update);
            let effect = match change {
                AudienceChange::Salt => SALT.to_owned(),
                AudienceChange::Unit { .. } => UNIT.to_owned(),
                AudienceChange::Only { .. } => {
                    format!("takes the flag from users by `only` at once: {most}")
                }
                AudienceChange::Requires { flag, .. } => {
                    format!("takes the flag from users without `{flag}` at once: {most}")
                }
                AudienceChange::Within { groups, .. } => format!(
                    "takes the flag from {part}% of users in {} at once: {most}",
                    groups.join(", ")
                ),
                AudienceChange::Users { group, removed, .. } => format!(
                    "takes the flag from {}, {part}% of group \"{group}\", at once: {most}",
                    Users(removed)
                ),
                AudienceChange::Attributes { group, .. } => format!(
                    "takes the flag from users of group \"{group}\" by their attributes at once: {most}"
                ),
                _ => format!("takes the flag from {part}% of users at once: {most}"),
            };
            Some(Objection { kind: PER_UPDATE, effect, hint: RAISE_LIMIT })
        });
        too_much.collect()
    }

    /// Names the stage of the plan in force that allows the most.
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

    /// Returns the old plan's position of the flag's new stage.
    fn old_position_of_stage(&self) -> Option<Position> {
        let stage = self.after.definition.stage_name(self.after.position)?;
        self.before.definition.position_of(&stage)
    }

    /// Returns whether the flag moves down, in the order of the old plan.
    fn goes_down(&self) -> bool {
        self.old_position_of_stage().is_some_and(|position| position < self.before.position)
    }
}

/// The kind of an objection to losses. All other kinds object to letting in users.
pub(crate) const PER_UPDATE: &str = "per_update";
const SALT: &str = "admits other users than the plan in force, as the salt changed";
const UNIT: &str = "admits other users than the plan in force, as the unit (`by`) changed";
const KEEP_SALT: &str = "keep the salt";
const RAISE_LIMIT: &str = "raise `limits.per_update` if that is meant";

impl Objection {
    /// Returns the remedy. `used`: whether the document's reason was already used by an earlier update.
    pub(crate) fn remedy(&self, used: bool) -> String {
        let hint = self.hint;
        match used {
            false => format!("{hint}, or give a `skip_reason` beside `stage`"),
            true => format!("{hint}, or give a new `skip_reason`: this one was used before"),
        }
    }
}

/// Returns the document's reason for this update, unless the document in force has the same reason.
pub(crate) fn new_reason<'p>(old: &FlagDefinition, new: &'p FlagDefinition) -> Option<&'p str> {
    // A reason counts once. A reason left in the document would otherwise allow every later edit.
    new.skip_reason().filter(|reason| old.skip_reason() != Some(reason))
}

/// Returns a problem if an update removes more flags that are on than `limits.per_update` allows. It may always remove
/// one.
pub(crate) fn too_many_removed(plan: &Plan, on: usize, removed: usize) -> Option<Problem> {
    let most = plan.per_update();
    (removed > 1 && share(removed, on) > most).then(|| {
        let message = format!(
            "found {} of the {on} flags that are on: `limits.per_update` allows {most}% to go at once",
            on - removed
        );
        let hint = "keep the flags, or set `limits.per_update` to 100 if all of them may go";
        plan.problem_at(&(0..0), &["flags"], message, hint)
    })
}

/// Returns a problem for each `users_file` that has become empty while a flag that is on names its group.
///
/// A failed export leaves an empty file, which would take the flag from every user on the list.
pub(crate) fn emptied_users_files<'g>(
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

/// Prints `1 user` or `12 users`.
struct Users(usize);

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} user{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// Returns the name of a position; `off` if the plan lacks the position.
pub(super) fn stage_name(definition: &FlagDefinition, position: Position) -> StageName {
    definition.stage_name(position).unwrap_or(StageName::OFF)
}
