//! Paths that come to mean another file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use stagegate::source::{File, FollowOptions, Follower};

use crate::world::{Scratch, count_parts, number_of, plan, quantiles, wait_until};

const SETTLE: Duration = Duration::from_millis(2);

fn follow(path: &Path) -> (stagegate::Gate, Follower) {
    let file = File::new(path).settle(SETTLE).every(Duration::from_secs(3600));
    Follower::start(file, FollowOptions::new()).unwrap()
}

/// As the kubelet does: a new directory, a new link to it, renamed over the old one, the old directory deleted.
fn swap_config_map(mount: &Path, number: u32) {
    let name = format!("..2026_{number}");
    fs::create_dir(mount.join(&name)).unwrap();
    fs::write(mount.join(&name).join("rollout.toml"), plan(number)).unwrap();
    let old = fs::read_link(mount.join("..data")).ok();
    symlink(&name, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(mount.join(old)).unwrap();
    }
}

#[test]
fn a_thousand_swaps_of_a_config_map_are_seen() {
    let scratch = Scratch::new();
    swap_config_map(&scratch.0, 0);
    let path = scratch.path("rollout.toml");
    symlink("..data/rollout.toml", &path).unwrap();
    let (gate, follower) = follow(&path);
    let parts = count_parts(&gate);
    let mut times = Vec::new();
    for number in 1..=1_000 {
        swap_config_map(&scratch.0, number);
        let begin = Instant::now();
        wait_until("the swap is seen", || number_of(&gate) == number);
        times.push(begin.elapsed());
    }
    let (p50, p99) = quantiles(times);
    println!(
        "1000 swaps, 1000 seen; at rest for {SETTLE:?}, in force after {p50:?} (p50), {p99:?} (p99)"
    );
    assert_eq!(follower.status().applied, 1_001);
    assert_eq!(parts.load(Ordering::Relaxed), 0);
}

#[test]
fn links_into_other_directories_are_followed() {
    let scratch = Scratch::new();
    for directory in ["etc", "one", "two"] {
        fs::create_dir(scratch.path(directory)).unwrap();
    }
    let path = scratch.path("etc/rollout.toml");
    fs::write(scratch.path("one/a.toml"), plan(0)).unwrap();
    symlink(scratch.path("one/a.toml"), &path).unwrap();
    let (gate, _follower) = follow(&path);
    for turn in 0..50 {
        let target = scratch.path(if turn % 2 == 0 { "two/b.toml" } else { "one/a.toml" });
        // The link is led elsewhere.
        fs::write(&target, plan(2 * turn + 1)).unwrap();
        symlink(&target, scratch.path("etc/new")).unwrap();
        fs::rename(scratch.path("etc/new"), &path).unwrap();
        wait_until("the link", || number_of(&gate) == 2 * turn + 1);
        // What it leads to is written.
        fs::write(&target, plan(2 * turn + 2)).unwrap();
        wait_until("its target", || number_of(&gate) == 2 * turn + 2);
    }
}

#[test]
fn a_directory_that_is_replaced_is_watched_again() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("etc")).unwrap();
    let path = scratch.path("etc/rollout.toml");
    fs::write(&path, plan(0)).unwrap();
    let (gate, _follower) = follow(&path);
    for turn in 1..=50 {
        let number = 2 * turn;
        fs::create_dir(scratch.path("new")).unwrap();
        fs::write(scratch.path("new/rollout.toml"), plan(number)).unwrap();
        if turn % 2 == 0 {
            fs::rename(scratch.path("etc"), scratch.path(&format!("old-{turn}"))).unwrap();
        } else {
            fs::remove_dir_all(scratch.path("etc")).unwrap();
        }
        fs::rename(scratch.path("new"), scratch.path("etc")).unwrap();
        wait_until("the new directory", || number_of(&gate) == number);
        fs::write(&path, plan(number + 1)).unwrap();
        wait_until("a change in it", || number_of(&gate) == number + 1);
    }
}

#[test]
fn files_of_users_are_followed_with_the_document() {
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
    // Another list, elsewhere.
    fs::create_dir(scratch.path("lists")).unwrap();
    fs::write(scratch.path("lists/all.txt"), "cem\n").unwrap();
    fs::write(&path, text("lists/all.txt")).unwrap();
    wait_until("another list", || gate.is_enabled("cem", "a"));
    fs::write(scratch.path("lists/all.txt"), "dan\ncem\n").unwrap();
    wait_until("a change of that", || gate.is_enabled("dan", "a"));
    // One that is gone takes nobody's feature away.
    fs::remove_file(scratch.path("lists/all.txt")).unwrap();
    wait_until("it is gone", || follower.status().refused == 1);
    assert!(gate.is_enabled("dan", "a"));
    fs::write(scratch.path("lists/all.txt"), "eva\n").unwrap();
    wait_until("it is back", || gate.is_enabled("eva", "a"));
}
