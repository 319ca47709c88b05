//! The etcd store, without a rollout or with a single one.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use stagegate::clock::{ManualClock, SystemClock};
use stagegate::http::Endpoint;
use stagegate::rollout::{Hash, Rollout, Store};
use stagegate::store::{Directory, Etcd, conformance, copy};

use super::DOCUMENT;
use super::proxy::Proxy;
use super::real::{Real, base64};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn the_etcd_store_conforms() {
    let Some(real) = Real::start("the store contract") else { return };
    assert_eq!(conformance::check(&mut real.store(), &mut real.store()), Ok(()));
    // Another prefix is another store, even if it begins with the same letters.
    for prefix in ["test/rollout2", "test", "test/rollout/journal"] {
        let store = || Etcd::new([real.endpoint()], prefix).unwrap();
        assert_eq!(conformance::check(&mut store(), &mut store()), Ok(()), "{prefix}");
    }
}

/// As for a backup of a fleet, and the way back after a loss.
#[test]
fn a_rollout_moves_from_etcd_to_a_directory_and_back() {
    let Some(real) = Real::start("copies of a store") else { return };
    let path = std::env::temp_dir().join(format!("stagegate-from-etcd-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let rollout = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("a").unwrap();
    let first = rollout.by("ana").begin_segment().unwrap().seq;
    real.store().remove_segments_before(first).unwrap();
    rollout.by("ben").roll_back("a", "slow").unwrap();
    let head = rollout.status().head;

    let mut directory = Directory::create(&path).unwrap();
    assert_eq!(copy(&mut real.store(), &mut directory, None).unwrap(), (head.0, head.0));
    let mut elsewhere = Etcd::new([real.endpoint()], "test/restored").unwrap();
    assert_eq!(copy(&mut directory, &mut elsewhere, None).unwrap(), (head.0, head.0));
    let restored = Rollout::open(elsewhere, SystemClock::new()).unwrap();
    assert_eq!(restored.status().head, head);
    assert_eq!(restored.first_record().unwrap(), first);
    assert_eq!(restored.records(first).unwrap(), rollout.records(first).unwrap());
    // Both go on.
    for rollout in [&rollout, &restored] {
        rollout.by("ana").promote("b").unwrap();
        assert!(rollout.gate().is_enabled("user-42", "b"));
    }
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn many_records_and_large_records_are_read_in_pages() {
    let Some(real) = Real::start("pages of records") else { return };
    let mut store = real.store();
    let mut written = Vec::new();
    for number in 1..=300_u64 {
        let len = if number > 290 { 1_000_000 } else { 10 };
        let line = format!("{number} {}\n", "x".repeat(len)).into_bytes();
        store.append(number, &line).unwrap();
        written.extend(line);
    }
    let (mut other, mut read, mut lines) = (real.store(), Vec::new(), 0);
    loop {
        let some = other.read(lines + 1).unwrap();
        if some.is_empty() {
            break;
        }
        lines += some.iter().filter(|byte| **byte == b'\n').count() as u64;
        read.extend(some);
    }
    assert!(read == written, "{} bytes instead of {}", read.len(), written.len());
}

/// etcd refuses requests of more than 1.5 MiB, so the store splits a longer record.
#[test]
fn a_record_longer_than_a_request_is_stored_in_pieces() {
    let Some(real) = Real::start("long records") else { return };
    let proxy = Proxy::new(&real.url);
    let endpoint = Endpoint::new(&*proxy.url).with_deadline(Duration::from_secs(5));
    let mut store = Etcd::new([endpoint], "test/rollout").unwrap();
    let long = |fill: u8, len: usize| [vec![fill; len], vec![b'\n']].concat();
    let lines =
        [long(b'a', 1 << 20), long(b'b', 5 << 20), b"short\n".to_vec(), long(b'c', 3 << 20)];
    for (line, number) in lines.iter().zip(1..) {
        store.append(number, line).unwrap();
        // The same line again, as after a lost answer.
        store.append(number, line).unwrap();
        assert!(store.append(number, &long(b'x', 5 << 20)).unwrap_err().is_conflict());
    }
    let mut other = real.store();
    assert!(
        other.append(2, &lines[1]).unwrap_err().is_conflict(),
        "the other handle did not write this line"
    );
    assert!(other.read(1).unwrap() == lines.concat());
    assert!(other.read(4).unwrap() == lines[3]);

    // If an answer is lost, the store finds that the record was written.
    proxy.faults.lose.store(1, Ordering::SeqCst);
    let last = long(b'd', 2 << 20);
    store.append(5, &last).unwrap();
    assert!(other.read(5).unwrap() == last);

    // A missing piece is reported as damage.
    let hash = Hash::of(&last).to_string();
    let key = base64(&format!("/test/rollout/documents/{hash}/0001"));
    assert!(real.post("/v3/kv/deleterange", &format!(r#"{{"key":"{key}"}}"#)).contains("header"));
    let error = real.store().read(5).unwrap_err();
    assert!(error.is_damaged(), "{error}");
    assert!(
        error.to_string().starts_with("record 5 under `/test/rollout` has changed: "),
        "{error}"
    );
}

#[test]
fn a_plan_of_100_000_flags_is_started_updated_and_opened_again() {
    let Some(real) = Real::start("many flags") else { return };
    let plan = |count: usize, hours: u32| {
        let mut text = format!(
            "schema = 1\n[plans.team]\nstages = [{{ name = \"one\", percent = 1, min_duration = \"{hours}h\" }}, {{ name = \"all\", percent = 100 }}]\n"
        );
        for flag in 0..count {
            text +=
                &format!("[flags.team-checkout-flag-{flag}]\nplan = \"team\"\nstage = \"one\"\n");
        }
        text
    };
    let store = || real.store();
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let rollout = Rollout::start(store(), clock.clone(), plan(50_000, 1), "ana").unwrap();
    // The update's record lists all new flags, so it is also longer than a request.
    clock.advance(Duration::from_secs(60));
    let changed =
        rollout.by("ana").update(plan(100_000, 2)).map_err(|error| error.to_string().len());
    assert_eq!(changed.unwrap().len(), 50_000);
    clock.advance(Duration::from_secs(7200));
    rollout.by("ana").promote("team-checkout-flag-7").unwrap();
    let reopened = Rollout::open(store(), clock).unwrap();
    assert_eq!(reopened.status().head, rollout.status().head);
    assert_eq!(reopened.status().flags.len(), 100_000);
    assert_eq!(&*reopened.report("team-checkout-flag-7").unwrap().state.stage, "all");
}

#[test]
fn a_lost_answer_makes_the_store_check_whether_the_record_was_written() {
    let Some(real) = Real::start("lost answers") else { return };
    let proxy = Proxy::new(&real.url);
    let endpoint = Endpoint::new(&*proxy.url).with_deadline(SHORT);
    let mut store = Etcd::new([endpoint], "test/rollout").unwrap();
    store.append(1, b"1\n").unwrap();
    proxy.faults.lose.store(1, Ordering::SeqCst);
    store.append(2, b"2\n").unwrap();
    // Both answers are lost, so the result is unknown. The same call again succeeds.
    proxy.faults.lose.store(2, Ordering::SeqCst);
    let error = store.append(3, b"3\n").unwrap_err();
    assert!(!error.is_conflict());
    assert!(
        error.to_string().ends_with("; whether the record was written is not known"),
        "{error}"
    );
    store.append(3, b"3\n").unwrap();
    // If another handle wrote the record meanwhile, this call fails.
    let mut other = real.store();
    other.append(4, b"4\n").unwrap();
    proxy.faults.lose.store(1, Ordering::SeqCst);
    assert!(store.append(4, b"4\n").unwrap_err().is_conflict());
    assert_eq!(store.read(1).unwrap(), b"1\n2\n3\n4\n");

    // If no server answers, the store fails in time and does not claim a result.
    proxy.faults.is_cut.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    assert!(!store.read(1).unwrap_err().is_damaged());
    real.stop();
    proxy.faults.is_cut.store(false, Ordering::SeqCst);
    let error = store.append(5, b"5\n").unwrap_err().to_string();
    assert_eq!(
        error.replace(&proxy.url, "SERVER"),
        "`SERVER` does not answer: no answer within 300ms; whether the record was written is not known"
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    real.go_on();
    // The paused server may have executed the earlier request by now. Then the record is this one.
    let appended = store.append(5, b"5\n");
    assert!(appended.is_ok(), "{appended:?}");
}

#[test]
fn the_store_asks_the_next_server_if_one_does_not_answer() {
    let Some(real) = Real::start("several servers") else { return };
    let dead = "http://127.0.0.1:9";
    let proxy = Proxy::new(&real.url);
    proxy.faults.is_cut.store(true, Ordering::SeqCst);
    let servers =
        [dead, &*proxy.url, &*real.url].map(|url| Endpoint::new(url).with_deadline(SHORT));
    let mut store = Etcd::new(servers, "test/rollout").unwrap();
    store.append(1, b"1\n").unwrap();
    let asked = proxy.faults.requests.load(Ordering::SeqCst);
    assert_eq!(store.read(1).unwrap(), b"1\n");
    // The store stays with the server that answers.
    assert_eq!(proxy.faults.requests.load(Ordering::SeqCst), asked);
    let mut none = Etcd::new([dead, dead], "test/rollout").unwrap();
    let refused = format!("`{dead}` does not answer: Connection refused (os error 111)");
    assert_eq!(none.read(1).unwrap_err().to_string(), format!("{refused}; {refused}"));
}

#[test]
fn the_store_logs_in_and_renews_an_invalid_token() {
    let Some(mut real) = Real::start("users and passwords") else { return };
    for (path, body) in [
        ("/v3/auth/user/add", r#"{"name":"root","password":"canary-root"}"#),
        ("/v3/auth/role/add", r#"{"name":"root"}"#),
        ("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#),
        ("/v3/auth/user/add", r#"{"name":"shop","password":"canary-shop"}"#),
        ("/v3/auth/role/add", r#"{"name":"shop"}"#),
        ("/v3/auth/user/grant", r#"{"user":"shop","role":"shop"}"#),
    ] {
        assert!(real.post(path, body).contains("header"), "{path}");
    }
    let (key, end) = (base64("/test/rollout/"), base64("/test/rollout0"));
    let permission = format!(r#"{{"permType":"READWRITE","key":"{key}","range_end":"{end}"}}"#);
    let grant = format!(r#"{{"name":"shop","perm":{permission}}}"#);
    assert!(real.post("/v3/auth/role/grant", &grant).contains("header"));
    assert!(real.post("/v3/auth/enable", "{}").contains("header"));

    let mut store = real.store().with_user("shop", "canary-shop");
    assert_eq!(
        conformance::check(&mut store, &mut real.store().with_user("shop", "canary-shop")),
        Ok(())
    );
    let mut texts = vec![
        format!("{store:?} {}", store.label()),
        real.store().read(1).unwrap_err().to_string(),
        real.store().with_user("shop", "canary-wrong").read(1).unwrap_err().to_string(),
    ];
    let mut elsewhere =
        Etcd::new([real.endpoint()], "other").unwrap().with_user("shop", "canary-shop");
    texts.push(elsewhere.read(1).unwrap_err().to_string());
    for (text, expected) in texts.iter().zip([
        "Etcd { store: \"etcd://SERVER/test/rollout\", .. } etcd://SERVER/test/rollout",
        "`http://SERVER` refuses: etcdserver: user name is empty",
        "`http://SERVER` refuses: etcdserver: authentication failed, invalid user ID or password",
        "`http://SERVER` refuses: etcdserver: permission denied",
    ]) {
        assert_eq!(text.replace(&real.url["http://".len()..], "SERVER"), expected);
        assert!(!text.contains("canary"), "{text}");
    }
    // A restarted server does not know the old token.
    real.kill();
    real.run();
    assert_eq!(store.read(62).unwrap().split(|byte| *byte == b'\n').count(), 3);
    // The old token is also invalid after any user's password has changed.
    let mut root = format!("authorization: {}", token(&real));
    let body = r#"{"name":"root","password":"canary-new"}"#;
    root.push('\n');
    let changed = std::process::Command::new("curl")
        .args(["--silent", "--header", root.trim(), "--data", body])
        .arg(format!("{}/v3/auth/user/changepw", real.url))
        .output();
    assert!(String::from_utf8(changed.unwrap().stdout).unwrap().contains("header"));
    store.append(64, b"64\n").unwrap();
}

fn token(real: &Real) -> String {
    let body = r#"{"name":"root","password":"canary-root"}"#;
    let answer: serde_json::Value =
        serde_json::from_str(&real.post("/v3/auth/authenticate", body)).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn missing_records_are_reported_and_no_new_journal_begins() {
    let Some(mut real) = Real::start("wiped clusters and deleted keys") else { return };
    let rollout = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    for flag in ["a", "a", "b"] {
        rollout.by("ana").promote(flag).unwrap();
    }
    let how = "the cluster was wiped or restored from a backup, or keys were deleted by hand. The state in force stays; `docs/fleet.md` describes how to start over";
    let delete = |key: &str| {
        let body = format!(r#"{{"key":"{}"}}"#, base64(key));
        assert!(real.post("/v3/kv/deleterange", &body).contains("deleted"));
    };
    let told = |rollout: &Rollout| {
        let label = rollout.status().store;
        let error = rollout.refresh().unwrap_err();
        error.to_string().replace(&label, "STORE")
    };
    let record = |number: u64| format!("/test/rollout/journal/{number:020}");
    // The last record: a rollout that has read it notices the gap, and a new one learns from the head that it is
    // missing.
    delete(&record(4));
    let gone = format!("STORE: record 4 under `/test/rollout` is missing: {how}");
    assert_eq!(told(&rollout), gone);
    let error = rollout.by("ana").promote("a").unwrap_err().to_string();
    assert!(error.contains("record 4 under `/test/rollout`"), "{error}");
    assert_eq!(super::serving(&rollout, "a"), "two");
    let opened = Rollout::open(real.store(), SystemClock::new()).unwrap_err();
    assert!(opened.to_string().contains("record 4 under `/test/rollout` is missing"));
    // A record in the middle.
    delete(&record(2));
    let opened = Rollout::open(real.store(), SystemClock::new()).unwrap_err();
    assert!(opened.to_string().contains("record 2 under `/test/rollout` is missing"));
    // All records, in a wiped cluster with the same ID.
    let mut store = real.store();
    let _ = store.read(1);
    real.wipe();
    let error = told(&rollout);
    assert!(error.contains(how), "{error}");
    let error = rollout.by("ana").promote("a").unwrap_err().to_string();
    assert!(error.contains(how), "{error}");
    // A rollback still works. It is not recorded in the foreign journal.
    assert!(rollout.by("ana").roll_back("a", "slow").unwrap().unrecorded.is_some());
    assert_eq!(super::serving(&rollout, "a"), "off");
    let fresh = Rollout::open(real.store(), SystemClock::new()).unwrap_err();
    assert!(fresh.to_string().ends_with("there is no rollout yet; start one with a document"));

    // Another cluster with a higher revision.
    let other = Real::start("another cluster").unwrap();
    for number in 0..40 {
        let body = format!(r#"{{"key":"{}","value":""}}"#, base64(&number.to_string()));
        other.post("/v3/kv/put", &body);
    }
    let proxy = Proxy::new(&other.url);
    let servers = [Endpoint::new(&*real.url), Endpoint::new(&*proxy.url)];
    let mut store = Etcd::new(servers, "test/rollout").unwrap();
    store.append(1, b"1\n").unwrap();
    real.kill();
    let error = store.read(1).unwrap_err();
    assert!(error.is_damaged());
    assert_eq!(
        error.to_string().replace(&proxy.url, "SERVER"),
        "`SERVER` belongs to another cluster than the one that answered before. Name servers of one cluster only"
    );
}
