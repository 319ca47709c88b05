//! What stands at a journal's end: whole lines, or one that a crash has cut off.

use std::io;

use super::reading::{CHUNK, Place};
use crate::rollout::{Journal, lines};
use crate::store::File;

/// What is after the last line end: a line that was being written.
#[derive(Debug)]
pub(super) struct Tail {
    /// The bytes of the whole lines before it.
    pub(super) whole: u64,
    pub(super) torn: Vec<u8>,
}

impl Tail {
    /// Whether the whole lines are what was written is for whoever reads them.
    pub(super) fn of(journal: &mut dyn File) -> io::Result<Tail> {
        let size = journal.size()?;
        let mut back = CHUNK;
        loop {
            let from = size.saturating_sub(back);
            let mut torn = journal.read_at(from, size - from)?;
            if let Some(end) = memchr::memrchr(b'\n', &torn) {
                let torn = torn.split_off(end + 1);
                return Ok(Tail { whole: from + end as u64 + 1, torn });
            }
            if from == 0 {
                return Ok(Tail { whole: 0, torn });
            }
            back *= 2;
        }
    }

    /// How many lines are left when it is cut off, or why it must not be. What comes after the last
    /// line end was never acknowledged, unless a line before it is damaged, too, or it is a whole
    /// record but for its line end, of which something else has taken the place.
    pub(super) fn is_of_a_crash(&self, file: &mut dyn File) -> io::Result<Result<u64, String>> {
        let (mut journal, mut place) = (Journal::new(), Place::default());
        loop {
            let chunk = place.read_on(file, self.whole)?;
            if chunk.is_empty() {
                break;
            }
            for line in lines(&chunk) {
                if let Err(damage) = journal.read(line) {
                    let (line, offset, what) = (damage.line, damage.offset, damage.what);
                    return Ok(Err(format!("line {line}, byte {offset}: {what}")));
                }
            }
        }
        let (number, _) = journal.head();
        Ok(match self.torn.split_last() {
            Some((_, line)) if journal.read(line).is_ok() => {
                Err(format!("line {}: its line end was changed", number + 1))
            }
            _ => Ok(number),
        })
    }
}
