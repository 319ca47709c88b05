//! The power fails at every operation, and again while that is being put right. What was not synced
//! is then there, or not, or in part, in any order.

use stagegate::rollout::Rollout;

use super::disk::{Disk, Fault};
use super::golden::told;
use super::story::{STEPS, begin, clock};

/// Numbers as good as drawn, and always the same.
fn chooser(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    }
}

/// Runs the story until the power fails at that operation. What had been acknowledged: the journal,
/// or nothing.
fn until(disk: &Disk, number: usize) -> Vec<u8> {
    let clock = clock();
    disk.fail(number, Fault::Forever);
    let Ok(store) = disk.create() else { return Vec::new() };
    let Ok(rollout) = begin(store, &clock) else { return Vec::new() };
    let mut acknowledged = disk.journal();
    for step in STEPS {
        if step(&rollout, &clock).is_err() || !rollout.status().unrecorded.is_empty() {
            break;
        }
        acknowledged = disk.journal();
    }
    acknowledged
}

/// What is left opens, has what was acknowledged, and nothing that was not written.
fn is_sound(left: &Disk, acknowledged: &[u8], written: &[u8], what: &str) {
    match left.open() {
        Ok(store) => {
            let journal = left.journal();
            assert!(journal.starts_with(acknowledged), "{what}: something is lost");
            assert!(written.starts_with(&journal), "{what}: something is invented");
            match Rollout::open(store, clock()) {
                Ok(rollout) => {
                    let lines = journal.iter().filter(|byte| **byte == b'\n').count();
                    assert_eq!(rollout.status().head.0, lines as u64);
                }
                Err(error) => {
                    assert!(journal.is_empty() && !error.is_damaged(), "{what}: {error}");
                }
            }
        }
        Err(error) => {
            assert!(acknowledged.is_empty() && error.is_missing(), "{what}: {error}");
        }
    }
    let files = left.files();
    let again = left.open();
    assert_eq!(left.files(), files, "{what}: a second open changes nothing");
    drop(again);
    if acknowledged.is_empty() && left.journal().is_empty() {
        begin(left.create().unwrap(), &clock()).unwrap();
    }
}

fn survives(seeds: u64) -> usize {
    let mut images = 0;
    for number in 1..=told().0.operations() {
        for seed in 0..seeds {
            let disk = Disk::new();
            let acknowledged = until(&disk, number);
            let written = disk.journal();
            let mut choose = chooser(number as u64 * 1_000 + seed);
            let left = disk.without_power(&mut choose);
            // And once more, at each operation of putting that right.
            for again in 1..8 {
                let second = left.copy();
                second.fail(again, Fault::Forever);
                if second.open().is_ok() {
                    break;
                }
                let second = second.without_power(&mut choose);
                is_sound(&second, &acknowledged, &written, &format!("{number}, {again}"));
                images += 1;
            }
            is_sound(&left, &acknowledged, &written, &format!("operation {number}, seed {seed}"));
            images += 1;
        }
    }
    images
}

#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    assert!(survives(6) > 1_000);
}

/// About 100,000 disks: `cargo test --features rollout --test journal -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn nothing_acknowledged_is_lost_with_the_power_in_many_ways() {
    assert!(survives(300) > 50_000);
}
