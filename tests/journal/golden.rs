//! The format of the journal, byte for byte. `docs/journal.md` is its specification.

use std::collections::BTreeSet;

use stagegate::rollout::{Hash, Journal, Rollout};

use super::disk::Disk;
use super::story::{FACTS, STEPS, begin, clock, standing};

/// Runs the whole story. The clock is set by hand, so the journal is always the same.
pub(crate) fn run_story() -> (Disk, Rollout) {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begin(disk.create().unwrap(), &clock).unwrap();
    for (index, step) in STEPS.iter().enumerate() {
        step(&rollout, &clock).unwrap_or_else(|error| panic!("step {index}: {error}"));
    }
    (disk, rollout)
}

#[test]
fn the_format_equals_the_golden_file_with_every_fact() {
    let (disk, _) = run_story();
    let found = String::from_utf8(disk.journal()).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journal/every-fact.jsonl");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "not as on record; found:\n{found}");

    let lines = found.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let facts: BTreeSet<String> = lines
        .map(|line| line["what"].as_object().unwrap().keys().next().unwrap().clone())
        .collect();
    assert_eq!(facts, FACTS.iter().map(|name| (*name).to_owned()).collect());
}

/// Verifies the chain as an independent reader would, with only a hash function.
#[test]
fn the_hash_chain_follows_the_specification() {
    let (disk, rollout) = run_story();
    let journal = String::from_utf8(disk.journal()).unwrap();
    let mut before = vec![0u8; 32];
    for line in journal.lines() {
        let (body, rest) = line.rsplit_once(",\"hash\":\"").unwrap();
        let hash = rest.strip_suffix("\"}").unwrap();
        assert_eq!(Hash::of(&[&before, body.as_bytes()].concat()).to_string(), hash);
        before = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap())
            .collect();
    }
    assert_eq!(rollout.status().head.0, journal.lines().count() as u64);
}

#[test]
fn records_are_written_back_byte_for_byte() {
    let (disk, _) = run_story();
    let (mut reading, mut writing) = (Journal::new(), Journal::new());
    for line in disk.journal().split_inclusive(|byte| *byte == b'\n') {
        let record = reading.read(&line[..line.len() - 1]).unwrap();
        let (again, bytes) = writing.encode(record.clone());
        assert_eq!((again, &bytes[..]), (record.clone(), line));
        writing.advance(&record, &bytes);
    }
    assert_eq!(reading.head(), writing.head());
}

#[test]
fn a_reopened_journal_gives_the_same_state() {
    let (disk, rollout) = run_story();
    let again = Rollout::open(disk.copy().open().unwrap(), clock()).unwrap();
    assert_eq!(standing(&again), standing(&rollout));
    assert_eq!(again.status().head, rollout.status().head);
    assert_eq!(
        standing(&again),
        ["other: off rolled back by off", "search: internal rolled back by internal"]
    );
}

/// Each record prints as one line of text.
#[test]
fn records_print_as_in_the_golden_file() {
    let (_, rollout) = run_story();
    let lines: Vec<String> = rollout.records(1).unwrap().iter().map(ToString::to_string).collect();
    let found = lines.join("\n") + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journal/every-fact.txt");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "not as on record; found:\n{found}");
}
