//! The journal is cut into segments. A rollout opens from the last one, with the state at its beginning.

use std::fs;
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::rollout::{
    Fact, Hash, Record, Rollout, RolloutError, RolloutOptions, Store, StoreError,
};
use stagegate::store::{Directory, Memory};

use super::disk::Disk;
use super::story::{STEPS, begin, clock, standing, steps_with_segments};

/// Everything that the status says of the flags, except texts with the number of the next record.
fn details(rollout: &Rollout) -> String {
    let status = rollout.status();
    let flags = status.flags.iter();
    flags.map(|it| format!("{:?} {:?} {:?}\n", it.state, it.unmet, it.time_in_stage)).collect()
}

fn run(rollout: &Rollout, clock: &ManualClock, steps: &[super::story::Step]) {
    for (index, step) in steps.iter().enumerate() {
        step(rollout, clock).unwrap_or_else(|error| panic!("step {index}: {error}"));
    }
}

#[test]
fn a_rollout_opened_from_a_segment_equals_one_that_read_everything() {
    for cut in 0..=STEPS.len() {
        let (store, clock) = (Memory::new(), clock());
        let rollout = begin(store.clone(), &clock).unwrap();
        run(&rollout, &clock, &STEPS[..cut]);
        let first = rollout.by("ana").begin_segment().unwrap().seq;
        store.clone().remove_segments_before(first).unwrap();

        let again = Rollout::open(store, clock.clone()).unwrap();
        assert_eq!(details(&again), details(&rollout), "after {cut} steps");
        assert_eq!(again.status().head, rollout.status().head);
        run(&again, &clock, &STEPS[cut..]);
        rollout.refresh().unwrap();
        assert_eq!(details(&again), details(&rollout), "after {cut} steps and the rest");
        assert_eq!(
            standing(&again),
            ["other: off rolled back by off", "search: internal rolled back by internal"]
        );
    }
}

/// A removed flag keeps its hold, also across segments. Its definition is in an earlier document.
#[test]
fn a_flag_that_was_removed_in_an_earlier_segment_comes_back_held() {
    let (store, clock) = (Memory::new(), clock());
    let with = "schema = 1\n[flags.a]\nstage = \"ga\"\n[flags.b]\nstage = \"pilot\"";
    let without = "schema = 1\n[flags.a]\nstage = \"ga\"";
    let rollout = Rollout::start(store.clone(), clock.clone(), with, "ana").unwrap();
    rollout.by("ana").hold("b", "wait for legal").unwrap();
    rollout.by("ana").update(without).unwrap();
    let first = rollout.by("ana").begin_segment().unwrap().seq;
    store.clone().remove_segments_before(first).unwrap();

    let again = Rollout::open(store, clock).unwrap();
    again.by("ana").update(with).unwrap();
    assert_eq!(again.report("b").unwrap().state.hold.unwrap().why, "wait for legal".into());
}

fn stages_at(rollout: &Rollout, moment: SystemTime) -> Option<Vec<(String, String)>> {
    let past = rollout.at(moment).ok()?;
    let flags = past.flags.iter();
    Some(
        flags
            .map(|(key, state)| {
                (key.to_string(), format!("{} {:?}", state.stage, state.progress()))
            })
            .collect(),
    )
}

#[test]
fn the_past_is_the_same_with_and_without_segments() {
    let (whole, cut) = (clock(), clock());
    let one = begin(Memory::new(), &whole).unwrap();
    run(&one, &whole, STEPS);
    let disk = Disk::new();
    let many = begin(disk.create().unwrap(), &cut).unwrap();
    run(&many, &cut, &steps_with_segments());

    let records = many.records(1).unwrap();
    assert_eq!(records.len() as u64, many.status().head.0);
    for from in 1..=records.len() + 1 {
        assert_eq!(many.records(from as u64).unwrap(), records[from - 1..], "from {from}");
    }
    let is_segment = |record: &&Record| matches!(record.fact, Fact::Continued { .. });
    assert_eq!(records.iter().filter(is_segment).count(), STEPS.len().div_ceil(15));
    let (minute, begun) = (Duration::from_secs(60), records[0].at);
    for moment in records.iter().flat_map(|it| [it.at - minute, it.at, it.at + minute]) {
        let found = stages_at(&many, moment);
        assert_eq!(found, stages_at(&one, moment));
        assert_eq!(found.is_none(), moment < begun);
    }
}

/// Replaces a text in a line of a journal, and computes the hashes from that line on again.
fn forge(journal: &str, line: &str, change: (&str, &str)) -> String {
    let (mut forged, mut before) = (String::new(), vec![0; 32]);
    for text in journal.lines() {
        let text = if text.contains(line) {
            text.replacen(change.0, change.1, 1)
        } else {
            text.to_owned()
        };
        let (body, _) = text.rsplit_once(",\"hash\":\"").unwrap();
        let hash = Hash::of(&[&before[..], body.as_bytes()].concat()).to_string();
        before = hex(&hash);
        forged += &format!("{body},\"hash\":\"{hash}\"}}\n");
    }
    forged
}

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let bytes = (0..digits.len()).step_by(2);
    bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// Whoever opens from the last segment trusts the state at its beginning. Whoever reads the records before it does not.
#[test]
fn a_state_that_does_not_follow_from_the_records_before_it_is_damage() {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begin(disk.create().unwrap(), &clock).unwrap();
    rollout.by("ana").promote("search").unwrap();
    let promoted = String::from_utf8(disk.journal()).unwrap();
    rollout.by("ana").begin_segment().unwrap();
    let segment = String::from_utf8(disk.journal()).unwrap()[promoted.len()..].to_owned();

    // Memory keeps both segments, and lets the test write what it wants.
    let open = |lines: &str| {
        let mut store = Memory::new();
        let document = rollout.status().document.to_string();
        let content = disk.file(&format!("store/documents/{document}.json")).unwrap();
        store.keep(&document, &content).unwrap();
        for (line, number) in lines.split_inclusive('\n').zip(1..) {
            let begins = line.contains("continued");
            match begins {
                true => store.begin_segment(number, line.as_bytes()).unwrap(),
                false => store.append(number, line.as_bytes()).unwrap(),
            }
        }
        let all = RolloutOptions::new().read_all_segments();
        let open = |options| Rollout::open_with(store.clone(), clock.clone(), options);
        (open(&RolloutOptions::new()), open(&all))
    };
    let (last, all) = open(&(promoted.clone() + &segment));
    assert_eq!(standing(&last.unwrap()), standing(&all.unwrap()));

    let changed =
        forge(&(promoted + &segment), "continued", ("\"stage\":\"internal\"", "\"stage\":\"ga\""));
    let (_, all) = open(&changed);
    let error = all.unwrap_err();
    assert!(error.is_damaged());
    assert_eq!(
        error.to_string(),
        "(memory): line 3 contradicts the lines before it: the state that it holds does not follow from them"
    );
}

#[test]
fn every_flipped_bit_of_a_state_is_found_on_opening() {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begin(disk.create().unwrap(), &clock).unwrap();
    run(&rollout, &clock, &STEPS[..10]);
    rollout.by("ana").begin_segment().unwrap();
    rollout.by("ana").hold("search", "wait").unwrap();
    let (head, name) = (
        rollout.status().head.0,
        format!("store/journal-{:012}.jsonl", rollout.status().head.0 - 1),
    );
    let segment = disk.file(&name).unwrap();
    for bit in 0..segment.len() * 8 {
        let mut flipped = segment.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let left = disk.copy();
        left.set_file(&name, &flipped);
        let opened = left.open().and_then(|store| {
            Rollout::open(store, clock.clone()).map_err(|error| StoreError::io(error.to_string()))
        });
        // Without its last line end, the last line is one that was never acknowledged.
        let is_lost = bit / 8 == segment.len() - 1
            && opened.as_ref().is_ok_and(|it| it.status().head.0 == head - 1);
        assert!(opened.is_err() || is_lost, "bit {bit}");
    }
}

/// A segment is written as a whole, so this is no crash. It once made a reader look for the next segment for ever.
#[test]
fn a_segment_that_is_cut_off_in_its_first_line_is_damage() {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begin(disk.create().unwrap(), &clock).unwrap();
    rollout.by("ana").begin_segment().unwrap();
    let name = "store/journal-000000000002.jsonl";
    let segment = disk.file(name).unwrap();
    for cut in (0..segment.len()).step_by(50).chain([segment.len() - 1]) {
        let left = disk.copy();
        left.set_file(name, &segment[..cut]);
        let opened = left.open();
        let error = match opened {
            Ok(store) => Rollout::open(store, clock.clone()).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        let expected = match cut {
            0 => "store: the segment that begins with line 2 is empty".to_owned(),
            _ => format!(
                "`{name}` is damaged: line 2: it is incomplete, although a segment is written as a whole. The file was \
                 not modified"
            ),
        };
        assert_eq!(error, expected, "{cut}");
        assert_eq!(left.file(name).unwrap(), segment[..cut]);
    }
}

/// A store that fails to begin segments, and counts the attempts.
#[derive(Debug)]
struct OneSegment(Memory, std::sync::Arc<std::sync::Mutex<Vec<u64>>>);

impl Store for OneSegment {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.0.read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.0.append(number, line)
    }

    fn begin_segment(&mut self, number: u64, _: &[u8]) -> Result<(), StoreError> {
        self.1.lock().unwrap().push(number);
        Err(StoreError::io("no space left"))
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.0.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.0.document(hash)
    }

    fn label(&self) -> String {
        "(one segment)".to_owned()
    }
}

fn hold_and_resume(rollout: &Rollout, times: usize) -> Result<(), RolloutError> {
    (0..times).try_for_each(|_| {
        rollout.by("ana").hold("search", "wait")?;
        rollout.by("ana").resume("search", None).map(drop)
    })
}

#[test]
fn a_long_segment_is_followed_by_another_one() {
    let (store, clock) = (Memory::new(), clock());
    let options = RolloutOptions::new().segment_bytes(20_000);
    let rollout =
        Rollout::start_with(store.clone(), clock.clone(), super::story::DOCUMENT, "ana", &options)
            .unwrap();
    hold_and_resume(&rollout, 200).unwrap();
    let records = rollout.records(1).unwrap();
    let is_segment = |record: &&Record| matches!(record.fact, Fact::Continued { .. });
    let begins: Vec<u64> = records.iter().filter(is_segment).map(|record| record.seq).collect();
    assert!(begins.len() > 4, "{begins:?}");
    for pair in [1].iter().chain(&begins).zip(&begins) {
        let lines = store.clone().read(*pair.0).unwrap();
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', &lines).collect();
        let bytes = ends[usize::try_from(pair.1 - pair.0).unwrap() - 1];
        assert!((20_000..24_000).contains(&bytes), "{bytes}");
    }
    let again = Rollout::open(store, clock).unwrap();
    assert_eq!(details(&again), details(&rollout));
}

/// It would otherwise write the whole state again and again.
#[test]
fn a_segment_that_cannot_begin_is_tried_again_when_the_journal_has_grown_by_half() {
    let attempts = std::sync::Arc::default();
    let store = OneSegment(Memory::new(), std::sync::Arc::clone(&attempts));
    let options = RolloutOptions::new().segment_bytes(20_000);
    let rollout =
        Rollout::start_with(store, clock(), super::story::DOCUMENT, "ana", &options).unwrap();
    hold_and_resume(&rollout, 300).unwrap();
    let attempts = attempts.lock().unwrap().clone();
    assert!((3..7).contains(&attempts.len()), "{attempts:?}");
    assert!(attempts.windows(2).all(|pair| pair[1] > pair[0] + pair[0] / 3), "{attempts:?}");
}

/// A store whose segments are archived by another process just after this process has asked where to begin.
#[derive(Debug)]
struct ArchivedMeanwhile(Memory, Option<Rollout>);

impl Store for ArchivedMeanwhile {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.0.read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.0.append(number, line)
    }

    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        let begin = self.0.segment_of(number);
        if let Some(other) = self.1.take() {
            let first = other.by("ana").begin_segment().unwrap().seq;
            self.0.remove_segments_before(first).unwrap();
        }
        begin
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.0.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.0.document(hash)
    }

    fn label(&self) -> String {
        self.0.label()
    }
}

/// Opening once failed in that case, and a second attempt succeeded.
#[test]
fn a_rollout_opens_while_its_segments_are_archived() {
    let store = Memory::new();
    let other = begin(store.clone(), &clock()).unwrap();
    other.by("ana").promote("search").unwrap();
    let opened = Rollout::open(ArchivedMeanwhile(store, Some(other.clone())), clock()).unwrap();
    assert_eq!(standing(&opened), standing(&other));
    assert_eq!(opened.first_record().unwrap(), 3);
}

/// A process that stood still finds that the records it needs are in an archive.
#[test]
fn a_process_that_fell_behind_an_archive_continues_from_the_last_segment() {
    let path = std::env::temp_dir().join(format!("stagegate-behind-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    let rollout = begin(Directory::create(&path).unwrap(), &clock()).unwrap();
    let behind = Rollout::open(Directory::open(&path).unwrap(), clock()).unwrap();
    let reader = Rollout::open(Directory::read_only(&path).unwrap(), clock()).unwrap();
    rollout.by("ana").promote("search").unwrap();
    let first = rollout.by("ana").begin_segment().unwrap().seq;
    Directory::open(&path).unwrap().remove_segments_before(first).unwrap();

    for process in [&behind, &reader] {
        process.refresh().unwrap();
        assert_eq!(standing(process), standing(&rollout));
    }
    // Acting works as well, from a process that has read nothing since.
    behind.by("ben").hold("search", "wait").unwrap();
    rollout.refresh().unwrap();
    assert_eq!(details(&behind), details(&rollout));
    let error = behind.records(1).unwrap_err().to_string();
    let path_shown = path.display();
    assert_eq!(
        error,
        format!("{path_shown}: lines 1 to 2 of the journal were moved to an archive")
    );
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_watcher_sees_the_lines_of_the_next_segment() {
    let path = std::env::temp_dir().join(format!("stagegate-watched-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    let rollout = begin(Directory::create(&path).unwrap(), &clock()).unwrap();
    let mut other = Directory::open(&path).unwrap();
    let mut watcher = other.watcher().unwrap();
    assert!(!watcher.wait(1, Duration::ZERO).unwrap());
    for beyond in [1, 2, 4] {
        rollout.by("ana").begin_segment().unwrap();
        assert!(watcher.wait(beyond, Duration::ZERO).unwrap(), "{beyond}");
        assert!(!watcher.wait(beyond + 1, Duration::ZERO).unwrap(), "{beyond}");
        if beyond == 2 {
            rollout.by("ana").hold("search", "wait").unwrap();
        }
    }
    fs::remove_dir_all(&path).unwrap();
}

/// The file of intents still has a rollback that was recorded, because the process died before it cleared the file. The
/// record may be in an earlier segment.
#[test]
fn a_rollback_of_an_earlier_segment_is_not_rolled_back_again() {
    let path = std::env::temp_dir().join(format!("stagegate-old-intents-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    let (disk, clock) = (Disk::new(), clock());
    let options = RolloutOptions::new().keep_intents_in(&path);
    let rollout = Rollout::start_with(
        disk.create().unwrap(),
        clock.clone(),
        super::story::DOCUMENT,
        "ana",
        &options,
    )
    .unwrap();
    rollout.by("ana").promote("search").unwrap();
    disk.fail(1, super::disk::Fault::Forever);
    rollout.by("ben").roll_back("search", "slow").unwrap();
    let intents = fs::read(&path).unwrap();
    disk.repair();
    assert!(rollout.tick().error.is_none());
    for text in ["one", "two"] {
        rollout.by("ben").close("search", text).ok();
        rollout.by("ana").begin_segment().unwrap();
    }
    rollout.by("ana").step("search", Some("nobody has it")).unwrap();
    drop(rollout);

    fs::write(&path, intents).unwrap();
    let head = Rollout::open(disk.copy().open().unwrap(), clock.clone()).unwrap().status().head;
    let again = Rollout::open_with(disk.copy().open().unwrap(), clock, &options).unwrap();
    assert!(again.status().unrecorded.is_empty());
    assert_eq!(again.status().head, head);
    let _ = fs::remove_file(&path);
}
