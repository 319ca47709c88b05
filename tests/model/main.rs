//! Compares a rollout with a slow reference model of its rules.
//!
//! The events are random, clocks are set, and machines restart. After each event, the promises of `docs/promises.md`
//! must hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod naive;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use stagegate::clock::ManualClock;
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{
    Event as RolloutEvent, Fact, FlagReport, Progress, Record, Rollout, RolloutError,
};
use stagegate::store::Memory;

use naive::{APPROVALS, ClockReading, Event, Model, Plan, Stage, Trigger};

const USERS: u32 = 64;

/// 2026-01-05, in seconds.
const BEGIN: u64 = 1_767_603_600;

/// A rollout of flag `a` and its model.
struct Pair {
    rollout: Rollout,
    clock: ManualClock,
    store: Memory,
    model: Model,
    /// The seconds that have really passed: in total, and at the moment when the flag came to its stage.
    real: (u64, u64),
}

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap())
}

fn percent(value: u32) -> Quantity {
    Quantity::parse(&format!("{value}%"), Unit::Percent).unwrap()
}

fn name(stage: usize) -> String {
    if stage == 0 { "off".to_owned() } else { format!("s{stage}") }
}

fn position(name: &str) -> usize {
    name.strip_prefix('s').map_or(0, |number| number.parse().unwrap())
}

impl Pair {
    fn new(plan: &Plan) -> Pair {
        let wall = i64::try_from(BEGIN).unwrap();
        let (store, clock) = (Memory::new(), ManualClock::at(at(wall)));
        let document = plan.document();
        let rollout = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
        let model = Model::new(plan.clone(), ClockReading { wall, up: 0, boot: 0 });
        Pair { rollout, clock, store, model, real: (0, 0) }
    }

    fn report(&self) -> FlagReport {
        self.rollout.report("a").unwrap()
    }

    fn enabled(&self) -> BTreeSet<u32> {
        let gate = self.rollout.gate();
        (0..USERS).filter(|user| gate.is_enabled(u64::from(*user), "a")).collect()
    }

    /// Applies the event to the rollout and returns the records that it wrote.
    fn act(&mut self, event: &Event) -> Result<Vec<Record>, RolloutError> {
        let text = |is_there: &bool| if *is_there { "why".to_owned() } else { " ".to_owned() };
        let stage = |to: &usize| self.rollout.stage("a", &name(*to)).unwrap();
        let asked = match event {
            Event::By(_) => return Ok(Vec::new()),
            Event::Promote => RolloutEvent::Promote,
            Event::Force(to, reason) => {
                RolloutEvent::Force { to: to.as_ref().map(stage), reason: text(reason) }
            }
            Event::Hold(why) => RolloutEvent::Hold { why: text(why) },
            Event::Resume => RolloutEvent::Resume { why: None },
            Event::RollBack(to) => {
                RolloutEvent::RollBack { to: to.as_ref().map(stage), reason: String::new() }
            }
            Event::RollBackAll => {
                let report = self.rollout.by("ana").roll_back_all("");
                return report.unrecorded.map_or(Ok(report.records), Err);
            }
            Event::HoldAll(why, end) => {
                let end = end.map(|end| at(self.model.clock.wall + end));
                let held = self.rollout.by("ana").hold_all(&text(why), end);
                return held.map(|record| vec![record]);
            }
            Event::ResumeAll => {
                return self.rollout.by("ana").resume_all(None).map(|record| vec![record]);
            }
            Event::Sign(item) => RolloutEvent::Sign { item: (*item).to_owned(), evidence: None },
            Event::Unsign(item) => RolloutEvent::Unsign { item: (*item).to_owned(), why: None },
            Event::Report(kind) => RolloutEvent::Report { kind: (*kind).to_owned(), note: None },
            Event::Step(overriding) => RolloutEvent::Step {
                note: None,
                overriding: overriding.then(|| "because".to_owned()),
            },
            Event::Close(note) => RolloutEvent::Close { note: text(note) },
            Event::Measure(value, samples) => {
                let by = self.rollout.by("ana");
                let value = value.map(percent);
                return by.measure("a", "error_rate", value, *samples).map(|it| it.records);
            }
            Event::Judged(value) => {
                let (metric, value) = ("error_rate".to_owned(), percent(*value));
                let stage = self.report().state.stage;
                RolloutEvent::Judged { stage, metric, value, control: None, samples: 100 }
            }
            Event::Call => {
                self.rollout.gate().roll_back("a").unwrap();
                return Ok(self.rollout.tick().records);
            }
            Event::Tick => {
                let report = self.rollout.tick();
                return report.error.map_or(Ok(report.records), Err);
            }
            Event::Update(plan) => {
                let head = self.rollout.status().head.0;
                self.rollout.by("ana").update(plan.document())?;
                return Ok(self.rollout.records(head + 1).unwrap());
            }
            Event::Advance(time) => {
                self.clock.advance(Duration::from_secs(*time));
                self.real.0 += time;
                return Ok(Vec::new());
            }
            Event::SetWall(by) => {
                self.clock.set_wall(at(self.model.clock.wall + by));
                return Ok(Vec::new());
            }
            Event::Restart(off) => {
                self.clock.restart(Duration::from_secs(*off));
                self.real.0 += off;
                return Ok(Vec::new());
            }
            Event::Reopen => {
                let before = self.rollout.status();
                self.rollout = Rollout::open(self.store.clone(), self.clock.clone()).unwrap();
                let after = self.rollout.status();
                assert_eq!((before.head, before.document), (after.head, after.document));
                assert_eq!(before.flags[0].state, after.flags[0].state);
                assert_eq!(before.freeze, after.freeze);
                // A new process may know of less time than the one before, but never of more.
                assert!(after.flags[0].time_in_stage <= before.flags[0].time_in_stage);
                return Ok(Vec::new());
            }
        };
        self.rollout.by(self.model.by).act("a", &asked).map(|outcome| outcome.records)
    }

    /// Applies the event to the rollout and the model, and compares them.
    fn apply(&mut self, event: &Event) {
        // The rollout refuses an unknown stage before the state machine sees the event.
        if let Event::Force(Some(to), _) | Event::RollBack(Some(to)) = event
            && *to > self.model.plan.stages.len()
        {
            return;
        }
        let (before, enabled) = (self.report(), self.enabled());
        let done = self.act(event);
        let expected = self.model.apply(event);
        let after = self.report();
        let records = match (done, expected) {
            (Ok(records), Ok(())) => records,
            (Err(error), Err(kinds)) => {
                let unmet =
                    error.refusals().iter().flat_map(|it| it.unmet.iter().map(|it| it.kind));
                assert_eq!(unmet.collect::<BTreeSet<_>>(), kinds, "{event:?}: {error}");
                assert_eq!(before.state, after.state, "a refusal changes nothing");
                let is_back = matches!(event, Event::RollBack(None) | Event::RollBackAll);
                assert!(!is_back, "the way back is always open");
                Vec::new()
            }
            (done, expected) => {
                panic!("{event:?}: the rollout returned {done:?}, the model {expected:?}")
            }
        };
        self.compare(event, &after);
        self.check_promises(event, &before, &after, &records, &enabled);
    }

    fn compare(&self, event: &Event, after: &FlagReport) {
        let (model, state) = (&self.model, &after.state);
        assert_eq!(*state.stage, *name(model.stage), "{event:?}");
        assert_eq!(after.serving, state.stage);
        assert_eq!(
            (state.complete, state.hold.is_some()),
            (model.complete, model.held),
            "{event:?}"
        );
        assert_eq!(self.rollout.status().freeze.is_some(), model.is_frozen(), "{event:?}");
        let phases = ["decide", "execute", "verify", "communicate", "investigate"];
        let ours = state.incident.as_ref();
        let ours =
            ours.map(|it| (it.phase.to_string(), it.cause.is_some(), it.escalations as usize));
        let theirs = model.incident.as_ref();
        let theirs = theirs.map(|it| (phases[it.phase].to_owned(), it.rolled_back, it.asked));
        assert_eq!(ours, theirs, "{event:?}");
        let signed: Vec<&str> = state.signatures.keys().map(|item| &**item).collect();
        assert_eq!(signed, model.signed(), "{event:?}");
        let value = state.evidence.get("error_rate").map(|it| it.value);
        assert_eq!(value, model.value().map(|it| it.map(percent)), "{event:?}");
        assert_eq!(after.time_in_stage, Duration::from_secs(model.time_in_stage()), "{event:?}");
        let unmet: BTreeSet<_> = after.unmet.iter().map(|unmet| unmet.kind).collect();
        assert_eq!(unmet, model.unmet(None).into_iter().collect(), "{event:?}");
        let standing = match model {
            _ if model.is_rolled_back() => Progress::RolledBack,
            _ if model.held => Progress::Held,
            _ if model.complete => Progress::Complete,
            _ if model.stage == 0 => Progress::Off,
            _ => Progress::Running,
        };
        assert_eq!(after.progress, standing, "{event:?}");
    }

    fn check_promises(
        &mut self,
        event: &Event,
        before: &FlagReport,
        after: &FlagReport,
        records: &[Record],
        enabled: &BTreeSet<u32>,
    ) {
        let place = |report: &FlagReport| position(&report.state.stage);
        let ups: Vec<&Record> =
            records.iter().filter(|it| matches!(it.fact, Fact::Promoted { .. })).collect();
        // Promise 7, never 0 to 100: one stage at a time, even after downtime. Skipping a stage needs a reason.
        assert!(ups.len() <= 1, "{event:?}: {records:?}");
        assert!(
            place(after) <= place(before) || ups.len() == 1,
            "only a promotion moves a flag up"
        );
        for up in &ups {
            let Fact::Promoted { forced, .. } = &up.fact else { unreachable!() };
            let stages = position(&up.to.unwrap()) - position(&up.from.unwrap());
            match forced {
                None => assert_eq!(stages, 1),
                Some(reason) => assert!(stages >= 1 && !reason.trim().is_empty()),
            }
            // Promise 2: growing only adds.
            assert!(enabled.is_subset(&self.enabled()), "{event:?} took users away");
            // Promise 10: no data is not health.
            let left = place(before).checked_sub(1);
            let left = left.and_then(|index| self.model.plan.stages.get(index));
            let watched = self.model.plan.trigger.is_some();
            if forced.is_none() && left.is_some_and(|stage| stage.below.is_some() || watched) {
                let evidence = &before.state.evidence["error_rate"];
                let seen = up.time.saturating_sub(evidence.read_at.time);
                let age = up.at.duration_since(evidence.read_at.at).unwrap_or(seen);
                let is_fresh = age <= Duration::from_secs(600);
                assert!(evidence.value.is_some() && is_fresh, "{evidence:?}");
            }
        }
        // Promise 8: a rollback takes effect at once and blocks promotions.
        let is_back = matches!(event, Event::RollBack(None) | Event::RollBackAll | Event::Call);
        if is_back && place(before) > 0 {
            assert!(place(after) < place(before));
            assert_eq!(after.progress, Progress::RolledBack);
            assert!(self.rollout.by("ben").force("a", "hurry").is_err());
        }
        // Promise 11: the time in a stage is never over-counted.
        let may_move = |record: &Record| {
            let is_of_all =
                matches!(&record.fact, Fact::Updated { .. } | Fact::RolledBackAll { .. });
            record.from != record.to || is_of_all
        };
        if records.iter().any(may_move) && after.state.since != before.state.since {
            self.real.1 = self.real.0;
        }
        assert!(after.time_in_stage <= Duration::from_secs(self.real.0 - self.real.1), "{event:?}");
    }
}

/// Returns the events that meet the conditions of a stage and then promote the flag.
fn promotion_events(plan: &Plan, stage: usize) -> Vec<Event> {
    let roles = plan.stages.get(stage).map_or(0, |next| next.roles);
    let mut events = Vec::new();
    if roles > 0 || plan.four_eyes {
        events.extend([Event::By("ben"), Event::Sign("four eyes"), Event::Sign(APPROVALS[0][0])]);
        events.extend([Event::By("ana"), Event::Sign(APPROVALS[0][1])]);
    }
    let stage = stage.checked_sub(1).and_then(|index| plan.stages.get(index));
    let Some(stage) = stage else {
        events.push(Event::Promote);
        return events;
    };
    events.push(Event::Advance(stage.min));
    events.extend(stage.check.map(|_| Event::Sign("check")));
    events.extend(stage.seen.then_some(Event::Sign("seen")));
    if let Some((_, lasts)) = stage.below {
        let rest = (0..=lasts / 300)
            .flat_map(|_| [Event::Measure(Some(0), Some(900)), Event::Advance(301)]);
        events.extend(rest);
    }
    if stage.below.is_some() || plan.trigger.is_some() {
        events.push(Event::Measure(Some(0), Some(900)));
    }
    events.push(if stage.auto { Event::Tick } else { Event::Promote });
    events
}

/// The events that resolve and close an incident.
const INCIDENT_CLOSING: [Event; 6] = [
    Event::Measure(Some(0), None),
    Event::Step(true),
    Event::Step(true),
    Event::Step(true),
    Event::Step(true),
    Event::Close(true),
];

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    let stage = (
        1u32..=25,
        prop_oneof![Just(0u64), 1u64..400, Just(86_400)],
        proptest::option::weighted(0.4, proptest::option::of(prop_oneof![Just(60u64), Just(3600)])),
        proptest::bool::weighted(0.3),
        proptest::option::weighted(0.5, (1u32..=4, prop_oneof![Just(0u64), Just(120), Just(900)])),
        proptest::bool::weighted(0.3),
        prop_oneof![4 => Just(0usize), 1 => 1usize..=2],
    );
    proptest::collection::vec(stage, 1..=4).prop_map(|stages| {
        let mut percent = 0;
        let stages = stages.into_iter().map(|(more, min, check, seen, below, auto, roles)| {
            percent += more;
            Stage { percent, min, check, seen, below, auto, roles }
        });
        stages.collect()
    })
}

fn plans() -> impl Strategy<Value = Plan> {
    let trigger = (
        5u32..=8,
        prop_oneof![3 => Just(0u64), 1 => Just(300)],
        proptest::option::weighted(0.3, Just(100u64)),
        proptest::bool::weighted(0.8),
        proptest::bool::weighted(0.2),
    );
    let trigger = trigger.prop_map(|(above, lasts, samples, rolls_back, no_data_rolls_back)| {
        Trigger { above, lasts, samples, rolls_back, no_data_rolls_back }
    });
    let permissions =
        (prop_oneof![3 => Just(0usize), 1 => 1usize..=2], proptest::bool::weighted(0.2));
    let trigger = proptest::option::weighted(0.6, trigger);
    let rest = (any::<bool>(), any::<bool>(), 0usize..3);
    (stages(), trigger, rest, permissions).prop_map(
        |(stages, trigger, (security, previous, escalations), (force, four_eyes))| Plan {
            stages,
            trigger,
            security,
            previous,
            escalations,
            force,
            four_eyes,
        },
    )
}

/// Returns the plan with one kind of edit. The new values come from another plan.
fn edit(plan: &Plan, other: &Plan, choice: u8) -> Plan {
    let mut plan = plan.clone();
    match choice % 7 {
        0 => plan.trigger.clone_from(&other.trigger),
        1 => plan
            .stages
            .iter_mut()
            .zip(&other.stages)
            .for_each(|(stage, other)| stage.below = other.below),
        2 => plan.stages.iter_mut().zip(&other.stages).for_each(|(stage, other)| {
            (stage.check, stage.seen, stage.min) = (other.check, other.seen, other.min);
        }),
        3 => plan.stages.iter_mut().for_each(|stage| stage.percent = stage.percent.div_ceil(2)),
        4 => plan.stages.truncate(plan.stages.len().max(2) - 1),
        5 => {
            (plan.force, plan.four_eyes) = (other.force, other.four_eyes);
            let stages = plan.stages.iter_mut().zip(&other.stages);
            stages.for_each(|(stage, other)| stage.roles = other.roles);
        }
        _ if plan.stages.iter().any(|stage| stage.percent == 100) => {}
        _ => plan.stages.push(Stage { percent: 100, ..other.stages[0].clone() }),
    }
    // Two halved percentages may be equal, but each stage must have more than the one before.
    let mut least = 0;
    for stage in &mut plan.stages {
        stage.percent = stage.percent.max(least + 1);
        least = stage.percent;
    }
    plan
}

/// A random input: one event, or a sequence of events that depends on the current stage.
#[derive(Clone, Debug)]
enum Input {
    One(Event),
    Promotion,
    IncidentClosing,
    Edit(Plan, u8),
}

fn events() -> impl Strategy<Value = Input> {
    let time =
        prop_oneof![0u64..120, Just(301), Just(700), Just(920), Just(86_400), 0u64..1_000_000];
    let end = proptest::option::weighted(0.7, prop_oneof![Just(0i64), 1i64..1_000, Just(86_400)]);
    let approvals = proptest::sample::select(APPROVALS.concat());
    let item = || prop_oneof![2 => Just("check"), 2 => Just("seen"), 1 => Just("four eyes"), 3 => approvals.clone()];
    let value = proptest::option::weighted(0.8, prop_oneof![0u32..10]);
    let one = prop_oneof![
        4 => Just(Event::Promote),
        1 => (proptest::option::of(1usize..=5), proptest::bool::weighted(0.8)).prop_map(|(to, why)| Event::Force(to, why)),
        1 => proptest::bool::weighted(0.8).prop_map(Event::Hold),
        1 => Just(Event::Resume),
        1 => proptest::option::of(0usize..=5).prop_map(Event::RollBack),
        1 => Just(Event::Call),
        1 => Just(Event::RollBackAll),
        1 => (proptest::bool::weighted(0.8), end).prop_map(|(why, end)| Event::HoldAll(why, end)),
        1 => Just(Event::ResumeAll),
        1 => prop_oneof![Just("ana"), Just("ben")].prop_map(Event::By),
        3 => item().prop_map(Event::Sign),
        1 => item().prop_map(Event::Unsign),
        1 => prop_oneof![Just("security"), Just("critical_bug")].prop_map(Event::Report),
        2 => any::<bool>().prop_map(Event::Step),
        1 => proptest::bool::weighted(0.8).prop_map(Event::Close),
        4 => (value, proptest::option::of(0u64..200)).prop_map(|(value, samples)| Event::Measure(value, samples)),
        2 => (0u32..10).prop_map(Event::Judged),
        4 => Just(Event::Tick),
        4 => time.clone().prop_map(Event::Advance),
        1 => (-100_000_000i64..100_000_000).prop_map(Event::SetWall),
        1 => time.prop_map(Event::Restart),
        1 => Just(Event::Reopen),
    ];
    prop_oneof![
        12 => one.prop_map(Input::One),
        4 => Just(Input::Promotion),
        2 => Just(Input::IncidentClosing),
        1 => (plans(), any::<u8>()).prop_map(|(plan, choice)| Input::Edit(plan, choice)),
    ]
}

fn runs(plan: &Plan, inputs: &[Input]) {
    let mut pair = Pair::new(plan);
    for input in inputs {
        let events = match input {
            Input::One(event) => vec![event.clone()],
            Input::Promotion => {
                let model = &pair.model;
                promotion_events(&model.plan, model.stage)
            }
            Input::IncidentClosing => INCIDENT_CLOSING.to_vec(),
            Input::Edit(other, choice) => {
                vec![Event::Update(edit(&pair.model.plan, other, *choice))]
            }
        };
        for event in events {
            // The tests do not cover times before 1970.
            if matches!(event, Event::SetWall(by) if pair.model.clock.wall + by < 0) {
                continue;
            }
            pair.apply(&event);
        }
    }
    // Promise 9: the journal has every acknowledged record, so a reopened rollout has the same state.
    pair.apply(&Event::Reopen);
    // Each record of a flag starts at the stage where the one before ended.
    let mut stage = None;
    for record in pair.rollout.records(1).unwrap() {
        let (from, to) = match &record.fact {
            Fact::RolledBackAll { flags, .. } => (Some(flags[0].from), Some(flags[0].to)),
            _ => (record.from, record.to),
        };
        assert!(stage.is_none() || from.is_none() || stage == from, "{record}");
        stage = to.or(stage);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn a_rollout_follows_the_reference_model(
        plan in plans(),
        inputs in proptest::collection::vec(events(), 1..24),
    ) {
        runs(&plan, &inputs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100_000) })]

    /// `cargo test --features rollout --test model -- --ignored`.
    #[test]
    #[ignore = "takes minutes"]
    fn a_rollout_follows_the_reference_model_in_100_000_runs(
        plan in plans(),
        inputs in proptest::collection::vec(events(), 1..40),
    ) {
        runs(&plan, &inputs);
    }
}
