//! The directory store on a real disk.

use std::fs;
use std::path::{Path, PathBuf};

use stagegate::rollout::{Fact, Rollout};
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

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_second_writer_acts_and_the_first_continues_from_there() {
    let place = Place::new("second");
    let one = begin(Directory::create(place.store()).unwrap(), &clock()).unwrap();
    let other = Rollout::open(Directory::open(place.store()).unwrap(), clock()).unwrap();
    other.by("ben").promote("search").unwrap();
    // Decides again, because the other process wrote first.
    one.by("ana").hold("search", "wait for legal").unwrap();
    assert_eq!(one.status().head.0, 3);
    other.refresh().unwrap();
    assert_eq!(one.status().head, other.status().head);
    let looking = Rollout::open(Directory::read_only(place.store()).unwrap(), clock()).unwrap();
    assert_eq!(looking.status().head, one.status().head);
    let error = Directory::create(place.store()).unwrap_err();
    let expected = format!(
        "`{}` already exists and was not changed",
        place.store().join("journal.jsonl").display()
    );
    assert_eq!((error.is_conflict(), error.to_string()), (true, expected));
}

#[test]
fn a_directory_without_a_store_is_an_error() {
    let place = Place::new("none");
    for path in [place.store(), place.0.clone()] {
        let expected =
            format!("`{}` holds no rollout: there is no `journal.jsonl` in it", path.display());
        for error in [Directory::open(&path).unwrap_err(), Directory::read_only(&path).unwrap_err()]
        {
            assert_eq!((error.is_missing(), error.to_string()), (true, expected.clone()));
        }
        let files: Vec<_> = fs::read_dir(&place.0).unwrap().collect();
        assert!(files.is_empty(), "looking for a store created files");
    }
    fs::write(place.0.join("file"), "x").unwrap();
    let error = Directory::create(place.0.join("file")).unwrap_err();
    assert!(error.to_string().contains("file` cannot be created: "), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_and_links_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let place = Place::new("owner");
    drop(begin(Directory::create(place.store()).unwrap(), &clock()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = place.store();
    assert_eq!((mode(&store), mode(&store.join("documents"))), (0o700, 0o700));
    let documents = fs::read_dir(store.join("documents")).unwrap();
    let mut files: Vec<PathBuf> = documents.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    files.push(store.join("journal.jsonl"));
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }

    let (journal, elsewhere) = (store.join("journal.jsonl"), place.0.join("elsewhere"));
    fs::rename(&journal, &elsewhere).unwrap();
    symlink(&elsewhere, &journal).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    let error = Directory::open(&store).unwrap_err();
    assert!(error.to_string().ends_with("cannot be opened: it is not a regular file"), "{error}");
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
    // Opening a pipe would block forever.
    for make in ["", "mkfifo"] {
        if !make.is_empty() {
            fs::remove_file(&journal).unwrap();
            assert!(std::process::Command::new(make).arg(&journal).status().unwrap().success());
        }
        let error = Directory::read_only(&store).unwrap_err();
        assert!(error.to_string().ends_with("cannot be read: it is not a regular file"), "{error}");
    }
}

#[test]
fn on_a_full_disk_nothing_is_promoted_and_every_rollback_works() {
    let place = Place::new("full");
    let Some(_disk) = needs::SmallDisk::mount("a full disk", &place.0) else { return };
    let (path, clock) = (&*place.store(), clock());
    let rollout = begin(Directory::create(path).unwrap(), &clock).unwrap();
    let ballast = path.join("ballast");
    fs::write(&ballast, vec![1; 8 << 10]).unwrap();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    let long = "x".repeat(500);
    let error = loop {
        match ana.sign("search", "load-test", Some(&long)) {
            Ok(_) => assert!(rollout.status().head.0 < 1_000),
            Err(error) => break error,
        }
    };
    let last = rollout.status().head;
    let path_text = path.display();
    let expected = format!(
        "{path_text}: `{path_text}` cannot be written: No space left on device (os error 28)"
    );
    assert_eq!(error.to_string(), expected);
    assert!(ana.force("other", &long).is_err());
    assert!(!rollout.gate().is_enabled("user-1", "other"));
    ana.roll_back("search", &long).unwrap();
    assert!(!rollout.gate().is_enabled("ana", "search"));
    assert_eq!(rollout.status().unrecorded, ["search".into()]);
    let looking = Rollout::open(Directory::read_only(path).unwrap(), clock.clone()).unwrap();
    assert_eq!(looking.status().head, last, "the journal differs from the acknowledged records");

    fs::remove_file(ballast).unwrap();
    let report = rollout.tick();
    assert!(report.error.is_none());
    assert!(matches!(report.records[0].fact, Fact::RolledBack { .. }));
    let last = rollout.status().head;
    drop((rollout, looking));
    let again = Rollout::open(Directory::open(path).unwrap(), clock).unwrap();
    assert_eq!(again.status().head, last);
}
