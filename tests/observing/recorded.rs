//! The `metrics` facade.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use stagegate::Gate;
use stagegate::integrate::{Figures, Metrics};
use stagegate::rollout::Rollout;

use super::reader::read;
use super::story::Story;
use super::{CANARY, no_user_in};

/// Returns every series as `name{label="value"}` with its value.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, String> {
    let all = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let labels = key.key().labels().map(|it| format!("{}=\"{}\"", it.key(), it.value()));
        let labels = labels.collect::<Vec<_>>().join(",");
        let value = match value {
            DebugValue::Counter(count) => format!("counter {count}"),
            DebugValue::Gauge(value) => format!("gauge {value}"),
            DebugValue::Histogram(_) => panic!("no histogram"),
        };
        (format!("{}{{{labels}}}", key.key().name()), value)
    });
    all.collect()
}

#[test]
fn events_are_counted() {
    let (recorder, mut story) = (DebuggingRecorder::new(), Story::new());
    metrics::with_local_recorder(&recorder, || {
        let metrics = Metrics::new();
        story.rollout.tell(metrics.clone());
        story.rollout.gate().observe(metrics);
        story.play();
        let _ = story.rollout.gate().set_stage("dark", "pilot");
        assert!(story.rollout.gate().is_enabled(CANARY, "checkout"));
    });
    let recorded = recorded(&recorder.snapshotter());
    no_user_in(format!("{recorded:?}"));
    let found: Vec<String> =
        recorded.iter().map(|(name, value)| format!("{name} {value}")).collect();
    assert_eq!(
        found,
        [
            "stagegate_notifications_total{flag=\"checkout\",kind=\"held\"} counter 1",
            "stagegate_notifications_total{flag=\"checkout\",kind=\"stage_changed\"} counter 2",
            "stagegate_notifications_total{flag=\"checkout\",kind=\"verdict_changed\"} counter 1",
            "stagegate_notifications_total{flag=\"search\",kind=\"rolled_back\"} counter 1",
            "stagegate_notifications_total{flag=\"search\",kind=\"stage_changed\"} counter 1",
            "stagegate_transitions_total{flag=\"checkout\",stage=\"pilot\"} counter 1",
            "stagegate_transitions_total{flag=\"checkout\",stage=\"team\"} counter 1",
            "stagegate_transitions_total{flag=\"search\",stage=\"off\"} counter 1",
            "stagegate_transitions_total{flag=\"search\",stage=\"team\"} counter 1",
            "stagegate_updates_total{result=\"applied\"} counter 4",
            "stagegate_updates_total{result=\"refused\"} counter 1",
        ]
    );
}

#[test]
fn figures_are_published_as_they_are_printed() {
    let (recorder, mut story) = (DebuggingRecorder::new(), Story::new());
    story.play();
    let figures = story.figures();
    metrics::with_local_recorder(&recorder, || Metrics::new().publish(&figures));
    let printed = read(&figures.to_string());
    let expected: BTreeMap<String, String> = printed
        .values
        .iter()
        .map(|((name, labels), value)| {
            let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
            (format!("{name}{{{}}}", labels.join(",")), format!("{} {value}", printed.types[name]))
        })
        .collect();
    assert_eq!(recorded(&recorder.snapshotter()), expected);
}

#[test]
fn figures_of_a_removed_flag_become_nan() {
    let recorder = DebuggingRecorder::new();
    let store = stagegate::store::Memory::new();
    let clock = stagegate::clock::SystemClock::new();
    let rollout = Rollout::start(store, clock, "schema = 1\n[flags.a]\n[flags.b]", "ana").unwrap();
    let recorded = metrics::with_local_recorder(&recorder, || {
        let metrics = Metrics::new();
        let publish = || metrics.publish(&Figures::of(&rollout.status(), &rollout.plan()));
        publish();
        rollout.by("ana").update("schema = 1\n[flags.a]").unwrap();
        publish();
        recorded(&recorder.snapshotter())
    });
    assert!(recorded.values().any(|value| value == "gauge NaN"));
    for (name, value) in recorded {
        assert_eq!(value == "gauge NaN", name.contains("flag=\"b\""), "{name} {value}");
    }
}

/// `docs/observing.md` has a row with the type and the labels of each metric.
#[test]
fn every_metric_is_described_and_documented() {
    let recorder = DebuggingRecorder::new();
    let descriptions = metrics::with_local_recorder(&recorder, || {
        let metrics = Metrics::new();
        let mut story = Story::new();
        story.rollout.tell(metrics.clone());
        story.rollout.gate().observe(metrics.clone());
        story.play();
        metrics.publish(&story.figures());
        recorder.snapshotter().snapshot().into_vec()
    });
    let chapter = include_str!("../../docs/observing.md");
    for (key, _, description, value) in descriptions {
        let kind = if matches!(value, DebugValue::Counter(_)) { "counter" } else { "gauge" };
        let name = key.key().name();
        assert!(description.is_some(), "{name} has no description");
        let row = format!("| `{name}` | {kind} | ");
        let line = chapter.lines().find(|line| line.starts_with(&row)).expect(&row);
        for label in key.key().labels() {
            assert!(line.contains(&format!("`{}`", label.key())), "`{}` in {line}", label.key());
        }
    }
}

/// `Metrics` can observe a gate without a rollout.
#[test]
fn without_a_recorder_nothing_happens() {
    let gate = Gate::from_document("schema = 1\n[flags.a]").unwrap();
    gate.observe(Metrics::new());
    gate.roll_back("a").unwrap();
}
