//! The store contract, and stores that violate it.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use stagegate::rollout::{Store, StoreError};
use stagegate::store::{Directory, Memory, conformance};

#[test]
fn the_stores_of_this_crate_conform() {
    let store = Memory::new();
    assert_eq!(conformance::check(&mut store.clone(), &mut store.clone()), Ok(()));

    let path = std::env::temp_dir().join(format!("stagegate-stores-{}", std::process::id()));
    for other in [Directory::open, Directory::read_only] {
        let _ = fs::remove_dir_all(&path);
        let mut store = Directory::create(&path).unwrap();
        assert_eq!(conformance::check(&mut store, &mut other(&path).unwrap()), Ok(()));
        drop(store);
        let mut reopened = Directory::open(&path).unwrap();
        let last = reopened.segment_of(u64::MAX).unwrap() + 10;
        assert_eq!(reopened.read(last).unwrap(), format!("{{\"n\":{last}}}\n").into_bytes());
    }
    fs::remove_dir_all(&path).unwrap();
}

/// Between fork and exec, a child process has copies of all open files. So it kept the lock of a store that was dropped
/// at that time.
#[test]
fn a_store_that_was_dropped_can_be_opened_while_programs_are_started() {
    let path = std::env::temp_dir().join(format!("stagegate-forked-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    drop(Directory::create(&path).unwrap());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Setting the working directory makes the standard library use fork instead of `posix_spawn`.
                let mut program = Command::new("true");
                program.current_dir("/").status().unwrap();
            }
        });
        let opened: Result<Vec<_>, _> =
            (0..2_000).map(|_| Directory::open(&path).map(drop)).collect();
        stop.store(true, Ordering::Relaxed);
        opened.unwrap();
    });
    fs::remove_dir_all(&path).unwrap();
}

/// A violation of the store contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    LeavesGaps,
    GivesNumbersTwice,
    ForgetsLines,
    TakesARepetitionForAnother,
    TakesAnothersForItsOwn,
    CutsDocuments,
    MakesDocumentsUp,
    SeesOnlyItself,
}

#[derive(Debug)]
struct Faulty(Fault, Memory);

impl Store for Faulty {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let from = if self.0 == Fault::ForgetsLines && from == 20 { 21 } else { from };
        self.1.read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let appended = self.1.append(number, line);
        match self.0 {
            Fault::LeavesGaps if number == 42 => Ok(()),
            Fault::GivesNumbersTwice if number == 7 => Ok(()),
            Fault::TakesARepetitionForAnother if number == 40 => {
                self.1 = self.1.clone();
                appended
            }
            Fault::TakesAnothersForItsOwn if line == b"{\"n\":41}\n" => Ok(()),
            _ => appended,
        }
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        let most = if self.0 == Fault::CutsDocuments { 1 << 20 } else { usize::MAX };
        self.1.keep(hash, &document[..document.len().min(most)])
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        let found = self.1.document(hash);
        if self.0 == Fault::MakesDocumentsUp { Ok(found.unwrap_or_default()) } else { found }
    }

    fn label(&self) -> String {
        "(faulty)".to_owned()
    }
}

#[test]
fn the_conformance_check_names_the_violation() {
    for (fault, expected) in [
        (Fault::LeavesGaps, "a line with a gap before it was accepted"),
        (Fault::GivesNumbersTwice, "another line of an earlier number was accepted"),
        (
            Fault::ForgetsLines,
            "read from 20: 21 lines instead of 21, of which the first 0 are right",
        ),
        (
            Fault::TakesARepetitionForAnother,
            "the same line once more, as after a lost answer, was refused: the next line is 41, not 40",
        ),
        (Fault::TakesAnothersForItsOwn, "the very same line by the other handle was accepted"),
        (Fault::CutsDocuments, "a document of 5242880 bytes was read back as 1048576 other bytes"),
        (Fault::MakesDocumentsUp, "a document that was not kept is there"),
        (
            Fault::SeesOnlyItself,
            "read by the other handle from 1: 0 lines instead of 40, of which the first 0 are right",
        ),
    ] {
        let store = Memory::new();
        let other = if fault == Fault::SeesOnlyItself { Memory::new() } else { store.clone() };
        let found = conformance::check(&mut Faulty(fault, store), &mut Faulty(fault, other));
        assert_eq!(found.unwrap_err(), expected, "{fault:?}");
    }
}
