//! Conditional HTTP requests.

use std::io::Write;
use std::sync::{Arc, Mutex};

use stagegate::source::{FollowOptions, Follower, Http, Refreshed};

use crate::server::Server;
use crate::world::{Scratch, number_of, plan};

/// Starts a server whose answer the test can change.
fn server(first: String) -> (Server, Arc<Mutex<String>>) {
    let next = Arc::new(Mutex::new(first));
    let theirs = Arc::clone(&next);
    let answer = move |stream: &mut std::net::TcpStream, _: &str| {
        let answer = theirs.lock().unwrap().clone();
        stream.write_all(answer.as_bytes())
    };
    (Server::new(answer), next)
}

fn document(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

const NOT_MODIFIED: &str = "HTTP/1.1 304 Not Modified\r\n\r\n";

/// Returns a header of the last request, in lower case.
fn last(server: &Server, name: &str) -> Option<String> {
    let requests = server.requests();
    let lines = requests.last().unwrap().lines().map(str::to_ascii_lowercase);
    let name = format!("{name}: ");
    lines.filter_map(|line| line.strip_prefix(&name).map(str::to_owned)).next()
}

#[test]
fn an_etag_is_sent_once_its_document_is_in_force() {
    let (server, next) = server(document("ETag: \"a\"\r\nLast-Modified: yesterday\r\n", &plan(0)));
    let set = |answer: String| *next.lock().unwrap() = answer;
    let source = Http::new(server.url.as_str()).unwrap();
    let (gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    assert_eq!(last(&server, "if-none-match"), None);
    assert_eq!(last(&server, "accept-encoding").as_deref(), Some("identity"));

    set(NOT_MODIFIED.to_owned());
    assert_eq!(follower.refresh_now().unwrap(), Refreshed::Unchanged);
    assert_eq!(last(&server, "if-none-match").as_deref(), Some("\"a\""));
    assert_eq!(last(&server, "if-modified-since"), None);
    // The ETag of a refused document is not sent.
    set(document("ETag: \"b\"\r\n", "schema = 2"));
    follower.refresh_now().unwrap_err();
    follower.refresh_now().unwrap_err();
    assert_eq!(last(&server, "if-none-match").as_deref(), Some("\"a\""));
    assert_eq!(follower.status().refused, 1);
    // 304 refers to the plan in force.
    set(NOT_MODIFIED.to_owned());
    follower.refresh_now().unwrap();
    assert_eq!(gate.version(), 1);
    // A new, weak ETag with the same content: no new version, and the ETag is sent back unchanged.
    set(document("ETag: W/\"c\"\r\n", &plan(0)));
    assert_eq!(follower.refresh_now().unwrap(), Refreshed::Unchanged);
    set(document("", &plan(1)));
    follower.refresh_now().unwrap();
    assert_eq!(last(&server, "if-none-match").as_deref(), Some("w/\"c\""));
    assert_eq!((number_of(&gate), gate.version()), (1, 2));
    // The last answer had no ETag.
    follower.refresh_now().unwrap();
    assert_eq!(last(&server, "if-none-match"), None);
    set(NOT_MODIFIED.to_owned());
    let error = follower.refresh_now().unwrap_err();
    let text = format!("`{}` answers 304 to an unconditional request", server.url);
    assert_eq!(error.to_string(), text);
    // Without an ETag, the date is used.
    set(document("Last-Modified: Mon, 05 Jan 2026 09:00:00 GMT\r\n", &plan(2)));
    follower.refresh_now().unwrap();
    follower.refresh_now().unwrap();
    let date = last(&server, "if-modified-since");
    assert_eq!(date.as_deref(), Some("mon, 05 jan 2026 09:00:00 gmt"));
}

#[test]
fn new_content_with_the_same_etag_is_applied() {
    let (server, next) = server(document("ETag: \"a\"\r\n", &plan(0)));
    let source = Http::new(server.url.as_str()).unwrap();
    let (gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    for turn in 1..=100_u32 {
        *next.lock().unwrap() = document("ETag: \"a\"\r\n", &plan(turn % 2));
        follower.refresh_now().unwrap();
        assert_eq!((number_of(&gate), gate.version()), (turn % 2, u64::from(turn) + 1));
    }
}

#[test]
fn one_request_in_twenty_ignores_the_etag() {
    let server = Server::new(|stream, request| {
        let is_conditional = request.to_ascii_lowercase().contains("if-none-match");
        // Answers every conditional request with 304.
        let answer = if is_conditional {
            NOT_MODIFIED.to_owned()
        } else {
            document("ETag: \"a\"\r\n", &plan(1))
        };
        stream.write_all(answer.as_bytes())
    });
    let source = Http::new(server.url.as_str()).unwrap();
    let (_gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    (0..40).for_each(|_| assert!(follower.refresh_now().is_ok()));
    let requests = server.requests();
    let full = requests.iter().filter(|text| !text.to_ascii_lowercase().contains("if-none-match"));
    assert_eq!((requests.len(), full.count()), (41, 3));
}

#[test]
fn the_content_type_or_the_path_selects_the_format() {
    let json = r#"{"schema": 1, "flags": {"a": {"stage": "ga"}}}"#;
    for (path, headers, body) in [
        ("/rollout.toml", "Content-Type: application/json\r\n", json),
        ("/rollout.json", "Content-Type: text/plain\r\n", json),
        ("/rollout", "", json),
        (
            "/rollout.json",
            "Content-Type: application/toml\r\n",
            "schema = 1\n[flags.a]\nstage = \"ga\"",
        ),
    ] {
        let (server, _) = server(document(headers, body));
        let source = Http::new(format!("{}{path}", server.url)).unwrap();
        let (gate, _follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
        assert!(gate.is_enabled("ana", "a"), "{path} {headers}");
    }
}

#[test]
fn a_restart_without_the_server_uses_the_last_known_good() {
    let scratch = Scratch::new();
    let (server, _) = server(document("", &plan(0)));
    let url = server.url.clone();
    let start = || {
        let options = FollowOptions::new().by_hand().last_known_good(scratch.path("last"));
        Follower::start(Http::new(url.as_str()).unwrap(), options).unwrap()
    };
    drop(start());
    drop(server);
    let (gate, follower) = start();
    assert_eq!((number_of(&gate), gate.version()), (0, 1));
    assert!(
        follower
            .status()
            .last_error
            .unwrap()
            .to_string()
            .starts_with(&format!("`{url}` does not answer"))
    );
}
