//! Watching directories for changes, by the operating system's events.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::directories::directories;
use super::parent;
use crate::source::Nudge;

/// A watch of directories. A watch of the file itself would be lost when an editor replaces the file.
#[derive(Debug)]
pub(super) struct Watch {
    nudge: Nudge,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<(PathBuf, Option<Identity>)>,
    observed: Arc<Mutex<Observed>>,
    /// Whether observers know that watching failed.
    is_failure_reported: bool,
}

/// The events so far, which the watcher's thread records for the follower's thread.
#[derive(Debug, Default)]
struct Observed {
    /// The names of the document and its users files.
    names: BTreeSet<OsString>,
    /// The files with these names that were written to and not closed. Full paths, because users files in different
    /// directories may have the same name.
    open: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
    /// Whether a watched directory was removed. A new one may have the same name and even the same inode.
    is_lost: bool,
}

/// Device and inode.
type Identity = (u64, u64);

impl Watch {
    pub(super) fn new(nudge: Nudge) -> Watch {
        let (watcher, watched, observed) = (None, BTreeSet::new(), Arc::default());
        Watch { nudge, watcher, watched, observed, is_failure_reported: false }
    }

    /// Watches all directories on the way to the files. Returns the error of a failed watch once.
    pub(super) fn update(&mut self, path: &Path, files: &[String]) -> Option<String> {
        let files = files.iter().map(|name| parent(path).join(name));
        let paths: Vec<PathBuf> = std::iter::once(path.to_owned()).chain(files).collect();
        let directories = directories(paths.iter().map(PathBuf::as_path));
        let wanted = directories.iter().map(|path| (path.clone(), identity(path))).collect();
        let is_lost = std::mem::take(&mut self.observed().is_lost);
        let mut observed = self.observed();
        // The target of a link may have another name.
        observed.names = paths.iter().flat_map(|path| names(path)).collect();
        if !is_lost && wanted == self.watched && self.watcher.is_some() {
            return None;
        }
        observed.open.clear();
        observed.directories.clone_from(&directories);
        drop(observed);
        // Replace the whole watcher: this is rare, and an old watch could report events of another directory.
        self.watcher = None;
        match self.watcher(&directories) {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                self.watched = wanted;
                self.is_failure_reported = false;
                None
            }
            Err(error) if !self.is_failure_reported => {
                self.is_failure_reported = true;
                Some(error.to_string())
            }
            Err(_) => None,
        }
    }

    /// Returns whether a file was written to and not closed, if the system reports that.
    pub(super) fn is_being_written(&self) -> bool {
        !self.observed().open.is_empty()
    }

    fn watcher(&self, directories: &BTreeSet<PathBuf>) -> notify::Result<RecommendedWatcher> {
        let (nudge, observed) = (self.nudge.clone(), Arc::clone(&self.observed));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // After an error, any file may have changed.
            if event.map_or(true, |event| lock(&observed).observe(&event)) {
                nudge.nudge();
            }
        })?;
        for directory in directories {
            let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
            if watched.is_err() && !directory.exists() {
                // The directory was just removed. The next fetch looks for its replacement.
                self.observed().is_lost = true;
            } else {
                watched?;
            }
        }
        Ok(watcher)
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }
}

impl Observed {
    /// Records an event. Returns whether a file may have changed; events of reading do not count.
    fn observe(&mut self, event: &Event) -> bool {
        if event.need_rescan() {
            // Events were lost. They may have closed a file or removed a directory.
            self.open.clear();
            self.is_lost = true;
            return true;
        }
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                self.open.retain(|open| !event.paths.contains(open));
            }
            EventKind::Access(_) => return false,
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                let name = |path: &&PathBuf| {
                    path.file_name().is_some_and(|name| self.names.contains(name))
                };
                self.open.extend(event.paths.iter().filter(name).cloned());
            }
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                self.open.retain(|open| !event.paths.contains(open));
                self.is_lost |= event.paths.iter().any(|path| self.directories.contains(path));
            }
            _ => {}
        }
        true
    }
}

/// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
fn lock(observed: &Mutex<Observed>) -> MutexGuard<'_, Observed> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the name of a file and the name of the file that it links to.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    let target = fs::canonicalize(path).ok();
    let target = target.as_deref().and_then(Path::file_name).map(ToOwned::to_owned);
    path.file_name().map(ToOwned::to_owned).into_iter().chain(target)
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Other systems have no such numbers. The name decides.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
