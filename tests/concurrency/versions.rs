//! Readers see whole versions. Every version has a random word and the word's checksum, one flag per
//! bit. A reader that mixed two versions would see a checksum that does not match the word.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use stagegate::{FlagHandle, Gate, Pinned, Update};

use super::{sized, together};

/// The number of bits of the word, and of its checksum.
const BITS: u32 = if cfg!(miri) { 4 } else { 20 };

/// The number of writers that move one flag each. No other writer moves that flag.
const STEPPERS: u32 = 2;
const UPDATERS: u32 = 2;
const READERS: u32 = 3;

/// Mixes a word's bits (`SplitMix64`), so that similar words have very different checksums.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn low_bits(word: u64) -> u64 {
    word & ((1 << BITS) - 1)
}

fn checksum(word: u64) -> u64 {
    low_bits(mix(low_bits(word)))
}

fn key(kind: char, index: u32) -> String {
    format!("{kind}{index:02}")
}

/// Returns a document with the word's bits as flags `w..`, the checksum's bits as flags `c..`, and one
/// flag `s..` per stepper. The flags `s..` are declared on, but an update leaves a flag off after its
/// stepper has rolled it back.
fn document(word: u64) -> String {
    let mut text = r#"{"schema": 1, "plans": {"p": {"stages": [{"name": "on", "percent": 100}]}},
        "flags": {"last": {}"#
        .to_owned();
    let mut flag = |key: String, on: bool| {
        let stage = if on { "on" } else { "off" };
        write!(text, r#", "{key}": {{"plan": "p", "stage": "{stage}"}}"#).unwrap();
    };
    for bit in 0..BITS {
        flag(key('w', bit), word >> bit & 1 == 1);
        flag(key('c', bit), checksum(word) >> bit & 1 == 1);
    }
    (0..STEPPERS).for_each(|stepper| flag(key('s', stepper), true));
    text + "}}"
}

/// Reads the bits of the flags of this kind.
fn read(kind: char, mut is_on: impl FnMut(&str) -> bool) -> u64 {
    (0..BITS).map(|bit| u64::from(is_on(&key(kind, bit))) << bit).sum()
}

fn check(how: &str, is_on: &mut dyn FnMut(&str) -> bool) {
    let (word, sum) = (read('w', &mut *is_on), read('c', is_on));
    assert_eq!(
        sum,
        checksum(word),
        "{how}: the word {word:x} and its checksum are from different versions"
    );
}

#[test]
fn readers_see_whole_versions_and_no_update_is_lost() {
    let (updates, steps, reads) = (sized(400, 20), sized(2_000, 40), sized(4_000, 40));
    let gate = Gate::from_document(document(0)).unwrap();
    let applied = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&applied);
    gate.observe(move |update: &Update<'_>| match update {
        Update::Applied { version, .. } => sink.lock().unwrap().push(*version),
        other => panic!("{other:?}"),
    });

    let seen_together = AtomicU64::new(0);
    let mut jobs: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for updater in 0..UPDATERS {
        let gate = gate.clone();
        jobs.push(Box::new(move || {
            let mut last = 1;
            for n in 0..updates {
                let word = mix(u64::from(updater) << 32 | u64::from(n));
                let version = gate.update(document(word)).unwrap();
                assert!(last < version && version <= gate.version(), "{last}, then {version}");
                last = version;
            }
        }));
    }
    for stepper in 0..STEPPERS {
        let gate = gate.clone();
        jobs.push(Box::new(move || step(&gate, &key('s', stepper), steps)));
    }
    for _ in 0..READERS {
        let (gate, seen) = (gate.clone(), &seen_together);
        jobs.push(Box::new(move || {
            // Relaxed: read after every thread has ended.
            seen.fetch_max(read_versions(&gate, reads), Ordering::Relaxed);
        }));
    }
    together(jobs);

    let count = u64::from(UPDATERS * updates + STEPPERS * steps);
    assert_eq!(gate.version(), 1 + count);
    let applied: BTreeSet<_> = applied.lock().unwrap().drain(..).collect();
    assert_eq!(applied, (2..=1 + count).collect(), "each update made a version of its own");
    // A reader that saw one version only has tested nothing. Slow tools may run the threads one after the other.
    let least = u64::from(sized(3, 1));
    assert!(seen_together.into_inner() >= least, "readers and writers never met");
}

/// Moves a flag down and up, and checks that each move is in force at once. No other thread moves this flag.
fn step(gate: &Gate, key: &str, steps: u32) {
    let handle = gate.flag(key);
    for n in 0..steps {
        let on = n % 2 == 1;
        let version = if on { gate.set_stage(key, "on") } else { gate.roll_back(key) }.unwrap();
        assert!(gate.version() >= version);
        // Other threads may have made newer versions, and each of them includes this move.
        assert_eq!((handle.is_enabled(1), gate.is_enabled(2, key)), (on, on), "{key} at {version}");
        let evaluation = gate.pin().evaluate(3, key);
        assert!(evaluation.enabled == on && evaluation.version >= version);
    }
}

/// Checks one version after the other. Returns the number of different versions.
fn read_versions(gate: &Gate, reads: u32) -> u64 {
    let handles: Vec<FlagHandle> = ['w', 'c']
        .into_iter()
        .flat_map(|kind| (0..BITS).map(move |bit| gate.flag(&key(kind, bit))))
        .collect();
    let (mut last, mut different) = (0, 0);
    let mut is_later = |version: u64| {
        assert!(version >= last, "version {version} after {last}");
        different += u64::from(version > last);
        last = version;
    };
    let mut held: Option<(Pinned, u64)> = None;
    for n in 0..reads {
        let user = u64::from(n);
        let pinned = gate.pin();
        is_later(pinned.version());
        match n % 3 {
            0 => check("by name", &mut |key| pinned.is_enabled(user, key)),
            1 => check("by handle", &mut |key| {
                let handle = handles.iter().find(|handle| handle.key() == key).unwrap();
                let evaluation = handle.evaluate_in(&pinned, user);
                assert_eq!(evaluation.version, pinned.version());
                evaluation.enabled
            }),
            _ => {
                let answers = gate.evaluate_all(user);
                assert!(answers.iter().all(|(_, e)| e.version == answers[0].1.version));
                is_later(answers[0].1.version);
                check("all at once", &mut |key| {
                    answers.iter().any(|(flag, e)| **flag == *key && e.enabled)
                });
            }
        }
        // A pinned version does not change.
        let word = read('w', |key| pinned.is_enabled(user, key));
        match &held {
            Some((old, word)) if n % 16 != 0 => {
                assert_eq!(read('w', |key| old.is_enabled(user, key)), *word);
            }
            _ => held = Some((pinned, word)),
        }
    }
    different
}
