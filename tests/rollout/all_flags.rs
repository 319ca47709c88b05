//! Rollbacks of all flags at once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use stagegate::Update;
use stagegate::clock::ManualClock;
use stagegate::rollout::{Fact, Record, Rollout, RolloutOptions, Store};
use stagegate::store::Memory;

use super::faulty::{Faults, Faulty};
use super::rollback_races::{is_on, stage};
use super::{HOUR, Told, assert_same_after_reopen, monday, unmet};

/// Flags at every kind of stage. `shop` requires `api`, and `api` leads one stage down.
const DOCUMENT: &str = r#"
schema = 1
[flags.api]
stage = "all"
stages = [{ name = "few", percent = 1 }, { name = "all", percent = 100 }]
rollback = { target = "previous" }
[flags.idle]
stages = [{ name = "all", percent = 100 }]
[flags.search]
stage = "all"
stages = [{ name = "all", percent = 100 }]
[flags.shop]
stage = "most"
stages = [{ name = "some", percent = 10 }, { name = "most", percent = 100 }]
requires = { api = "all" }
rollback = { target = "previous" }
"#;

const RECORD: &str =
    "ben: rolled back 3 flags (fire): api all -> few; search all -> off; shop most -> off";

fn start(store: impl Store + 'static, clock: &ManualClock) -> Rollout {
    Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap()
}

fn start_rollout() -> (Rollout, Arc<Faults>, Memory, ManualClock) {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let (store, faults) = Faulty::on(&memory);
    (start(store, &clock), faults, memory, clock)
}

/// Returns a record's text without its number and time.
fn text(record: &Record) -> String {
    record.to_string().split_once("Z ").unwrap().1.to_owned()
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(text).collect()
}

/// The lines of a journal after the first one, without automatic actions.
fn lines(rollout: &Rollout) -> Vec<String> {
    let lines = texts(&rollout.records(2).unwrap()).into_iter();
    lines.filter(|line| !line.starts_with("stagegate: ")).collect()
}

fn stages(rollout: &Rollout) -> [String; 4] {
    ["api", "idle", "search", "shop"].map(|flag| stage(rollout, flag))
}

/// What the gate serves.
fn served(rollout: &Rollout) -> [String; 4] {
    let of = |flag| rollout.report(flag).unwrap().serving.to_string();
    ["api", "idle", "search", "shop"].map(of)
}

const DOWN: [&str; 4] = ["few", "off", "off", "off"];

#[test]
fn a_rollback_of_all_is_one_swap_and_one_record_with_an_incident_for_each_flag() {
    let (rollout, _, memory, clock) = start_rollout();
    let changes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&changes);
    rollout.gate().observe(move |update: &Update<'_>| {
        if let Update::Applied { changes, .. } = update {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            told.lock().unwrap().push(changes.join(", "));
        }
    });
    let report = rollout.by("ben").roll_back_all("fire");
    assert!(report.unrecorded.is_none());
    assert_eq!(texts(&report.records), [RECORD]);
    assert_eq!((served(&rollout), stages(&rollout)), (DOWN.map(Into::into), DOWN.map(Into::into)));
    let swap = "api: all -> few, search: all -> off, shop: most -> off";
    assert_eq!(*changes.lock().unwrap(), [swap]);
    let alerts: Vec<String> =
        report.alerts.iter().map(|(flag, alert)| format!("{flag}: {}", alert.text)).collect();
    assert_eq!(
        alerts,
        [
            "api: rolled back from `all` to `few`: fire",
            "search: rolled back from `all` to `off`: fire",
            "shop: rolled back from `most` to `off`: fire",
        ]
    );
    for flag in ["api", "search", "shop"] {
        let state = rollout.report(flag).unwrap().state;
        let incident = state.incident.unwrap();
        assert_eq!((incident.number, &*incident.about, &*incident.by), (2, "fire", "ben"));
        assert_eq!(unmet(rollout.by("ana").force(flag, "hurry"))[0], "incident");
    }
    assert!(rollout.report("idle").unwrap().state.incident.is_none());
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// The same flags go to the same stages, one call after the other.
#[test]
fn a_rollback_of_all_leads_where_single_rollbacks_lead() {
    let (all, _, _, _) = start_rollout();
    all.by("ben").roll_back_all("fire");
    let (each, _, _, _) = start_rollout();
    for flag in ["shop", "search", "idle", "api"] {
        each.by("ben").roll_back(flag, "fire").unwrap();
    }
    assert_eq!(stages(&all), stages(&each));
}

#[test]
fn a_rollback_of_all_writes_nothing_if_no_flag_is_in_a_stage() {
    let clock = ManualClock::at(monday());
    let off = DOCUMENT.replace("stage = \"all\"\n", "").replace("stage = \"most\"\n", "");
    let rollout = Rollout::start(Memory::new(), clock, off, "ana").unwrap();
    let version = rollout.gate().version();
    let report = rollout.by("ben").roll_back_all("");
    assert!(report.records.is_empty() && report.alerts.is_empty());
    assert!(report.unrecorded.is_none() && rollout.status().unrecorded.is_empty());
    assert_eq!((rollout.gate().version(), rollout.status().head.0), (version, 1));
}

#[test]
fn with_a_dead_store_a_rollback_of_all_is_in_force_and_recorded_later_as_one() {
    let (rollout, faults, memory, clock) = start_rollout();
    faults.dead(true);
    let report = rollout.by("ben").roll_back_all("fire");
    assert_eq!(report.unrecorded.unwrap().to_string(), "(faulty): the disk is gone");
    assert!(report.records.is_empty());
    assert_eq!(served(&rollout), DOWN);
    assert_eq!(rollout.status().unrecorded.len(), 4);
    // A second call, and single rollbacks that go no further, merge into the first one.
    let again = rollout.by("cleo").roll_back_all("fire!");
    assert!(again.unrecorded.is_some() && again.alerts.is_empty());
    assert!(rollout.by("cleo").roll_back("search", "fire!").unwrap().unrecorded.is_some());
    assert_eq!(served(&rollout), DOWN);
    let error = rollout.by("ana").promote("idle").unwrap_err();
    assert_eq!(error.to_string(), "(faulty): the disk is gone");

    faults.dead(false);
    clock.advance(HOUR);
    let tick = rollout.tick();
    assert!(tick.error.is_none());
    assert_eq!(text(&tick.records[0]), RECORD);
    let Fact::RolledBackAll { effective_ms, .. } = &tick.records[0].fact else { panic!() };
    assert_eq!(*effective_ms, Some(1_767_603_600_000));
    assert!(rollout.status().unrecorded.is_empty());
    assert_eq!((served(&rollout), stages(&rollout)), (DOWN.map(Into::into), DOWN.map(Into::into)));
    assert_same_after_reopen(&rollout, &memory, &clock);
    // The past shows the rollback from the moment when it took effect.
    let past = rollout.at(monday() + HOUR / 2).unwrap();
    let past: Vec<String> = past.flags.iter().map(|(_, it)| it.stage.to_string()).collect();
    assert_eq!(past, DOWN);
}

#[test]
fn a_rollback_of_all_survives_the_process_that_made_it() {
    let path = std::env::temp_dir().join(format!("stagegate-all-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    let options = RolloutOptions::new().keep_intents_in(path.join("intents"));
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    drop(start(memory.clone(), &clock));
    let open = |dead| {
        let (store, faults) = Faulty::on(&memory);
        let rollout = Rollout::open_with(store, clock.clone(), &options).unwrap();
        faults.dead(dead);
        rollout
    };
    let rollout = open(true);
    assert!(rollout.by("ben").roll_back_all("fire").unrecorded.is_some());
    drop(rollout);
    let files = |path: &PathBuf| {
        let names = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name());
        names.filter(|name| !name.to_string_lossy().ends_with(".lock")).count()
    };
    assert_eq!(files(&path), 1);
    // The next process serves the flags rolled back from its first answer on, and records that as one.
    let rollout = open(false);
    assert_eq!((served(&rollout), rollout.status().unrecorded.len()), (DOWN.map(Into::into), 4));
    assert_eq!(text(&rollout.tick().records[0]), RECORD);
    assert_eq!((files(&path), stages(&rollout)), (0, DOWN.map(Into::into)));
    drop(rollout);
    // If the journal has the record, a file that is left over repeats nothing.
    let rollout = open(false);
    assert_eq!(rollout.tick().records.len(), 0);
    drop(rollout);
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn an_intents_file_with_a_recorded_rollback_of_all_repeats_nothing() {
    let path = std::env::temp_dir().join(format!("stagegate-all-again-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    let (file, copy) = (path.join("intents"), path.join("copy"));
    let options = RolloutOptions::new().keep_intents_in(&file);
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let (store, faults) = Faulty::on(&memory);
    let rollout = Rollout::start_with(store, clock.clone(), DOCUMENT, "ana", &options).unwrap();
    faults.dead(true);
    rollout.by("ben").roll_back_all("fire");
    std::fs::copy(&file, &copy).unwrap();
    faults.dead(false);
    rollout.tick();
    drop(rollout);
    std::fs::copy(&copy, &file).unwrap();
    let rollout = Rollout::open_with(memory, clock, &options).unwrap();
    assert!(rollout.status().unrecorded.is_empty());
    assert_eq!((rollout.tick().records.len(), stages(&rollout)), (0, DOWN.map(Into::into)));
    let _ = std::fs::remove_dir_all(&path);
}

#[test]
fn a_rollback_of_all_wins_against_a_promotion_that_is_being_written() {
    let (rollout, faults, memory, clock) = start_rollout();
    let hung = faults.hang_append();
    let promoting = rollout.clone();
    let thread = thread::spawn(move || promoting.by("ana").promote("idle").map(drop));
    hung.wait_until_called();
    let report = rollout.by("ben").roll_back_all("fire");
    assert_eq!(
        report.unrecorded.unwrap().to_string(),
        "(faulty): it is busy with another write; the rollback is recorded after that"
    );
    let (gate, seen) = (rollout.gate().clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&seen);
    rollout.gate().observe(move |_: &Update<'_>| {
        count.fetch_add(usize::from(gate.is_enabled("user-1", "idle")), Ordering::SeqCst);
    });
    hung.go_on();
    thread.join().unwrap().unwrap();
    assert!(rollout.tick().error.is_none());
    assert_eq!(seen.load(Ordering::SeqCst), 0, "the user had the flag for an instant");
    assert_eq!(
        lines(&rollout),
        [
            "ana: idle: promoted, off -> all",
            "ben: rolled back 4 flags (fire): api all -> few; idle all -> off; search all -> off; \
             shop most -> off",
        ]
    );
    assert_eq!(served(&rollout), DOWN);
    assert_same_after_reopen(&rollout, &memory, &clock);
}

#[test]
fn a_promotion_decided_before_a_rollback_of_all_is_refused() {
    let (rollout, faults, _, _) = start_rollout();
    // The promotion of the tick was decided, and waits for the record of another flag.
    let updated = DOCUMENT.replace(
        "[flags.idle]\n",
        "[flags.idle]\ntimeline = { start = \"2026-01-01\", advance = \"auto\" }\n",
    );
    rollout.by("ana").update(updated).unwrap();
    let hung = faults.hang_append();
    let ticking = rollout.clone();
    let thread = thread::spawn(move || ticking.tick());
    hung.wait_until_called();
    rollout.by("ben").roll_back_all("fire");
    hung.go_on();
    thread.join().unwrap();
    rollout.tick();
    assert!(!is_on(&rollout, "idle"));
    assert_eq!(served(&rollout), DOWN);
}

#[test]
fn a_rollback_of_all_takes_down_what_another_process_has_promoted() {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let other = start(memory.clone(), &clock);
    let (store, faults) = Faulty::on(&memory);
    let behind = Rollout::open(store, clock.clone()).unwrap();
    other.by("ana").promote("idle").unwrap();
    let added = format!("{DOCUMENT}[flags.new]\nstage = \"ga\"\n");
    other.by("ana").update(added).unwrap();

    faults.dead(true);
    assert!(behind.by("ben").roll_back_all("fire").unrecorded.is_some());
    faults.dead(false);
    let records = behind.refresh().unwrap();
    let last = texts(&records).pop().unwrap();
    let (head, rest) = last.split_once(": api").unwrap();
    assert_eq!(head, "ben: rolled back 5 flags (fire)");
    assert!(rest.contains("; idle all -> off; new ga -> off; search"), "{rest}");
    assert!(!is_on(&behind, "idle") && !is_on(&behind, "new"));

    // The other process follows with one swap.
    let swaps = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&swaps);
    other.gate().observe(move |_: &Update<'_>| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(other.refresh().unwrap().len(), 1);
    assert_eq!(swaps.load(Ordering::SeqCst), 1);
    assert_eq!(served(&other), DOWN);
    assert_same_after_reopen(&other, &memory, &clock);
}

/// Another process has rolled one flag back meanwhile. Each rollback is recorded once, with the right stages.
#[test]
fn a_rollback_of_all_after_a_conflict_lists_the_flags_that_are_still_on() {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let other = start(memory.clone(), &clock);
    let behind = Rollout::open(memory.clone(), clock.clone()).unwrap();
    other.by("ana").roll_back("search", "slow").unwrap();
    let report = behind.by("ben").roll_back_all("fire");
    assert_eq!(
        texts(&report.records),
        ["ben: rolled back 2 flags (fire): api all -> few; shop most -> off"]
    );
    other.refresh().unwrap();
    assert_eq!(stages(&other), DOWN);
    assert_eq!(other.report("search").unwrap().state.incident.unwrap().by, "ana".into());
    assert_same_after_reopen(&behind, &memory, &clock);
}

/// One flag's record that the store does not take does not hold up the rollback of all.
#[test]
fn a_stuck_rollback_of_one_flag_delays_no_rollback_of_all() {
    let (rollout, faults, memory, clock) = start_rollout();
    *faults.bad_text.lock().unwrap() = Some("poison".to_owned());
    rollout.by("ana").roll_back("search", "poison").unwrap();
    let report = rollout.by("ben").roll_back_all("fire");
    assert!(report.unrecorded.is_none());
    assert_eq!(texts(&report.records), [RECORD]);
    *faults.bad_text.lock().unwrap() = None;
    assert!(rollout.tick().error.is_none());
    assert!(rollout.status().unrecorded.is_empty());
    assert_eq!((stages(&rollout), lines(&rollout).len()), (DOWN.map(Into::into), 1));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// A record of all flags that the store does not take keeps every flag down and holds up later records.
#[test]
fn a_stuck_rollback_of_all_is_tried_again() {
    let (rollout, faults, memory, clock) = start_rollout();
    *faults.bad_text.lock().unwrap() = Some("poison".to_owned());
    let report = rollout.by("ben").roll_back_all("poison");
    assert_eq!(report.unrecorded.unwrap().to_string(), "(faulty): the disk is gone");
    assert!(rollout.by("ana").promote("idle").is_err());
    rollout.by("ana").roll_back_to("api", "off", "deeper").unwrap();
    assert_eq!(served(&rollout), ["off"; 4]);
    *faults.bad_text.lock().unwrap() = None;
    assert!(rollout.tick().error.is_none());
    assert_eq!(
        lines(&rollout),
        [RECORD.replace("fire", "poison"), "ana: api: rolled back (deeper), few -> off".to_owned(),]
    );
    assert_same_after_reopen(&rollout, &memory, &clock);
}

#[test]
fn sinks_are_told_of_each_flag_that_a_rollback_of_all_moves() {
    let (rollout, _, _, _) = start_rollout();
    let told = Told::default();
    rollout.tell(told.clone());
    rollout.by("ben").roll_back_all("fire");
    let line = |flag, from, to| {
        format!(
            r#"{{"schema":1,"at":"2026-01-05T09:00:00Z","flag":"{flag}","kind":"rolled_back","stage":"{to}","text":"rolled back from `{from}` to `{to}`: fire"}}"#
        )
    };
    assert_eq!(
        *told.0.lock().unwrap(),
        [line("api", "all", "few"), line("search", "all", "off"), line("shop", "most", "off")]
    );
}

/// While a thread rolls all flags back, a reader of one version sees every flag on, or none.
#[test]
fn no_reader_sees_a_rollback_of_all_in_part() {
    const FLAGS: usize = 20;
    const ROUNDS: usize = 300;
    let names: Vec<String> = (0..FLAGS).map(|number| format!("f{number}")).collect();
    let flags: String = names
        .iter()
        .map(|flag| format!("[flags.{flag}]\nstages = [{{ name = \"all\", percent = 100 }}]\n"))
        .collect();
    let document = format!("schema = 1\n{flags}");
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(Memory::new(), clock, document, "ana").unwrap();
    // An odd number: every flag is on, or a rollback of all is under way.
    let phase = AtomicUsize::new(0);
    let (whole, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::SeqCst) == 0 {
                    let before = phase.load(Ordering::SeqCst);
                    let pinned = rollout.gate().pin();
                    let on = names.iter().filter(|flag| pinned.is_enabled("user-1", flag)).count();
                    if before % 2 == 1 && phase.load(Ordering::SeqCst) == before {
                        assert!(on == 0 || on == FLAGS, "{on} of {FLAGS} flags are on");
                        whole.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let ana = rollout.by("ana");
        for _ in 0..ROUNDS {
            names.iter().for_each(|flag| drop(ana.promote(flag).unwrap()));
            phase.fetch_add(1, Ordering::SeqCst);
            assert_eq!(ana.roll_back_all("fire").records.len(), 1);
            phase.fetch_add(1, Ordering::SeqCst);
            rollout.tick();
            for flag in &names {
                ana.step(flag, None).unwrap();
                ana.close(flag, "next round").unwrap();
            }
        }
        done.store(1, Ordering::SeqCst);
    });
    assert!(whole.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_rollback_of_ten_thousand_flags_is_one_short_line() {
    const FLAGS: usize = 10_000;
    let flags: String =
        (0..FLAGS).map(|number| format!("[flags.flag-{number}]\nstage = \"ga\"\n")).collect();
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let document = format!("schema = 1\n{flags}");
    let rollout = Rollout::start(memory.clone(), clock.clone(), document, "ana").unwrap();
    let report = rollout.by("ben").roll_back_all("fire");
    assert_eq!((report.records.len(), report.alerts.len()), (1, FLAGS));
    let line = memory.clone().read(2).unwrap();
    assert!(line.len() < 64 * FLAGS, "{} bytes", line.len());
    assert!(rollout.status().flags.iter().all(|flag| flag.serving == "off"));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// A record that names a wrong stage is damage, as for one flag.
#[test]
fn a_contradicting_record_of_all_flags_is_reported() {
    let (rollout, _, memory, clock) = start_rollout();
    let first = rollout.records(1).unwrap().remove(0);
    drop(rollout);
    let fact =
        r#"{"rolled_back_all":{"cause":"call","flags":[{"flag":"api","from":"few","to":"off"}]}}"#;
    let fact: Fact = serde_json::from_str(fact).unwrap();
    let mut journal = stagegate::rollout::Journal::new();
    let line = memory.clone().read(1).unwrap();
    journal.read(line.strip_suffix(b"\n").unwrap()).unwrap();
    let mut record = first;
    record.fact = fact;
    let (record, line) = journal.encode(record);
    memory.clone().append(record.seq, &line).unwrap();
    let error = Rollout::open(memory, clock).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "line 2 contradicts the lines before it: its `from` is wrong: flag `api` is in stage `all`"
        ),
        "{error}"
    );
}
