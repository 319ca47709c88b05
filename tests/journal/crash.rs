//! A process that is killed at any write loses no acknowledged record.
//!
//! A child process runs the steps of `story.rs` on a real disk. After each step it prints the last
//! acknowledged record and what its gate answers. At a given operation it kills itself with `SIGKILL`,
//! which cannot be caught.
#![cfg(unix)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, raise};
use stagegate::rollout::Rollout;
use stagegate::store::{Directory, File, Files, SystemFiles};

use super::story::{begin, clock, standing, steps_with_segments};

const PATH: &str = "STAGEGATE_CRASH_PATH";
const AT: &str = "STAGEGATE_CRASH_AT";

/// Files that kill the process at a given point. Each operation has a point before and a point after it.
/// A write also has one after half of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Deadly {
    system: SystemFiles,
    left: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Deadly {
    pub(crate) fn new(left: &std::sync::Arc<std::sync::atomic::AtomicI64>) -> Deadly {
        Deadly { system: SystemFiles, left: std::sync::Arc::clone(left) }
    }

    fn point(&self) {
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            let _ = raise(Signal::SIGKILL);
        }
    }

    fn around<T>(&mut self, action: impl FnOnce(&mut SystemFiles) -> T) -> T {
        self.point();
        let done = action(&mut self.system);
        self.point();
        done
    }
}

impl Files for Deadly {
    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.around(|files| files.create_directory(path))
    }

    fn open(&mut self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let file = self.around(|files| files.open(path, create))?;
        Ok(Box::new(DeadlyFile { file, deadly: self.clone() }))
    }

    fn open_to_read(&mut self, path: &Path) -> io::Result<Box<dyn File>> {
        self.system.open_to_read(path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.around(|files| files.rename(from, to))
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.around(|files| files.remove(path))
    }

    fn list(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        self.system.list(path)
    }

    fn another(&self) -> Box<dyn Files> {
        Box::new(self.clone())
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.around(|files| files.sync_directory(path))
    }
}

#[derive(Debug)]
struct DeadlyFile {
    file: Box<dyn File>,
    deadly: Deadly,
}

impl File for DeadlyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.deadly.point();
        let (some, rest) = bytes.split_at(bytes.len() / 2);
        self.file.write_at(offset, some)?;
        self.deadly.point();
        self.file.write_at(offset + some.len() as u64, rest)?;
        self.deadly.point();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.deadly.point();
        self.file.sync()?;
        self.deadly.point();
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.deadly.point();
        self.file.truncate(len)?;
        self.deadly.point();
        Ok(())
    }

    fn size(&mut self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&mut self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        self.file.read_at(offset, len)
    }

    fn id(&mut self) -> io::Result<(u64, u64)> {
        self.file.id()
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn try_lock_shared(&mut self) -> io::Result<bool> {
        self.file.try_lock_shared()
    }

    fn unlock(&mut self) -> io::Result<()> {
        self.file.unlock()
    }
}

/// The code of the child process. It is a test, so that the test program can run it alone.
#[test]
#[ignore = "runs in the child process of the crash tests"]
fn child() {
    let path =
        std::env::var_os(PATH).expect("only the crash tests run this one: pass `--skip child`");
    let left: i64 = std::env::var(AT).unwrap().parse().unwrap();
    let deadly = Deadly::new(&std::sync::Arc::new(std::sync::atomic::AtomicI64::new(left)));
    let say = |rollout: &Rollout| {
        let mut out = io::stdout().lock();
        let told = standing(rollout).join("; ");
        writeln!(out, "\nacknowledged {} {told}", rollout.status().head.0).unwrap();
        out.flush().unwrap();
    };
    let clock = clock();
    // Open the rollout if there is one, else start it, as an application would.
    let store = Directory::open_with(&path, deadly.clone());
    let opened = store.ok().and_then(|store| Rollout::open(store, clock.clone()).ok());
    let rollout = opened.unwrap_or_else(|| {
        begin(Directory::create_with(&path, deadly.clone()).unwrap(), &clock).unwrap()
    });
    say(&rollout);
    for step in steps_with_segments() {
        // After a crash, the store has some of the steps already, so errors are expected.
        let _ = step(&rollout, &clock);
        say(&rollout);
    }
    let used = left - deadly.left.load(std::sync::atomic::Ordering::SeqCst);
    println!("\npoints {used}");
}

struct Ran {
    /// The number of the last acknowledged record, and the state of the flags at that time.
    acknowledged: Option<(u64, String)>,
    was_killed: bool,
    points: Option<i64>,
}

fn run(path: &Path, at: i64) -> Ran {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .env(AT, at.to_string())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("acknowledged "));
    let acknowledged = last.map(|line| {
        let (head, standing) = line.split_once(' ').unwrap();
        (head.parse().unwrap(), standing.to_owned())
    });
    let points = text.lines().find_map(|line| line.strip_prefix("points "));
    Ran {
        acknowledged,
        was_killed: output.status.code().is_none(),
        points: points.map(|it| it.parse().unwrap()),
    }
}

pub(crate) fn place(name: &str) -> PathBuf {
    // Use a file system in memory if there is one. On every file system, data that a process has written
    // survives when the process is killed.
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let path = above.join(format!("stagegate-crash-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// Checks that the store opens after a kill and has every acknowledged record. A second open changes nothing.
fn is_sound(path: &Path, ran: &Ran, what: &str) {
    let clock = clock();
    let opened = Directory::open(path);
    let Some((head, shown)) = &ran.acknowledged else {
        // Killed before the first acknowledged record: there is a rollout, or a new one can be started.
        let rollout = opened.ok().and_then(|store| Rollout::open(store, clock.clone()).ok());
        if rollout.is_none() {
            begin(Directory::create(path).unwrap(), &clock).unwrap();
        }
        return;
    };
    let rollout = Rollout::open(opened.unwrap(), clock.clone()).unwrap();
    let last = rollout.status().head;
    assert!(last.0 >= *head, "{what}: {} of {head} records are left", last.0);
    // Beyond the acknowledged records, there may be records of the event that was being written: at
    // most three.
    assert!(last.0 <= head + 3, "{what}: {} records, {head} were acknowledged", last.0);
    if last.0 == *head {
        assert_eq!(standing(&rollout).join("; "), *shown, "{what}");
    }
    drop(rollout);
    let before = files(path);
    let again = Rollout::open(Directory::open(path).unwrap(), clock).unwrap();
    assert_eq!(again.status().head, last);
    assert!(again.status().notices.is_empty());
    drop(again);
    assert_eq!(files(path), before, "{what}: a second open changes nothing");
}

fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for directory in [path.to_owned(), path.join("documents")] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Kills the process at every point. With `again`, runs it again on each result and kills it at that point. Returns the
/// number of kills.
fn kills(name: &str, again: Option<i64>) -> usize {
    let path = place(name);
    let whole = run(&path, i64::MAX);
    let points = whole.points.unwrap();
    assert!(!whole.was_killed && points > 200, "{points}");
    let mut kills = 0;
    for at in 1..=points {
        std::fs::remove_dir_all(&path).unwrap();
        let ran = run(&path, at);
        assert!(ran.was_killed, "point {at}");
        kills += 1;
        is_sound(&path, &ran, &format!("point {at}"));
        if let Some(again) = again {
            let ran = run(&path, again);
            kills += usize::from(ran.was_killed);
            let ran = Ran { acknowledged: None, ..ran };
            is_sound(&path, &ran, &format!("point {at}, then {again}"));
        }
    }
    std::fs::remove_dir_all(&path).unwrap();
    kills
}

#[test]
fn a_process_killed_at_any_write_loses_nothing_acknowledged() {
    assert!(kills("some", None) > 200);
}

/// Makes at least 3,000 kills. Run it with `cargo test --features rollout --test journal -- --ignored`.
#[test]
#[ignore = "takes a minute"]
fn a_process_killed_thousands_of_times_loses_nothing_acknowledged() {
    let mut count = 0;
    // The first points are in the recovery after the first kill, the later points after it.
    for again in (1..).map(|round: i64| round * round) {
        count += kills("many", Some(again));
        if count >= 3_000 {
            break;
        }
    }
    println!("{count} kills");
}
