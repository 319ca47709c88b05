//! Code that the benches share: users, plans, a simple gate for comparison, and a writer thread.

#![allow(dead_code, unreachable_pub, reason = "no bench uses everything")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot start panics")]
#![allow(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "printed rates")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use stagegate::{Document, Gate};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The flag that most benches check.
pub const FLAG: &str = "new-checkout";

/// Users to check in turn, so that the compiler cannot hoist an answer and the processor cannot learn a branch.
pub struct Users {
    keys: Vec<String>,
    at: usize,
}

/// A power of two, so that wrapping around costs one `and`.
pub const USERS: usize = 1024;

impl Users {
    pub fn new() -> Users {
        Users { keys: (0..USERS).map(user_key).collect(), at: 0 }
    }

    #[inline]
    #[allow(
        clippy::should_implement_trait,
        reason = "returns a borrow, so it cannot be an iterator"
    )]
    pub fn next(&mut self) -> &str {
        self.at = (self.at + 1) % USERS;
        &self.keys[self.at]
    }

    pub fn all(&self) -> &[String] {
        &self.keys
    }
}

fn user_key(number: usize) -> String {
    format!("user-{number:06}")
}

/// Returns a document with [`FLAG`] at `stage` of the built-in plan.
pub fn one_flag(stage: &str) -> String {
    format!("schema = 1\n[flags.{FLAG}]\nstage = \"{stage}\"\n")
}

/// Returns a document with [`FLAG`] at a stage of 10% and a group. `group` is the group's definition.
pub fn with_group(group: &str) -> String {
    format!(
        "schema = 1\n[groups.listed]\n{group}\n[flags.{FLAG}]\nstage = \"pilot\"\n\
         [[flags.{FLAG}.stages]]\nname = \"pilot\"\ngroups = [\"listed\"]\npercent = 10\n"
    )
}

/// Returns the definition of a group of `users` users. Only `user-000000` is one of [`Users`].
pub fn listed(users: usize) -> String {
    let mut group = String::from("users = [\"user-000000\"");
    for user in 1..users {
        write!(group, ", \"listed-{user:06}\"").unwrap();
    }
    group + "]"
}

/// Returns a document with [`FLAG`] at a stage of 10% and a group of `users` users in a file. All of [`Users`] are among
/// them. The keys of the others have 16 bytes.
///
/// The file is written into the target directory, unless it is there.
pub fn listed_in_file(users: usize) -> Document {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("listed-{users}.txt");
    if !directory.join(&name).exists() {
        let mut list = String::with_capacity(17 * users);
        let spread = (users / USERS).max(1);
        for user in 0..users {
            match user.is_multiple_of(spread) && user / spread < USERS {
                true => writeln!(list, "{}", user_key(user / spread)),
                false => writeln!(list, "listed-{user:09}"),
            }
            .unwrap();
        }
        let new = directory.join(format!("{name}.new"));
        fs::write(&new, list).unwrap();
        fs::rename(new, directory.join(&name)).unwrap();
    }
    Document::new(with_group(&format!("users_file = \"{name}\""))).directory(directory)
}

/// Returns the key of a flag in [`many_flags`].
pub fn flag_key(number: usize) -> String {
    format!("flag-{number:06}")
}

/// Returns a TOML document of `count` flags at stage `pilot`.
pub fn many_flags(count: usize) -> String {
    let mut document = String::from("schema = 1\n");
    for key in (0..count).map(flag_key) {
        writeln!(document, "[flags.{key}]\nowner = \"checkout\"\nstage = \"pilot\"").unwrap();
    }
    document
}

/// Returns the document of [`many_flags`] in JSON.
pub fn many_flags_json(count: usize) -> String {
    let mut document = String::from("{\"schema\": 1, \"flags\": {");
    for key in (0..count).map(flag_key) {
        let comma = if document.ends_with('{') { "" } else { ",\n" };
        write!(document, "{comma}\"{key}\": {{\"owner\": \"checkout\", \"stage\": \"pilot\"}}")
            .unwrap();
    }
    document + "}}"
}

pub fn gate(document: impl Into<Document>) -> Gate {
    Gate::from_document(document).unwrap()
}

/// A simple gate for comparison, which a team could write in forty lines: percentages without groups, stages or
/// validation. The goals of `benches/README.md` refer to it.
pub struct FortyLines {
    flags: ArcSwap<HashMap<String, (u64, u64)>>,
}

impl FortyLines {
    /// Creates a gate with every flag at `percent`.
    pub fn new(flags: &[&str], percent: u64) -> FortyLines {
        let seed_and_threshold = |flag: &str| (xxh3_64(flag.as_bytes()), u64::MAX / 100 * percent);
        let flags =
            flags.iter().map(|flag| ((*flag).to_owned(), seed_and_threshold(flag))).collect();
        FortyLines { flags: ArcSwap::from_pointee(flags) }
    }

    pub fn is_enabled(&self, user: &str, flag: &str) -> bool {
        let flags = self.flags.load();
        flags
            .get(flag)
            .is_some_and(|&(seed, threshold)| xxh3_64_with_seed(user.as_bytes(), seed) < threshold)
    }
}

/// Runs `work` while another thread moves [`FLAG`] between two stages 1,000 times a second. Returns the result and the
/// actual number of moves per second.
pub fn under_swaps<T>(gate: &Gate, work: impl FnOnce() -> T) -> (T, f64) {
    const PERIOD: Duration = Duration::from_millis(1);
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut due = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                for stage in ["internal", "pilot"] {
                    gate.set_stage(FLAG, stage).unwrap();
                    swaps.fetch_add(1, Ordering::Relaxed);
                    due += PERIOD;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
        });
        let start = Instant::now();
        let done = work();
        let seconds = start.elapsed().as_secs_f64();
        let swaps = swaps.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        (done, swaps as f64 / seconds)
    })
}

/// Returns the median.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Returns whether to run everything briefly, without measuring. Like criterion, it looks for `--test`
/// (`cargo bench -- --test`) or a missing `--bench` (`cargo test --benches`).
pub fn is_smoke_test() -> bool {
    let given = |name| std::env::args().any(|argument| argument == name);
    given("--test") || !given("--bench")
}

/// Returns the checks per second of all threads together.
pub fn rate(threads: usize, run: Duration, check: &(impl Fn(&str) -> bool + Sync + ?Sized)) -> f64 {
    let ready = Barrier::new(threads);
    let run_thread = || {
        let mut users = Users::new();
        ready.wait();
        let (start, mut done) = (Instant::now(), 0_u32);
        while start.elapsed() < run {
            // Enough checks that reading the clock does not matter.
            for _ in 0..10_000 {
                black_box(check(users.next()));
            }
            done += 10_000;
        }
        f64::from(done) / start.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_thread)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0.0)).sum()
    })
}
