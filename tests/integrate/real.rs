//! Tests with a real Prometheus.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stagegate::clock::ManualClock;
use stagegate::http::Endpoint;
use stagegate::integrate::Prometheus;
use stagegate::rollout::{MetricReader, Rollout};
use stagegate::store::Memory;

use super::prometheus::metric;
use super::server::{Server, answer};
use super::{Scratch, needs};

/// The timeout for events that must happen.
const LONG: Duration = Duration::from_secs(60);

const SHORT: Duration = Duration::from_millis(300);

struct Real {
    program: OsString,
    scratch: Scratch,
    port: u16,
    url: String,
    child: Option<Child>,
}

impl Real {
    /// Starts a server that scrapes these targets ten times a second. Returns `None` if the machine has no Prometheus.
    fn start(what: &str, targets: &[&Server], web: &str) -> Option<Real> {
        let program = needs::prometheus(what)?;
        let scratch = Scratch::new();
        let targets: Vec<&str> =
            targets.iter().map(|target| &target.url["http://".len()..]).collect();
        let config = format!(
            "global: {{ scrape_interval: 100ms, scrape_timeout: 100ms }}\n\
             scrape_configs: [{{ job_name: test, static_configs: [{{ targets: {targets:?} }}] }}]\n",
        );
        fs::write(scratch.path("prometheus.yml"), config).unwrap();
        fs::write(scratch.path("web.yml"), web).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let mut real = Real { program, scratch, port, url, child: None };
        real.run();
        Some(real)
    }

    /// Runs the server and waits until it listens. Starts it again if it ends, because its port may be taken for a
    /// moment.
    fn run(&mut self) {
        let path = |name: &str| self.scratch.path(name).display().to_string();
        let mut command = Command::new(&self.program);
        command.arg(format!("--config.file={}", path("prometheus.yml")));
        command.arg(format!("--web.config.file={}", path("web.yml")));
        command.arg(format!("--storage.tsdb.path={}", path("data")));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        while self.child.is_none() {
            let mut child = command.spawn().expect("Prometheus is a program");
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                    self.child = Some(child);
                    break;
                }
            }
            assert!(begin.elapsed() < LONG);
        }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }

    /// Pauses the server and waits until every thread has stopped, which takes a moment.
    fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        let threads = format!("/proc/{}/task", self.child.as_ref().unwrap().id());
        let stands = |thread: fs::DirEntry| {
            let status = fs::read_to_string(thread.path().join("status"));
            status.is_ok_and(|status| status.contains("State:\tT"))
        };
        let begin = Instant::now();
        while !fs::read_dir(&threads).unwrap().all(|thread| stands(thread.unwrap())) {
            assert!(begin.elapsed() < LONG);
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    fn reader(&self, deadline: Duration) -> Prometheus {
        Prometheus::new(Endpoint::new(&*self.url).with_deadline(deadline)).unwrap()
    }

    /// Repeats the query until it has this result.
    #[track_caller]
    fn wait_for(&self, unit: &str, query: &str, expected: &Result<String, String>) {
        let mut reader = self.reader(Duration::from_secs(10));
        let begin = Instant::now();
        loop {
            let found = self.read(&mut reader, unit, query, "10m");
            if found == *expected {
                return;
            }
            assert!(begin.elapsed() < LONG, "{found:?}");
        }
    }

    fn read(
        &self,
        reader: &mut Prometheus,
        unit: &str,
        query: &str,
        stale_after: &str,
    ) -> Result<String, String> {
        match reader.read(&metric(unit, query, stale_after)) {
            Ok(sample) => Ok(sample.unwrap().value.to_string()),
            Err(error) => Err(error.to_string().replace(&self.url, "SERVER")),
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.kill();
    }
}

fn ok(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

fn no_series() -> Result<String, String> {
    Err("`SERVER` answers with no series, so the metric has no value".to_owned())
}

#[test]
fn every_kind_of_answer_is_read_or_refused() {
    let exporter = Server::answering(
        "200 OK",
        "test_ratio 0.0425\ntest_seconds 0.1\ntest_two{a=\"1\"} 1\ntest_two{a=\"2\"} 2\n",
    );
    let Some(real) = Real::start("answers of Prometheus", &[&exporter], "") else { return };
    real.wait_for("percent", "100 * test_ratio", &ok("4.25%"));
    let mut reader = real.reader(Duration::from_secs(10));
    for (unit, query, expected) in [
        ("percent", "vector(4.2)", ok("4.2%")),
        ("percent", "scalar(100 * test_ratio)", ok("4.25%")),
        ("percent", "1 / 3", ok("0.3333%")),
        ("percent", "0.1 + 0.2", ok("0.3%")),
        ("percent", "5e-324", ok("0%")),
        ("duration", "test_seconds", ok("100ms")),
        ("count", "sum(test_two)", ok("3")),
        ("count", "1e12", ok("1000000000000")),
        ("count", "absent(no_such)", ok("1")),
        ("count", "absent(test_two)", no_series()),
        ("count", "no_such", no_series()),
        (
            "count",
            "test_two",
            Err("`SERVER` answers 2 series instead of one: aggregate them, by `sum`, `avg` or `max`".to_owned()),
        ),
        ("count", "0 / 0", Err("`SERVER` answers `NaN`, which is not a number".to_owned())),
        ("count", "1 / 0", Err("`SERVER` answers `+Inf`, which is not a number".to_owned())),
        ("count", "vector(-1 / 0)", Err("`SERVER` answers `-Inf`, which is not a number".to_owned())),
        ("count", "-1", Err("`SERVER` answers `-1`, which is negative".to_owned())),
        ("percent", "101", Err("`SERVER` answers `101`: more than 100%".to_owned())),
        ("count", "test_ratio[1m]", Err("`SERVER` answers a matrix instead of one number".to_owned())),
        ("count", "\"a\"", Err("`SERVER` answers a string instead of one number".to_owned())),
        (
            "count",
            "sum(",
            Err("`SERVER` answers 400: 1:5: parse error: unclosed left parenthesis".to_owned()),
        ),
    ] {
        assert_eq!(real.read(&mut reader, unit, query, "10m"), expected, "{query}");
    }
    let before = SystemTime::now();
    let sample = reader.read(&metric("count", "time()", "10m")).unwrap().unwrap();
    assert!(sample.at >= before - Duration::from_millis(1) && sample.at <= SystemTime::now());
}

#[test]
fn a_paused_or_killed_prometheus_is_an_error_in_time_and_recovers() {
    let Some(mut real) = Real::start("faults of Prometheus", &[], "") else { return };
    real.wait_for("percent", "vector(4.2)", &ok("4.2%"));
    let mut reader = real.reader(SHORT);
    let mut fails = |real: &Real, why: &str| {
        let begin = Instant::now();
        let read = real.read(&mut reader, "percent", "vector(4.2)", "10m");
        assert_eq!(read, Err(format!("`SERVER` does not answer: {why}")));
        assert!(begin.elapsed() < SHORT + Duration::from_millis(500), "{:?}", begin.elapsed());
    };
    for _ in 0..3 {
        real.stop();
        fails(&real, "no answer within 300ms");
        fails(&real, "no answer within 300ms");
        real.signal(Signal::SIGCONT);
        real.wait_for("percent", "vector(4.2)", &ok("4.2%"));
        real.kill();
        fails(&real, "Connection refused (os error 111)");
        real.run();
        real.wait_for("percent", "vector(4.2)", &ok("4.2%"));
    }
}

/// Evaluations do not wait for a reading that hangs. Soon the data are stale, and the flag is rolled back because the
/// trigger has `no_data = "rollback"`.
#[test]
fn a_paused_prometheus_delays_no_evaluation_and_then_means_no_data() {
    let Some(real) = Real::start("a rollout without its Prometheus", &[], "") else { return };
    real.wait_for("percent", "vector(4.2)", &ok("4.2%"));
    let document = r#"
        schema = 1
        [metrics.queue]
        unit = "count"
        better = "less"
        source = { prometheus = "vector(4)" }
        stale_after = "1m"
        [flags.a]
        stage = "half"
        stages = [{ name = "half", percent = 50 }, { name = "all", percent = 100 }]
        triggers = [{ metric = "queue", above = 10, no_data = "rollback", action = "rollback" }]
    "#;
    let clock = ManualClock::at(SystemTime::now());
    let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana").unwrap();
    let mut reader = real.reader(SHORT);
    assert_eq!(rollout.read(&mut reader).read.len(), 1);

    real.stop();
    let asked = thread::scope(|scope| {
        let reading = scope.spawn(|| rollout.read(&mut reader));
        let mut asked = 0_u64;
        while !reading.is_finished() {
            assert!(rollout.gate().evaluate(asked, "a").stage.is_some_and(|stage| stage == "half"));
            asked += 1;
        }
        let failed = reading.join().unwrap().failed;
        assert!(failed[0].1.to_string().ends_with("no answer within 300ms"), "{failed:?}");
        asked
    });
    // An idle machine reaches about thirty million evaluations a second.
    assert!(asked > 10_000, "only {asked} evaluations in 300 ms");
    clock.advance(Duration::from_secs(61));
    rollout.tick();
    assert!(!(0..100).any(|user| rollout.gate().is_enabled(user, "a")));
    let cause = rollout.report("a").unwrap().state.incident.unwrap().cause.unwrap();
    assert_eq!(cause.to_string(), "queue > 10 (no data for 1m 1s)");
}

#[test]
fn a_late_answer_is_an_error_and_does_not_answer_the_next_query() {
    let Some(real) = Real::start("a slow Prometheus", &[], "") else { return };
    real.wait_for("percent", "vector(4.2)", &ok("4.2%"));
    // A proxy that delays each answer by some milliseconds.
    let delay = Arc::new(AtomicU64::new(0));
    let (theirs, upstream) = (Arc::clone(&delay), real.url["http://".len()..].to_owned());
    let between = Server::new(move |stream, request| {
        let mut prometheus = TcpStream::connect(&upstream)?;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        prometheus.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes())?;
        let mut answer = Vec::new();
        prometheus.read_to_end(&mut answer)?;
        let (_open, pause) = mpsc::channel::<()>();
        let _ = pause.recv_timeout(Duration::from_millis(theirs.load(Ordering::SeqCst)));
        stream.write_all(&answer)
    });
    let endpoint = Endpoint::new(&*between.url).with_deadline(SHORT);
    let mut reader = Prometheus::new(endpoint).unwrap();
    let mut read = |query: &str| {
        let read = reader.read(&metric("count", query, "10m"));
        read.map(|sample| sample.unwrap().value.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(read("vector(1)"), ok("1"));
    delay.store(600, Ordering::SeqCst);
    let begin = Instant::now();
    let late = format!("`{}` does not answer: no answer within 300ms", between.url);
    assert_eq!(read("vector(2)"), Err(late));
    assert!(begin.elapsed() < Duration::from_millis(590), "{:?}", begin.elapsed());
    delay.store(0, Ordering::SeqCst);
    // The proxy handles one request at a time, so the next query waits until the late answer is sent.
    let begin = Instant::now();
    let next = loop {
        match read("vector(3)") {
            Err(_) if begin.elapsed() < LONG => {}
            next => break next,
        }
    };
    assert_eq!(next, ok("3"));
}

#[test]
fn a_series_that_is_no_longer_written_is_not_fresh() {
    let exporter = Server::answering("200 OK", "test_gauge 1\n");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let two_minutes_ago = (now - Duration::from_secs(120)).as_millis();
    // A series with its own timestamps, as a push gateway serves it after the last push.
    let body = format!("test_old 1 {two_minutes_ago}\ntest_new 1\n");
    let gateway =
        Server::new(move |stream, _| stream.write_all(answer("200 OK", &body).as_bytes()));
    let targets = [&exporter, &gateway];
    let Some(real) = Real::start("series that go stale", &targets, "") else { return };
    real.wait_for("count", "test_gauge", &ok("1"));
    real.wait_for("count", "test_new", &ok("1"));
    let mut reader = real.reader(Duration::from_secs(10));
    assert_eq!(real.read(&mut reader, "count", "test_old", "10m"), ok("1"));
    // Prometheus has `lookback_delta` since version 2.43.
    let expected = if version(&real.program) >= (2, 43) { no_series() } else { ok("1") };
    assert_eq!(real.read(&mut reader, "count", "test_old", "1m"), expected);
    drop(exporter);
    // The next scrape fails, so the series ends.
    real.wait_for("count", "test_gauge", &no_series());
    // The data of a range may be as old as the range.
    assert!(real.read(&mut reader, "count", "max_over_time(test_gauge[1m])", "1m").is_ok());
}

#[test]
fn a_prometheus_with_passwords_gets_the_password() {
    // The hash of the password `test`, from the documentation of Prometheus.
    let web = "basic_auth_users: { ana: '$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay' }\n";
    let Some(real) = Real::start("passwords of Prometheus", &[], web) else { return };
    let refused = || Err("`SERVER` answers 401".to_owned());
    real.wait_for("count", "vector(1)", &refused());
    let with = |password: &str| {
        let endpoint = Endpoint::new(&*real.url).with_basic_auth("ana", password);
        let mut reader = Prometheus::new(endpoint.with_deadline(LONG)).unwrap();
        real.read(&mut reader, "count", "vector(1)", "10m")
    };
    assert_eq!(with("test"), ok("1"));
    assert_eq!(with("canary"), refused());
}

/// Parses the version from a line like `prometheus, version 2.42.0+ds (…)`.
fn version(program: &OsString) -> (u32, u32) {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let version = text.split("version ").nth(1).unwrap();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
