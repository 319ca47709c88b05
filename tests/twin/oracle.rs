//! The twin: a slow evaluator that follows the design sentence by sentence.

use std::collections::HashSet;

use stagegate::{AsUser, Evaluation, Reason, UserKey};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::model::{Doc, Flag};

/// A user of the tests.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) key: Vec<u8>,
    /// If a name has several values, the last one counts.
    pub(crate) attributes: Vec<(String, String)>,
}

impl AsUser for Person {
    fn key(&self) -> UserKey<'_> {
        self.key[..].into()
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        let mut named = self.attributes.iter().filter(|(attribute, _)| attribute == name);
        named.next_back().map(|(_, value)| &**value)
    }
}

/// An expected answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) enabled: bool,
    pub(crate) reason: Reason,
    pub(crate) stage: Option<String>,
    pub(crate) cohort: Option<String>,
    pub(crate) bucket: Option<u64>,
}

impl From<Evaluation> for Answer {
    fn from(evaluation: Evaluation) -> Answer {
        Answer {
            enabled: evaluation.enabled,
            reason: evaluation.reason,
            stage: evaluation.stage.map(|stage| stage.to_string()),
            cohort: evaluation.cohort.map(|stage| stage.to_string()),
            bucket: evaluation.bucket,
        }
    }
}

impl Doc {
    pub(crate) fn flag(&self, key: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.key == key)
    }

    /// Returns the names of the person's groups.
    pub(crate) fn groups_of(&self, person: &Person) -> HashSet<&str> {
        let is_in = |group: &&super::model::Group| {
            let listed = group.users.iter().any(|user| user.as_bytes() == person.key);
            let matches = group.rules.iter().all(|(attribute, values)| {
                person.attribute(attribute).is_some_and(|v| values.iter().any(|value| value == v))
            });
            listed || (!group.rules.is_empty() && matches)
        };
        self.groups.iter().filter(is_in).map(|group| &*group.name).collect()
    }

    /// Returns the answer for a flag at the position that the document declares.
    pub(crate) fn answer(&self, key: &str, person: &Person) -> Answer {
        self.flag(key)
            .map_or_else(Answer::not_found, |flag| self.answer_at(flag, flag.position, person))
    }

    pub(crate) fn answer_at(&self, flag: &Flag, position: usize, person: &Person) -> Answer {
        let groups = self.groups_of(person);
        let stages = flag.stages();
        let bucket = bucket(flag, person);
        let ppm = |position: usize| match position {
            0 => 0,
            position => stages[position - 1].ppm.unwrap_or(0),
        };
        let by_bucket = |position: usize| is_in_percent(bucket, ppm(position));
        // A stage's audience contains the audiences of all stages before it.
        let by_group = |position: usize| {
            let mut named = stages[..position].iter().flat_map(|stage| &stage.groups);
            named.any(|group| groups.contains(&**group))
        };
        let natural =
            (1..=stages.len()).find(|position| by_bucket(*position) || by_group(*position));
        let held = self.held_until(flag, person);
        let cohort = natural.map(|natural| natural.max(held));
        let enabled = position > 0 && cohort.is_some_and(|cohort| cohort <= position);
        // The first reason that applies, in the documented order.
        let reason = if position == 0 {
            Reason::Off
        } else if held > position {
            Reason::HeldBack
        } else if ppm(position) == 1_000_000 {
            Reason::Static
        } else if by_bucket(position) {
            Reason::Split
        } else if enabled {
            Reason::TargetingMatch
        } else if ppm(position) > 0 {
            Reason::Split
        } else {
            Reason::Default
        };
        Answer {
            enabled,
            reason,
            stage: Some(flag.stage_name(position)),
            cohort: cohort.map(|cohort| flag.stage_name(cohort)),
            bucket: Some(bucket),
        }
    }

    /// Returns the latest position until which a group of the person is held back. 0 if there is none.
    pub(crate) fn held_until(&self, flag: &Flag, person: &Person) -> usize {
        let groups = self.groups_of(person);
        let holds = flag.hold_back.iter().filter(|(group, _)| groups.contains(&**group));
        holds.map(|(_, until)| *until).max().unwrap_or(0)
    }
}

impl Answer {
    fn not_found() -> Answer {
        let reason = Reason::FlagNotFound;
        Answer { enabled: false, reason, stage: None, cohort: None, bucket: None }
    }
}

fn bucket(flag: &Flag, person: &Person) -> u64 {
    let salt = flag.salt.as_ref().unwrap_or(&flag.key);
    xxh3_64_with_seed(&person.key, xxh3_64(salt.as_bytes()))
}

fn is_in_percent(bucket: u64, ppm: u32) -> bool {
    ((u128::from(bucket) * 1_000_000) >> 64) < u128::from(ppm)
}
