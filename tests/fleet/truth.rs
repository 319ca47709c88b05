//! The true history: the journal as it was written, with the true times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use stagegate::rollout::{Fact, Hash, Journal, Record, Store};
use stagegate::store::Memory;

use super::document::{Doc, FLAGS, USERS};
use super::machine::Clocks;
use super::promises;

/// A record, the true time when it was written, and the clocks of the machine that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) record: Record,
    pub(crate) now: u64,
    pub(crate) clocks: Clocks,
}

/// A flag's stage, and the number of the record since which it is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) stage: String,
    pub(crate) since: usize,
}

type Places = BTreeMap<String, Place>;

#[derive(Debug, Default)]
pub(crate) struct Truth {
    journal: Journal,
    /// The record with number `n` has index `n - 1`.
    pub(crate) written: Vec<Written>,
    /// The flags' stages after each record.
    places: Vec<Places>,
    /// Every document that a process tried to apply, by its text.
    offered: BTreeMap<String, Doc>,
    docs: BTreeMap<Hash, Doc>,
    /// Removed flags, each with the last document that had it and its stage there.
    removed: BTreeMap<String, (Doc, String)>,
    /// The last hold of all flags, with its end. It may be over.
    held: Option<Option<SystemTime>>,
    sets: BTreeMap<(u64, String, String), Vec<bool>>,
}

impl Truth {
    pub(crate) fn offer(&mut self, doc: &Doc) {
        self.offered.insert(doc.text(), doc.clone());
    }

    pub(crate) fn head(&self) -> usize {
        self.written.len()
    }

    /// Returns the end of the hold of all flags that is in force at a moment by the wall clock.
    pub(crate) fn frozen(&self, at: SystemTime) -> Option<Option<SystemTime>> {
        self.held.filter(|end| end.is_none_or(|end| at < end))
    }

    /// Returns the flag's stage after a record.
    pub(crate) fn place(&self, head: usize, flag: &str) -> Option<&Place> {
        self.places.get(head.checked_sub(1)?)?.get(flag)
    }

    pub(crate) fn stage(&self, head: usize, flag: &str) -> &str {
        self.place(head, flag).map_or("off", |place| &place.stage)
    }

    /// Returns the document in force after a record.
    pub(crate) fn doc(&self, head: usize) -> &Doc {
        &self.docs[&self.written[head - 1].record.document]
    }

    /// Returns for each user whether a stage of a document enables the flag. A new gate evaluates it.
    pub(crate) fn admits(&mut self, doc: &Doc, flag: &str, stage: &str) -> Vec<bool> {
        if stage == "off" || doc.flag(flag).is_none() {
            return vec![false; USERS];
        }
        let key = (doc.edition, flag.to_owned(), stage.to_owned());
        self.sets.entry(key).or_insert_with(|| doc.admits(flag, stage)).clone()
    }

    /// Reads the new records and checks each of them against the promises.
    pub(crate) fn read_new_records(&mut self, store: &mut Memory, machines: &[Clocks]) {
        let lines = store.read(self.journal.head().0 + 1).unwrap();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = self.journal.read(line).unwrap();
            self.load_document(store, record.document);
            let clocks = machines.iter().find(|clocks| clocks.boot == record.boot.as_str());
            let clocks = clocks.unwrap().clone();
            let now = clocks.now;
            self.append(Written { record, now, clocks });
        }
    }

    fn load_document(&mut self, store: &mut Memory, hash: Hash) {
        if !self.docs.contains_key(&hash) {
            let kept = store.document(&hash.to_string()).unwrap();
            let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
            let doc = self.offered[kept["text"].as_str().unwrap()].clone();
            self.docs.insert(hash, doc);
        }
    }

    fn append(&mut self, written: Written) {
        let number = self.head() + 1;
        let before = self.places.last().cloned().unwrap_or_default();
        let mut after = before.clone();
        let put = |after: &mut Places, flag: &str, stage: String| {
            after.insert(flag.to_owned(), Place { stage, since: number });
        };
        let record = &written.record;
        match &record.fact {
            Fact::Opened { flags, .. } => {
                flags.iter().for_each(|flag| put(&mut after, &flag.flag, flag.stage.to_string()));
            }
            Fact::Updated { flags, .. } => {
                for change in flags {
                    let is_moved = change.reset.iter().any(|reset| **reset == *"time");
                    let is_new = !before.contains_key(&*change.flag);
                    match change.stage {
                        Some(stage) if is_new || is_moved => {
                            put(&mut after, &change.flag, stage.to_string());
                        }
                        Some(stage) => assert_eq!(before[&*change.flag].stage, *stage),
                        None => drop(after.remove(&*change.flag)),
                    }
                }
            }
            Fact::RolledBackAll { flags, .. } => {
                for back in flags {
                    assert_eq!(before[&*back.flag].stage, *back.from, "{record}");
                    put(&mut after, &back.flag, back.to.to_string());
                }
                // Every flag that was in a stage is listed.
                assert!(after.values().all(|place| place.stage == "off"), "{record}");
            }
            Fact::HeldAll { until_ms, .. } => {
                let end = until_ms.map(Duration::from_millis);
                self.held = Some(end.map(|end| SystemTime::UNIX_EPOCH + end));
            }
            Fact::ResumedAll { .. } => self.held = None,
            _ => {
                if let Some((flag, (from, to))) =
                    record.flag.as_deref().zip(record.from.zip(record.to))
                {
                    // 9: one order. Each record starts at the stage where the record before it ended.
                    assert_eq!(before[flag].stage, *from, "{record}");
                    if from != to {
                        put(&mut after, flag, to.to_string());
                    }
                }
            }
        }
        self.written.push(written);
        self.places.push(after);
        if number > 1 {
            promises::check_record(self, number);
        }
        let (old, new) = (self.doc(number.max(2) - 1).clone(), self.doc(number).clone());
        for key in FLAGS {
            if old.flag(key).is_some() && new.flag(key).is_none() {
                let stage = self.stage(number.max(2) - 1, key).to_owned();
                self.removed.insert(key.to_owned(), (old.clone(), stage));
            } else if new.flag(key).is_some() {
                self.removed.remove(key);
            }
        }
    }

    /// Returns the document and stage that limit an update: of the document in force, or of the last one with a removed
    /// flag.
    pub(crate) fn in_force(&self, number: usize, flag: &str) -> Option<(Doc, String)> {
        let doc = self.doc(number - 1);
        match doc.flag(flag) {
            Some(_) => Some((doc.clone(), self.stage(number - 1, flag).to_owned())),
            None => self.removed.get(flag).cloned(),
        }
    }

    /// Returns the last reading of a flag's error rate in its current stage, before a record.
    pub(crate) fn last_reading(&self, number: usize, flag: &str) -> Option<&Written> {
        let since = self.place(number - 1, flag)?.since;
        let before = self.written.get(since - 1..number - 1)?;
        before.iter().rev().find(|it| {
            it.record.flag.as_deref() == Some(flag)
                && matches!(it.record.fact, Fact::Measured { .. })
        })
    }

    /// Returns the longest time that a single machine has seen since a flag came to its stage. A machine's time runs from
    /// its first record to its last one; this machine's time runs to now. Machines whose uptime went backwards do not count.
    pub(crate) fn seen_by_one(&self, head: usize, flag: &str, machine: &Clocks) -> Duration {
        let Some(place) = self.place(head, flag) else { return Duration::ZERO };
        let readings = &self.written[place.since - 1..head];
        let boots: BTreeSet<&str> = readings.iter().map(|it| it.record.boot.as_str()).collect();
        let seen = |boot: &str| {
            let of_boot = || readings.iter().filter(|it| it.record.boot.as_str() == boot);
            if machine.went_back && machine.boot == boot || of_boot().any(|it| it.clocks.went_back)
            {
                return Duration::ZERO;
            }
            let present = (machine.boot == boot).then_some(Duration::from_millis(machine.up));
            let first = of_boot().map(|it| it.record.uptime).next().unwrap();
            let last = of_boot().map(|it| it.record.uptime).next_back().unwrap();
            present.unwrap_or(last) - first
        };
        boots.into_iter().map(seen).max().unwrap_or_default()
    }
}
