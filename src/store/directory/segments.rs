//! The files of a journal: one for each segment.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::JOURNAL;
use crate::store::Files;

/// The highest first line of a segment, so that no line number overflows.
pub(super) const MAX_BEGIN: u64 = u64::MAX >> 1;

/// Returns the file of the segment that begins with this line: `journal.jsonl` for the first one, then
/// `journal-000000004001.jsonl`.
pub(in crate::store) fn path_of(directory: &Path, begin: u64) -> PathBuf {
    match begin {
        0 | 1 => directory.join(JOURNAL),
        begin => directory.join(format!("journal-{begin:012}.jsonl")),
    }
}

/// Returns the first line of the segment in a file of this name.
fn begin_of(name: &str) -> Option<u64> {
    if name == JOURNAL {
        return Some(1);
    }
    let digits = name.strip_prefix("journal-")?.strip_suffix(".jsonl")?;
    let begin = digits.parse().ok().filter(|begin| (2..=MAX_BEGIN).contains(begin))?;
    (format!("{begin:012}") == digits).then_some(begin)
}

/// Returns the first line of each segment in a directory, in order. The names end with `ending`, which is empty in a
/// store.
pub(in crate::store) fn list(
    files: &mut dyn Files,
    directory: &Path,
    ending: &str,
) -> io::Result<Vec<u64>> {
    let names = files.list(directory)?;
    let begin_of = |name: &OsString| begin_of(name.to_str()?.strip_suffix(ending)?);
    let mut begins: Vec<u64> = names.iter().filter_map(begin_of).collect();
    begins.sort_unstable();
    Ok(begins)
}
