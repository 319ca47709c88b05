//! Being told by the system that something may have changed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::parent;
use super::places::places;
use crate::source::Nudge;

/// Watches directories; a file that is watched itself is lost with the first editor that puts another in its place.
#[derive(Debug)]
pub(super) struct Watch {
    nudge: Nudge,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<(PathBuf, Option<Identity>)>,
    seen: Arc<Mutex<Seen>>,
    /// Whether it was said that there is no watch.
    said: bool,
}

/// What the watcher's thread notes for the follower's.
#[derive(Debug, Default)]
struct Seen {
    /// Names of the document and its files.
    names: BTreeSet<OsString>,
    /// Files of these names that somebody has written to and not closed. Two lists may have the same name, in different
    /// directories.
    open: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
    /// Whether a directory that is watched was taken away: another one may have its name, and even its number.
    is_lost: bool,
}

/// Device and inode, where there are such.
type Identity = (u64, u64);

impl Watch {
    pub(super) fn new(nudge: Nudge) -> Watch {
        let (watcher, watched, seen) = (None, BTreeSet::new(), Arc::default());
        Watch { nudge, watcher, watched, seen, said: false }
    }

    /// Watches what leads to the files, where it does not already. Says once what is in the way.
    pub(super) fn arm(&mut self, path: &Path, files: &[String]) -> Option<String> {
        let files = files.iter().map(|name| parent(path).join(name));
        let paths: Vec<PathBuf> = std::iter::once(path.to_owned()).chain(files).collect();
        let directories = places(paths.iter().map(PathBuf::as_path));
        let wanted = directories.iter().map(|path| (path.clone(), identity(path))).collect();
        let is_lost = std::mem::take(&mut self.seen().is_lost);
        let mut seen = self.seen();
        // A link may lead to another name in the same directory.
        seen.names = paths.iter().flat_map(|path| names(path)).collect();
        if !is_lost && wanted == self.watched && self.watcher.is_some() {
            return None;
        }
        seen.open.clear();
        seen.directories.clone_from(&directories);
        drop(seen);
        // All anew: this is rare, and a watch that is left over would tell of another directory.
        self.watcher = None;
        match self.watcher(&directories) {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                self.watched = wanted;
                self.said = false;
                None
            }
            Err(error) if !self.said => {
                self.said = true;
                Some(error.to_string())
            }
            Err(_) => None,
        }
    }

    /// Whether somebody has begun to write, as far as the system tells.
    pub(super) fn is_being_written(&self) -> bool {
        !self.seen().open.is_empty()
    }

    fn watcher(&self, directories: &BTreeSet<PathBuf>) -> notify::Result<RecommendedWatcher> {
        let (nudge, seen) = (self.nudge.clone(), Arc::clone(&self.seen));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error, or events that were lost, may mean anything.
            if event.map_or(true, |event| lock(&seen).note(&event)) {
                nudge.nudge();
            }
        })?;
        for directory in directories {
            let watched = watcher.watch(directory, RecursiveMode::NonRecursive);
            if watched.is_err() && !directory.exists() {
                // It has gone this very moment: the next fetch looks for what has come in its place.
                self.seen().is_lost = true;
            } else {
                watched?;
            }
        }
        Ok(watcher)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

impl Seen {
    /// Whether something may have changed: our own reading is told of too.
    fn note(&mut self, event: &Event) -> bool {
        if event.need_rescan() {
            // What was lost may be anything: a file that was closed, a directory that is gone.
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
                let name =
                    |path: &&PathBuf| path.file_name().is_some_and(|it| self.names.contains(it));
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

/// Nothing panics while the lock is held, so a poisoned one has sound content.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a file, and that of what it leads to.
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

/// Elsewhere the name has to do.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
