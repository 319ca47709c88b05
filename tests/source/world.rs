//! Shared helpers for the tests of followers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use stagegate::source::{FollowEvent, FollowOptions};
use stagegate::{Gate, Update};

/// A timeout that no test reaches.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A temporary directory, removed when the value is dropped.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let shm = Path::new("/dev/shm");
        let root = if shm.is_dir() { shm.to_owned() } else { env::temp_dir() };
        let path = root.join(format!("stagegate-source-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns a plan whose flags all carry this number. A part of the plan is a valid plan with fewer flags.
pub(crate) fn plan(number: u32) -> String {
    let flag = |n: u32| format!("[flags.flag-{n}]\nowner = \"o{number}\"\nstage = \"internal\"\n");
    format!("schema = 1\n{}", (0..FLAGS + number % 3).map(flag).collect::<String>())
}

const FLAGS: u32 = 5;

/// Returns the number of a gate's plan. Panics if the plan is incomplete or mixed.
#[track_caller]
pub(crate) fn number_of(gate: &Gate) -> u32 {
    let status = gate.status();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for flag in status.flags {
        *numbers.entry(flag.owner.unwrap()).or_default() += 1;
    }
    assert_eq!(numbers.len(), 1, "a mix of several documents: {numbers:?}");
    let (owner, count) = numbers.pop_first().unwrap();
    let number: u32 = owner[1..].parse().unwrap();
    assert_eq!(count, FLAGS + number % 3, "a part of number {number}");
    number
}

/// The file that a test changes: the document, a users file next to it, or a users file in a subdirectory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowedFile {
    Document,
    List,
    ListBelow,
}

pub(crate) const ALL: [FollowedFile; 3] =
    [FollowedFile::Document, FollowedFile::List, FollowedFile::ListBelow];

/// Users in every list. The names of the list's first and last user have its number.
const USERS: u32 = 60;

/// The upper bound of the numbers of lists.
const NUMBERS: u32 = 1_100;

impl FollowedFile {
    /// Returns the path of the file, relative to the document's directory.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FollowedFile::Document => "rollout.toml",
            FollowedFile::List => "team.txt",
            FollowedFile::ListBelow => "lists/team.txt",
        }
    }

    /// Creates the file with number 0 in a directory, and the document that names it. Returns the paths of the document
    /// and of the file.
    pub(crate) fn create(self, directory: &Path) -> (PathBuf, PathBuf) {
        let (document, path) = (directory.join("rollout.toml"), directory.join(self.name()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if self != FollowedFile::Document {
            let text = format!(
                "schema = 1\n[groups.team]\nusers_file = \"{}\"\n[flags.listed]\nstage = \"s\"\n\
                 stages = [{{ name = \"s\", groups = [\"team\"] }}]\n",
                self.name()
            );
            fs::write(&document, text).unwrap();
        }
        fs::write(&path, self.text(0)).unwrap();
        (document, path)
    }

    /// Returns the content of the file with this number. A part of the content is a valid document or list.
    pub(crate) fn text(self, number: u32) -> String {
        match self {
            FollowedFile::Document => plan(number),
            FollowedFile::List | FollowedFile::ListBelow => {
                let users: String = (0..USERS).map(|n| format!("user-{n}\n")).collect();
                format!("first-{number}\n{users}last-{number}\n")
            }
        }
    }

    /// Returns the number in force. Panics if the file was applied in part.
    #[track_caller]
    pub(crate) fn number_of(self, gate: &Gate) -> u32 {
        if self == FollowedFile::Document {
            return number_of(gate);
        }
        let version = gate.pin();
        let has = |user: &str| version.is_enabled(user, "listed");
        let numbers = |name| (0..NUMBERS).filter(move |n| has(&format!("{name}-{n}")));
        let (first, last): (Vec<u32>, Vec<u32>) =
            (numbers("first").collect(), numbers("last").collect());
        assert!(first.len() == 1 && first == last, "a mix of several lists: {first:?}, {last:?}");
        assert!((0..USERS).all(|n| has(&format!("user-{n}"))), "a part of number {first:?}");
        first[0]
    }

    /// Returns a counter of the versions that were applied in part.
    pub(crate) fn count_partial_versions(self, gate: &Gate) -> Arc<AtomicU32> {
        let (parts, asked) = (Arc::<AtomicU32>::default(), gate.clone());
        let theirs = Arc::clone(&parts);
        gate.observe(move |update: &Update<'_>| {
            if let Update::Applied { .. } = update
                && std::panic::catch_unwind(|| self.number_of(&asked)).is_err()
            {
                theirs.fetch_add(1, Ordering::Relaxed);
            }
        });
        parts
    }
}

/// Waits until a condition holds, and returns how long that took.
#[track_caller]
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
    begin.elapsed()
}

/// A log of a follower's events.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn options(&self) -> FollowOptions {
        let log = self.clone();
        FollowOptions::new().observe(move |event: &FollowEvent| {
            let text = match event {
                FollowEvent::Applied { version, .. } => format!("applied {version}"),
                FollowEvent::Refused { error, .. } => format!("refused: {error}"),
                FollowEvent::Unreachable { error, .. } => format!("unreachable: {error}"),
                FollowEvent::Recovered => "recovered".to_owned(),
                FollowEvent::StartedFromLastKnownGood { age, .. } => {
                    format!("from the last known good, {age:?} old")
                }
                FollowEvent::Note { text, .. } => format!("note: {text}"),
                other => format!("{other:?}"),
            };
            log.0.lock().unwrap().push(text);
        })
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Returns the 50th and the 99th percentile.
pub(crate) fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    (at(50), at(99))
}

/// A deterministic generator of pseudo-random numbers (`SplitMix64`).
pub(crate) struct PseudoRandom(pub(crate) u64);

impl PseudoRandom {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
