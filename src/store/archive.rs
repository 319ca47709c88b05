//! An archive: earlier segments of a journal, as compressed files.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::directory::{segments, write_atomically};
use super::files::{Files, SystemFiles};
use crate::rollout::{
    Fact, Hash, Journal, Store, StoreError, Watcher, from_bare_lines, lines, to_bare_lines,
};

/// A directory with the earlier segments of a journal. Each is a file that `zcat` prints.
///
/// The files leave out hashes and numbers that follow from the line before. Reading fills them in, so that every line
/// has the bytes that it had in the store. The chapter on the journal has the format.
///
/// ```text
/// journal.jsonl.gz                 the first segment
/// journal-000000004001.jsonl.gz    a later segment, which begins with line 4001
/// documents/HASH.json              every document that was in force in them
/// ```
///
/// # Example
///
/// ```
/// use stagegate::clock::SystemClock;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::{Archive, Memory};
///
/// let store = Memory::new();
/// let document = "schema = 1\n[flags.new-checkout]\nstage = \"pilot\"";
/// let rollout = Rollout::start(store.clone(), SystemClock::new(), document, "ana")?;
/// rollout.by("ana").hold("new-checkout", "wait for legal")?;
/// rollout.by("ana").begin_segment()?;
///
/// # let path = std::env::temp_dir().join(format!("stagegate-archive-doc-{}", std::process::id()));
/// # let _ = std::fs::remove_dir_all(&path);
/// let archive = Archive::new(&path);
/// assert_eq!(archive.take_from(&mut store.clone())?, Some(1..=2));
///
/// assert!(rollout.records(1).is_err());
/// let whole = Rollout::open(archive.with(store), SystemClock::new())?;
/// assert_eq!(whole.records(1)?.len(), 3);
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
}

/// A store whose earlier segments are in an archive.
#[derive(Debug)]
struct Archived {
    store: Box<dyn Store>,
    archive: Archive,
    /// The last segment that was read from the archive: its first line, and its content.
    segment: Option<(u64, Vec<u8>)>,
}

/// The ending of the files, after the name of a segment.
const ENDING: &str = ".gz";

impl Archive {
    /// Returns the archive in a directory. [`take_from`](Archive::take_from) creates the directory.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Archive {
        Archive { path: path.as_ref().to_owned() }
    }

    /// Moves every segment but the last from a store to this archive, and copies their documents. Returns the numbers of
    /// the moved lines, or `None` if the journal has one segment.
    ///
    /// Checks each line before, and reads each file after it was written. If this fails half-way, the store still has
    /// every segment, and a second call completes the work.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if a segment is damaged, reading or writing fails, or the archive already has other
    /// content for a segment, as of another rollout.
    pub fn take_from(
        &self,
        store: &mut dyn Store,
    ) -> Result<Option<RangeInclusive<u64>>, StoreError> {
        let (first, last) = (store.segment_of(1)?, store.segment_of(u64::MAX)?);
        if first == last {
            return Ok(None);
        }
        let documents = self.path.join("documents");
        SystemFiles.create_directory(&documents).map_err(|error| self.failed(&error))?;
        let mut begin = first;
        while begin < last {
            let segment = Segment::read(store, begin)?;
            for hash in segment.documents {
                let document = store.document(&hash.to_string())?;
                let path = documents.join(format!("{hash}.json"));
                if std::fs::read(&path).ok().as_ref() != Some(&document) {
                    let written = write_atomically(&mut SystemFiles, &path, &document);
                    written.map_err(|error| self.failed(&error))?;
                }
            }
            self.keep(begin, &segment.lines)?;
            begin = segment.end;
        }
        store.remove_segments_before(last)?;
        Ok(Some(first..=last - 1))
    }

    /// Returns a store with all lines: the earlier ones from this archive, the others from `store`.
    #[must_use]
    pub fn with(&self, store: impl Store + 'static) -> Box<dyn Store> {
        Box::new(Archived { store: Box::new(store), archive: self.clone(), segment: None })
    }

    /// Writes a segment, unless it is already there.
    fn keep(&self, begin: u64, lines: &[u8]) -> Result<(), StoreError> {
        let path = self.path_of(begin);
        match self.read(begin) {
            Ok(known) if known == lines => return Ok(()),
            Ok(_) => {
                return Err(StoreError::conflict(format!(
                    "`{}` has other records: use another directory for each rollout",
                    path.display()
                )));
            }
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let compressed = encoder.write_all(&to_bare_lines(lines)).and_then(|()| encoder.finish());
        let written =
            compressed.and_then(|bytes| write_atomically(&mut SystemFiles, &path, &bytes));
        written.map_err(|error| self.failed(&error))?;
        match self.read(begin)? == lines {
            true => Ok(()),
            false => Err(StoreError::damaged(format!(
                "`{}` does not contain what was written. The store still has its records",
                path.display()
            ))),
        }
    }

    fn read(&self, begin: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.path_of(begin);
        let mut bare = Vec::new();
        let read = SystemFiles.open_to_read(&path).and_then(|mut file| {
            let bytes = file.read_at(0, u64::MAX)?;
            GzDecoder::new(&*bytes).read_to_end(&mut bare)
        });
        match read {
            Ok(_) => from_bare_lines(&bare, begin)
                .map_err(|what| StoreError::damaged(format!("`{}`: {what}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::missing(format!("there is no `{}`", path.display())))
            }
            Err(error) => Err(StoreError::damaged(format!("`{}`: {error}", path.display()))),
        }
    }

    fn path_of(&self, begin: u64) -> PathBuf {
        let mut path = segments::path_of(&self.path, begin).into_os_string();
        path.push(ENDING);
        path.into()
    }

    /// Returns the first line of the archived segment that holds this line.
    fn segment_of(&self, number: u64) -> Result<Option<u64>, StoreError> {
        let begins = segments::list(&mut SystemFiles, &self.path, ENDING);
        let begins = begins.map_err(|error| self.failed(&error))?;
        Ok(begins.iter().rfind(|begin| **begin <= number).or(begins.first()).copied())
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        StoreError::io(format!("archive `{}`: {error}", self.path.display()))
    }
}

/// A segment that is to be archived.
struct Segment {
    lines: Vec<u8>,
    /// The documents that were in force.
    documents: BTreeSet<Hash>,
    /// The first line of the next segment.
    end: u64,
}

impl Segment {
    /// Reads a segment that is not the last one, and checks each line.
    fn read(store: &mut dyn Store, begin: u64) -> Result<Segment, StoreError> {
        let mut journal = Journal::starting_at(begin);
        let mut segment = Segment { lines: Vec::new(), documents: BTreeSet::new(), end: begin };
        loop {
            let some = store.read(segment.end)?;
            if some.is_empty() {
                let end = segment.end;
                return Err(StoreError::damaged(format!("no segment begins with line {end}")));
            }
            for line in lines(&some) {
                let record = journal.read(line).map_err(|damage| {
                    StoreError::damaged(format!("line {}: {}", damage.line, damage.what))
                })?;
                if record.seq > begin && matches!(record.fact, Fact::Continued { .. }) {
                    return Ok(segment);
                }
                segment.documents.extend(record.documents());
                segment.lines.extend_from_slice(line);
                segment.lines.push(b'\n');
                segment.end = record.seq.saturating_add(1);
            }
        }
    }
}

impl Store for Archived {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let from = from.max(1);
        if self.store.segment_of(from)? <= from {
            return self.store.read(from);
        }
        let Some(begin) = self.archive.segment_of(from)?.filter(|begin| *begin <= from) else {
            // The store's error says which lines it lacks.
            return self.store.read(from);
        };
        if self.segment.as_ref().is_none_or(|(known, _)| *known != begin) {
            self.segment = Some((begin, self.archive.read(begin)?));
        }
        let Some((_, content)) = &self.segment else { return Ok(Vec::new()) };
        let skipped = usize::try_from(from - begin).unwrap_or(usize::MAX);
        let ends = memchr::memchr_iter(b'\n', content).map(|end| end + 1);
        let start = [0].into_iter().chain(ends).nth(skipped);
        match start.and_then(|start| content.get(start..)).filter(|rest| !rest.is_empty()) {
            Some(rest) => Ok(rest.to_vec()),
            None => self.store.read(from),
        }
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.store.append(number, line)
    }

    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        let begin = self.store.segment_of(number)?;
        if begin <= number.max(1) {
            return Ok(begin);
        }
        Ok(self.archive.segment_of(number)?.map_or(begin, |archived| archived.min(begin)))
    }

    fn begin_segment(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.store.begin_segment(number, line)
    }

    fn remove_segments_before(&mut self, number: u64) -> Result<(), StoreError> {
        self.store.remove_segments_before(number)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.store.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.store.document(hash)
    }

    fn notices(&self) -> Vec<String> {
        self.store.notices()
    }

    fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        self.store.watcher()
    }

    fn label(&self) -> String {
        self.store.label()
    }
}
