//! An etcd with TLS, with certificates from `openssl`.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use tempfile::TempDir;

use crate::etcd_server::EtcdServer;
use crate::fleet::{LEADS, Process};
use crate::harness::stagegate_with_env;
use crate::needs;

const DOCUMENT: &str = r#"schema = 1
[flags.a]
stages = [{ name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
"#;

fn openssl(directory: &Path, arguments: &str) -> Option<()> {
    let mut command = Command::new(needs::program("an etcd with TLS", "openssl")?);
    let output =
        command.args(arguments.split_whitespace()).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// Creates an authority, `ca.pem`, and another one that signs nothing, `other.pem`.
fn authorities(directory: &Path) -> Option<()> {
    for name in ["ca", "other"] {
        openssl(
            directory,
            &format!("req -x509 {KEY} -days 1 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
        )?;
    }
    Some(())
}

/// Creates a certificate of that authority for a server with these names, `server.pem`.
fn certificate(directory: &Path, names: &str) -> Option<()> {
    fs::write(
        directory.join("names"),
        format!("subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n"),
    )
    .unwrap();
    openssl(
        directory,
        &format!("req -new {KEY} -subj /CN=etcd -keyout server.key -out server.csr"),
    )?;
    openssl(
        directory,
        "x509 -req -in server.csr -days 1 -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem",
    )
}

fn real(names: &str) -> Option<EtcdServer> {
    let scratch: TempDir = tempfile::tempdir().unwrap();
    authorities(scratch.path())?;
    certificate(scratch.path(), names)?;
    EtcdServer::start_with_tls("an etcd with TLS", scratch, "server")
}

#[test]
fn an_etcd_with_tls_needs_a_trusted_certificate() {
    let Some(real) = real("IP:127.0.0.1,DNS:localhost") else { return };
    let document = real.write("rollout.toml", DOCUMENT);
    let trusting = |ca: Option<&str>| {
        let mut env = vec![("STAGEGATE_BY", "ana".to_owned())];
        env.extend(ca.map(|ca| ("STAGEGATE_ETCD_CA", real.path(ca).display().to_string())));
        env
    };
    // Another authority, and the default ones.
    for ca in [Some("other.pem"), None] {
        for verb in [&["status"][..], &["start", &document]] {
            let run = real.run_with(verb, &trusting(ca)).ends(3);
            let expected = "does not answer: invalid peer certificate: UnknownIssuer; set STAGEGATE_ETCD_CA to the \
                            PEM file of the authority that signed the certificate\n";
            assert!(run.stderr.ends_with(expected), "{}", run.stderr);
        }
    }
    fs::write(real.path("none.pem"), "no certificate").unwrap();
    for (ca, code, expected) in [
        ("none.pem", 2, "no certificate in `PATH`. Write the path of a PEM file"),
        ("nothing.pem", 3, "PATH: No such file or directory (os error 2)"),
    ] {
        let run = real.run_with(&["status"], &trusting(Some(ca))).ends(code);
        let path = real.path(ca).display().to_string();
        let expected = format!("stagegate: STAGEGATE_ETCD_CA: {expected}\n");
        assert_eq!(run.stderr.replace(&path, "PATH"), expected);
    }
    // None of these runs has written to the store.
    let none = real.run(&["status"]).ends(3);
    assert!(none.stderr.contains("there is no rollout yet; start one"), "{}", none.stderr);

    let started = real.run(&["start", &document]).ends(0);
    assert!(started.stdout.starts_with(&format!("{}: started", real.store)), "{}", started.stdout);
    let process = Process::spawn(&real, &["--every", "1h"]);
    process.says(LEADS);
    real.run(&["promote", "a", "--yes"]).ends(0);
    process.says("ana: a: promoted, off -> pilot");
    process.ends();
    let status = real.run(&["status", "--format", "json"]).ends(0).json();
    assert_eq!(status["flags"][0]["stage"], "pilot");
    let by_name = real.store.replace("127.0.0.1", "localhost");
    let ca = trusting(Some("ca.pem"));
    let env: Vec<(&str, &str)> = ca.iter().map(|(name, value)| (*name, &**value)).collect();
    stagegate_with_env(&["status", "--store", &by_name], &env).ends(0);
}

#[test]
fn a_server_with_another_name_or_without_tls_gets_no_data() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("etcds://{}/canary", listener.local_addr().unwrap());
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 4096];
        let len = stream.read(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    });
    let env = [("STAGEGATE_ETCD_USER", "canary"), ("STAGEGATE_ETCD_PASSWORD", "canary")];
    let run = stagegate_with_env(&["status", "--store", &store], &env).ends(3);
    assert!(run.stderr.contains("does not answer"), "{}", run.stderr);
    let heard = heard.join().unwrap();
    // The first byte of a TLS handshake.
    assert_eq!(heard[0], 22);
    assert!(!heard.windows(6).any(|six| six == b"canary"));

    let Some(real) = real("DNS:etcd.example.com") else { return };
    let run = real.run(&["start", &real.write("rollout.toml", DOCUMENT)]).ends(3);
    let expected = "invalid peer certificate: certificate not valid for name \"127.0.0.1\"";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}
