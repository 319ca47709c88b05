//! A store that other users can change is refused: they could move flags and rewrite the history.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use stagegate::rollout::{Rollout, StoreError};
use stagegate::store::Directory;

use super::needs;
use super::story::{begin, clock};

/// A temporary directory. It is removed at the end of the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("stagegate-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    /// Creates a directory with a store, in which a rollout has started.
    fn begun(name: &str) -> Place {
        let place = Place::new(name);
        drop(begin(Directory::create(place.store()).unwrap(), &clock()).unwrap());
        place
    }

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    fn document(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.store().join("documents")).unwrap();
        entries.next().unwrap().unwrap().path()
    }

    fn open(&self) -> Result<(), StoreError> {
        Directory::open(self.store()).map(drop)
    }

    fn read(&self) -> Result<(), StoreError> {
        Directory::read_only(self.store()).map(drop)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn ends(result: Result<(), StoreError>, expected: &str) {
    let error = result.unwrap_err();
    assert!(error.to_string().ends_with(expected), "{error}\nis not\n{expected}");
}

#[test]
fn an_existing_directory_that_others_can_write_to_is_refused() {
    let place = Place::new("shared");
    let store = place.store();
    fs::create_dir(&store).unwrap();
    for mode in [0o777, 0o775, 0o757, 0o1777, 0o2770] {
        set_mode(&store, mode);
        let shown = store.display();
        let error = Directory::create(&store).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{shown}` cannot be created: others can write to `{shown}` (mode {:04o}): run `chmod 700 {shown}`, \
                 or choose a directory of your own",
                mode
            )
        );
        assert_eq!(fs::read_dir(&store).unwrap().count(), 0, "the failed attempt left files");
    }
    // Read access for others is allowed.
    set_mode(&store, 0o755);
    Directory::create(&store).unwrap();
}

#[test]
fn a_store_that_became_writable_for_others_is_neither_opened_nor_read() {
    let place = Place::begun("loose");
    let store = place.store();
    for path in [store.clone(), store.join("documents")] {
        set_mode(&path, 0o777);
        let shown = path.display();
        let expected = format!(
            "others can write to `{shown}` (mode 0777): run `chmod 700 {shown}`, or choose a directory of your own"
        );
        ends(place.open(), &expected);
        ends(place.read(), &expected);
        set_mode(&path, 0o700);
        place.open().unwrap();
    }
    let journal = store.join("journal.jsonl");
    set_mode(&journal, 0o660);
    let shown = journal.display();
    let expected = format!("others can write to `{shown}` (mode 0660): run `chmod 600 {shown}`");
    ends(place.open(), &expected);
    ends(place.read(), &expected);
    set_mode(&journal, 0o644);
    place.open().unwrap();
    place.read().unwrap();
    let document = place.document();
    set_mode(&document, 0o646);
    let shown = document.display();
    let error = Rollout::open(Directory::open(&store).unwrap(), clock()).unwrap_err();
    let expected = format!("others can write to `{shown}` (mode 0646): run `chmod 600 {shown}`");
    assert!(error.to_string().ends_with(&expected), "{error}");
}

#[test]
fn a_store_of_another_user_is_not_written_to() {
    let place = Place::begun("foreign");
    let store = place.store();
    let given = chown(&store, Some(12_345), None);
    let given = given.map_err(|error| format!("only root can give a directory away: {error}"));
    let Some(()) = needs::found("a store of another user", given) else { return };
    let shown = store.display();
    let expected = format!(
        "`{shown}` belongs to user 12345, who can change it: run this as that user, or `chown -R 0 {shown}`"
    );
    ends(place.open(), &expected);
    ends(Directory::create(&store).map(drop), &expected);
    place.read().unwrap();
    chown(&store, Some(0), None).unwrap();
    place.open().unwrap();
}

#[test]
fn no_file_of_a_store_may_be_a_link() {
    let place = Place::begun("links");
    let elsewhere = place.0.join("elsewhere");
    let document = place.document();
    for path in [place.store().join("journal.jsonl"), document] {
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let opened = Directory::open(place.store()).map_err(|error| error.to_string());
        let opened = opened.and_then(|store| {
            Rollout::open(store, clock()).map(drop).map_err(|error| error.to_string())
        });
        let error = opened.unwrap_err();
        assert!(error.ends_with("it is not a regular file"), "{}: {error}", path.display());
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        place.open().unwrap();
    }
    // A link to the directory is allowed. The checks apply to its target.
    let link = place.0.join("link");
    symlink(place.store(), &link).unwrap();
    drop(Directory::open(&link).unwrap());
    set_mode(&place.store(), 0o777);
    Directory::open(&link).unwrap_err();
}
