//! What one check costs, beside one raw hash of the same user key: the floor, since every check
//! hashes its user once.

mod support;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use stagegate::{Evaluation, Reason, User};
use support::{FLAG, FortyLines, Users};
use xxhash_rust::xxh3::xxh3_64;

/// One question, asked for one user after the other.
fn ask<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, question: impl Fn(&str) -> T) {
    let mut users = Users::new();
    group.bench_function(name, |bencher| bencher.iter(|| question(users.next())));
}

/// The same for answers of 96 bytes, which are looked at where they are and not moved once more.
fn ask_why(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    question: impl Fn(&str) -> Evaluation,
) {
    let mut users = Users::new();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            black_box(&question(users.next()));
        });
    });
}

/// A group with its reference. The key's bytes are the same, so are the turns that users take.
fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    ask(&mut group, "raw hash", |user| xxh3_64(user.as_bytes()));
    group
}

fn how(criterion: &mut Criterion) {
    let gate = support::gate(&support::one_flag("pilot"));
    let handle = gate.flag(FLAG);
    let pinned = gate.pin();
    let forty_lines = FortyLines::new(&[FLAG], 10);
    let mut group = group(criterion, "how");
    ask(&mut group, "no question", str::len);
    ask(&mut group, "handle", |user| handle.is_enabled(user));
    ask(&mut group, "by name", |user| gate.is_enabled(user, FLAG));
    ask(&mut group, "pinned, handle", |user| handle.is_enabled_in(&pinned, user));
    ask(&mut group, "pinned, by name", |user| pinned.is_enabled(user, FLAG));
    ask(&mut group, "unknown flag", |user| gate.is_enabled(user, "no-such-flag"));
    ask_why(&mut group, "evaluate, handle", |user| handle.evaluate(user));
    ask_why(&mut group, "evaluate, by name", |user| gate.evaluate(user, FLAG));
    ask(&mut group, "enabled and reason of it, handle", |user| why(&handle.evaluate(user)));
    ask(&mut group, "enabled and reason of it, by name", |user| why(&gate.evaluate(user, FLAG)));
    ask(&mut group, "cohort, by name", |user| gate.cohort(user, FLAG));
    ask(&mut group, "forty lines", |user| forty_lines.is_enabled(user, FLAG));
}

fn stage(criterion: &mut Criterion) {
    let mut group = group(criterion, "stage");
    for stage in ["off", "internal", "pilot", "expanded", "ga"] {
        let handle = support::gate(&support::one_flag(stage)).flag(FLAG);
        ask(&mut group, stage, |user| handle.is_enabled(user));
    }
}

/// Nearly nobody who asks is listed: each such question is one look-up that finds nothing.
fn groups(criterion: &mut Criterion) {
    let mut group = group(criterion, "groups");
    for users in [3, 100_000] {
        let gate = support::gate(&support::with_group(&support::listed(users)));
        let handle = gate.flag(FLAG);
        ask(&mut group, &format!("{users} listed"), |user| handle.is_enabled(user));
        let name = format!("{users} listed, evaluate");
        ask_why(&mut group, &name, |user| handle.evaluate(user));
    }
}

fn attributes(criterion: &mut Criterion) {
    let rule = "where = { region = [\"eu-west\", \"eu-north\"] }";
    let handle = support::gate(&support::with_group(rule)).flag(FLAG);
    let mut group = group(criterion, "attributes");
    ask(&mut group, "match", |user| handle.is_enabled(user_in(user, "eu-west")));
    ask(&mut group, "no match", |user| handle.is_enabled(user_in(user, "us-east")));
    ask(&mut group, "making the user", |user| {
        black_box(&user_in(user, "eu-west"));
    });
}

fn user_in<'a>(user: &'a str, region: &'a str) -> User<'a> {
    User::new(user).attribute("plan", "pro").attribute("region", region)
}

fn flags(criterion: &mut Criterion) {
    let mut group = group(criterion, "flags");
    for count in [10, 1_000, 100_000] {
        let gate = support::gate(&support::many_flags(count));
        let keys: Vec<String> = (0..count).map(support::flag_key).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let forty_lines = FortyLines::new(&keys, 10);
        let hot = keys[count / 2];
        ask(&mut group, &format!("{count}, the same"), |user| gate.is_enabled(user, hot));
        let name = format!("{count}, another each time");
        ask_around(&mut group, &name, &keys, |user, key| gate.is_enabled(user, key));
        let name = format!("{count}, another each time, forty lines");
        ask_around(&mut group, &name, &keys, |user, key| forty_lines.is_enabled(user, key));
    }
}

/// Another flag with every question, far from the one before.
fn ask_around(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    keys: &[&str],
    question: impl Fn(&str, &str) -> bool,
) {
    // 7919 is prime and divides none of the counts: every flag has its turn.
    let around = (0..keys.len()).map(|turn| keys[turn * 7919 % keys.len()].to_owned());
    let keys: Vec<String> = around.collect();
    let mut users = Users::new();
    let mut keys = keys.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| keys.next().map(|key| question(users.next(), key)));
    });
}

/// A thousand of each, so that a microsecond is a nanosecond of one.
fn all(criterion: &mut Criterion) {
    let gate = support::gate(&support::many_flags(1_000));
    let pinned = gate.pin();
    let mut group = criterion.benchmark_group("1000 at once");
    let mut users = Users::new();
    group.bench_function("raw hash", |bencher| {
        bencher.iter(|| (0..1_000).map(|_| xxh3_64(users.next().as_bytes())).for_each(look));
    });
    ask(&mut group, "is_enabled, by handles", {
        let handles: Vec<_> = (0..1_000).map(|n| gate.flag(&support::flag_key(n))).collect();
        move |user: &str| handles.iter().map(|flag| flag.is_enabled(user)).for_each(look)
    });
    ask(&mut group, "evaluate, by handles", {
        let handles: Vec<_> = (0..1_000).map(|n| gate.flag(&support::flag_key(n))).collect();
        move |user: &str| handles.iter().map(|flag| flag.evaluate(user)).for_each(look)
    });
    ask(&mut group, "evaluate_all, pinned", |user| pinned.evaluate_all(user).for_each(look));
    ask(&mut group, "enabled and reason of evaluate_all, pinned", |user| {
        pinned.evaluate_all(user).map(|(_, answer)| why(&answer)).for_each(look);
    });
    ask(&mut group, "evaluate_all, as a list", |user| {
        gate.evaluate_all(user).iter().for_each(look);
    });
}

/// What most who ask for the reason look at; what nobody looks at is not made.
fn why(answer: &Evaluation) -> (bool, Reason) {
    (answer.enabled, answer.reason)
}

#[expect(clippy::needless_pass_by_value, reason = "one after the other is handed to it")]
fn look<T>(answer: T) {
    black_box(&answer);
}

/// The floor is that of each length.
fn keys(criterion: &mut Criterion) {
    let handle = support::gate(&support::one_flag("pilot")).flag(FLAG);
    for bytes in [4, 8, 16, 36, 64, 128, 256] {
        let mut group = criterion.benchmark_group(format!("keys of {bytes} bytes"));
        let users: Vec<String> = (0..support::USERS).map(|n| format!("{n:0bytes$}")).collect();
        let mut ask = |name: &str, question: &dyn Fn(&str) -> u64| {
            let mut at = 0;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    at = (at + 1) % support::USERS;
                    question(&users[at])
                });
            });
        };
        ask("raw hash", &|user| xxh3_64(user.as_bytes()));
        ask("handle", &|user| u64::from(handle.is_enabled(user)));
    }
}

criterion_group!(benches, how, stage, groups, attributes, flags, all, keys);
criterion_main!(benches);
