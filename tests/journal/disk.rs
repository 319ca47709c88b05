//! A simulated disk in memory. It can fail, and it can lose its power. After a power failure, unsynced data
//! is there, or missing, or there in part.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use stagegate::store::{Directory, File, Files};

/// The size of a sector, which the disk keeps or loses as a whole.
const SECTOR: usize = 512;

pub(crate) const JOURNAL: &str = "store/journal.jsonl";

/// A simulated disk. Clones share the content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Content>>);

#[derive(Clone, Debug, Default)]
struct Content {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    /// The names that certainly survive a power failure.
    durable_names: BTreeMap<PathBuf, usize>,
    /// The number of operations so far. Each can fail.
    operations: usize,
    fault: Option<(usize, Fault)>,
    /// A description of each operation.
    log: Vec<String>,
    /// The journal that another process leaves when it unlocks. It unlocks when somebody waits for the lock.
    journal_after_unlock: Option<Vec<u8>>,
    /// Whether every handle can lock a file, as on some network file systems.
    has_broken_locks: bool,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// The changes since the last sync.
    unsynced: Vec<Change>,
    locked: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A fault at a given operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation fails, once.
    Once,
    /// The operation and every later one fail.
    Forever,
    /// The operation fails, once, but half of its bytes are written.
    Half,
}

fn is_segment(path: &Path) -> bool {
    path.starts_with("store") && path.extension().is_some_and(|ending| ending == "jsonl")
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(offset, written) => {
                let end = offset + written.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(written);
            }
            Change::Truncate(len) => bytes.resize(*len, 0),
        }
    }
}

impl Disk {
    pub(crate) fn new() -> Disk {
        Disk::default()
    }

    fn with<T>(&self, action: impl FnOnce(&mut Content) -> T) -> T {
        action(&mut self.0.lock().unwrap())
    }

    /// Lets an operation fail. `number` counts the operations from now on, from 1.
    pub(crate) fn fail(&self, number: usize, fault: Fault) {
        self.with(|disk| disk.fault = Some((disk.operations + number, fault)));
    }

    /// Ends the fault.
    pub(crate) fn repair(&self) {
        self.with(|disk| disk.fault = None);
    }

    /// Lets every handle lock a file that another handle has locked.
    pub(crate) fn break_locks(&self) {
        self.with(|disk| disk.has_broken_locks = true);
    }

    /// Locks the journal for another process. When somebody waits for the lock, that process changes the journal to
    /// `bytes` and unlocks.
    pub(crate) fn lock_until_somebody_waits(&self, bytes: &[u8]) {
        self.with(|disk| {
            let inode = disk.names[Path::new(JOURNAL)];
            disk.inodes[inode].locked = true;
            disk.journal_after_unlock = Some(bytes.to_vec());
        });
    }

    pub(crate) fn operations(&self) -> usize {
        self.with(|disk| disk.operations)
    }

    /// Returns a description of each operation so far.
    pub(crate) fn operation_log(&self) -> Vec<String> {
        self.with(|disk| disk.log.clone())
    }

    /// Returns the journal as a process sees it: all segments, one after the other.
    pub(crate) fn journal(&self) -> Vec<u8> {
        let files = self.files().into_iter();
        let mut segments: Vec<_> = files.filter(|(path, _)| is_segment(path)).collect();
        // The first segment has no number.
        segments.sort_by_key(|(path, _)| (path != Path::new(JOURNAL), path.clone()));
        segments.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.with(|disk| {
            disk.names.get(Path::new(path)).map(|inode| disk.inodes[*inode].now.clone())
        })
    }

    /// Replaces the content of a file.
    pub(crate) fn set_file(&self, path: &str, bytes: &[u8]) {
        self.with(|disk| {
            let inode = disk.names[Path::new(path)];
            let bytes = bytes.to_vec();
            disk.inodes[inode] = Inode { now: bytes.clone(), durable: bytes, ..Inode::default() };
        });
    }

    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.with(|disk| {
            let content = |inode: &usize| disk.inodes[*inode].now.clone();
            disk.names.iter().map(|(path, inode)| (path.clone(), content(inode))).collect()
        })
    }

    /// Replaces the content of the journal.
    pub(crate) fn set_journal(&self, bytes: &[u8]) {
        self.with(|disk| {
            let inode = disk.names[Path::new(JOURNAL)];
            disk.inodes[inode].now = bytes.to_vec();
            disk.inodes[inode].durable = bytes.to_vec();
        });
    }

    /// Returns the bytes of the journal that certainly survive a power failure.
    pub(crate) fn durable_journal(&self) -> Vec<u8> {
        self.with(|disk| {
            let inode = disk.durable_names.get(Path::new(JOURNAL));
            inode.map(|inode| disk.inodes[*inode].durable.clone()).unwrap_or_default()
        })
    }

    /// Returns a separate disk with the same content, without locks and faults.
    pub(crate) fn copy(&self) -> Disk {
        let mut content = self.with(|disk| disk.clone());
        content.inodes.iter_mut().for_each(|inode| inode.locked = false);
        content.fault = None;
        Disk(Arc::new(Mutex::new(content)))
    }

    /// Returns a separate disk with the content after a power failure. `choose(n)` returns a number below
    /// `n`, which decides which unsynced changes survive.
    pub(crate) fn without_power(&self, mut choose: impl FnMut(usize) -> usize) -> Disk {
        let disk = self.copy();
        disk.with(|disk| {
            for inode in &mut disk.inodes {
                let mut left = inode.durable.clone();
                for change in &inode.unsynced {
                    match (change, choose(4)) {
                        (_, 0) => {}
                        (Change::Write(offset, bytes), 1) => {
                            // Some of the sectors survive, in any order.
                            for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                                if choose(2) == 1 {
                                    Change::Write(offset + index * SECTOR, sector.to_vec())
                                        .apply(&mut left);
                                }
                            }
                        }
                        (Change::Write(offset, bytes), 2) => {
                            let some = choose(bytes.len() + 1);
                            Change::Write(*offset, bytes[..some].to_vec()).apply(&mut left);
                            if choose(2) == 1 {
                                // The new length survives, but the other bytes are zero.
                                let end = left.len().max(offset + bytes.len());
                                left.resize(end, 0);
                            }
                        }
                        (change, _) => change.apply(&mut left),
                    }
                }
                *inode = Inode { now: left.clone(), durable: left, ..Inode::default() };
            }
            // An unsynced name is the old one or the new one.
            let paths: Vec<PathBuf> =
                disk.names.keys().chain(disk.durable_names.keys()).cloned().collect();
            for path in paths {
                let from = if choose(2) == 0 { &disk.durable_names } else { &disk.names };
                match from.get(&path).copied() {
                    Some(inode) => disk.names.insert(path, inode),
                    None => disk.names.remove(&path),
                };
            }
            disk.durable_names = disk.names.clone();
        });
        disk
    }

    pub(crate) fn create(&self) -> Result<Directory, stagegate::rollout::StoreError> {
        Directory::create_with("store", self.clone())
    }

    pub(crate) fn open(&self) -> Result<Directory, stagegate::rollout::StoreError> {
        Directory::open_with("store", self.clone())
    }
}

impl Content {
    /// Counts an operation. Returns an error and the fault if the operation fails.
    fn operate(&mut self, what: String) -> Result<(), (io::Error, Fault)> {
        self.operations += 1;
        self.log.push(what);
        match self.fault {
            Some((number, fault))
                if self.operations == number
                    || (self.operations > number && fault == Fault::Forever) =>
            {
                Err((io::Error::from_raw_os_error(5), fault))
            }
            _ => Ok(()),
        }
    }
}

fn error((error, _): (io::Error, Fault)) -> io::Error {
    error
}

impl Files for Disk {
    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.with(|disk| disk.operate(format!("create {}", path.display())).map_err(error))
    }

    fn open(&mut self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let inode = self.with(|disk| {
            disk.operate(format!("open {}", path.display())).map_err(error)?;
            match disk.names.get(path) {
                Some(inode) => Ok(*inode),
                None if create => {
                    disk.inodes.push(Inode::default());
                    disk.names.insert(path.to_owned(), disk.inodes.len() - 1);
                    Ok(disk.inodes.len() - 1)
                }
                None => Err(io::Error::from(io::ErrorKind::NotFound)),
            }
        })?;
        Ok(Box::new(Open { disk: self.clone(), inode, holds: false }))
    }

    fn open_to_read(&mut self, path: &Path) -> io::Result<Box<dyn File>> {
        let inode = self.with(|disk| disk.names.get(path).copied());
        let inode = inode.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Box::new(Open { disk: self.clone(), inode, holds: false }))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|disk| {
            disk.operate(format!("rename to {}", to.display())).map_err(error)?;
            let inode = disk.names.remove(from);
            let inode = inode.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            disk.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.with(|disk| {
            disk.operate(format!("remove {}", path.display())).map_err(error)?;
            let removed = disk.names.remove(path);
            removed.map(drop).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })
    }

    fn list(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        self.with(|disk| {
            let inside = disk.names.keys().filter(|name| name.parent() == Some(path));
            Ok(inside.filter_map(|name| Some(name.file_name()?.to_owned())).collect())
        })
    }

    fn another(&self) -> Box<dyn Files> {
        Box::new(self.clone())
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.with(|disk| {
            disk.operate(format!("sync directory {}", path.display())).map_err(error)?;
            let is_in = |name: &PathBuf| name.parent() == Some(path);
            disk.durable_names.retain(|name, _| !is_in(name));
            let names: Vec<_> = disk.names.iter().filter(|(name, _)| is_in(name)).collect();
            let names: Vec<_> = names.into_iter().map(|(name, id)| (name.clone(), *id)).collect();
            disk.durable_names.extend(names);
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Open {
    disk: Disk,
    inode: usize,
    holds: bool,
}

impl Open {
    fn change(&self, what: &str, change: Change) -> io::Result<()> {
        self.disk.with(|disk| {
            let operated = disk.operate(what.to_owned());
            let change = match (&operated, change) {
                (Ok(()), change) => change,
                (Err((_, Fault::Half)), Change::Write(offset, bytes)) => {
                    Change::Write(offset, bytes[..bytes.len() / 2].to_vec())
                }
                (Err(_), _) => return operated.map_err(error),
            };
            let inode = &mut disk.inodes[self.inode];
            change.apply(&mut inode.now);
            inode.unsynced.push(change);
            operated.map_err(error)
        })
    }
}

impl File for Open {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.change("write", Change::Write(offset, bytes.to_vec()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.with(|disk| {
            let operated = disk.operate("sync".to_owned());
            let inode = &mut disk.inodes[self.inode];
            // After a failed sync, the system forgets the unsynced changes, as Linux does. The next sync
            // succeeds, but writes only later changes.
            let unsynced = std::mem::take(&mut inode.unsynced);
            if operated.is_ok() {
                unsynced.iter().for_each(|change| change.apply(&mut inode.durable));
            }
            operated.map_err(error)
        })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        // This also fails if the file already has that length, when a real disk would not write.
        self.change("truncate", Change::Truncate(len))
    }

    fn size(&mut self) -> io::Result<u64> {
        self.disk.with(|disk| Ok(disk.inodes[self.inode].now.len() as u64))
    }

    fn read_at(&mut self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        self.disk.with(|disk| {
            let bytes = &disk.inodes[self.inode].now;
            let begin = usize::try_from(offset).unwrap().min(bytes.len());
            let end = begin.saturating_add(usize::try_from(len).unwrap()).min(bytes.len());
            Ok(bytes[begin..end].to_vec())
        })
    }

    fn id(&mut self) -> io::Result<(u64, u64)> {
        Ok((1, self.inode as u64))
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        self.disk.with(|disk| {
            let inode = &mut disk.inodes[self.inode];
            self.holds |= !inode.locked || disk.has_broken_locks;
            inode.locked = true;
            if let Some(bytes) = disk.journal_after_unlock.take_if(|_| !self.holds) {
                *inode = Inode { now: bytes.clone(), durable: bytes, ..Inode::default() };
            }
            Ok(self.holds)
        })
    }

    fn unlock(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.holds) {
            self.disk.with(|disk| disk.inodes[self.inode].locked = false);
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.unlock();
    }
}
