//! The file of intents: rollbacks that the store does not have yet. It keeps them across a restart while the store is
//! down.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_derive::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::pending::{PendingRollback, Scope};
use crate::clock::Moment;
use crate::eval::StageName;
use crate::plan::{read_file, replace_file, sync_directory_of};
use crate::rollout::journal::millis_of_moment;
use crate::rollout::{Cause, Fact, Hash, Record};

/// The beginning of the file: the name and version of the format.
const MAGIC: &str = "stagegate-intents 1";

/// Enough for thousands of flags, each with a reason of maximum length.
const MAX_BYTES: usize = 64 << 20;

/// A rollback, as the file holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    /// The flag. Left out for a rollback of every flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flag: Option<Box<str>>,
    by: Box<str>,
    /// The highest stage that the flag may have. For a rollback of every flag: that a flag not in `flags` may have.
    to: Box<str>,
    /// For a rollback of every flag: the highest stages of the flags that were on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    flags: BTreeMap<Box<str>, Box<str>>,
    /// When the rollback took effect, in milliseconds since 1970.
    since_ms: u64,
    /// The number of the last journal record that the process knew at the rollback.
    head: u64,
    facts: VecDeque<Fact>,
}

/// The open file of intents, locked for this process.
///
/// The first line has the format, the hash of the journal's first record, and the number of rollbacks. Each further
/// line is a rollback: a checksum and JSON.
#[derive(Debug)]
pub(super) struct Intents {
    path: PathBuf,
    /// The hash of the journal's first record, which identifies the journal.
    journal: Hash,
    /// Never read. It keeps the lock: only one process may use the file.
    _lock: File,
}

/// The content of a file of intents when the rollout was opened.
#[derive(Debug, Default)]
pub(super) struct LoadedIntents {
    journal: Option<Box<str>>,
    intents: Vec<Intent>,
    /// The problem with the file, if any.
    problem: Option<String>,
}

impl LoadedIntents {
    /// Reads the file, and keeps its valid lines.
    pub(super) fn read(path: &Path) -> LoadedIntents {
        match read_file(path, MAX_BYTES) {
            Ok(bytes) => LoadedIntents::parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => LoadedIntents::default(),
            Err(error) => {
                LoadedIntents { problem: Some(error.to_string()), ..LoadedIntents::default() }
            }
        }
    }

    fn parse(bytes: &[u8]) -> LoadedIntents {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        let head = lines.next().and_then(|head| head.strip_prefix(MAGIC)?.strip_prefix(' '));
        let Some((journal, count)) = head.and_then(|head| head.split_once(' ')) else {
            let problem = Some(format!("it does not begin with `{MAGIC}`"));
            return LoadedIntents { problem, ..LoadedIntents::default() };
        };
        let intents: Vec<Intent> = lines.filter_map(parse_intent).collect();
        let problem = (count != intents.len().to_string())
            .then(|| format!("it is damaged: {} of {count} rollbacks can be read", intents.len()));
        LoadedIntents { journal: Some(journal.into()), intents, problem }
    }

    /// Returns the number of the last record that every rollback of the file follows. `None` without rollbacks.
    pub(super) fn first_head(&self) -> Option<u64> {
        self.intents.iter().map(|intent| intent.head).min()
    }

    /// Removes the intents that this record of the journal fulfils.
    pub(super) fn remove_recorded(&mut self, record: &Record) {
        let Some(cause) = cause_of(&record.fact) else { return };
        let is_recorded = |intent: &Intent| {
            record.seq > intent.head
                && record.flag == intent.flag
                && record.by == intent.by
                && intent.facts.iter().any(|fact| cause_of(fact) == Some(cause))
        };
        self.intents.retain(|intent| !is_recorded(intent));
    }
}

/// Returns the cause of a rollback, of one flag or of all.
fn cause_of(fact: &Fact) -> Option<&Cause> {
    match fact {
        Fact::RolledBack { cause, .. } | Fact::RolledBackAll { cause, .. } => Some(cause),
        _ => None,
    }
}

/// Parses a line of the file. Returns `None` if it is damaged.
fn parse_intent(line: &str) -> Option<Intent> {
    let (checksum, json) = line.split_once(' ')?;
    let is_intact = u128::from_str_radix(checksum, 16).ok()? == xxh3_128(json.as_bytes());
    let intent: Intent = is_intact.then(|| serde_json::from_str(json).ok())??;
    let is_stage = |name: &str| StageName::parse(name).is_ok();
    let are_stages = is_stage(&intent.to) && intent.flags.values().all(|name| is_stage(name));
    are_stages.then_some(intent)
}

impl Intents {
    /// Locks the file for this process. Returns it with the pending rollbacks of this journal and notices for people.
    ///
    /// A file that is damaged or belongs to another journal is renamed, so that it is not overwritten.
    pub(super) fn open(
        path: &Path,
        found: LoadedIntents,
        journal: Hash,
        now: &Moment,
    ) -> (Option<Intents>, Vec<PendingRollback>, Vec<String>) {
        let shown = path.display();
        let mut notices = Vec::new();
        let locked = lock(path);
        let is_taken = matches!(locked, Ok(None));
        let file = match locked {
            Ok(Some(lock)) => Ok(Intents { path: path.to_owned(), journal, _lock: lock }),
            Ok(None) => Err("another process uses this file; name another one".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let file = file.map_err(|error| {
            notices.push(format!("intents `{shown}`: rollbacks are kept in memory only: {error}"));
        });
        let file = file.ok();
        let is_ours = found.journal.as_ref().is_none_or(|known| **known == journal.to_string());
        let problem = match is_ours {
            true => found.problem,
            false => Some(
                "it belongs to another rollout, so none of its rollbacks is in force".to_owned(),
            ),
        };
        if let Some(problem) = problem {
            let aside_path = aside_path(path, now.wall);
            let moved = match file.as_ref().map(|_| fs::rename(path, &aside_path)) {
                Some(Ok(())) => format!("the file is now `{}`", aside_path.display()),
                Some(Err(error)) => format!("the file stays: {error}"),
                None => "the file stays".to_owned(),
            };
            notices.push(format!(
                "intents `{shown}`: {problem}; {moved}. Check which flags should be off"
            ));
        }
        // The rollbacks of a file that another process uses are recorded by that process.
        let intents = if is_ours && !is_taken { found.intents } else { Vec::new() };
        let pending = intents.into_iter().zip(0..);
        let pending =
            pending.filter_map(|(intent, number)| intent.into_pending(number, now)).collect();
        (file, pending, notices)
    }

    /// Replaces the content of the file with these rollbacks. Removes the file if there are none.
    pub(super) fn write(&self, intents: &[Intent]) -> Result<(), String> {
        self.replace(intents).map_err(|error| {
            let shown = self.path.display();
            format!("intents `{shown}` cannot be written, so a restart would lose unrecorded rollbacks: {error}")
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
    pub(super) fn of(pending: &PendingRollback) -> Intent {
        let (flag, to, flags) = match &pending.scope {
            Scope::Flag(flag, to) => (Some(flag.clone()), *to, BTreeMap::new()),
            Scope::All(flags) => {
                let flags = flags.iter().map(|(flag, to)| (flag.clone(), to.as_str().into()));
                (None, StageName::OFF, flags.collect())
            }
        };
        Intent {
            flag,
            by: pending.by.clone(),
            to: to.as_str().into(),
            flags,
            since_ms: millis_of_moment(pending.since.wall),
            head: pending.head,
            facts: pending.facts.clone(),
        }
    }

    fn into_pending(self, number: u64, now: &Moment) -> Option<PendingRollback> {
        let since = UNIX_EPOCH.checked_add(Duration::from_millis(self.since_ms));
        let wall = since.unwrap_or(now.wall);
        let flags = self.flags.into_iter();
        let flags = flags.map(|(flag, to)| Some((flag, StageName::parse(&to).ok()?)));
        let scope = match self.flag {
            Some(flag) => Scope::Flag(flag, StageName::parse(&self.to).ok()?),
            None => Scope::All(Arc::new(flags.collect::<Option<_>>()?)),
        };
        Some(PendingRollback {
            number,
            scope,
            by: self.by,
            facts: self.facts,
            since: Moment::new(wall, now.uptime, now.boot.clone()),
            head: self.head,
            is_notified: true,
            is_late: true,
            has_failed: false,
        })
    }
}

/// Locks a separate lock file, because each write replaces the file itself. Returns `None` if another process holds the
/// lock.
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

/// Returns the new name for a file that must not be overwritten.
fn aside_path(path: &Path, now: SystemTime) -> PathBuf {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    with_ending(path, &format!(".aside-{millis}"))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
