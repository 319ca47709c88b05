//! Metrics that a `MetricReader` reads.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::model::{Metric, Quantity};
use stagegate::rollout::{MetricReader, ReadError, Rollout, Sample};
use stagegate::store::Memory;

use super::{HOUR, monday, percent};

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

/// A former bug: one failed request of one at night rolled a flag back, although the trigger had `minimum_sample`.
#[test]
fn a_value_of_too_few_samples_neither_rolls_back_nor_promotes() {
    let document = r#"
        schema = 1
        [metrics.errors]
        unit = "percent"
        better = "less"
        source = { prometheus = "errors / all", samples = "sum(all)" }
        [flags.a]
        stage = "few"
        stages = [{ name = "few", percent = 10 }, { name = "all", percent = 100 }]
        triggers = [
            { metric = "errors", above = "5%", minimum_sample = 500, no_data = "hold", action = "rollback" },
        ]
    "#;
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(Memory::new(), clock, document, "ana").unwrap();
    let mut monitoring = Monitoring::default();
    let mut read = |value: &str, samples| {
        let sample = Sample::new(percent(value).unwrap(), monday()).with_samples(samples);
        monitoring.answers.insert("errors", Ok(sample));
        assert!(rollout.read(&mut monitoring).failed.is_empty());
        let report = rollout.report("a").unwrap();
        let unmet: Vec<_> = report.unmet.iter().map(ToString::to_string).collect();
        (report.state.stage.to_string(), unmet)
    };
    let (stage, unmet) = read("100%", 1);
    assert_eq!(stage, "few");
    let held = "the last reading of `errors` is 100%, of 1 sample; a trigger requires at least 500 samples";
    assert_eq!(unmet, [held]);
    assert_eq!(read("100%", 499).0, "few");
    assert_eq!(read("0.2%", 500), ("few".to_owned(), Vec::new()));
    assert_eq!(read("100%", 500).0, "off");
    let about = rollout.report("a").unwrap().state.incident.unwrap().about;
    assert_eq!(&*about, "errors > 5% (100%, of 500 samples)");
}
