//! Earlier segments move to an archive, and are read from there.
#![cfg(feature = "archive")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use stagegate::clock::{Boot, Clock, ManualClock, Moment};
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{Fact, Journal, Record, Rollout, RolloutOptions, Store};
use stagegate::store::{Archive, Directory, Memory};

use super::crash::place;
use super::needs;
use super::story::{begin, clock, standing, steps_with_segments};

/// A store with the whole story in many segments, and an empty place for an archive.
fn story(name: &str) -> (Memory, Rollout, Archive, PathBuf) {
    let path = place(&format!("archive-{name}"));
    let (store, clock) = (Memory::new(), clock());
    let rollout = begin(store.clone(), &clock).unwrap();
    steps_with_segments().into_iter().for_each(|step| step(&rollout, &clock).unwrap());
    (store, rollout, Archive::new(&path), path)
}

fn lines(store: &mut dyn Store, from: u64) -> Vec<u8> {
    let (mut all, mut next) = (Vec::new(), from);
    loop {
        let some = store.read(next).unwrap();
        if some.is_empty() {
            return all;
        }
        next += memchr::memchr_iter(b'\n', &some).count() as u64;
        all.extend(some);
    }
}

fn unzip(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn zip(file: &Path, bytes: &[u8]) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    fs::write(file, encoder.finish().unwrap()).unwrap();
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Returns the archived files, in the order of their records.
fn files(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut later: Vec<_> =
        entries.filter(|file| file.to_string_lossy().contains("journal-")).collect();
    later.sort();
    [path.join("journal.jsonl.gz")].into_iter().chain(later).collect()
}

/// Returns the number of the first record in a file of an archive.
fn number_of(file: &Path) -> u64 {
    let name = file.file_name().unwrap().to_string_lossy();
    name.trim_start_matches("journal-").trim_end_matches(".jsonl.gz").parse().unwrap_or(1)
}

#[test]
fn an_archive_and_its_store_hold_the_same_records_as_before() {
    let (mut store, rollout, archive, path) = story("whole");
    let (before, records) = (lines(&mut store, 1), rollout.records(1).unwrap());
    let last = store.segment_of(u64::MAX).unwrap();
    assert_eq!(archive.take_from(&mut store).unwrap(), Some(1..=last - 1));
    assert_eq!(rollout.first_record().unwrap(), last);
    assert_eq!(archive.take_from(&mut store).unwrap(), None);

    let mut whole = archive.with(store.clone());
    assert_eq!(lines(&mut *whole, 1), before);
    for (from, number) in records.iter().zip(1..) {
        let line = whole.read(number).unwrap();
        assert!(line.starts_with(format!("{{\"seq\":{}", from.seq).as_bytes()));
        let begin = whole.segment_of(number).unwrap();
        assert!(begin <= number && whole.read(begin).unwrap().ends_with(&line));
    }
    let all = RolloutOptions::new().read_all_segments();
    let again = Rollout::open_with(whole, clock(), &all).unwrap();
    assert_eq!(again.records(1).unwrap(), records);
    assert_eq!(standing(&again), standing(&rollout));

    // `zcat` prints the first segment.
    let first = Command::new("zcat").arg(path.join("journal.jsonl.gz")).output().unwrap();
    assert_eq!(first.stdout, unzip(&path.join("journal.jsonl.gz")));
    assert!(first.stdout.starts_with(b"{\"seq\":1,"));
    let documents = fs::read_dir(path.join("documents")).unwrap().count();
    assert_eq!(documents, 2, "the story has two documents before its last segment");
    fs::remove_dir_all(path).unwrap();
}

/// A crash after the files were written, and before the store has removed its segments.
#[test]
fn archiving_again_after_a_crash_completes_the_work() {
    let (mut store, rollout, archive, path) = story("again");
    let (mut copy, before) = (Memory::new(), lines(&mut store, 1));
    stagegate::store::copy(&mut store, &mut copy, None).unwrap();
    archive.take_from(&mut copy).unwrap();
    fs::write(path.join("journal-000000000002.new"), "half").unwrap();
    assert!(archive.take_from(&mut store).unwrap().is_some());
    assert_eq!(lines(&mut *archive.with(store), 1), before);
    assert_eq!(rollout.status().head.0, memchr::memchr_iter(b'\n', &before).count() as u64);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn an_archive_of_another_rollout_is_refused_and_nothing_is_removed() {
    let (mut store, _, archive, path) = story("other");
    archive.take_from(&mut store).unwrap();
    let mut other = Memory::new();
    let clock = clock();
    clock.advance(Duration::from_secs(1));
    let rollout = begin(other.clone(), &clock).unwrap();
    rollout.by("ana").begin_segment().unwrap();
    let error = archive.take_from(&mut other).unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(
        error.to_string(),
        format!(
            "`{}` has other records: use another directory for each rollout",
            path.join("journal.jsonl.gz").display()
        )
    );
    assert_eq!(rollout.first_record().unwrap(), 1);
    fs::remove_dir_all(path).unwrap();
}

/// gzip has a checksum, and the records have their chain.
#[test]
fn a_damaged_archive_is_found() {
    let (mut store, rollout, archive, path) = story("damaged");
    archive.take_from(&mut store).unwrap();
    let file = path.join("journal.jsonl.gz");
    let bytes = fs::read(&file).unwrap();
    let open = || {
        let all = RolloutOptions::new().read_all_segments();
        Rollout::open_with(archive.with(store.clone()), clock(), &all)
    };
    assert_eq!(standing(&open().unwrap()), standing(&rollout));
    let (records, mut harmless) = (open().unwrap().records(1).unwrap(), 0);
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        fs::write(&file, &damaged).unwrap();
        // A few bits mean nothing, such as the date in the header and the padding before the checksum.
        if let Ok(opened) = open() {
            harmless += 1;
            assert_eq!(opened.records(1).unwrap(), records, "byte {place}");
        }
        fs::write(&file, &bytes[..place]).unwrap();
        assert!(open().is_err(), "cut off at {place}");
    }
    assert!(harmless < 12, "{harmless}");
    fs::remove_file(&file).unwrap();
    // The archive begins with a later segment now.
    let begin = open().unwrap().first_record().unwrap();
    assert!(begin > 1);
    let error = open().unwrap().records(1).unwrap_err().to_string();
    let last = rollout.first_record().unwrap() - 1;
    let expected = format!("(memory): lines 1 to {last} of the journal were moved to an archive");
    assert_eq!(error, expected);
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_journal_with_damage_is_not_archived() {
    let (mut store, rollout, archive, path) = story("rotten");
    let mut rotten = Memory::new();
    for line in lines(&mut store, 1).split_inclusive(|byte| *byte == b'\n') {
        let number = rotten.read(1).unwrap().split(|byte| *byte == b'\n').count() as u64;
        let mut line = line.to_vec();
        if number == 3 {
            line[20] ^= 1;
        }
        match String::from_utf8_lossy(&line).contains("\"continued\"") {
            true => rotten.begin_segment(number, &line).unwrap(),
            false => rotten.append(number, &line).unwrap(),
        }
    }
    let hash = rollout.records(1).unwrap()[0].document.to_string();
    rotten.keep(&hash, &store.document(&hash).unwrap()).unwrap();
    let error = archive.take_from(&mut rotten).unwrap_err();
    assert!(error.is_damaged());
    assert_eq!(
        error.to_string(),
        "line 3: its hash does not fit: it, or a line before it, was changed"
    );
    assert_eq!(rotten.segment_of(1).unwrap(), 1);
    assert!(!path.join("journal.jsonl.gz").exists());
    fs::remove_dir_all(path).unwrap();
}

/// The format of archived lines. An archive must be readable for years.
#[test]
fn the_format_of_archived_lines_equals_the_golden_file() {
    let (mut store, _, archive, path) = story("golden");
    archive.take_from(&mut store).unwrap();
    let found = String::from_utf8(unzip(&path.join("journal.jsonl.gz"))).unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journal/archived.jsonl");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        fs::write(file, &found).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "not as on record; found:\n{found}");
    fs::remove_dir_all(path).unwrap();
}

/// An independent reader restores the lines by the specification.
#[test]
fn python_restores_the_lines_of_an_archive() {
    let Some(python) =
        needs::program("archive::python_restores_the_lines_of_an_archive", "python3")
    else {
        return;
    };
    let (mut store, rollout, archive, path) = story("python");
    let before = lines(&mut store, 1);
    archive.take_from(&mut store).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/restore_archive.py");
    let restore = || Command::new(&python).arg(script).args(files(&path)).output().unwrap();
    let restored = restore();
    let last = usize::try_from(rollout.first_record().unwrap()).unwrap() - 1;
    assert_eq!(restored.stdout, split(&before)[..last].concat());
    assert!(restored.status.success());

    let second = files(&path).remove(1);
    let text = String::from_utf8(unzip(&second)).unwrap();
    zip(&second, text.replacen("\"by\":\"ana\"", "\"by\":\"ben\"", 1).as_bytes());
    let restored = restore();
    assert!(!restored.status.success());
    let error = String::from_utf8(restored.stderr).unwrap();
    assert!(error.ends_with("does not match its hash\n"), "{error}");
    fs::remove_dir_all(path).unwrap();
}

/// Archives of earlier versions have whole lines.
#[test]
fn an_archive_with_whole_lines_is_read_and_continued() {
    let (mut store, _, archive, path) = story("old");
    let mut copy = Memory::new();
    stagegate::store::copy(&mut store, &mut copy, None).unwrap();
    let before = lines(&mut store, 1);
    archive.take_from(&mut copy).unwrap();
    let bare = unzip(&path.join("journal.jsonl.gz"));
    let (bare, whole) = (split(&bare), split(&before));
    assert!(bare.len() > 10 && bare.len() < whole.len());
    for changed in 0..=bare.len() {
        let mixed = [&whole[..changed], &bare[changed..]].concat().concat();
        zip(&path.join("journal.jsonl.gz"), &mixed);
        assert_eq!(lines(&mut *archive.with(copy.clone()), 1), before, "{changed} whole lines");
        let mixed = [&bare[..changed], &whole[changed..bare.len()]].concat().concat();
        zip(&path.join("journal.jsonl.gz"), &mixed);
        assert_eq!(lines(&mut *archive.with(copy.clone()), 1), before, "{changed} bare lines");
    }
    // The store still has these segments, and the archive has them already.
    assert!(archive.take_from(&mut store).unwrap().is_some());
    assert_eq!(lines(&mut *archive.with(store), 1), before);
    fs::remove_dir_all(path).unwrap();
}

/// One hash is the check of all lines of a file.
#[test]
fn every_change_of_an_archived_line_is_found() {
    let (mut store, _, archive, path) = story("flips");
    let before = lines(&mut store, 1);
    archive.take_from(&mut store).unwrap();
    for file in files(&path).into_iter().take(2) {
        let bare = unzip(&file);
        let number = number_of(&file);
        let read = |changed: &[u8]| {
            zip(&file, changed);
            archive.with(store.clone()).read(number)
        };
        let whole = read(&bare).unwrap();
        assert!(before.windows(whole.len()).any(|some| some == whole));
        let check = |changed: &[u8], what: String| match read(changed) {
            Err(error) => assert!(error.is_damaged(), "{what}: {error}"),
            Ok(read) => panic!("{what}: {}", String::from_utf8_lossy(&read)),
        };
        for place in (0..bare.len()).step_by(3) {
            let mut flipped = bare.clone();
            flipped[place] ^= 1 << (place % 8);
            check(&flipped, format!("byte {place}"));
            check(&bare[..place], format!("cut off at {place}"));
        }
        let some = split(&bare);
        for at in 0..some.len() {
            check(&[&some[..at], &some[at + 1..]].concat().concat(), format!("without line {at}"));
            check(&[&some[..=at], &some[at..]].concat().concat(), format!("line {at} twice"));
            let mut swapped = some.clone();
            swapped.swap(at, (at + 1) % some.len());
            check(&swapped.concat(), format!("line {at} swapped with the next"));
        }
        zip(&file, &bare);
    }
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn an_error_about_archived_lines_names_the_file() {
    let (mut store, _, archive, path) = story("errors");
    archive.take_from(&mut store).unwrap();
    let [first, second] = [0, 1].map(|at| files(&path).remove(at));
    let bare = String::from_utf8(unzip(&first)).unwrap();
    let last = bare.lines().count();
    let (all, _) = bare.rsplit_once(",\"hash\"").unwrap();
    let error = |file: &Path, number, text: &str| {
        zip(file, text.as_bytes());
        let error = archive.with(store.clone()).read(number).unwrap_err();
        assert!(error.is_damaged());
        let file = format!("`{}`: ", file.display());
        error.to_string().strip_prefix(&file).unwrap().to_owned()
    };
    for (text, expected) in [
        ("", "it ends within a line".to_owned()),
        (bare.trim_end(), "it ends within a line".to_owned()),
        ("\n", "line 1 is incomplete".to_owned()),
        ("{}\n", "line 1 is incomplete".to_owned()),
        (&bare[bare.find('\n').unwrap() + 1..], "line 1 is incomplete".to_owned()),
        (&format!("{all}}}\n"), "its last line has no hash".to_owned()),
        (
            &bare.replacen("\"by\":\"ana\"", "\"by\":\"ben\"", 1),
            format!(
                "the hash of line {last} does not fit: that line, or a line before it, was changed"
            ),
        ),
    ] {
        assert_eq!(error(&first, 1, text), expected, "{text}");
    }
    let expected = "its first line does not begin a segment of the journal";
    assert_eq!(error(&second, last as u64 + 1, &bare), expected);
    fs::remove_dir_all(path).unwrap();
}

/// How a record differs from the one before it. `None`: as the archive expects.
#[derive(Clone, Debug)]
struct Step {
    at: i64,
    /// Whether the uptime has hundredths of a second, as on Linux.
    is_coarse: bool,
    up: Option<u64>,
    time: Option<u64>,
    boot: usize,
    by: String,
    begins_segment: bool,
}

impl Step {
    fn after(at: i64) -> Step {
        let by = "prometheus".to_owned();
        Step { at, is_coarse: true, up: None, time: None, boot: 0, by, begins_segment: false }
    }
}

const BOOTS: [&str; 3] = ["manual-0", "", "a \"quote\", a \\ and \"up\":7,"];

fn a_step() -> impl Strategy<Value = Step> {
    let milliseconds = || prop_oneof![4 => 0u64..100_000, 1 => Just(0), 1 => any::<u64>()];
    (
        prop_oneof![4 => 0i64..100_000, 2 => -5i64..5, 1 => -90_000_000_000_000i64..90_000_000_000_000],
        proptest::option::weighted(0.3, milliseconds()),
        proptest::option::weighted(0.3, 0u64..1 << 40),
        0..BOOTS.len(),
        prop_oneof![Just("prometheus".to_owned()), ".*"],
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.7),
    )
        .prop_map(|(at, up, time, boot, by, begins_segment, is_coarse)| Step {
            at,
            is_coarse,
            up,
            time,
            boot,
            by,
            begins_segment,
        })
}

/// Appends records to a copy of a story's first record.
fn journal_of(steps: &[Step], records: &[Record], store: &mut Memory) -> Vec<u8> {
    let is_continued = |record: &&Record| matches!(record.fact, Fact::Continued { .. });
    let continued = records.iter().find(is_continued).unwrap();
    let other = records.iter().find(|it| matches!(it.fact, Fact::Signed { .. })).unwrap();
    let (mut journal, mut all, mut last) = (Journal::new(), Vec::new(), records[0].clone());
    let mut append = |record: Record, begins_segment: bool| {
        let (record, line) = journal.encode(record);
        journal.advance(&record, &line);
        match begins_segment {
            true => store.begin_segment(record.seq, &line).unwrap(),
            false => store.append(record.seq, &line).unwrap(),
        }
        all.extend(line);
        record
    };
    last = append(last, false);
    let end = Step { begins_segment: true, ..Step::after(0) };
    let mut exact_up = 0u64;
    for step in steps.iter().chain([&end]) {
        let mut record = if step.begins_segment { continued } else { other }.clone();
        if let Fact::Continued { after, .. } = &mut record.fact {
            *after = last.hash;
        }
        let by = Duration::from_millis(step.at.unsigned_abs());
        let moved = if step.at < 0 { last.at.checked_sub(by) } else { last.at.checked_add(by) };
        // Between the years -900 and 9000.
        let moment = SystemTime::UNIX_EPOCH;
        let is_near = |at: &SystemTime| {
            let far = Duration::from_secs(90_000_000_000);
            at.duration_since(moment).unwrap_or_else(|error| error.duration()) < far
        };
        record.at = moved.filter(is_near).unwrap_or(moment);
        exact_up = step.up.unwrap_or(exact_up.saturating_add_signed(step.at));
        let coarse = if step.is_coarse { exact_up % 10 } else { 0 };
        record.uptime = Duration::from_millis(exact_up - coarse);
        let follows = record.uptime.saturating_sub(last.uptime);
        record.time = last.time
            + step.time.map_or(follows, Duration::from_millis).min(Duration::from_millis(1 << 50));
        record.boot = Boot::new(BOOTS[step.boot]);
        record.by = step.by.as_str().into();
        last = append(record, step.begins_segment);
    }
    all
}

/// Returns an empty store that has the documents of a story, and the story's records.
fn empty(mut known: Memory, rollout: &Rollout) -> (Memory, Vec<Record>) {
    let (records, mut store) = (rollout.records(1).unwrap(), Memory::new());
    for record in &records {
        let hash = record.document.to_string();
        store.keep(&hash, &known.document(&hash).unwrap()).unwrap();
    }
    (store, records)
}

/// The uptime of Linux has hundredths of a second. An archive must not need a number for every line because of that.
#[test]
fn nearly_every_uptime_follows_from_the_wall_clock() {
    let (known, rollout, archive, path) = story("coarse");
    let (mut store, records) = empty(known, &rollout);
    // The wall clock also moves a little against the uptime.
    let steps = (0..1_000).map(|number| match number % 100 {
        0 => Step { up: Some(number * 5_000), ..Step::after(0) },
        _ => Step::after((number * 7_919 % 10_000).cast_signed()),
    });
    let before = journal_of(&steps.collect::<Vec<_>>(), &records, &mut store);
    archive.take_from(&mut store).unwrap();
    let bare = String::from_utf8(unzip(&path.join("journal.jsonl.gz"))).unwrap();
    let with = |field: &str| bare.lines().filter(|line| line.contains(field)).count();
    assert_eq!((bare.lines().count(), with("\"seq\""), with("\"hash\"")), (1_001, 2, 1));
    assert!(with("\"up\"") < 60, "{}", with("\"up\""));
    assert_eq!(lines(&mut *archive.with(store), 1), before);
    fs::remove_dir_all(path).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_journal_comes_back_from_an_archive(steps in proptest::collection::vec(a_step(), 0..40)) {
        let (known, rollout, archive, path) = story("random");
        let (mut store, records) = empty(known, &rollout);
        let before = journal_of(&steps, &records, &mut store);
        archive.take_from(&mut store).unwrap();
        prop_assert_eq!(lines(&mut *archive.with(store), 1), before);
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn any_bytes_in_an_archive_are_refused(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..400),
        "(\\{(\"seq\":[0-9]{0,21},)?(\"at\":\"[-0-9TZ:.]{24}\",)?(\"boot\":\"[\"\\a]{0,3}\",)?(\"up\":[0-9]{0,21},)?(\"time\":-?[0-9]{0,21},)?(,\"hash\":\"[0-9a-f]{64}\")?\\}\n){0,5}".prop_map(String::into_bytes),
    ]) {
        let (mut store, _, archive, path) = story("hostile");
        archive.take_from(&mut store).unwrap();
        for file in &files(&path)[..2] {
            zip(file, &bytes);
            prop_assert!(archive.with(store.clone()).read(number_of(file)).unwrap_err().is_damaged());
        }
        fs::remove_dir_all(path).unwrap();
    }
}

/// Returns a number from a bell curve around 1.
#[allow(clippy::float_arithmetic, reason = "values of a measurement")]
fn noise(seed: &mut u64, width: f64) -> f64 {
    let mut unit = || {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) as f64 / (1 << 24) as f64
    };
    let sum: f64 = (0..12).map(|_| unit()).sum();
    1.0 + width * (sum - 6.0)
}

/// A clock with the precision of Linux: its uptime has hundredths of a second.
#[derive(Debug)]
struct LikeLinux(ManualClock);

impl Clock for LikeLinux {
    fn now(&self) -> Moment {
        let Moment { wall, uptime, boot, .. } = self.0.now();
        let uptime = uptime - Duration::from_nanos(u64::from(uptime.subsec_nanos()) % 10_000_000);
        Moment::new(wall, uptime, boot)
    }
}

/// A day of 100 flags with three metrics each, polled every minute: values and samples vary, and each answer takes a few
/// milliseconds.
#[test]
#[ignore = "measures the size of an archive, for docs/operating.md"]
#[allow(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measurement, of values that are small and positive"
)]
fn archived_readings_of_a_year_take_less_than_half_a_gigabyte() {
    let source = "source = { prometheus = \"a\", samples = \"b\" }";
    let mut document = format!(
        "schema = 1\n[metrics]\nerrors = {{ unit = \"percent\", better = \"less\", {source} }}\n\
         latency = {{ unit = \"duration\", better = \"less\", {source} }}\n\
         revenue = {{ unit = \"number\", better = \"more\", {source} }}\n"
    );
    let flags: Vec<String> = (0..100).map(|number| format!("new-checkout-{number}")).collect();
    for flag in &flags {
        document += &format!(
            "[flags.{flag}]\nstage = \"pilot\"\nstages = [{{ name = \"pilot\", percent = 10, metrics = {{ \
             errors = {{ target = \"< 1%\" }}, latency = {{ target = \"< 2s\" }}, revenue = {{ target = \"> 1\" }} }} \
             }}, {{ name = \"all\", percent = 100 }}]\n"
        );
    }
    let (path, mut seed) = (place("archive-year"), 1);
    // The wall clock and the uptime begin at different fractions of a millisecond.
    let begin = SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_603_600_123_500);
    let clock = ManualClock::at(begin);
    let mut store = Directory::create(path.join("store")).unwrap();
    let rollout = Rollout::start(store, LikeLinux(clock.clone()), &*document, "ana").unwrap();
    let by = rollout.by("prometheus");
    for _ in 0..24 * 60 {
        let mut passed = Duration::ZERO;
        let mut pass = |micros: f64| {
            let some = Duration::from_micros(micros as u64);
            clock.advance(some);
            passed += some;
        };
        for (flag, size) in flags.iter().zip(1u32..) {
            let samples = f64::from(size * 200) * noise(&mut seed, 0.3);
            let errors = 0.3 * noise(&mut seed, 0.2);
            let latency = 600.0 * noise(&mut seed, 0.1);
            let revenue = 15.0 * noise(&mut seed, 0.1);
            for (metric, value, unit) in [
                ("errors", format!("{errors:.4}%"), Unit::Percent),
                ("latency", format!("{latency:.0}ms"), Unit::Duration),
                ("revenue", format!("{revenue:.6}"), Unit::Number),
            ] {
                pass(8_000.0 * noise(&mut seed, 0.15));
                let value = Some(Quantity::parse(&value, unit).unwrap());
                by.measure(flag, metric, value, Some(samples as u64)).unwrap();
            }
        }
        clock.advance(Duration::from_secs(60) - passed);
    }
    by.begin_segment().unwrap();
    let records = rollout.status().head.0 - 1;
    drop(rollout);
    store = Directory::open(path.join("store")).unwrap();
    let size = |directory: &str, ending: &str| -> u64 {
        let entries = fs::read_dir(path.join(directory)).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|file| file.file_name().to_string_lossy().ends_with(ending));
        files.map(|file| file.metadata().unwrap().len()).sum()
    };
    let before = size("store", ".jsonl");
    Archive::new(path.join("archive")).take_from(&mut store).unwrap();
    let (before, after) = (before - size("store", ".jsonl"), size("archive", ".gz"));
    println!(
        "{records} records a day, of {} bytes in the store and {:.1} in the archive: {} MB a year",
        before / records,
        after as f64 / records as f64,
        after * 365 / 1_000_000
    );
    assert!(after * 365 < 500_000_000, "{after} bytes a day");
    fs::remove_dir_all(path).unwrap();
}
