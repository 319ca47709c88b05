//! Webhooks, and servers that misbehave.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use stagegate::http::{BadEndpoint, Endpoint};
use stagegate::integrate::Webhook;
use stagegate::rollout::{Delivery, Outbox, Retry, Sink};

use super::canary::{endpoint, without_canaries};
use super::notification;
use super::server::{Server, answer};

/// A deadline that no healthy server misses, and a deadline for which a test waits.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Extra time for a busy machine.
const SPARE: Duration = Duration::from_secs(2);

fn deliver(server: &Server) -> Result<(), (String, bool)> {
    deliver_within(LONG, server)
}

fn deliver_within(deadline: Duration, server: &Server) -> Result<(), (String, bool)> {
    let mut webhook = Webhook::new(endpoint(&server.url).with_deadline(deadline)).unwrap();
    without_canaries(format!("{webhook:?}"));
    let begin = Instant::now();
    let delivered = webhook.deliver(&notification("held: lunch"));
    assert!(begin.elapsed() < deadline + SPARE, "{:?}", begin.elapsed());
    delivered.map_err(|error| {
        without_canaries(format!("{error:?}"));
        (without_canaries(error.to_string()).replace(&server.url, "SERVER"), error.is_permanent())
    })
}

#[test]
fn a_notification_is_posted_as_json() {
    let server = Server::answering("200 OK", "ok");
    assert_eq!(deliver(&server), Ok(()));
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, notification("held: lunch").to_json());
    let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    assert_eq!(lines.remove(0), "post /canary-path http/1.1");
    lines.sort();
    let host = server.url.strip_prefix("http://").unwrap();
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept: */*",
            "authorization: basic onhjyw5hcnktcgfzc3dvcmq=",
            "authorization: bearer canary-token",
            &format!("content-length: {}", body.len()),
            "content-type: application/json",
            &format!("host: {host}"),
            &format!("user-agent: stagegate/{}", env!("CARGO_PKG_VERSION")),
            "x-key: canary-header",
        ],
    );
}

#[test]
fn the_status_alone_decides_whether_a_notification_is_delivered() {
    for status in ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Whatever"] {
        assert_eq!(deliver(&Server::answering(status, "")), Ok(()), "{status}");
    }
    for (status, is_permanent) in [
        ("400 Bad Request", true),
        ("401 Unauthorized", true),
        ("403 Forbidden", true),
        ("404 Not Found", true),
        ("408 Request Timeout", false),
        ("410 Gone", true),
        ("418 Teapot", true),
        ("425 Too Early", false),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("502 Bad Gateway", false),
        ("503 Service Unavailable", false),
        ("599 Whatever", false),
        ("999 Whatever", false),
    ] {
        let expected = format!("`SERVER` answers {}", &status[..3]);
        let body = "canary-token canary-path";
        assert_eq!(deliver(&Server::answering(status, body)), Err((expected, is_permanent)));
    }
}

#[test]
fn bodies_are_not_read() {
    for answer in [
        answer("200 OK", "<html>Please log in</html>"),
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone".to_owned(),
        "HTTP/1.0 200 OK\r\n\r\nold".to_owned(),
    ] {
        assert_eq!(deliver(&Server::always(&*answer)), Ok(()), "{answer}");
    }
    assert_eq!(deliver(&Server::trickling("HTTP/1.1 200 OK\r\n\r\n")), Ok(()));
}

#[test]
fn invalid_incomplete_and_late_answers_are_temporary_failures() {
    let none = "cannot notify `SERVER`: the response is not HTTP";
    let gone = "cannot notify `SERVER`: Peer disconnected";
    let long = "cannot notify `SERVER`: a head of more than 16384 bytes";
    let cases: [(Server, &str); 8] = [
        (Server::always(""), gone),
        (Server::always("HTTP/1.1 20"), gone),
        (Server::always("HTTP/1.1 200 OK\r\ncontent-"), gone),
        (Server::always("garbage\r\n\r\n"), none),
        (Server::always(vec![0; 1000]), none),
        (Server::always("HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"), none),
        (
            Server::new(|stream, _| {
                loop {
                    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
            }),
            long,
        ),
        (
            Server::new(|stream, _| {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(b"x: 0123456789\r\n")?;
                }
            }),
            none,
        ),
    ];
    for (server, expected) in cases {
        assert_eq!(deliver(&server), Err((expected.to_owned(), false)));
    }
    let late = "cannot notify `SERVER`: no answer within 200ms".to_owned();
    let trickling = Server::trickling("HTTP/1.1 200 OK\r\nx: ");
    assert_eq!(deliver_within(SHORT, &trickling), Err((late, false)));
}

#[test]
fn silent_and_unreachable_servers_are_temporary_failures() {
    // This server listens, but never accepts a connection.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut webhook = Webhook::new(endpoint(&url).with_deadline(SHORT)).unwrap();
    let error = webhook.deliver(&notification("one")).unwrap_err();
    assert_eq!(
        without_canaries(error.to_string()),
        format!("cannot notify `{url}`: no answer within 200ms")
    );
    let url = "http://127.0.0.1:1";
    let mut webhook = Webhook::new(endpoint(url)).unwrap();
    let error = webhook.deliver(&notification("one")).unwrap_err();
    let expected = format!("cannot notify `{url}`: Connection refused (os error 111)");
    assert_eq!((without_canaries(error.to_string()), error.is_permanent()), (expected, false));
    let unknown = endpoint("https://no-such-host.invalid").with_deadline(Duration::from_secs(5));
    let error = Webhook::new(unknown).unwrap().deliver(&notification("one")).unwrap_err();
    without_canaries(format!("{error} {error:?}"));
    assert!(!error.is_permanent());
}

#[test]
fn no_redirect_is_followed() {
    let other = Server::answering("200 OK", "");
    for status in ["301", "302", "303", "307", "308"] {
        let location = format!("{}/canary-token", other.url);
        let redirect = Server::always(format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ));
        let expected = format!("`SERVER` answers {status}, a redirect, which is not followed");
        assert_eq!(deliver(&redirect), Err((expected, true)));
        assert_eq!(redirect.requests().len(), 1);
    }
    assert_eq!(other.requests(), [""; 0]);
    let loops =
        Server::always("HTTP/1.1 307 Moved\r\nlocation: /canary-path\r\ncontent-length: 0\r\n\r\n");
    assert!(deliver(&loops).is_err());
    assert_eq!(loops.requests().len(), 1);
}

#[test]
fn invalid_endpoints_are_refused() {
    let refused = |endpoint: Endpoint| {
        let debug = without_canaries(format!("{endpoint:?}"));
        assert!(debug.starts_with("Endpoint { server: "), "{debug}");
        without_canaries(Webhook::new(endpoint).unwrap_err().to_string())
    };
    for url in [
        "",
        "canary-path",
        "/canary-path",
        "https://",
        "https:///canary-path",
        "ftp://h/canary-path",
        "https://h/canary path",
        "example.com/canary-path",
        "file:///canary-path",
    ] {
        let expected = "not a URL of a server: write `https://HOST/PATH`";
        assert_eq!(refused(Endpoint::new(url)), expected, "{url}");
    }
    for url in [
        "https://canary-token@example.com/",
        "https://a:canary-token@example.com/",
        "http://127.0.0.1:a@example.com/",
    ] {
        let expected = "the URL contains a user name, which logs would show: pass it separately";
        assert_eq!(refused(Endpoint::new(url)), expected);
    }
    for host in ["example.com:8080", "localhost.example.com", "10.0.0.1", "[2001:db8::1]:80"] {
        let url = format!("http://{host}/canary-path?canary-token");
        let expected = format!(
            "`http://{host}` is another machine, and `http` is not encrypted: write `https`, or allow plain HTTP"
        );
        assert_eq!(refused(Endpoint::new(&*url)), expected);
        assert!(Webhook::new(Endpoint::new(url).allowing_plain_http()).is_ok());
    }
    for url in
        ["http://localhost:1/", "http://127.1.2.3/", "http://[::1]:1/", "https://example.com"]
    {
        assert!(Webhook::new(url).is_ok(), "{url}");
    }
    let sound = || Endpoint::new("https://example.com");
    let bad = "the header `x-key` cannot be sent: its name or value has a character that HTTP headers do not allow";
    assert_eq!(refused(sound().with_header("X-Key", "canary-header\r\nhost: other")), bad);
    assert_eq!(
        refused(sound().with_header("x\nkey", "canary-header")),
        bad.replace("x-key", "x\\nkey")
    );
    let pem = "no certificate in the root certificates: pass the text of a PEM file";
    assert_eq!(refused(sound().with_root_certificates("canary-token")), pem);
    assert_eq!(Webhook::new("").unwrap_err(), BadEndpoint::NotUrl);
}

#[test]
fn an_outbox_retries_until_the_server_accepts() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let server = Server::new(move |stream, _| {
        let status = match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => "503 Service Unavailable",
            1 => return Ok(()),
            _ => "200 OK",
        };
        stream.write_all(answer(status, "").as_bytes())
    });
    let at_once = Retry { attempts: 5, first_wait: Duration::ZERO, max_wait: Duration::ZERO };
    let webhook = Webhook::new(endpoint(&server.url)).unwrap();
    let outbox = Outbox::spawn_with("chat", webhook, at_once).unwrap();
    ["one", "two"].iter().for_each(|text| outbox.tell(&notification(text)));
    assert!(outbox.flush(Duration::from_secs(30)));
    let status = outbox.status();
    assert_eq!((status.delivered, status.lost, status.last_error), (2, 0, None));
    let told: Vec<String> = server.requests();
    let told: Vec<&str> =
        told.iter().map(|request| request.split_once("\r\n\r\n").unwrap().1).collect();
    let (one, two) = (notification("one").to_json(), notification("two").to_json());
    assert_eq!(told, [&*one, &*one, &*one, &*two]);
}
