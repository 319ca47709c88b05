//! The end of a journal, where a crash may have left an incomplete line.

use std::io;

use super::cursor::{CHUNK, Cursor};
use crate::rollout::{Journal, lines};
use crate::store::File;

/// The bytes after the last line end: an incomplete line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The number of bytes of the complete lines before it.
    pub(super) whole: u64,
    pub(super) torn: Vec<u8>,
}

impl Tail {
    /// Finds the last line end. Does not validate complete lines; the reader does.
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

    /// Returns the number of the last complete line, if only a crash explains the incomplete line. Else returns the
    /// damage. The file begins with line `begin`.
    ///
    /// An incomplete line was never acknowledged, so it can be removed. There are two exceptions, which must stay: a
    /// line before it is damaged, or it is a complete record whose line end was replaced by another byte.
    pub(super) fn count_complete_lines(
        &self,
        file: &mut dyn File,
        begin: u64,
    ) -> io::Result<Result<u64, String>> {
        let (mut journal, mut cursor) = (Journal::starting_at(begin), Cursor::before(begin));
        loop {
            let chunk = cursor.read_on(file, self.whole)?;
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
        if begin > 1 && number < begin {
            return Ok(Err(format!(
                "line {begin}: it is incomplete, although a segment is written as a whole"
            )));
        }
        Ok(match self.torn.split_last() {
            Some((_, line)) if journal.read(line).is_ok() => {
                Err(format!("line {}: its line end was changed", number + 1))
            }
            _ => Ok(number),
        })
    }
}
