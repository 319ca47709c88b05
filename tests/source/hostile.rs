//! Misbehaving servers: the plan in force stays, and no error shows a secret.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use stagegate::source::{FollowOptions, Follower, Freshness, Http};

use crate::canary;
use crate::server::{Server, answer};
use crate::world::{number_of, plan};

/// The behaviour of a server, which the test can change.
type Answers = Arc<Mutex<Behaviour>>;

enum Behaviour {
    Says(Vec<u8>),
    /// Sends these bytes, then waits.
    Stalls(Vec<u8>, Duration),
    /// Sends one byte every ten milliseconds.
    Trickles(String),
}

use Behaviour::{Says, Stalls, Trickles};

fn server() -> (Server, Answers) {
    let answers: Answers = Arc::new(Mutex::new(good(0)));
    let theirs = Arc::clone(&answers);
    let server = Server::new(move |stream, _| {
        let wait = |stream: &mut TcpStream, bytes: &[u8], pause| {
            stream.write_all(bytes)?;
            thread::sleep(pause);
            Ok(())
        };
        match &*theirs.lock().unwrap() {
            Says(bytes) => stream.write_all(bytes),
            Stalls(bytes, pause) => wait(stream, bytes, *pause),
            Trickles(text) => {
                text.bytes().try_for_each(|byte| wait(stream, &[byte], Duration::from_millis(10)))
            }
        }
    });
    (server, answers)
}

fn good(number: u32) -> Behaviour {
    Says(with(&format!("etag: \"{number}\"\r\n"), &plan(number)).into())
}

/// Returns a response with status 200 and more headers.
fn with(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn says(answer: impl Into<Vec<u8>>) -> Behaviour {
    Says(answer.into())
}

/// Returns each behaviour of a server, with the end of its error.
fn behaviours() -> Vec<(&'static str, Behaviour, &'static str)> {
    let half = plan(1);
    let half = &half[..half.len() / 2];
    let retry = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n";
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
    let redirect = "answers 302, a redirect, which is not followed";
    vec![
        ("401", says(answer("401 Unauthorized", "canary-token?")), "answers 401"),
        ("403", says(answer("403 Forbidden", "no")), "answers 403"),
        ("404", says(answer("404 Not Found", "<html>no</html>")), "answers 404"),
        ("429", says(answer("429 Too Many Requests", "")), "answers 429"),
        ("500", says(answer("500 Internal Server Error", &plan(1))), "answers 500"),
        ("503 and when to come back", says(retry), "answers 503"),
        ("204", says("HTTP/1.1 204 No Content\r\n\r\n"), "answers 204"),
        ("a redirect to another host", says(elsewhere), redirect),
        (
            "a web page",
            says(with("content-type: text/html; charset=utf-8\r\n", &plan(1))),
            "answers a web page (`text/html`)",
        ),
        ("nothing", says(with("", "")), "answers an empty document"),
        ("blanks", says(with("", " \r\n")), "answers an empty document"),
        (
            "gzip",
            says(with("content-encoding: gzip\r\n", "\x1f\x08")),
            "does not answer: encoded as `gzip`, which was not requested",
        ),
        (
            "a half, cut off",
            says(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{half}", plan(1).len())),
            "",
        ),
        (
            "a half of unknown length",
            says(format!("HTTP/1.1 200 OK\r\n\r\n{half}")),
            "does not state the length of its answer, so the document may be incomplete",
        ),
        (
            "a half in chunks",
            says(format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n",
                half.len()
            )),
            "",
        ),
        (
            "too much",
            says(format!("{huge}{}", "#\n".repeat(9 << 20))),
            "does not answer: a body of more than 16777216 bytes",
        ),
        ("a huge head", says(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(99_999))), ""),
        ("no HTTP", says("SSH-2.0-OpenSSH_9.2\r\n"), ""),
        ("nothing at all", says(""), ""),
        (
            "no plan",
            says(with("", "schema = 1\n[flags.a]\nstage = \"pilto\"\n")),
            "did you mean `pilot`? write one of: off, internal, pilot, expanded, ga",
        ),
        (
            "no text",
            says(
                [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n".as_slice(), b"\xff\xfe"].concat(),
            ),
            "",
        ),
        (
            "our own token",
            says(with("", "schema = 1\n[flags.a]\nstage = \"canary-token\"\n")),
            "answers with a header value of the request instead of a document",
        ),
        (
            "silence",
            Stalls(Vec::new(), Duration::from_millis(700)),
            "does not answer: no answer within 500ms",
        ),
        (
            "a head and silence",
            Stalls(
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".into(),
                Duration::from_millis(700),
            ),
            "does not answer: no answer within 500ms",
        ),
        (
            "a byte now and then",
            Trickles(with("", &plan(1))[..100].to_owned()),
            "does not answer: no answer within 500ms",
        ),
    ]
}

/// Refreshes from each server repeatedly, and checks the error and the plan in force.
fn check_behaviours(times: u32, slow_times: u32) {
    let tried: Vec<_> = behaviours()
        .into_iter()
        .map(|(what, behaviour, why)| {
            thread::spawn(move || {
                let is_slow = !matches!(behaviour, Says(_));
                let times = if is_slow { slow_times } else { times };
                let (server, answers) = server();
                let deadline = Duration::from_millis(if is_slow { 500 } else { 10_000 });
                let endpoint = canary::endpoint(&server.url).with_deadline(deadline);
                // On a busy machine a start may exceed the deadline, so try several times.
                let started = (0..20).find_map(|_| {
                    let source = Http::new(endpoint.clone()).unwrap();
                    canary::without_canaries(format!("{source:?}"));
                    Follower::start(source, FollowOptions::new().by_hand()).ok()
                });
                let (gate, follower) = started.unwrap();
                *answers.lock().unwrap() = behaviour;
                for _ in 0..times {
                    let begin = Instant::now();
                    let error = follower.refresh_now().expect_err(what);
                    let text = canary::without_canaries(error.to_string());
                    canary::without_canaries(format!("{error:?} {:?}", follower.status()));
                    assert!(text.ends_with(why), "{what}: {text}");
                    assert_eq!(number_of(&gate), 0, "{what}");
                    assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
                }
                let status = follower.status();
                let freshness =
                    if status.refused > 0 { Freshness::Failed } else { Freshness::Stale };
                assert_eq!((status.freshness, status.version), (freshness, 1), "{what}");
                *answers.lock().unwrap() = good(2);
                // The server may still be busy with a slow answer.
                let heals = (0..100).any(|_| follower.refresh_now().is_ok());
                assert!(heals && number_of(&gate) == 2, "{what}");
            })
        })
        .collect();
    tried.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn no_server_answer_harms_the_plan_in_force() {
    check_behaviours(20, 2);
}

#[test]
#[ignore = "takes five minutes: cargo test --all-features --test source -- --ignored 200_times"]
fn no_server_answer_sent_200_times_harms_the_plan_in_force() {
    check_behaviours(200, 200);
}

/// Every second answer is slow, so answers arrive out of order.
#[test]
fn a_late_answer_never_replaces_a_newer_one() {
    let count = Arc::<Mutex<u32>>::default();
    let server = Server::new(move |stream, _| {
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count
        };
        thread::sleep(Duration::from_millis(u64::from(number % 2) * 5));
        stream.write_all(with("", &plan(number)).as_bytes())
    });
    let source = Http::new(server.url.as_str()).unwrap();
    let (gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    let mut seen = 0;
    thread::scope(|scope| {
        let refresh = || (0..100).for_each(|_| assert!(follower.refresh_now().is_ok()));
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(refresh)).collect();
        while !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            let number = number_of(&gate);
            assert!(number >= seen, "{number} after {seen}");
            seen = number;
        }
    });
    assert_eq!(number_of(&gate), 401);
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    let error = Http::new("http://plans.example.com/canary-path/rollout.toml").unwrap_err();
    let text = canary::without_canaries(error.to_string());
    assert!(text.starts_with("`http://plans.example.com` is another machine"), "{text}");
}
