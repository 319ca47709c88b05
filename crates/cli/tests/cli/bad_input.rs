//! Bad input: no verb panics, hangs or leaves half a file.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{root, stagegate};

const GOOD: &str = "crates/cli/tests/data/people/plan.toml";

/// Every verb that reads a document, with `DOCUMENT` where it goes.
const READERS: &[&[&str]] = &[
    &["check", "DOCUMENT"],
    &["check", "--strict", "DOCUMENT"],
    &["check", "--format", "json", "DOCUMENT"],
    &["show", "DOCUMENT"],
    &["show", "--format", "markdown", "DOCUMENT"],
    &["show", "--format", "json", "DOCUMENT"],
    &["timeline", "--flag", "checkout", "DOCUMENT"],
    &["timeline", "--flag", "checkout", "--format", "markdown", "DOCUMENT"],
    &["timeline", "--flag", "checkout", "--format", "ics", "DOCUMENT"],
    &["timeline", "--flag", "checkout", "--format", "svg", "DOCUMENT"],
    &["timeline", "--flag", "checkout", "--format", "json", "DOCUMENT"],
    &["messages", "--flag", "checkout", "--on", "pilot.start", "DOCUMENT"],
    &["messages", "--flag", "checkout", "--from", "2026-01-01", "--to", "2027-01-01", "DOCUMENT"],
    &["messages", "--flag", "checkout", "--on", "pilot.start", "--format", "json", "DOCUMENT"],
    &["responsible", "--flag", "checkout", "DOCUMENT"],
    &["responsible", "--flag", "checkout", "--format", "json", "DOCUMENT"],
    &["explain", "DOCUMENT", "user-1", "search"],
    &["explain", "DOCUMENT", "user-1", "search", "--format", "json"],
    &["diff", "DOCUMENT", GOOD],
    &["diff", GOOD, "DOCUMENT"],
    &["diff", GOOD, "DOCUMENT", "--format", "json"],
];

/// The verbs that read no document.
const OTHERS: &[&[&str]] = &[
    &["init"],
    &["init", "--format", "json"],
    &["init", "--template", "minimal"],
    &["schema"],
    &["schema", "--format", "json"],
    &["completions", "bash"],
    &["man"],
];

/// Runs `stagegate` with these arguments, which may be any bytes, and this input.
fn run(arguments: &[OsString], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stagegate"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A program that does not read its input closes it.
        scope.spawn(move || pipe.write_all(stdin));
        child.wait_with_output().unwrap()
    })
}

fn on(verb: &[&str], document: impl AsRef<OsStr>) -> Vec<OsString> {
    let document = document.as_ref();
    verb.iter()
        .map(|argument| if *argument == "DOCUMENT" { document.into() } else { argument.into() })
        .collect()
}

/// Asserts that the run ended with one of these codes and without a panic.
#[track_caller]
fn ended(output: &Output, codes: &[i32], with: &dyn std::fmt::Debug) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{with:?}: {stderr}");
    let code = output.status.code();
    assert!(code.is_some_and(|code| codes.contains(&code)), "{with:?}: {code:?} {stderr}");
}

fn documents() -> Vec<Vec<u8>> {
    let good = fs::read(root().join(GOOD)).unwrap();
    let mut documents: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\xef\xbb\xbf".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"[[[[[[[[".to_vec(),
        b"schema = 1".to_vec(),
        b"schema = 1\n[flags.\"\x1b[2J\"]".to_vec(),
        b"schema = 1\n[flags.\xff]".to_vec(),
        b"{\"schema\":1,\"flags\":{\"a\":{\"stage\":\"\\u001b[2J\\ud800\"}}}".to_vec(),
        "[".repeat(100_000).into_bytes(),
        format!("{{\"a\":{}", "[".repeat(100_000)).into_bytes(),
        "x".repeat(1 << 20).into_bytes(),
        vec![0xff; 1 << 16],
    ];
    // The valid document: cut off, and with one changed byte.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..12 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap() % good.len();
        documents.push(good[..at].to_vec());
        let mut other = good.clone();
        other[at] = state.to_le_bytes()[1];
        documents.push(other);
    }
    let noise = (0..4096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]);
    documents.push(noise.collect());
    documents
}

#[test]
fn any_bytes_are_a_document_for_every_verb() {
    for document in documents() {
        let verdict = run(&on(&["check", "DOCUMENT"], "-"), &document);
        let shown = String::from_utf8_lossy(&document).chars().take(80).collect::<String>();
        ended(&verdict, &[0, 1], &shown);
        for verb in READERS {
            let output = run(&on(verb, "-"), &document);
            // Some of them are valid, but may lack the flag or the date.
            let codes: &[i32] = if verdict.status.success() { &[0, 1, 2] } else { &[1] };
            ended(&output, codes, &(verb, &shown));
            if !verdict.status.success() && !verb.contains(&"json") && verb[0] != "check" {
                assert!(output.stdout.is_empty(), "{verb:?}: {shown}");
                assert!(!output.stderr.is_empty(), "{verb:?}: {shown}");
            }
            if verb.contains(&"json") && !output.stdout.is_empty() {
                let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!((&json["schema"], &json["verb"]), (&1.into(), &verb[0].into()));
            }
            let printed = [&output.stdout[..], &output.stderr].concat();
            assert!(!printed.windows(4).any(|bytes| bytes == b"\x1b[2J"), "{verb:?}: {shown}");
        }
    }
}

#[test]
fn any_bytes_are_a_file_of_users() {
    for users in documents() {
        let output = run(&on(&["diff", GOOD, "DOCUMENT", "--users", "-"], GOOD), &users);
        ended(&output, &[0, 2], &"users");
    }
    let endless = vec![b'x'; 8 << 20];
    ended(&run(&on(&["diff", GOOD, "DOCUMENT", "--users", "-"], GOOD), &endless), &[2], &"endless");
}

#[test]
fn unreadable_files_are_reported() {
    for document in ["no-such-file.toml", "crates", "no-such-directory/plan.toml", "/dev/null"] {
        for verb in READERS {
            let output = run(&on(verb, document), b"");
            ended(&output, &[3], &(verb, document));
            assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{verb:?}");
        }
    }
}

#[test]
#[cfg(unix)]
fn arguments_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = OsStr::from_bytes(b"\xff\xfe\x1b[2J");
    for verb in READERS {
        ended(&run(&on(verb, bytes), b""), &[3], &verb);
    }
    let good = |arguments: &[&str]| -> Vec<OsString> {
        arguments.iter().map(|argument| OsString::from(*argument)).chain([bytes.into()]).collect()
    };
    for arguments in [
        &["explain", GOOD][..],
        &["explain", GOOD, "ana"],
        &["explain", GOOD, "ana", "search", "-a"],
        &["messages", GOOD, "--flag", "checkout", "--on"],
        &["messages", GOOD, "--flag", "checkout", "--on", "pilot.start", "--set"],
        &["messages", GOOD, "--on", "rollback", "--flag"],
        &["messages", GOOD, "--from"],
        &["responsible", GOOD, "--at"],
        &["completions"],
        &["init", "--template"],
        &[],
    ] {
        ended(&run(&good(arguments), b""), &[2], &arguments);
    }
    ended(&run(&good(&["diff", GOOD, GOOD, "--users"]), b""), &[3], &"users");
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join(bytes);
    let mut arguments = on(&["explain", GOOD, "ana", "search", "--output"], "");
    arguments.push(output.clone().into());
    ended(&run(&arguments, b""), &[0], &"output");
    assert!(output.exists());
}

/// `stagegate … | head -c 1`: the reader closes the pipe before the end of the output.
#[test]
fn a_closed_pipe_is_no_failure() {
    for verb in READERS.iter().chain(OTHERS) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stagegate"))
            .args(on(verb, GOOD))
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        ended(&output, &[0, 1], verb);
        assert!(output.stderr.is_empty(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn files(directory: &Path) -> Vec<OsString> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("no-such-directory").join("out");
    for verb in READERS.iter().chain(OTHERS) {
        let mut arguments = on(verb, GOOD);
        arguments.extend(["--output".into(), nowhere.clone().into()]);
        let output = run(&arguments, b"");
        ended(&output, &[3], verb);
        assert!(output.stdout.is_empty(), "{verb:?}");
        assert!(files(directory.path()).is_empty(), "{verb:?}");
    }
}

#[test]
fn a_failed_run_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("out");
    fs::write(&file, "old").unwrap();
    let mut failing: Vec<Vec<OsString>> = Vec::new();
    for verb in READERS.iter().filter(|verb| verb[0] != "check" && !verb.contains(&"json")) {
        failing.push(on(verb, "crates/cli/Cargo.toml"));
        failing.push(on(verb, "no-such-file"));
    }
    failing.push(on(&["explain", "DOCUMENT", "ana", "no-such-flag"], GOOD));
    failing.push(on(&["messages", "DOCUMENT", "--flag", "checkout", "--on", "rollback"], GOOD));
    failing.push(on(&["messages", "DOCUMENT", "--flag", "checkout", "--on", "x"], GOOD));
    failing.push(on(&["diff", "DOCUMENT", GOOD, "--users", GOOD], GOOD));
    failing.push(on(&["init"], ""));
    for mut arguments in failing {
        arguments.extend(["--output".into(), file.clone().into()]);
        ended(&run(&arguments, b""), &[1, 2, 3], &arguments);
        assert_eq!(fs::read_to_string(&file).unwrap(), "old", "{arguments:?}");
        assert_eq!(files(directory.path()), ["out"], "{arguments:?}");
    }
    let path = file.to_str().unwrap();
    assert_eq!(stagegate(&["explain", GOOD, "ana", "checkout", "-o", path]).ends(0).stdout, "");
    assert!(fs::read_to_string(&file).unwrap().starts_with("Yes: `ana` has `checkout`"));
    assert_eq!(files(directory.path()), ["out"]);
}
