//! What is true: the journal as it was written, with the time that truly passed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stagegate::rollout::{Fact, Hash, Journal, Record, Store};
use stagegate::store::Memory;

use super::document::{Doc, FLAGS, USERS};
use super::machine::Hands;
use super::promises;

/// A record, the true time of it, and the clocks of the machine that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) record: Record,
    pub(crate) now: u64,
    pub(crate) hands: Hands,
}

/// Where a flag is, and since which record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) stage: String,
    pub(crate) since: usize,
}

type Places = BTreeMap<String, Place>;

#[derive(Debug, Default)]
pub(crate) struct Truth {
    journal: Journal,
    /// The record of number `n` is at `n - 1`.
    pub(crate) written: Vec<Written>,
    /// Where flags were after each record.
    places: Vec<Places>,
    /// Every document that was ever offered.
    offered: BTreeMap<String, Doc>,
    docs: BTreeMap<Hash, Doc>,
    /// Removed flags, with the document that had them last.
    removed: BTreeMap<String, (Doc, String)>,
    sets: BTreeMap<(u64, String, String), Vec<bool>>,
}

impl Truth {
    pub(crate) fn offer(&mut self, doc: &Doc) {
        self.offered.insert(doc.text(), doc.clone());
    }

    pub(crate) fn head(&self) -> usize {
        self.written.len()
    }

    /// Where the flag was after a record.
    pub(crate) fn place(&self, head: usize, flag: &str) -> Option<&Place> {
        self.places.get(head.checked_sub(1)?)?.get(flag)
    }

    pub(crate) fn stage(&self, head: usize, flag: &str) -> &str {
        self.place(head, flag).map_or("off", |place| &place.stage)
    }

    /// The document in force after a record.
    pub(crate) fn doc(&self, head: usize) -> &Doc {
        &self.docs[&self.written[head - 1].record.document]
    }

    /// Who has a flag in a stage of a document, by a gate that knows nothing else.
    pub(crate) fn admits(&mut self, doc: &Doc, flag: &str, stage: &str) -> Vec<bool> {
        if stage == "off" || doc.flag(flag).is_none() {
            return vec![false; USERS];
        }
        let key = (doc.edition, flag.to_owned(), stage.to_owned());
        self.sets.entry(key).or_insert_with(|| doc.admits(flag, stage)).clone()
    }

    /// Reads on, and holds each record to the promises.
    pub(crate) fn read_on(&mut self, store: &mut Memory, machines: &[Hands]) {
        let lines = store.read(self.journal.head().0 + 1).unwrap();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = self.journal.read(line).unwrap();
            self.know_document(store, record.document);
            let hands = machines.iter().find(|hands| hands.boot == record.boot.as_str());
            let hands = hands.unwrap().clone();
            let now = hands.now;
            self.goes_on(Written { record, now, hands });
        }
    }

    fn know_document(&mut self, store: &mut Memory, hash: Hash) {
        if !self.docs.contains_key(&hash) {
            let kept = store.document(&hash.to_string()).unwrap();
            let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
            let doc = self.offered[kept["text"].as_str().unwrap()].clone();
            self.docs.insert(hash, doc);
        }
    }

    fn goes_on(&mut self, written: Written) {
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
            _ => {
                if let Some((flag, (from, to))) =
                    record.flag.as_deref().zip(record.from.zip(record.to))
                {
                    // 9: one order. Each record begins where the one before has ended.
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
            promises::of_record(self, number);
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

    /// The plan and stage that an update has to go by: of the plan in force, or of the one that a removed flag was in.
    pub(crate) fn in_force(&self, number: usize, flag: &str) -> Option<(Doc, String)> {
        let doc = self.doc(number - 1);
        match doc.flag(flag) {
            Some(_) => Some((doc.clone(), self.stage(number - 1, flag).to_owned())),
            None => self.removed.get(flag).cloned(),
        }
    }

    /// The last reading of a flag's error rate in its stage before a record.
    pub(crate) fn last_reading(&self, number: usize, flag: &str) -> Option<&Written> {
        let since = self.place(number - 1, flag)?.since;
        let before = self.written.get(since - 1..number - 1)?;
        before.iter().rev().find(|it| {
            it.record.flag.as_deref() == Some(flag)
                && matches!(it.record.fact, Fact::Measured { .. })
        })
    }

    /// What one machine alone has seen since a flag came to its stage: the most between two of its readings. Machines
    /// whose uptime went backwards do not count.
    pub(crate) fn seen_by_one(&self, head: usize, flag: &str, machine: &Hands) -> Duration {
        let Some(place) = self.place(head, flag) else { return Duration::ZERO };
        let readings = &self.written[place.since - 1..head];
        let boots: BTreeSet<&str> = readings.iter().map(|it| it.record.boot.as_str()).collect();
        let seen = |boot: &str| {
            let of_boot = || readings.iter().filter(|it| it.record.boot.as_str() == boot);
            if machine.went_back && machine.boot == boot || of_boot().any(|it| it.hands.went_back) {
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
