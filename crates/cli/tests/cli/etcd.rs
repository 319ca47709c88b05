//! A rollout on an etcd: the program that `STAGEGATE_ETCD` names, which `.ci/etcd` brings.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::harness::{Run, stagegate};

const DOCUMENT: &str = r#"schema = 1
[flags.a]
stages = [{ name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
"#;

#[test]
fn an_address_that_is_none_is_refused() {
    for (store, expected) in [
        ("etcd://127.0.0.1:2379", "no prefix; write etcd://HOST:PORT/PREFIX, or etcds:// for TLS"),
        ("etcd:///shop", "no host; write etcd://HOST:PORT/PREFIX, or etcds:// for TLS"),
        (
            "etcds://ana:canary@etcd.example.com/shop",
            "a user name in the address, where it would be printed: set STAGEGATE_ETCD_USER and \
             STAGEGATE_ETCD_PASSWORD",
        ),
        (
            "etcd://etcd.example.com:2379/shop",
            "`http://etcd.example.com:2379` is another machine, and `etcd` hides nothing on the way: write `etcds`",
        ),
    ] {
        let run = stagegate(&["status", "--store", store]).ends(2);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert!(!run.stderr.contains("canary"), "{}", run.stderr);
    }
    let run = stagegate(&["status", "--store", "etcd://127.0.0.1:9/shop"]).ends(3);
    let expected =
        "etcd://127.0.0.1:9/shop: `http://127.0.0.1:9` does not answer: Connection refused";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

struct Real(Child);

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_verb_works_on_an_etcd() {
    let Some(program) = env::var_os("STAGEGATE_ETCD") else {
        println!("not tried: the verbs on an etcd, for want of STAGEGATE_ETCD");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (clients, peers) = (free(), format!("http://{}", free()));
    let url = format!("http://{clients}");
    let child = Command::new(program)
        .arg("--data-dir")
        .arg(scratch.path().join("data"))
        .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
        .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _real = Real(child.unwrap());
    let store = format!("etcd://{clients}/shop/rollout");
    let run = |arguments: &[&str]| -> Run {
        let mut all = arguments.to_vec();
        all.extend(["--store", &store]);
        stagegate(&all)
    };
    let begin = Instant::now();
    while run(&["status"]).stderr.contains("does not answer") {
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
    let document = scratch.path().join("rollout.toml");
    fs::write(&document, DOCUMENT).unwrap();
    let document = document.to_str().unwrap();
    let none = run(&["status"]).ends(3);
    assert!(none.stderr.contains("there is no rollout yet; start one"), "{}", none.stderr);
    let started = run(&["start", document, "--by", "ana"]).ends(0);
    assert_eq!(started.stdout, format!("{store}: began, with 1 flag\n  a: off\n"));
    run(&["start", document, "--by", "ana"]).ends(3);
    run(&["promote", "a", "--by", "ana", "--yes"]).ends(0);
    run(&["hold", "a", "--by", "ana", "--reason", "wait"]).ends(0);
    assert!(run(&["promote", "a", "--by", "ben", "--yes"]).ends(1).stdout.contains("held by ana"));
    run(&["rollback", "a", "--by", "ben", "--reason", "slow", "--yes"]).ends(0);
    run(&["tick"]).ends(0);
    assert_eq!(run(&["document"]).ends(0).stdout, DOCUMENT);
    assert!(run(&["history"]).ends(0).stdout.contains("pilot -> off"));
    assert!(run(&["status"]).ends(0).stdout.starts_with(&store));
    run(&["verify"]).ends(0);
}
