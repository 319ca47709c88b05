//! Machines with separate clocks, and a store with injected faults.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use stagegate::clock::{Boot, Clock, Moment};
use stagegate::rollout::{Store, StoreError};
use stagegate::store::Memory;

/// 2026-01-05, in milliseconds.
const BEGIN: i64 = 1_767_603_600_000;

const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;

/// Possible errors of wall clocks, in milliseconds.
pub(crate) const SKEWS: [i64; 9] = [0, 0, 0, 50, -50, 300_000, -300_000, YEAR, -YEAR];

/// The state of a machine's clocks. Times are in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    pub(crate) boot: String,
    pub(crate) up: u64,
    /// The true time.
    pub(crate) now: u64,
    /// The error of the wall clock.
    pub(crate) skew: i64,
    /// The true time since which the wall clock has had this error.
    pub(crate) skewed_at: u64,
    /// Whether the uptime has gone backwards since the last restart.
    pub(crate) went_back: bool,
}

impl Clocks {
    /// Returns the time of the wall clock, in milliseconds since 1970.
    pub(crate) fn wall(&self) -> i64 {
        BEGIN + self.skew + i64::try_from(self.now).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Machine(pub(crate) Arc<Mutex<Clocks>>);

impl Machine {
    pub(crate) fn new(boot: String, up: u64, skew: i64) -> Machine {
        let clocks = Clocks { boot, up, now: 0, skew, skewed_at: 0, went_back: false };
        Machine(Arc::new(Mutex::new(clocks)))
    }

    pub(crate) fn clocks(&self) -> Clocks {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Clocks)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Clock for Machine {
    fn now(&self) -> Moment {
        let clocks = self.clocks();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(clocks.wall().unsigned_abs());
        Moment::new(wall, Duration::from_millis(clocks.up), Boot::new(clocks.boot))
    }
}

/// A fault of a process's store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The next append fails and writes nothing.
    Append,
    /// The next append writes its line, but reports an error.
    Answer,
    /// The next document is not stored.
    Keep,
    /// The next read fails.
    Read,
    /// Every operation fails until the fault is removed.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) store: Memory,
    pub(crate) fault: Arc<Mutex<Option<Fault>>>,
}

impl Faulty {
    /// Returns whether the store has this fault. Removes the fault unless it is `Dead`.
    fn meets(&self, fault: Fault) -> bool {
        let mut present = self.fault.lock().unwrap();
        if *present == Some(fault) {
            *present = None;
            return true;
        }
        *present == Some(Fault::Dead)
    }

    fn failed<T>() -> Result<T, StoreError> {
        Err(StoreError::io("the disk is gone"))
    }
}

impl Store for Faulty {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        if self.meets(Fault::Read) { Faulty::failed() } else { self.store.read(from) }
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        if self.meets(Fault::Append) {
            return Faulty::failed();
        }
        self.store.append(number, line)?;
        if self.meets(Fault::Answer) { Faulty::failed() } else { Ok(()) }
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        if self.meets(Fault::Keep) { Faulty::failed() } else { self.store.keep(hash, document) }
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        if self.meets(Fault::Read) { Faulty::failed() } else { self.store.document(hash) }
    }

    fn label(&self) -> String {
        "(faulty)".to_owned()
    }
}
