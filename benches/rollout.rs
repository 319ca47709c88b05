//! The cost of a rollout's work: a durable record, a replay, a tick, and a rollback until every reader sees it.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a bench that fails panics")]

mod support;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use stagegate::clock::{ManualClock, SystemClock};
use stagegate::rollout::{Rollout, Store};
use stagegate::store::{Directory, Memory};

const ONE_FLAG: &str = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100, checklist = [{ id = \"i\", text = \"t\" }] }]";

/// A directory on the disk of the build directory. Dropping it removes it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-rollout");
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn main() {
    let smoke = support::is_smoke_test();
    println!("| what | p50 | p99 | times |\n| --- | --- | --- | --- |");
    // `cargo bench --features rollout --bench rollout -- replay` runs only `replay`.
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |name: &str| named.is_empty() || named.iter().any(|wanted| wanted == name);
    if is_wanted("record") {
        record(if smoke { 5 } else { 2_000 });
    }
    if is_wanted("roll_back") {
        roll_back(if smoke { 5 } else { 500 });
    }
    if is_wanted("tick") {
        tick(if smoke { 3 } else { 50 });
    }
    if is_wanted("replay") {
        for records in if smoke { [100, 1_000] } else { [100_000, 1_000_000] } {
            replay(records, if smoke { 1 } else { 5 });
        }
    }
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| text(times[(times.len() - 1) * share / 100]);
    println!("| {what} | {} | {} | {} |", at(50), at(99), times.len());
}

fn text(time: Duration) -> String {
    match time.as_micros() {
        0..1_000 => format!("{} µs", time.as_micros()),
        1_000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

fn timed(times: &mut Vec<Duration>, action: impl FnOnce()) {
    let start = Instant::now();
    action();
    times.push(start.elapsed());
}

/// Measures a durable record, and in turns with it a plain write and sync of the same size.
fn record(count: usize) {
    let scratch = Scratch::new();
    let store = Directory::create(scratch.0.join("store")).unwrap();
    let rollout = Rollout::start(store, SystemClock::new(), ONE_FLAG, "ana").unwrap();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    let journal = scratch.0.join("store/journal.jsonl");
    let before = fs::metadata(&journal).unwrap().len();
    ana.sign("a", "i", None).unwrap();
    let len = fs::metadata(&journal).unwrap().len() - before;
    let line = vec![b'x'; usize::try_from(len).unwrap()];
    let mut raw = fs::File::create(scratch.0.join("raw")).unwrap();
    let (mut ours, mut raw_times) = (Vec::new(), Vec::new());
    for number in 0..count as u64 {
        timed(&mut ours, || drop(ana.sign("a", "i", None).unwrap()));
        timed(&mut raw_times, || {
            raw.seek(SeekFrom::Start(number * len)).unwrap();
            raw.write_all(&line).unwrap();
            raw.sync_data().unwrap();
        });
    }
    row(&format!("write and sync of {len} bytes, alone"), raw_times);
    row("a durable record of the same size", ours);

    let rollout = Rollout::start(Memory::new(), SystemClock::new(), ONE_FLAG, "ana").unwrap();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    let mut times = Vec::new();
    for _ in 0..count {
        timed(&mut times, || drop(ana.sign("a", "i", None).unwrap()));
    }
    row("a record in memory", times);
}

/// Measures the time from the call until two threads that check without a pause see the flag off.
fn roll_back(count: usize) {
    let scratch = Scratch::new();
    let store = Directory::create(scratch.0.join("store")).unwrap();
    let rollout = Rollout::start(store, SystemClock::new(), ONE_FLAG, "ana").unwrap();
    let (seen, round) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (mut times, mut calls) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let handle = rollout.gate().flag("a");
                    let mut moments = Vec::new();
                    for mine in 1..=count {
                        while round.load(Ordering::Acquire) < mine {
                            std::hint::spin_loop();
                        }
                        while handle.is_enabled("user") {}
                        moments.push(Instant::now());
                        seen.fetch_add(1, Ordering::AcqRel);
                    }
                    moments
                })
            })
            .collect();
        let ana = rollout.by("ana");
        let mut starts = Vec::new();
        for number in 1..=count {
            ana.force("a", "bench").unwrap();
            round.store(number, Ordering::Release);
            starts.push(Instant::now());
            ana.roll_back("a", "bench").unwrap();
            calls.push(starts[number - 1].elapsed());
            while seen.load(Ordering::Acquire) < number * 2 {
                std::hint::spin_loop();
            }
            while rollout.report("a").unwrap().state.incident.is_some() {
                let _ = ana.step("a", None);
                let _ = ana.close("a", "bench");
            }
        }
        let readers: Vec<Vec<Instant>> =
            readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        for (index, start) in starts.iter().enumerate() {
            let last = readers.iter().map(|moments| moments[index]).max().unwrap();
            times.push(last.saturating_duration_since(*start));
        }
    });
    row("rollback: until two readers see it", times);
    row("rollback: until it is also recorded", calls);
}

/// Measures a tick of 10,000 flags: first with nothing due, then with a promotion of each flag.
fn tick(count: usize) {
    const FLAGS: usize = 10_000;
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600));
    let document = support::many_flags(FLAGS);
    let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana").unwrap();
    let mut times = Vec::new();
    for _ in 0..count {
        clock.advance(Duration::from_secs(60));
        timed(&mut times, || assert!(rollout.tick().records.is_empty()));
    }
    row("tick of 10,000 flags, nothing due", times);

    let mut document =
        String::from("schema = 1\n[[plans.p.stages]]\nname = \"one\"\npercent = 1\n");
    document += "min_duration = \"1h\"\nadvance = \"auto\"\n[[plans.p.stages]]\nname = \"two\"\npercent = 2\n";
    for key in (0..FLAGS).map(support::flag_key) {
        document += &format!("[flags.{key}]\nplan = \"p\"\nstage = \"one\"\n");
    }
    let mut times = Vec::new();
    for _ in 0..count.div_ceil(10) {
        let rollout =
            Rollout::start(Memory::new(), clock.clone(), document.as_str(), "ana").unwrap();
        clock.advance(Duration::from_secs(60 * 60));
        timed(&mut times, || assert_eq!(rollout.tick().records.len(), FLAGS));
    }
    row("tick of 10,000 flags, each promoted", times);
}

/// Measures opening a rollout from a journal of `records` records.
fn replay(records: usize, count: usize) {
    let scratch = Scratch::new();
    let (mut store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
    let rollout = Rollout::start(store.clone(), clock.clone(), ONE_FLAG, "ana").unwrap();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    for _ in 2..records {
        ana.sign("a", "i", None).unwrap();
    }
    let hash = rollout.status().document.to_string();
    let document = store.document(&hash).unwrap();
    let path = scratch.0.join("store");
    Directory::create(&path).unwrap().keep(&hash, &document).unwrap();
    fs::write(path.join("journal.jsonl"), store.read(1).unwrap()).unwrap();
    let mut times = Vec::new();
    for _ in 0..count {
        timed(&mut times, || {
            let again = Rollout::open(Directory::open(&path).unwrap(), clock.clone()).unwrap();
            assert_eq!(again.status().head.0, records as u64);
        });
    }
    row(&format!("opening a journal of {records} records"), times);
}
