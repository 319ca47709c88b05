//! Unrecorded rollbacks survive the process in the intents file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use stagegate::clock::ManualClock;
use stagegate::rollout::{Rollout, RolloutOptions};
use stagegate::store::{Directory, Memory};

use super::faulty::{Faults, Faulty};
use super::{HOUR, assert_same_after_reopen, monday};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "all", percent = 100 }]
triggers = [{ incident = "security", action = "rollback" }]
[flags.b]
stages = [{ name = "one", percent = 1 }, { name = "all", percent = 100 }]
"#;

/// A temporary directory for the intents file of one test.
struct IntentsDirectory(PathBuf);

impl IntentsDirectory {
    fn new(name: &str) -> IntentsDirectory {
        let name = format!("stagegate-intents-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        IntentsDirectory(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("intents")
    }

    fn options(&self) -> RolloutOptions {
        RolloutOptions::new().keep_intents_in(self.file())
    }

    /// Returns the names of all files in the directory except locks.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(&self.0).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

impl Drop for IntentsDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a rollout with both flags at 100%, then makes the store fail.
fn start_rollout(place: &IntentsDirectory) -> (Rollout, Arc<Faults>, Memory, ManualClock) {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let (store, faults) = Faulty::on(&memory);
    let options = place.options();
    let rollout = Rollout::start_with(store, clock.clone(), DOCUMENT, "ana", &options).unwrap();
    rollout.by("ana").promote("a").unwrap();
    rollout.by("ana").force_to("b", "all", "hurry").unwrap();
    faults.dead(true);
    (rollout, faults, memory, clock)
}

fn lines(rollout: &Rollout, from: u64) -> Vec<String> {
    let records = rollout.records(from).unwrap();
    records.iter().map(|record| record.to_string().split_once("Z ").unwrap().1.to_owned()).collect()
}

fn is_on(rollout: &Rollout, flag: &str) -> bool {
    rollout.gate().is_enabled("user-1", flag)
}

#[test]
fn an_unrecorded_rollback_survives_the_process_that_made_it() {
    let place = IntentsDirectory::new("survives");
    let (rollout, _, memory, clock) = start_rollout(&place);
    assert!(rollout.by("ben").roll_back("a", "data loss").unwrap().unrecorded.is_some());
    assert!(rollout.by("ben").roll_back_to("b", "one", "slow").unwrap().unrecorded.is_some());
    assert_eq!(place.files(), ["intents"]);
    drop(rollout);

    // The store can be read again, but every append still fails.
    clock.advance(HOUR);
    let (store, faults) = Faulty::on(&memory);
    Faults::set(&faults.no_append, true);
    let again = Rollout::open_with(store, clock.clone(), &place.options()).unwrap();
    assert!(!is_on(&again, "a") && !is_on(&again, "b"), "the rollbacks are in force at once");
    assert_eq!(&*again.report("b").unwrap().serving, "one");
    assert_eq!(again.status().unrecorded, ["a".into(), "b".into()]);
    assert!(again.status().notices.is_empty());
    assert!(again.tick().error.is_some());
    assert_eq!(place.files(), ["intents"]);

    Faults::set(&faults.no_append, false);
    assert!(again.tick().error.is_none());
    assert_eq!(
        lines(&again, 4)[..2],
        ["ben: a: rolled back (data loss), all -> off", "ben: b: rolled back (slow), all -> one"]
    );
    // A query of the past counts the rollbacks from when they took effect.
    let past = again.at(monday()).unwrap();
    assert!(past.flags.iter().all(|(_, state)| state.stage != "all"));
    assert!(again.status().unrecorded.is_empty());
    assert!(place.files().is_empty(), "the file is removed");
    assert_same_after_reopen(&again, &memory, &clock);
}

#[test]
fn a_reported_incident_survives_the_process() {
    let place = IntentsDirectory::new("report");
    let (rollout, _, memory, clock) = start_rollout(&place);
    rollout.by("ben").report("a", "security", Some("keys")).unwrap();
    drop(rollout);
    let again = Rollout::open_with(memory, clock, &place.options()).unwrap();
    assert!(!is_on(&again, "a"));
    again.tick();
    assert_eq!(
        lines(&again, 4)[..2],
        [
            "ben: a: incident security reported (keys)",
            "ben: a: rolled back (incident security: keys), all -> off"
        ]
    );
}

#[test]
fn a_rollback_by_the_gate_survives_the_process() {
    let place = IntentsDirectory::new("gate");
    let (rollout, _, memory, clock) = start_rollout(&place);
    rollout.gate().roll_back("a").unwrap();
    drop(rollout);
    let again = Rollout::open_with(memory, clock, &place.options()).unwrap();
    assert!(!is_on(&again, "a"));
}

#[test]
fn a_rollback_is_in_the_intents_file_before_the_store_is_asked() {
    let place = IntentsDirectory::new("before");
    let (rollout, faults, _, _) = start_rollout(&place);
    faults.dead(false);
    let hung = faults.hang_append();
    let rolling_back = rollout.clone();
    let thread = thread::spawn(move || rolling_back.by("ben").roll_back("a", "slow").unwrap());
    hung.wait_until_called();
    assert!(!is_on(&rollout, "a"));
    let kept = fs::read_to_string(place.file()).unwrap();
    assert!(kept.contains(r#""flag":"a","by":"ben","to":"off""#), "{kept}");
    hung.go_on();
    assert_eq!(thread.join().unwrap().records.len(), 1);
    assert!(place.files().is_empty());
}

/// The process ended after it had written the record, and before it removed the rollback from the file.
#[test]
fn a_rollback_that_is_in_the_journal_is_not_repeated_from_the_intents_file() {
    let place = IntentsDirectory::new("again");
    let (rollout, faults, memory, clock) = start_rollout(&place);
    rollout.by("ben").roll_back("a", "slow").unwrap();
    let kept = fs::read(place.file()).unwrap();
    faults.dead(false);
    rollout.tick();
    rollout.by("ana").step("a", None).unwrap();
    rollout.by("ana").close("a", "found").unwrap();
    rollout.by("ana").promote("a").unwrap();
    drop(rollout);
    fs::write(place.file(), kept).unwrap();
    let again = Rollout::open_with(memory, clock, &place.options()).unwrap();
    assert!(is_on(&again, "a"));
    assert!(again.status().unrecorded.is_empty() && place.files().is_empty());
}

#[test]
fn a_damaged_intents_file_is_reported_and_its_sound_part_is_in_force() {
    let place = IntentsDirectory::new("damaged");
    let (rollout, _, memory, clock) = start_rollout(&place);
    rollout.by("ben").roll_back("a", "slow").unwrap();
    rollout.by("ben").roll_back("b", "slow").unwrap();
    drop(rollout);
    let kept = fs::read_to_string(place.file()).unwrap();
    fs::write(place.file(), kept.replace(r#""flag":"b""#, r#""flag":"c""#)).unwrap();
    let again = Rollout::open_with(memory, clock, &place.options()).unwrap();
    assert!(!is_on(&again, "a") && is_on(&again, "b"));
    let path = place.file();
    assert_eq!(
        again.status().notices,
        [format!(
            "intents `{0}`: it is damaged: 1 of 2 rollbacks can be read; the file is now `{0}.aside-1767603600000`. \
             Check which flags should be off",
            path.display()
        )]
    );
    assert_eq!(place.files(), ["intents", "intents.aside-1767603600000"]);
}

#[test]
fn a_file_with_other_content_is_reported_and_put_aside() {
    let place = IntentsDirectory::new("else");
    fs::write(place.file(), "my diary\n").unwrap();
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let options = place.options();
    let rollout = Rollout::start_with(memory, clock, DOCUMENT, "ana", &options).unwrap();
    let notices = rollout.status().notices;
    assert!(notices[0].contains("it does not begin with `stagegate-intents 1`"), "{notices:?}");
    assert_eq!(
        fs::read_to_string(place.0.join("intents.aside-1767603600000")).unwrap(),
        "my diary\n"
    );
}

#[test]
fn intents_of_another_rollout_roll_nothing_back() {
    let place = IntentsDirectory::new("other");
    let (rollout, ..) = start_rollout(&place);
    rollout.by("ben").roll_back("a", "slow").unwrap();
    drop(rollout);
    let clock = ManualClock::at(monday() + HOUR);
    let document = DOCUMENT.replace("[flags.a]", "[flags.a]\nstage = \"all\"");
    let options = place.options();
    let other = Rollout::start_with(Memory::new(), clock, document, "ana", &options).unwrap();
    assert!(is_on(&other, "a"));
    let notices = other.status().notices;
    assert!(
        notices[0].contains("it belongs to another rollout, so none of its rollbacks is in force"),
        "{notices:?}"
    );
    assert_eq!(place.files(), ["intents.aside-1767607200000"]);
}

#[test]
fn a_rollback_without_a_writable_intents_file_is_in_force_and_reported() {
    let place = IntentsDirectory::new("nowhere");
    let (rollout, _, _, _) = start_rollout(&place);
    fs::create_dir_all(place.0.join("intents.new/in the way")).unwrap();
    rollout.by("ben").roll_back("a", "slow").unwrap();
    assert!(!is_on(&rollout, "a"));
    let notices = rollout.status().notices;
    let begin = format!(
        "intents `{}` cannot be written, so a restart would lose unrecorded rollbacks: ",
        place.file().display()
    );
    assert!(notices[0].starts_with(&begin), "{notices:?}");
    // Once the file can be written, the notice disappears.
    fs::remove_dir_all(place.0.join("intents.new")).unwrap();
    rollout.tick();
    assert!(rollout.status().notices.is_empty());
    assert_eq!(place.files(), ["intents"]);
}

#[test]
fn an_intents_file_in_use_by_another_process_is_not_touched() {
    let place = IntentsDirectory::new("taken");
    let (rollout, _, memory, clock) = start_rollout(&place);
    rollout.by("ben").roll_back("a", "slow").unwrap();
    let before = fs::read(place.file()).unwrap();
    let other = Rollout::open_with(memory, clock, &place.options()).unwrap();
    assert_eq!(
        other.status().notices,
        [format!(
            "intents `{}`: rollbacks are kept in memory only: another process uses this file; name another one",
            place.file().display()
        )]
    );
    other.by("eve").roll_back("b", "slow").unwrap();
    assert_eq!(fs::read(place.file()).unwrap(), before);
}

#[test]
fn a_missing_directory_for_intents_is_reported_at_once() {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let path = Path::new("/nonexistent/intents");
    let options = RolloutOptions::new().keep_intents_in(path);
    let rollout = Rollout::start_with(memory, clock, DOCUMENT, "ana", &options).unwrap();
    let notices = rollout.status().notices;
    let begin = "intents `/nonexistent/intents`: rollbacks are kept in memory only: ";
    assert!(notices[0].starts_with(begin), "{notices:?}");
}

/// The journal was restored, edited or rotated while the process runs. Records that the process appends would be lost.
#[cfg(unix)]
#[test]
fn a_rollback_after_the_journal_was_replaced_is_recorded_after_a_restart() {
    let place = IntentsDirectory::new("replaced");
    let (path, clock) = (place.0.join("store"), ManualClock::at(monday()));
    let store = Directory::create(&path).unwrap();
    let options = place.options();
    let rollout = Rollout::start_with(store, clock.clone(), DOCUMENT, "ana", &options).unwrap();
    rollout.by("ana").promote("a").unwrap();
    let (journal, copy) = (path.join("journal.jsonl"), path.join("copy"));
    fs::copy(&journal, &copy).unwrap();
    fs::rename(&copy, &journal).unwrap();
    let outcome = rollout.by("ben").roll_back("a", "bad").unwrap();
    assert_eq!(
        outcome.unrecorded.unwrap().to_string(),
        format!(
            "{0}: `{0}` cannot be written: the journal was replaced by another file: restart this process",
            path.display()
        )
    );
    assert!(!is_on(&rollout, "a"));
    drop(rollout);
    let store = Directory::open(&path).unwrap();
    let again = Rollout::open_with(store, clock, &options).unwrap();
    assert!(!is_on(&again, "a"));
    assert!(again.tick().error.is_none());
    assert_eq!(again.report("a").unwrap().state.stage, "off");
}
