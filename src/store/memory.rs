//! A store that is gone with its process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rollout::{Store, StoreError};

/// A store in memory: for tests. A clone is the same store, so another rollout can open what one
/// has left.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::Memory;
///
/// let (store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
/// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
/// let first = Rollout::start(store.clone(), clock.clone(), document, "ana")?;
/// first.by("ana").roll_back("a", "it is slow")?;
/// let second = Rollout::open(store, clock)?;
/// assert_eq!(second.status().flags[0].state.stage, "off");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    lines: Vec<Vec<u8>>,
    documents: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(self.lock().lines.iter().skip(skipped).flatten().copied().collect())
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let mut content = self.lock();
        if u64::try_from(content.lines.len()).ok() != number.checked_sub(1) {
            return Err(StoreError::conflict(format!("there is a line {number} already")));
        }
        content.lines.push(line.to_vec());
        Ok(())
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.lock().documents.insert(hash.to_owned(), document.to_vec());
        Ok(())
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        let found = self.lock().documents.get(hash).cloned();
        found.ok_or_else(|| StoreError::missing(format!("there is no document {hash}")))
    }

    fn label(&self) -> String {
        "(memory)".to_owned()
    }
}
