//! Three processes with two operators each write one journal.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use stagegate::clock::SystemClock;
use stagegate::http::Endpoint;
use stagegate::rollout::{Controller, Fact, Journal, Outcome, Record, Rollout, Store};
use stagegate::store::Etcd;

use super::proxy::Proxy;
use super::real::Real;
use super::{DOCUMENT, LONG, serving, settle, until};

const URL: &str = "STAGEGATE_FLEET_URL";
const ROLE: &str = "STAGEGATE_FLEET_ROLE";
const ROUNDS: usize = 25;

/// Starts this test program again as another process, which runs only the test `child` of a module.
pub(crate) fn spawn(module: &str, real: &Real, role: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([&format!("{module}::child"), "--exact", "--ignored", "--nocapture"])
        .env(URL, &real.url)
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Returns the role and the store of a child process.
pub(crate) fn role() -> (String, Etcd) {
    let variable =
        |name| env::var(name).expect("only other tests run this one: pass `--skip child`");
    (variable(ROLE), Etcd::new([variable(URL)], "test/rollout").unwrap())
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "runs in the child processes of other tests"]
fn child() {
    let (role, store) = role();
    let rollout = Rollout::open(store, SystemClock::new()).unwrap();
    if role == "watch" {
        let following = Controller::following(&rollout, Duration::from_secs(5), |read| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            for record in read.iter().flatten() {
                say(&format!("seen {} {}", record.seq, now.as_nanos()));
            }
        });
        say("ready");
        let _ = std::io::stdin().lines().next();
        drop(following);
        return;
    }
    let following = Controller::following(&rollout, Duration::from_secs(1), |_| {}).unwrap();
    std::thread::scope(|scope| {
        for operator in 0..2 {
            let (rollout, who) = (&rollout, format!("{role}-{operator}"));
            scope.spawn(move || hammer(rollout, &who));
        }
    });
    // Rollbacks that could not be recorded at once are recorded later.
    until("rollbacks are recorded", || {
        let _ = rollout.refresh();
        rollout.status().unrecorded.is_empty()
    });
    drop(following);
}

fn hammer(rollout: &Rollout, who: &str) {
    let done = |outcome: Result<Outcome, _>| {
        for record in outcome.iter().flat_map(|outcome: &Outcome| &outcome.records) {
            say(&format!("recorded {} {}", record.seq, record.hash));
        }
    };
    let operator = rollout.by(who);
    for round in 0..ROUNDS {
        done(operator.promote("a"));
        done(operator.promote("a"));
        if round % 2 == 0 {
            let outcome = operator.roll_back("a", "race");
            // An unrecorded rollback is in force here: promoting the flag again would have recorded it.
            if outcome.as_ref().is_ok_and(|outcome| outcome.unrecorded.is_some()) {
                assert_eq!(serving(rollout, "a"), "off");
            }
            done(outcome);
        }
        settle(rollout, who);
    }
}

#[test]
fn three_processes_write_one_journal_and_lose_nothing() {
    let Some(real) = Real::start("three processes on one journal") else { return };
    let rollout = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    let following = Controller::following(&rollout, Duration::from_secs(1), |_| {}).unwrap();
    let mut children: Vec<Child> =
        (0..3).map(|number| spawn("fleet", &real, &format!("p{number}"))).collect();
    let mut acknowledged = BTreeMap::new();
    for child in &mut children {
        for line in lines(child) {
            let Some((_, line)) = line.split_once("recorded ") else { continue };
            let (number, hash) = line.split_once(' ').unwrap();
            let known = acknowledged.insert(number.parse::<u64>().unwrap(), hash.to_owned());
            assert!(known.is_none(), "record {number} was acknowledged twice");
        }
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    rollout.by("ana").roll_back("a", "enough").ok();
    drop(following);

    // Verifies the chain: `Journal::read` checks the hash of each record and of all records before it.
    let (mut store, mut journal, mut records) = (real.store(), Journal::new(), Vec::new());
    loop {
        let lines = store.read(journal.head().0 + 1).unwrap();
        if lines.is_empty() {
            break;
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            records.push(journal.read(line.strip_suffix(b"\n").unwrap()).unwrap());
        }
    }
    let mut stage = None;
    for record in records.iter().skip(1) {
        assert!(stage.is_none() || stage == record.from, "{record}");
        stage = record.to;
    }
    for (number, hash) in &acknowledged {
        let record = &records[usize::try_from(*number).unwrap() - 1];
        assert_eq!(
            record.hash.to_string(),
            *hash,
            "record {number} differs from the acknowledged record"
        );
    }
    let count = |is: fn(&Fact) -> bool| records.iter().filter(|it| is(&it.fact)).count();
    let (up, back) = (
        count(|fact| matches!(fact, Fact::Promoted { .. })),
        count(|fact| matches!(fact, Fact::RolledBack { .. })),
    );
    // How many of the racing promotions succeed varies a lot with the load of the machine.
    assert!(up >= 3 && back >= 2, "{up} up, {back} back");
    assert_eq!(serving(&rollout, "a"), "off");
    println!(
        "{} records of 6 operators in 3 processes, {} acknowledged and all there: {up} up, {back} back",
        records.len(),
        acknowledged.len(),
    );
}

#[test]
fn another_process_sees_a_change_within_two_seconds() {
    const CHANGES: usize = 100;
    let Some(real) = Real::start("how soon others see it") else { return };
    let rollout = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    let mut watch = spawn("fleet", &real, "watch");
    let mut told = lines(&mut watch);
    assert!(told.by_ref().any(|line| line.ends_with("ready")));
    let mut delays = Vec::new();
    for round in 0..CHANGES {
        let begin = SystemTime::now();
        match round % 2 {
            0 => rollout.by("ana").hold("b", "once").unwrap(),
            _ => rollout.by("ana").resume("b", None).unwrap(),
        };
        let seen = format!("seen {} ", rollout.status().head.0);
        let line = told.by_ref().find(|line| line.starts_with(&seen)).unwrap();
        let nanos: u64 = line[seen.len()..].parse().unwrap();
        let seen = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        delays.push(seen.duration_since(begin).unwrap());
    }
    drop(watch.stdin.take());
    assert!(watch.wait().unwrap().success());
    delays.sort_unstable();
    let (median, most) = (delays[CHANGES / 2], delays[CHANGES * 99 / 100]);
    println!("from the call to another process: p50 {median:?}, p99 {most:?}");
    assert!(most < Duration::from_secs(2), "{most:?}");
}

#[test]
#[ignore = "a minute with four thousand threads"]
fn a_thousand_followers_cost_two_requests_each_per_change() {
    const FOLLOWERS: usize = 1_000;
    const CHANGES: usize = 20;
    let Some(real) = Real::start("a thousand followers") else { return };
    let proxy = Proxy::new(&real.url);
    let rollout = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    let (sender, seen) = mpsc::channel();
    let every = Duration::from_secs(120);
    let following: Vec<Controller> = (0..FOLLOWERS)
        .map(|_| {
            let endpoint = Endpoint::new(&*proxy.url).with_deadline(Duration::from_secs(30));
            let store = Etcd::new([endpoint], "test/rollout").unwrap();
            let follower = Rollout::open(store, SystemClock::new()).unwrap();
            let sender = sender.clone();
            let told = move |read: &Result<Vec<Record>, _>| {
                let records = read.as_ref().map_or(&[][..], |records| records);
                records.iter().for_each(|record| sender.send(record.seq).unwrap());
            };
            Controller::following(&follower, every, told).unwrap()
        })
        .collect();
    // The first change is not counted. After it, every follower has an open watch.
    let (mut requests, mut busy) = (0, Duration::ZERO);
    let mut delays = Vec::new();
    for round in 0..=CHANGES {
        if round == 1 {
            requests = proxy.faults.requests.load(Ordering::SeqCst);
            busy = real.busy();
            delays.clear();
        }
        let begin = Instant::now();
        match round % 2 {
            0 => rollout.by("ana").hold("b", "once").unwrap(),
            _ => rollout.by("ana").resume("b", None).unwrap(),
        };
        let head = rollout.status().head.0;
        for _ in 0..FOLLOWERS {
            assert_eq!(seen.recv_timeout(LONG).unwrap(), head);
            delays.push(begin.elapsed());
        }
    }
    let requests = proxy.faults.requests.load(Ordering::SeqCst) - requests;
    let busy = real.busy().saturating_sub(busy) / u32::try_from(CHANGES).unwrap();
    drop(following);
    delays.sort_unstable();
    let of = |hundredth: usize| delays[(delays.len() - 1) * hundredth / 100];
    println!(
        "{FOLLOWERS} followers: {} requests a change, etcd busy for {busy:?}; seen p50 {:?}, p99 {:?}, last {:?}",
        requests as usize / CHANGES,
        of(50),
        of(99),
        of(100)
    );
    // Each follower reads the new record, then reads once more and finds nothing. Its watch stays open.
    assert!(requests as usize <= CHANGES * FOLLOWERS * 21 / 10, "{requests}");
}
