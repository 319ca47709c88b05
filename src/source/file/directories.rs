//! The directories to watch, so that a replaced file, link or directory is noticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::parent;

/// The most links to follow on the way to a file. Linux has the same limit.
const MAX_LINKS: usize = 40;

/// Returns the directories of the files, and of every link on the way to them.
///
/// A mounted `ConfigMap` has two links: `rollout.toml -> ..data/rollout.toml` and `..data -> ..2026_01_05`.
pub(super) fn directories<'p>(paths: impl Iterator<Item = &'p Path>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in paths {
        let mut links = 0;
        add(path, &mut found, &mut links);
    }
    found
}

fn add(path: &Path, found: &mut BTreeSet<PathBuf>, links: &mut usize) {
    found.insert(nearest_directory(parent(path)));
    for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        // Read one link at a time. The recursive call finds the links in its target.
        let Ok(target) = fs::read_link(place) else { continue };
        *links += 1;
        if *links > MAX_LINKS {
            return;
        }
        let rest = path.strip_prefix(place).unwrap_or(Path::new(""));
        let target = parent(place).join(target);
        found.insert(nearest_directory(parent(place)));
        // Joining an empty path would add a slash, which stands for the directory.
        let target = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
        add(&target, found, links);
        return;
    }
}

/// Returns the directory, or its nearest existing parent, where it will be created.
fn nearest_directory(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|path| path.is_dir());
    match found {
        Some(found) if !found.as_os_str().is_empty() => found.to_owned(),
        _ => PathBuf::from("."),
    }
}
