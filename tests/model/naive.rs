//! The rules of a rollout, written down once more: plainly, slowly, from the chapter and not from the
//! code. Everything is worked out from what has happened in the stage so far.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How long a reading counts, in seconds: what the plan says of metrics that nobody enters.
const STALE: u64 = 600;

/// A plan of one flag; stage `n` is called `sn`, from 1, and 0 is off.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    pub(crate) trigger: Option<Trigger>,
    /// A reported incident of the kind `security` takes the flag back.
    pub(crate) security: bool,
    /// A roll-back goes one stage down, not to off.
    pub(crate) previous: bool,
    /// Who is asked one after the other.
    pub(crate) line: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) percent: u32,
    pub(crate) min: u64,
    /// The item `check`, and after how long its signature expires.
    pub(crate) check: Option<Option<u64>>,
    /// The criterion `seen`, which people confirm.
    pub(crate) seen: bool,
    /// The error rate has to be below that, for so long.
    pub(crate) below: Option<(u32, u64)>,
    pub(crate) auto: bool,
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
    /// A reading is of a number of samples, and it is too small.
    fn is_short_of(&self, samples: Option<u64>) -> bool {
        match (samples, self.samples) {
            (Some(samples), Some(least)) => samples < least,
            _ => false,
        }
    }
}

impl Plan {
    pub(crate) fn document(&self) -> String {
        let mut text = "schema = 1\n[flags.a]\n".to_owned();
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
        if self.line > 0 {
            let names: Vec<String> =
                (0..self.line).map(|number| format!("\"p{number}\"")).collect();
            text.push_str("[[flags.a.responsibility]]\ncontact = \"c\"\n");
            writeln!(text, "escalation = [{}]", names.join(", ")).unwrap();
        }
        text
    }
}

/// What a clock set by hand says, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hands {
    pub(crate) wall: i64,
    pub(crate) up: u64,
    pub(crate) boot: u32,
}

/// How far ahead a moment may lie and still be now, in seconds.
const AHEAD: i64 = 60;

/// How long a machine has to be up before it notes its clock, in seconds.
const YOUNG: u64 = 600;

/// A moment: what the clock said, and after how many records.
#[derive(Clone, Copy, Debug, PartialEq)]
struct When {
    hands: Hands,
    records: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Incident {
    /// 0 decide, 1 execute, 2 verify, 3 communicate, 4 investigate.
    pub(crate) phase: usize,
    pub(crate) rolled_back: bool,
    /// The trigger on the error rate that did it: its limit and for how long.
    blamed: Option<(u32, u64)>,
    from: usize,
    since: When,
    pub(crate) asked: usize,
}

#[derive(Clone, Debug)]
struct Reading {
    at: When,
    value: Option<u32>,
    samples: Option<u64>,
    /// By a guard, which judges triggers itself.
    judged: bool,
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Promote,
    /// To a stage, or one up; with a reason or a blank.
    Force(Option<usize>, bool),
    Hold(bool),
    Resume,
    RollBack(Option<usize>),
    /// The application calls the gate's own roll-back; then a tick.
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

/// A flag and all that is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    pub(crate) plan: Plan,
    pub(crate) hands: Hands,
    /// What the clock said with each record.
    journal: Vec<When>,
    /// What it said when the process, in this run of the machine, looked.
    looks: Vec<When>,
    pub(crate) stage: usize,
    since: When,
    pub(crate) complete: bool,
    pub(crate) held: bool,
    pub(crate) incident: Option<Incident>,
    signed: BTreeMap<&'static str, When>,
    readings: Vec<Reading>,
    /// When a document last changed what it asks of the error rate, if that was in this stage.
    asked: Option<When>,
}

type Kinds = BTreeSet<&'static str>;

fn refuse(kinds: &[&'static str]) -> Result<(), Kinds> {
    if kinds.is_empty() { Ok(()) } else { Err(kinds.iter().copied().collect()) }
}

impl Naive {
    pub(crate) fn new(plan: Plan, hands: Hands) -> Naive {
        let since = When { hands, records: 1 };
        Naive {
            plan,
            hands,
            journal: vec![since],
            looks: vec![since],
            stage: 0,
            since,
            complete: false,
            held: false,
            incident: None,
            signed: BTreeMap::new(),
            readings: Vec::new(),
            asked: None,
        }
    }

    fn now(&self) -> When {
        When { hands: self.hands, records: self.journal.len() }
    }

    /// The process reads the clock.
    fn look(&mut self) {
        self.looks.push(self.now());
    }

    /// A record is written.
    fn record(&mut self) -> When {
        let now = When { hands: self.hands, records: self.journal.len() + 1 };
        self.journal.push(now);
        now
    }

    /// The time that was seen between two moments: in each run of the machine from the first reading to the last. What
    /// lies between two runs nobody saw.
    fn seen(&self, from: When, to: When, looks: &[When]) -> u64 {
        let known = self.journal.iter().chain(looks).filter(|it| it.records >= from.records);
        let known: Vec<Hands> = known
            .filter(|it| it.records <= to.records)
            .chain([&from, &to])
            .map(|it| it.hands)
            .collect();
        let runs: BTreeSet<u32> = known.iter().map(|hands| hands.boot).collect();
        let of_run = |run: u32| {
            let ups = || known.iter().filter(|hands| hands.boot == run).map(|hands| hands.up);
            ups().max().unwrap() - ups().min().unwrap()
        };
        runs.into_iter().map(of_run).sum()
    }

    fn since(&self, from: When) -> u64 {
        self.seen(from, self.now(), &self.looks)
    }

    pub(crate) fn spent(&self) -> u64 {
        self.since(self.since)
    }

    /// Whether something may be older than that: by the wall clock, which may be a little behind, or by the time seen.
    fn may_be_older(now: When, of: When, seen: u64, than: u64) -> bool {
        let wall = now.hands.wall - of.hands.wall;
        let is_known = wall >= -AHEAD || now.hands.boot == of.hands.boot;
        !is_known || seen.max(u64::try_from(wall).unwrap_or(0)) > than
    }

    fn is_older(&self, of: When, than: u64) -> bool {
        Self::may_be_older(self.now(), of, self.since(of), than)
    }

    /// A machine that has been up for a while notes its clock where a flag waits and it has written nothing since the
    /// flag came to where it is.
    fn note_clock(&mut self) {
        let in_stage = self.stage > 0 && !self.complete;
        let waits = in_stage.then_some(self.since.records);
        let waits = waits.max(self.incident.as_ref().map(|incident| incident.since.records));
        let mut written = self.journal.iter().rev();
        let written = written.find(|it| it.hands.boot == self.hands.boot);
        let written = written.map_or(0, |it| it.records);
        if self.hands.up >= YOUNG && waits.is_some_and(|since| since > written) {
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

    /// The stage that the flag is in.
    fn of_stage(&self, stage: usize) -> Option<&Stage> {
        self.plan.stages.get(stage.checked_sub(1)?)
    }

    /// For how long every reading has been so, without a gap; `None` where the last is not.
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

    /// What a promotion meets, whatever the plan says.
    fn standing(&self) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        kinds.extend(self.complete.then_some("complete"));
        kinds.extend(self.held.then_some("held"));
        kinds.extend(self.incident.as_ref().map(|_| "incident"));
        kinds
    }

    pub(crate) fn unmet(&self) -> Vec<&'static str> {
        let mut kinds = self.standing();
        let Some(stage) = self.of_stage(self.stage).filter(|_| !self.complete) else {
            return kinds;
        };
        if self.spent() < stage.min {
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
            if !signed.is_some_and(|signed| counts(*signed)) {
                kinds.push("checklist");
            }
        }
        // What the stage asks of the error rate is asked of something that was read; else a trigger asks.
        if stage.below.is_none()
            && let Some(trigger) = &self.plan.trigger
        {
            let last = self.readings.last().filter(|last| last.value.is_some());
            if !self.is_fresh() || last.is_none_or(|last| trigger.is_short_of(last.samples)) {
                kinds.push("trigger");
            }
        }
        kinds
    }

    /// Whether only time is missing of something that a promotion asks for.
    fn waits(&self) -> bool {
        let Some(stage) = self.of_stage(self.stage).filter(|_| !self.complete) else {
            return false;
        };
        let for_metric = stage.below.is_some_and(|(below, lasts)| {
            let lasted = self.lasted(|value| value < below).filter(|_| self.is_fresh());
            lasted.is_some_and(|lasted| lasted < lasts)
        });
        self.spent() < stage.min || for_metric
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

    fn up(&mut self) {
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

    fn back(&mut self, to: usize, blamed: Option<(u32, u64)>) {
        if self.stage == 0 {
            return;
        }
        let from = self.stage;
        self.move_to(to);
        let since = self.since;
        self.incident =
            Some(Incident { phase: 2, rolled_back: true, blamed, from, since, asked: 0 });
    }

    /// The trigger that fires, if it takes the flag back or asks.
    fn is_beyond(&self, rolls_back: bool) -> Option<(u32, u64)> {
        let trigger = self.plan.trigger.as_ref();
        let trigger = trigger.filter(|it| it.rolls_back == rolls_back && self.stage > 0)?;
        let last = self.readings.last().filter(|last| !last.judged)?;
        let too_few = trigger.is_short_of(last.samples);
        let lasted = self.lasted(|value| value > trigger.above)?;
        let fires = !too_few && self.is_fresh() && lasted >= trigger.lasts;
        fires.then_some((trigger.above, trigger.lasts))
    }

    /// Whether the roll-back has helped.
    fn is_verified(&self, incident: &Incident) -> bool {
        let trigger = self.plan.trigger.as_ref().map(|trigger| (trigger.above, trigger.lasts));
        // A document may have done away with what fired.
        let Some((above, _)) = incident.blamed.filter(|blamed| trigger == Some(*blamed)) else {
            return true;
        };
        let last = self.readings.last().and_then(|last| last.value);
        self.is_fresh() && last.is_some_and(|value| value <= above)
    }

    /// The conditions on the error rate: of the stage the flag is in, or was taken back from, and of
    /// the trigger.
    fn conditions(&self, plan: &Plan) -> (Option<u32>, Option<u32>) {
        let from = self.incident.as_ref().map_or(0, |incident| incident.from);
        let stage = if self.stage == 0 { from } else { self.stage };
        let stage = stage.checked_sub(1).and_then(|index| plan.stages.get(index));
        let below = stage.and_then(|stage| stage.below).map(|(below, _)| below);
        (below, plan.trigger.as_ref().map(|trigger| trigger.above))
    }

    /// What happens, or the kinds of everything that is against it.
    pub(crate) fn happen(&mut self, event: &Event) -> Result<(), Kinds> {
        self.look();
        let happened = self.happens(event);
        self.look();
        happened
    }

    fn happens(&mut self, event: &Event) -> Result<(), Kinds> {
        match event {
            Event::Promote => {
                let refused = refuse(&self.unmet());
                if refused.is_err() && self.waits() {
                    self.note_clock();
                }
                refused?;
                self.up();
            }
            Event::Force(to, has_reason) => {
                let mut kinds = self.standing();
                kinds.extend((!has_reason).then_some("reason"));
                kinds.extend(to.is_some_and(|to| to <= self.stage).then_some("stage"));
                refuse(&kinds)?;
                match to {
                    Some(to) => self.move_to(*to),
                    None => self.up(),
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
                self.back(*to, None);
            }
            Event::RollBack(None) => self.back(self.target(), None),
            Event::Call => {
                self.back(0, None);
                self.tick();
            }
            Event::Sign(item) => {
                let stage = self.of_stage(self.stage);
                let has = stage.is_some_and(|stage| match *item {
                    "check" => stage.check.is_some(),
                    _ => stage.seen,
                });
                refuse(if has { &[] } else { &["item"] })?;
                let now = self.record();
                self.signed.insert(item, now);
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
                self.hands.wall += i64::try_from(*time).unwrap();
                self.hands.up += time;
            }
            Event::SetWall(by) => self.hands.wall += by,
            Event::Restart(off) => {
                self.hands.wall += i64::try_from(*off).unwrap();
                self.hands.up = 0;
                self.hands.boot += 1;
                self.looks.clear();
            }
            Event::Reopen => self.looks.clear(),
        }
        Ok(())
    }

    fn report(&mut self, kind: &str) {
        let since = self.record();
        let from = self.stage;
        let was_rolled_back = self.is_rolled_back();
        self.incident.get_or_insert(Incident {
            phase: 0,
            rolled_back: false,
            blamed: None,
            from,
            since,
            asked: 0,
        });
        if kind == "security" && self.plan.security && !was_rolled_back {
            self.back(self.target(), None);
        }
    }

    fn step(&mut self, overriding: bool) -> Result<(), Kinds> {
        let Some(incident) = self.incident.clone() else { return refuse(&["no_incident"]) };
        match incident.phase {
            1 if self.stage > 0 => {
                self.back(self.target(), None);
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

    /// Somebody has to decide: an incident, where there is none.
    fn ask(&mut self) {
        if self.incident.is_none() {
            let (since, from) = (self.record(), self.stage);
            let (rolled_back, blamed) = (false, None);
            self.incident = Some(Incident { phase: 0, rolled_back, blamed, from, since, asked: 0 });
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
        if let Some(last) = self.readings.last() {
            let soon = !self.is_older(last.at, STALE / 2);
            let (_, is_beyond, _) = truth(value);
            let short = |samples| {
                self.plan.trigger.as_ref().is_some_and(|trigger| trigger.is_short_of(samples))
            };
            let same = truth(last.value) == truth(value)
                && last.judged == judged
                && short(last.samples) == short(samples);
            if soon && same && (judged || !is_beyond) {
                return Ok(());
            }
        }
        let at = self.record();
        self.readings.push(Reading { at, value, samples, judged });
        if let Some(blamed) = self.is_beyond(true) {
            self.back(self.target(), Some(blamed));
        } else if self.is_beyond(false).is_some() {
            self.ask();
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.does_what_is_due();
        self.note_clock();
    }

    fn does_what_is_due(&mut self) {
        let unmet = self.unmet();
        let expires = self.of_stage(self.stage).and_then(|stage| stage.check).flatten();
        if let Some((expires, signed)) = expires.zip(self.signed.get("check").copied())
            && self.since(signed) > expires
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
                return self.back(self.target(), Some((trigger.above, trigger.lasts)));
            }
        }
        if let Some(blamed) = self.is_beyond(true) {
            return self.back(self.target(), Some(blamed));
        }
        if self.is_beyond(false).is_some() && self.incident.is_none() {
            return self.ask();
        }
        if let Some(incident) = self.incident.clone() {
            let patience = match incident.phase {
                0 => 5 * 60,
                2 if self.is_verified(&incident) => 0,
                2 => 15 * 60,
                _ => u64::MAX,
            };
            let asks = incident.asked < self.plan.line;
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
        let auto = self.of_stage(self.stage).is_some_and(|stage| stage.auto);
        if auto && unmet.is_empty() {
            self.up();
        }
    }

    fn update(&mut self, plan: &Plan) -> Result<(), Kinds> {
        if plan.document() == self.plan.document() {
            return Ok(());
        }
        let old = self.of_stage(self.stage).cloned();
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
        let rolls_back_without =
            |plan: &Plan| plan.trigger.as_ref().is_some_and(|it| it.no_data_rolls_back);
        let newly_needed = rolls_back_without(plan) && !rolls_back_without(&self.plan);
        let asks_anew =
            newly_needed && self.stage > 0 || self.conditions(&self.plan) != self.conditions(plan);
        if others || asks_anew {
            self.readings.clear();
        }
        let now = self.record();
        if others || asks_anew {
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
