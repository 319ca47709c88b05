//! Metrics that a `MetricReader` reads.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::model::{Metric, Quantity};
use stagegate::rollout::{MetricReader, ReadError, Rollout, Sample};
use stagegate::store::Memory;

use super::{HOUR, monday};

const DOCUMENT: &str = r#"
schema = 1
[metrics.queue]
unit = "count"
better = "less"
source = { prometheus = "queue_length" }
stale_after = "5m"
[metrics.load]
unit = "percent"
better = "less"
source = { prometheus = "load" }
[plans.p]
stages = [{ name = "few", percent = 10, metrics = { load = { target = "< 80%" } } }, { name = "all", percent = 100 }]
triggers = [{ metric = "queue", above = 100, no_data = "rollback", action = "rollback" }]
[flags.a]
plan = "p"
stage = "few"
[flags.b]
plan = "p"
stage = "few"
[flags.off]
plan = "p"
stage = "off"
"#;

/// A reader with fixed answers, which stores the names of the metrics it reads.
#[derive(Default)]
struct Monitoring {
    answers: BTreeMap<&'static str, Result<Sample, ReadError>>,
    asked: Vec<String>,
}

impl MetricReader for Monitoring {
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError> {
        self.asked.push(metric.name.to_string());
        self.answers.get(&*metric.name).cloned().transpose()
    }

    fn name(&self) -> &str {
        "monitoring"
    }
}

fn start_rollout() -> (Rollout, ManualClock) {
    let clock = ManualClock::at(monday());
    (Rollout::start(Memory::new(), clock.clone(), DOCUMENT, "ana").unwrap(), clock)
}

fn queue(length: u64, at: SystemTime) -> Result<Sample, ReadError> {
    Ok(Sample::new(Quantity::Count(length), at))
}

#[test]
fn each_metric_is_read_once_for_all_flags() {
    let (rollout, _) = start_rollout();
    let names: Vec<_> = rollout.metrics_to_read().iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["load", "queue"]);
    let mut monitoring = Monitoring::default();
    monitoring.answers.insert("queue", queue(7, monday()));
    let report = rollout.read(&mut monitoring);
    assert_eq!(monitoring.asked, ["load", "queue"]);
    assert!(report.failed.is_empty(), "a reader without a value is not a failure");
    let read: Vec<_> = report.read.iter().map(|it| (&*it.flag, &*it.metric)).collect();
    assert_eq!(read, [("a", "queue"), ("b", "queue")]);
    let evidence = &rollout.report("a").unwrap().state.evidence["queue"];
    assert_eq!((evidence.value, &*evidence.by), (Some(Quantity::Count(7)), "monitoring"));
    monitoring.answers.insert("queue", queue(101, monday()));
    rollout.read(&mut monitoring);
    assert_eq!(rollout.report("b").unwrap().state.stage, "off");
}

/// The last good reading counts until it is too old. Then the trigger's `no_data` applies.
#[test]
fn a_value_that_is_old_from_the_future_or_missing_is_no_reading() {
    let (rollout, clock) = start_rollout();
    let mut monitoring = Monitoring::default();
    monitoring.answers.insert("queue", queue(7, monday()));
    rollout.read(&mut monitoring);
    clock.advance(Duration::from_secs(240));
    let minute = Duration::from_secs(60);
    for (answer, says) in [
        (queue(500, monday() - 2 * minute), "the value of `queue` is 360 seconds old"),
        (queue(500, monday() + HOUR), "the value of `queue` is from 3360 seconds in the future"),
        (Err(ReadError::new("no answer within 3s")), "no answer within 3s"),
    ] {
        monitoring.answers.insert("queue", answer);
        let report = rollout.read(&mut monitoring);
        assert_eq!(report.failed[0].1.to_string(), says);
        assert!(report.read.is_empty());
        assert!(rollout.tick().records.is_empty());
    }
    assert_eq!(rollout.report("a").unwrap().state.stage, "few");
    clock.advance(2 * minute);
    rollout.read(&mut monitoring);
    rollout.tick();
    let incident = rollout.report("a").unwrap().state.incident.unwrap();
    assert_eq!(&*incident.about, "queue > 100 (no data for 6m)");
}
