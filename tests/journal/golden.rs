//! The format, byte for byte: `docs/journal.md` is its specification.

use std::collections::BTreeSet;

use stagegate::rollout::{Hash, Journal, Rollout};

use super::disk::Disk;
use super::story::{FACTS, STEPS, begin, clock, standing};

/// The journal of the whole story. Times are those of a clock set by hand, so it is always the same.
pub(crate) fn told() -> (Disk, Rollout) {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begin(disk.create().unwrap(), &clock).unwrap();
    for (index, step) in STEPS.iter().enumerate() {
        step(&rollout, &clock).unwrap_or_else(|error| panic!("step {index}: {error}"));
    }
    (disk, rollout)
}

#[test]
fn the_format_is_as_on_record_with_every_fact() {
    let (disk, _) = told();
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

/// What any other reader has to do, done here with no more than a hash function.
#[test]
fn the_chain_is_what_the_specification_says() {
    let (disk, rollout) = told();
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
fn what_is_read_is_written_again_to_the_byte() {
    let (disk, _) = told();
    let (mut reading, mut writing) = (Journal::new(), Journal::new());
    for line in disk.journal().split_inclusive(|byte| *byte == b'\n') {
        let record = reading.read(&line[..line.len() - 1]).unwrap();
        let (again, bytes) = writing.write(record.clone());
        assert_eq!((again, &bytes[..]), (record.clone(), line));
        writing.wrote(&record, &bytes);
    }
    assert_eq!(reading.head(), writing.head());
}

#[test]
fn a_journal_on_record_opens_to_the_same_state() {
    let (disk, rollout) = told();
    let again = Rollout::open(disk.copy().open().unwrap(), clock()).unwrap();
    assert_eq!(standing(&again), standing(&rollout));
    assert_eq!(again.status().head, rollout.status().head);
    assert_eq!(
        standing(&again),
        ["other: off rolled back by off", "search: pilot rolled back by pilot"]
    );
}

/// As people read it: one line a record.
#[test]
fn records_read_as_on_record() {
    let (_, rollout) = told();
    let lines: Vec<String> = rollout.records(1).unwrap().iter().map(ToString::to_string).collect();
    let found = lines.join("\n") + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journal/every-fact.txt");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "not as on record; found:\n{found}");
}
