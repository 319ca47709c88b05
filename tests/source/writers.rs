//! Files that editors and programs write in different ways.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use stagegate::source::{File, FollowOptions, Follower};

use crate::world::{ALL, FollowedFile, Log, PseudoRandom, Scratch, quantiles, wait_until};

const SETTLE: Duration = Duration::from_millis(2);

fn file(path: &Path) -> File {
    File::new(path).settle(SETTLE).every(Duration::from_secs(3600))
}

/// Truncates the file, then writes it in pieces with pauses.
fn write_in_place(path: &Path, text: &str, numbers: &mut PseudoRandom, longest_pause: u64) {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let pause = numbers.below(longest_pause + 1);
        thread::sleep(Duration::from_micros(pause));
        let most = numbers.below(if pause.is_multiple_of(7) { 3 } else { 200 });
        let most = 1 + usize::try_from(most).unwrap();
        let (now, later) = rest.split_at(most.min(rest.len()));
        file.write_all(now).unwrap();
        rest = later;
    }
}

fn no_part_is_applied(which: FollowedFile, updates: u32, settle: Duration, longest_pause: u64) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.0);
    let file = File::new(&document).settle(settle).every(Duration::from_secs(3600));
    let log = Log::default();
    let (gate, follower) = Follower::start(file, log.options()).unwrap();
    let parts = which.count_partial_versions(&gate);
    let mut numbers = PseudoRandom(7);
    for number in 1..=updates {
        write_in_place(&path, &which.text(number), &mut numbers, longest_pause);
        if number % 10 == 0 {
            wait_until("the file is in force", || which.number_of(&gate) == number);
        }
    }
    wait_until("the last file is in force", || which.number_of(&gate) == updates);
    let status = follower.status();
    println!("{updates} in place: {} applied, {} refused", status.applied, status.refused);
    assert_eq!(parts.load(Ordering::Relaxed), 0, "{:?}", log.lines());
    assert_eq!(status.refused, 0, "{:?}", log.lines());
}

#[test]
fn a_document_written_in_place_is_applied_completely_or_not_at_all() {
    no_part_is_applied(FollowedFile::Document, 1_000, SETTLE, 1_000);
}

#[test]
fn a_list_written_in_place_is_applied_completely_or_not_at_all() {
    no_part_is_applied(FollowedFile::List, 200, SETTLE, 1_000);
    no_part_is_applied(FollowedFile::ListBelow, 200, SETTLE, 1_000);
}

#[test]
#[ignore = "takes an hour: cargo test --release --all-features --test source -- --ignored in_place_10_000 --nocapture"]
fn a_document_written_in_place_10_000_times_with_long_pauses() {
    no_part_is_applied(FollowedFile::Document, 10_000, Duration::from_millis(100), 50_000);
}

#[test]
fn a_document_cut_at_any_byte_is_not_applied() {
    no_cut_is_applied(FollowedFile::Document);
}

#[test]
fn a_list_cut_at_any_byte_is_not_applied() {
    no_cut_is_applied(FollowedFile::List);
    no_cut_is_applied(FollowedFile::ListBelow);
}

/// Writes the file in place with one pause, at each byte in turn. The pause is longer than the settle time.
fn no_cut_is_applied(which: FollowedFile) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.0);
    let whole = which.text(0);
    let (gate, follower) = Follower::start(file(&document), FollowOptions::new()).unwrap();
    let parts = which.count_partial_versions(&gate);
    for cut in 0..whole.len() {
        let mut open = OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        open.write_all(&whole.as_bytes()[..cut]).unwrap();
        thread::sleep(SETTLE * 2);
        open.write_all(&whole.as_bytes()[cut..]).unwrap();
    }
    assert_eq!(parts.load(Ordering::Relaxed), 0);
    // The same content is not a new version.
    thread::sleep(SETTLE * 50);
    assert_eq!((gate.version(), follower.status().refused), (1, 0));
}

#[test]
fn a_document_that_stays_cut_off_is_not_applied() {
    stays_cut_off(FollowedFile::Document);
}

/// The beginning of a list is a valid list, so only the comparison with the current version shows the cut.
#[test]
fn a_list_that_stays_cut_off_is_not_applied() {
    stays_cut_off(FollowedFile::List);
    stays_cut_off(FollowedFile::ListBelow);
}

/// The writer never continues. A cut in the middle of a line is detected, however long the file stays unchanged.
fn stays_cut_off(which: FollowedFile) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.0);
    let whole = which.text(0);
    let mut source = File::new(&document).settle(Duration::from_micros(100));
    if which == FollowedFile::Document {
        source = source.ending_with("stage = \"internal\"");
    }
    let (gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    let parts = which.count_partial_versions(&gate);
    let mut accepted = 0;
    for cut in 0..whole.len() - 1 {
        // A document has an end marker. A list has none, so a cut at the end of a line is not detected.
        let is_end = match which {
            FollowedFile::Document => whole[..cut].trim_end().ends_with("stage = \"internal\""),
            FollowedFile::List | FollowedFile::ListBelow => {
                whole[..cut].ends_with('\n') || cut == 0
            }
        };
        if is_end || whole[cut..].starts_with('\n') {
            continue;
        }
        fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
        accepted += u32::from(follower.refresh_now().is_ok());
    }
    assert_eq!((accepted, parts.load(Ordering::Relaxed), gate.version()), (0, 0, 1));
    fs::write(&path, &whole.as_bytes()[..whole.len() - 3]).unwrap();
    let error = follower.refresh_now().unwrap_err();
    let text = format!(
        "`{}` is cut off: it has only the first {} of the {} bytes of the current version",
        path.display(),
        whole.len() - 3,
        whole.len()
    );
    assert_eq!(error.to_string(), text);
}

#[test]
fn saves_of_every_kind_are_seen() {
    ALL.into_iter().for_each(saves_are_seen);
}

fn saves_are_seen(which: FollowedFile) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.0);
    let log = Log::default();
    let (gate, _follower) = Follower::start(file(&document), log.options()).unwrap();
    let parts = which.count_partial_versions(&gate);
    let mut number = 0;
    for (name, save) in SAVES {
        let mut times = Vec::new();
        for _ in 0..100 {
            number += 1;
            save(&path, &which.text(number));
            let begin = Instant::now();
            wait_until(name, || which.number_of(&gate) == number);
            times.push(begin.elapsed());
        }
        let (p50, p99) = quantiles(times);
        println!("{which:?}, {name}: 100 of 100 seen, after {p50:?} (p50), {p99:?} (p99)");
    }
    assert_eq!(parts.load(Ordering::Relaxed), 0);
}

type Save = fn(&Path, &str);

const SAVES: [(&str, Save); 7] = [
    ("in place", |path, text| fs::write(path, text).unwrap()),
    ("deleted and restored", |path, text| {
        fs::remove_file(path).unwrap();
        thread::sleep(SETTLE * 2);
        fs::write(path, text).unwrap();
    }),
    // With `set backupcopy=no` the old file becomes the backup.
    ("vim", |path, text| {
        let backup = path.with_extension("old~");
        fs::rename(path, &backup).unwrap();
        fs::write(path, text).unwrap();
        fs::remove_file(backup).unwrap();
    }),
    ("sed -i", |path, text| {
        fs::write(path.with_file_name("sedXyZ123"), text).unwrap();
        fs::rename(path.with_file_name("sedXyZ123"), path).unwrap();
    }),
    // The backup is a copy, and the lock is a dangling link.
    ("emacs", |path, text| {
        let _ = std::os::unix::fs::symlink("ana@host.1:2", path.with_file_name(".#file"));
        fs::copy(path, path.with_extension("old~")).unwrap();
        fs::write(path, text).unwrap();
        fs::remove_file(path.with_file_name(".#file")).unwrap();
    }),
    ("with a noisy neighbour", |path, text| {
        let noise = path.with_file_name("noise");
        (0..20).for_each(|n| fs::write(&noise, format!("{n}")).unwrap());
        fs::write(path, text).unwrap();
    }),
    ("same length, same time", |path, text| {
        let before = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, text).unwrap();
        OpenOptions::new().write(true).open(path).unwrap().set_modified(before).unwrap();
    }),
];

/// Changes the file as often as possible for a second. The last change is applied, and few versions in between.
#[test]
fn a_storm_of_changes_is_coalesced() {
    ALL.into_iter().for_each(is_coalesced);
}

fn is_coalesced(which: FollowedFile) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.0);
    let source = file(&document).settle(Duration::from_millis(20));
    let (gate, follower) = Follower::start(source, FollowOptions::new()).unwrap();
    let parts = which.count_partial_versions(&gate);
    let (begin, mut number, mut changes) = (Instant::now(), 0, 0);
    while begin.elapsed() < Duration::from_secs(1) {
        changes += 1;
        number = changes % 1_000;
        fs::write(scratch.path("new"), which.text(number)).unwrap();
        fs::rename(scratch.path("new"), &path).unwrap();
    }
    let delay = wait_until("the last one", || which.number_of(&gate) == number);
    let applied = follower.status().applied;
    println!(
        "{which:?}: {changes} changes in a second: {applied} applied, the last after {delay:?}"
    );
    assert!(applied < 100, "{applied}");
    assert_eq!(parts.load(Ordering::Relaxed), 0);
}

/// A → B → A: each change is a new version.
#[test]
fn a_change_back_to_an_earlier_version_is_applied() {
    ALL.into_iter().for_each(is_applied_again);
}

fn is_applied_again(which: FollowedFile) {
    let scratch = Scratch::new();
    let (document, path) = which.create(&scratch.0);
    let source = File::new(&document).settle(Duration::from_micros(100));
    let (gate, follower) = Follower::start(source, FollowOptions::new().by_hand()).unwrap();
    for turn in 1..=1_000 {
        fs::write(&path, which.text(turn % 2)).unwrap();
        follower.refresh_now().unwrap();
        assert_eq!((which.number_of(&gate), gate.version()), (turn % 2, u64::from(turn) + 1));
    }
}
