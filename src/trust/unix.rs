//! Checks of mode bits and owners.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Owner;

/// The mode bits that let the group and others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

const ROOT: u32 = 0;

pub(super) fn check(path: &Path, metadata: &Metadata, owner: Owner) -> io::Result<()> {
    let us = if owner == Owner::Us { user() } else { None };
    match problem(metadata.mode(), metadata.uid(), us, metadata.is_dir(), path) {
        Some(problem) => Err(io::Error::new(io::ErrorKind::PermissionDenied, problem)),
        None => Ok(()),
    }
}

pub(super) fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Returns what is wrong with this mode and owner, and the command that fixes it.
///
/// `us` is the user of this process, or `None` if the owner does not matter.
fn problem(
    mode: u32,
    owner: u32,
    us: Option<u32>,
    is_directory: bool,
    path: &Path,
) -> Option<String> {
    let path = path.display();
    if let Some(us) = us.filter(|us| owner != *us && owner != ROOT) {
        return Some(format!(
            "`{path}` belongs to user {owner}, who can change it: run this as that user, or `chown -R {us} {path}`"
        ));
    }
    if mode & WRITABLE_BY_OTHERS == 0 {
        return None;
    }
    let mode = mode & 0o7777;
    let found = format!("others can write to `{path}` (mode {mode:04o})");
    Some(match is_directory {
        true => format!("{found}: run `chmod 700 {path}`, or choose a directory of your own"),
        false => format!("{found}: run `chmod 600 {path}`"),
    })
}

/// Returns the effective user of this process. `None` on systems without `/proc`.
fn user() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // The fields are the real, effective, saved and file system user.
    users.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_user_and_root_may_own_and_write() {
        let refused = |mode, owner, us| problem(mode, owner, us, true, Path::new("/d")).is_some();
        for mode in [0o700, 0o755, 0o600, 0o644, 0o1700] {
            assert!(!refused(mode, 7, Some(7)) && !refused(mode, 0, Some(7)), "{mode:o}");
            assert!(refused(mode, 8, Some(7)) && refused(mode, 7, Some(0)), "{mode:o}");
            assert!(!refused(mode, 8, None), "{mode:o}");
        }
        for mode in [0o777, 0o770, 0o702, 0o1777, 0o2775, 0o660] {
            for us in [Some(7), None] {
                assert!(refused(mode, 7, us), "{mode:o}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_user_is_who_owns_what_the_process_makes() {
        let path = std::env::temp_dir().join(format!("stagegate-user-{}", std::process::id()));
        fs::write(&path, "").expect("a file for the test");
        let owner = fs::metadata(&path).expect("it is there").uid();
        fs::remove_file(&path).expect("it is there");
        assert_eq!(user(), Some(owner));
    }
}
