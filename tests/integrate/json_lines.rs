//! Notifications as JSON lines in a file that other processes rename, remove, truncate and replace.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use stagegate::integrate::JsonLines;
use stagegate::rollout::Delivery;

use super::{Scratch, needs, notification};

fn line(text: &str) -> String {
    notification(text).to_json() + "\n"
}

#[test]
fn each_notification_is_a_line_in_a_file_that_only_the_owner_can_read() {
    let scratch = Scratch::new();
    let path = scratch.path("news.jsonl");
    let mut log = JsonLines::new(&path);
    for text in ["one", "two\nlines", "three"] {
        log.deliver(&notification(text)).unwrap();
    }
    let lines = [line("one"), line("two\nlines"), line("three")];
    assert_eq!(fs::read_to_string(&path).unwrap(), lines.concat());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // The mode of an existing file is not changed.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    log.deliver(&notification("four")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn rotation_loses_no_line() {
    let scratch = Scratch::new();
    let (path, old) = (scratch.path("news.jsonl"), scratch.path("news.jsonl.1"));
    let mut log = JsonLines::new(&path);
    log.deliver(&notification("one")).unwrap();
    fs::rename(&path, &old).unwrap();
    log.deliver(&notification("two")).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), fs::metadata(&old).unwrap().ino());
    fs::remove_file(&path).unwrap();
    log.deliver(&notification("three")).unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), line("one"));
    assert_eq!(fs::read_to_string(&path).unwrap(), line("three"));
    OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
    log.deliver(&notification("four")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), line("four"));
}

#[test]
fn a_truncated_line_is_ended_before_the_next_one() {
    let scratch = Scratch::new();
    let path = scratch.path("news.jsonl");
    let whole = line("one");
    for cut in 1..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        JsonLines::new(&path).deliver(&notification("two")).unwrap();
        let end = if cut < whole.len() { "\n" } else { "" };
        let expected = format!("{}{end}{}", &whole[..cut], line("two"));
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}

#[test]
fn only_regular_files_are_accepted_and_nothing_blocks() {
    let scratch = Scratch::new();
    let (pipe, link, target) = (scratch.path("pipe"), scratch.path("link"), scratch.path("target"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&target, "").unwrap();
    symlink(&target, &link).unwrap();
    for path in [pipe, link, scratch.0.clone(), "/dev/null".into()] {
        let (done, is_done) = mpsc::channel();
        let mut log = JsonLines::new(&path);
        thread::spawn(move || done.send(log.deliver(&notification("one"))));
        let error = is_done.recv_timeout(Duration::from_secs(10)).expect("waits").unwrap_err();
        let expected = format!("cannot append to `{}`: it is not a regular file", path.display());
        assert_eq!((error.to_string(), error.is_permanent()), (expected, true));
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "");
}

#[test]
fn a_missing_directory_is_a_temporary_failure() {
    let scratch = Scratch::new();
    let path = scratch.path("not/there/news.jsonl");
    let mut log = JsonLines::new(&path);
    let error = log.deliver(&notification("one")).unwrap_err();
    let expected =
        format!("cannot append to `{}`: No such file or directory (os error 2)", path.display());
    assert_eq!((error.to_string(), error.is_permanent()), (expected, false));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    log.deliver(&notification("two")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), line("two"));
}

#[test]
fn lines_of_several_writers_do_not_mix() {
    let scratch = Scratch::new();
    let path = scratch.path("news.jsonl");
    let text = "x".repeat(10_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut log = JsonLines::new(&path);
                for _ in 0..50 {
                    while let Err(error) = log.deliver(&notification(&text)) {
                        assert!(!error.is_permanent());
                        let busy = "`: another process is writing to it";
                        assert!(error.to_string().ends_with(busy), "{error}");
                        thread::yield_now();
                    }
                }
            });
        }
    });
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().count(), 200);
    assert!(written.lines().all(|found| found == line(&text).trim_end()));
}

#[test]
fn a_full_disk_is_reported_and_the_next_notification_begins_a_line() {
    let scratch = Scratch::new();
    let Some(disk) = needs::SmallDisk::mount("a full disk", &scratch.0) else { return };
    let (path, filler) = (scratch.path("news.jsonl"), scratch.path("filler"));
    let mut log = JsonLines::new(&path);
    log.deliver(&notification("one")).unwrap();
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 1024]).is_ok() {}
    let long = "x".repeat(10_000);
    let error = log.deliver(&notification(&long)).unwrap_err();
    // Truncate the file before it is removed: a program that another test starts may have it open for a moment.
    file.set_len(0).unwrap();
    drop(file);
    let next = log.deliver(&notification("two"));
    let written = fs::read_to_string(&path);
    drop(disk);
    let expected =
        format!("cannot append to `{}`: No space left on device (os error 28)", path.display());
    assert_eq!((error.to_string(), error.is_permanent(), next), (expected, false, Ok(())));
    let written = written.unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(
        (lines[0], lines[lines.len() - 1]),
        (line("one").trim_end(), line("two").trim_end())
    );
    assert!(lines.len() <= 3);
}
