//! A follower survives faults of the server and of the network.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use stagegate::clock::SystemClock;
use stagegate::http::Endpoint;
use stagegate::rollout::{Controller, Rollout, Store};
use stagegate::store::Etcd;

use super::proxy::Proxy;
use super::real::{Real, base64};
use super::{DOCUMENT, serving, settle, until};

const EVERY: Duration = Duration::from_millis(500);

/// Returns a rollout that acts, and a rollout that follows it through the proxy.
fn pair(real: &Real, proxy: &Proxy) -> (Rollout, Rollout) {
    let rollout = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    let endpoint = Endpoint::new(&*proxy.url).with_deadline(Duration::from_millis(300));
    let store = Etcd::new([endpoint], "test/rollout").unwrap();
    (rollout, Rollout::open(store, SystemClock::new()).unwrap())
}

/// Promotes the flag if it is off, else rolls it back.
fn change(rollout: &Rollout) {
    let ana = rollout.by("ana");
    if serving(rollout, "a") == "off" {
        settle(rollout, "ana");
        ana.promote("a").unwrap();
    } else {
        ana.roll_back("a", "next round").unwrap();
    }
}

#[test]
fn a_follower_converges_after_every_fault_and_answers_meanwhile() {
    let Some(mut real) = Real::start("faults of a server") else { return };
    let proxy = Proxy::new(&real.url);
    let (rollout, follower) = pair(&real, &proxy);
    let following = Controller::following(&follower, EVERY, |_| {}).unwrap();
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        for fault in ["kill", "stop", "cut", "delay", "compact", "lose"] {
            match fault {
                "kill" => {
                    real.kill();
                    until("the follower reports the failure", || {
                        follower.status().last_error.is_some()
                    });
                    real.run();
                }
                "stop" => {
                    real.stop();
                    std::thread::sleep(EVERY);
                    until("the follower reports the failure", || {
                        follower.status().last_error.is_some()
                    });
                    real.go_on();
                }
                "cut" => {
                    proxy.faults.is_cut.store(true, Ordering::SeqCst);
                    change(&rollout);
                    std::thread::sleep(EVERY);
                    assert_ne!(serving(&rollout, "a"), serving(&follower, "a"));
                    proxy.faults.is_cut.store(false, Ordering::SeqCst);
                }
                "delay" => proxy.faults.delay.store(200, Ordering::SeqCst),
                "compact" => {
                    let revision = real.revision();
                    let body = format!(r#"{{"revision":"{revision}"}}"#);
                    assert!(real.post("/v3/kv/compaction", &body).contains("header"));
                }
                _ => proxy.faults.lose.store(2, Ordering::SeqCst),
            }
            until("a change after the fault", || {
                change(&rollout);
                rollout.status().last_error.is_none()
            });
            let seen = until(fault, || {
                serving(&follower, "a") == serving(&rollout, "a")
                    && follower.status().head == rollout.status().head
            });
            assert!(seen < Duration::from_secs(5), "{fault} in round {round}: {seen:?}");
            longest = longest.max(seen);
            proxy.faults.delay.store(0, Ordering::SeqCst);
        }
    }
    drop(following);
    println!("after each of 18 faults a follower was up to date within {longest:?}");
}

#[test]
fn polling_makes_up_for_lost_watch_events() {
    let Some(real) = Real::start("lost events") else { return };
    let proxy = Proxy::new(&real.url);
    let (rollout, follower) = pair(&real, &proxy);
    let following = Controller::following(&follower, EVERY, |_| {}).unwrap();
    proxy.faults.swallow.store(2, Ordering::SeqCst);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let before = rollout.status().head;
        change(&rollout);
        assert_ne!(rollout.status().head, before);
        let seen = until("an event", || follower.status().head == rollout.status().head);
        longest = longest.max(seen);
    }
    drop(following);
    let swallowed = proxy.faults.swallowed.load(Ordering::SeqCst);
    assert!(swallowed > 3, "{swallowed}");
    assert!(longest < EVERY + Duration::from_millis(500), "{longest:?}");
    println!("{swallowed} events lost; every change was seen within {longest:?}, at {EVERY:?}");
}

#[test]
fn a_watch_resumes_after_the_last_seen_record_and_after_a_compaction() {
    let Some(real) = Real::start("watches") else { return };
    let mut store = real.store();
    let mut watcher = store.watcher().unwrap();
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(30));
    store.append(1, b"1\n").unwrap();
    assert!(watcher.wait(0, long).unwrap());
    assert!(!watcher.wait(1, short).unwrap());
    // The second wait sees records that were appended between the two waits.
    store.append(2, b"2\n").unwrap();
    store.append(3, b"3\n").unwrap();
    assert!(watcher.wait(1, long).unwrap());
    assert!(watcher.wait(2, long).unwrap());
    assert!(!watcher.wait(3, short).unwrap());
    store.append(4, b"4\n").unwrap();
    store.append(5, b"5\n").unwrap();
    let body = format!(r#"{{"revision":"{}"}}"#, real.revision());
    assert!(real.post("/v3/kv/compaction", &body).contains("header"));
    assert!(watcher.wait(3, long).unwrap());
    assert!(!watcher.wait(5, short).unwrap());
    // Records that are appended during a wait.
    let (sender, told) = mpsc::channel();
    let waits = std::thread::spawn(move || {
        sender.send(watcher.wait(5, long)).unwrap();
        sender.send(watcher.wait(6, long)).unwrap();
    });
    assert!(told.recv_timeout(short).is_err());
    store.append(6, b"6\n").unwrap();
    assert!(told.recv_timeout(long).unwrap().unwrap());
    let body = format!(r#"{{"key":"{}"}}"#, base64("/test/rollout/head"));
    assert!(real.post("/v3/kv/deleterange", &body).contains("deleted"));
    assert!(
        told.recv_timeout(long).unwrap().unwrap(),
        "the wait does not end when the head is deleted"
    );
    waits.join().unwrap();
    assert!(store.read(7).unwrap_err().is_damaged());
}
