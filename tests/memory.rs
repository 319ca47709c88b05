//! Tests of the memory that a gate allocates.
//!
//! Memory is freed after 100,000 swaps, with readers that held old versions and 1,000 idle threads that evaluated once.
//! The tests have a binary of their own because they count the allocations of all threads. They do not measure whether
//! the allocator returns freed memory to the operating system.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, RwLock};
use std::{env, fs, process, thread};

use peak_alloc::PeakAlloc;
use stagegate::{Document, Gate, Pinned};

const FLAGS: usize = 1_000;
const IDLE: usize = 1_000;
const SWAPS: usize = 100_000;
/// The number of old versions that a reader holds at a time.
const PINS: usize = 200;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

fn gate() -> Gate {
    let mut document = "schema = 1\n".to_owned();
    for flag in 0..FLAGS {
        write!(document, "[flags.f{flag}]\nstage = \"pilot\"\n").unwrap();
    }
    Gate::from_document(document).unwrap()
}

fn swap(gate: &Gate, times: usize) {
    for turn in 0..times {
        let stage = if turn % 2 == 0 { "internal" } else { "pilot" };
        gate.set_stage(&format!("f{}", turn / 2 % FLAGS), stage).unwrap();
    }
}

/// Pins the current version repeatedly and holds up to [`PINS`] versions. Returns the largest number of versions held.
fn hold_old_versions(gate: &Gate, stop: &AtomicBool) -> usize {
    let answer = |pin: &Pinned| pin.is_enabled("anybody", "f0");
    let mut pins = VecDeque::<(Pinned, bool)>::new();
    let mut most = 0;
    while !stop.load(Ordering::Relaxed) {
        let pin = gate.pin();
        if pins.back().is_none_or(|(last, _)| last.version() < pin.version()) {
            let answered = answer(&pin);
            pins.push_back((pin, answered));
        }
        most = most.max(pins.len());
        if pins.len() > PINS {
            let (oldest, answered) = pins.pop_front().unwrap();
            assert_eq!(answer(&oldest), answered);
        }
    }
    most
}

/// Serialises the tests, because each counts the allocations of the whole process.
static COUNTING: Mutex<()> = Mutex::new(());

#[test]
fn a_flag_takes_at_most_200_bytes_beyond_its_text() {
    let _alone = COUNTING.lock();
    for count in [10_000, 100_000] {
        let mut document = "schema = 1\n".to_owned();
        for flag in 0..count {
            write!(document, "[flags.flag-{flag:06}]\nowner = \"checkout\"\nstage = \"pilot\"\n")
                .unwrap();
        }
        let text = document.len();
        let before = ALLOCATED.current_usage();
        let gate = Gate::from_document(document.as_str()).unwrap();
        let bytes = ALLOCATED.current_usage() - before;
        println!("{count} flags: {} bytes each, {} of them text", bytes / count, text / count);
        assert!(bytes <= text + 200 * count, "{bytes} bytes for {text} of text");
        drop(gate);
    }
}

/// Five million take as many bytes each as ten million, for which the table has twice the buckets.
#[test]
fn a_listed_user_of_16_bytes_takes_at_most_32_bytes() {
    const USERS: usize = 5_000_000;
    let _alone = COUNTING.lock();
    let directory = env::temp_dir().join(format!("stagegate-memory-{}", process::id()));
    fs::create_dir_all(&directory).unwrap();
    let mut list = String::with_capacity(17 * USERS);
    for user in 0..USERS {
        writeln!(list, "user-{user:011}").unwrap();
    }
    fs::write(directory.join("users.txt"), list).unwrap();
    let text = "schema = 1\n[groups.listed]\nusers_file = \"users.txt\"\n[flags.search]\nstage = \"pilot\"\n\
                stages = [{ name = \"pilot\", groups = [\"listed\"], percent = 10 }]";
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let gate = Gate::from_document(Document::new(text).directory(&directory)).unwrap();
    let (kept, peak) = (ALLOCATED.current_usage() - before, ALLOCATED.peak_usage() - before);
    fs::remove_dir_all(&directory).unwrap();
    println!("{USERS} users: {} bytes, {} while loading", kept / USERS, peak / USERS);
    assert!(gate.is_enabled("user-00004999999", "search"));
    assert!(kept <= 32 * USERS, "{kept} bytes");
    assert!(peak <= 40 * USERS, "{peak} bytes while loading");
}

#[test]
fn memory_is_freed_after_100_000_swaps() {
    let _alone = COUNTING.lock();
    let gate = gate();
    let (asked, done) = (Barrier::new(IDLE + 1), RwLock::new(()));
    // The idle threads wait for this lock, which a panic of this thread releases, too.
    let busy = done.write().unwrap();
    thread::scope(|scope| {
        for _ in 0..IDLE {
            let small = thread::Builder::new().stack_size(64 * 1024);
            let idle = || {
                // `version` loads the snapshot, so the thread may cache it.
                assert_eq!(gate.version(), 1);
                asked.wait();
                drop(done.read());
            };
            small.spawn_scoped(scope, idle).unwrap();
        }
        asked.wait();
        let readers = |swaps| {
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                let readers = [(); 2].map(|()| scope.spawn(|| hold_old_versions(&gate, &stop)));
                swap(&gate, swaps);
                let held = ALLOCATED.current_usage();
                stop.store(true, Ordering::Relaxed);
                (held, readers.map(|reader| reader.join().unwrap()))
            })
        };
        // A first round, so that one-time allocations are not counted below.
        readers(1_000);
        swap(&gate, 2);
        let before = ALLOCATED.current_usage();
        let (during, pins) = readers(SWAPS);
        swap(&gate, 2);
        let after = ALLOCATED.current_usage();
        println!("allocated: {before} before, {during} with old versions held, {after} after");
        assert!(pins.iter().all(|most| *most > 1), "no old version was held: {pins:?}");
        assert!(after <= before + before / 20, "{before} before, {after} after");
        drop(busy);
    });
}
