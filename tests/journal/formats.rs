//! The stores of every version of the journal's format, as a program of that version has written them. Each must open
//! for ever. The store of the present version must also be what this program writes, byte for byte.
//!
//! `STAGEGATE_BLESS=1` writes the store of the present version again. Do that only while no release has this version.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{Fact, Rollout, RolloutOptions};
use stagegate::store::Directory;

use super::story::{begin, clock, standing, steps_with_segments};

/// The content of each file of a store, by its path in the store.
type Content = BTreeMap<String, String>;

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

fn format_of(rollout: &Rollout) -> u32 {
    match rollout.records(1).unwrap()[0].fact {
        Fact::Opened { journal, .. } => journal,
        ref other => panic!("{other:?}"),
    }
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
    let expected = stores().join(format!("format-{}", format_of(&rollout)));
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
        let mut content = content(&original);
        let expected = content.remove("summary.txt").unwrap();
        let path = temporary("format-copy");
        // The test data is readable for others. `write` creates private files below a private directory.
        drop(Directory::create(&path).unwrap());
        write(&path, &content);
        let read = |options: RolloutOptions| {
            Rollout::open_with(Directory::read_only(&path).unwrap(), clock(), &options).unwrap()
        };
        let read_all = || read(RolloutOptions::new().read_all_segments());
        assert_eq!(summary(&read_all()), expected, "{}", original.display());
        assert_eq!(summary(&read(RolloutOptions::new())), expected);

        let rollout = Rollout::open(Directory::open(&path).unwrap(), clock()).unwrap();
        rollout.by("ana").resume_all(Some("back")).unwrap();
        rollout.by("ana").begin_segment().unwrap();
        assert_eq!(standing(&read_all()), standing(&rollout));
        fs::remove_dir_all(&path).unwrap();
        formats += 1;
    }
    assert_eq!(formats, 1);
}
