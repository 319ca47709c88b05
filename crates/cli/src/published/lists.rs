//! List files next to a published document, for lists of users that the document has no room for.
//!
//! The name of a list file is the hash of its content, so a list file never changes. List files are written before the
//! document that names them. A file that is no longer named stays for an hour. So a follower finds the list files of
//! any document that it reads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stagegate::rollout::Hash;

use super::{UserList, UserLists, users};
use crate::escape::terminal;
use crate::failure::Failure;
use crate::output;

/// The list files of one document.
pub(super) struct ListFiles {
    directory: PathBuf,
    lists: Vec<ListFile>,
}

struct ListFile {
    /// The name of the `users_file` in the document in force.
    users_file: String,
    name: String,
    content: String,
}

/// How long a list file stays after no document names it. Another publisher may be about to name it.
const UNUSED_RETENTION: Duration = Duration::from_secs(60 * 60);

/// Returns the directory of the list files: `FILE.lists`.
pub(super) fn directory(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".lists");
    file.with_file_name(name)
}

impl ListFiles {
    pub(super) fn new(user_lists: &UserLists, file: &Path) -> ListFiles {
        let lists = user_lists.iter().map(|(users_file, bytes)| {
            let mut content = String::with_capacity(bytes.len() + 1);
            for key in users(bytes) {
                content.push_str(key);
                content.push('\n');
            }
            let name = format!("{}.txt", Hash::of(content.as_bytes()));
            ListFile { users_file: users_file.clone(), name, content }
        });
        ListFiles { directory: directory(file), lists: lists.collect() }
    }

    /// Returns the path of each list file, relative to the document, by the name of its `users_file`.
    pub(super) fn references(&self) -> Result<BTreeMap<String, UserList>, Failure> {
        let directory = self.directory.file_name().and_then(|name| name.to_str());
        let directory = directory.ok_or_else(|| {
            let file = terminal(&self.directory.display().to_string());
            Failure::Usage(format!(
                "`{file}` is not UTF-8, so the document cannot name it. Choose another file name"
            ))
        })?;
        let reference = |list: &ListFile| UserList::File(format!("{directory}/{}", list.name));
        Ok(self.lists.iter().map(|list| (list.users_file.clone(), reference(list))).collect())
    }

    /// Returns whether every list file exists and is complete.
    pub(super) fn exist(&self) -> bool {
        let exists = |list: &ListFile| {
            let found = fs::metadata(self.directory.join(&list.name));
            found.is_ok_and(|found| found.is_file() && found.len() == list.content.len() as u64)
        };
        self.lists.iter().all(exists)
    }

    /// Writes every list file. Rewrites existing ones, too, so that no publisher takes them for old and removes them.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            let path = terminal(&self.directory.display().to_string());
            Failure::io(&format!("cannot write `{path}`"), &error)
        };
        fs::create_dir_all(&self.directory).map_err(failed)?;
        for list in &self.lists {
            output::replace(&self.directory.join(&list.name), list.content.as_bytes())?;
        }
        // Otherwise a power failure could leave the document without its list files.
        let above = self.directory.parent().filter(|above| !above.as_os_str().is_empty());
        for directory in [&*self.directory, above.unwrap_or(Path::new("."))] {
            if cfg!(unix) {
                File::open(directory).and_then(|opened| opened.sync_all()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes old list files that neither this document nor the one before it names. Ignores errors: a file that stays
    /// does no harm.
    pub(super) fn remove_unused(&self, before: &[u8], text: &str) {
        let before = String::from_utf8_lossy(before);
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_list_name(name)) else { continue };
            let modified = entry.metadata().and_then(|found| found.modified()).ok();
            let is_old = modified
                .and_then(|modified| modified.elapsed().ok())
                .is_some_and(|age| age > UNUSED_RETENTION);
            if is_old && !before.contains(name) && !text.contains(name) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_list_name(name: &str) -> bool {
    let digits = name.strip_suffix(".txt").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}
