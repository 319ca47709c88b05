//! A store in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::removed_lines;
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
    /// The lines that are left, by their number.
    lines: BTreeMap<u64, Vec<u8>>,
    /// The numbers of the lines that begin a later segment.
    segments: BTreeSet<u64>,
    documents: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Memory {
        Memory::default()
    }

    fn add(&mut self, number: u64, line: &[u8], begins: bool) -> Result<(), StoreError> {
        let mut content = self.lock();
        let last = content.lines.last_key_value();
        let next = last.map_or(if begins { number } else { 1 }, |(last, _)| last.saturating_add(1));
        if self.appended == Some(number)
            && last.is_some_and(|(last, known)| *last == number && known == line)
        {
            return Ok(());
        }
        if number != next || number == 0 {
            return Err(StoreError::conflict(format!("the next line is {next}, not {number}")));
        }
        content.lines.insert(number, line.to_vec());
        if begins {
            content.segments.insert(number);
        }
        drop(content);
        self.appended = Some(number);
        Ok(())
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
        let content = self.lock();
        match content.lines.first_key_value() {
            Some((first, _)) if from.max(1) < *first => Err(removed_lines(*first)),
            _ => Ok(content.lines.range(from..).flat_map(|(_, line)| line).copied().collect()),
        }
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.add(number, line, false)
    }

    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        let content = self.lock();
        let first = content.lines.first_key_value().map_or(1, |(first, _)| *first);
        Ok(content.segments.range(..=number).next_back().copied().unwrap_or(first).max(first))
    }

    fn begin_segment(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.add(number, line, true)
    }

    fn remove_segments_before(&mut self, number: u64) -> Result<(), StoreError> {
        let mut content = self.lock();
        if !content.segments.contains(&number) {
            return Err(StoreError::refused(format!("line {number} begins no segment")));
        }
        content.lines = content.lines.split_off(&number);
        content.segments = content.segments.split_off(&number);
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
