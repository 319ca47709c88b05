//! The cost of one check, compared with one raw hash of the same user key. The raw hash is the lower bound, because every
//! check hashes its user once.

mod support;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use stagegate::{Evaluation, Reason, User};
use support::{FLAG, FortyLines, USERS, Users};
use xxhash_rust::xxh3::xxh3_64;

/// Measures `check`, for each user in turn.
fn bench<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, check: impl Fn(&str) -> T) {
    let mut users = Users::new();
    group.bench_function(name, |bencher| bencher.iter(|| check(users.next())));
}

/// Measures `check` without moving its result, which has 96 bytes.
fn bench_evaluation(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    check: impl Fn(&str) -> Evaluation,
) {
    let mut users = Users::new();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            black_box(&check(users.next()));
        });
    });
}

/// Creates a group that starts with the raw hash of the same keys in the same order.
fn group<'c>(criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    bench(&mut group, "raw hash", |user| xxh3_64(user.as_bytes()));
    group
}

fn how(criterion: &mut Criterion) {
    let gate = support::gate(support::one_flag("pilot"));
    let handle = gate.flag(FLAG);
    let pinned = gate.pin();
    let forty_lines = FortyLines::new(&[FLAG], 10);
    let mut group = group(criterion, "how");
    bench(&mut group, "empty loop", str::len);
    bench(&mut group, "handle", |user| handle.is_enabled(user));
    bench(&mut group, "by name", |user| gate.is_enabled(user, FLAG));
    bench(&mut group, "pinned, handle", |user| handle.is_enabled_in(&pinned, user));
    bench(&mut group, "pinned, by name", |user| pinned.is_enabled(user, FLAG));
    bench(&mut group, "unknown flag", |user| gate.is_enabled(user, "no-such-flag"));
    bench_evaluation(&mut group, "evaluate, handle", |user| handle.evaluate(user));
    bench_evaluation(&mut group, "evaluate, by name", |user| gate.evaluate(user, FLAG));
    bench(&mut group, "enabled and reason, handle", |user| {
        enabled_and_reason(&handle.evaluate(user))
    });
    bench(&mut group, "enabled and reason, by name", |user| {
        enabled_and_reason(&gate.evaluate(user, FLAG))
    });
    bench(&mut group, "cohort, by name", |user| gate.cohort(user, FLAG));
    bench(&mut group, "forty lines", |user| forty_lines.is_enabled(user, FLAG));
}

fn stage(criterion: &mut Criterion) {
    let mut group = group(criterion, "stage");
    for stage in ["off", "internal", "pilot", "expanded", "ga"] {
        let handle = support::gate(support::one_flag(stage)).flag(FLAG);
        bench(&mut group, stage, |user| handle.is_enabled(user));
    }
}

/// Almost no user of the bench is on the list, so nearly every lookup finds nothing.
fn groups(criterion: &mut Criterion) {
    let mut group = group(criterion, "groups");
    for users in [3, 100_000] {
        let gate = support::gate(support::with_group(&support::listed(users)));
        let handle = gate.flag(FLAG);
        bench(&mut group, &format!("{users} listed"), |user| handle.is_enabled(user));
        let name = format!("{users} listed, evaluate");
        bench_evaluation(&mut group, &name, |user| handle.evaluate(user));
    }
}

/// Each user of the bench is on the list.
fn listed(criterion: &mut Criterion) {
    let plain = support::gate(support::one_flag("pilot")).flag(FLAG);
    let mut group = group(criterion, "listed");
    bench(&mut group, "plain", |user| plain.is_enabled(user));
    for users in [USERS, 100_000, 10_000_000] {
        let gate = support::gate(support::listed_in_file(users));
        let handle = gate.flag(FLAG);
        bench(&mut group, &format!("one of {users}"), |user| handle.is_enabled(user));
    }
}

fn attributes(criterion: &mut Criterion) {
    let rule = "where = { region = [\"eu-west\", \"eu-north\"] }";
    let handle = support::gate(support::with_group(rule)).flag(FLAG);
    let mut group = group(criterion, "attributes");
    bench(&mut group, "match", |user| handle.is_enabled(user_in(user, "eu-west")));
    bench(&mut group, "no match", |user| handle.is_enabled(user_in(user, "us-east")));
    bench(&mut group, "building the user", |user| {
        black_box(&user_in(user, "eu-west"));
    });
}

fn user_in<'a>(user: &'a str, region: &'a str) -> User<'a> {
    User::new(user).attribute("plan", "pro").attribute("region", region)
}

fn flags(criterion: &mut Criterion) {
    let mut group = group(criterion, "flags");
    for count in [10, 1_000, 100_000] {
        let gate = support::gate(support::many_flags(count));
        let keys: Vec<String> = (0..count).map(support::flag_key).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let forty_lines = FortyLines::new(&keys, 10);
        let hot = keys[count / 2];
        bench(&mut group, &format!("{count}, the same"), |user| gate.is_enabled(user, hot));
        let name = format!("{count}, another each time");
        bench_each_flag(&mut group, &name, &keys, |user, key| gate.is_enabled(user, key));
        let name = format!("{count}, another each time, forty lines");
        bench_each_flag(&mut group, &name, &keys, |user, key| forty_lines.is_enabled(user, key));
    }
}

/// Measures `check` with another flag each time, far from the previous one in memory.
fn bench_each_flag(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    keys: &[&str],
    check: impl Fn(&str, &str) -> bool,
) {
    // 7919 is prime and divides none of the counts, so every flag occurs.
    let around = (0..keys.len()).map(|turn| keys[turn * 7919 % keys.len()].to_owned());
    let keys: Vec<String> = around.collect();
    let mut users = Users::new();
    let mut keys = keys.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| keys.next().map(|key| check(users.next(), key)));
    });
}

/// Checks 1,000 flags at once. A microsecond of the result is a nanosecond of one check.
fn all(criterion: &mut Criterion) {
    let gate = support::gate(support::many_flags(1_000));
    let pinned = gate.pin();
    let mut group = criterion.benchmark_group("1000 at once");
    let mut users = Users::new();
    group.bench_function("raw hash", |bencher| {
        bencher.iter(|| (0..1_000).map(|_| xxh3_64(users.next().as_bytes())).for_each(consume));
    });
    bench(&mut group, "is_enabled, by handles", {
        let handles: Vec<_> = (0..1_000).map(|n| gate.flag(&support::flag_key(n))).collect();
        move |user: &str| handles.iter().map(|flag| flag.is_enabled(user)).for_each(consume)
    });
    bench(&mut group, "evaluate, by handles", {
        let handles: Vec<_> = (0..1_000).map(|n| gate.flag(&support::flag_key(n))).collect();
        move |user: &str| handles.iter().map(|flag| flag.evaluate(user)).for_each(consume)
    });
    bench(&mut group, "evaluate_all, pinned", |user| pinned.evaluate_all(user).for_each(consume));
    bench(&mut group, "enabled and reason, evaluate_all, pinned", |user| {
        pinned.evaluate_all(user).map(|(_, answer)| enabled_and_reason(&answer)).for_each(consume);
    });
    bench(&mut group, "evaluate_all, as a list", |user| {
        gate.evaluate_all(user).iter().for_each(consume);
    });
}

/// Reads the parts that most callers need. The compiler omits the rest of the evaluation.
fn enabled_and_reason(answer: &Evaluation) -> (bool, Reason) {
    (answer.enabled, answer.reason)
}

#[expect(clippy::needless_pass_by_value, reason = "passed to `for_each`")]
fn consume<T>(answer: T) {
    black_box(&answer);
}

/// Keys of different lengths, each compared with the raw hash of the same length.
fn keys(criterion: &mut Criterion) {
    let handle = support::gate(support::one_flag("pilot")).flag(FLAG);
    for bytes in [4, 8, 16, 36, 64, 128, 256] {
        let mut group = criterion.benchmark_group(format!("keys of {bytes} bytes"));
        let users: Vec<String> = (0..USERS).map(|n| format!("{n:0bytes$}")).collect();
        let mut bench = |name: &str, check: &dyn Fn(&str) -> u64| {
            let mut at = 0;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    at = (at + 1) % USERS;
                    check(&users[at])
                });
            });
        };
        bench("raw hash", &|user| xxh3_64(user.as_bytes()));
        bench("handle", &|user| u64::from(handle.is_enabled(user)));
    }
}

criterion_group!(benches, how, stage, groups, listed, attributes, flags, all, keys);
criterion_main!(benches);
