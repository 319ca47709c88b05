//! Rollouts: every action, at extreme times.

use std::time::{Duration, SystemTime};

use stagegate::clock::{Clock, ManualClock};
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{
    Controller, Delivery, DeliveryError, Event, EventContext, FlagState, Hash, Journal,
    LeaderLease, MetricReader, Notification, NotificationKind, Now, Outbox, PublicKeys, ReadError,
    Reading, Retry, Rollout, RolloutError, RolloutOptions, Sample, SigningKey, Sink, Stamp, Store,
    StoreError, overdue, transition, unmet,
};
use stagegate::store::Memory;
use stagegate::{Plan, StageName};

use crate::calls::Calls;
use crate::plan::DOCUMENT;
use crate::values::{DURATIONS, NUMBERS, texts, times};

pub(crate) fn call(calls: &mut Calls) {
    for at in times() {
        live(calls, at);
        machine(calls, at);
    }
    texts_of_people(calls);
    journal(calls);
    controllers(calls);
    outboxes(calls);
    options(calls);
    keys(calls);
}

/// Keys from any text, and signatures of records at extreme times.
fn keys(calls: &mut Calls) {
    for text in texts() {
        calls.call("SigningKey::parse", || SigningKey::parse(&text).is_ok());
        calls.call("PublicKeys::parse", || PublicKeys::parse(&text).is_ok());
        for range in ["", "..", "0..0", "5..1", "18446744073709551615..", "..99999999999999999999"]
        {
            let key = calls.call("SigningKey::new", || SigningKey::new(&text, &[0; 32])).unwrap();
            let public = calls.call("SigningKey::public_key", || key.public_key()).unwrap();
            let secret = calls.call("SigningKey::to_secret_text", || key.to_secret_text()).unwrap();
            calls.call("SigningKey::parse", || SigningKey::parse(&secret).is_ok());
            let public = public.replacen(' ', &format!(" {range} "), 1);
            let keys = calls.call("PublicKeys::parse", || PublicKeys::parse(&public)).unwrap();
            let options = RolloutOptions::new();
            let options =
                calls.call("RolloutOptions::sign_with", || options.sign_with(key)).unwrap();
            let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
            let started = Rollout::start_with(Memory::new(), clock, DOCUMENT, &text, &options);
            let (Ok(keys), Ok(rollout)) = (keys, started) else { continue };
            for record in rollout.records(1).unwrap() {
                calls.call("PublicKeys::check", || keys.check(&record));
                let Some(signature) = record.signature else { continue };
                calls.call("RecordSignature::message", || signature.message());
                calls.call("RecordSignature::to_bytes", || signature.to_bytes());
            }
        }
    }
}

/// Options with invalid paths for the intents file.
fn options(calls: &mut Calls) {
    for (path, bytes) in texts().into_iter().zip([0, 1, u64::MAX].into_iter().cycle()) {
        let options = calls.call("RolloutOptions::new", RolloutOptions::new).unwrap();
        // `/dev/null` is not a directory, so nothing is written anywhere.
        let path = std::path::Path::new("/dev/null").join(path);
        let options = calls
            .call("RolloutOptions::keep_intents_in", || options.keep_intents_in(path))
            .unwrap();
        let options = calls
            .call("RolloutOptions::read_all_segments", || options.read_all_segments())
            .unwrap();
        let options =
            calls.call("RolloutOptions::segment_bytes", || options.segment_bytes(bytes)).unwrap();
        let (store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
        calls.call("Rollout::start_with", || {
            Rollout::start_with(store.clone(), clock.clone(), DOCUMENT, "ana", &options).is_ok()
        });
        calls.call("Rollout::open_with", || Rollout::open_with(store, clock, &options).is_ok());
    }
}

/// Starts a rollout at this time and then moves its clock to extremes.
fn live(calls: &mut Calls, at: SystemTime) {
    let (store, clock) = (Memory::new(), ManualClock::at(at));
    let started = calls
        .call("Rollout::start", || Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana"));
    // A time that the journal cannot represent is an error.
    let Some(Ok(rollout)) = started else { return };
    calls.call("Rollout::gate", || rollout.gate().version());
    calls.call("Rollout::plan", || rollout.plan().flags().count());
    calls.call("Rollout::metrics_to_read", || rollout.metrics_to_read().len());
    calls.call("Rollout::tell", || rollout.tell(Quiet));
    for time in DURATIONS {
        for act in ["advance", "restart", "set"] {
            match act {
                "advance" => clock.advance(time),
                "restart" => clock.restart(time),
                _ => clock.set_wall(at),
            }
            calls.call("Rollout::tick", || format!("{:?}", rollout.tick()));
            calls.call("Rollout::status", || format!("{:?}", rollout.status()));
            calls.call("Rollout::read", || {
                format!("{:?}", rollout.read(&mut Extreme(clock.clone())))
            });
            calls.call("Actor::promote", || rollout.by("ana").promote("a").is_ok());
            calls.call("Actor::force", || rollout.by("ana").force("b", "x").is_ok());
            calls.call("Actor::roll_back", || rollout.by("ana").roll_back("b", "x").is_ok());
            calls.call("Actor::close", || rollout.by("ana").close("b", "x").is_ok());
            calls.call("Actor::begin_segment", || rollout.by("ana").begin_segment().is_ok());
            calls.call("Actor::upgrade", || rollout.by("ana").upgrade().is_ok());
            calls.call("Rollout::format", || rollout.format());
            calls.call("Actor::note_restored", || {
                rollout.by("ana").note_restored("x", u64::MAX).is_ok()
            });
            for end in [None, Some(at), at.checked_add(time)] {
                calls.call("Actor::hold_all", || rollout.by("ana").hold_all("x", end).is_ok());
                if let Some(freeze) = rollout.status().freeze {
                    calls.call("Freeze::is_in_force", || freeze.is_in_force(at));
                }
                calls.call("Actor::promote", || rollout.by("ana").promote("a").is_err());
                calls.call("Actor::resume_all", || rollout.by("ana").resume_all(None).is_ok());
            }
            calls.call("Actor::roll_back_all", || rollout.by("ana").roll_back_all("x").records);
            calls.call("Rollout::refresh", || rollout.refresh().map(|records| records.len()));
        }
    }
    for moment in times() {
        calls.call("Rollout::at", || rollout.at(moment).map(|state| format!("{state:?}").len()));
    }
    for number in NUMBERS {
        calls.call("Rollout::records", || rollout.records(number).map(|records| records.len()));
        calls.call("Rollout::for_each_record", || {
            rollout.for_each_record(number, |_| std::ops::ControlFlow::Break(())).is_ok()
        });
    }
    calls.call("Rollout::first_record", || rollout.first_record().is_ok());
    calls.call("Rollout::now", || rollout.now().is_ok());
    let reopened = calls.call("Rollout::open", || Rollout::open(store, clock)).unwrap();
    assert_eq!(reopened.map(|other| other.status().head).ok(), Some(rollout.status().head));
}

fn machine(calls: &mut Calls, at: SystemTime) {
    let plan = Plan::parse(DOCUMENT).unwrap();
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let frozen = Rollout::start(Memory::new(), clock, DOCUMENT, "ana").unwrap();
    frozen.by("ana").hold_all("x", None).unwrap();
    let frozen = frozen.status().freeze;
    for (time, freeze) in DURATIONS.into_iter().zip([None, frozen.as_ref()].into_iter().cycle()) {
        for boots in [0, u32::MAX] {
            let now = calls.call("Stamp::new", || Stamp::new(at, time, boots)).unwrap();
            let other = Stamp::new(SystemTime::UNIX_EPOCH, Duration::from_secs(5), 1);
            let (stamp, now) = (now, Now::from(now));
            calls.call("Now::stamp", || now.stamp());
            calls.call("Now::at", || now.at());
            calls.call("Now::elapsed_since", || {
                (now.elapsed_since(&other), Now::from(other).elapsed_since(&stamp))
            });
            calls.call("Now::age_of", || (now.age_of(&other), Now::from(other).age_of(&stamp)));
            for flag in ["a", "b"] {
                let flag = plan.flag(flag).unwrap();
                let stage = flag.stages().last().unwrap().name();
                let state = calls.call("FlagState::new", || FlagState::new(stage, other)).unwrap();
                calls.call("FlagState::progress", || state.progress());
                calls.call("FlagState::time_in_stage", || state.time_in_stage(now));
                calls.call("unmet", || unmet(&flag, &state, now, &[], freeze).len());
                calls.call("overdue", || overdue(&flag, &state, now).len());
                for next in NUMBERS {
                    let context = EventContext {
                        now,
                        by: "",
                        serving: StageName::OFF,
                        record: next,
                        missing: &[],
                        freeze,
                    };
                    for event in [Event::Promote, Event::Tick, Event::SendMessages] {
                        calls.call("transition", || {
                            transition(&flag, &state, &event, &context).is_ok()
                        });
                    }
                }
            }
        }
    }
}

fn texts_of_people(calls: &mut Calls) {
    let (store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
    let rollout = Rollout::start(store, clock, DOCUMENT, "ana").unwrap();
    for text in texts() {
        let some = Some(text.as_str());
        for flag in [&*text, "a", "b"] {
            let who = calls.call("Rollout::by", || rollout.by(&text)).unwrap();
            calls.call("Actor::promote", || errors(who.promote(flag).map(drop)));
            calls.call("Actor::promote_to", || errors(who.promote_to(flag, &text).map(drop)));
            calls.call("Actor::force", || errors(who.force(flag, &text).map(drop)));
            calls.call("Actor::force_to", || errors(who.force_to(flag, &text, &text).map(drop)));
            calls.call("Actor::hold", || errors(who.hold(flag, &text).map(drop)));
            calls.call("Actor::resume", || errors(who.resume(flag, some).map(drop)));
            calls.call("Actor::sign", || errors(who.sign(flag, &text, some).map(drop)));
            calls.call("Actor::unsign", || errors(who.unsign(flag, &text, some).map(drop)));
            calls.call("Actor::report", || errors(who.report(flag, &text, some).map(drop)));
            calls.call("Actor::report", || errors(who.report(flag, "security", some).map(drop)));
            calls.call("Actor::step", || errors(who.step(flag, some).map(drop)));
            calls.call("Actor::close", || errors(who.close(flag, &text).map(drop)));
            calls.call("Actor::roll_back_to", || {
                errors(who.roll_back_to(flag, &text, &text).map(drop));
            });
            calls.call("Actor::roll_back", || errors(who.roll_back(flag, &text).map(drop)));
            measures(calls, &rollout, flag, &text);
            for trigger in [0, 1, usize::MAX] {
                let event = Event::Breach { trigger, evidence: text.clone() };
                calls.call("Actor::act", || errors(who.act(flag, &event).map(drop)));
            }
            calls.call("Rollout::report", || errors(rollout.report(flag).map(drop)));
            calls.call("Rollout::stage", || rollout.stage(flag, &text).is_ok());
        }
        let who = rollout.by(&text);
        calls.call("Actor::roll_back_all", || format!("{:?}", who.roll_back_all(&text)));
        calls.call("Actor::hold_all", || errors(who.hold_all(&text, None).map(drop)));
        calls.call("Actor::resume_all", || errors(who.resume_all(some).map(drop)));
        calls.call("Actor::update", || errors(rollout.by(&text).update(text.as_str()).map(drop)));
        calls.call("Rollout::preview", || errors(rollout.preview(text.as_str()).map(drop)));
        calls.call("Rollout::started_in_boot", || rollout.started_in_boot(&text));
    }
    let error = rollout.by("").promote("\0").unwrap_err();
    calls.call("RolloutError::is_refused", || error.is_refused());
    calls.call("RolloutError::is_not_found", || error.is_not_found());
    calls.call("RolloutError::is_invalid_document", || error.is_invalid_document());
    calls.call("RolloutError::is_damaged", || error.is_damaged());
    calls.call("RolloutError::store_error", || error.store_error().is_some());
    calls.call("RolloutError::plan_error", || error.plan_error().is_some());
    let refused = rollout.by("").force("a", "").unwrap_err();
    for refusal in calls.call("RolloutError::refusals", || refused.refusals()).unwrap() {
        for text in texts() {
            calls.call("Refusal::has", || refusal.has(&text));
        }
    }
}

fn measures(calls: &mut Calls, rollout: &Rollout, flag: &str, text: &str) {
    let numbers = NUMBERS.into_iter().map(Quantity::Count);
    let values: Vec<_> = DURATIONS.into_iter().map(Quantity::Duration).chain(numbers).collect();
    let who = rollout.by("monitor");
    for value in values.into_iter().chain(Quantity::parse("100%", Unit::Percent)) {
        for samples in [None, Some(0), Some(u64::MAX)] {
            calls.call("Actor::measure", || {
                errors(who.measure(flag, text, Some(value), samples).map(drop));
            });
            calls.call("Actor::measure", || {
                errors(who.measure(flag, "error_rate", Some(value), samples).map(drop));
            });
        }
        let event = Event::Measure {
            metric: "error_rate".to_owned(),
            reading: Reading::Value(value),
            control: Some(value),
            samples: Some(u64::MAX),
        };
        calls.call("Actor::act", || errors(who.act(flag, &event).map(drop)));
    }
}

fn journal(calls: &mut Calls) {
    let mut journal = calls.call("Journal::new", Journal::new).unwrap();
    calls.call("Journal::head", || journal.head());
    for text in texts() {
        let whole = "{\"seq\":1}\n".repeat(3);
        for line in [text.as_bytes(), &[0xff; 100], whole.as_bytes(), b"\n", b"{}\n"] {
            calls.call("Journal::read", || {
                journal.read(line).map_err(|damage| format!("{damage:?}")).is_ok()
            });
        }
        calls.call("Hash::of", || Hash::of(text.as_bytes()).to_string());
    }
    for number in NUMBERS {
        calls.call("Journal::starting_at", || Journal::starting_at(number).head());
    }
    let (mut store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
    drop(Rollout::start(store.clone(), clock, DOCUMENT, "ana").unwrap());
    let first = store.read(1).unwrap();
    let record = calls
        .call("Journal::read", || journal.read(first.strip_suffix(b"\n").unwrap()).unwrap())
        .unwrap();
    for at in times() {
        for uptime in DURATIONS {
            let mut record = record.clone();
            (record.at, record.uptime, record.time) = (at, uptime, uptime);
            let written = calls.call("Journal::encode", || journal.encode(record)).unwrap();
            let mut other = Journal::new();
            calls.call("Journal::advance", || other.advance(&written.0, &written.1));
        }
    }
}

fn controllers(calls: &mut Calls) {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let rollout = Rollout::start(Memory::new(), clock.clone(), DOCUMENT, "ana").unwrap();
    for every in DURATIONS {
        calls.call("Controller::spawn", || Controller::spawn(&rollout, every, |_| ()).map(drop));
        // `stop` may wait for the whole time, so long times are cut to a second.
        let within = every.min(Duration::from_secs(1));
        let controller = Controller::spawn(&rollout, every, |_| ()).unwrap();
        calls.call("Controller::stop", || controller.stop(within));
        let reader = Extreme(clock.clone());
        calls.call("Controller::reading", || {
            Controller::reading(&rollout, reader, every, |_| ()).map(drop)
        });
        calls.call("Controller::following", || {
            Controller::following(&rollout, every, |_| ()).map(drop)
        });
        for held in DURATIONS.into_iter().map(Some).chain([None]) {
            let lead = || Controller::leading(&rollout, Held(held), every, |_| ()).map(drop);
            calls.call("Controller::leading", lead);
        }
    }
}

fn outboxes(calls: &mut Calls) {
    for text in texts() {
        let undelivered =
            calls.call("DeliveryError::temporary", || DeliveryError::temporary(&*text)).unwrap();
        calls.call("DeliveryError::permanent", || DeliveryError::permanent(&*text));
        calls.call("DeliveryError::is_permanent", || undelivered.is_permanent());
        calls.call("ReadError::new", || ReadError::new(&*text));
        calls.call("Outbox::spawn", || Outbox::spawn(&text, Never).map(drop));
        for at in times() {
            let kind = NotificationKind::Held;
            calls.call("NotificationKind::name", || kind.name());
            let news = calls.call("Notification::new", || {
                Notification::new(&text, kind, StageName::OFF, at, &*text)
            });
            calls.call("Notification::to_json", || news.unwrap().to_json().len());
            calls.call("Sample::new", || Sample::new(Quantity::Count(u64::MAX), at));
            for samples in NUMBERS {
                calls.call("Sample::with_samples", || {
                    Sample::new(Quantity::Count(u64::MAX), at).with_samples(samples)
                });
            }
        }
    }
    for first in DURATIONS {
        for attempts in [0, 2, u32::MAX] {
            let retry = Retry { attempts, first_wait: first, max_wait: first };
            let outbox = calls
                .call("Outbox::spawn_with", || Outbox::spawn_with("never", Never, retry))
                .unwrap();
            let outbox = outbox.unwrap();
            // The outbox is empty, so `flush` returns at once, whatever the timeout.
            calls.call("Outbox::flush", || DURATIONS.map(|time| outbox.flush(time)));
            outbox.tell(&Notification::new(
                "a",
                NotificationKind::Held,
                StageName::OFF,
                SystemTime::UNIX_EPOCH,
                "",
            ));
            calls.call("Outbox::status", || outbox.status());
            drop(outbox);
        }
    }
}

/// Prints an error, because that must not panic either.
fn errors(result: Result<(), RolloutError>) {
    if let Err(error) = result {
        drop(format!("{error} {error:?}"));
    }
}

#[derive(Debug)]
struct Quiet;

impl Sink for Quiet {
    fn tell(&self, notification: &Notification) {
        drop(notification.to_json());
    }
}

struct Never;

impl Delivery for Never {
    fn deliver(&mut self, _: &Notification) -> Result<(), DeliveryError> {
        Err(DeliveryError::temporary("never"))
    }
}

/// A metric reader whose values are from the far past or the far future.
struct Extreme(ManualClock);

impl MetricReader for Extreme {
    fn read(&mut self, _: &stagegate::model::Metric) -> Result<Option<Sample>, ReadError> {
        let at = if self.0.now().uptime.is_zero() { times()[0] } else { *times().last().unwrap() };
        Ok(Some(Sample::new(Quantity::Count(u64::MAX), at)))
    }

    fn name(&self) -> &str {
        ""
    }
}

/// A lease that grants the lead for this time, or not at all.
#[derive(Debug)]
struct Held(Option<Duration>);

impl LeaderLease for Held {
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError> {
        Ok(self.0)
    }

    fn release(&mut self) {}
}
