//! Several processes read and append to one directory.
#![cfg(unix)]

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use stagegate::rollout::{Hash, Journal, Rollout, Store, StoreError};
use stagegate::store::{Directory, Files};

use super::crash::{Deadly, place};
use super::disk::{Disk, Fault, JOURNAL};
use super::story::{begin, clock};

/// A store that this process has open, in a temporary directory.
struct Shared {
    path: PathBuf,
    rollout: Rollout,
}

impl Shared {
    fn begun(name: &str) -> Shared {
        let path = place(name);
        let rollout = begin(Directory::create(&path).unwrap(), &clock()).unwrap();
        rollout.by("ana").promote("search").unwrap();
        Shared { path, rollout }
    }

    fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Acts after the journal was tampered with. Returns the error, and checks that the journal is unchanged.
    fn refused(&self) -> String {
        let before = fs::read(self.journal()).ok();
        let error = self.rollout.by("ana").hold("search", "x").unwrap_err().to_string();
        assert_eq!(fs::read(self.journal()).ok(), before);
        assert_eq!(
            self.rollout.refresh().unwrap_err().to_string(),
            error.replace("written:", "read:")
        );
        assert!(self.rollout.gate().is_enabled("ana", "search"), "the last good state stays");
        error
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

const RESTART: &str = "Nothing was written. Run `stagegate verify`, and restart this process to continue from the \
                       journal as it is now";

#[test]
fn a_journal_that_was_shortened_changed_replaced_or_removed_is_noticed_before_a_write() {
    let shared = Shared::begun("tampered");
    let (path, journal) = (shared.path.display(), shared.journal());
    let text = fs::read_to_string(&journal).unwrap();
    let (len, first) = (text.len(), text.find('\n').unwrap() + 1);

    // An older backup was copied over it.
    fs::write(&journal, &text[..first]).unwrap();
    let shown = journal.display();
    assert_eq!(
        shared.refused(),
        format!("{path}: `{shown}` was shortened from {len} to {first} bytes. {RESTART}")
    );
    // Another history of the same length.
    let hash = text.trim_end().strip_suffix("\"}").unwrap();
    let end = if hash.ends_with('0') { "1\"}\n" } else { "0\"}\n" };
    fs::write(&journal, format!("{}{end}", &hash[..hash.len() - 1])).unwrap();
    assert_eq!(shared.refused(), format!("{path}: line 2 of `{shown}` was changed. {RESTART}"));
    fs::write(&journal, &text).unwrap();
    shared.rollout.refresh().unwrap();

    let away = shared.path.join("away");
    fs::rename(&journal, &away).unwrap();
    assert_eq!(
        shared.refused(),
        format!("{path}: `{path}` holds no rollout: there is no `journal.jsonl` in it")
    );
    fs::copy(&away, &journal).unwrap();
    assert_eq!(
        shared.refused(),
        format!(
            "{path}: `{path}` cannot be written: the journal was replaced by another file: restart this process"
        )
    );
    fs::rename(&away, &journal).unwrap();
    shared.rollout.by("ana").hold("search", "x").unwrap();
    assert_eq!(shared.rollout.status().head.0, 3);
}

/// Another process was killed in the middle of an append, while this one has the store open.
#[test]
fn an_append_after_the_crash_of_another_process_continues_the_journal() {
    let shared = Shared::begun("widow");
    let torn = b"{\"seq\":3,\"at\":\"2026";
    let mut file = OpenOptions::new().append(true).open(shared.journal()).unwrap();
    file.write_all(torn).unwrap();
    assert_eq!(shared.rollout.refresh().unwrap(), [], "a reader leaves it out");
    shared.rollout.by("ana").hold("search", "x").unwrap();
    assert_eq!(fs::read(shared.path.join("journal.torn-3")).unwrap(), torn);
    let notices = shared.rollout.status().notices;
    assert!(
        notices[0].ends_with("moved to `journal.torn-3`; 2 complete records remain"),
        "{notices:?}"
    );
    let again = Rollout::open(Directory::open(&shared.path).unwrap(), clock()).unwrap();
    assert_eq!(again.status().head, shared.rollout.status().head);
    assert_eq!(again.status().head.0, 3);
}

/// Another process has written a line and holds the lock. Its sync fails, so it removes the line and unlocks.
#[test]
fn a_line_is_not_shown_while_its_writer_holds_the_lock() {
    let disk = Disk::new();
    let rollout = begin(disk.create().unwrap(), &clock()).unwrap();
    let other = disk.copy();
    let writer = Rollout::open(other.open().unwrap(), clock()).unwrap();
    writer.by("ben").promote("search").unwrap();

    let before = disk.journal();
    disk.set_journal(&other.journal());
    disk.lock_until_somebody_waits(&before);
    assert_eq!(rollout.refresh().unwrap(), []);
    assert!(!rollout.gate().is_enabled("ana", "search"));
    disk.set_journal(&other.journal());
    assert_eq!(rollout.refresh().unwrap().len(), 1);
    assert!(rollout.gate().is_enabled("ana", "search"));
}

/// On a dead disk, the bytes of a failed write cannot be removed. Another process must not continue them.
#[test]
fn a_line_that_can_neither_be_acknowledged_nor_removed_keeps_the_journal_locked() {
    let disk = Disk::new();
    let rollout = begin(disk.create().unwrap(), &clock()).unwrap();
    let is_free = || {
        let mut handle = disk.clone().open_to_read(Path::new(JOURNAL)).unwrap();
        handle.try_lock().unwrap()
    };
    assert!(is_free());
    // The write succeeds, and the sync fails.
    disk.fail(2, Fault::Forever);
    rollout.by("ana").promote("search").unwrap_err();
    assert!(!is_free());
    disk.repair();
    rollout.by("ana").promote("search").unwrap();
    assert!(is_free());
    assert_eq!(disk.journal(), disk.durable_journal());
    assert_eq!(rollout.status().head.0, 2);
}

/// Returns the error of an append while another handle holds the lock.
#[cfg(target_os = "linux")]
fn locked_out(shared: &Shared) -> String {
    let error = shared.rollout.by("ana").hold("search", "x").unwrap_err();
    assert!(error.store_error().is_some_and(StoreError::is_locked), "{error}");
    let path = shared.path.display();
    error.to_string().strip_prefix(&format!("{path}: `{path}` is locked by ")).unwrap().to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn an_append_that_waits_too_long_names_the_process_that_holds_the_lock() {
    let shared = Shared::begun("named");
    for action in ["writes", "reads"] {
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["shared::child_that_holds_the_lock", "--exact", "--ignored", "--nocapture"])
            .env(PATH, shared.journal())
            .env(ACTS, action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "locked"));
        let id = holder.id();
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_str().unwrap();
        // The system keeps 15 bytes of the name.
        let name = &program[..program.len().min(15)];
        assert_eq!(
            locked_out(&shared),
            format!(
                "process {id} (`{name}`), which stands still while it {action}: end that process, or let it go on. \
                 Reading is possible meanwhile"
            )
        );
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
        shared.rollout.by("ana").hold("search", "x").unwrap();
        shared.rollout.by("ana").resume("search", None).unwrap();
    }
}

/// The code of a child process: locks the journal until its standard input ends.
#[test]
#[ignore = "runs in the child process of another test"]
fn child_that_holds_the_lock() {
    let path = std::env::var(PATH).expect("only the test of the lock's holder runs this one");
    let file = fs::File::open(path).unwrap();
    match std::env::var(ACTS).as_deref() {
        Ok("reads") => file.lock_shared().unwrap(),
        _ => file.lock().unwrap(),
    }
    println!("\nlocked");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn an_append_that_waits_too_long_for_its_own_process_says_so() {
    let shared = Shared::begun("own");
    let taken = fs::File::open(shared.journal()).unwrap();
    taken.lock().unwrap();
    assert_eq!(
        locked_out(&shared),
        "this process: another of its handles stands still. If that does not end, restart this process. Reading is \
         possible meanwhile"
    );
}

#[test]
fn a_file_system_whose_locks_do_not_work_is_refused() {
    let disk = Disk::new();
    drop(disk.create().unwrap());
    disk.break_locks();
    for error in [disk.open().unwrap_err(), disk.create().unwrap_err()] {
        assert_eq!(
            error.to_string(),
            "`store` cannot be opened: locks do not work on this file system, so processes could overwrite each \
             other's records: choose a directory on a local disk"
        );
    }
}

#[test]
fn removing_the_leader_file_changes_nothing_and_its_lock_ends_with_its_holder() {
    let shared = Shared::begun("lead");
    let lease = || Directory::open(&shared.path).unwrap().leader_lease().unwrap();
    let (mut one, mut other) = (lease(), lease());
    assert!(one.acquire().unwrap().is_some() && one.acquire().unwrap().is_some());
    assert_eq!(other.acquire().unwrap(), None);
    one.release();
    assert!(other.acquire().unwrap().is_some());
    assert_eq!(one.acquire().unwrap(), None);
    drop(other);
    assert!(one.acquire().unwrap().is_some());
    fs::remove_file(shared.path.join("leader")).unwrap();
    // Two leaders decide the same, and each number of the journal is used once.
    let mut third = lease();
    assert!(third.acquire().unwrap().is_some());
    shared.rollout.by("ana").hold("search", "x").unwrap();
    let error = Directory::read_only(&shared.path).unwrap().leader_lease().unwrap_err();
    assert!(error.is_read_only());
}

#[test]
fn the_watcher_reports_the_line_of_another_process() {
    let shared = Shared::begun("watched");
    let mut store = Directory::open(&shared.path).unwrap();
    let mut watcher = store.watcher().unwrap();
    assert!(watcher.wait(1, Duration::ZERO).unwrap());
    assert!(!watcher.wait(2, Duration::ZERO).unwrap());
    let waiting = std::thread::spawn(move || watcher.wait(2, Duration::from_secs(60)).unwrap());
    shared.rollout.by("ana").hold("search", "x").unwrap();
    assert!(waiting.join().unwrap());
}

const PATH: &str = "STAGEGATE_SHARED_PATH";
const ACTS: &str = "STAGEGATE_SHARED_ACTS";
const DIES_AT: &str = "STAGEGATE_SHARED_DIES_AT";

/// The code of a child process: acts, and prints the number and hash of each acknowledged record.
#[test]
#[ignore = "runs in the child processes of the test of many processes"]
fn child() {
    let set = |name| std::env::var(name).expect("only the test of many processes runs this one");
    let (path, acts): (_, usize) = (set(PATH), set(ACTS).parse().unwrap());
    let left = Arc::new(AtomicI64::new(set(DIES_AT).parse().unwrap()));
    let store = Directory::open_with(&path, Deadly::new(&left)).unwrap();
    let rollout = Rollout::open(store, clock()).unwrap();
    let by = std::process::id().to_string();
    let mut done = 0;
    while done < acts {
        match rollout.by(&by).sign("search", "load-test", Some(&by)) {
            Ok(outcome) => {
                let record = &outcome.records[0];
                let mut out = io::stdout().lock();
                writeln!(out, "\nacknowledged {} {}", record.seq, record.hash).unwrap();
                out.flush().unwrap();
                done += 1;
            }
            // Others wrote first, sixteen times in a row.
            Err(error) => {
                assert!(error.store_error().is_some_and(StoreError::is_conflict), "{error}");
            }
        }
    }
}

fn spawn(path: &Path, acts: usize, dies_at: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["shared::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .env(ACTS, acts.to_string())
        .env(DIES_AT, dies_at.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns the acknowledged records, and whether the process was killed.
fn acknowledged(child: Child) -> (Vec<(u64, String)>, bool) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("acknowledged "));
    let records = lines.map(|line| {
        let (number, hash) = line.split_once(' ').unwrap();
        (number.parse().unwrap(), hash.to_owned())
    });
    assert!(output.status.success() || output.status.code().is_none(), "{text}");
    (records.collect(), output.status.code().is_none())
}

/// Lets eight processes act at once, and for each of `kills` another one that dies at some point of its first acts. Checks
/// that the journal is one chain with every acknowledged record. Returns how many processes were killed.
fn act_together(name: &str, acts: usize, kills: i64) -> usize {
    let path = place(name);
    drop(begin(Directory::create(&path).unwrap(), &clock()).unwrap());
    Rollout::open(Directory::open(&path).unwrap(), clock())
        .and_then(|rollout| rollout.by("ana").force("search", "to have a stage with an item"))
        .unwrap();
    let workers: Vec<Child> = (0..8).map(|_| spawn(&path, acts, i64::MAX)).collect();
    let (mut records, mut killed) = (Vec::new(), 0);
    let points: Vec<i64> = (1..=kills).collect();
    // Eight at a time, so that there is a race also after the workers have ended.
    for batch in points.chunks(8) {
        let dying: Vec<Child> = batch.iter().map(|at| spawn(&path, acts, *at)).collect();
        for child in dying {
            let (some, was_killed) = acknowledged(child);
            records.extend(some);
            killed += usize::from(was_killed);
        }
    }
    for worker in workers {
        let (some, was_killed) = acknowledged(worker);
        assert!(!was_killed && some.len() == acts);
        records.extend(some);
    }
    let rollout = Rollout::open(Directory::open(&path).unwrap(), clock()).unwrap();
    let (head, mut journal, mut hashes) =
        (rollout.status().head, Journal::new(), Vec::<Hash>::new());
    for line in fs::read(path.join("journal.jsonl")).unwrap().split(|byte| *byte == b'\n') {
        if !line.is_empty() {
            hashes.push(journal.read(line).unwrap().hash);
        }
    }
    assert_eq!((hashes.len() as u64, *hashes.last().unwrap()), head);
    let count = records.len();
    for (number, hash) in &records {
        let found = hashes[usize::try_from(number - 1).unwrap()];
        assert_eq!(found.to_string(), *hash, "record {number} was acknowledged and is another now");
    }
    records.sort();
    records.dedup();
    assert_eq!(records.len(), count, "two processes got the same number");
    fs::remove_dir_all(&path).unwrap();
    killed
}

#[test]
fn eight_processes_write_one_history_while_others_are_killed() {
    assert!(act_together("eight", 200, 60) > 50);
}

/// 8 processes x 10,000 acts. Run it with `cargo test --features rollout --test journal -- --ignored shared::many`.
#[test]
#[ignore = "takes minutes"]
fn many_acts_of_eight_processes_write_one_history_while_others_are_killed() {
    println!("{} kills", act_together("many", 10_000, 3_000));
}
