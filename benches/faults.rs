//! How long checks take while whatever a gate follows fails, against the same gate when nothing happens.
//!
//! Checks are timed by 32, since the clock's steps are as long as one of them. Each fault has its own quiet run just before
//! it, and all take turns. The etcd is the program that `STAGEGATE_ETCD` names, or the one on the `PATH`. Without it, these rows
//! are left out.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on shall say so")]

#[path = "../tests/support/needs.rs"]
mod needs;
#[allow(dead_code, reason = "tests need more of it")]
#[path = "../tests/etcd/real.rs"]
mod real;
#[allow(dead_code, reason = "tests need more of it")]
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

/// Until a server is there.
const LONG: Duration = Duration::from_secs(60);
const BATCH: usize = 32;
/// Between one attempt and the next of whoever follows.
const EVERY: Duration = Duration::from_millis(20);

/// Does something again and again until it is dropped.
struct Again(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Again {
    fn new(mut what: impl FnMut(usize) + Send + 'static) -> Again {
        let stop = Arc::<AtomicBool>::default();
        let theirs = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            (0..).take_while(|_| !theirs.load(Ordering::Relaxed)).for_each(&mut what);
        });
        Again(stop, Some(thread))
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

/// A document that differs from turn to turn in nothing that is asked for.
fn document(turn: usize) -> String {
    format!("{}description = \"{turn}\"\n", support::one_flag("pilot"))
}

/// Written with a pause in the midst of it, 100 times a second.
fn in_parts(path: &Path) -> Again {
    let path = path.to_owned();
    Again::new(move |turn| {
        let document = document(turn);
        for end in [document.len() / 2, document.len()] {
            fs::write(&path, &document[..end]).unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    })
}

/// Renamed over, 200 times a second.
fn renamed(path: &Path) -> Again {
    let (path, beside) = (path.to_owned(), path.with_extension("new"));
    Again::new(move |turn| {
        fs::write(&beside, document(turn)).unwrap();
        fs::rename(&beside, &path).unwrap();
        thread::sleep(Duration::from_millis(5));
    })
}

/// There, and gone, 100 times a second.
fn come_and_gone(path: &Path) -> Again {
    let path = path.to_owned();
    Again::new(move |turn| {
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
    /// Times checks of the gate before there is a fault, and while it lasts.
    fn turn<T>(&mut self, name: &'static str, gate: &Gate, fault: impl FnOnce() -> T) -> T {
        let row = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let new = || Histogram::new_with_max(1_000_000_000, 3).expect("valid bounds");
            self.rows.push(Row { name, quiet: new(), faulty: new() });
            self.rows.len() - 1
        });
        time(&mut self.rows[row].quiet, self.batches, gate);
        let fault = fault();
        // Time for whoever follows to have met it.
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

/// Whatever the server answers, the gate has what it had.
fn following(gate: &Gate, server: &str) -> Follower {
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
        drop(bench.turn("a file written in parts", &gate, || in_parts(&path)));
        drop(bench.turn("a file replaced 200 times a second", &gate, || renamed(&path)));
        drop(bench.turn("a file that comes and goes", &gate, || come_and_gone(&path)));
        drop(follower);

        let nowhere = "http://127.0.0.1:1/rollout.toml";
        let gate = support::gate(&support::one_flag("pilot"));
        drop(bench.turn("a server that refuses", &gate, || following(&gate, nowhere)));
        let server = Server::answering("200 OK", "<html>Please log in</html>");
        drop(bench.turn("a server that answers HTML", &gate, || following(&gate, &server.url)));
        let server = Server::always("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nschema = 1");
        drop(
            bench.turn("a server that stops in the midst", &gate, || following(&gate, &server.url)),
        );

        if let (Some(etcd), Some((rollout, _))) = (&mut etcd, &rollout) {
            bench.turn("an etcd that stands still", rollout.gate(), || etcd.stop());
            etcd.go_on();
            bench.turn("an etcd that is killed", rollout.gate(), || etcd.kill());
            etcd.run();
        }
    }
    drop(rollout);
    let _ = fs::remove_dir_all(&scratch);

    println!("ns of {BATCH} checks; when nothing happens, while it fails, and the ratio:\n");
    println!("| what fails | p50 | | | p99 | | | p99.9 | | |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for Row { name, quiet, faulty } in bench.rows {
        let of = |q: f64| {
            let (quiet, faulty) = (quiet.value_at_quantile(q), faulty.value_at_quantile(q));
            #[expect(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "for people")]
            let ratio = faulty as f64 / quiet as f64;
            format!("{quiet} | {faulty} | {ratio:.2}")
        };
        println!("| {name} | {} | {} | {} |", of(0.5), of(0.99), of(0.999));
    }
}
