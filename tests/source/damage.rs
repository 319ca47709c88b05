//! Paths without a readable file, and invalid documents.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::{geteuid, setgid, setgroups, setuid};
use stagegate::UpdateError;
use stagegate::source::{File, FollowOptions, Follower, Freshness, StartError};

use crate::needs;
use crate::world::{LONG, Log, Scratch, number_of, plan, wait_until};

fn file(path: &Path) -> File {
    File::new(path).settle(Duration::from_millis(1)).every(Duration::from_secs(3600))
}

/// Replaces the document at a path with something else.
type Put = fn(&Path);

/// Each case with the end of its error.
const NO_FILES: [(&str, Put, &str); 6] = [
    ("nothing", |_| {}, "No such file or directory (os error 2)"),
    ("a directory", |path| fs::create_dir(path).unwrap(), "it is a directory"),
    (
        "a pipe",
        |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "it is not a regular file",
    ),
    (
        "2 GB of nothing",
        |path| fs::File::create(path).unwrap().set_len(2 << 30).unwrap(),
        "it has more than 16777216 bytes",
    ),
    (
        "links in a circle",
        |path| symlink(path.file_name().unwrap(), path).unwrap(),
        "Too many levels of symbolic links (os error 40)",
    ),
    (
        "a link to nothing",
        |path| symlink("no-such-file", path).unwrap(),
        "No such file or directory (os error 2)",
    ),
];

#[test]
fn a_path_without_a_regular_file_keeps_the_plan_in_force() {
    for (what, put, why) in NO_FILES {
        let scratch = Scratch::new();
        let path = scratch.path("rollout.toml");
        fs::write(&path, plan(0)).unwrap();
        let log = Log::default();
        let (gate, follower) = Follower::start(file(&path), log.options()).unwrap();
        assert_eq!(follower.status().freshness, Freshness::Ready);

        fs::remove_file(&path).unwrap();
        put(&path);
        wait_until(what, || {
            let error = follower.status().last_error;
            error.is_some_and(|error| error.to_string().ends_with(why))
        });
        let status = follower.status();
        let text = format!("rollout document `{}` cannot be read: {why}", path.display());
        assert_eq!(status.last_error.unwrap().to_string(), text);
        assert_eq!((status.freshness, number_of(&gate)), (Freshness::Stale, 0), "{what}");
        // The read does not hang.
        let begin = Instant::now();
        assert!(follower.refresh_now().unwrap_err().is_unreachable());
        assert!(begin.elapsed() < Duration::from_secs(5), "{what}");

        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else {
            let _ = fs::remove_file(&path);
        }
        fs::write(&path, plan(0)).unwrap();
        assert!(follower.wait_ready(LONG), "{what}: {:?}", log.lines());
        assert_eq!(gate.version(), 1, "the document in force is not a new version");
        wait_until(what, || log.lines().last().is_some_and(|line| line == "recovered"));
        fs::write(&path, plan(1)).unwrap();
        wait_until(what, || number_of(&gate) == 1);
    }
}

/// Runs a test of this module in another process, which can change its user and its namespaces.
#[track_caller]
fn run_child_test(mut child: Command) {
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("running 1 test"), "{text}");
    println!("{text}");
}

/// The superuser can read every file, so the test runs as another user.
#[test]
fn a_file_without_read_permission_keeps_the_plan_in_force() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "damage::child_that_may_not_read", "--ignored", "--nocapture"]);
    run_child_test(child);
}

#[test]
#[ignore = "run by another test"]
fn child_that_may_not_read() {
    let nobody = 65_534;
    let become_nobody = || {
        setgroups(&[])?;
        setgid(nobody.into())?;
        setuid(nobody.into())
    };
    let is_other = if geteuid().is_root() { become_nobody() } else { Ok(()) };
    let is_other = is_other.map_err(|error| format!("the superuser stays superuser: {error}"));
    if needs::found("files without permission", is_other).is_none() {
        return;
    }
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    fs::write(&path, plan(0)).unwrap();
    let (gate, follower) = Follower::start(file(&path), FollowOptions::new()).unwrap();
    fs::write(&path, plan(1)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    wait_until("no permission", || follower.status().freshness == Freshness::Stale);
    assert_eq!(number_of(&gate), 0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    wait_until("permission", || number_of(&gate) == 1);
}

#[test]
fn invalid_documents_are_refused_once() {
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    fs::write(&path, plan(0)).unwrap();
    let log = Log::default();
    let (gate, follower) = Follower::start(file(&path), log.options()).unwrap();
    for (count, bad) in [
        &b""[..],
        b"   \n",
        b"schema = 2\n",
        b"\xff\xfe\n",
        b"schema = 1\n[flags.flag-0]\nstage = \"pilto\"\n",
        b"<!doctype html>\n",
        b"schema = 1\n[groups.g]\nusers_file = \"none.txt\"\n[flags.a]\n",
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&path, bad).unwrap();
        wait_until("it is refused", || follower.status().refused == count as u64 + 1);
        let status = follower.status();
        assert_eq!((status.freshness, number_of(&gate)), (Freshness::Failed, 0));
        // A second read has the same error and is not counted.
        let error = follower.refresh_now().unwrap_err();
        assert!(error.refusal().is_some_and(UpdateError::is_invalid_document), "{error}");
        assert_eq!(follower.status().refused, count as u64 + 1);
    }
    assert_eq!(log.lines().iter().filter(|line| line.starts_with("refused")).count(), 7);
    fs::write(&path, plan(0)).unwrap();
    assert!(follower.wait_ready(LONG));
    assert_eq!((gate.version(), follower.status().last_error.is_none()), (1, true));
}

#[test]
fn a_document_that_skips_a_stage_is_refused_until_it_changes() {
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    let at = |stage: &str| format!("schema = 1\n[flags.a]\nstage = \"{stage}\"\n");
    fs::write(&path, at("internal")).unwrap();
    let source = File::new(&path).settle(Duration::from_micros(100));
    let (gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    fs::write(&path, at("ga")).unwrap();
    let error = follower.refresh_now().unwrap_err();
    assert!(error.refusal().unwrap().is_skip());
    let text = format!(
        "rollout document `{0}` has 1 problem\n  {0}:3:9: flags.a.stage: found \"ga\", which skips pilot, expanded: the \
         flag is at \"internal\"\n      write \"pilot\", or give a `skip_reason` beside `stage`",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    assert!(follower.refresh_now().is_err());
    assert_eq!((follower.status().refused, gate.version()), (1, 1));
    fs::write(&path, at("pilot")).unwrap();
    follower.refresh_now().unwrap();
    assert_eq!(&*gate.status().flags[0].stage, "pilot");
    fs::write(&path, at("ga") + "skip_reason = \"incident 7\"\n").unwrap();
    follower.refresh_now().unwrap();
    assert!(gate.is_enabled(1, "a"));
}

#[test]
fn a_follower_does_not_start_without_a_document() {
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    let error = Follower::start(file(&path), FollowOptions::new()).unwrap_err();
    let text = format!(
        "no document to start from: rollout document `{}` cannot be read: No such file or directory (os error 2)",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    assert!(matches!(error, StartError::NoDocument { last_known_good: None, .. }));
}

#[test]
fn a_document_without_its_end_marker_is_not_applied() {
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    let source = |ending| File::new(&path).settle(Duration::from_micros(100)).ending_with(ending);
    let whole = plan(0) + "# end\n\n";
    for cut in 0..whole.len() - 2 {
        fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
        let options = FollowOptions::new().by_hand();
        let error = Follower::start(source("# end"), options).map(|_| ()).unwrap_err();
        let text =
            format!("no document to start from: `{}` does not end with `# end`", path.display());
        assert_eq!(error.to_string(), text);
    }
    fs::write(&path, &whole).unwrap();
    let (gate, _) = Follower::start(source("# end"), FollowOptions::new().by_hand()).unwrap();
    assert_eq!(number_of(&gate), 0);
}

/// Runs in a user namespace with a limit of zero inotify instances.
#[test]
fn without_inotify_files_are_polled() {
    let what = "a system without inotify";
    let Some(unshare) = needs::program(what, "unshare") else { return };
    let without = |script: &str| {
        let mut child = Command::new(&unshare);
        let no_inotify = "echo 0 > /proc/sys/user/max_inotify_instances";
        child.args(["--user", "--map-root-user", "sh", "-c"]);
        child.arg(format!("{no_inotify} && {script}")).arg(std::env::current_exe().unwrap());
        child
    };
    let output = without("true").output().unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let may = if output.status.success() { Ok(()) } else { Err(wrong) };
    if needs::found(what, may).is_some() {
        run_child_test(without(
            "exec \"$0\" --exact damage::child_that_polls --ignored --nocapture",
        ));
    }
}

#[test]
#[ignore = "run by another test"]
fn child_that_polls() {
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    fs::write(&path, plan(0)).unwrap();
    let log = Log::default();
    let every = Duration::from_millis(50);
    let (gate, _follower) = Follower::start(file(&path).every(every), log.options()).unwrap();
    for number in 1..20 {
        fs::write(&path, plan(number)).unwrap();
        let seen = wait_until("it is polled", || number_of(&gate) == number);
        // The interval has a jitter of 50%. The file must also be unchanged for the settle time.
        assert!(seen < 2 * every + Duration::from_millis(100), "{seen:?}");
    }
    let lines = log.lines();
    let notes: Vec<_> = lines.iter().filter(|line| line.starts_with("note")).collect();
    let text =
        format!("note: `{}` cannot be watched, so it is only read every 50ms: ", path.display());
    assert!(notes.len() == 1 && notes[0].starts_with(&text), "{notes:?}");
    println!("{}", notes[0]);
}

#[test]
fn a_failed_export_of_a_users_file_switches_no_user_off() {
    let scratch = Scratch::new();
    let (path, list) = (scratch.path("rollout.toml"), scratch.path("beta.txt"));
    let users: Vec<String> = (0..1000).map(|n| format!("user-{n}")).collect();
    fs::write(&list, users.join("\n")).unwrap();
    let text = "schema = 1\n[groups.beta]\nusers_file = \"beta.txt\"\n[flags.a]\nstage = \"beta\"\n\
                stages = [{ name = \"beta\", groups = [\"beta\"] }, { name = \"ga\", percent = 100 }]\n";
    fs::write(&path, text).unwrap();
    let (gate, follower) = Follower::start(file(&path), FollowOptions::new()).unwrap();
    let listed = || users.iter().filter(|user| gate.is_enabled(user.as_str(), "a")).count();
    assert_eq!(listed(), 1000);
    // An export that failed after it opened its output, and one that failed halfway.
    for (content, found) in [
        (String::new(), "found a file that lists no users, where the one in force lists 1000"),
        (users[..100].join("\n"), "takes the flag from 900 users, 90% of group \"beta\", at once"),
    ] {
        fs::write(&list, content).unwrap();
        wait_until(found, || {
            let error = follower.status().last_error;
            error.is_some_and(|error| error.to_string().contains(found))
        });
        assert_eq!((follower.status().freshness, listed()), (Freshness::Failed, 1000));
    }
    fs::write(&list, users[..999].join("\n")).unwrap();
    wait_until("a list that is whole", || listed() == 999);
}
