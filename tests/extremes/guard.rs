//! Guards: counts, looks, probabilities.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use stagegate::guard::{
    Counts, Guard, GuardLayer, GuardedFlag, Judge, Look, Outcome, Traffic, warnings,
};
use stagegate::model::Quantity;
use stagegate::rollout::{Controller, Rollout};
use stagegate::store::Memory;
use stagegate::{Gate, Plan};
use tower_layer::Layer;
use tower_service::Service;

use crate::calls::Calls;
use crate::values::{DURATIONS, FLOATS, NUMBERS, keys, texts};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stage = "pilot"
[flags.a.traffic]
requests_per_minute = 1000000000000
error_rate = "50%"
users = 1
[flags.b]
stage = "half"
stages = [{ name = "half", percent = 50 }, { name = "all", percent = 100 }]
triggers = [
    { metric = "error_rate", above = "5%", no_data = "rollback", action = "rollback" },
    { metric = "latency_p95", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
    { metric = "refunds", above = "0%", for = "1h", minimum_sample = 1000000000000, no_data = "hold", action = "decide" },
]
[metrics.refunds]
unit = "percent"
better = "less"
source = "application"
"#;

pub(crate) fn call(calls: &mut Calls) {
    let plan = Arc::new(Plan::parse(DOCUMENT).unwrap());
    let gate = Gate::from_plan(&plan);
    calls.call("warnings", || warnings(&plan).len());
    judges(calls, &plan);
    let guard = calls.call("Guard::new", || Guard::new(&gate, Arc::clone(&plan))).unwrap();
    for alpha in FLOATS {
        let guard = calls
            .call("Guard::with_alpha", || Guard::new(&gate, Arc::clone(&plan)).with_alpha(alpha));
        requests(calls, &guard.unwrap());
    }
    calls.call("Guard::update", || guard.update(Plan::parse("schema = 1\n[flags.c]").unwrap()));
    calls.call("Guard::update", || guard.update(Arc::clone(&plan)));
    calls.call("Guard::plan", || guard.plan().flags().count());
    calls.call("Guard::bytes", || guard.bytes());
    requests(calls, &guard);
    layer(calls, &guard.flag("b"));
    let clock = stagegate::clock::ManualClock::at(std::time::SystemTime::UNIX_EPOCH);
    let rollout = Rollout::start(Memory::new(), clock.clone(), DOCUMENT, "ana").unwrap();
    let guard = Guard::new(rollout.gate(), rollout.plan());
    for time in DURATIONS {
        calls.call("Controller::judging", || {
            Controller::judging(&rollout, &guard, time, |_| ()).map(drop)
        });
        guard.flag("b").record("u", Outcome::error());
        clock.advance(time);
        calls.call("Rollout::judge", || format!("{:?}", rollout.judge(&guard)).len());
    }
}

fn requests(calls: &mut Calls, guard: &Guard) {
    for text in texts() {
        calls.call("Guard::mark", || guard.mark(&text));
        for value in NUMBERS
            .into_iter()
            .map(Quantity::Count)
            .chain(DURATIONS.into_iter().map(Quantity::Duration))
        {
            calls.call("Guard::record_reading", || {
                guard.record_reading(&text, &text, value, Some(value));
            });
            calls.call("Guard::record_reading", || {
                guard.record_reading("b", "error_rate", value, Some(value));
            });
        }
        let flag = calls.call("Guard::flag", || guard.flag(&text)).unwrap();
        record(calls, guard, &flag, text.as_bytes());
    }
    for key in keys() {
        record(calls, guard, &guard.flag("b"), &key);
    }
    for now in DURATIONS.into_iter().chain([Duration::ZERO]) {
        for judgement in calls.call("Guard::look", || guard.look(now)).unwrap() {
            for finding in judgement.findings {
                calls.call("Verdict::is_breach", || finding.verdict.is_breach());
                calls.call("Verdict::name", || finding.verdict.name());
            }
        }
    }
}

fn record(calls: &mut Calls, guard: &Guard, flag: &GuardedFlag, user: &[u8]) {
    calls.call("GuardedFlag::is_enabled", || flag.is_enabled(user));
    for latency in DURATIONS {
        let outcome = calls.call("Outcome::ok", Outcome::ok).unwrap();
        let outcome = calls.call("Outcome::took", || outcome.took(latency)).unwrap();
        let outcome =
            calls.call("Outcome::marked", || outcome.marked(guard.mark("refunds"))).unwrap();
        calls.call("GuardedFlag::record", || flag.record(user, outcome));
        let failed = calls.call("Outcome::error", Outcome::error).unwrap();
        let span = calls.call("GuardedFlag::enter", || flag.enter(user)).unwrap();
        calls.call("Span::is_enabled", || span.is_enabled());
        calls.call("Span::finish", || span.finish(failed));
        calls.call("Span::discard", || flag.enter(user).discard());
    }
}

fn judges(calls: &mut Calls, plan: &Plan) {
    let flag = plan.flag("b").unwrap();
    for stage in texts().iter().map(String::as_str).chain(["half"]) {
        calls.call("Judge::new", || Judge::new(&flag, stage).is_some());
        let metrics = texts();
        let metrics: Vec<_> =
            metrics.iter().map(String::as_str).chain(["error_rate", "refunds"]).collect();
        calls.call("Judge::with_readings", || {
            Judge::with_readings(&flag, stage, &metrics).is_some()
        });
    }
    for alpha in FLOATS {
        let judge = || Judge::new(&flag, "half").unwrap();
        let mut judge = calls.call("Judge::with_alpha", || judge().with_alpha(alpha)).unwrap();
        calls.call("Judge::latencies", || judge.latencies().len());
        calls.call("Judge::marked", || judge.marked().len());
        calls.call("Judge::unmarked", || judge.unmarked().len());
        for lasts in DURATIONS {
            for rate in FLOATS {
                for base in FLOATS {
                    let traffic = Traffic { requests_per_minute: rate, base_error_rate: base };
                    calls.call("Judge::power", || judge.power(lasts, traffic).len());
                }
            }
        }
        for counts in counts() {
            let before = judge.clone();
            calls.call("Judge::with_control_before", || before.with_control_before(&counts));
            for at in DURATIONS {
                let mut look = calls.call("Look::new", || Look::new(at)).unwrap();
                (look.treatment, look.listed) = (counts.clone(), counts.clone());
                for control in self::counts() {
                    look.control = control;
                    look.users = (look.control.requests, counts.requests);
                    calls.call("Judge::look", || judge.look(&look).len());
                }
            }
            calls.call("Judge::is_uneven", || judge.is_uneven());
        }
    }
}

/// Returns extreme counts. Some are impossible, such as more errors than requests or counts of unknown latencies.
fn counts() -> Vec<Counts> {
    let of = |requests, errors, pairs: &[(u64, u64)]| Counts {
        requests,
        errors,
        slow: pairs.to_vec(),
        marked: pairs.to_vec(),
        unmarked: pairs.to_vec(),
    };
    vec![
        of(0, 0, &[]),
        of(0, u64::MAX, &[(0, u64::MAX); 3]),
        of(u64::MAX, 0, &[(u64::MAX, 0)]),
        of(u64::MAX, u64::MAX, &[(u64::MAX, u64::MAX); 70]),
        of(100, 7, &[(100, 7)]),
    ]
}

/// A service that answers at once.
#[derive(Clone, Debug)]
struct Answer;

impl Service<String> for Answer {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: String) -> Self::Future {
        ready(Ok(()))
    }
}

fn layer(calls: &mut Calls, flag: &GuardedFlag) {
    let user = |request: &String| Some(request.clone());
    let new = || GuardLayer::new(flag.clone(), user, |_: &mut String, _: bool| (), |(): &()| true);
    let layer = calls.call("GuardLayer::new", new).unwrap();
    // A timer that goes backwards.
    fn timer() -> Duration {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        match COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 3 {
            0 => Duration::MAX,
            1 => Duration::ZERO,
            _ => Duration::from_secs(1),
        }
    }
    let layer = calls.call("GuardLayer::timed_by", || layer.timed_by(timer)).unwrap();
    for text in texts() {
        let answered = calls.call("GuardLayer::timed_by", || {
            let mut future = std::pin::pin!(layer.layer(Answer).call(text.clone()));
            future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
        });
        assert_eq!(answered, Some(true));
    }
}
