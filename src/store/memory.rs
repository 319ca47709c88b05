//! A store in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rollout::{Store, StoreError};

/// A store in memory, for tests. Clones share their content, so another rollout can open the same store.
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
#[derive(Default)]
pub struct Memory {
    content: Arc<Mutex<Content>>,
    /// The number of the last line that this handle appended.
    appended: Option<u64>,
}

#[derive(Default)]
struct Content {
    lines: Vec<Vec<u8>>,
    documents: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Memory {
        Memory::default()
    }

    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns another handle on the same store, as another process would have.
impl Clone for Memory {
    fn clone(&self) -> Memory {
        Memory { content: Arc::clone(&self.content), appended: None }
    }
}

/// Shows only counts, because documents list users.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.lock();
        f.debug_struct("Memory")
            .field("lines", &content.lines.len())
            .field("documents", &content.documents.len())
            .finish_non_exhaustive()
    }
}

impl Store for Memory {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        Ok(self.lock().lines.iter().skip(skipped).flatten().copied().collect())
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let mut content = self.lock();
        let follows = content.lines.len() as u64 + 1;
        if self.appended == Some(number)
            && follows == number + 1
            && content.lines.last().is_some_and(|last| last == line)
        {
            return Ok(());
        }
        if number != follows {
            return Err(StoreError::conflict(format!("the next line is {follows}, not {number}")));
        }
        content.lines.push(line.to_vec());
        drop(content);
        self.appended = Some(number);
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
