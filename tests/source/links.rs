//! Links and directories that are replaced.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use stagegate::source::{File, FollowOptions, Follower};

use crate::world::{ALL, FollowedFile, Scratch, quantiles, wait_until};

const SETTLE: Duration = Duration::from_millis(2);

fn follow(path: &Path) -> (stagegate::Gate, Follower) {
    let file = File::new(path).settle(SETTLE).every(Duration::from_secs(3600));
    Follower::start(file, FollowOptions::new()).unwrap()
}

/// Updates a `ConfigMap` like the kubelet: creates a directory, renames a new link over the old one, deletes the old
/// directory.
fn swap_config_map(which: FollowedFile, mount: &Path, number: u32) {
    let name = format!("..2026_{number}");
    let (_, path) = which.create(&mount.join(&name));
    fs::write(path, which.text(number)).unwrap();
    let old = fs::read_link(mount.join("..data")).ok();
    symlink(&name, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(mount.join(old)).unwrap();
    }
}

#[test]
fn a_thousand_swaps_of_a_config_map_are_seen() {
    ALL.into_iter().for_each(swaps_are_seen);
}

fn swaps_are_seen(which: FollowedFile) {
    let scratch = Scratch::new();
    swap_config_map(which, &scratch.0, 0);
    let path = scratch.path("rollout.toml");
    for name in ["rollout.toml", "team.txt", "lists"] {
        symlink(format!("..data/{name}"), scratch.path(name)).unwrap();
    }
    let (gate, follower) = follow(&path);
    let parts = which.count_partial_versions(&gate);
    let mut times = Vec::new();
    for number in 1..=1_000 {
        swap_config_map(which, &scratch.0, number);
        let begin = Instant::now();
        wait_until("the swap is seen", || which.number_of(&gate) == number);
        times.push(begin.elapsed());
    }
    let (p50, p99) = quantiles(times);
    println!(
        "{which:?}: 1000 swaps, 1000 seen; at rest for {SETTLE:?}, in force after {p50:?} (p50), {p99:?} (p99)"
    );
    // The gate has the document a moment before the status counts it.
    wait_until("the status counts it", || follower.status().applied >= 1_001);
    assert_eq!(follower.status().applied, 1_001);
    assert_eq!(parts.load(Ordering::Relaxed), 0);
}

#[test]
fn links_into_other_directories_are_followed() {
    ALL.into_iter().for_each(links_are_followed);
}

fn links_are_followed(which: FollowedFile) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.path("etc"));
    for directory in ["one", "two"] {
        fs::create_dir(scratch.path(directory)).unwrap();
    }
    fs::rename(&path, scratch.path("one/a.toml")).unwrap();
    symlink(scratch.path("one/a.toml"), &path).unwrap();
    let (gate, _follower) = follow(&document);
    for turn in 0..50 {
        let target = scratch.path(if turn % 2 == 0 { "two/b.toml" } else { "one/a.toml" });
        // The link changes.
        fs::write(&target, which.text(2 * turn + 1)).unwrap();
        symlink(&target, scratch.path("etc/new")).unwrap();
        fs::rename(scratch.path("etc/new"), &path).unwrap();
        wait_until("the link", || which.number_of(&gate) == 2 * turn + 1);
        // The link's target changes.
        fs::write(&target, which.text(2 * turn + 2)).unwrap();
        wait_until("its target", || which.number_of(&gate) == 2 * turn + 2);
    }
}

/// The watch of the directory must include the new target's name, so that it sees the open writer.
#[test]
fn a_link_target_is_not_applied_while_a_writer_has_it_open() {
    for which in ALL {
        let scratch = Scratch::new();
        let (document, path) = which.create(&scratch.0);
        let targets = ["one", "two"].map(|name| path.with_file_name(name));
        fs::rename(&path, &targets[0]).unwrap();
        symlink("one", &path).unwrap();
        let (gate, _follower) = follow(&document);
        fs::write(&targets[1], which.text(1)).unwrap();
        symlink("two", scratch.path("new")).unwrap();
        fs::rename(scratch.path("new"), &path).unwrap();
        wait_until("the link", || which.number_of(&gate) == 1);
        let parts = which.count_partial_versions(&gate);
        write_slowly(&targets[1], &which.text(2));
        wait_until("its target", || which.number_of(&gate) == 2);
        assert_eq!(parts.load(Ordering::Relaxed), 0, "{which:?}");
    }
}

/// Writes line by line, with pauses longer than the settle time.
fn write_slowly(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    for line in text.split_inclusive('\n') {
        file.write_all(line.as_bytes()).unwrap();
        thread::sleep(SETTLE * 3);
    }
}

/// Two lists have the same name in two directories. One is closed while the other is being written.
#[test]
fn closing_one_list_does_not_apply_another_open_list() {
    let scratch = Scratch::new();
    let text = |user: &str| format!("{user}-1\n{user}-2\n");
    for name in ["one", "two"] {
        fs::create_dir(scratch.path(name)).unwrap();
        fs::write(scratch.path(name).join("team.txt"), text(name)).unwrap();
    }
    let flags = ["one", "two"].map(|name| {
        format!(
            "[groups.{name}]\nusers_file = \"{name}/team.txt\"\n[flags.{name}]\nstage = \"s\"\n\
             stages = [{{ name = \"s\", groups = [\"{name}\"] }}]\n"
        )
    });
    let document = scratch.path("rollout.toml");
    fs::write(&document, format!("schema = 1\n{}", flags.concat())).unwrap();
    let (gate, follower) = follow(&document);
    let open = scratch.path("one/team.txt");
    for turn in 0..20 {
        // Whole lines, so that only the watch shows that the writer has not finished.
        let mut file = fs::OpenOptions::new().append(true).open(&open).unwrap();
        file.write_all(format!("one-half-{turn}\n").as_bytes()).unwrap();
        fs::write(scratch.path("two/team.txt"), text("two")).unwrap();
        thread::sleep(SETTLE * 4);
        assert!(!gate.is_enabled(format!("one-half-{turn}").as_str(), "one"), "turn {turn}");
        file.write_all(format!("one-whole-{turn}\n").as_bytes()).unwrap();
        drop(file);
        wait_until("the rest", || gate.is_enabled(format!("one-whole-{turn}").as_str(), "one"));
    }
    assert_eq!(follower.status().refused, 0);
}

#[test]
fn each_of_many_lists_is_watched() {
    const LISTS: u32 = 60;
    let scratch = Scratch::new();
    let mut text = "schema = 1\n".to_owned();
    let path = |n: u32| scratch.path(&format!("lists/{n}/team.txt"));
    for n in 0..LISTS {
        text += &format!(
            "[groups.g{n}]\nusers_file = \"lists/{n}/team.txt\"\n[flags.f{n}]\nstage = \"s\"\n\
             stages = [{{ name = \"s\", groups = [\"g{n}\"] }}]\n"
        );
        fs::create_dir_all(path(n).parent().unwrap()).unwrap();
        fs::write(path(n), "ana\n").unwrap();
    }
    fs::write(scratch.path("rollout.toml"), text).unwrap();
    let (gate, follower) = follow(&scratch.path("rollout.toml"));
    for n in 0..LISTS {
        fs::write(path(n), "ana\nben\n").unwrap();
        wait_until("a change of one", || gate.is_enabled("ben", &format!("f{n}")));
    }
    // All lists at once.
    (0..LISTS).for_each(|n| fs::write(path(n), "ana\nben\ncem\n").unwrap());
    wait_until("changes of all", || (0..LISTS).all(|n| gate.is_enabled("cem", &format!("f{n}"))));
    assert_eq!(follower.status().refused, 0);
}

#[test]
fn a_directory_that_is_replaced_is_watched_again() {
    // In the last case only the list's directory is replaced. The document's directory stays.
    replaced(FollowedFile::Document, "etc", "rollout.toml");
    replaced(FollowedFile::List, "etc", "team.txt");
    replaced(FollowedFile::ListBelow, "etc/lists", "team.txt");
}

fn replaced(which: FollowedFile, directory: &str, name: &str) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.path("etc"));
    let (gate, _follower) = follow(&document);
    for turn in 1..=50 {
        let number = 2 * turn;
        fs::create_dir(scratch.path("new")).unwrap();
        if which != FollowedFile::ListBelow {
            fs::copy(&document, scratch.path("new/rollout.toml")).unwrap();
        }
        fs::write(scratch.path("new").join(name), which.text(number)).unwrap();
        if turn % 2 == 0 {
            fs::rename(scratch.path(directory), scratch.path(&format!("old-{turn}"))).unwrap();
        } else {
            fs::remove_dir_all(scratch.path(directory)).unwrap();
        }
        fs::rename(scratch.path("new"), scratch.path(directory)).unwrap();
        wait_until("the new directory", || which.number_of(&gate) == number);
        fs::write(&path, which.text(number + 1)).unwrap();
        wait_until("a change in it", || which.number_of(&gate) == number + 1);
    }
}

#[test]
fn users_files_are_followed_with_the_document() {
    let scratch = Scratch::new();
    let path = scratch.path("rollout.toml");
    let text = |file: &str| {
        format!(
            "schema = 1\n[groups.team]\nusers_file = \"{file}\"\n[flags.a]\nstage = \"s\"\n\
             stages = [{{ name = \"s\", groups = [\"team\"] }}]\n"
        )
    };
    fs::write(scratch.path("team.txt"), "ana\n").unwrap();
    fs::write(&path, text("team.txt")).unwrap();
    let (gate, follower) = follow(&path);
    assert!(gate.is_enabled("ana", "a"));
    fs::write(scratch.path("team.txt"), "ana\nben\n").unwrap();
    wait_until("a change of the list", || gate.is_enabled("ben", "a"));
    // The document names a list in another directory.
    fs::create_dir(scratch.path("lists")).unwrap();
    fs::write(scratch.path("lists/all.txt"), "cem\n").unwrap();
    fs::write(&path, text("lists/all.txt")).unwrap();
    wait_until("another list", || gate.is_enabled("cem", "a"));
    fs::write(scratch.path("lists/all.txt"), "dan\ncem\n").unwrap();
    wait_until("a change of that", || gate.is_enabled("dan", "a"));
    // A deleted list changes no user's answer.
    fs::remove_file(scratch.path("lists/all.txt")).unwrap();
    wait_until("it is gone", || follower.status().refused == 1);
    assert!(gate.is_enabled("dan", "a"));
    fs::write(scratch.path("lists/all.txt"), "eva\n").unwrap();
    wait_until("it is back", || gate.is_enabled("eva", "a"));
}

/// The slow poll takes 30 seconds, so the watch reports the change.
#[test]
fn a_list_in_an_allowed_directory_is_watched() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("plans")).unwrap();
    fs::create_dir(scratch.path("lists")).unwrap();
    let (document, list) = (scratch.path("plans/rollout.toml"), scratch.path("lists/team.txt"));
    fs::write(&list, "ana\n").unwrap();
    let text = "schema = 1\n[groups.team]\nusers_file = \"../lists/team.txt\"\n[flags.a]\nstage = \"s\"\n\
                stages = [{ name = \"s\", groups = [\"team\"] }]\n";
    fs::write(&document, text).unwrap();
    let source = || File::new(&document).settle(SETTLE);
    assert!(Follower::start(source(), FollowOptions::new()).is_err());
    let source = source().allowing(scratch.path("lists"));
    let (gate, follower) = Follower::start(source, FollowOptions::new()).unwrap();
    assert!(gate.is_enabled("ana", "a") && !gate.is_enabled("ben", "a"));
    let mut changed = follower.changed();
    fs::write(&list, "ana\nben\n").unwrap();
    assert!(changed.wait(Duration::from_secs(20)).is_some());
    assert!(gate.is_enabled("ben", "a"));
}
