//! The latency of checks while the gate's source fails, compared with a quiet run.
//!
//! Checks are timed in batches of 32, because one check takes about as long as one step of the clock. Each fault has its own
//! quiet run just before it, and the faults alternate. The etcd is the program in `STAGEGATE_ETCD`, or `etcd` on the `PATH`.
//! Without etcd, its rows are left out.

#![allow(clippy::unwrap_used, reason = "a bench that fails panics")]

#[path = "../tests/support/needs.rs"]
mod needs;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../tests/etcd/real.rs"]
mod real;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../tests/integrate/server.rs"]
mod server;
mod support;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use real::Real;
use server::Server;
use stagegate::Gate;
use stagegate::clock::SystemClock;
use stagegate::rollout::{Controller, Rollout};
use stagegate::source::{File, FollowOptions, Follower, Http};
use support::{FLAG, Users};

/// How long to wait for a server to start.
const LONG: Duration = Duration::from_secs(60);
const BATCH: usize = 32;
/// The followers' polling interval.
const EVERY: Duration = Duration::from_millis(20);

/// A thread that repeats an action until it is dropped.
struct Repeater(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Repeater {
    fn new(mut action: impl FnMut(usize) + Send + 'static) -> Repeater {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            (0..).take_while(|_| !stopped.load(Ordering::Relaxed)).for_each(&mut action);
        });
        Repeater(stop, Some(thread))
    }
}

impl Drop for Repeater {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

/// Returns a document that differs each turn, but gives the same answers.
fn document(turn: usize) -> String {
    format!("{}description = \"{turn}\"\n", support::one_flag("pilot"))
}

/// Writes the file in two parts with a pause between them, 100 times a second.
fn write_in_parts(path: &Path) -> Repeater {
    let path = path.to_owned();
    Repeater::new(move |turn| {
        let document = document(turn);
        for end in [document.len() / 2, document.len()] {
            fs::write(&path, &document[..end]).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    })
}

/// Replaces the file by a rename, 200 times a second.
fn replace(path: &Path) -> Repeater {
    let (path, new_path) = (path.to_owned(), path.with_extension("new"));
    Repeater::new(move |turn| {
        fs::write(&new_path, document(turn)).unwrap();
        fs::rename(&new_path, &path).unwrap();
        thread::sleep(Duration::from_millis(5));
    })
}

/// Removes and creates the file, 100 times a second.
fn remove_and_create(path: &Path) -> Repeater {
    let path = path.to_owned();
    Repeater::new(move |turn| {
        let _ = fs::remove_file(&path);
        thread::sleep(Duration::from_millis(5));
        fs::write(&path, document(turn)).unwrap();
        thread::sleep(Duration::from_millis(5));
    })
}

struct Row {
    name: &'static str,
    quiet: Histogram<u64>,
    faulty: Histogram<u64>,
}

struct Bench {
    batches: usize,
    rows: Vec<Row>,
}

impl Bench {
    /// Times checks of the gate before and during a fault.
    fn measure<T>(&mut self, name: &'static str, gate: &Gate, fault: impl FnOnce() -> T) -> T {
        let row = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let new = || Histogram::new_with_max(1_000_000_000, 3).expect("valid bounds");
            self.rows.push(Row { name, quiet: new(), faulty: new() });
            self.rows.len() - 1
        });
        time(&mut self.rows[row].quiet, self.batches, gate);
        let fault = fault();
        // Gives the follower time to notice the fault.
        thread::sleep(Duration::from_millis(50));
        time(&mut self.rows[row].faulty, self.batches, gate);
        fault
    }
}

fn time(times: &mut Histogram<u64>, batches: usize, gate: &Gate) {
    let mut users = Users::new();
    for _ in 0..batches {
        let start = Instant::now();
        for _ in 0..BATCH {
            black_box(gate.is_enabled(users.next(), FLAG));
        }
        let took = start.elapsed().as_nanos();
        times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
    }
}

/// Makes the gate follow a server that never serves a valid document, so the gate's answers stay the same.
fn follow(gate: &Gate, server: &str) -> Follower {
    gate.follow(Http::new(server).unwrap().every(EVERY), FollowOptions::new()).unwrap()
}

fn main() {
    let (rounds, batches) = if support::is_smoke_test() { (1, 100) } else { (20, 200_000) };
    let mut bench = Bench { batches, rows: Vec::new() };
    let scratch = std::env::temp_dir().join(format!("stagegate-faults-{}", std::process::id()));
    fs::create_dir(&scratch).unwrap();
    let path = scratch.join("rollout.toml");
    fs::write(&path, document(0)).unwrap();
    let mut etcd = Real::start("an etcd that fails");
    let rollout = etcd.as_ref().map(|etcd| {
        let stages = r#"[{ name = "some", percent = 10 }, { name = "all", percent = 100 }]"#;
        let document = format!("schema = 1\n[flags.{FLAG}]\nstages = {stages}\n");
        let clock = SystemClock::new();
        let rollout = Rollout::start(etcd.store(), clock, document, "bench").unwrap();
        rollout.by("bench").promote(FLAG).unwrap();
        let every = Duration::from_millis(200);
        let following = Controller::following(&rollout, every, |_| {}).unwrap();
        (rollout, following)
    });
    for _ in 0..rounds {
        let file = || File::new(&path).every(EVERY);
        let (gate, follower) = Follower::start(file(), FollowOptions::new()).unwrap();
        drop(bench.measure("a file written in parts", &gate, || write_in_parts(&path)));
        drop(bench.measure("a file replaced 200 times a second", &gate, || replace(&path)));
        drop(bench.measure("a file that comes and goes", &gate, || remove_and_create(&path)));
        drop(follower);

        let nowhere = "http://127.0.0.1:1/rollout.toml";
        let gate = support::gate(support::one_flag("pilot"));
        drop(bench.measure("a server that refuses", &gate, || follow(&gate, nowhere)));
        let server = Server::answering("200 OK", "<html>Please log in</html>");
        drop(bench.measure("a server that answers HTML", &gate, || follow(&gate, &server.url)));
        let server = Server::always("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nschema = 1");
        drop(bench.measure("a server that stops mid-answer", &gate, || follow(&gate, &server.url)));

        if let (Some(etcd), Some((rollout, _))) = (&mut etcd, &rollout) {
            bench.measure("an etcd that is suspended", rollout.gate(), || etcd.stop());
            etcd.go_on();
            bench.measure("an etcd that is killed", rollout.gate(), || etcd.kill());
            etcd.run();
        }
    }
    drop(rollout);
    let _ = fs::remove_dir_all(&scratch);

    println!("ns of {BATCH} checks: quiet, during the fault, and the ratio\n");
    println!("| fault | p50 | | | p99 | | | p99.9 | | |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for Row { name, quiet, faulty } in bench.rows {
        let columns = |q: f64| {
            let (quiet, faulty) = (quiet.value_at_quantile(q), faulty.value_at_quantile(q));
            #[expect(
                clippy::cast_precision_loss,
                clippy::float_arithmetic,
                reason = "printed ratio"
            )]
            let ratio = faulty as f64 / quiet as f64;
            format!("{quiet} | {faulty} | {ratio:.2}")
        };
        println!("| {name} | {} | {} | {} |", columns(0.5), columns(0.99), columns(0.999));
    }
}
