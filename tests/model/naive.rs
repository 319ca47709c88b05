//! A naive reference model of a rollout, written from `docs/rollout.md` and not from the code.
//!
//! The model keeps everything that has happened in the current stage and computes each answer from that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Seconds for which a reading counts: the default `stale_after` of metrics that no person enters.
const STALE: u64 = 600;

/// A plan of one flag. Stages are numbered from 1, and stage `n` is called `sn`. 0 is off.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    pub(crate) trigger: Option<Trigger>,
    /// Whether a reported incident of the kind `security` rolls the flag back.
    pub(crate) security: bool,
    /// Whether a rollback goes one stage down instead of to off.
    pub(crate) previous: bool,
    /// The number of people in the escalation line.
    pub(crate) escalations: usize,
    /// The number of people who must approve a forced promotion, 2 at most.
    pub(crate) force: usize,
    pub(crate) four_eyes: bool,
}

/// The approvals of the next promotion, by role, and the approvals of a forced promotion.
pub(crate) const APPROVALS: [[&str; 2]; 2] =
    [["approval: r1", "approval: r2"], ["force approval 1", "force approval 2"]];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) percent: u32,
    pub(crate) min: u64,
    /// The checklist item `check`, and the seconds after which its sign-off expires.
    pub(crate) check: Option<Option<u64>>,
    /// Whether there is a criterion `seen`, which people sign.
    pub(crate) seen: bool,
    /// The error rate in percent must be below this limit for this many seconds.
    pub(crate) below: Option<(u32, u64)>,
    pub(crate) auto: bool,
    /// The number of roles that must approve a promotion to this stage, 2 at most.
    pub(crate) roles: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) above: u32,
    pub(crate) lasts: u64,
    pub(crate) samples: Option<u64>,
    pub(crate) rolls_back: bool,
    pub(crate) no_data_rolls_back: bool,
}

impl Trigger {
    /// Returns whether a reading has a number of samples below the minimum.
    fn has_too_few(&self, samples: Option<u64>) -> bool {
        match (samples, self.samples) {
            (Some(samples), Some(least)) => samples < least,
            _ => false,
        }
    }
}

impl Plan {
    pub(crate) fn document(&self) -> String {
        let mut text = "schema = 1\n[flags.a]\n".to_owned();
        let stages = self.stages.iter().zip(1..).filter(|(stage, _)| stage.roles > 0);
        let mut approvals: Vec<String> = stages
            .map(|(stage, number)| format!("s{number} = {:?}", &["r1", "r2"][..stage.roles]))
            .collect();
        approvals.extend((self.force > 0).then(|| format!("force = {}", self.force)));
        if !approvals.is_empty() {
            writeln!(text, "approvals = {{ {} }}", approvals.join(", ")).unwrap();
        }
        if self.four_eyes {
            text.push_str("four_eyes = true\n");
        }
        for (stage, number) in self.stages.iter().zip(1..) {
            writeln!(text, "[[flags.a.stages]]\nname = \"s{number}\"\npercent = {}", stage.percent)
                .unwrap();
            if stage.min > 0 {
                writeln!(text, "min_duration = \"{}s\"", stage.min).unwrap();
            }
            if stage.auto {
                text.push_str("advance = \"auto\"\n");
            }
            if let Some(expires) = stage.check {
                let expires =
                    expires.map(|it| format!(", expires = \"{it}s\"")).unwrap_or_default();
                writeln!(text, "checklist = [{{ id = \"check\", text = \"T\"{expires} }}]")
                    .unwrap();
            }
            let mut criteria = Vec::new();
            if stage.seen {
                criteria.push("{ id = \"seen\", text = \"S\" }".to_owned());
            }
            match stage.below {
                Some((below, 0)) => {
                    writeln!(text, "metrics = {{ error_rate = {{ target = \"< {below}%\" }} }}")
                        .unwrap();
                }
                Some((below, lasts)) => criteria.push(format!(
                    "{{ metric = \"error_rate\", target = \"< {below}%\", for = \"{lasts}s\" }}"
                )),
                None => {}
            }
            if !criteria.is_empty() {
                writeln!(text, "criteria = [{}]", criteria.join(", ")).unwrap();
            }
        }
        if let Some(it) = &self.trigger {
            let action = if it.rolls_back { "rollback" } else { "decide" };
            let no_data = if it.no_data_rolls_back { "rollback" } else { "hold" };
            writeln!(
                text,
                "[[flags.a.triggers]]\nmetric = \"error_rate\"\nabove = \"{}%\"",
                it.above
            )
            .unwrap();
            writeln!(text, "action = \"{action}\"\nno_data = \"{no_data}\"").unwrap();
            if it.lasts > 0 {
                writeln!(text, "for = \"{}s\"", it.lasts).unwrap();
            }
            if let Some(samples) = it.samples {
                writeln!(text, "minimum_sample = {samples}").unwrap();
            }
        }
        if self.security {
            text.push_str("[[flags.a.triggers]]\nincident = \"security\"\naction = \"rollback\"\n");
        }
        if self.previous {
            text.push_str("[flags.a.rollback]\ntarget = \"previous\"\n");
        }
        if self.escalations > 0 {
            let names: Vec<String> =
                (0..self.escalations).map(|number| format!("\"p{number}\"")).collect();
            text.push_str("[[flags.a.responsibility]]\ncontact = \"c\"\n");
            writeln!(text, "escalation = [{}]", names.join(", ")).unwrap();
        }
        text
    }
}

/// A reading of the clock, in seconds, and the number of the current boot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClockReading {
    pub(crate) wall: i64,
    pub(crate) up: u64,
    pub(crate) boot: u32,
}

/// Seconds that a moment may be in the future and still count as now.
const AHEAD: i64 = 60;

/// Seconds that a machine must be up before it records its clock.
const YOUNG: u64 = 600;

/// A moment: the clock reading, and the number of records up to then.
#[derive(Clone, Copy, Debug, PartialEq)]
struct When {
    clock: ClockReading,
    records: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Incident {
    /// 0 decide, 1 execute, 2 verify, 3 communicate, 4 investigate.
    pub(crate) phase: usize,
    pub(crate) rolled_back: bool,
    /// The limit and the duration of the error rate trigger that fired.
    blamed: Option<(u32, u64)>,
    from: usize,
    since: When,
    pub(crate) asked: usize,
    /// The person and the kind of the last report since the incident was opened.
    reported: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
struct Reading {
    at: When,
    value: Option<u32>,
    samples: Option<u64>,
    /// Whether a guard reported the reading. Such readings fire no trigger, because the guard judges its triggers
    /// itself.
    judged: bool,
}

/// An event of a test.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Another person acts from now on.
    By(&'static str),
    Promote,
    /// A forced promotion to a stage, or one stage up, with a reason or with a blank text.
    Force(Option<usize>, bool),
    Hold(bool),
    Resume,
    RollBack(Option<usize>),
    /// A rollback of all flags.
    RollBackAll,
    /// A hold of all flags, with a reason or with a blank text, and its end in seconds from now.
    HoldAll(bool, Option<i64>),
    ResumeAll,
    /// The application calls `Gate::roll_back`. A tick follows.
    Call,
    Sign(&'static str),
    Unsign(&'static str),
    Report(&'static str),
    Step(bool),
    Close(bool),
    Measure(Option<u32>, Option<u64>),
    Judged(u32),
    Tick,
    Update(Plan),
    Advance(u64),
    SetWall(i64),
    Restart(u64),
    Reopen,
}

/// The state of a flag, with everything that has happened in its stage.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) plan: Plan,
    pub(crate) clock: ClockReading,
    /// The moment of each record.
    journal: Vec<When>,
    /// The moments at which the current process read the clock.
    looks: Vec<When>,
    pub(crate) stage: usize,
    since: When,
    pub(crate) complete: bool,
    pub(crate) held: bool,
    /// The hold of all flags, with its end by the wall clock. It may be over.
    freeze: Option<Option<i64>>,
    pub(crate) incident: Option<Incident>,
    /// The moment of each signature, and the person.
    signed: BTreeMap<&'static str, (When, &'static str)>,
    /// The person who acts.
    pub(crate) by: &'static str,
    readings: Vec<Reading>,
    /// The moment when an update last reset the readings in this stage.
    asked: Option<When>,
}

type Kinds = BTreeSet<&'static str>;

fn refuse(kinds: &[&'static str]) -> Result<(), Kinds> {
    if kinds.is_empty() { Ok(()) } else { Err(kinds.iter().copied().collect()) }
}

impl Model {
    pub(crate) fn new(plan: Plan, clock: ClockReading) -> Model {
        let since = When { clock, records: 1 };
        Model {
            plan,
            clock,
            journal: vec![since],
            looks: vec![since],
            stage: 0,
            since,
            complete: false,
            held: false,
            freeze: None,
            incident: None,
            signed: BTreeMap::new(),
            by: "ana",
            readings: Vec::new(),
            asked: None,
        }
    }

    fn now(&self) -> When {
        When { clock: self.clock, records: self.journal.len() }
    }

    fn look(&mut self) {
        self.looks.push(self.now());
    }

    /// Returns the moment of a record that is written now.
    fn next_record(&self) -> When {
        When { clock: self.clock, records: self.journal.len() + 1 }
    }

    /// Writes a record and returns its moment.
    fn record(&mut self) -> When {
        let now = self.next_record();
        self.journal.push(now);
        now
    }

    /// Returns the measured time between two moments: in each boot, from the first clock reading to the last. The time
    /// between two boots is not counted.
    fn seen(&self, from: When, to: When, looks: &[When]) -> u64 {
        let known = self.journal.iter().chain(looks).filter(|it| it.records >= from.records);
        let known: Vec<ClockReading> = known
            .filter(|it| it.records <= to.records)
            .chain([&from, &to])
            .map(|it| it.clock)
            .collect();
        let runs: BTreeSet<u32> = known.iter().map(|clock| clock.boot).collect();
        let of_run = |run: u32| {
            let ups = || known.iter().filter(|clock| clock.boot == run).map(|clock| clock.up);
            ups().max().unwrap() - ups().min().unwrap()
        };
        runs.into_iter().map(of_run).sum()
    }

    fn since(&self, from: When) -> u64 {
        self.seen(from, self.now(), &self.looks)
    }

    pub(crate) fn time_in_stage(&self) -> u64 {
        self.since(self.since)
    }

    /// Returns whether a moment may be older than a limit, by the wall clock or by the measured time.
    fn may_be_older(now: When, of: When, seen: u64, than: u64) -> bool {
        let wall = now.clock.wall - of.clock.wall;
        let is_known = wall >= -AHEAD || now.clock.boot == of.clock.boot;
        !is_known || seen.max(u64::try_from(wall).unwrap_or(0)) > than
    }

    fn is_older(&self, of: When, than: u64) -> bool {
        Self::may_be_older(self.now(), of, self.since(of), than)
    }

    /// Records the clock if the flag waits for time and this boot has written nothing since the flag came to its stage.
    /// A machine that was up for less than [`YOUNG`] records nothing.
    fn note_clock(&mut self) {
        let in_stage = self.stage > 0 && !self.complete;
        let waits = in_stage.then_some(self.since.records);
        let waits = waits.max(self.incident.as_ref().map(|incident| incident.since.records));
        let mut written = self.journal.iter().rev();
        let written = written.find(|it| it.clock.boot == self.clock.boot);
        let written = written.map_or(0, |it| it.records);
        if self.clock.up >= YOUNG && waits.is_some_and(|since| since > written) {
            self.record();
        }
    }

    pub(crate) fn signed(&self) -> Vec<&'static str> {
        self.signed.keys().copied().collect()
    }

    pub(crate) fn value(&self) -> Option<Option<u32>> {
        self.readings.last().map(|reading| reading.value)
    }

    pub(crate) fn is_rolled_back(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.rolled_back)
    }

    fn stage_at(&self, stage: usize) -> Option<&Stage> {
        self.plan.stages.get(stage.checked_sub(1)?)
    }

    /// Returns the seconds for which every reading has met the condition without a gap. `None` if the last reading does
    /// not.
    fn lasted(&self, is_so: impl Fn(u32) -> bool) -> Option<u64> {
        let so = |reading: &Reading| reading.value.is_some_and(&is_so);
        let mut first = self.readings.last().filter(|last| so(last))?;
        for earlier in self.readings.iter().rev().skip(1) {
            let seen = self.seen(earlier.at, first.at, &[]);
            if !so(earlier) || Self::may_be_older(first.at, earlier.at, seen, STALE) {
                break;
            }
            first = earlier;
        }
        Some(self.since(first.at))
    }

    fn is_fresh(&self) -> bool {
        self.readings.last().is_some_and(|last| !self.is_older(last.at, STALE))
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.freeze.is_some_and(|end| end.is_none_or(|end| self.clock.wall < end))
    }

    /// Returns the kinds that block every promotion, even a forced one.
    fn blockers(&self, by: Option<&str>) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        let has_other = self.signed.values().any(|(_, signer)| Some(*signer) != by);
        kinds.extend((self.plan.four_eyes && !has_other && !self.complete).then_some("four_eyes"));
        kinds.extend(self.complete.then_some("complete"));
        kinds.extend(self.is_frozen().then_some("frozen"));
        kinds.extend(self.held.then_some("held"));
        kinds.extend(self.incident.as_ref().map(|_| "incident"));
        kinds
    }

    /// Returns the approvals of the next promotion, and those of a forced promotion.
    fn approvals(&self) -> [&'static [&'static str]; 2] {
        let roles = self.plan.stages.get(self.stage).map_or(0, |next| next.roles);
        [&APPROVALS[0][..roles], &APPROVALS[1][..self.plan.force]]
    }

    fn is_approved(&self, approvals: &[&str]) -> bool {
        let signers = approvals.iter().filter_map(|item| Some(self.signed.get(item)?.1));
        signers.collect::<BTreeSet<_>>().len() == approvals.len()
    }

    /// Returns the kinds of the conditions that the next promotion by this person does not meet. `None`: by a program.
    pub(crate) fn unmet(&self, by: Option<&str>) -> Vec<&'static str> {
        let mut kinds = self.blockers(by);
        let is_approved = self.complete || self.is_approved(self.approvals()[0]);
        kinds.extend((!is_approved).then_some("approval"));
        let Some(stage) = self.stage_at(self.stage).filter(|_| !self.complete) else {
            return kinds;
        };
        if self.time_in_stage() < stage.min {
            kinds.push("min_duration");
        }
        if let Some((below, lasts)) = stage.below {
            let lasted = self.lasted(|value| value < below).filter(|_| self.is_fresh());
            if lasted.is_none_or(|lasted| lasted < lasts) {
                kinds.push(if lasts == 0 { "metric" } else { "criterion" });
            }
        }
        if stage.seen && !self.signed.contains_key("seen") {
            kinds.push("criterion");
        }
        if let Some(expires) = stage.check {
            let signed = self.signed.get("check");
            let counts = |signed| expires.is_none_or(|expires| !self.is_older(signed, expires));
            if !signed.is_some_and(|(signed, _)| counts(*signed)) {
                kinds.push("checklist");
            }
        }
        // The trigger requires a reading only if the stage has no condition on the error rate.
        if stage.below.is_none()
            && let Some(trigger) = &self.plan.trigger
        {
            let last = self.readings.last().filter(|last| last.value.is_some());
            if !self.is_fresh() || last.is_none_or(|last| trigger.has_too_few(last.samples)) {
                kinds.push("trigger");
            }
        }
        kinds
    }

    /// Returns whether a condition will be met by waiting.
    fn waits(&self) -> bool {
        let Some(stage) = self.stage_at(self.stage).filter(|_| !self.complete) else {
            return false;
        };
        let for_metric = stage.below.is_some_and(|(below, lasts)| {
            let lasted = self.lasted(|value| value < below).filter(|_| self.is_fresh());
            lasted.is_some_and(|lasted| lasted < lasts)
        });
        self.time_in_stage() < stage.min || for_metric
    }

    fn move_to(&mut self, stage: usize) {
        self.since = self.record();
        self.stage = stage;
        self.complete = false;
        self.held = false;
        self.signed.clear();
        self.readings.clear();
        self.asked = None;
    }

    fn promote(&mut self) {
        if self.stage == self.plan.stages.len() {
            self.complete = true;
            self.record();
        } else {
            self.move_to(self.stage + 1);
        }
    }

    fn target(&self) -> usize {
        if self.plan.previous { self.stage.saturating_sub(1) } else { 0 }
    }

    fn roll_back(&mut self, to: usize, blamed: Option<(u32, u64)>) {
        if self.stage == 0 {
            return;
        }
        let from = self.stage;
        self.move_to(to);
        let since = self.since;
        let reported = self.incident.as_ref().and_then(|incident| incident.reported);
        self.incident =
            Some(Incident { phase: 2, rolled_back: true, blamed, from, since, asked: 0, reported });
    }

    /// Returns the trigger if it fires and has this action: to roll back, or to ask for a decision.
    fn fired_trigger(&self, rolls_back: bool) -> Option<(u32, u64)> {
        let trigger = self.plan.trigger.as_ref();
        let trigger = trigger.filter(|it| it.rolls_back == rolls_back && self.stage > 0)?;
        let last = self.readings.last().filter(|last| !last.judged)?;
        let too_few = trigger.has_too_few(last.samples);
        let lasted = self.lasted(|value| value > trigger.above)?;
        let fires = !too_few && self.is_fresh() && lasted >= trigger.lasts;
        fires.then_some((trigger.above, trigger.lasts))
    }

    /// Returns whether the metric that fired is back within its limit.
    fn is_verified(&self, incident: &Incident) -> bool {
        let trigger = self.plan.trigger.as_ref().map(|trigger| (trigger.above, trigger.lasts));
        // An update may have removed the trigger that fired.
        let Some((above, _)) = incident.blamed.filter(|blamed| trigger == Some(*blamed)) else {
            return true;
        };
        let last = self.readings.last().and_then(|last| last.value);
        self.is_fresh() && last.is_some_and(|value| value <= above)
    }

    /// Returns the limits of the error rate: the limit of the stage and the limit of the trigger. If the flag is off,
    /// the stage is the one before the rollback.
    fn conditions(&self, plan: &Plan) -> (Option<u32>, Option<u32>) {
        let from = self.incident.as_ref().map_or(0, |incident| incident.from);
        let stage = if self.stage == 0 { from } else { self.stage };
        let stage = stage.checked_sub(1).and_then(|index| plan.stages.get(index));
        let below = stage.and_then(|stage| stage.below).map(|(below, _)| below);
        (below, plan.trigger.as_ref().map(|trigger| trigger.above))
    }

    /// Applies an event, or returns the kinds of all unmet conditions.
    pub(crate) fn apply(&mut self, event: &Event) -> Result<(), Kinds> {
        self.look();
        let happened = self.apply_event(event);
        self.look();
        happened
    }

    fn apply_event(&mut self, event: &Event) -> Result<(), Kinds> {
        match event {
            Event::By(by) => self.by = by,
            Event::Promote => {
                let refused = refuse(&self.unmet(Some(self.by)));
                if refused.is_err() && self.waits() {
                    self.note_clock();
                }
                refused?;
                self.promote();
            }
            Event::Force(to, has_reason) => {
                let mut kinds = self.blockers(Some(self.by));
                let is_approved = self.is_approved(self.approvals()[1]);
                kinds.extend((!is_approved).then_some("approval"));
                kinds.extend((!has_reason).then_some("reason"));
                kinds.extend(to.is_some_and(|to| to <= self.stage).then_some("stage"));
                refuse(&kinds)?;
                match to {
                    Some(to) => self.move_to(*to),
                    None => self.promote(),
                }
            }
            Event::Hold(has_reason) => {
                let mut kinds = Vec::new();
                kinds.extend((!has_reason).then_some("reason"));
                kinds.extend(self.held.then_some("held"));
                kinds.extend(self.is_rolled_back().then_some("incident"));
                kinds.extend(self.complete.then_some("complete"));
                refuse(&kinds)?;
                self.held = true;
                self.record();
            }
            Event::Resume => {
                refuse(if self.held { &[] } else { &["not_held"] })?;
                self.held = false;
                self.record();
            }
            Event::RollBack(Some(to)) => {
                refuse(if *to < self.stage { &[] } else { &["stage"] })?;
                self.roll_back(*to, None);
            }
            Event::RollBack(None) | Event::RollBackAll => self.roll_back(self.target(), None),
            Event::HoldAll(has_reason, end) => {
                let end = end.map(|end| self.clock.wall + end);
                let is_later = |known: i64| end.is_none_or(|end| end > known);
                let is_longer = self.freeze.flatten().is_some_and(is_later);
                let mut kinds = Vec::new();
                kinds.extend((!has_reason).then_some("reason"));
                kinds.extend(end.is_some_and(|end| end <= self.clock.wall).then_some("until"));
                kinds.extend((self.is_frozen() && !is_longer).then_some("frozen"));
                refuse(&kinds)?;
                self.freeze = Some(end);
                self.record();
            }
            Event::ResumeAll => {
                refuse(if self.is_frozen() { &[] } else { &["not_held"] })?;
                self.freeze = None;
                self.record();
            }
            Event::Call => {
                self.roll_back(0, None);
                self.tick();
            }
            Event::Sign(item) => {
                let stage = self.stage_at(self.stage);
                let approvals = self.approvals();
                let has = match *item {
                    "check" => stage.is_some_and(|stage| stage.check.is_some()),
                    "seen" => stage.is_some_and(|stage| stage.seen),
                    "four eyes" => self.plan.four_eyes,
                    approval => approvals.concat().contains(&approval),
                };
                refuse(if has { &[] } else { &["item"] })?;
                // A person gives one approval of a promotion.
                let group = approvals.iter().find(|group| group.contains(item));
                let mut others = group.into_iter().copied().flatten().filter(|it| *it != item);
                let is_by = |item: &&str| self.signed.get(item).is_some_and(|it| it.1 == self.by);
                refuse(if others.any(is_by) { &["approval"] } else { &[] })?;
                let now = self.record();
                self.signed.insert(item, (now, self.by));
            }
            Event::Unsign(item) => {
                refuse(if self.signed.contains_key(item) { &[] } else { &["item"] })?;
                self.signed.remove(item);
                self.record();
            }
            Event::Report(kind) => self.report(kind),
            Event::Step(overriding) => self.step(*overriding)?,
            Event::Close(has_note) => {
                let Some(incident) = &self.incident else { return refuse(&["no_incident"]) };
                let mut kinds = Vec::new();
                kinds.extend((!has_note).then_some("note"));
                kinds.extend((incident.rolled_back && incident.phase < 4).then_some("incident"));
                refuse(&kinds)?;
                if self.is_rolled_back() {
                    self.readings.clear();
                }
                self.incident = None;
                self.record();
            }
            Event::Measure(value, samples) => self.measure(*value, *samples, false)?,
            Event::Judged(value) => self.measure(Some(*value), Some(100), true)?,
            Event::Tick => self.tick(),
            Event::Update(plan) => self.update(plan)?,
            Event::Advance(time) => {
                self.clock.wall += i64::try_from(*time).unwrap();
                self.clock.up += time;
            }
            Event::SetWall(by) => self.clock.wall += by,
            Event::Restart(off) => {
                self.clock.wall += i64::try_from(*off).unwrap();
                self.clock.up = 0;
                self.clock.boot += 1;
                self.looks.clear();
            }
            Event::Reopen => self.looks.clear(),
        }
        Ok(())
    }

    fn report(&mut self, kind: &'static str) {
        let was_rolled_back = self.is_rolled_back();
        let rolls_back =
            kind == "security" && self.plan.security && !was_rolled_back && self.stage > 0;
        let last = self.incident.as_ref().and_then(|incident| incident.reported);
        let reported = Some((self.by, kind));
        if last == reported && !rolls_back {
            return;
        }
        let since = self.record();
        let from = self.stage;
        self.incident.get_or_insert(Incident {
            phase: 0,
            rolled_back: false,
            blamed: None,
            from,
            since,
            asked: 0,
            reported: None,
        });
        self.incident.as_mut().unwrap().reported = reported;
        if rolls_back {
            self.roll_back(self.target(), None);
        }
    }

    fn step(&mut self, overriding: bool) -> Result<(), Kinds> {
        let Some(incident) = self.incident.clone() else { return refuse(&["no_incident"]) };
        match incident.phase {
            1 if self.stage > 0 => {
                self.roll_back(self.target(), None);
                return Ok(());
            }
            2 if !self.is_verified(&incident) && !overriding => return refuse(&["verify"]),
            4 => return refuse(&["investigate"]),
            _ => {}
        }
        let since = self.record();
        self.incident = Some(Incident { phase: incident.phase + 1, since, asked: 0, ..incident });
        Ok(())
    }

    /// Opens an incident at `decide` unless one is open.
    fn request_decision(&mut self) {
        if self.incident.is_none() {
            let (since, from) = (self.record(), self.stage);
            let (rolled_back, blamed) = (false, None);
            let (asked, reported) = (0, None);
            self.incident =
                Some(Incident { phase: 0, rolled_back, blamed, from, since, asked, reported });
        }
    }

    fn measure(
        &mut self,
        value: Option<u32>,
        samples: Option<u64>,
        judged: bool,
    ) -> Result<(), Kinds> {
        if self.stage == 0 && !self.is_rolled_back() {
            return refuse(&["off"]);
        }
        let (below, above) = self.conditions(&self.plan);
        if below.is_none() && above.is_none() {
            return refuse(&["metric"]);
        }
        let truth = |value: Option<u32>| {
            let so = |is_so: Option<bool>| is_so.unwrap_or(false);
            (
                so(value.and_then(|value| below.map(|below| value < below))),
                so(value.and_then(|value| above.map(|above| value > above))),
                value.is_some(),
            )
        };
        let mut after = self.clone();
        after.readings.push(Reading { at: self.next_record(), value, samples, judged });
        let fires = |model: &Model, rolls_back| model.fired_trigger(rolls_back).is_some();
        let acts = fires(&after, true) || fires(&after, false) && self.incident.is_none();
        if let Some(last) = self.readings.last() {
            let short = |samples| {
                self.plan.trigger.as_ref().is_some_and(|trigger| trigger.has_too_few(samples))
            };
            // After a guard's reading, it matters only to a trigger that a program measured the same.
            let same = truth(last.value) == truth(value)
                && (last.judged == judged || last.judged && !self.is_beyond(value))
                && short(last.samples) == short(samples);
            let young = !self.is_older(last.at, STALE / 2);
            if same && !acts && (young || !self.needs_fresh_reading(value, judged)) {
                return Ok(());
            }
        }
        let at = self.record();
        self.readings.push(Reading { at, value, samples, judged });
        if let Some(blamed) = self.fired_trigger(true) {
            self.roll_back(self.target(), Some(blamed));
        } else if self.fired_trigger(false).is_some() {
            self.request_decision();
        }
        Ok(())
    }

    /// Returns whether a value is beyond the limit of a trigger that may act on it. A trigger that asks does not while
    /// an incident is open.
    fn is_beyond(&self, value: Option<u32>) -> bool {
        let trigger = self.plan.trigger.as_ref().filter(|_| self.stage > 0);
        trigger.is_some_and(|trigger| {
            value.is_some_and(|value| value > trigger.above)
                && (trigger.rolls_back || self.incident.is_none())
        })
    }

    /// Returns whether a decision depends on the age of the last reading.
    fn needs_fresh_reading(&self, value: Option<u32>, judged: bool) -> bool {
        let is_blocked = self.held || self.complete || self.incident.is_some();
        let may_be_promoted = self.stage > 0 && !is_blocked;
        let trigger = self.plan.trigger.as_ref();
        let goes_when_missing =
            self.stage > 0 && trigger.is_some_and(|trigger| trigger.no_data_rolls_back);
        let waits = trigger.is_some_and(|trigger| trigger.lasts > 0);
        let verifies = self.incident.as_ref().is_some_and(|incident| {
            let blamed = trigger
                .is_some_and(|trigger| incident.blamed == Some((trigger.above, trigger.lasts)));
            let above = trigger.map(|trigger| trigger.above);
            incident.phase == 2 && blamed && value.is_some() && value <= above
        });
        // During a hold, the readings of a `for` that is running count on.
        let goes_on = self.held
            && self.incident.is_none()
            && self.stage_at(self.stage).and_then(|stage| stage.below).is_some_and(
                |(below, lasts)| lasts > 0 && value.is_some_and(|value| value < below),
            );
        may_be_promoted
            || goes_on
            || goes_when_missing
            || waits && !judged && self.is_beyond(value)
            || verifies
    }

    fn tick(&mut self) {
        self.run_due_work();
        self.note_clock();
    }

    fn run_due_work(&mut self) {
        let unmet = self.unmet(None);
        let expires = self.stage_at(self.stage).and_then(|stage| stage.check).flatten();
        if let Some((expires, signed)) = expires.zip(self.signed.get("check").copied())
            && self.since(signed.0) > expires
        {
            self.signed.remove("check");
            self.record();
        }
        if self.stage > 0 && self.plan.trigger.as_ref().is_some_and(|it| it.no_data_rolls_back) {
            let last = self.readings.last();
            let is_empty = last.is_some_and(|last| last.value.is_none());
            let asked = self.asked.unwrap_or(self.since);
            if is_empty || self.since(last.map_or(asked, |last| last.at)) > STALE {
                let trigger = self.plan.trigger.as_ref().unwrap();
                return self.roll_back(self.target(), Some((trigger.above, trigger.lasts)));
            }
        }
        if let Some(blamed) = self.fired_trigger(true) {
            return self.roll_back(self.target(), Some(blamed));
        }
        if self.fired_trigger(false).is_some() && self.incident.is_none() {
            return self.request_decision();
        }
        if let Some(incident) = self.incident.clone() {
            let patience = match incident.phase {
                0 => 5 * 60,
                2 if self.is_verified(&incident) => 0,
                2 => 15 * 60,
                _ => u64::MAX,
            };
            let asks = incident.asked < self.plan.escalations;
            let waited = self.since(incident.since);
            if patience == 0 {
                let since = self.record();
                self.incident = Some(Incident { phase: 3, since, asked: 0, ..incident });
            } else if asks
                && patience < u64::MAX
                && waited >= patience * (incident.asked as u64 + 1)
            {
                self.record();
                self.incident = Some(Incident { asked: incident.asked + 1, ..incident });
            }
        }
        let auto = self.stage_at(self.stage).is_some_and(|stage| stage.auto);
        if auto && unmet.is_empty() {
            self.promote();
        }
    }

    fn update(&mut self, plan: &Plan) -> Result<(), Kinds> {
        if plan.document() == self.plan.document() {
            return Ok(());
        }
        let old = self.stage_at(self.stage).cloned();
        let mut others = false;
        if let Some(old) = &old {
            let Some(new) = plan.stages.get(self.stage - 1) else { return refuse(&["stage"]) };
            refuse(if new.percent > old.percent { &["percent"] } else { &[] })?;
            others = new.percent < old.percent;
            if new.check.is_none() {
                self.signed.remove("check");
            }
            if !new.seen {
                self.signed.remove("seen");
            }
        }
        let percents = |plan: &Plan| {
            plan.stages[self.stage..].iter().map(|stage| stage.percent).collect::<Vec<_>>()
        };
        let later_changed = percents(plan) != percents(&self.plan);
        let roles = plan.stages.get(self.stage).map_or(0, |next| next.roles);
        let still = [&APPROVALS[0][..roles], &APPROVALS[1][..plan.force]].concat();
        self.signed.retain(|item, _| match *item {
            "check" | "seen" => true,
            "four eyes" => plan.four_eyes && !later_changed,
            approval => still.contains(&approval) && !later_changed,
        });
        let rolls_back_without =
            |plan: &Plan| plan.trigger.as_ref().is_some_and(|it| it.no_data_rolls_back);
        let newly_needed = rolls_back_without(plan) && !rolls_back_without(&self.plan);
        let resets_readings =
            newly_needed && self.stage > 0 || self.conditions(&self.plan) != self.conditions(plan);
        if others || resets_readings {
            self.readings.clear();
        }
        let now = self.record();
        if others || resets_readings {
            self.asked = Some(now);
        }
        if others {
            self.since = now;
        }
        if self.stage < plan.stages.len() {
            self.complete = false;
        }
        self.plan = plan.clone();
        Ok(())
    }
}
