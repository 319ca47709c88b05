//! A store that tests make fail or hang.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use stagegate::rollout::{Store, StoreError};
use stagegate::store::Memory;

/// A store in memory that fails and hangs on demand.
#[derive(Debug)]
pub(crate) struct Faulty {
    memory: Memory,
    faults: Arc<Faults>,
}

/// What is wrong with a [`Faulty`] store.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Every append fails.
    pub(crate) no_append: AtomicBool,
    /// Every read fails.
    pub(crate) no_read: AtomicBool,
    /// How many appends were tried.
    pub(crate) appends: AtomicUsize,
    /// Appends of lines that contain this text fail.
    pub(crate) bad_text: Mutex<Option<String>>,
    /// The next append, and the next read, meet here.
    append: Mutex<Option<Meeting>>,
    read: Mutex<Option<Meeting>>,
}

/// Where a call of the store says that it is under way, and waits until it may go on.
#[derive(Debug)]
struct Meeting {
    begun: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

/// The test's side of a meeting.
#[derive(Debug)]
pub(crate) struct Hung {
    begun: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Hung {
    /// Waits until the call is under way.
    pub(crate) fn is_under_way(&self) {
        self.begun.recv().unwrap();
    }

    /// Lets the call go on.
    pub(crate) fn go_on(self) {
        self.go_on.send(()).unwrap();
    }
}

impl Faults {
    pub(crate) fn set(fault: &AtomicBool, is_on: bool) {
        fault.store(is_on, Ordering::SeqCst);
    }

    /// Appends and reads fail, or work again.
    pub(crate) fn dead(&self, is_dead: bool) {
        Faults::set(&self.no_append, is_dead);
        Faults::set(&self.no_read, is_dead);
    }

    /// The next append hangs.
    pub(crate) fn hang_append(&self) -> Hung {
        Faults::hang(&self.append)
    }

    /// The next read hangs.
    pub(crate) fn hang_read(&self) -> Hung {
        Faults::hang(&self.read)
    }

    fn hang(place: &Mutex<Option<Meeting>>) -> Hung {
        let ((begun, at), (go_on, may)) = (mpsc::channel(), mpsc::channel());
        *place.lock().unwrap() = Some(Meeting { begun, go_on: may });
        Hung { begun: at, go_on }
    }

    fn meet(place: &Mutex<Option<Meeting>>) {
        let meeting = place.lock().unwrap().take();
        if let Some(Meeting { begun, go_on }) = meeting {
            begun.send(()).unwrap();
            let _ = go_on.recv();
        }
    }
}

impl Faulty {
    pub(crate) fn on(memory: &Memory) -> (Faulty, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        (Faulty { memory: memory.clone(), faults: Arc::clone(&faults) }, faults)
    }
}

impl Store for Faulty {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        if self.faults.no_read.load(Ordering::SeqCst) {
            return Err(StoreError::io("the disk cannot be read"));
        }
        let lines = self.memory.read(from);
        Faults::meet(&self.faults.read);
        lines
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        Faults::meet(&self.faults.append);
        self.faults.appends.fetch_add(1, Ordering::SeqCst);
        let text = String::from_utf8_lossy(line);
        let bad = self.faults.bad_text.lock().unwrap();
        if self.faults.no_append.load(Ordering::SeqCst)
            || bad.as_ref().is_some_and(|bad| text.contains(&**bad))
        {
            return Err(StoreError::io("the disk is gone"));
        }
        self.memory.append(number, line)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.memory.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.memory.document(hash)
    }

    fn label(&self) -> String {
        "(faulty)".to_owned()
    }
}
