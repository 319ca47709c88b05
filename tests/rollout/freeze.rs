//! Freezes: holds of all flags at once.

use stagegate::clock::ManualClock;
use stagegate::rollout::{Progress, Rollout};
use stagegate::store::Memory;

use super::{DAY, HOUR, Told, assert_same_after_reopen, monday, unmet};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "few", percent = 1, advance = "auto" }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "all", percent = 100 }]
"#;

fn start_rollout() -> (Rollout, ManualClock, Memory) {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    (rollout, clock, store)
}

fn stage(rollout: &Rollout, flag: &str) -> String {
    rollout.report(flag).unwrap().state.stage.to_string()
}

#[test]
fn during_a_freeze_nothing_is_promoted_and_every_rollback_works() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    let end = monday() + 3 * DAY;
    let record = ana.hold_all("holidays", Some(end)).unwrap();
    assert_eq!(
        record.to_string(),
        "#3 2026-01-05T09:00:00Z ana: all flags held until 2026-01-08T09:00:00Z (holidays)"
    );
    for refused in [ana.promote("b"), ana.promote_to("b", "all"), ana.force("b", "hurry")] {
        assert_eq!(unmet(refused), ["frozen"]);
    }
    assert_eq!(
        ana.promote("b").unwrap_err().to_string(),
        "promote of `b` is refused: 1 condition is not met\n  \
         all flags are held until 2026-01-08T09:00:00Z, by ana: holidays\n      \
         wait until then, or resume all flags"
    );
    assert!(rollout.tick().records.is_empty(), "a tick promotes nothing");
    let status = rollout.status();
    let freeze = status.freeze.clone().unwrap();
    assert_eq!((&*freeze.by, &*freeze.why, freeze.until), ("ana", "holidays", Some(end)));
    assert_eq!(status.flags[0].progress, Progress::Running);
    assert!(status.flags.iter().all(|flag| flag.unmet.iter().any(|it| it.kind == "frozen")));
    // A flag that an update adds is held as well.
    let added = format!("{DOCUMENT}[flags.new]\nstages = [{{ name = \"all\", percent = 100 }}]\n");
    ana.update(added).unwrap();
    assert_eq!(unmet(ana.promote("new")), ["frozen"]);
    assert_same_after_reopen(&rollout, &store, &clock);
    let again = Rollout::open(store, clock.clone()).unwrap();
    assert_eq!(again.status().freeze, Some(freeze));
    drop(again);

    ana.roll_back("a", "slow").unwrap();
    assert_eq!(stage(&rollout, "a"), "off");
    // The freeze ends by itself, without a record.
    clock.advance(3 * DAY - HOUR / 3600);
    assert_eq!(unmet(ana.promote("b")), ["frozen"]);
    clock.advance(HOUR / 3600);
    assert!(rollout.status().freeze.is_none());
    ana.promote("b").unwrap();
    ana.promote("new").unwrap();
}

#[test]
fn automatic_promotions_go_on_after_a_freeze() {
    let (rollout, clock, _) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    ana.hold_all("holidays", Some(monday() + DAY)).unwrap();
    clock.advance(DAY - HOUR);
    assert_eq!((rollout.tick().records.len(), stage(&rollout, "a")), (0, "few".to_owned()));
    clock.advance(HOUR);
    rollout.tick();
    assert_eq!(stage(&rollout, "a"), "all");
}

#[test]
fn a_freeze_goes_by_the_wall_clock() {
    let (rollout, clock, _) = start_rollout();
    rollout.by("ana").hold_all("holidays", Some(monday() + DAY)).unwrap();
    clock.set_wall(monday() + DAY);
    assert!(rollout.status().freeze.is_none());
    clock.set_wall(monday());
    assert!(rollout.status().freeze.is_some());
}

#[test]
fn resuming_all_leaves_the_hold_of_a_single_flag() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    ana.hold_all("audit", None).unwrap();
    ana.hold("b", "wait for legal").unwrap();
    clock.advance(3 * HOUR);
    assert_eq!(unmet(ana.promote("b")), ["frozen", "held"]);
    assert_eq!(
        ana.promote("a").unwrap_err().refusals()[0].unmet[0].to_string(),
        "all flags are held by ana for 3h: audit; resume all flags first"
    );
    let record = rollout.by("ben").resume_all(Some("audit passed")).unwrap();
    assert_eq!(record.to_string(), "#4 2026-01-05T12:00:00Z ben: all flags resumed (audit passed)");
    assert!(rollout.status().freeze.is_none());
    ana.promote("a").unwrap();
    assert_eq!(unmet(ana.promote("b")), ["held"]);
    assert_same_after_reopen(&rollout, &store, &clock);
    // The hold of all flags does not end with the hold of one.
    ana.hold_all("audit", None).unwrap();
    ana.resume("b", None).unwrap();
    assert_eq!(unmet(ana.promote("b")), ["frozen"]);
}

#[test]
fn a_freeze_can_be_extended_but_not_replaced() {
    let (rollout, clock, _) = start_rollout();
    let ana = rollout.by("ana");
    let hold = |why, end| rollout.by("ben").hold_all(why, end).unwrap_err().to_string();
    assert_eq!(
        hold(" ", Some(monday())),
        "hold of all flags is refused: 2 conditions are not met\n  \
         the reason is blank\n      say why: the journal keeps the reason with the hold\n  \
         the end 2026-01-05T09:00:00Z is in the past\n      name a later end, or none"
    );
    assert_eq!(
        ana.resume_all(None).unwrap_err().to_string(),
        "resume of all flags is refused: 1 condition is not met\n  \
         there is no hold of all flags\n      resume a flag with a hold of its own by its key"
    );
    ana.hold_all("holidays", Some(monday() + 2 * DAY)).unwrap();
    let refused = "hold of all flags is refused: 1 condition is not met\n  \
         all flags are held until 2026-01-07T09:00:00Z, by ana: holidays\n      \
         name a later end to extend the freeze, or resume all flags first";
    assert_eq!(hold("shorter", Some(monday() + DAY)), refused);
    assert_eq!(hold("as long", Some(monday() + 2 * DAY)), refused);
    ana.hold_all("longer holidays", Some(monday() + 3 * DAY)).unwrap();
    ana.hold_all("until the audit is over", None).unwrap();
    clock.advance(HOUR);
    assert_eq!(
        hold("with an end", Some(monday() + 9 * DAY)),
        "hold of all flags is refused: 1 condition is not met\n  \
         all flags are held by ana for 1h: until the audit is over\n      resume all flags first"
    );
    ana.resume_all(None).unwrap();
    assert_eq!(unmet(ana.resume_all(None)), ["not_held"]);
    // A freeze that is over holds nothing, so it can be neither resumed nor in the way.
    ana.hold_all("short", Some(monday() + 2 * HOUR)).unwrap();
    clock.advance(2 * HOUR);
    assert_eq!(unmet(ana.resume_all(None)), ["not_held"]);
    ana.hold_all("again", None).unwrap();
}

#[test]
fn no_update_lets_users_in_during_a_freeze() {
    let (rollout, _, _) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    ana.hold_all("holidays", None).unwrap();
    let more = DOCUMENT
        .replace("[flags.a]\n", "[flags.a]\nskip_reason = \"it is needed\"\n")
        .replace("percent = 1,", "percent = 2,");
    assert_eq!(unmet(ana.update(more.clone())), ["frozen"]);
    let less = DOCUMENT.replace("percent = 1,", "percent = 0.9,");
    ana.update(less).unwrap();
    ana.resume_all(None).unwrap();
    ana.update(more).unwrap();
}

#[test]
fn every_process_follows_a_freeze_and_its_end() {
    let (one, clock, store) = start_rollout();
    let other = Rollout::open(store.clone(), clock.clone()).unwrap();
    one.by("ana").hold_all("holidays", None).unwrap();
    // The other process does not know of the freeze yet, but the journal does.
    assert!(other.status().freeze.is_none());
    assert_eq!(unmet(other.by("ben").promote("b")), ["frozen"]);
    assert!(other.status().freeze.is_some());
    other.by("ben").resume_all(None).unwrap();
    // This process does not know yet that all are resumed.
    one.by("ana").hold_all("again", None).unwrap();
    assert_eq!(other.refresh().unwrap().len(), 1);
    assert_eq!(other.status().freeze.unwrap().why, "again".into());
    assert_same_after_reopen(&one, &store, &clock);
}

#[test]
fn sinks_are_told_of_a_freeze_once_without_a_flag() {
    let (rollout, _, _) = start_rollout();
    let told = Told::default();
    rollout.tell(told.clone());
    rollout.by("ana").hold_all("audit", Some(monday() + DAY)).unwrap();
    rollout.by("ana").resume_all(None).unwrap();
    assert_eq!(
        *told.0.lock().unwrap(),
        [
            r#"{"schema":1,"at":"2026-01-05T09:00:00Z","kind":"held","text":"all flags held until 2026-01-06T09:00:00Z (audit)","record":2}"#,
            r#"{"schema":1,"at":"2026-01-05T09:00:00Z","kind":"resumed","text":"all flags resumed","record":3}"#,
        ]
    );
}

/// While all flags are held, the day on which a later stage begins is unknown, so nothing announces it.
#[test]
fn no_stage_is_announced_during_a_freeze() {
    let document = r#"
        schema = 1
        [flags.a]
        stage = "few"
        stages = [{ name = "few", percent = 1, min_duration = "4d" }, { name = "all", percent = 100 }]
        messages = [{ stage = "all", audience = "user", when = "-3d", channel = "email", template = "Soon." }]
    "#;
    let announced = |is_frozen| {
        let clock = ManualClock::at(monday());
        let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana").unwrap();
        rollout.tell(Told::default());
        if is_frozen {
            rollout.by("ana").hold_all("holidays", None).unwrap();
        }
        clock.advance(DAY);
        rollout.tick().messages.len()
    };
    assert_eq!((announced(false), announced(true)), (1, 0));
}
