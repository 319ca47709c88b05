//! TLS certificates, with `openssl` as the server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stagegate::http::Endpoint;
use stagegate::integrate::Webhook;
use stagegate::rollout::Delivery;

use super::canary::{endpoint, without_canaries};
use super::{Scratch, needs, notification};

/// Starts a TLS server for one request. Its certificate is for this host name and valid for this number of days.
fn serve(scratch: &Scratch, name: &str, days: &str) -> Option<(String, Vec<u8>, Child)> {
    let (key, certificate) = (scratch.path("key.pem"), scratch.path("certificate.pem"));
    let mut made = Command::new(needs::program("certificates", "openssl")?);
    made.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    made.args([
        "-days",
        "1",
        "-subj",
        "/CN=test",
        "-addext",
        &format!("subjectAltName=DNS:{name}"),
    ]);
    made.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let made = made.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // Sign it again with the requested validity. A negative number of days gives an expired certificate.
    let mut signed = Command::new("openssl");
    signed.args(["x509", "-days", days, "-in"]).arg(&certificate).arg("-signkey").arg(&key);
    assert!(signed.arg("-out").arg(&certificate).output().unwrap().status.success());
    // The server ends if its port is taken, even for a moment. Then try another port.
    let (port, mut server) = loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("openssl")
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-naccept", "1", "-key"])
            .arg(&key)
            .arg("-cert")
            .arg(&certificate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        if lines.any(|line| line.unwrap().starts_with("ACCEPT")) {
            break (port, server);
        }
        server.wait().unwrap();
    };
    // The server sends its standard input to the client.
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    server.stdin.as_mut().unwrap().write_all(answer).unwrap();
    Some((format!("https://localhost:{port}"), fs::read(&certificate).unwrap(), server))
}

/// Delivers a notification to a server with this certificate, which the client trusts or does not trust.
fn deliver(name: &str, days: &str, is_trusted: bool) -> Option<Result<(), String>> {
    let scratch = Scratch::new();
    let (url, certificate, mut server) = serve(&scratch, name, days)?;
    let endpoint = endpoint(&url).with_deadline(Duration::from_secs(10));
    let endpoint = if is_trusted { endpoint.with_root_certificates(certificate) } else { endpoint };
    let delivered = Webhook::new(endpoint).unwrap().deliver(&notification("one"));
    let _ = server.kill();
    server.wait().unwrap();
    Some(delivered.map_err(|error| {
        assert!(!error.is_permanent());
        without_canaries(error.to_string()).replace(&url, "SERVER")
    }))
}

#[test]
fn a_server_needs_a_valid_and_trusted_certificate() {
    let Some(trusted) = deliver("localhost", "1", true) else { return };
    assert_eq!(trusted, Ok(()));
    let wrong = |name, days, is_trusted| deliver(name, days, is_trusted).unwrap().unwrap_err();
    for (found, expected) in [
        (wrong("localhost", "1", false), "invalid peer certificate: UnknownIssuer"),
        (wrong("example.com", "1", true), "invalid peer certificate: "),
        (wrong("localhost", "-1", true), "invalid peer certificate: Expired"),
    ] {
        let begin = format!("cannot notify `SERVER`: {expected}");
        assert!(found.starts_with(&begin), "{found}");
    }
}

#[test]
fn a_server_without_tls_gets_no_notification() {
    let server = super::server::Server::answering("200 OK", "");
    let url = server.url.replace("http://", "https://");
    let mut webhook =
        Webhook::new(Endpoint::new(url).with_deadline(Duration::from_millis(500))).unwrap();
    let error = webhook.deliver(&notification("one")).unwrap_err();
    assert!(!error.is_permanent());
    assert!(!server.requests().iter().any(|request| request.contains("search")));
}
