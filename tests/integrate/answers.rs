//! Answers that are not from Prometheus, or that are incomplete.

use std::io::Write;

use super::prometheus::{body, late, ok, read_as, vector, wrong};
use super::server::{Server, answer};

#[test]
fn answers_in_another_format_have_no_value() {
    for (body, expected) in [
        ("", "answers with an empty body"),
        (" \r\n", "answers with an empty body"),
        (
            "<html>Log in</html>",
            "answers in an unknown format: expected value at line 1 column 1, in `<html>Log in</html>`",
        ),
        (
            "[]",
            "answers in an unknown format: invalid length 0, expected an object at line 1 column 2, in `[]`",
        ),
        ("{}", "answers in an unknown format: missing field `status` at line 1 column 2, in `{}`"),
        (
            r#"{"status":"success","status":"error"}"#,
            "answers in an unknown format: duplicate field `status` at line 1 column 28, in \
             `{\"status\":\"success\",\"status\":\"error\"}`",
        ),
        (
            r#"{"status":"success","data":{"resultType":"scal"#,
            "answers with truncated JSON: EOF while parsing a string at line 1 column 46",
        ),
    ] {
        assert_eq!(wrong(&ok(body)), expected);
    }
    let deep = format!(r#"{{"status":"success","new":{}"#, "[".repeat(100_000));
    assert_eq!(
        wrong(&ok(&deep)),
        "answers with truncated JSON: EOF while parsing a list at line 1 column 100026"
    );
    let deep = format!("{deep}{}}}", "]".repeat(100_000));
    assert_eq!(wrong(&ok(&deep)), "answers without data");
    let no_text = Server::always(
        [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n".as_slice(), &[0xff; 4]].concat(),
    );
    assert_eq!(wrong(&no_text), "answers with bytes that are not UTF-8");
    // Every truncation of a valid answer is an error.
    let whole = vector("1");
    for cut in (0..whole.len()).step_by(7) {
        wrong(&ok(&whole[..cut]));
    }
}

#[test]
fn bodies_must_be_complete_short_timely_and_unencoded() {
    let sound = vector("1");
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}\r\n\r\n");
    let large = "x".repeat(1024 * 1024 + 1);
    let cases = [
        (
            Server::always(head("content-length: 1000") + &sound),
            "does not answer: Peer disconnected",
        ),
        (
            Server::always(head("content-length: 20") + &sound),
            "answers with truncated JSON: EOF while parsing a value at line 1 column 20",
        ),
        (
            Server::always(head("transfer-encoding: chunked") + "fff\r\n" + &sound),
            "does not answer: Peer disconnected",
        ),
        (
            Server::always(head("transfer-encoding: chunked") + "zz\r\n" + &sound),
            "does not answer: the response is not HTTP",
        ),
        (
            Server::always(head("content-encoding: gzip\r\ncontent-length: 4") + "none"),
            "does not answer: encoded as `gzip`, which was not requested",
        ),
        (ok(&large), "does not answer: a body of more than 1048576 bytes"),
        (
            Server::new(|stream, _| {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                loop {
                    stream.write_all(&[b' '; 10_000])?;
                }
            }),
            "does not answer: a body of more than 1048576 bytes",
        ),
        (Server::always(""), "does not answer: Peer disconnected"),
        (Server::always("garbage\r\n\r\n"), "does not answer: the response is not HTTP"),
    ];
    for (server, expected) in cases {
        assert_eq!(wrong(&server), expected);
    }
    for server in [
        Server::trickling(&head("")),
        Server::trickling(&(head("content-length: 1000") + &sound)),
        Server::trickling("HTTP/1.1 200 OK\r\nx: "),
    ] {
        assert_eq!(late(&server), "does not answer: no answer within 200ms");
    }
    let closed = Server::always(head("connection: close") + &sound);
    assert!(read_as(&closed, "percent").is_ok());
}

#[test]
fn errors_include_the_reason_that_prometheus_gives() {
    let error =
        |text: &str| format!(r#"{{"status":"error","errorType":"bad_data","error":"{text}"}}"#);
    let refused =
        error(r#"invalid parameter \"query\": 1:5: parse error: unexpected end of input"#);
    for (status, body, expected) in [
        ("400 Bad Request", &*refused, "answers 400: 1:5: parse error: unexpected end of input"),
        ("422 Unprocessable Entity", &error("a\\nb\\u001b"), "answers 422: a\\nb\\u{1b}"),
        ("503 Service Unavailable", &error("query timed out"), "answers 503: query timed out"),
        ("204 No Content", "", "answers 204"),
        ("401 Unauthorized", "Unauthorized", "answers 401"),
        ("403 Forbidden", "<html>", "answers 403"),
        ("404 Not Found", "canary-path", "answers 404"),
        ("429 Too Many Requests", "", "answers 429"),
        ("500 Internal Server Error", "canary-token", "answers 500"),
    ] {
        assert_eq!(wrong(&Server::answering(status, body)), expected);
    }
    // A valid body with another status is an error.
    assert_eq!(wrong(&Server::answering("206 Partial Content", &vector("1"))), "answers 206");
}

#[test]
fn secrets_are_not_printed_even_if_the_server_echoes_them() {
    let echo = |status: &'static str, json: bool| {
        Server::new(move |stream, request| {
            let line = request.replace("\r\n", " ").replace('"', "'");
            let body =
                if json { format!(r#"{{"status":"error","error":"{line}"}}"#) } else { line };
            stream.write_all(answer(status, &body).as_bytes())
        })
    };
    let refused = wrong(&echo("400 Bad Request", true));
    assert!(refused.starts_with("answers 400: POST [hidden]/api/v1/query HTTP/1.1 "), "{refused}");
    wrong(&echo("200 OK", true));
    wrong(&echo("200 OK", false));
    for secret in ["canary-token", "canary-header", "/canary-path", "Bearer canary-token"] {
        wrong(&ok(&vector(secret)));
        wrong(&ok(&body(&format!(r#"{{"resultType":"{secret}","result":[]}}"#))));
        wrong(&ok(
            &vector("1").replace(r#""status""#, &format!(r#""warnings":["{secret}"],"status""#))
        ));
        wrong(&Server::always(format!("HTTP/1.1 200 OK\r\ncontent-encoding: {secret}\r\n\r\n")));
    }
}

#[test]
fn no_redirect_is_followed() {
    let other = ok(&vector("1"));
    for status in ["301", "302", "307", "308"] {
        let location = format!("{}/api/v1/query?canary-token", other.url);
        let redirect = Server::always(format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ));
        assert_eq!(
            wrong(&redirect),
            format!("answers {status}, a redirect, which is not followed")
        );
    }
    assert_eq!(other.requests(), [""; 0]);
}
