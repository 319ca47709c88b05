//! Lists of users beside a published document, where it has no room for them.
//!
//! A list has its hash for a name and never changes. The lists are written before the document that names them, and one
//! that is no longer named stays for a while: so a follower finds every list of whichever document it reads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stagegate::rollout::Hash;

use super::{Kept, Users};
use crate::escape::terminal;
use crate::failure::Failure;
use crate::output;

/// The lists of one document.
pub(super) struct Lists {
    directory: PathBuf,
    lists: Vec<List>,
}

struct List {
    /// Of the `users_file`, as the document in force names it.
    kept_as: String,
    name: String,
    content: String,
}

/// How long a list stays that is no longer named: another publisher may be about to name it.
const STAYS: Duration = Duration::from_secs(60 * 60);

/// The directory of the lists of a published document.
pub(super) fn directory(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".lists");
    file.with_file_name(name)
}

impl Lists {
    pub(super) fn new(kept: &Kept, file: &Path) -> Lists {
        let lists = kept.iter().map(|(kept_as, keys)| {
            let mut content = keys.join("\n");
            content.push('\n');
            let name = format!("{}.txt", Hash::of(content.as_bytes()));
            List { kept_as: kept_as.clone(), name, content }
        });
        Lists { directory: directory(file), lists: lists.collect() }
    }

    /// Where the document finds each list, relative to itself.
    pub(super) fn places(&self) -> Result<BTreeMap<String, Users>, Failure> {
        let directory = self.directory.file_name().and_then(|name| name.to_str());
        let directory = directory.ok_or_else(|| {
            let file = terminal(&self.directory.display().to_string());
            Failure::Usage(format!("`{file}` is to be named in the document, and is no UTF-8"))
        })?;
        let place = |list: &List| Users::Beside(format!("{directory}/{}", list.name));
        Ok(self.lists.iter().map(|list| (list.kept_as.clone(), place(list))).collect())
    }

    /// Whether every list is there.
    pub(super) fn are_written(&self) -> bool {
        let is_written = |list: &List| {
            let found = fs::metadata(self.directory.join(&list.name));
            found.is_ok_and(|found| found.is_file() && found.len() == list.content.len() as u64)
        };
        self.lists.iter().all(is_written)
    }

    /// Writes every list, also one that is there: it is then too new to be removed.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            let path = terminal(&self.directory.display().to_string());
            Failure::io(&format!("cannot write `{path}`"), &error)
        };
        fs::create_dir_all(&self.directory).map_err(failed)?;
        for list in &self.lists {
            output::replace(&self.directory.join(&list.name), list.content.as_bytes())?;
        }
        // Or the power could fail, and the document be there without its lists.
        let above = self.directory.parent().filter(|above| !above.as_os_str().is_empty());
        for directory in [&*self.directory, above.unwrap_or(Path::new("."))] {
            if cfg!(unix) {
                File::open(directory).and_then(|opened| opened.sync_all()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes lists that neither the document nor the one before it names, after a while. One that cannot be removed
    /// does no harm.
    pub(super) fn clear(&self, before: &[u8], text: &str) {
        let before = String::from_utf8_lossy(before);
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_of_a_list(name)) else { continue };
            let modified = entry.metadata().and_then(|found| found.modified()).ok();
            let is_old = modified
                .and_then(|modified| modified.elapsed().ok())
                .is_some_and(|age| age > STAYS);
            if is_old && !before.contains(name) && !text.contains(name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_of_a_list(name: &str) -> bool {
    let digits = name.strip_suffix(".txt").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}
