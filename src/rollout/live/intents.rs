//! The file of rollbacks that the store does not have yet: what survives the process while the store is down.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_derive::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::pending::Pending;
use crate::clock::Moment;
use crate::eval::StageName;
use crate::plan::{read_file, replace_file, sync_directory_of};
use crate::rollout::{Fact, Hash, Record};

/// How the file begins: what it is, and its version.
const MAGIC: &str = "stagegate-intents 1";

/// Thousands of flags, each with a reason as long as records take.
const MAX_BYTES: usize = 64 << 20;

/// A rollback as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    flag: Box<str>,
    by: Box<str>,
    /// The stage that the flag may not pass.
    to: Box<str>,
    /// When it took effect, in milliseconds since 1970.
    since_ms: u64,
    /// The journal's last record that the process knew when the flag was rolled back.
    head: u64,
    facts: VecDeque<Fact>,
}

/// The file.
///
/// One line (what it is, the hash of the journal's first record, how many rollbacks follow), then a line for each
/// rollback: a checksum and JSON.
#[derive(Debug)]
pub(super) struct Intents {
    path: PathBuf,
    /// The hash of the first record of the journal that they belong to.
    journal: Hash,
    /// Held, not used: one process has the file.
    _lock: File,
}

/// What a file held when the rollout was opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    journal: Option<Box<str>>,
    intents: Vec<Intent>,
    /// What is wrong with the file.
    wrong: Option<String>,
}

impl Found {
    /// Reads the file, as far as it is sound.
    pub(super) fn read(path: &Path) -> Found {
        match read_file(path, MAX_BYTES) {
            Ok(bytes) => Found::of(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::default(),
            Err(error) => Found { wrong: Some(error.to_string()), ..Found::default() },
        }
    }

    fn of(bytes: &[u8]) -> Found {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let head = lines.next().and_then(|head| head.strip_prefix(MAGIC)?.strip_prefix(' '));
        let Some((journal, count)) = head.and_then(|head| head.split_once(' ')) else {
            let wrong = Some(format!("it does not begin with `{MAGIC}`"));
            return Found { wrong, ..Found::default() };
        };
        let intents: Vec<Intent> = lines.filter_map(intent).collect();
        let wrong = (count != intents.len().to_string())
            .then(|| format!("it is damaged: {} of {count} rollbacks can be read", intents.len()));
        Found { journal: Some(journal.into()), intents, wrong }
    }

    /// A record of the journal: rollbacks that it has are done with.
    pub(super) fn see(&mut self, record: &Record) {
        let Fact::RolledBack { cause, .. } = &record.fact else { return };
        let is_recorded = |intent: &Intent| {
            let cause =
                |fact: &Fact| matches!(fact, Fact::RolledBack { cause: it, .. } if it == cause);
            record.seq > intent.head
                && record.flag.as_ref() == Some(&intent.flag)
                && record.by == intent.by
                && intent.facts.iter().any(cause)
        };
        self.intents.retain(|intent| !is_recorded(intent));
    }
}

/// A line of the file; `None` where it is not what was written.
fn intent(line: &str) -> Option<Intent> {
    let (checksum, json) = line.split_once(' ')?;
    let is_sound = u128::from_str_radix(checksum, 16).ok()? == xxh3_128(json.as_bytes());
    let intent: Intent = is_sound.then(|| serde_json::from_str(json).ok())??;
    StageName::parse(&intent.to).ok().map(|_| intent)
}

impl Intents {
    /// Takes the file for this process, and says which rollbacks of this journal it holds and what there is to say of it.
    /// What is not of this journal, or cannot be read, is put beside the file.
    pub(super) fn open(
        path: &Path,
        found: Found,
        journal: Hash,
        now: &Moment,
    ) -> (Option<Intents>, Vec<Pending>, Vec<String>) {
        let shown = path.display();
        let mut notices = Vec::new();
        let locked = lock(path);
        let is_taken = matches!(locked, Ok(None));
        let file = match locked {
            Ok(Some(lock)) => Ok(Intents { path: path.to_owned(), journal, _lock: lock }),
            Ok(None) => Err("another process has this file; name another one".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let file = file.map_err(|error| {
            notices.push(format!("intents `{shown}`: rollbacks are kept in memory alone: {error}"));
        });
        let file = file.ok();
        let is_ours = found.journal.as_ref().is_none_or(|known| **known == journal.to_string());
        let wrong = match is_ours {
            true => found.wrong,
            false => Some("it is of another rollout, so nothing of it is in force".to_owned()),
        };
        if let Some(wrong) = wrong {
            let beside = beside(path, now.wall);
            let moved = match file.as_ref().map(|_| fs::rename(path, &beside)) {
                Some(Ok(())) => format!("the file is now `{}`", beside.display()),
                Some(Err(error)) => format!("the file stays: {error}"),
                None => "the file stays".to_owned(),
            };
            notices.push(format!(
                "intents `{shown}`: {wrong}; {moved}. Check which flags are to be off"
            ));
        }
        // Those of a file that another process has are that one's to record.
        let intents = if is_ours && !is_taken { found.intents } else { Vec::new() };
        let pending = intents.into_iter().zip(0..);
        let pending = pending.filter_map(|(intent, number)| intent.pending(number, now)).collect();
        (file, pending, notices)
    }

    /// Puts these rollbacks in the place of what the file held; without any there is no file.
    pub(super) fn write(&self, intents: &[Intent]) -> Result<(), String> {
        self.replace(intents).map_err(|error| {
            let shown = self.path.display();
            format!("intents `{shown}` cannot be written, so a restart loses what is not recorded: {error}")
        })
    }

    fn replace(&self, intents: &[Intent]) -> io::Result<()> {
        if intents.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed.and_then(|()| sync_directory_of(&self.path)),
            };
        }
        let mut text = format!("{MAGIC} {} {}\n", self.journal, intents.len());
        for intent in intents {
            let json = serde_json::to_string(intent)?;
            text += &format!("{:032x} {json}\n", xxh3_128(json.as_bytes()));
        }
        replace_file(&self.path, &[text.as_bytes()])
    }
}

impl Intent {
    pub(super) fn of(pending: &Pending) -> Intent {
        let since = pending.since.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Intent {
            flag: pending.flag.clone(),
            by: pending.by.clone(),
            to: pending.to.as_str().into(),
            since_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            head: pending.head,
            facts: pending.facts.clone(),
        }
    }

    fn pending(self, number: u64, now: &Moment) -> Option<Pending> {
        let since = UNIX_EPOCH.checked_add(Duration::from_millis(self.since_ms));
        let wall = since.unwrap_or(now.wall);
        Some(Pending {
            number,
            flag: self.flag,
            by: self.by,
            facts: self.facts,
            to: StageName::parse(&self.to).ok()?,
            since: Moment::new(wall, now.uptime, now.boot.clone()),
            head: self.head,
            is_told: true,
            late: true,
            has_failed: false,
        })
    }
}

/// Takes what stands for the file, as the file itself is replaced each time; `None` where another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(with_ending(path, ".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Where a file is put that is not to be written over.
fn beside(path: &Path, now: SystemTime) -> PathBuf {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    with_ending(path, &format!(".aside-{millis}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
