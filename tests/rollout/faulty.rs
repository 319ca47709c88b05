//! A store that fails and hangs on demand.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use stagegate::rollout::{Store, StoreError};
use stagegate::store::Memory;

/// A store in memory with injected faults.
#[derive(Debug)]
pub(crate) struct Faulty {
    memory: Memory,
    faults: Arc<Faults>,
}

/// The faults of a [`Faulty`] store, set by the test.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Every append fails.
    pub(crate) no_append: AtomicBool,
    /// Every read fails.
    pub(crate) no_read: AtomicBool,
    /// The number of attempted appends.
    pub(crate) appends: AtomicUsize,
    /// Appends of lines that contain this text fail.
    pub(crate) bad_text: Mutex<Option<String>>,
    /// If set, the next append or read waits here for the test.
    append: Mutex<Option<Meeting>>,
    read: Mutex<Option<Meeting>>,
}

/// The store's side of a hanging call: it reports that it has begun, and waits until it may go on.
#[derive(Debug)]
struct Meeting {
    begun: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

/// The test's side of a hanging call.
#[derive(Debug)]
pub(crate) struct HungCall {
    begun: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl HungCall {
    /// Waits until the store has been called.
    pub(crate) fn wait_until_called(&self) {
        self.begun.recv().unwrap();
    }

    /// Lets the call continue.
    pub(crate) fn go_on(self) {
        self.go_on.send(()).unwrap();
    }
}

impl Faults {
    pub(crate) fn set(fault: &AtomicBool, is_on: bool) {
        fault.store(is_on, Ordering::SeqCst);
    }

    /// Makes appends and reads fail, or work again.
    pub(crate) fn dead(&self, is_dead: bool) {
        Faults::set(&self.no_append, is_dead);
        Faults::set(&self.no_read, is_dead);
    }

    /// Makes the next append hang.
    pub(crate) fn hang_append(&self) -> HungCall {
        Faults::hang(&self.append)
    }

    /// Makes the next read hang.
    pub(crate) fn hang_read(&self) -> HungCall {
        Faults::hang(&self.read)
    }

    fn hang(place: &Mutex<Option<Meeting>>) -> HungCall {
        let ((begun, at), (go_on, may)) = (mpsc::channel(), mpsc::channel());
        *place.lock().unwrap() = Some(Meeting { begun, go_on: may });
        HungCall { begun: at, go_on }
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
