//! Damage anywhere but at the end of the journal is reported. It is never read as other records, and the file is not
//! changed.

use proptest::prelude::*;

use stagegate::rollout::{Journal, Rollout, RolloutError};

use super::disk::Disk;
use super::golden::run_story;
use super::story::clock;

/// Returns a journal of at least 100 records, and its disk.
fn hundred() -> (Disk, Vec<u8>) {
    let (disk, rollout) = run_story();
    while rollout.status().head.0 < 100 {
        rollout.by("ana").sign("search", "load-test", None).unwrap();
    }
    drop(rollout);
    let journal = disk.journal();
    (disk, journal)
}

fn open(disk: &Disk) -> Result<Rollout, RolloutError> {
    let store = disk.open().map_err(|error| error.to_string());
    match store {
        Ok(store) => Rollout::open(store, clock()),
        Err(message) => panic!("{message}"),
    }
}

/// Opens a directory with this journal and returns the error. Checks that the files do not change.
fn refused(disk: &Disk, journal: &[u8]) -> String {
    disk.set_journal(journal);
    let before = disk.files();
    let message = match disk.open() {
        Err(error) => {
            assert!(error.is_damaged(), "{error}");
            error.to_string()
        }
        Ok(store) => {
            let error = Rollout::open(store, clock()).unwrap_err();
            assert!(error.is_damaged(), "{error}");
            error.to_string()
        }
    };
    assert_eq!(disk.files(), before, "opening the damaged store changed a file");
    message
}

/// Returns for each line the codec's state before it, and its offset.
fn prefixes(journal: &[u8]) -> Vec<(Journal, usize)> {
    let (mut codec, mut at) = (Journal::new(), 0);
    let mut prefixes = Vec::new();
    for line in journal.split_inclusive(|byte| *byte == b'\n') {
        prefixes.push((codec.clone(), at));
        codec.read(&line[..line.len() - 1]).unwrap();
        at += line.len();
    }
    prefixes
}

#[test]
fn every_single_bit_flip_of_a_hundred_records_is_detected() {
    let (disk, journal) = hundred();
    let prefixes = prefixes(&journal);
    assert!(prefixes.len() >= 100);
    let mut flips = 0;
    for byte in 0..journal.len() {
        let place = prefixes.partition_point(|(_, begin)| *begin <= byte) - 1;
        let (codec, begin) = &prefixes[place];
        for bit in 0..8 {
            let mut flipped = journal[*begin..].to_vec();
            flipped[byte - begin] ^= 1 << bit;
            // Find the end of the line again: the flip may have created or removed a line end.
            let end = flipped.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let damage = codec.clone().read(&flipped[..end]).unwrap_err();
                assert_eq!((damage.line, damage.offset), (place as u64 + 1, *begin as u64));
            }
            // Open the directory for some of the flips, and for all flips that leave no line end.
            if end.is_none() || (byte * 8 + bit) % 4_001 == 0 {
                refused(&disk, &[&journal[..*begin], &flipped].concat());
            }
            flips += 1;
        }
    }
    assert_eq!(flips, journal.len() * 8);
}

#[test]
fn lost_swapped_repeated_and_zeroed_lines_are_reported_by_number() {
    let (disk, journal) = hundred();
    let lines: Vec<&[u8]> = journal.split_inclusive(|byte| *byte == b'\n').collect();
    let told = |lines: &[&[u8]]| refused(&disk, &lines.concat());
    for at in [1, 40, lines.len() - 2] {
        let mut lost = lines.clone();
        lost.remove(at);
        let mut swapped = lines.clone();
        swapped.swap(at, at - 1);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at - 1]);
        let zeros = vec![0; lines[at].len() - 1];
        let zeroed = [&zeros[..], b"\n"].concat();
        let mut emptied = lines.clone();
        emptied[at] = &zeroed;
        let number = |it: String, line: usize| {
            assert!(it.contains(&format!("line {line} of the journal")), "{it}");
        };
        number(told(&lost), at + 1);
        number(told(&swapped), at);
        number(told(&doubled), at + 1);
        number(told(&emptied), at + 1);
    }
    // Without its last lines, a journal is still valid. Only the noted number and hash of its head can show
    // the loss.
    disk.set_journal(&lines[..50].concat());
    assert_eq!(open(&disk).unwrap().status().head.0, 50);
}

#[test]
fn damage_has_its_exact_errors() {
    let (disk, journal) = hundred();
    let text = String::from_utf8(journal.clone()).unwrap();
    let offset = text.find("\"held\"").unwrap();
    let begin = text[..offset].rfind('\n').unwrap() + 1;
    let changed = text.replacen("wait for legal", "wait for lunch", 1);
    assert_eq!(
        refused(&disk, changed.as_bytes()),
        format!(
            "store: line 3 of the journal, byte {begin}: its hash does not fit: it, or a line \
             before it, was changed; nothing was changed"
        )
    );
    let wordy = text.replacen("\n", "\nhello\n", 1);
    assert_eq!(
        refused(&disk, wordy.as_bytes()),
        format!(
            "store: line 2 of the journal, byte {}: it does not end with a hash; nothing was changed",
            text.find('\n').unwrap() + 1
        )
    );
    let joined = &text[..text.len() - 1];
    let lines = text.lines().count();
    assert_eq!(
        refused(&disk, format!("{joined}x").as_bytes()),
        format!(
            "`store/journal.jsonl` is damaged: line {lines}: its line end was changed. The file was not modified"
        )
    );
    // A torn end is not cut off if an earlier line is damaged.
    let torn = &changed[..changed.len() - 10];
    assert!(
        refused(&disk, torn.as_bytes()).starts_with("`store/journal.jsonl` is damaged: line 3,")
    );
}

/// A line with a valid hash and an unknown format, as a later version may write.
#[test]
fn lines_with_a_valid_hash_and_an_invalid_format_are_reported() {
    let (disk, journal) = hundred();
    let text = String::from_utf8(journal).unwrap();
    let first = text.lines().next().unwrap();
    let (body, _) = first.rsplit_once(",\"hash\":\"").unwrap();
    let told = |changed: String| {
        let hash = stagegate::rollout::Hash::of(&[&[0; 32], changed.as_bytes()].concat());
        refused(&disk, format!("{changed},\"hash\":\"{hash}\"}}\n").as_bytes())
    };
    for (from, to, expected) in [
        ("\"seq\":1", "\"seq\":2", "it is record 2, where 1 should be"),
        (
            "\"journal\":2",
            "\"journal\":3",
            "its format is version 3; this program reads versions up to 2. Install a newer version of stagegate",
        ),
        (
            "\"journal\":2",
            "\"journal\":0",
            "its format is version 0; this program reads versions up to 2. Install a newer version of stagegate",
        ),
        ("2026-01-05T", "2026-13-05T", "its `at` is not a time: \"2026-13-05T09:00:00.000Z\""),
        ("\"other\",\"stage\":\"off\"", "\"other\",\"stage\":\"..\"", "it is not a valid record: "),
        (
            "\"opened\"",
            "\"closed\"",
            "a newer version of stagegate wrote it: unknown field `journal`, expected `note`",
        ),
        ("{\"opened\":", "{\"held\":{\"why\":\"x\"},\"opened\":", "it is not a valid record: "),
        (
            "\"by\":\"ana\"",
            "\"by\":\"ana\",\"by\":\"ben\"",
            "it is not a valid record: duplicate field `by`",
        ),
        (
            "\"by\":\"ana\"",
            "\"by\":\"ana\",\"on\":1",
            "it is not a valid record: unknown field `on`",
        ),
        ("\"doc\":\"", "\"doc\":\"f", "its `doc` is not a hash"),
        (
            "\"doc\":",
            "\"sig\":\"00\",\"doc\":",
            "its `sig` is not 128 hexadecimal digits before its hash",
        ),
    ] {
        assert!(body.contains(from), "{body}");
        let message = told(body.replacen(from, to, 1));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_lost_or_changed_document_is_reported() {
    let (disk, _) = run_story();
    let names: Vec<_> = disk
        .files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    assert_eq!(names.len(), 2);
    for name in names {
        let broken = disk.copy();
        let mut files: Box<dyn stagegate::store::Files> = Box::new(broken.clone());
        let mut file = files.open(&name, false).unwrap();
        file.write_at(40, b"x").unwrap();
        let error = Rollout::open(broken.open().unwrap(), clock()).unwrap_err();
        assert!(error.is_damaged(), "{error}");
        assert!(error.to_string().ends_with(": its content does not match its hash"), "{error}");
        files.rename(&name, std::path::Path::new("gone")).unwrap();
        let error = Rollout::open(broken.open().unwrap(), clock()).unwrap_err();
        let expected = format!("store: there is no document `{}`", name.display());
        assert_eq!(error.to_string(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Random bytes are an error. They neither cause a panic nor count as a record.
    #[test]
    fn random_bytes_are_never_read_as_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut journal = Journal::new();
        prop_assert!(journal.read(&bytes).is_err());
        prop_assert_eq!(journal.head().0, 0);
    }

    #[test]
    fn a_patched_line_is_never_read_as_a_record(
        at in any::<proptest::sample::Index>(),
        len in 0usize..40,
        patch in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (disk, _) = run_story();
        let journal = disk.journal();
        let begin = at.index(journal.len());
        let end = (begin + len).min(journal.len());
        let patched = [&journal[..begin], &patch, &journal[end..]].concat();
        disk.set_journal(&patched);
        let Ok(store) = disk.open() else { return Ok(()) };
        let Ok(rollout) = Rollout::open(store, clock()) else { return Ok(()) };
        // Recovery only cuts off an end, so the rest is a prefix of the original journal.
        let left = disk.journal();
        prop_assert!(journal.starts_with(&left));
        prop_assert_eq!(rollout.status().head.0, left.iter().filter(|byte| **byte == b'\n').count() as u64);
    }
}
