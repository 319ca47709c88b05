//! The Prometheus text.

use std::collections::BTreeSet;

use stagegate::integrate::Figures;
use stagegate::rollout::{OutboxStatus, RolloutStatus};

use super::no_user_in;
use super::reader::read;
use super::story::Story;

#[test]
fn the_text_matches_the_golden_file() {
    let mut story = Story::new();
    story.play();
    let found = no_user_in(story.figures().to_string());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/observing.prom");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "differs from the golden file; found:\n{found}");
    assert_eq!(found, story.figures().to_string(), "the text is deterministic");
}

#[test]
fn an_independent_parser_reads_the_values() {
    let mut story = Story::new();
    story.play();
    let read = read(&story.figures().to_string());
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(name, value)| (String::from(*name), String::from(*value)));
        read.values.get(&(name.to_owned(), labels.collect())).copied()
    };
    let (checkout, search) = (("flag", "checkout"), ("flag", "search"));
    assert_eq!(value("stagegate_flag_users_ratio", &[checkout]), Some(0.125));
    assert_eq!(value("stagegate_flag_position", &[checkout]), Some(2.0));
    assert_eq!(value("stagegate_flag_stage", &[checkout, ("stage", "pilot")]), Some(1.0));
    assert_eq!(value("stagegate_flag_stage", &[checkout, ("stage", "off")]), Some(0.0));
    assert_eq!(value("stagegate_flag_standing", &[checkout, ("standing", "held")]), Some(1.0));
    assert_eq!(value("stagegate_flag_incident_open", &[search]), Some(1.0));
    assert_eq!(value("stagegate_flag_incident_open", &[checkout]), Some(0.0));
    assert_eq!(value("stagegate_flag_standing", &[search, ("standing", "rolled_back")]), Some(1.0));
    let written = value("stagegate_journal_written_timestamp_seconds", &[]);
    assert_eq!(written, Some(1_767_603_620.5));
    assert_eq!(value("stagegate_outbox_lost_total", &[("outbox", "chat")]), Some(1.0));
    let of_metric =
        |family, metric, arm| value(family, &[checkout, ("metric", metric), ("arm", arm)]);
    assert_eq!(of_metric("stagegate_metric_value", "complaints", "treatment"), Some(3.0));
    assert!(of_metric("stagegate_metric_ratio", "error_rate", "control").is_some());
    assert_eq!(of_metric("stagegate_metric_value", "complaints", "control"), None);

    // Exactly one of the states is 1.
    for name in ["stagegate_flag_stage", "stagegate_flag_standing", "stagegate_trigger_verdict"] {
        let mut sums = std::collections::BTreeMap::<_, f64>::new();
        for ((_, labels), value) in read.values.iter().filter(|((of, _), _)| of == name) {
            *sums.entry(&labels[..labels.len() - 1]).or_default() += value;
        }
        assert!(!sums.is_empty() && sums.values().all(|sum| *sum == 1.0), "{name}: {sums:?}");
    }
}

#[test]
fn a_dead_store_and_unrecorded_rollbacks_are_shown() {
    let mut story = Story::new();
    story.play();
    story.break_store();
    let _ = story.rollout.by("ana").roll_back("checkout", "errors");
    let text = story.figures().to_string();
    assert!(text.contains("\nstagegate_store_up 0\n"), "{text}");
    assert!(text.contains("\nstagegate_unrecorded_rollbacks 1\n"), "{text}");
    // The stage that the process serves, not the stage in the journal.
    assert!(text.contains("stagegate_flag_stage{flag=\"checkout\",stage=\"off\"} 1\n"), "{text}");
    assert!(text.contains("stagegate_flag_users_ratio{flag=\"checkout\"} 0\n"), "{text}");
}

#[test]
fn labels_are_escaped() {
    let names = ["a\"b\\c\nd", "\\n", "", "ü 🏁"];
    let outbox = OutboxStatus::default();
    let figures = names.iter().fold(Figures::default(), |it, name| it.with_outbox(name, &outbox));
    let read = read(&figures.to_string());
    let found: BTreeSet<&str> = read.values.keys().map(|(_, labels)| &*labels[0].1).collect();
    assert_eq!(found, BTreeSet::from(names));
    assert_eq!(read.values.len(), names.len() * 3);
}

#[test]
fn no_figures_give_an_empty_text() {
    assert_eq!(Figures::default().to_string(), "");
}

/// The plan determines the number of series. Users and time do not add any.
#[test]
fn the_number_of_series_is_bounded() {
    let mut story = Story::new();
    story.play();
    let before = read(&story.figures().to_string()).values.len();
    for _ in 0..20 {
        story.clock.advance(std::time::Duration::from_secs(30));
        let _ = story.rollout.by("somebody else").hold("checkout", "again");
        story.rollout.tick();
    }
    assert_eq!(read(&story.figures().to_string()).values.len(), before);
    let status: RolloutStatus = story.rollout.status();
    assert!(status.head.0 > 5);
    assert!(before < 120, "{before}");
}

/// `docs/observing.md` has a row with the type of each metric, and no other row.
#[test]
fn the_documentation_lists_every_metric() {
    let chapter = include_str!("../../docs/observing.md");
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `stagegate_"));
    let listed: BTreeSet<(String, &str)> = rows
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            (format!("stagegate_{name}"), rest.split_once(" | ").unwrap().0)
        })
        .filter(|(name, _)| {
            // Counters of events are not figures. `recorded.rs` tests them.
            !["notifications", "transitions", "updates"]
                .iter()
                .any(|it| *name == format!("stagegate_{it}_total"))
        })
        .collect();
    let mut story = Story::new();
    story.play();
    let types = read(&story.figures().to_string()).types;
    let found = types.iter().map(|(name, kind)| (name.clone(), &**kind)).collect();
    assert_eq!(listed, found);
}
