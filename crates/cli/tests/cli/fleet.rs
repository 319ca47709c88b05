//! `run` on a real etcd: one process leads, the others follow.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::etcd_server::EtcdServer;
use crate::run::{self, get, prometheus, signal};

/// The timeout for any event.
const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) const LEADS: &str = "this process leads";
const FOLLOWS: &str = "another process leads";

/// A `run` process that is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Process {
    pub(crate) fn spawn(real: &EtcdServer, more: &[&str]) -> Process {
        let arguments = ["run", "--store", &real.store, "--listen", "127.0.0.1:0"];
        let mut command = run::command(&[&arguments, more].concat());
        let env = real.env.iter().map(|(name, value)| (name, value));
        // No test reads standard error, and a full pipe would block the process.
        let mut child = command.envs(env).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut process = Process { child, lines, address: String::new() };
        let listening = process.says("listening on ");
        process.address = listening.strip_prefix("listening on http://").unwrap().to_owned();
        process
    }

    /// Waits for the next line that contains this text.
    #[track_caller]
    pub(crate) fn says(&self, what: &str) -> String {
        let begin = Instant::now();
        loop {
            let left = TIMEOUT.saturating_sub(begin.elapsed());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("never: {what}"));
            if line.contains(what) {
                return line;
            }
        }
    }

    pub(crate) fn health(&self) -> Value {
        serde_json::from_str(&get(&self.address, "/health").1).unwrap()
    }

    fn metrics(&self) -> String {
        get(&self.address, "/metrics").1
    }

    /// Ends the process by SIGTERM.
    #[track_caller]
    pub(crate) fn ends(mut self) {
        signal(&self.child, "-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < TIMEOUT, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

const AUTO: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1, advance = "auto" }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "one", percent = 1, advance = "auto" }, { name = "all", percent = 100 }]
"#;

/// Both processes see an operator's action, and only the leader acts. When it is killed, the other one takes over.
#[test]
fn one_of_two_processes_leads_and_the_other_takes_over() {
    let Some(real) = EtcdServer::start("two controllers on one etcd") else { return };
    real.run(&["start", &real.write("rollout.toml", AUTO)]).ends(0);
    let more = ["--every", "50ms", "--lease", "5s"];
    let leader = Process::spawn(&real, &more);
    leader.says(LEADS);
    let other = Process::spawn(&real, &more);
    other.says(FOLLOWS);

    real.run(&["promote", "a", "--by", "ben", "--yes"]).ends(0);
    for process in [&leader, &other] {
        process.says("ben: a: promoted, off -> one");
        process.says("stagegate: a: promoted, one -> all");
        let all = "stagegate_flag_stage{flag=\"a\",stage=\"all\"} 1\n";
        until("the figures follow", || process.metrics().contains(all));
    }
    let (leads, follows) = (leader.health(), other.health());
    assert!(leads["healthy"] == true && leads["leads"] == true, "{leads}");
    assert!(leads["ticks"].as_u64().unwrap() > 0, "{leads}");
    assert!(follows["healthy"] == true && follows["leads"] == false, "{follows}");
    assert_eq!(follows["ticks"], 0, "{follows}");
    assert!(leader.metrics().contains("stagegate_leads 1\n"));
    assert!(other.metrics().contains("stagegate_leads 0\n"));

    // By SIGKILL.
    drop(leader);
    other.says(LEADS);
    real.run(&["promote", "b", "--by", "ben", "--yes"]).ends(0);
    other.says("stagegate: b: promoted, one -> all");
    assert!(other.health()["ticks"].as_u64().unwrap() > 0);
    let history = real.run(&["history"]).ends(0).stdout;
    for flag in ["a", "b"] {
        let moved = format!("stagegate: {flag}: promoted, one -> all");
        assert_eq!(history.matches(&moved).count(), 1, "{history}");
    }
    other.ends();
}

/// The lease of an hour would not end within the test. The new leader reads the metrics and notifies.
#[test]
fn a_leader_that_stops_hands_over_the_lead() {
    let Some(real) = EtcdServer::start("a lead that is given back") else { return };
    real.run(&["start", &real.write("rollout.toml", run::DOCUMENT)]).ends(0);
    let (url, news) = (prometheus(250), real.path("news.jsonl").display().to_string());
    let more = ["--every", "50ms", "--lease", "1h", "--prometheus", &url, "--tell-file", &news];
    let leader = Process::spawn(&real, &more);
    leader.says(LEADS);
    let other = Process::spawn(&real, &more);
    other.says(FOLLOWS);
    leader.ends();
    other.says(LEADS);
    real.run(&["promote", "a", "--by", "ben", "--yes"]).ends(0);
    other.says("prometheus: a: rolled back (queue > 100 (250)), all -> off");
    other.ends();
    let news = std::fs::read_to_string(news).unwrap();
    assert_eq!(news.matches("\"kind\":\"rolled_back\"").count(), 1, "{news}");
}

#[test]
fn run_survives_an_etcd_that_does_not_answer() {
    let Some(mut real) = EtcdServer::start("a controller whose etcd dies") else { return };
    let none = real.run(&["run"]).ends(3);
    assert!(none.stderr.contains("there is no rollout yet; start one"), "{}", none.stderr);
    real.run(&["start", &real.write("rollout.toml", AUTO)]).ends(0);
    let process = Process::spawn(&real, &["--every", "50ms", "--lease", "2s"]);
    process.says(LEADS);
    real.kill();
    until("it is not well", || process.health()["healthy"] == false);
    let error = process.health()["error"].to_string();
    assert!(error.contains("does not answer"), "{error}");
    until("it leads no longer", || process.health()["leads"] == false);
    until("the figures say so", || process.metrics().contains("stagegate_store_up 0\n"));
    real.restart();
    until("it is well", || {
        let health = process.health();
        health["healthy"] == true && health["leads"] == true
    });
    process.ends();
}

#[test]
fn a_lease_that_etcd_does_not_support_is_refused() {
    for lease in ["1s", "2500ms"] {
        let run = crate::harness::stagegate(&[
            "run",
            "--store",
            "etcd://127.0.0.1:9/shop",
            "--lease",
            lease,
        ]);
        let run = run.ends(2);
        let says = "an etcd lease lasts whole seconds, at least 2; write for example 15s";
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}
