//! Which directories to watch, so that no way in which a path comes to mean another file is missed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::parent;

/// Links that are followed on the way to a file: as many as systems follow.
const MOST_LINKS: usize = 40;

/// The directory of a file, and of every link on the way to it.
///
/// The path of a mounted `ConfigMap` leads over two: `rollout.toml -> ..data/rollout.toml` and `..data -> ..2026_01_05`.
pub(super) fn places<'p>(paths: impl Iterator<Item = &'p Path>) -> BTreeSet<PathBuf> {
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
        // Only the name itself: what it leads to is asked for by name again.
        let Ok(target) = fs::read_link(place) else { continue };
        *links += 1;
        if *links > MOST_LINKS {
            return;
        }
        let rest = path.strip_prefix(place).unwrap_or(Path::new(""));
        let target = parent(place).join(target);
        found.insert(nearest_directory(parent(place)));
        // Joined with nothing it would end with a slash, and mean the directory.
        let target = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
        add(&target, found, links);
        return;
    }
}

/// A directory, or the one above it that is there: in which it will appear.
fn nearest_directory(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|path| path.is_dir());
    match found {
        Some(found) if !found.as_os_str().is_empty() => found.to_owned(),
        _ => PathBuf::from("."),
    }
}
