//! Machines with clocks of their own, and a store that fails when it is told to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use stagegate::clock::{Boot, Clock, Moment};
use stagegate::rollout::{Store, StoreError};
use stagegate::store::Memory;

/// 2026-01-05, in milliseconds.
const BEGIN: i64 = 1_767_603_600_000;

const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;

/// By how many milliseconds wall clocks are wrong.
pub(crate) const SKEWS: [i64; 9] = [0, 0, 0, 50, -50, 300_000, -300_000, YEAR, -YEAR];

/// What a machine's clocks say.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    pub(crate) boot: String,
    pub(crate) up: u64,
    /// The true time, and by how much the wall clock is wrong.
    pub(crate) now: u64,
    pub(crate) skew: i64,
    /// Since when the wall clock has been wrong by that much.
    pub(crate) skewed_at: u64,
    /// Whether its uptime has ever gone backwards.
    pub(crate) went_back: bool,
}

impl Hands {
    /// What the wall clock says, in milliseconds since 1970.
    pub(crate) fn wall(&self) -> i64 {
        BEGIN + self.skew + i64::try_from(self.now).unwrap()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Machine(pub(crate) Arc<Mutex<Hands>>);

impl Machine {
    pub(crate) fn new(boot: String, up: u64, skew: i64) -> Machine {
        let hands = Hands { boot, up, now: 0, skew, skewed_at: 0, went_back: false };
        Machine(Arc::new(Mutex::new(hands)))
    }

    pub(crate) fn hands(&self) -> Hands {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Hands)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Clock for Machine {
    fn now(&self) -> Moment {
        let hands = self.hands();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(hands.wall().unsigned_abs());
        Moment::new(wall, Duration::from_millis(hands.up), Boot::new(hands.boot))
    }
}

/// What goes wrong with a process's store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The next line is not written, and that is said.
    Append,
    /// The next line is written, and its answer is lost.
    Answer,
    /// The next document is not kept.
    Keep,
    /// The journal cannot be read, once.
    Read,
    /// Nothing works until it is healed.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) store: Memory,
    pub(crate) fault: Arc<Mutex<Option<Fault>>>,
}

impl Faulty {
    /// Whether the fault is there; one that happens once is over then.
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
