//! A handle answers for its own flag in every version, while updates add and remove other flags and
//! so change the flag's position.

use std::fmt::Write as _;

use stagegate::{FlagHandle, Gate, Pinned, Salt};

use super::{sized, together};

/// The flags `f0` to `f7`. A version's number determines which of them exist and which are on.
const FLAGS: u64 = 8;

/// The number of flag sets, which repeat.
const CYCLE: u64 = 5;

/// Returns whether a version has a flag. Two versions in a row have different sets, so that flags change position.
fn is_there(version: u64, flag: u64) -> bool {
    !(flag * 7 + version % CYCLE * 3).is_multiple_of(5)
}

fn is_on(version: u64, flag: u64) -> bool {
    is_there(version, flag) && !(version % CYCLE + flag).is_multiple_of(3)
}

fn key(flag: u64) -> String {
    format!("f{flag}")
}

fn document(version: u64) -> String {
    let mut text = r#"{"schema": 1, "plans": {"p": {"stages": [{"name": "on", "percent": 100}]}},
        "flags": {"always": {}"#
        .to_owned();
    for flag in (0..FLAGS).filter(|flag| is_there(version, *flag)) {
        let stage = if is_on(version, flag) { "on" } else { "off" };
        write!(text, r#", "f{flag}": {{"plan": "p", "stage": "{stage}"}}"#).unwrap();
    }
    text + "}}"
}

#[test]
fn handles_answer_for_their_own_flag() {
    let (updates, reads) = (sized(3_000, 30), sized(20_000, 100));
    for version in 0..CYCLE {
        let set = |version: u64| (0..FLAGS).map(|flag| is_there(version, flag)).collect::<Vec<_>>();
        assert_ne!(
            set(version),
            set(version + 1),
            "both versions have the same flags, so no flag changes position"
        );
    }
    let gate = Gate::from_document(document(1)).unwrap();
    // All readers share the handles, so a reader uses positions that another reader has cached.
    let handles: Vec<FlagHandle> = (0..FLAGS).map(|flag| gate.flag(&key(flag))).collect();
    let mut jobs: Vec<Box<dyn FnOnce() + Send + '_>> = vec![Box::new(|| {
        for version in 2..u64::from(updates) {
            assert_eq!(gate.update(document(version)).unwrap(), version);
        }
    })];
    for reader in 0..3 {
        let (gate, handles) = (&gate, &handles);
        jobs.push(Box::new(move || {
            let clones = handles.clone();
            let mut held = gate.pin();
            for n in 0..u64::from(reads) {
                let flag = (n * 5 + reader) % FLAGS;
                let handle = if n % 4 == 0 { &clones } else { handles };
                check(&handle[usize::try_from(flag).unwrap()], flag, n, &held);
                if n % 32 == 0 {
                    held = gate.pin();
                }
            }
        }));
    }
    together(jobs);
}

/// Checks a flag in the current version and in a version that was pinned earlier.
fn check(handle: &FlagHandle, flag: u64, user: u64, held: &Pinned) {
    assert_eq!(handle.key(), key(flag));
    for evaluation in [handle.evaluate(user), handle.evaluate_in(held, user)] {
        let version = evaluation.version;
        assert_eq!(evaluation.enabled, is_on(version, flag), "f{flag} in {version}");
        // The bucket shows that the answer is for this flag: each flag has its own salt.
        let bucket = is_there(version, flag).then(|| Salt::new(&key(flag)).bucket(user));
        assert_eq!(evaluation.bucket, bucket, "f{flag} in {version}");
    }
    assert_eq!(handle.is_enabled_in(held, user), is_on(held.version(), flag));
}
