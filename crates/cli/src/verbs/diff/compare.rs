//! The differences between two plans: those that users notice, and others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stagegate::model::{Condition, FlagPlan, Group, HoldBack, Stage, StageDetails};
use stagegate::{Percent, Plan, StageName};

use super::change::{Change, NEVER};
use crate::amount::Amount;

/// The differences between two plans.
pub(super) struct Comparison<'p> {
    /// The flags with a difference, in order of key.
    pub(super) flags: Vec<FlagComparison<'p>>,
    /// Whether the declared metrics differ. No user notices that.
    pub(super) metrics: bool,
}

/// The differences of one flag between two plans.
pub(super) struct FlagComparison<'p> {
    pub(super) key: &'p str,
    /// The changes that a user may notice.
    pub(super) changes: Vec<Change<'p>>,
    /// The edited sections that change nothing for users.
    pub(super) without_effect: Vec<String>,
}

impl<'p> Comparison<'p> {
    pub(super) fn of(old: &'p Plan, new: &'p Plan) -> Comparison<'p> {
        let keys: BTreeSet<&str> = old.flags().chain(new.flags()).collect();
        let mut groups = Groups::default();
        let compare = |key| {
            let (changes, without_effect) = match (old.flag(key), new.flag(key)) {
                (Some(old), Some(new)) => {
                    (for_users(old, new, &mut groups), without_effect(old, new))
                }
                (None, Some(new)) => (vec![added(new)], Vec::new()),
                (Some(old), None) => (vec![removed(old)], Vec::new()),
                (None, None) => (Vec::new(), Vec::new()),
            };
            FlagComparison { key, changes, without_effect }
        };
        let differs =
            |flag: &FlagComparison<'_>| !flag.changes.is_empty() || !flag.without_effect.is_empty();
        let mut flags: Vec<_> = keys.into_iter().map(compare).collect();
        add_required(&mut flags, [old, new]);
        flags.retain(differs);
        Comparison { flags, metrics: !old.metrics().eq(new.metrics()) }
    }

    /// Returns whether a user may notice a change.
    pub(super) fn is_for_users(&self) -> bool {
        self.flags.iter().any(|flag| !flag.changes.is_empty())
    }
}

/// Adds a change to each flag that requires a flag with changes, directly or through others.
fn add_required<'p>(flags: &mut [FlagComparison<'p>], plans: [&'p Plan; 2]) {
    let mut requiring: BTreeMap<&'p str, BTreeSet<&'p str>> = BTreeMap::new();
    for flag in plans.into_iter().flat_map(|plan| plan.flags().filter_map(|key| plan.flag(key))) {
        for (required, _) in flag.requires() {
            requiring.entry(required).or_default().insert(flag.key());
        }
    }
    let is_changed = |flag: &&FlagComparison<'p>| !flag.changes.is_empty();
    let mut open: Vec<&'p str> = flags.iter().filter(is_changed).map(|flag| flag.key).collect();
    let mut seen: BTreeSet<&str> = open.iter().copied().collect();
    while let Some(changed) = open.pop() {
        for key in requiring.get(changed).into_iter().flatten() {
            let Ok(index) = flags.binary_search_by(|flag| flag.key.cmp(key)) else { continue };
            let Some(flag) = flags.get_mut(index) else { continue };
            flag.changes.push(Change::RequiredFlag { flag: changed });
            if seen.insert(key) {
                open.push(key);
            }
        }
    }
}

fn added<'p>(new: FlagPlan<'p>) -> Change<'p> {
    let (percent, within) = share(new);
    Change::FlagAdded { stage: new.stage().to_string(), percent, within }
}

fn removed<'p>(old: FlagPlan<'p>) -> Change<'p> {
    let (percent, within) = share(old);
    Change::FlagRemoved { stage: old.stage().to_string(), percent, within }
}

/// Returns the percentage of a flag's present stage, and the groups that it refers to.
fn share(flag: FlagPlan<'_>) -> (Amount, Vec<&str>) {
    let now = flag.stages().find(|stage| stage.name() == flag.stage());
    let percent = now.map_or(Percent::NONE, |stage| stage.percent());
    (Amount::percent(percent), now.into_iter().flat_map(|stage| stage.within()).collect())
}

fn for_users<'p>(old: FlagPlan<'p>, new: FlagPlan<'p>, groups: &mut Groups<'p>) -> Vec<Change<'p>> {
    let mut changes = Vec::new();
    if old.stage() != new.stage() {
        let ((from_percent, from_within), (to_percent, to_within)) = (share(old), share(new));
        changes.push(Change::Stage {
            from: old.stage().to_string(),
            to: new.stage().to_string(),
            from_percent,
            from_within,
            to_percent,
            to_within,
        });
    }
    if old.salt() != new.salt() {
        changes.push(Change::Salt);
    }
    let names = |flag: FlagPlan<'p>| flag.asked_as().collect::<BTreeSet<_>>();
    let (before, after) = (names(old), names(new));
    if before != after {
        let added = after.difference(&before).copied().collect();
        let removed = before.difference(&after).copied().collect();
        changes.push(Change::AskedAs { added, removed });
    }
    if old.unit() != new.unit() {
        changes.push(Change::By { from: old.unit(), to: new.unit() });
    }
    let (from, to): (BTreeSet<&str>, BTreeSet<&str>) = (old.only().collect(), new.only().collect());
    if from != to {
        changes
            .push(Change::Only { from: from.into_iter().collect(), to: to.into_iter().collect() });
    }
    requires(old, new, &mut changes);
    stages(old, new, &mut changes);
    hold_back(old, new, &mut changes);
    let before: HashMap<&str, Group<'p>> =
        old.groups().into_iter().map(|group| (group.name(), group)).collect();
    for group in new.groups() {
        if let Some(before) = before.get(group.name()) {
            changes.extend(groups.changes(before, &group).iter().cloned());
        }
    }
    changes
}

fn stages<'p>(old: FlagPlan<'p>, new: FlagPlan<'p>, changes: &mut Vec<Change<'p>>) {
    let (before, after) = (StageList::of(old), StageList::of(new));
    for stage in old.stages().filter(|stage| after.find(stage.name()).is_none()) {
        let reached = before.is_reached(stage.name());
        changes.push(Change::StageRemoved { stage: stage.name().to_string(), reached });
    }
    for stage in new.stages() {
        let name = stage.name().to_string();
        let Some(was) = before.find(stage.name()) else {
            changes.push(Change::StageAdded {
                stage: name,
                percent: Amount::percent(stage.percent()),
                within: stage.within().collect(),
                groups: stage.groups().collect(),
                reached: after.is_reached(stage.name()),
            });
            continue;
        };
        let reached = before.is_reached(stage.name()) || after.is_reached(stage.name());
        let (from, to) = (was.percent(), stage.percent());
        if from != to {
            let (from, to) = (Amount::percent(from), Amount::percent(to));
            changes.push(Change::Percent { stage: name.clone(), from, to, reached });
        }
        let (from, to): (BTreeSet<_>, BTreeSet<_>) =
            (was.within().collect(), stage.within().collect());
        if from != to {
            let (from, to) = (from.into_iter().collect(), to.into_iter().collect());
            changes.push(Change::Within { stage: name.clone(), from, to, reached });
        }
        if let Some((added, removed)) = difference(was.groups(), stage.groups()) {
            changes.push(Change::Groups { stage: name, added, removed, reached });
        }
    }
    let common = |of: &StageList<'p>, other: &StageList<'p>| -> Vec<StageName> {
        let names = of.stages.iter().map(Stage::name);
        names.filter(|name| other.find(*name).is_some()).collect()
    };
    let order = common(&after, &before);
    if common(&before, &after) != order {
        let stages = order.iter().map(StageName::to_string).collect();
        changes.push(Change::StagesReordered { stages });
    }
}

/// The stages of a flag, searched by name. A flag has at most 64 stages.
struct StageList<'p> {
    stages: Vec<Stage<'p>>,
    now: StageName,
}

impl<'p> StageList<'p> {
    fn of(flag: FlagPlan<'p>) -> StageList<'p> {
        StageList { stages: flag.stages().collect(), now: flag.stage() }
    }

    fn index(&self, name: StageName) -> Option<usize> {
        self.stages.iter().position(|stage| stage.name() == name)
    }

    fn find(&self, name: StageName) -> Option<&Stage<'p>> {
        self.stages.get(self.index(name)?)
    }

    /// Returns whether the flag is at this stage or beyond.
    fn is_reached(&self, name: StageName) -> bool {
        self.index(self.now).is_some_and(|now| self.index(name).is_some_and(|index| index <= now))
    }
}

fn hold_back<'p>(old: FlagPlan<'p>, new: FlagPlan<'p>, changes: &mut Vec<Change<'p>>) {
    let holds = |flag: FlagPlan<'p>| -> BTreeMap<&'p str, HoldBack<'p>> {
        flag.hold_back().map(|hold| (hold.group, hold)).collect()
    };
    let until = |hold: &HoldBack<'_>| hold.until.map_or(NEVER.to_owned(), |it| it.to_string());
    let (before, after) = (holds(old), holds(new));
    let groups: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for group in groups {
        let (was, is) = (before.get(group), after.get(group));
        let (from, to) = (was.map(until), is.map(until));
        if from != to {
            changes.push(Change::HoldBack { group, from, to });
        }
        // A group that no longer waits has no exceptions.
        let except = |hold: Option<&HoldBack<'p>>| {
            hold.map(|hold| hold.except.clone()).unwrap_or_default().into_iter()
        };
        if let Some((added, removed)) = difference(except(was), except(is)).filter(|_| is.is_some())
        {
            changes.push(Change::HoldBackExcept { group, added, removed });
        }
    }
}

fn requires<'p>(old: FlagPlan<'p>, new: FlagPlan<'p>, changes: &mut Vec<Change<'p>>) {
    let stages = |flag: FlagPlan<'p>| -> BTreeMap<&'p str, String> {
        flag.requires().map(|(flag, stage)| (flag, stage.to_string())).collect()
    };
    let (before, after) = (stages(old), stages(new));
    let flags: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for flag in flags {
        let (from, to) = (before.get(flag).cloned(), after.get(flag).cloned());
        if from != to {
            changes.push(Change::Requires { flag, from, to });
        }
    }
}

/// Returns the names that were added, and those that were removed. `None` if the names are the same.
fn difference<'p>(
    before: impl Iterator<Item = &'p str>,
    after: impl Iterator<Item = &'p str>,
) -> Option<(Vec<&'p str>, Vec<&'p str>)> {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) = (before.collect(), after.collect());
    let added = after.difference(&before).copied().collect();
    let removed = before.difference(&after).copied().collect();
    (before != after).then_some((added, removed))
}

/// Returns whether two groups have the same alternatives. Their order and the order of conditions do not matter.
fn have_same_alternatives(old: &Group<'_>, new: &Group<'_>) -> bool {
    let (old, new): (Vec<_>, Vec<_>) = (old.alternatives().collect(), new.alternatives().collect());
    let has = |all: &[Vec<Condition<'_>>], one: &[Condition<'_>]| {
        all.iter().any(|other| {
            other.len() == one.len() && other.iter().all(|condition| one.contains(condition))
        })
    };
    old.iter().all(|one| has(&new, one)) && new.iter().all(|one| has(&old, one))
}

/// A cache of group differences by name. Flags share groups, and a group may have a million users.
#[derive(Default)]
struct Groups<'p>(HashMap<&'p str, Vec<Change<'p>>>);

impl<'p> Groups<'p> {
    fn changes(&mut self, old: &Group<'p>, new: &Group<'p>) -> &[Change<'p>] {
        self.0.entry(new.name()).or_insert_with(|| {
            let mut changes = Vec::new();
            let (group, values_of) = (new.name(), new.values_of());
            if old.values_of() != values_of {
                changes.push(Change::GroupValuesOf { group, from: old.values_of(), to: values_of });
            }
            let added = new.users().filter(|user| !old.lists(user)).count();
            let removed = old.users().filter(|user| !new.lists(user)).count();
            if added + removed > 0 {
                changes.push(Change::GroupUsers { group, values_of, added, removed });
            }
            if !have_same_alternatives(old, new) {
                changes.push(Change::GroupAttributes { group });
            }
            if let Some((added, removed)) = difference(old.includes(), new.includes()) {
                changes.push(Change::GroupIncludes { group, added, removed });
            }
            changes
        })
    }
}

/// Returns the edited sections that no user notices, in the order of the document.
fn without_effect(old: FlagPlan<'_>, new: FlagPlan<'_>) -> Vec<String> {
    let mut sections = Vec::new();
    let mut add_if = |name: &str, differs: bool| {
        if differs {
            sections.push(name.to_owned());
        }
    };
    add_if("owner", old.owner() != new.owner());
    add_if("description", old.description() != new.description());
    add_if("plan", old.plan() != new.plan());
    add_if("skip_reason", old.skip_reason() != new.skip_reason());
    for (name, is_equal) in DETAILS {
        let is_same = |stage: &Stage<'_>| {
            let before = old.stages().find(|before| before.name() == stage.name());
            before.is_none_or(|before| is_equal(before.details(), stage.details()))
        };
        let changed: Vec<String> = new
            .stages()
            .filter(|stage| !is_same(stage))
            .map(|stage| stage.name().to_string())
            .collect();
        add_if(&format!("{name} ({})", changed.join(", ")), !changed.is_empty());
    }
    add_if("triggers", old.triggers() != new.triggers());
    add_if("rollback", old.rollback() != new.rollback());
    add_if("responsibility", old.responsibility() != new.responsibility());
    add_if("variables", !old.variables().eq(new.variables()));
    add_if("messages", old.messages() != new.messages());
    let timeline = old.start_moment() != new.start_moment()
        || old.start_advance() != new.start_advance()
        || !old.stage_owners().eq(new.stage_owners());
    add_if("timeline", timeline);
    add_if("calendar", old.calendar() != new.calendar());
    add_if("risks", old.risks() != new.risks());
    add_if("traffic", old.traffic() != new.traffic());
    let stages: BTreeSet<String> =
        old.stages().chain(new.stages()).map(|it| it.name().to_string()).collect();
    let changed = stages.iter().filter(|stage| old.approvals(stage) != new.approvals(stage));
    let force = (old.force_approvals() != new.force_approvals()).then_some("force");
    let changed: Vec<&str> = changed.map(String::as_str).chain(force).collect();
    add_if(&format!("approvals ({})", changed.join(", ")), !changed.is_empty());
    add_if("four_eyes", old.four_eyes() != new.four_eyes());
    sections
}

type IsEqual = fn(&StageDetails, &StageDetails) -> bool;

const DETAILS: [(&str, IsEqual); 13] = [
    ("title", |a, b| a.title == b.title),
    ("goal", |a, b| a.goal == b.goal),
    ("audience", |a, b| a.audience == b.audience),
    ("selection", |a, b| a.selection == b.selection),
    ("at_most", |a, b| a.at_most == b.at_most),
    ("min_duration", |a, b| a.min_duration == b.min_duration),
    ("max_duration", |a, b| a.max_duration == b.max_duration),
    ("criteria", |a, b| a.criteria == b.criteria),
    ("activities", |a, b| a.activities == b.activities),
    ("checklist", |a, b| a.checklist == b.checklist),
    ("metrics", |a, b| a.metrics == b.metrics),
    ("watch", |a, b| a.watch == b.watch),
    ("advance", |a, b| a.advance == b.advance),
];
