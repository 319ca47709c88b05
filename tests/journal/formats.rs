//! The stores of every version of the journal's format, as a program of that version has written them. Each must open
//! for ever. The store of the present version must also be what this program writes, byte for byte.
//!
//! `STAGEGATE_BLESS=1` writes the store of the present version again. Do that only while no release has this version.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{Hash, Journal, Rollout, RolloutError, RolloutOptions, Store};
use stagegate::store::{Directory, Memory};

use super::story::{begin, clock, standing, steps_with_segments};

/// The content of each file of a store, by its path in the store.
type Content = BTreeMap<String, String>;

/// The number of versions, and the newest version.
const FORMATS: u32 = 2;

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores")
}

fn temporary(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("stagegate-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

fn content(store: &Path) -> Content {
    let mut content = Content::new();
    for folder in ["", "documents"] {
        for entry in fs::read_dir(store.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(store).unwrap().to_str().unwrap().to_owned();
                content.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    content
}

/// Copies a store into one that [`Directory::create`] has made. Its directories are private, as a store's must be.
pub(crate) fn copy_store(from: &Path, to: &Path) -> String {
    let mut content = content(from);
    let summary = content.remove("summary.txt").unwrap();
    write(to, &content);
    summary
}

fn write(store: &Path, content: &Content) {
    fs::create_dir_all(store.join("documents")).unwrap();
    for (name, text) in content {
        fs::write(store.join(name), text).unwrap();
    }
}

/// Writes a store with every kind of record, in several segments.
fn write_store(path: &Path) -> Rollout {
    let clock = clock();
    let rollout = begin(Directory::create(path).unwrap(), &clock).unwrap();
    for (index, step) in steps_with_segments().iter().enumerate() {
        step(&rollout, &clock).unwrap_or_else(|error| panic!("step {index}: {error}"));
    }
    // The last state has a reading, a signature, a removed flag, and a freeze.
    let value = Some(Quantity::parse("0.2%", Unit::Percent).unwrap());
    rollout.by("metrics").measure("search", "error_rate", value, Some(900)).unwrap();
    rollout.by("ana").sign("search", "load-test", Some("run 3")).unwrap();
    let document = super::story::DOCUMENT.replace("< 1%", "< 0.9%");
    let (without_other, _) = document.split_once("[flags.other]").unwrap();
    rollout.by("ana").update(without_other).unwrap();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    rollout.by("ana").hold_all("holidays", Some(end)).unwrap();
    rollout.by("ana").begin_segment().unwrap();
    rollout
}

/// Describes what a store says: every record as text, and the state of every flag.
fn summary(rollout: &Rollout) -> String {
    let records = rollout.records(1).unwrap();
    let mut lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    let flags = rollout.status().flags;
    lines.extend(flags.iter().map(|flag| serde_json::to_string(&flag.state).unwrap()));
    lines.extend(standing(rollout));
    lines.join("\n") + "\n"
}

#[test]
fn this_program_writes_the_store_of_its_format_byte_for_byte() {
    let path = temporary("format");
    let rollout = write_store(&path);
    let expected = stores().join(format!("format-{}", rollout.format()));
    let (mut found, summary) = (content(&path), summary(&rollout));
    found.insert("summary.txt".to_owned(), summary);
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        let _ = fs::remove_dir_all(&expected);
        write(&expected, &found);
    }
    let expected = content(&expected);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, text) in &found {
        assert!(*text == expected[name], "{name} is not as on record; found:\n{text}");
    }
    for part in
        ["\"removed\":{", "\"freeze\":{", "\"incident\":{", "\"signatures\":{", "\"evidence\":{"]
    {
        assert!(expected.values().any(|text| text.contains(part)), "{part}");
    }
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn the_store_of_every_format_opens_says_the_same_and_goes_on() {
    let mut formats = 0;
    for entry in fs::read_dir(stores()).unwrap() {
        let original = entry.unwrap().path();
        let path = temporary("format-copy");
        drop(Directory::create(&path).unwrap());
        let expected = copy_store(&original, &path);
        let read = |options: RolloutOptions| {
            Rollout::open_with(Directory::read_only(&path).unwrap(), clock(), &options).unwrap()
        };
        let read_all = || read(RolloutOptions::new().read_all_segments());
        assert_eq!(summary(&read_all()), expected, "{}", original.display());
        assert_eq!(summary(&read(RolloutOptions::new())), expected);

        let rollout = Rollout::open(Directory::open(&path).unwrap(), clock()).unwrap();
        rollout.by("ana").resume_all(Some("back")).unwrap();
        let format = rollout.format();
        assert_eq!(original.file_name().unwrap(), &*format!("format-{format}"));
        // Another segment has the same format, so that programs of the older version can go on.
        rollout.by("ana").begin_segment().unwrap();
        assert_eq!(rollout.format(), format);
        assert_eq!(rollout.by("ana").upgrade().unwrap().is_some(), format < FORMATS);
        assert_eq!(rollout.format(), FORMATS);
        rollout.by("ben").hold_all("look at it", None).unwrap();
        let again = read_all();
        assert_eq!(again.format(), FORMATS);
        assert_eq!(standing(&again), standing(&rollout));
        fs::remove_dir_all(&path).unwrap();
        formats += 1;
    }
    assert_eq!(formats, FORMATS);
}

/// Appends a line with a valid hash after the last record, and opens the rollout.
fn open_after(what: &str) -> (Memory, Result<Rollout, RolloutError>) {
    open_after_with(what, None)
}

/// As [`open_after`]. The line may name another document.
fn open_after_with(what: &str, document: Option<&str>) -> (Memory, Result<Rollout, RolloutError>) {
    let (mut store, clock) = (Memory::new(), clock());
    let rollout = begin(store.clone(), &clock).unwrap();
    rollout.by("ana").promote("search").unwrap();
    let (last, before) = rollout.status().head;
    let document = match document {
        None => rollout.status().document,
        Some(other) => {
            let mut of_other = Memory::new();
            let other = Rollout::start(of_other.clone(), clock.clone(), other, "eve").unwrap();
            let hash = other.status().document;
            store.keep(&hash.to_string(), &of_other.document(&hash.to_string()).unwrap()).unwrap();
            hash
        }
    };
    let body = format!(
        r#"{{"seq":{},"at":"2026-01-05T09:00:00.000Z","boot":"manual-0","up":0,"time":0,"by":"eve","doc":"{document}",{what}"#,
        last + 1
    );
    let hash = Hash::of(&[&super::segments::hex(&before.to_string()), body.as_bytes()].concat());
    store.append(last + 1, format!("{body},\"hash\":\"{hash}\"}}\n").as_bytes()).unwrap();
    let opened = Rollout::open(store.clone(), clock);
    (store, opened)
}

#[test]
fn a_fact_of_a_later_version_that_may_be_skipped_is_kept_and_changes_nothing() {
    let (mut store, opened) =
        open_after(r#""skip":true,"what":{"painted":{"colour":"red","deep":[1,{"x":null}]}}"#);
    let rollout = opened.unwrap();
    assert_eq!(
        rollout.records(3).unwrap()[0].to_string(),
        "#3 2026-01-05T09:00:00Z eve: `painted`, which a newer version of stagegate has written"
    );
    assert_eq!(
        standing(&rollout),
        ["other: off off by off", "search: internal running by internal"]
    );
    rollout.by("ana").hold("search", "wait").unwrap();
    rollout.by("ana").begin_segment().unwrap();
    let all = RolloutOptions::new().read_all_segments();
    let again = Rollout::open_with(store.clone(), clock(), &all).unwrap();
    assert_eq!(standing(&again), standing(&rollout));

    // A copy has the same bytes.
    let (mut reading, mut writing) = (Journal::new(), Journal::new());
    for line in store.read(1).unwrap().split_inclusive(|byte| *byte == b'\n') {
        let record = reading.read(&line[..line.len() - 1]).unwrap();
        let (_, bytes) = writing.encode(record.clone());
        assert_eq!(bytes, line);
        writing.advance(&record, &bytes);
    }
}

#[test]
fn a_record_of_a_later_version_that_may_matter_is_refused_and_says_so() {
    let flag = r#""flag":"search","from":"internal","to":"internal""#;
    for (what, expected) in [
        (
            r#""what":{"painted":{}}"#.to_owned(),
            "a newer version of stagegate wrote it: `painted` is unknown to this one. Install the newer version",
        ),
        // A fact that this version knows always matters.
        (
            format!(r#"{flag},"skip":true,"what":{{"held":{{"why":"x","until":7}}}}"#),
            "a newer version of stagegate wrote it: unknown field `until`, expected `why` at line 1 column ",
        ),
        (
            format!(r#"{flag},"skip":true,"what":{{"rolled_back":{{"cause":{{"moon":{{}}}}}}}}"#),
            "a newer version of stagegate wrote it: unknown variant `moon`, expected one of ",
        ),
        (
            format!(r#"{flag},"skip":true,"what":{{"held":{{}}}}"#),
            "it is not a valid record: missing field `why` at line 1 column ",
        ),
        (
            r#""skip":true,"what":{"painted":{},"varnished":{}}"#.to_owned(),
            "it is not a valid record: ",
        ),
    ] {
        let error = open_after(&what).1.unwrap_err();
        assert!(error.is_damaged());
        let error = error.to_string();
        let found = error.strip_prefix("(memory): line 3 of the journal, byte ").unwrap();
        let (_, found) = found.split_once(": ").unwrap();
        assert!(found.starts_with(expected), "{found}");
        assert!(found.ends_with("; nothing was changed"), "{found}");
    }
}

/// The document decides who has a flag, so it always matters.
#[test]
fn a_fact_of_a_later_version_that_changes_the_document_is_refused() {
    let painted = r#""skip":true,"what":{"painted":{}}"#;
    let other = "schema = 1\n[flags.search]";
    let error = open_after_with(painted, Some(other)).1.unwrap_err();
    assert!(error.is_damaged());
    assert_eq!(
        error.to_string(),
        "(memory): line 3 contradicts the lines before it: `painted` is unknown, but changes the document"
    );
}
