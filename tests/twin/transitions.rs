//! Random sequences of updates and moves follow the rules, and a refused step changes nothing.

use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use stagegate::{Gate, Status, Update, UpdateError};

use super::model::{Condition, Doc, Flag, Group, Hold, Stage, StagesOf, Test};
use super::oracle::{Person, Value};
use super::rules::{FlagState, Refusal, State};
use super::strategies::owned;

const FLAGS: [&str; 3] = ["a", "b", "c"];
const USERS: [&str; 6] = ["ana", "ben", "cleo", "dan", "eve", "finn"];
const STAGES: [&str; 5] = ["one", "two", "three", "four", "five"];
/// Only a few, so that renamed stages often have the same percentage.
const PPM: [u32; 5] = [0, 0, 250_000, 600_000, 1_000_000];

#[derive(Clone, Debug)]
enum Step {
    Update(Doc),
    /// Updates to the document in force with every flag moved down by this number of stages.
    UpdateDown(usize),
    SetStage(&'static str, &'static str),
    ForceStage(&'static str, &'static str, &'static str),
    RollBack(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let flag = || select(&["a", "b", "c", "no-such-flag"][..]);
    let stage = || select(&["off", "one", "two", "three", "four", "five", "no-such-stage", ""][..]);
    let reason = select(&["incident 7", "", " \n"][..]);
    prop_oneof![
        4 => small_doc().prop_map(Step::Update),
        1 => (0..4_usize).prop_map(Step::UpdateDown),
        4 => (flag(), stage()).prop_map(|(flag, stage)| Step::SetStage(flag, stage)),
        2 => (flag(), stage(), reason).prop_map(|(f, s, reason)| Step::ForceStage(f, s, reason)),
        1 => flag().prop_map(Step::RollBack),
    ]
}

fn small_doc() -> impl Strategy<Value = Doc> {
    let flags = FLAGS.map(|key| prop::option::weighted(0.7, small_flag(key)));
    let some = |(groups, flags): (Vec<Group>, [Option<Flag>; 3])| {
        let flags: Vec<_> = flags.into_iter().flatten().collect();
        (!flags.is_empty()).then_some(Doc { groups, flags, per_update: Some(100) })
    };
    (groups(), flags).prop_filter_map("a document has a flag", some)
}

/// Two lists of random users, and a group by an attribute with one or two values.
fn groups() -> impl Strategy<Value = Vec<Group>> {
    let users = || subsequence(&USERS, 0..=4);
    let values = select(vec![&["eu"][..], &["eu", "us"]]);
    (users(), users(), values).prop_map(|(team, beta, values)| {
        let listed = |name: &str, users: &[&str]| Group {
            name: name.to_owned(),
            users: owned(users),
            ..Group::default()
        };
        let tests = vec![Test::In(owned(values))];
        let rules = vec![Condition { attribute: "region".to_owned(), tests }];
        let region = Group { name: "region".to_owned(), rules, ..Group::default() };
        vec![listed("team", &team), listed("beta", &beta), region]
    })
}

fn small_flag(key: &'static str) -> impl Strategy<Value = Flag> {
    // Half of the flags have their stages in the same order, so that documents are similar.
    let names =
        prop_oneof![subsequence(&STAGES, 1..=5), subsequence(&STAGES, 1..=5).prop_shuffle(),];
    let skip_reason = select(&[None, None, None, Some("agreed"), Some("agreed again")][..]);
    let groups =
        select(vec![&[][..], &[], &[], &["team"], &["beta"], &["region"], &["team", "beta"]]);
    let stage = (select(&PPM[..]), groups);
    let salt = select(&[None, None, None, None, Some("other")][..]);
    let hold = prop::option::weighted(0.2, (select(&["team", "beta"][..]), 1..=5_usize));
    (names, vec(stage, 5), 0..=5_usize, skip_reason, salt, hold).prop_map(
        move |(names, stages, position, skip_reason, salt, hold)| {
            let (mut ppm, groups): (Vec<u32>, Vec<&[&str]>) = stages.into_iter().unzip();
            ppm.sort_unstable();
            let stage = |((name, ppm), groups): ((&str, u32), &[&str])| Stage {
                name: name.to_owned(),
                ppm: Some(ppm),
                groups: owned(groups),
                within: Vec::new(),
            };
            let stages: Vec<_> = names.into_iter().zip(ppm).zip(groups).map(stage).collect();
            let position = position.min(stages.len());
            let hold = hold.map(|(group, until)| {
                let (group, until) = (group.to_owned(), until.min(stages.len()));
                Hold { group, until, except: Vec::new() }
            });
            let (key, plan) = (key.to_owned(), StagesOf::Own(stages));
            let [skip_reason, salt] = [skip_reason, salt].map(|text| text.map(str::to_owned));
            let hold_back = hold.into_iter().collect();
            Flag { key, salt, position, plan, hold_back, skip_reason, ..Flag::default() }
        },
    )
}

/// Returns every user of the test: enough for every percentage and every attribute.
fn world() -> Vec<Person> {
    let key =
        |n: usize| USERS.get(n).map_or_else(|| format!("user-{n}"), |user| (*user).to_owned());
    let people = (0..180).map(|n| {
        let region = [None, Some("eu"), Some("us")][n % 3];
        let attributes = region.map(|region| ("region".to_owned(), Value::Text(region.to_owned())));
        Person { key: key(n / 3).into_bytes(), attributes: attributes.into_iter().collect() }
    });
    people.collect()
}

proptest! {
    #[test]
    fn updates_and_moves_follow_the_documented_rules(first in small_doc(), steps in vec(step(), 1..25)) {
        let gate = Gate::from_document(first.toml()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        gate.observe(move |update: &Update<'_>| sink.lock().unwrap().push(SeenUpdate::new(update)));
        let world = world();
        let mut model = State::new(&first);
        let mut in_force = first;
        for step in &steps {
            let before = model.clone();
            let (expected, found) = match step {
                Step::Update(doc) => {
                    let (expected, found) = (model.update(doc, &world), gate.update(doc.toml()));
                    if expected.is_ok() {
                        in_force = doc.clone();
                    }
                    (expected, found)
                }
                Step::UpdateDown(by) => {
                    for flag in &mut in_force.flags {
                        flag.position = before.flags[&flag.key].position.saturating_sub(*by);
                        flag.skip_reason = None;
                    }
                    let expected = model.update(&in_force, &world);
                    prop_assert_eq!(expected, Ok(()), "going down is never refused");
                    (expected, gate.update(in_force.json()))
                }
                Step::SetStage(flag, stage) => {
                    (model.set_stage(flag, stage, None), gate.set_stage(flag, stage))
                }
                Step::ForceStage(flag, stage, reason) => (
                    model.set_stage(flag, stage, Some(reason)),
                    gate.force_stage(flag, stage, reason),
                ),
                Step::RollBack(flag) => {
                    let expected = model.set_stage(flag, "off", None);
                    prop_assert_eq!(expected.is_ok(), before.flags.contains_key(*flag));
                    (expected, gate.roll_back(flag))
                }
            };
            let version = model.version;
            prop_assert_eq!(found.map_err(|e| refusal(&e)), expected.map(|()| version), "{:?}", step);
            prop_assert_eq!(state(&gate.status()), model.clone(), "{:?}", step);
            prop_assert_eq!(expected.is_err(), model == before, "{:?}", step);
            let told = std::mem::take(&mut *told.lock().unwrap());
            prop_assert_eq!(told, [SeenUpdate::expected(&before, &model)], "{:?}", step);
            for (flag, person) in FLAGS.iter().flat_map(|flag| world.iter().map(move |p| (flag, p))) {
                let expected = model.is_enabled(flag, person);
                prop_assert_eq!(gate.is_enabled(person, flag), expected, "{:?}: {}: {:?}", step, flag, person);
            }
        }
    }
}

/// An update as an observer sees it.
#[derive(Debug, PartialEq)]
enum SeenUpdate {
    Applied { version: u64, changes: Vec<(String, Option<String>, Option<String>)> },
    Refused,
}

impl SeenUpdate {
    fn new(update: &Update<'_>) -> SeenUpdate {
        let Update::Applied { version, changes, .. } = update else { return SeenUpdate::Refused };
        let text = |stage: Option<stagegate::StageName>| stage.map(|stage| stage.to_string());
        // Changes of the audience without a move are tested elsewhere.
        let moved = changes.iter().filter(|change| change.from != change.to);
        let changes = moved.map(|c| (c.flag.to_string(), text(c.from), text(c.to)));
        SeenUpdate::Applied { version: *version, changes: changes.collect() }
    }

    /// Returns the expected update: every flag whose stage name changed, in order.
    fn expected(before: &State, after: &State) -> SeenUpdate {
        if before == after {
            return SeenUpdate::Refused;
        }
        let stage = |state: &State, key: &String| {
            state.flags.get(key).map(|flag: &FlagState| flag.name(flag.position).to_owned())
        };
        let mut keys: Vec<_> = before.flags.keys().chain(after.flags.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        let changes =
            keys.into_iter().map(|key| (key.clone(), stage(before, key), stage(after, key)));
        let changes = changes.filter(|(_, from, to)| from != to).collect();
        SeenUpdate::Applied { version: after.version, changes }
    }
}

fn refusal(error: &UpdateError) -> Refusal {
    match (error.is_skip(), error.is_not_found(), error.is_invalid_document()) {
        (true, false, false) => Refusal::Skip,
        (false, true, false) => Refusal::NotFound,
        kinds => panic!("not exactly one kind of error: {kinds:?}: {error}"),
    }
}

/// Converts a gate's status to a state of the twin.
fn state(status: &Status) -> State {
    let flags = status.flags.iter().map(|flag| {
        let stages: Vec<_> =
            flag.stages.iter().map(|(name, percent)| (name.to_string(), percent.ppm())).collect();
        let position = |stage: &str| {
            let index = stages.iter().position(|(name, _)| name == stage);
            index.map_or(0, |index| index + 1)
        };
        let (position, declared) = (position(&flag.stage), position(&flag.declared));
        let state = FlagState { stages, position, declared };
        assert_eq!(flag.percent.ppm(), state.ppm(), "{}", flag.key);
        (flag.key.clone(), state)
    });
    State::told(status.version, flags.collect())
}
