//! A store that fails or hangs: promotions fail, and rollbacks work.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use stagegate::clock::ManualClock;
use stagegate::rollout::{Rollout, Store, StoreError};
use stagegate::store::Memory;

use super::{DOCUMENT, assert_same_after_reopen, monday};

/// A store in memory that fails or hangs on demand.
#[derive(Debug)]
struct Breakable {
    store: Memory,
    dead: Arc<AtomicBool>,
    /// If set, an armed write meets the test here twice: when it begins, and before it goes on.
    hang: Option<Arc<Barrier>>,
    /// 1 arms the next write, which sets 2.
    hung: Arc<AtomicUsize>,
}

impl Breakable {
    fn new() -> Breakable {
        Breakable { store: Memory::new(), dead: Arc::default(), hang: None, hung: Arc::default() }
    }
}

impl Store for Breakable {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.store.read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        if let Some(hang) = &self.hang
            && self.hung.load(Ordering::SeqCst) == 1
        {
            self.hung.store(2, Ordering::SeqCst);
            hang.wait();
            hang.wait();
        }
        if self.dead.load(Ordering::SeqCst) {
            return Err(StoreError::io("the disk is gone"));
        }
        self.store.append(number, line)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.store.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.store.document(hash)
    }

    fn label(&self) -> String {
        "(breakable)".to_owned()
    }
}

#[test]
fn with_a_dead_store_promotions_fail_and_rollbacks_work() {
    let store = Breakable::new();
    let (memory, dead) = (store.store.clone(), Arc::clone(&store.dead));
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();

    dead.store(true, Ordering::SeqCst);
    let error = ana.promote("other").unwrap_err();
    assert_eq!(error.to_string(), "(breakable): the disk is gone");
    assert!(
        !rollout.gate().is_enabled("ana", "other"),
        "the promotion is not durable, so it is not in force"
    );
    assert_eq!(rollout.report("other").unwrap().state.stage, "off");

    let outcome = ana.roll_back("search", "errors").unwrap();
    assert!(!rollout.gate().is_enabled("ana", "search"), "the rollback is in force without a disk");
    assert_eq!(outcome.unrecorded.unwrap().to_string(), "(breakable): the disk is gone");
    let status = rollout.status();
    assert_eq!(status.unrecorded, ["search".into()]);
    assert_eq!(status.last_error.unwrap().to_string(), "(breakable): the disk is gone");
    let search = status.flags.iter().find(|it| &*it.flag == "search").unwrap();
    assert_eq!((&*search.state.stage, &*search.serving), ("internal", "off"));
    assert!(rollout.tick().error.is_some(), "a tick retries and returns the error");
    // A second rollback adds no second record, and a forced promotion does not undo the first.
    ana.roll_back("search", "errors").unwrap();
    assert!(ana.force("search", "hurry").is_err());
    assert!(!rollout.gate().is_enabled("ana", "search"));

    clock.advance(super::HOUR);
    dead.store(false, Ordering::SeqCst);
    let report = rollout.tick();
    assert!(report.error.is_none());
    let lines: Vec<_> = report.records.iter().map(|it| it.fact.to_string()).collect();
    assert_eq!(lines, ["rolled back (errors)", "incident: verify done"]);
    let stagegate::rollout::Fact::RolledBack { effective_ms, .. } = report.records[0].fact else {
        panic!("{report:?}")
    };
    assert_eq!(effective_ms, Some(1_767_603_600_000), "the time when the rollback took effect");
    let status = rollout.status();
    assert!(status.unrecorded.is_empty() && status.last_error.is_none());
    assert_same_after_reopen(&rollout, &memory, &clock);
    // A query of the past counts the rollback from when it took effect.
    let past = rollout.at(monday()).unwrap();
    assert!(past.flags.iter().all(|(_, state)| state.stage == "off"));
}

/// The disk hangs while a promotion is being written. Rollback and status do not wait.
#[test]
fn a_rollback_does_not_wait_for_the_disk_and_wins_against_a_promotion() {
    let mut store = Breakable::new();
    let (memory, hung) = (store.store.clone(), Arc::clone(&store.hung));
    let barrier = Arc::new(Barrier::new(2));
    store.hang = Some(Arc::clone(&barrier));
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("search").unwrap();

    hung.store(1, Ordering::SeqCst);
    let (sender, promoted) = mpsc::channel();
    let promoting = rollout.clone();
    let thread = thread::spawn(move || {
        let outcome = promoting.by("ana").force_to("search", "ga", "hurry");
        sender.send(outcome.is_ok()).unwrap();
    });
    barrier.wait();
    // The promotion is being written, and holds the store.
    assert!(
        !rollout.gate().is_enabled("anybody", "search"),
        "the promotion is not durable, so it is not visible"
    );
    let outcome = rollout.by("ben").roll_back("search", "stop").unwrap();
    assert!(outcome.unrecorded.is_some());
    assert!(!rollout.gate().is_enabled("ana", "search"));
    assert_eq!(rollout.status().unrecorded, ["search".into()]);
    barrier.wait();
    thread.join().unwrap();
    assert!(promoted.recv().unwrap(), "the promotion was written");
    assert!(!rollout.gate().is_enabled("ana", "search"), "the rollback wins");
    let last = rollout.records(1).unwrap().pop().unwrap();
    assert!(last.to_string().contains("ben: search: rolled back (stop), ga -> off"), "{last}");
    assert_same_after_reopen(&rollout, &memory, &clock);
}
