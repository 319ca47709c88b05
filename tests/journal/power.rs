//! The power fails at every operation, and again during the recovery. After that, unsynced data is there, or
//! missing, or there in part, in any order.

use stagegate::rollout::Rollout;

use super::disk::{Disk, Fault};
use super::story::{begin, clock, steps_with_segments};

/// Returns a pseudorandom number generator with a fixed seed.
fn chooser(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    }
}

/// Runs the story until the power fails at the operation `number`. Returns the journal up to the last
/// acknowledged step.
fn run_until(disk: &Disk, number: usize) -> Vec<u8> {
    let clock = clock();
    disk.fail(number, Fault::Forever);
    let Ok(store) = disk.create() else { return Vec::new() };
    let Ok(rollout) = begin(store, &clock) else { return Vec::new() };
    let mut acknowledged = disk.journal();
    for step in steps_with_segments() {
        if step(&rollout, &clock).is_err() || !rollout.status().unrecorded.is_empty() {
            break;
        }
        acknowledged = disk.journal();
    }
    acknowledged
}

/// Checks that the disk opens, has everything acknowledged, and has nothing that was not written.
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
    let whole = Disk::new();
    run_until(&whole, usize::MAX / 2);
    for number in 1..=whole.operations() {
        for seed in 0..seeds {
            let disk = Disk::new();
            let acknowledged = run_until(&disk, number);
            let written = disk.journal();
            let mut choose = chooser(number as u64 * 1_000 + seed);
            let left = disk.without_power(&mut choose);
            // The power fails again, at each operation of the recovery.
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
fn a_power_failure_loses_nothing_acknowledged() {
    assert!(survives(6) > 1_000);
}

/// Tests about 100,000 disk images. Run it with `cargo test --features rollout --test journal -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn a_power_failure_loses_nothing_acknowledged_in_many_images() {
    assert!(survives(300) > 50_000);
}
