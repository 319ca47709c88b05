//! A rollout on a real etcd: the program in `STAGEGATE_ETCD`, which `.ci/etcd` sets, or on the `PATH`.

use crate::etcd_server::EtcdServer;
use crate::harness::stagegate;

const DOCUMENT: &str = r#"schema = 1
[metrics.queue]
unit = "count"
better = "less"
source = "people"
[flags.a]
triggers = [
    { metric = "queue", above = 100, no_data = "hold", action = "rollback" },
    { incident = "security", action = "rollback" },
]
[[flags.a.stages]]
name = "pilot"
percent = 10
checklist = [{ id = "load-test", text = "The load test passed" }]
[[flags.a.stages]]
name = "ga"
percent = 100
"#;

#[test]
fn an_invalid_address_is_refused() {
    for (store, expected) in [
        ("etcd://127.0.0.1:2379", "no prefix; write etcd://HOST:PORT/PREFIX, or etcds:// for TLS"),
        ("etcd:///shop", "no host; write etcd://HOST:PORT/PREFIX, or etcds:// for TLS"),
        (
            "etcds://ana:canary@etcd.example.com/shop",
            "the address contains a user name, which would be printed. Set STAGEGATE_ETCD_USER and \
             STAGEGATE_ETCD_PASSWORD instead",
        ),
        (
            "etcd://etcd.example.com:2379/shop",
            "`http://etcd.example.com:2379` is another machine, and `etcd://` is not encrypted. Write `etcds://`",
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

#[test]
fn every_verb_works_on_an_etcd() {
    let Some(real) = EtcdServer::start("the verbs on an etcd") else { return };
    let run = |arguments: &[&str]| real.run(arguments);
    let document = real.write("rollout.toml", DOCUMENT);
    let none = run(&["status"]).ends(3);
    assert!(none.stderr.contains("there is no rollout yet; start one"), "{}", none.stderr);
    let started = run(&["start", &document, "--by", "ana"]).ends(0);
    assert_eq!(started.stdout, format!("{}: started with 1 flag\n  a: off\n", real.store));
    run(&["start", &document]).ends(3);
    run(&["promote", "a", "--yes"]).ends(0);
    run(&["hold", "a", "--reason", "wait"]).ends(0);
    assert!(run(&["promote", "a", "--by", "ben", "--yes"]).ends(1).stdout.contains("held by ana"));
    assert!(run(&["resume", "a", "--reason", "legal agrees"]).ends(0).stdout.contains("resumed"));

    let unsigned = run(&["promote", "a", "--yes"]).ends(1);
    assert!(unsigned.stdout.contains("`load-test` is not signed"), "{}", unsigned.stdout);
    run(&["sign", "a", "load-test", "--by", "ben", "--evidence", "run 16"]).ends(0);
    run(&["sign", "a", "load-test", "--undo", "--reason", "the wrong run"]).ends(0);
    run(&["promote", "a", "--yes"]).ends(1);
    run(&["sign", "a", "load-test", "--by", "ben", "--evidence", "run 17"]).ends(0);
    run(&["metric", "set", "a", "queue", "7", "--samples", "20"]).ends(0);
    run(&["promote", "a", "--yes"]).ends(0);

    let beyond = run(&["metric", "set", "a", "queue", "250"]).ends(0);
    assert!(beyond.stdout.contains("rolled back (queue > 100 (250))"), "{}", beyond.stdout);
    let open = run(&["promote", "a", "--yes"]).ends(1);
    assert!(open.stdout.contains("incident"), "{}", open.stdout);
    run(&["metric", "set", "a", "queue", "7"]).ends(0);
    run(&["tick"]).ends(0);
    for _ in 0..4 {
        if run(&["incident", "close", "a", "--note", "a worker hung", "--yes"]).code == Some(0) {
            break;
        }
        run(&["incident", "step", "a", "--note", "done", "--override", "seen by eye"]).ends(0);
    }
    let status = run(&["status", "--format", "json"]).ends(0).json();
    assert!(status["flags"][0]["incident"].is_null(), "{status}");
    run(&["promote", "a", "--yes"]).ends(0);
    run(&["incident", "report", "a", "security", "--note", "a token in a log"]).ends(0);
    assert!(run(&["history"]).ends(0).stdout.contains("pilot -> off"));

    let more = DOCUMENT.to_owned() + "[flags.b]\nstages = [{ name = \"all\", percent = 100 }]\n";
    let document = real.write("rollout.toml", &more);
    run(&["update", &document, "--yes"]).ends(0);
    run(&["update", &real.write("bad.toml", "schema = 2"), "--yes"]).ends(1);
    run(&["promote", "b", "--yes"]).ends(0);
    run(&["rollback", "b", "--by", "ben", "--reason", "slow", "--yes"]).ends(0);
    assert_eq!(run(&["document"]).ends(0).stdout, more);
    assert!(run(&["history"]).ends(0).stdout.contains("all -> off"));
    assert!(run(&["status"]).ends(0).stdout.starts_with(&real.store));
    run(&["verify"]).ends(0);
}
