//! Notification programs that do not read their input, do not end, fail, or leave background processes.

use std::fs;
use std::time::{Duration, Instant};

use stagegate::integrate::Command;
use stagegate::rollout::{Delivery, DeliveryError};

use super::{Scratch, notification};

fn sh(script: &str) -> Command {
    Command::new("sh").with_argument("-c").with_argument(script)
}

fn error(command: Command, text: &str) -> DeliveryError {
    let mut command = command;
    command.deliver(&notification(text)).unwrap_err()
}

const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_program_gets_the_notification_on_standard_input_and_two_variables() {
    let scratch = Scratch::new();
    let path = scratch.path("told");
    let script =
        r#"cat > "$0"; printf '\n%s %s %s' "$STAGEGATE_KIND" "$STAGEGATE_FLAG" "$1" >> "$0""#;
    let mut command = sh(script).with_argument(&path).with_argument("a b; $(c) *");
    command.deliver(&notification("held: lunch")).unwrap();
    let expected = format!("{}\nheld search a b; $(c) *", notification("held: lunch").to_json());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn a_program_gets_no_secret_of_the_applications_environment() {
    let scratch = Scratch::new();
    let path = scratch.path("environment");
    let names = |command: Command| {
        let mut command = command.with_argument(&path);
        command.deliver(&notification("held")).unwrap();
        let environment = fs::read_to_string(&path).unwrap();
        let names = environment.lines().filter_map(|line| line.split_once('='));
        // Without the variables that the shell adds.
        let names = names.filter(|(name, _)| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        names.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    // This variable stands for a secret. Cargo sets it for every test.
    let secret = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let print = || sh(r#"env > "$0""#);
    let safe =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "STAGEGATE_KIND", "STAGEGATE_FLAG"];
    let found = names(print());
    assert!(found.iter().all(|(name, _)| safe.contains(&name.as_str())), "{found:?}");
    assert!(found.iter().any(|(name, _)| name == "PATH"), "{found:?}");

    let asked = print().passing("CARGO_MANIFEST_DIR").passing("NOT_SET_ANYWHERE");
    let found = names(asked.with_variable("CHANNEL", "#releases"));
    let has = |name: &str, value: &str| found.contains(&(name.to_owned(), value.to_owned()));
    assert!(has("CARGO_MANIFEST_DIR", &secret) && has("CHANNEL", "#releases"), "{found:?}");
    assert!(has("STAGEGATE_KIND", "held") && has("STAGEGATE_FLAG", "search"), "{found:?}");
    assert!(!found.iter().any(|(name, _)| name == "NOT_SET_ANYWHERE"), "{found:?}");
}

#[test]
fn a_program_need_not_read_its_input() {
    // Longer than the buffer of a pipe.
    let long = "x".repeat(1_000_000);
    for script in ["exit 0", "exec 0<&-; exit 0", "head -c 10 > /dev/null", "cat > /dev/null"] {
        assert_eq!(sh(script).deliver(&notification(&long)), Ok(()), "{script}");
    }
    let mut loud = sh("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; cat > /dev/null");
    assert_eq!(loud.deliver(&notification(&long)), Ok(()));
}

#[test]
fn errors_show_the_end_of_standard_error() {
    for (script, expected) in [
        ("exit 3", "`sh` failed (exit status: 3)"),
        (
            "echo out; echo 'no such\tchannel' >&2; exit 1",
            "`sh` failed (exit status: 1): no such\\tchannel",
        ),
        ("printf 'a\\nb\\033[2J\\n' >&2; exit 1", "`sh` failed (exit status: 1): a\\nb\\u{1b}[2J"),
        ("kill -9 $$", "`sh` failed (signal: 9 (SIGKILL))"),
        ("printf '\\377' >&2; exit 1", "`sh` failed (exit status: 1): \u{fffd}"),
    ] {
        let error = error(sh(script), "one");
        assert_eq!((error.to_string(), error.is_permanent()), (expected.to_owned(), false));
    }
    let long = error(sh("yes 0123456789 | head -n 100000 | tr -d '\\n' >&2; exit 1"), "one");
    let expected = format!("`sh` failed (exit status: 1): ...{}", "0123456789".repeat(20));
    assert_eq!(long.to_string(), expected);
}

#[test]
fn a_program_that_cannot_be_run_is_a_permanent_failure() {
    let scratch = Scratch::new();
    let path = scratch.path("no-program");
    fs::write(&path, "").unwrap();
    let shown = path.display();
    let error_of = |program: &std::path::Path| error(Command::new(program), "one");
    let missing = error_of(&scratch.path("missing"));
    assert!(missing.is_permanent());
    assert!(
        missing.to_string().ends_with("/missing`: No such file or directory (os error 2)"),
        "{missing}"
    );
    let forbidden = error_of(&path);
    let expected = format!("cannot run `{shown}`: Permission denied (os error 13)");
    assert_eq!((forbidden.to_string(), forbidden.is_permanent()), (expected, true));
}

#[test]
fn a_program_that_does_not_end_is_killed() {
    for (script, said) in [
        ("exec sleep 60", ""),
        ("trap '' TERM INT; echo waiting >&2; while :; do sleep 60; done", ": waiting"),
        ("exec 0<&- 2>&-; exec sleep 60", ""),
        ("kill -STOP $$", ""),
    ] {
        let begin = Instant::now();
        let error = error(sh(script).with_deadline(SHORT), "one");
        assert!((SHORT..Duration::from_secs(10)).contains(&begin.elapsed()), "{script}");
        let expected = format!("`sh` took longer than 200ms{said}");
        assert_eq!((error.to_string(), error.is_permanent()), (expected, false));
    }
}

#[test]
fn background_processes_do_not_delay_the_delivery() {
    let begin = Instant::now();
    // The background process keeps standard input and standard error open, and reads nothing.
    let long = "x".repeat(1_000_000);
    assert_eq!(sh("sleep 20 & exit 0").deliver(&notification(&long)), Ok(()));
    let error = error(sh("echo oh >&2; sleep 20 & exit 1"), &long);
    assert_eq!(error.to_string(), "`sh` failed (exit status: 1): oh");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn arguments_and_values_are_not_printed() {
    let command = Command::new("page").with_argument("--token=secret");
    let command = command.with_variable("TOKEN", "secret").passing("CHANNEL");
    assert_eq!(
        format!("{command:?}"),
        r#"Command { program: "page", arguments: 1, variables: ["TOKEN", "CHANNEL"], deadline: 30s }"#,
    );
}
