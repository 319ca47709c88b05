//! Reading a journal in parts.

use std::ops::ControlFlow;

use stagegate::rollout::{Rollout, Store, StoreError};
use stagegate::store::{Directory, Memory};

use super::story::{STEPS, begin, clock};

/// Reads all lines from line `from` on. Each read starts where the last one ended.
fn all(store: &mut dyn Store, from: usize) -> Vec<u8> {
    let (mut all, mut next) = (Vec::new(), from);
    loop {
        let lines = store.read(next as u64).unwrap();
        if lines.is_empty() {
            return all;
        }
        assert!(lines.ends_with(b"\n"));
        next += lines.iter().filter(|byte| **byte == b'\n').count();
        all.extend(lines);
    }
}

/// Lines are longer and shorter than the buffer of one read, and the journal may end with an incomplete line.
#[test]
fn a_journal_larger_than_one_read_is_read_from_any_line() {
    let path = std::env::temp_dir().join(format!("stagegate-reading-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    drop(Directory::create(&path).unwrap());
    let lens = (0..4_000).map(|number| number * 7_919 % 2_003);
    let long = [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, 0, 5];
    let lens = lens.clone().chain(long).chain(lens);
    let lines: Vec<Vec<u8>> = lens
        .zip((b'a'..=b'z').cycle())
        .map(|(len, x)| [vec![x; len], vec![b'\n']].concat())
        .collect();
    let journal = lines.concat();
    let file = path.join("journal.jsonl");
    std::fs::write(&file, &journal).unwrap();

    let mut writing = Directory::open(&path).unwrap();
    let mut looking = Directory::read_only(&path).unwrap();
    let torn = [&journal[..], &[b'x'; 3_000][..]].concat();
    let from = [1, 2, 700, 3_999, 4_001, 4_002, 4_003, 4_004, 4_006, lines.len(), lines.len() + 1];
    for from in from.into_iter().chain([1, lines.len() + 100]) {
        let expected = lines.iter().skip(from - 1).flatten().copied().collect::<Vec<u8>>();
        assert!(all(&mut writing, from) == expected, "from {from}");
        std::fs::write(&file, &torn).unwrap();
        assert!(all(&mut looking, from) == expected, "from {from}, looking");
    }
    std::fs::write(&file, &journal).unwrap();
    // Appending checks the line number, wherever the last read stopped, and if nothing was read.
    writing.read(1).unwrap();
    let next = lines.len() as u64 + 1;
    assert!(writing.append(next - 1, b"no\n").unwrap_err().is_conflict());
    writing.append(next, b"yes\n").unwrap();
    assert_eq!(writing.read(next).unwrap(), b"yes\n");
    drop(writing);
    let mut unread = Directory::open(&path).unwrap();
    unread.append(next + 1, b"and\n").unwrap();
    assert_eq!(unread.read(next).unwrap(), b"yes\nand\n");
    std::fs::remove_dir_all(&path).unwrap();
}

/// A store that returns one line per read, the least that a store may return.
#[derive(Debug)]
struct OneByOne(Memory);

impl Store for OneByOne {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let lines = self.0.read(from)?;
        Ok(lines.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec())
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.0.append(number, line)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.0.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.0.document(hash)
    }

    fn label(&self) -> String {
        self.0.label()
    }
}

#[test]
fn a_store_may_return_a_line_at_a_time() {
    let (store, clock) = (Memory::new(), clock());
    let rollout = begin(store.clone(), &clock).unwrap();
    STEPS.iter().for_each(|step| step(&rollout, &clock).unwrap());
    let again = Rollout::open(OneByOne(store), clock).unwrap();
    assert_eq!(again.records(1).unwrap(), rollout.records(1).unwrap());
    assert!(again.records(1).unwrap().len() > 20);
    assert_eq!(again.status().head, rollout.status().head);
    let states = |rollout: &Rollout| {
        let status = rollout.status();
        status.flags.into_iter().map(|report| report.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&again), states(&rollout));
}

/// Reading a journal of years takes a while, and a rollback must not wait for it.
#[test]
fn others_act_while_records_are_read() {
    let (store, clock) = (Memory::new(), clock());
    let rollout = begin(store, &clock).unwrap();
    rollout.by("ana").promote("search").unwrap();
    let mut seen = Vec::new();
    rollout
        .for_each_record(2, |record| {
            if record.seq == 2 {
                let other = rollout.clone();
                let act = move || other.by("ben").roll_back("search", "slow").unwrap();
                assert!(std::thread::spawn(act).join().unwrap().unrecorded.is_none());
            }
            seen.push(record.to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            "#2 2026-01-05T09:00:00Z ana: search: promoted, off -> internal",
            "#3 2026-01-05T09:00:00Z ben: search: rolled back (slow), internal -> off"
        ]
    );
    let mut first = Vec::new();
    rollout
        .for_each_record(0, |record| {
            first.push(record.seq);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(first, [1]);
}
