//! Earlier segments move to an archive, and are read from there.
#![cfg(feature = "archive")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use stagegate::rollout::{Rollout, RolloutOptions, Store};
use stagegate::store::{Archive, Memory};

use super::story::{begin, clock, standing, steps_with_segments};

/// A store with the whole story in many segments, and an empty place for an archive.
fn story(name: &str) -> (Memory, Rollout, Archive, PathBuf) {
    let path =
        std::env::temp_dir().join(format!("stagegate-archive-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    let (store, clock) = (Memory::new(), clock());
    let rollout = begin(store.clone(), &clock).unwrap();
    steps_with_segments().into_iter().for_each(|step| step(&rollout, &clock).unwrap());
    (store, rollout, Archive::new(&path), path)
}

fn lines(store: &mut dyn Store, from: u64) -> Vec<u8> {
    let (mut all, mut next) = (Vec::new(), from);
    loop {
        let some = store.read(next).unwrap();
        if some.is_empty() {
            return all;
        }
        next += memchr::memchr_iter(b'\n', &some).count() as u64;
        all.extend(some);
    }
}

#[test]
fn an_archive_and_its_store_hold_the_same_records_as_before() {
    let (mut store, rollout, archive, path) = story("whole");
    let (before, records) = (lines(&mut store, 1), rollout.records(1).unwrap());
    let last = store.segment_of(u64::MAX).unwrap();
    assert_eq!(archive.take_from(&mut store).unwrap(), Some(1..=last - 1));
    assert_eq!(rollout.first_record().unwrap(), last);
    assert_eq!(archive.take_from(&mut store).unwrap(), None);

    let mut whole = archive.with(store.clone());
    assert_eq!(lines(&mut *whole, 1), before);
    for (from, number) in records.iter().zip(1..) {
        let line = whole.read(number).unwrap();
        assert!(line.starts_with(format!("{{\"seq\":{}", from.seq).as_bytes()));
        let begin = whole.segment_of(number).unwrap();
        assert!(begin <= number && whole.read(begin).unwrap().ends_with(&line));
    }
    let all = RolloutOptions::new().read_all_segments();
    let again = Rollout::open_with(whole, clock(), &all).unwrap();
    assert_eq!(again.records(1).unwrap(), records);
    assert_eq!(standing(&again), standing(&rollout));

    // `zcat` prints the first segment.
    let first = Command::new("zcat").arg(path.join("journal.jsonl.gz")).output().unwrap();
    assert!(before.starts_with(&first.stdout) && first.stdout.starts_with(b"{\"seq\":1,"));
    let documents = fs::read_dir(path.join("documents")).unwrap().count();
    assert_eq!(documents, 2, "the story has two documents before its last segment");
    fs::remove_dir_all(path).unwrap();
}

/// A crash after the files were written, and before the store has removed its segments.
#[test]
fn archiving_again_after_a_crash_completes_the_work() {
    let (mut store, rollout, archive, path) = story("again");
    let (mut copy, before) = (Memory::new(), lines(&mut store, 1));
    stagegate::store::copy(&mut store, &mut copy, None).unwrap();
    archive.take_from(&mut copy).unwrap();
    fs::write(path.join("journal-000000000002.new"), "half").unwrap();
    assert!(archive.take_from(&mut store).unwrap().is_some());
    assert_eq!(lines(&mut *archive.with(store), 1), before);
    assert_eq!(rollout.status().head.0, memchr::memchr_iter(b'\n', &before).count() as u64);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn an_archive_of_another_rollout_is_refused_and_nothing_is_removed() {
    let (mut store, _, archive, path) = story("other");
    archive.take_from(&mut store).unwrap();
    let mut other = Memory::new();
    let clock = clock();
    clock.advance(std::time::Duration::from_secs(1));
    let rollout = begin(other.clone(), &clock).unwrap();
    rollout.by("ana").begin_segment().unwrap();
    let error = archive.take_from(&mut other).unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` has other records: use another directory for each rollout",
            path.join("journal.jsonl.gz").display()
        )
    );
    assert_eq!(rollout.first_record().unwrap(), 1);
    fs::remove_dir_all(path).unwrap();
}

/// gzip has a checksum, and the records have their chain.
#[test]
fn a_damaged_archive_is_found() {
    let (mut store, rollout, archive, path) = story("damaged");
    archive.take_from(&mut store).unwrap();
    let file = path.join("journal.jsonl.gz");
    let bytes = fs::read(&file).unwrap();
    let open = || {
        let all = RolloutOptions::new().read_all_segments();
        Rollout::open_with(archive.with(store.clone()), clock(), &all)
    };
    assert_eq!(standing(&open().unwrap()), standing(&rollout));
    let (records, mut harmless) = (open().unwrap().records(1).unwrap(), 0);
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        fs::write(&file, &damaged).unwrap();
        // A few bits mean nothing, such as the date in the header and the padding before the checksum.
        if let Ok(opened) = open() {
            harmless += 1;
            assert_eq!(opened.records(1).unwrap(), records, "byte {place}");
        }
        fs::write(&file, &bytes[..place]).unwrap();
        assert!(open().is_err(), "cut off at {place}");
    }
    assert!(harmless < 12, "{harmless}");
    fs::remove_file(&file).unwrap();
    // The archive begins with a later segment now.
    let begin = open().unwrap().first_record().unwrap();
    assert!(begin > 1);
    let error = open().unwrap().records(1).unwrap_err().to_string();
    let last = rollout.first_record().unwrap() - 1;
    let expected = format!("(memory): lines 1 to {last} of the journal were moved to an archive");
    assert_eq!(error, expected);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_journal_with_damage_is_not_archived() {
    let (mut store, rollout, archive, path) = story("rotten");
    let mut rotten = Memory::new();
    for line in lines(&mut store, 1).split_inclusive(|byte| *byte == b'\n') {
        let number = rotten.read(1).unwrap().split(|byte| *byte == b'\n').count() as u64;
        let mut line = line.to_vec();
        if number == 3 {
            line[20] ^= 1;
        }
        match String::from_utf8_lossy(&line).contains("\"continued\"") {
            true => rotten.begin_segment(number, &line).unwrap(),
            false => rotten.append(number, &line).unwrap(),
        }
    }
    let hash = rollout.records(1).unwrap()[0].document.to_string();
    rotten.keep(&hash, &store.document(&hash).unwrap()).unwrap();
    let error = archive.take_from(&mut rotten).unwrap_err();
    assert!(error.is_damaged());
    assert_eq!(
        error.to_string(),
        "line 3: its hash does not fit: it, or a line before it, was changed"
    );
    assert_eq!(rotten.segment_of(1).unwrap(), 1);
    assert!(!path.join("journal.jsonl.gz").exists());
    fs::remove_dir_all(path).unwrap();
}
