//! Two to four processes on two or three machines, and random events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stagegate::Pinned;
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{Event, Fact, Outcome, Record, Rollout, RolloutError};
use stagegate::store::Memory;

use super::document::{Doc, FLAGS, USERS};
use super::machine::{Clocks, Fault, Faulty, Machine, SKEWS};
use super::promises::{self, BACK_AT_ONCE, BACK_EVERYWHERE};
use super::random::Random;
use super::truth::Truth;

const MINUTE: u64 = 60_000;

/// A process. `rollout` is `None` if it was killed.
struct Process {
    machine: usize,
    rollout: Option<Rollout>,
    fault: Arc<Mutex<Option<Fault>>>,
    /// Flags that this process rolled back, perhaps without a record yet.
    back: Vec<&'static str>,
    /// The number of records that the process knew, with its machine's uptime, since its start.
    known: Vec<(usize, u64)>,
    /// A pinned version, and its answers when it was pinned.
    pinned: Option<(Pinned, Vec<bool>)>,
}

pub(crate) struct World {
    random: Random,
    store: Memory,
    machines: Vec<Machine>,
    processes: Vec<Process>,
    truth: Truth,
    boots: u32,
    doc: Doc,
    /// The events so far, which a failure prints.
    pub(crate) story: Vec<String>,
}

fn answers(pinned: &Pinned) -> Vec<bool> {
    let of = |flag| (0..USERS / 8).map(move |user| pinned.is_enabled(&*format!("u{user}"), flag));
    FLAGS.into_iter().flat_map(of).collect()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let skews: Vec<i64> = (0..2 + random.below(2)).map(|_| random.pick(&SKEWS)).collect();
        let machines: Vec<Machine> = skews
            .into_iter()
            .enumerate()
            .map(|(place, skew)| {
                let up = random.pick(&[0, 5, 60, 100_000]) * MINUTE;
                Machine::new(format!("boot-{place}"), up, skew)
            })
            .collect();
        let processes = (0..2 + random.below(3))
            .map(|place| Process {
                machine: place % machines.len(),
                rollout: None,
                fault: Arc::default(),
                back: Vec::new(),
                known: Vec::new(),
                pinned: None,
            })
            .collect();
        let store = Memory::new();
        let (doc, rollout) = loop {
            let doc = Doc::random(&mut random);
            let started = Rollout::start(store.clone(), machines[0].clone(), doc.text(), "ana");
            match started {
                Ok(rollout) => break (doc, rollout),
                Err(error) => assert!(error.is_invalid_document(), "{error}"),
            }
        };
        drop(rollout);
        let boots = u32::try_from(machines.len()).unwrap();
        let (truth, story) = (Truth::default(), Vec::new());
        let mut world =
            World { random, store, machines, processes, truth, boots, doc: doc.clone(), story };
        world.truth.offer(&doc);
        world.read_new_records();
        (0..world.processes.len()).for_each(|process| world.open(process));
        world
    }

    fn clocks(&self) -> Vec<Clocks> {
        self.machines.iter().map(Machine::clocks).collect()
    }

    fn read_new_records(&mut self) {
        let clocks = self.clocks();
        self.truth.read_new_records(&mut self.store, &clocks);
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.story.push(what.into());
    }

    /// 9: the journal opens after every crash.
    fn open(&mut self, process: usize) {
        let Process { machine, fault, .. } = &self.processes[process];
        let store = Faulty { store: self.store.clone(), fault: Arc::clone(fault) };
        let opened = Rollout::open(store, self.machines[*machine].clone());
        if let Err(error) = &opened {
            assert!(
                error.store_error().is_some_and(|it| it.to_string() == "the disk is gone"),
                "{error}"
            );
        }
        self.processes[process].rollout = opened.ok();
    }

    fn advance(&mut self, time: u64, still: Option<usize>) {
        for (place, machine) in self.machines.iter().enumerate() {
            let up = if still == Some(place) { 0 } else { time };
            machine.set(|clocks| (clocks.now, clocks.up) = (clocks.now + time, clocks.up + up));
        }
    }

    fn kill(&mut self, process: usize) {
        // 8: this process has no intents file, so an unrecorded rollback ends with the process.
        let process = &mut self.processes[process];
        (process.rollout, process.pinned) = (None, None);
        process.back.clear();
        process.known.clear();
    }

    pub(crate) fn step(&mut self) {
        let process = self.random.below(self.processes.len());
        match self.random.below(20) {
            0..=2 => {
                let time =
                    self.random.pick(&[1, 20, 1000, MINUTE, 5 * MINUTE, 31 * MINUTE, 700 * MINUTE]);
                self.tell(format!("{time} ms pass"));
                self.advance(time, None);
            }
            3 => self.disturb(),
            4 => {
                self.tell(format!("process {process} is killed"));
                self.kill(process);
            }
            5 => {
                let fault = self.random.pick(&[
                    None,
                    None,
                    Some(Fault::Append),
                    Some(Fault::Answer),
                    Some(Fault::Keep),
                    Some(Fault::Read),
                    Some(Fault::Dead),
                ]);
                self.tell(format!("process {process} has fault {fault:?}"));
                *self.processes[process].fault.lock().unwrap() = fault;
            }
            _ => self.run(process),
        }
        self.read_new_records();
        self.check();
    }

    /// Changes the clock of a machine or restarts it.
    fn disturb(&mut self) {
        let place = self.random.below(self.machines.len());
        match self.random.below(4) {
            0 => {
                let skew = self.random.pick(&SKEWS);
                self.tell(format!("machine {place} is wrong by {skew} ms"));
                self.machines[place]
                    .set(|clocks| (clocks.skew, clocks.skewed_at) = (skew, clocks.now));
            }
            1 => {
                self.tell(format!("machine {place} stands still for an hour"));
                self.advance(60 * MINUTE, Some(place));
            }
            2 => {
                self.tell(format!("machine {place} restarts"));
                self.boots += 1;
                let boot = format!("boot-{}", self.boots);
                self.machines[place]
                    .set(|clocks| (clocks.boot, clocks.up, clocks.went_back) = (boot, 0, false));
                self.kill_on(place);
            }
            _ => {
                self.tell(format!("the uptime of machine {place} goes back"));
                self.machines[place]
                    .set(|clocks| (clocks.up, clocks.went_back) = (clocks.up / 3, true));
                let on_it = self.processes.iter_mut().filter(|process| process.machine == place);
                on_it.for_each(|process| process.known.clear());
                if self.random.percent(50) {
                    self.kill_on(place);
                }
            }
        }
    }

    fn kill_on(&mut self, machine: usize) {
        for process in 0..self.processes.len() {
            if self.processes[process].machine == machine {
                self.kill(process);
            }
        }
    }

    /// Lets a process act, or starts it.
    fn run(&mut self, process: usize) {
        let Some(rollout) = self.processes[process].rollout.clone() else {
            self.tell(format!("process {process} starts"));
            return self.open(process);
        };
        let flag = self.random.pick(&FLAGS);
        let by = rollout.by("ana");
        match self.random.below(28) {
            0..=2 => {
                self.tell(format!("process {process} refreshes"));
                let _ = rollout.refresh();
            }
            3..=8 => {
                self.tell(format!("process {process} ticks"));
                // A tick is only correct after reading the records of others.
                if rollout.refresh().is_ok() {
                    rollout.tick();
                }
            }
            9 => {
                self.tell(format!("process {process} measures and promotes {flag}"));
                let value = Quantity::parse("0%", Unit::Percent).unwrap();
                let measured = by.measure(flag, "error_rate", Some(value), None);
                self.acknowledged(measured);
                self.disturb();
                if self.processes[process].rollout.is_none() {
                    self.open(process);
                }
                if let Some(rollout) = self.processes[process].rollout.clone() {
                    self.acknowledged(rollout.by("ana").promote(flag));
                }
            }
            10..=13 => {
                let event = self.event(&rollout, flag);
                self.tell(format!("process {process}: {flag}: {event:?}"));
                let outcome = by.act(flag, &event);
                self.acknowledged(outcome);
            }
            14..=16 => {
                let value = self.random.pick(&["0%", "1%", "9%"]);
                let value = Quantity::parse(value, Unit::Percent).unwrap();
                let value = self.random.percent(85).then_some(value);
                self.tell(format!("process {process} measures {flag}: {value:?}"));
                let outcome = by.measure(flag, "error_rate", value, None);
                self.acknowledged(outcome);
            }
            17 | 18 => self.roll_back(process, &rollout, flag),
            19 => {
                self.tell(format!("process {process} calls roll_back of {flag}"));
                let threads = threads();
                let is_taken = rollout.gate().roll_back(flag).is_ok();
                // Another thread records the rollback. Wait for it, so that a seed always gives the same run.
                while self::threads() > threads {
                    std::thread::yield_now();
                }
                if is_taken {
                    self.check_rolled_back(process, &rollout, flag);
                }
            }
            20..=22 => self.update(process, &rollout),
            23 => {
                self.tell(format!("process {process} settles {flag}"));
                for _ in 0..5 {
                    let step = Event::Step { note: None, overriding: Some("seen".to_owned()) };
                    let _ = by.act(flag, &step);
                }
                let _ = by.close(flag, "over");
            }
            24 => self.act_on_all(process, &rollout),
            25 => {
                self.tell(format!("process {process} rolls all flags back"));
                self.roll_back_all(process, &rollout);
            }
            26 => {
                let pinned = rollout.gate().pin();
                let answers = answers(&pinned);
                self.processes[process].pinned = Some((pinned, answers));
            }
            _ => {
                self.tell(format!("process {process} is given a bad document"));
                let before = (rollout.gate().version(), rollout.status().document);
                let bad = self.random.pick(&[
                    "",
                    "schema = 1\n[flags.a",
                    "schema = 1\n[flags.a]\nstage = \"x\"",
                    "{}",
                ]);
                let error = by.update(bad).unwrap_err();
                if promises::LAST_KNOWN_GOOD {
                    assert!(error.is_invalid_document(), "6: {error}");
                    assert_eq!(before, (rollout.gate().version(), rollout.status().document), "6");
                }
            }
        }
    }

    fn event(&mut self, rollout: &Rollout, flag: &str) -> Event {
        let why = || "why".to_owned();
        let stages: Vec<_> = self.doc.flag(flag).map_or(Vec::new(), |it| it.stages.clone());
        let to = stages.get(self.random.below(5)).map(|stage| stage.name);
        let to = to.and_then(|name| rollout.stage(flag, name).ok());
        match self.random.below(12) {
            0..=5 => Event::Promote,
            6 => Event::Force { to: None, reason: why() },
            7 => Event::Force { to, reason: why() },
            8 => Event::Hold { why: why() },
            9 | 10 => Event::Resume { why: None },
            _ => Event::Report { kind: "security".to_owned(), note: None },
        }
    }

    /// 9: acknowledged records are in the journal.
    fn acknowledged(&mut self, outcome: Result<Outcome, RolloutError>) {
        self.are_written(outcome.map(|outcome| outcome.records).unwrap_or_default());
    }

    fn are_written(&mut self, records: Vec<Record>) {
        self.read_new_records();
        if promises::DURABLE {
            for record in records {
                let place = usize::try_from(record.seq).unwrap() - 1;
                assert_eq!(
                    self.truth.written[place].record.hash, record.hash,
                    "9: {record} is lost"
                );
            }
        }
    }

    /// 8: a rollback works, whatever the store does.
    fn roll_back(&mut self, process: usize, rollout: &Rollout, flag: &'static str) {
        self.tell(format!("process {process} rolls {flag} back"));
        let was_there = rollout.report(flag).is_ok();
        let has_read_on = rollout.status().head.0 == self.truth.head() as u64;
        let outcome = rollout.by("ben").roll_back(flag, "stop");
        // A rollback reads new records, so an update of another process may have added or removed the flag by now.
        let is_there = rollout.report(flag).is_ok();
        match was_there == is_there {
            true => assert_eq!(outcome.is_ok(), is_there, "8: {outcome:?}"),
            false => assert!(outcome.is_ok() || !is_there, "8: {outcome:?}"),
        }
        let Ok(outcome) = outcome else { return };
        if has_read_on || BACK_EVERYWHERE {
            self.check_rolled_back(process, rollout, flag);
        }
        let is_recorded = outcome.unrecorded.is_none();
        self.acknowledged(Ok(outcome));
        let is_well = self.processes[process].fault.lock().unwrap().is_none();
        if BACK_EVERYWHERE && is_recorded && is_well {
            let head = self.truth.head();
            assert_eq!(self.truth.stage(head, flag), "off", "8: `{flag}` is on elsewhere");
        }
    }

    /// 8: a rollback of all flags works as one of a single flag, and is one record.
    fn roll_back_all(&mut self, process: usize, rollout: &Rollout) {
        let report = rollout.by("ben").roll_back_all("stop");
        let is_new = |it: &&Record| matches!(it.fact, Fact::RolledBackAll { .. });
        let of_all = report.records.iter().filter(is_new).count();
        assert!(of_all == report.records.len() && of_all <= 1, "8: {:?}", report.records);
        for flag in FLAGS {
            if rollout.report(flag).is_ok() {
                self.check_rolled_back(process, rollout, flag);
            }
        }
        let is_recorded = report.unrecorded.is_none();
        self.are_written(report.records);
        let is_well = self.processes[process].fault.lock().unwrap().is_none();
        if BACK_EVERYWHERE && is_recorded && is_well {
            let head = self.truth.head();
            for flag in FLAGS {
                assert_eq!(self.truth.stage(head, flag), "off", "8: `{flag}` is on elsewhere");
            }
        }
    }

    /// Holds all flags, for a while or until they are resumed, or resumes them.
    fn act_on_all(&mut self, process: usize, rollout: &Rollout) {
        let by = rollout.by("ana");
        let end = self.random.pick(&[None, Some(20 * MINUTE), Some(700 * MINUTE)]);
        let done = match self.random.percent(50) {
            true => {
                self.tell(format!("process {process} holds all flags for {end:?}"));
                let wall = rollout.status().now.at;
                by.hold_all("why", end.map(|end| wall + Duration::from_millis(end)))
            }
            false => {
                self.tell(format!("process {process} resumes all flags"));
                by.resume_all(None)
            }
        };
        self.are_written(done.ok().into_iter().collect());
    }

    fn check_rolled_back(&mut self, process: usize, rollout: &Rollout, flag: &'static str) {
        if BACK_AT_ONCE {
            let gate = rollout.gate();
            assert!((0..USERS).all(|user| !gate.is_enabled(&*format!("u{user}"), flag)), "8");
        }
        if !self.processes[process].back.contains(&flag) {
            self.processes[process].back.push(flag);
        }
    }

    fn update(&mut self, process: usize, rollout: &Rollout) {
        let doc = self.doc.edited(&mut self.random);
        self.truth.offer(&doc);
        self.tell(format!("process {process} updates to\n{}", doc.text()));
        let updated = rollout.by("ana").update(doc.text());
        self.tell(format!("  {:?}", updated.as_ref().map(Vec::len).map_err(ToString::to_string)));
        self.read_new_records();
        // The update is in force even if its answer was lost.
        self.doc = self.truth.doc(self.truth.head()).clone();
    }

    fn check(&mut self) {
        for process in &mut self.processes {
            if let Some(rollout) = &process.rollout {
                let clocks = self.machines[process.machine].clocks();
                let head = usize::try_from(rollout.status().head.0).unwrap();
                if process.known.last().is_none_or(|(known, _)| *known < head) {
                    process.known.push((head, clocks.up));
                }
                let is_back = |flag: &str| process.back.contains(&flag);
                let known = (&clocks, &*process.known);
                promises::check_process(&mut self.truth, rollout, known, is_back);
            }
            if let Some((pinned, answered)) = &process.pinned
                && promises::ALL_OR_NOTHING
            {
                assert_eq!(answers(pinned), *answered, "5: a pinned version has changed");
            }
        }
    }

    /// Ends all faults. Then all processes reach the same state, and a new process that reads the whole journal reaches
    /// it, too.
    pub(crate) fn end_faults_and_compare(&mut self) {
        self.tell("all faults end");
        for process in 0..self.processes.len() {
            *self.processes[process].fault.lock().unwrap() = None;
            if self.processes[process].rollout.is_none() {
                self.open(process);
            }
        }
        // Records rollbacks that have no record yet, and the actions that follow from them.
        for _ in 0..4 {
            for process in 0..self.processes.len() {
                let rollout = self.processes[process].rollout.clone().unwrap();
                rollout.refresh().unwrap();
                let ticked = rollout.tick();
                assert!(ticked.error.is_none(), "{:?}", ticked.error);
                self.read_new_records();
            }
        }
        for process in &mut self.processes {
            let rollout = process.rollout.as_ref().unwrap();
            rollout.refresh().unwrap();
            assert!(rollout.status().unrecorded.is_empty(), "8: a rollback is not recorded");
            process.back.clear();
        }
        self.check();
        let fresh = Rollout::open(self.store.clone(), self.machines[0].clone()).unwrap().status();
        for process in &self.processes {
            let status = process.rollout.as_ref().unwrap().status();
            let frozen = self.truth.frozen(status.now.at);
            assert_eq!((status.head, status.document), (fresh.head, fresh.document), "9");
            assert_eq!(status.freeze.map(|it| it.until), frozen, "9: another freeze");
            for (ours, theirs) in status.flags.iter().zip(&fresh.flags) {
                assert_eq!(
                    ours.state, theirs.state,
                    "9: replaying the journal gives another state"
                );
            }
        }
    }
}
