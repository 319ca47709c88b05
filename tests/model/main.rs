//! The state machine beside a plain, slow rewrite of its rules, under random events, clocks that are
//! set and machines that are restarted; with the promises as invariants.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod naive;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use stagegate::clock::ManualClock;
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{
    Event as Asked, Fact, FlagReport, Record, Rollout, RolloutError, Standing,
};
use stagegate::store::Memory;

use naive::{Event, Hands, Naive, Plan, Stage, Trigger};

const USERS: u32 = 64;

/// 2026-01-05, in seconds.
const BEGIN: u64 = 1_767_603_600;

/// A rollout of flag `a` and its model.
struct Pair {
    rollout: Rollout,
    clock: ManualClock,
    store: Memory,
    naive: Naive,
    /// The time that has truly passed: in all, and when the flag came to its stage.
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
        // It starts off, whatever is said later.
        let document = plan.document();
        let rollout = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
        let naive = Naive::new(plan.clone(), Hands { wall, up: 0, boot: 0 });
        Pair { rollout, clock, store, naive, real: (0, 0) }
    }

    fn report(&self) -> FlagReport {
        self.rollout.report("a").unwrap()
    }

    fn enabled(&self) -> BTreeSet<u32> {
        let gate = self.rollout.gate();
        (0..USERS).filter(|user| gate.is_enabled(u64::from(*user), "a")).collect()
    }

    /// Has the same happen to the rollout, and returns what it wrote.
    fn act(&mut self, event: &Event) -> Result<Vec<Record>, RolloutError> {
        let text = |is_there: &bool| if *is_there { "why".to_owned() } else { " ".to_owned() };
        let stage = |to: &usize| self.rollout.stage("a", &name(*to)).unwrap();
        let asked = match event {
            Event::Promote => Asked::Promote,
            Event::Force(to, reason) => {
                Asked::Force { to: to.as_ref().map(stage), reason: text(reason) }
            }
            Event::Hold(why) => Asked::Hold { why: text(why) },
            Event::Resume => Asked::Resume { why: None },
            Event::RollBack(to) => {
                Asked::RollBack { to: to.as_ref().map(stage), reason: String::new() }
            }
            Event::Sign(item) => Asked::Sign { item: (*item).to_owned(), evidence: None },
            Event::Unsign(item) => Asked::Unsign { item: (*item).to_owned(), why: None },
            Event::Report(kind) => Asked::Report { kind: (*kind).to_owned(), note: None },
            Event::Step(overriding) => {
                Asked::Step { note: None, overriding: overriding.then(|| "because".to_owned()) }
            }
            Event::Close(note) => Asked::Close { note: text(note) },
            Event::Measure(value, samples) => {
                let by = self.rollout.by("ana");
                let value = value.map(percent);
                return by.measure("a", "error_rate", value, *samples).map(|it| it.records);
            }
            Event::Judged(value) => {
                let (metric, value) = ("error_rate".to_owned(), percent(*value));
                let stage = self.report().state.stage;
                Asked::Judged { stage, metric, value, control: None, samples: 100 }
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
                self.clock.set_wall(at(self.naive.hands.wall + by));
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
                // A process that begins may have seen less time, and never more.
                assert!(after.flags[0].spent <= before.flags[0].spent);
                return Ok(Vec::new());
            }
        };
        self.rollout.by("ana").act("a", &asked).map(|outcome| outcome.records)
    }

    /// Has something happen to both and compares them.
    fn happen(&mut self, event: &Event) {
        // What names a stage that there is not is refused before it comes to the machine.
        if let Event::Force(Some(to), _) | Event::RollBack(Some(to)) = event
            && *to > self.naive.plan.stages.len()
        {
            return;
        }
        let (before, enabled) = (self.report(), self.enabled());
        let done = self.act(event);
        let expected = self.naive.happen(event);
        let after = self.report();
        let records = match (done, expected) {
            (Ok(records), Ok(())) => records,
            (Err(error), Err(kinds)) => {
                let unmet =
                    error.refusals().iter().flat_map(|it| it.unmet.iter().map(|it| it.kind));
                assert_eq!(unmet.collect::<BTreeSet<_>>(), kinds, "{event:?}: {error}");
                assert_eq!(before.state, after.state, "a refusal changes nothing");
                assert!(!matches!(event, Event::RollBack(None)), "the way back is always open");
                Vec::new()
            }
            (done, expected) => panic!("{event:?}: {done:?}, and the model says {expected:?}"),
        };
        self.compare(event, &after);
        self.keeps_the_promises(event, &before, &after, &records, &enabled);
    }

    fn compare(&self, event: &Event, after: &FlagReport) {
        let (naive, state) = (&self.naive, &after.state);
        assert_eq!(*state.stage, *name(naive.stage), "{event:?}");
        assert_eq!(after.serving, state.stage);
        assert_eq!(
            (state.complete, state.hold.is_some()),
            (naive.complete, naive.held),
            "{event:?}"
        );
        let phases = ["decide", "execute", "verify", "communicate", "investigate"];
        let ours = state.incident.as_ref();
        let ours =
            ours.map(|it| (it.phase.to_string(), it.cause.is_some(), it.escalations as usize));
        let theirs = naive.incident.as_ref();
        let theirs = theirs.map(|it| (phases[it.phase].to_owned(), it.rolled_back, it.asked));
        assert_eq!(ours, theirs, "{event:?}");
        let signed: Vec<&str> = state.signatures.keys().map(|item| &**item).collect();
        assert_eq!(signed, naive.signed(), "{event:?}");
        let value = state.evidence.get("error_rate").map(|it| it.value);
        assert_eq!(value, naive.value().map(|it| it.map(percent)), "{event:?}");
        assert_eq!(after.spent, Duration::from_secs(naive.spent()), "{event:?}");
        let unmet: BTreeSet<_> = after.unmet.iter().map(|unmet| unmet.kind).collect();
        assert_eq!(unmet, naive.unmet().into_iter().collect(), "{event:?}");
        let standing = match naive {
            _ if naive.is_rolled_back() => Standing::RolledBack,
            _ if naive.held => Standing::Held,
            _ if naive.complete => Standing::Complete,
            _ if naive.stage == 0 => Standing::Off,
            _ => Standing::Running,
        };
        assert_eq!(after.standing, standing, "{event:?}");
    }

    fn keeps_the_promises(
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
        // 7: never 0 to 100. One stage at a time, also after downtime; further only with a reason.
        assert!(ups.len() <= 1, "{event:?}: {records:?}");
        assert!(place(after) <= place(before) || ups.len() == 1, "only a promotion leads up");
        for up in &ups {
            let Fact::Promoted { forced, .. } = &up.fact else { unreachable!() };
            let stages = position(&up.to.unwrap()) - position(&up.from.unwrap());
            match forced {
                None => assert_eq!(stages, 1),
                Some(reason) => assert!(stages >= 1 && !reason.trim().is_empty()),
            }
            // 2: growing only adds.
            assert!(enabled.is_subset(&self.enabled()), "{event:?} took users away");
            // 10: no data is not health.
            let left = place(before).checked_sub(1);
            let left = left.and_then(|index| self.naive.plan.stages.get(index));
            let watched = self.naive.plan.trigger.is_some();
            if forced.is_none() && left.is_some_and(|stage| stage.below.is_some() || watched) {
                let evidence = &before.state.evidence["error_rate"];
                let seen = up.time.saturating_sub(evidence.read.time);
                let age = up.at.duration_since(evidence.read.at).unwrap_or(seen);
                let is_fresh = age <= Duration::from_secs(600);
                assert!(evidence.value.is_some() && is_fresh, "{evidence:?}");
            }
        }
        // 8: back at once, and it latches.
        if matches!(event, Event::RollBack(None) | Event::Call) && place(before) > 0 {
            assert!(place(after) < place(before));
            assert_eq!(after.standing, Standing::RolledBack);
            assert!(self.rollout.by("ben").force("a", "hurry").is_err());
        }
        // 11: the time in a stage is never over-counted.
        if records
            .iter()
            .any(|record| record.from != record.to || matches!(&record.fact, Fact::Updated { .. }))
            && after.state.since != before.state.since
        {
            self.real.1 = self.real.0;
        }
        assert!(after.spent <= Duration::from_secs(self.real.0 - self.real.1), "{event:?}");
    }
}

/// What has to be there to go on, and then the promotion.
fn goes_on(plan: &Plan, stage: usize) -> Vec<Event> {
    let stage = stage.checked_sub(1).and_then(|index| plan.stages.get(index));
    let Some(stage) = stage else { return vec![Event::Promote] };
    let mut events = vec![Event::Advance(stage.min)];
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

/// What ends an incident.
const SETTLES: [Event; 6] = [
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
    );
    proptest::collection::vec(stage, 1..=4).prop_map(|stages| {
        let mut percent = 0;
        let stages = stages.into_iter().map(|(more, min, check, seen, below, auto)| {
            percent += more;
            Stage { percent, min, check, seen, below, auto }
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
    (stages(), proptest::option::weighted(0.6, trigger), any::<bool>(), any::<bool>(), 0usize..3)
        .prop_map(|(stages, trigger, security, previous, line)| Plan {
            stages,
            trigger,
            security,
            previous,
            line,
        })
}

/// Another plan of the same flag, not far from it.
fn edited(plan: &Plan, other: &Plan, choice: u8) -> Plan {
    let mut plan = plan.clone();
    match choice % 6 {
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
        _ if plan.stages.iter().any(|stage| stage.percent == 100) => {}
        _ => plan.stages.push(Stage { percent: 100, ..other.stages[0].clone() }),
    }
    // Halves of neighbours may be the same, and stages have to grow.
    let mut least = 0;
    for stage in &mut plan.stages {
        stage.percent = stage.percent.max(least + 1);
        least = stage.percent;
    }
    plan
}

/// What is drawn: an event, or several that belong together and depend on where the flag is.
#[derive(Clone, Debug)]
enum Drawn {
    One(Event),
    GoesOn,
    Settles,
    Edited(Plan, u8),
}

fn events() -> impl Strategy<Value = Drawn> {
    let time =
        prop_oneof![0u64..120, Just(301), Just(700), Just(920), Just(86_400), 0u64..1_000_000];
    let item = || prop_oneof![Just("check"), Just("seen")];
    let value = proptest::option::weighted(0.8, prop_oneof![0u32..10]);
    let one = prop_oneof![
        4 => Just(Event::Promote),
        1 => (proptest::option::of(1usize..=5), proptest::bool::weighted(0.8)).prop_map(|(to, why)| Event::Force(to, why)),
        1 => proptest::bool::weighted(0.8).prop_map(Event::Hold),
        1 => Just(Event::Resume),
        1 => proptest::option::of(0usize..=5).prop_map(Event::RollBack),
        1 => Just(Event::Call),
        2 => item().prop_map(Event::Sign),
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
        12 => one.prop_map(Drawn::One),
        4 => Just(Drawn::GoesOn),
        2 => Just(Drawn::Settles),
        1 => (plans(), any::<u8>()).prop_map(|(plan, choice)| Drawn::Edited(plan, choice)),
    ]
}

fn runs(plan: &Plan, drawn: &[Drawn]) {
    let mut pair = Pair::new(plan);
    for drawn in drawn {
        let events = match drawn {
            Drawn::One(event) => vec![event.clone()],
            Drawn::GoesOn => {
                let naive = &pair.naive;
                goes_on(&naive.plan, naive.stage)
            }
            Drawn::Settles => SETTLES.to_vec(),
            Drawn::Edited(other, choice) => {
                vec![Event::Update(edited(&pair.naive.plan, other, *choice))]
            }
        };
        for event in events {
            // Nothing here is about times before 1970.
            if matches!(event, Event::SetWall(by) if pair.naive.hands.wall + by < 0) {
                continue;
            }
            pair.happen(&event);
        }
    }
    // 9: what is answered is in the journal, and the journal comes to the same state.
    pair.happen(&Event::Reopen);
    // One order: each record begins where the one before has ended.
    let mut stage = None;
    for record in pair.rollout.records(1).unwrap().iter().filter(|it| it.flag.is_some()) {
        assert!(stage.is_none() || stage == record.from, "{record}");
        stage = record.to;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn the_machine_is_what_the_model_says(
        plan in plans(),
        drawn in proptest::collection::vec(events(), 1..24),
    ) {
        runs(&plan, &drawn);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100_000) })]

    /// `cargo test --features rollout --test model -- --ignored`.
    #[test]
    #[ignore = "takes minutes"]
    fn the_machine_is_what_the_model_says_in_100_000_runs(
        plan in plans(),
        drawn in proptest::collection::vec(events(), 1..40),
    ) {
        runs(&plan, &drawn);
    }
}
