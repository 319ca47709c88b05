//! Random sequences of updates and moves do what the rules say, and a refused one does nothing.

use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use stagegate::{Gate, Status, Update, UpdateError};

use super::model::{Doc, Flag, Group, Stage, StagesOf};
use super::rules::{FlagState, Refusal, State};

const FLAGS: [&str; 3] = ["a", "b", "c"];
const STAGES: [&str; 5] = ["one", "two", "three", "four", "five"];
/// Few, so that stages that trade names often have the same percentage.
const PPM: [u32; 5] = [0, 0, 100_000, 500_000, 1_000_000];

#[derive(Clone, Debug)]
enum Step {
    Update(Doc),
    /// The document in force with every flag at where it is, or lower.
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
    let some = |flags: [Option<Flag>; 3]| {
        let flags: Vec<_> = flags.into_iter().flatten().collect();
        (!flags.is_empty()).then(|| Doc { groups: vec![team()], flags })
    };
    flags.prop_filter_map("a document has a flag", some)
}

fn team() -> Group {
    Group { name: "team".to_owned(), users: vec!["ana".to_owned()], rules: Vec::new() }
}

fn small_flag(key: &'static str) -> impl Strategy<Value = Flag> {
    // Mostly in one order, so that documents have something in common.
    let names =
        prop_oneof![subsequence(&STAGES, 1..=5), subsequence(&STAGES, 1..=5).prop_shuffle(),];
    let skip_reason = select(&[None, None, None, Some("agreed"), Some("agreed again")][..]);
    let stage = (select(&PPM[..]), prop::bool::weighted(0.3));
    (names, vec(stage, 5), 0..=5_usize, skip_reason).prop_map(
        move |(names, stages, position, skip_reason)| {
            let (mut ppm, grouped): (Vec<u32>, Vec<bool>) = stages.into_iter().unzip();
            ppm.sort_unstable();
            let stage = |((name, ppm), grouped): ((&str, u32), bool)| Stage {
                name: name.to_owned(),
                ppm: Some(ppm),
                groups: if grouped { vec!["team".to_owned()] } else { Vec::new() },
            };
            let stages: Vec<_> = names.into_iter().zip(ppm).zip(grouped).map(stage).collect();
            let position = position.min(stages.len());
            let (key, plan) = (key.to_owned(), StagesOf::Own(stages));
            let skip_reason = skip_reason.map(str::to_owned);
            Flag { key, salt: None, position, plan, hold_back: Vec::new(), skip_reason }
        },
    )
}

proptest! {
    #[test]
    fn moves_follow_the_documented_rules(first in small_doc(), steps in vec(step(), 1..25)) {
        let gate = Gate::from_document(first.toml()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        gate.observe(move |update: &Update<'_>| sink.lock().unwrap().push(Told::new(update)));
        let mut model = State::new(&first);
        let mut in_force = first;
        for step in &steps {
            let before = model.clone();
            let (expected, found) = match step {
                Step::Update(doc) => {
                    let (expected, found) = (model.update(doc), gate.update(doc.toml()));
                    if expected.is_ok() {
                        in_force = doc.clone();
                        check_growth(&before, &model, doc)?;
                    }
                    (expected, found)
                }
                Step::UpdateDown(by) => {
                    for flag in &mut in_force.flags {
                        flag.position = before.flags[&flag.key].position.saturating_sub(*by);
                        flag.skip_reason = None;
                    }
                    let expected = model.update(&in_force);
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
            prop_assert_eq!(told, [Told::expected(&before, &model)], "{:?}", step);
        }
    }
}

/// What an applied document may not have done, whatever the rules' wording.
fn check_growth(before: &State, after: &State, doc: &Doc) -> Result<(), TestCaseError> {
    for flag in &doc.flags {
        let Some(old) = before.flags.get(&flag.key) else { continue };
        let new = &after.flags[&flag.key];
        if flag.skip_reason.is_none() && new.position > 1 {
            let last_passed = new.stages[new.position - 2].1;
            prop_assert!(
                last_passed <= old.ppm(),
                "{} passed a stage: {:?} to {:?}",
                flag.key,
                old,
                new
            );
        }
        if old.is_taken_down() && old.is_declared_again_by(new) {
            prop_assert!(new.position <= new.declared);
            prop_assert!(new.ppm() <= old.ppm(), "{} came back: {:?} to {:?}", flag.key, old, new);
        }
    }
    Ok(())
}

/// What an observer was told.
#[derive(Debug, PartialEq)]
enum Told {
    Applied { version: u64, changes: Vec<(String, Option<String>, Option<String>)> },
    Refused,
}

impl Told {
    fn new(update: &Update<'_>) -> Told {
        let Update::Applied { version, changes, .. } = update else { return Told::Refused };
        let text = |stage: Option<stagegate::StageName>| stage.map(|stage| stage.to_string());
        let changes = changes.iter().map(|c| (c.flag.to_string(), text(c.from), text(c.to)));
        Told::Applied { version: *version, changes: changes.collect() }
    }

    /// Every flag whose stage has another name than before, in order.
    fn expected(before: &State, after: &State) -> Told {
        if before == after {
            return Told::Refused;
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
        Told::Applied { version: after.version, changes }
    }
}

fn refusal(error: &UpdateError) -> Refusal {
    match (error.is_skip(), error.is_not_found(), error.is_invalid_document()) {
        (true, false, false) => Refusal::Skip,
        (false, true, false) => Refusal::NotFound,
        kinds => panic!("an error of no kind, or of several: {kinds:?}: {error}"),
    }
}

/// What a gate says of itself, as the model has it.
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
