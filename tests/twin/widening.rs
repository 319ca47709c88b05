//! An update without a reason lets in no user that the plan in force excludes, whatever part of the plan it changes.
//!
//! The gate compares conditions without evaluating any user, so it may refuse more than it has to. It may not accept an
//! update that lets in a user of this world. `transitions` tests with simpler documents that it refuses no more than it
//! has to.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::{Config, TestRunner};
use stagegate::{Gate, Status};

use super::model::{Condition, Doc, Flag, Group, Hold, Member, NEVER, Stage, StagesOf, Test};
use super::oracle::{Person, Value};
use super::strategies::owned;

const FLAGS: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 4] = ["team", "beta", "region", "vip"];
const STAGES: [&str; 4] = ["one", "two", "three", "four"];
const USERS: [&str; 4] = ["ana", "ben", "cleo", "dan"];
const PPM: [u32; 4] = [0, 250_000, 600_000, 1_000_000];
/// No update limits how many users may lose a flag.
const PER_UPDATE: Option<u32> = Some(100);

/// A document of all groups and flags.
fn whole_doc() -> impl Strategy<Value = Doc> + Clone {
    let groups: Vec<_> = (0..GROUPS.len()).map(group).collect();
    let flags: Vec<_> = FLAGS.iter().map(|key| flag(key)).collect();
    let requires = vec(prop::option::weighted(0.3, 1..=4_usize), 3);
    (groups, flags, requires).prop_map(|(groups, mut flags, requires)| {
        // `b` may require `a`, and `c` both.
        for ((later, earlier), position) in [(1, 0), (2, 0), (2, 1)].into_iter().zip(requires) {
            let required = position.map(|position| (FLAGS[earlier].to_owned(), position));
            flags[later].requires.extend(required);
        }
        repaired(Doc { groups, flags, per_update: PER_UPDATE })
    })
}

fn group(index: usize) -> BoxedStrategy<Group> {
    let listed = subsequence(&USERS, 0..=3).prop_map(|users| (None, owned(&users)));
    let values = subsequence(&["acme", "globex", "eu", "us"], 1..=2);
    let by_value = (select(&["organisation", "region"][..]), values)
        .prop_map(|(attribute, values)| (Some(attribute.to_owned()), owned(&values)));
    let nothing = Just((None, Vec::new()));
    let list = prop_oneof![3 => listed, 2 => by_value, 2 => nothing];
    let rules = prop_oneof![1 => Just(Vec::new()), 2 => conditions()];
    let included = subsequence(GROUPS[index + 1..].to_vec(), 0..=(3 - index).min(1));
    let included = prop_oneof![2 => Just(Vec::new()), 1 => included];
    let tables = prop_oneof![3 => Just(Vec::new()), 1 => vec(conditions(), 1..=2)];
    let parts = (list, rules, included, tables);
    let group = parts.prop_map(move |((values_of, users), rules, included, tables)| {
        let included = included.into_iter().map(|name: &str| Member::Group(name.to_owned()));
        let any = included.chain(tables.into_iter().map(Member::Table)).collect();
        Group { name: GROUPS[index].to_owned(), users, values_of, rules, any }
    });
    group.boxed()
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> + Clone {
    let text = |tests: Vec<Test>, name: &str| Condition { attribute: name.to_owned(), tests };
    let values = || subsequence(&["eu", "us", "eu-west"], 1..=2).prop_map(|v| owned(&v));
    let part = || select(&["e", "eu", "us", "-"][..]).prop_map(str::to_owned);
    let region = prop_oneof![
        3 => values().prop_map(Test::In),
        2 => values().prop_map(Test::NotIn),
        1 => part().prop_map(Test::Prefix),
        1 => part().prop_map(Test::Suffix),
        1 => part().prop_map(Test::Contains),
        1 => Just(Test::Present),
    ];
    let bounds = |kind: &'static str, limits: &'static [&'static str]| {
        let bound = (select(&[">=", ">", "<=", "<", "="][..]), select(limits));
        let bound = bound.prop_map(|(sign, limit)| (sign, limit.to_owned()));
        vec(bound, 1..=2).prop_map(move |bounds| Test::Bounds(kind, bounds))
    };
    let region = prop_oneof![
        3 => region.clone().prop_map(|test| vec![test]),
        1 => (region, bounds("number", &["1", "2"])).prop_map(|(one, other)| vec![one, other]),
    ];
    let number = bounds("number", &["10", "20", "20.5", "30"]);
    let version = bounds("version", &["1.2", "1.10.0", "1.10.0-rc.1"]);
    let date = bounds("date", &["2026-01-05", "2026-01-05T12:00:00Z", "2026-01-06"]);
    let one = prop_oneof![
        3 => region.prop_map(move |tests| text(tests, "region")),
        1 => number.prop_map(move |test| text(vec![test], "seats")),
        1 => version.prop_map(move |test| text(vec![test], "app")),
        1 => date.prop_map(move |test| text(vec![test], "since")),
    ];
    prop_oneof![3 => vec(one.clone(), 1), 1 => vec(one, 2)].prop_map(|mut conditions| {
        conditions.dedup_by(|one, other| one.attribute == other.attribute);
        conditions
    })
}

fn flag(key: &'static str) -> BoxedStrategy<Flag> {
    let groups = |most: usize| subsequence(&GROUPS, 0..=most).prop_map(|names| owned(&names));
    let rarely = move |weight: u32| prop_oneof![weight => Just(Vec::new()), 1 => groups(2)];
    let names = prop_oneof![
        3 => subsequence(&STAGES, 1..=4),
        1 => subsequence(&STAGES, 1..=4).prop_shuffle(),
    ];
    let stage = (select(&PPM[..]), rarely(1), rarely(2), prop::bool::weighted(0.8));
    let by = select(&[None, None, None, Some("organisation"), Some("region")][..]);
    let salt = select(&[None, None, None, None, Some("other")][..]);
    let hold = (select(&GROUPS[..]), select(&[1, 2, 3, 4, NEVER][..]), rarely(1));
    let holds = prop_oneof![2 => Just(Vec::new()), 1 => vec(hold, 1..=2)];
    let position = select(&[0, 1, 1, 1, 2, 2, 3, 4][..]);
    let parts = (names, vec(stage, 4), position, salt, by, rarely(3), holds);
    let flag = parts.prop_map(move |(names, mut stages, position, salt, by, only, holds)| {
        stages.sort_by_key(|(ppm, ..)| *ppm);
        let stages = names.into_iter().zip(stages);
        let stages = stages.map(|(name, (ppm, groups, within, written))| Stage {
            name: name.to_owned(),
            ppm: written.then_some(ppm),
            groups,
            within,
        });
        let mut hold_back: Vec<Hold> = Vec::new();
        for (group, until, except) in holds {
            if hold_back.iter().all(|hold| hold.group != group) {
                hold_back.push(Hold { group: group.to_owned(), until, except });
            }
        }
        Flag {
            key: key.to_owned(),
            salt: salt.map(str::to_owned),
            position,
            plan: StagesOf::Own(stages.collect()),
            hold_back,
            skip_reason: None,
            by: by.map(str::to_owned),
            only,
            requires: Vec::new(),
        }
    });
    flag.boxed()
}

/// Returns a valid document: positions exist, and percentages never fall.
fn repaired(mut doc: Doc) -> Doc {
    for flag in &mut doc.flags {
        let StagesOf::Own(stages) = &mut flag.plan else { continue };
        let mut most = 0;
        for stage in stages.iter_mut() {
            if !stage.within.is_empty() {
                stage.ppm.get_or_insert(most);
            }
            if let Some(ppm) = &mut stage.ppm {
                most = most.max(*ppm);
                *ppm = most;
            }
        }
        let last = stages.len();
        flag.position = flag.position.min(last);
        for hold in flag.hold_back.iter_mut().filter(|hold| hold.until != NEVER) {
            hold.until = hold.until.min(last);
        }
    }
    let lasts: Vec<_> = doc.flags.iter().map(|f| (f.key.clone(), f.stages().len())).collect();
    for flag in &mut doc.flags {
        flag.requires.retain(|(key, _)| lasts.iter().any(|(known, _)| known == key));
        for (key, position) in &mut flag.requires {
            let last = lasts.iter().find(|(known, _)| known == key).unwrap().1;
            *position = (*position).min(last);
        }
    }
    doc
}

/// A change of one part of a document: to the same part of another random document.
#[derive(Clone, Copy, Debug)]
enum Part {
    Users,
    ValuesOf,
    Rules,
    Any,
    Groups,
    Within,
    Percent,
    Name,
    Stages,
    Salt,
    By,
    Only,
    HoldBack,
    Except,
    Requires,
    Up,
    Down,
    Remove,
    Return,
}

const PARTS: [Part; 19] = [
    Part::Users,
    Part::ValuesOf,
    Part::Rules,
    Part::Any,
    Part::Groups,
    Part::Within,
    Part::Percent,
    Part::Name,
    Part::Stages,
    Part::Salt,
    Part::By,
    Part::Only,
    Part::HoldBack,
    Part::Except,
    Part::Requires,
    Part::Up,
    Part::Down,
    Part::Remove,
    Part::Return,
];

#[derive(Clone, Debug)]
enum Step {
    /// Applies some changes at once.
    Update(Vec<(Part, Index, Index)>, Doc, Option<(Index, String)>),
    /// Moves a flag down, or up by one stage, by a call.
    Call(Index, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let part = (select(&PARTS[..]), any::<Index>(), any::<Index>());
    let reason = (any::<Index>(), "[a-z]{8}");
    let reason = prop::option::weighted(0.1, reason);
    prop_oneof![
        6 => (vec(part, 1..=2), whole_doc(), reason)
            .prop_map(|(parts, other, reason)| Step::Update(parts, other, reason)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(flag, up)| Step::Call(flag, up)),
    ]
}

impl Part {
    fn apply(self, at: Index, more: Index, doc: &mut Doc, other: &Doc) {
        let (group, from) = (at.index(GROUPS.len()), at.index(other.groups.len()));
        let (group, from) = (&mut doc.groups[group], &other.groups[from]);
        match self {
            Part::Users if group.values_of == from.values_of => group.users.clone_from(&from.users),
            Part::Users => group.users.truncate(1),
            Part::ValuesOf => {
                (group.values_of, group.users) = (from.values_of.clone(), from.users.clone());
            }
            Part::Rules => group.rules.clone_from(&from.rules),
            Part::Any => group.any.clone_from(&from.any),
            _ => self.apply_to_flag(at, more, doc, other),
        }
    }

    fn apply_to_flag(self, at: Index, more: Index, doc: &mut Doc, other: &Doc) {
        if let Part::Return = self {
            let new = at.get(&other.flags);
            if doc.flag(&new.key).is_none() {
                doc.flags.push(new.clone());
            }
            return;
        }
        let index = at.index(doc.flags.len());
        if let Part::Remove = self {
            if doc.flags.len() > 1 {
                doc.flags.remove(index);
            }
            return;
        }
        let flag = &mut doc.flags[index];
        let from = other.flag(&flag.key).unwrap();
        let (StagesOf::Own(stages), StagesOf::Own(others)) = (&mut flag.plan, &from.plan) else {
            return;
        };
        let (to, other) = (more.index(stages.len()), more.get(others));
        match self {
            Part::Groups => stages[to].groups.clone_from(&other.groups),
            Part::Within => stages[to].within.clone_from(&other.within),
            Part::Percent => stages[to].ppm = other.ppm,
            Part::Name if stages.iter().all(|stage| stage.name != other.name) => {
                stages[to].name.clone_from(&other.name);
            }
            Part::Stages if stages.len() > 1 && more.index(2) == 0 => {
                stages.remove(to);
            }
            Part::Stages if stages.iter().all(|stage| stage.name != other.name) => {
                stages.insert(to, other.clone());
            }
            Part::Salt => flag.salt.clone_from(&from.salt),
            Part::By => flag.by.clone_from(&from.by),
            Part::Only => flag.only.clone_from(&from.only),
            Part::HoldBack => flag.hold_back.clone_from(&from.hold_back),
            Part::Except => {
                for hold in &mut flag.hold_back {
                    hold.except.clone_from(&other.within);
                }
            }
            Part::Requires => flag.requires.clone_from(&from.requires),
            Part::Up => flag.position += 1,
            Part::Down => flag.position = flag.position.saturating_sub(1),
            _ => {}
        }
    }
}

/// Returns the people of the test: with every combination of attributes that matters, listed users among them.
fn world() -> Vec<Person> {
    let text = |text: &str| Value::Text(text.to_owned());
    let regions = ["eu", "us", "eu-west", "2", "fr"];
    let organisations = ["acme", "globex", "initech", "eu", "hooli"];
    let since =
        ["2026-01-04", "2026-01-05T11:00:00Z", "2026-01-05T18:00:00+01:00", "2026-01-06", "x"];
    let apps = ["1.2.0", "1.10.0-rc.1", "v1.10", "1.9.9", "none"];
    let person = |n: usize| {
        // Different steps, so that the attributes are independent of each other.
        let pick = |step: usize, texts: [&str; 5]| text(texts[n / step % 5]);
        let mut attributes = Vec::new();
        if !n.is_multiple_of(7) {
            attributes.push(("region".to_owned(), pick(1, regions)));
        }
        if n.is_multiple_of(5) {
            attributes.push(("region".to_owned(), pick(3, regions)));
        }
        if !n.is_multiple_of(4) {
            attributes.push(("organisation".to_owned(), pick(2, organisations)));
        }
        if n.is_multiple_of(11) {
            attributes.push(("organisation".to_owned(), text(&format!("company-{n}"))));
        }
        if !n.is_multiple_of(3) {
            let seats = [
                Value::Signed(10),
                Value::Decimal(20.5),
                text("20"),
                text("x"),
                Value::Unsigned(31),
            ];
            attributes.push(("seats".to_owned(), seats[n / 4 % 5].clone()));
        }
        if !n.is_multiple_of(6) {
            attributes.push(("app".to_owned(), pick(5, apps)));
            attributes.push(("since".to_owned(), pick(6, since)));
        }
        let key = match n % 3 {
            0 => USERS[n / 3 % USERS.len()].to_owned(),
            _ => format!("user-{n}"),
        };
        Person { key: key.into_bytes(), attributes }
    };
    (0..90).map(person).collect()
}

/// A document with every flag where the gate has it, and the positions that it declares.
#[derive(Clone)]
struct InForce {
    doc: Doc,
    declared: Vec<(String, usize)>,
}

impl InForce {
    fn new(mut doc: Doc, status: &Status) -> InForce {
        let declared = doc.flags.iter().map(|flag| (flag.key.clone(), flag.position)).collect();
        for flag in &mut doc.flags {
            let found = status.flags.iter().find(|found| found.key == flag.key).unwrap();
            let position =
                (0..=flag.stages().len()).find(|at| flag.stage_name(*at) == *found.stage);
            flag.position = position.unwrap();
        }
        InForce { doc, declared }
    }

    fn declared(&self, key: &str) -> usize {
        self.declared.iter().find(|(known, _)| known == key).unwrap().1
    }
}

/// An update of one flag.
#[derive(Clone, Copy)]
struct FlagEdit<'e> {
    old: &'e InForce,
    new: &'e InForce,
    before: &'e Flag,
    after: &'e Flag,
}

impl FlagEdit<'_> {
    fn has_reason(&self) -> bool {
        let reason = &self.after.skip_reason;
        reason.is_some() && *reason != self.before.skip_reason
    }

    /// Returns the position in the plan in force whose users the update may let in.
    fn allowed(&self) -> usize {
        let stage = |flag: &Flag| flag.stage_name(flag.position);
        if stage(self.before) == stage(self.after) {
            return self.before.position;
        }
        (self.before.position + 1).min(self.before.stages().len())
    }

    /// Returns whether the document repeats the stage of a flag that a call has moved down. Such a flag lets in no one.
    fn is_kept_down(&self) -> bool {
        let key = &self.before.key;
        let (was, is) = (self.old.declared(key), self.new.declared(key));
        self.before.position < was && self.before.stage_name(was) == self.after.stage_name(is)
    }

    /// Returns a person whom the update wrongly lets in.
    fn wrongly_lets_in<'p>(
        &self,
        world: &'p [Person],
        edits: &[FlagEdit<'_>],
    ) -> Option<&'p Person> {
        if self.after.position == 0 || (self.has_reason() && !self.is_kept_down()) {
            return None;
        }
        let kept_down = self.is_kept_down();
        let allowed = if kept_down { self.before.position } else { self.allowed() };
        // The rule for users who join a list: longer lists of the plan in force, and groups that are new to the audience.
        let longer = self.with_longer_lists();
        let mut alone = self.before.clone();
        alone.requires.clear();
        let has_flag = |person: &Person| {
            let is_barred = || {
                let is_in =
                    |names: &[String]| names.iter().any(|name| longer.contains(name, person));
                let waits = |hold: &&Hold| {
                    hold.until > allowed
                        && self.old.doc.contains(&hold.group, person)
                        && !is_in(&hold.except)
                };
                (!alone.only.is_empty() && !is_in(&alone.only))
                    || alone.hold_back.iter().find(waits).is_some()
            };
            let mut admitted = alone.clone();
            admitted.hold_back.clear();
            longer.answer_at(&admitted, allowed, person).enabled && !is_barred()
                || (!kept_down && self.joins(allowed, person) && !is_barred())
        };
        let has_required = |person: &Person| {
            self.before.requires.iter().all(|(key, position)| {
                let Some(edit) = edits.iter().find(|edit| edit.before.key == *key) else {
                    return false;
                };
                let most = edit.allowed();
                let has_old = || edit.old.doc.answer_at(edit.before, most, person).enabled;
                let has = edit.new.doc.answer(key, person).enabled || has_old();
                has && (most >= *position || edit.has_reason())
            })
        };
        world.iter().find(|person| {
            self.new.doc.answer(&self.after.key, person).enabled
                && !(has_flag(person) && has_required(person))
        })
    }

    /// Returns the document in force, in which each list also has the users of the new document's list.
    fn with_longer_lists(&self) -> Doc {
        let mut doc = self.old.doc.clone();
        for group in &mut doc.groups {
            let same = self.new.doc.groups.iter().find(|new| new.name == group.name);
            if let Some(new) = same.filter(|new| new.values_of == group.values_of) {
                group.users.extend(new.users.iter().cloned());
            }
        }
        doc
    }

    /// Returns whether the person is on the list of a group that is new to the flag's audience, and the plan in force
    /// does not have the same entry for a later stage.
    fn joins(&self, allowed: usize, person: &Person) -> bool {
        let audience = |doc: &Doc, stages: &[Stage]| -> Vec<Group> {
            let mut found = Vec::new();
            stages.iter().flat_map(|s| &s.groups).for_each(|name| add_parts(doc, name, &mut found));
            found
        };
        let stages = self.before.stages();
        let known = audience(&self.old.doc, &stages[..allowed]);
        let later = audience(&self.old.doc, &stages[allowed..]);
        let added = audience(&self.new.doc, &self.after.stages()[..self.after.position]);
        let is_new = |group: &&Group| {
            known.iter().all(|it| it.name != group.name || it.values_of != group.values_of)
        };
        let mut entries = added
            .iter()
            .filter(is_new)
            .flat_map(|group| group.users.iter().map(move |entry| (&group.values_of, entry)));
        entries.any(|(values_of, entry)| {
            let is_later =
                later.iter().any(|it| it.values_of == *values_of && it.users.contains(entry));
            let (values_of, users) = (values_of.clone(), vec![entry.clone()]);
            let only = Group { name: "entry".to_owned(), users, values_of, ..Group::default() };
            let doc = Doc { groups: vec![only], ..Doc::default() };
            !is_later && doc.contains("entry", person)
        })
    }
}

/// Adds a group and the groups that it includes.
fn add_parts(doc: &Doc, name: &str, found: &mut Vec<Group>) {
    let group = doc.groups.iter().find(|group| group.name == name).unwrap();
    found.push(group.clone());
    for member in &group.any {
        if let Member::Group(name) = member {
            add_parts(doc, name, found);
        }
    }
}

/// Returns the flag and the person, if the update lets in a person against the rule.
fn violation(
    old: &InForce,
    removed: &[InForce],
    new: &InForce,
    world: &[Person],
) -> Option<(String, Person)> {
    let edits: Vec<FlagEdit<'_>> = new
        .doc
        .flags
        .iter()
        .filter_map(|after| {
            let of = |old| {
                InForce::flag(old, &after.key).map(|before| FlagEdit { old, new, before, after })
            };
            of(old).or_else(|| removed.iter().rev().find_map(of))
        })
        .collect();
    edits.iter().find_map(|edit| {
        let person = edit.wrongly_lets_in(world, &edits)?;
        Some((edit.after.key.clone(), person.clone()))
    })
}

impl InForce {
    fn flag(&self, key: &str) -> Option<&Flag> {
        self.doc.flag(key)
    }

    /// Returns what a gate remembers of the flags that an update removes: no lists of users, and no reasons.
    fn without_lists(&self, kept: &Doc) -> InForce {
        let mut doc = self.doc.clone();
        doc.groups.iter_mut().for_each(|group| group.users.clear());
        for flag in &mut doc.flags {
            flag.skip_reason = None;
        }
        let is_gone = |key: &str| kept.flag(key).is_none();
        let declared = self.declared.iter().filter(|(key, _)| is_gone(key)).cloned().collect();
        InForce { doc, declared }
    }
}

#[test]
fn an_update_lets_in_no_user_whom_the_plan_in_force_keeps_out() {
    let [accepted, refused, needed, reasoned] = [const { AtomicU32::new(0) }; 4];
    let config = Config { source_file: Some(file!()), ..Config::default() };
    let cases = config.cases;
    let input = (whole_doc(), vec(step(), 1..16));
    let world = world();
    let result = TestRunner::new(config).run(&input, |(first, steps)| {
        let gate = Gate::from_document(first.toml()).unwrap();
        let mut in_force = InForce::new(first, &gate.status());
        let mut removed: Vec<InForce> = Vec::new();
        for step in &steps {
            match step {
                Step::Call(flag, up) => {
                    let flag = flag.get(&in_force.doc.flags);
                    let to = if *up { flag.position + 1 } else { flag.position.saturating_sub(1) };
                    let stage = flag.stage_name(to.min(flag.stages().len()));
                    let key = flag.key.clone();
                    gate.set_stage(&key, &stage).unwrap();
                    let declared = std::mem::take(&mut in_force.declared);
                    in_force = InForce { declared, ..InForce::new(in_force.doc, &gate.status()) };
                }
                Step::Update(parts, other, reason) => {
                    let mut doc = in_force.doc.clone();
                    for flag in &mut doc.flags {
                        flag.position = in_force.declared(&flag.key);
                    }
                    parts
                        .iter()
                        .for_each(|(part, at, more)| part.apply(*at, *more, &mut doc, other));
                    if let Some((flag, reason)) = reason {
                        let flag = flag.index(doc.flags.len());
                        doc.flags[flag].skip_reason = Some(reason.clone());
                    }
                    let doc = repaired(doc);
                    let result = gate.update(doc.toml());
                    // Relaxed: read after the last case, on the same thread.
                    let count = |counter: &AtomicU32| counter.fetch_add(1, Ordering::Relaxed);
                    match result {
                        Ok(_) => {
                            let new = InForce::new(doc, &gate.status());
                            if let Some((flag, person)) =
                                violation(&in_force, &removed, &new, &world)
                            {
                                let (old, new) = (in_force.doc.toml(), new.doc.toml());
                                prop_assert!(
                                    false,
                                    "{parts:?}: {flag} lets in {person:?}\n{old}\n{new}"
                                );
                            }
                            count(&accepted);
                            count_if(&reasoned, reason.is_some());
                            removed.retain(|it| {
                                it.declared.iter().any(|(key, _)| new.flag(key).is_none())
                            });
                            for it in &mut removed {
                                it.doc.flags.retain(|flag| new.flag(&flag.key).is_none());
                            }
                            let gone = in_force.without_lists(&new.doc);
                            if !gone.declared.is_empty() {
                                removed.push(gone);
                            }
                            in_force = new;
                        }
                        Err(error) => {
                            prop_assert!(error.is_skip(), "{}\n{}", error, doc.toml());
                            count(&refused);
                            // Was it right to refuse? The update would have moved each flag as the document says.
                            let new = InForce { declared: declared_in(&doc), doc };
                            let is_right = violation(&in_force, &removed, &new, &world).is_some();
                            count_if(&needed, is_right);
                        }
                    }
                }
            }
            for person in &world {
                for flag in &in_force.doc.flags {
                    let expected = in_force.doc.answer(&flag.key, person).enabled;
                    prop_assert_eq!(gate.is_enabled(person, &flag.key), expected);
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let [accepted, refused, needed, reasoned] =
        [accepted, refused, needed, reasoned].map(AtomicU32::into_inner);
    println!(
        "{accepted} accepted ({reasoned} with a reason), {refused} refused, {needed} of them rightly"
    );
    // Otherwise the documents of the test are useless.
    assert!(
        cases < 100 || (accepted > cases && needed > cases / 4),
        "{accepted} {refused} {needed}"
    );
}

fn count_if(counter: &AtomicU32, condition: bool) {
    counter.fetch_add(u32::from(condition), Ordering::Relaxed);
}

fn declared_in(doc: &Doc) -> Vec<(String, usize)> {
    doc.flags.iter().map(|flag| (flag.key.clone(), flag.position)).collect()
}

/// Returns whether the gate refuses an update, because it lets in users.
fn is_refused(before: &str, after: &str) -> bool {
    let document = |text: &str| format!("schema = 1\nlimits.per_update = 100\n{text}");
    let gate = Gate::from_document(document(before)).unwrap();
    gate.update(document(after)).is_err_and(|error| error.is_skip())
}

#[test]
fn a_group_counts_beside_100_percent_of_companies() {
    let stages = |groups: &str| {
        format!(
            "groups.eu.where = {{ region = [\"eu\"] }}\n[flags.f]\nby = \"organisation\"\nstage = \"all\"\n\
             stages = [{{ name = \"all\", percent = 100{groups} }}]"
        )
    };
    // Users without an organisation are in no share, so the group lets them in.
    assert!(is_refused(&stages(""), &stages(", groups = [\"eu\"]")));
    assert!(!is_refused(&stages(", groups = [\"eu\"]"), &stages("")));
}

#[test]
fn a_second_hold_back_counts_even_if_the_first_has_exceptions() {
    let flag = |holds: &str| {
        format!(
            "groups.us.where = {{ region = [\"us\"] }}\ngroups.staff.where = {{ role = [\"staff\"] }}\n\
             groups.abroad.any = [\"us\"]\n[flags.f]\nstage = \"pilot\"\nhold_back = {{ {holds} }}"
        )
    };
    let both = flag("us = { until = \"ga\", except = [\"staff\"] }, abroad = \"ga\"");
    let one = flag("us = { until = \"ga\", except = [\"staff\"] }");
    let other = flag("abroad = \"ga\"");
    // Employees in the US wait with `abroad`, and have no exception there.
    assert!(is_refused(&both, &one));
    assert!(!is_refused(&both, &other));
    assert!(is_refused(&other, &one));
    assert!(!is_refused(&one, &other));
}

#[test]
fn a_required_flag_does_not_reach_its_stage_by_a_new_list_of_stages() {
    let plan = |stages: &str, stage: &str| {
        format!(
            "[flags.api]\nstage = \"{stage}\"\nstages = [{stages}]\n\
             [flags.crm]\nstage = \"pilot\"\nrequires = {{ api = \"wide\" }}"
        )
    };
    let [small, middle, wide] = [("small", 10), ("middle", 20), ("wide", 50)]
        .map(|(name, percent)| format!("{{ name = \"{name}\", percent = {percent} }}"));
    let before = plan(&[&*small, &*middle, &*wide].join(", "), "small");
    let renamed =
        plan("{ name = \"wide\", percent = 10 }, { name = \"middle\", percent = 20 }", "wide");
    assert!(is_refused(&before, &renamed));
    // The next stage may be reached.
    let near = plan(&[&*small, &*wide].join(", "), "small");
    assert!(!is_refused(&near, &plan(&[&*small, &*wide].join(", "), "wide")));
    // A lower stage is not needed any more.
    let at_wide = plan(&[&*middle, &*wide].join(", "), "wide");
    assert!(!is_refused(&at_wide, &plan(&wide, "wide")));
}

#[test]
fn a_list_of_values_of_another_attribute_is_another_list() {
    let flag = |attribute: &str| {
        format!(
            "groups.first = {{ values_of = \"{attribute}\", users = [\"acme\"] }}\n\
             groups.later = {{ values_of = \"customer\", users = [\"acme\"] }}\n[flags.f]\nstage = \"one\"\n\
             stages = [{{ name = \"one\", groups = [\"first\"] }}, {{ name = \"two\", percent = 1 }}, \
             {{ name = \"three\", groups = [\"later\"] }}]"
        )
    };
    // The plan in force lists these customers for a later stage.
    assert!(is_refused(&flag("organisation"), &flag("customer")));
    assert!(!is_refused(&flag("organisation"), &flag("partner")));
}
