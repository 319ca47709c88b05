//! The rules of `Gate::update` and the moving calls, with the exact text of each refusal.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use stagegate::{Document, Gate, Update, UpdateError, User};

fn gate(stage: &str) -> Gate {
    Gate::from_document(flag_at(stage)).unwrap()
}

fn flag_at(stage: &str) -> Document {
    Document::new(format!("schema = 1\n[flags.a]\nstage = \"{stage}\"\n")).name("rollout.toml")
}

/// Returns a plan whose flag has the stages `s1`, `s2`, … with these percentages.
fn own_stages(stage: &str, percents: &[u32]) -> String {
    let stages = percents.iter().zip(1..);
    let stages: String = stages
        .map(|(percent, n)| {
            // A stage that adds no audience is refused, but a stage with an empty group is accepted.
            let groups = if *percent == 0 { "\"nobody\"" } else { "" };
            format!("{{ name = \"s{n}\", percent = {percent}, groups = [{groups}] }}, ")
        })
        .collect();
    format!(
        "schema = 1\ngroups.nobody.users = []\n[flags.a]\nstage = \"{stage}\"\nstages = [{stages}]\n"
    )
}

fn stage_of(gate: &Gate) -> String {
    gate.status().flags[0].stage.to_string()
}

#[test]
fn one_stage_up_is_allowed_and_more_is_refused() {
    let gate = gate("off");
    for stage in ["internal", "pilot", "expanded", "ga"] {
        gate.update(flag_at(stage)).unwrap();
        assert_eq!(stage_of(&gate), stage);
    }
    gate.update(flag_at("off")).unwrap();
    let error = gate.update(flag_at("expanded")).unwrap_err();
    assert!(error.is_skip() && !error.is_invalid_document());
    assert_eq!(
        error.to_string(),
        "rollout document `rollout.toml` has 1 problem\n  \
           rollout.toml:3:9: flags.a.stage: found \"expanded\", which skips internal, pilot: the flag is at \"off\"\n      \
               write \"internal\", or give a `skip_reason` beside `stage`",
    );
    assert_eq!(error.problems()[0].line(), 3);
    assert_eq!((gate.version(), &*stage_of(&gate)), (6, "off"));
}

#[test]
fn every_skip_in_a_document_is_reported_and_nothing_is_applied() {
    let flags = |a: &str, b: &str, c: &str| {
        format!(
            "schema = 1\n[flags.a]\nstage = \"{a}\"\n[flags.b]\nstage = \"{b}\"\n[flags.c]\nstage = \"{c}\"\n"
        )
    };
    let gate = Gate::from_document(flags("off", "off", "off")).unwrap();
    let error = gate.update(flags("ga", "internal", "pilot")).unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(stagegate::Problem::line).collect();
    assert_eq!(lines, [3, 7]);
    assert!(gate.status().flags.iter().all(|flag| flag.stage == "off"));
}

#[test]
fn a_reason_allows_a_skip() {
    let gate = gate("off");
    let document = "schema = 1\n[flags.a]\nstage = \"ga\"\nskip_reason = \"old path is broken\"";
    gate.update(document).unwrap();
    assert_eq!(stage_of(&gate), "ga");
}

#[test]
fn a_reason_left_in_the_document_allows_no_second_skip() {
    let gate = gate("off");
    let document = |stage: &str, reason: &str| {
        format!("schema = 1\n[flags.a]\nstage = \"{stage}\"\nskip_reason = \"{reason}\"\n")
    };
    gate.update(document("pilot", "board demo")).unwrap();
    let error = gate.update(document("ga", "board demo")).unwrap_err();
    assert_eq!(
        error.problems()[0].hint(),
        "write \"expanded\", or a new `skip_reason`: this one was used before"
    );
    gate.update(document("ga", "the demo went well")).unwrap();
    assert_eq!(stage_of(&gate), "ga");
}

#[test]
fn an_old_reason_is_not_reported_for_a_move_without_a_skip() {
    let gate = gate("off");
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    gate.observe(move |update: &Update<'_>| {
        if let Update::Applied { changes, .. } = update {
            log.lock().unwrap().extend(changes.iter().map(ToString::to_string));
        }
    });
    for stage in ["pilot", "expanded"] {
        let document =
            format!("schema = 1\n[flags.a]\nstage = \"{stage}\"\nskip_reason = \"demo\"\n");
        gate.update(document).unwrap();
    }
    assert_eq!(*told.lock().unwrap(), ["a: off -> pilot (demo)", "a: pilot -> expanded"]);
}

#[test]
fn calls_refuse_skips_unknown_names_and_blank_reasons() {
    let gate = gate("off");
    let words = |result: Result<u64, UpdateError>| result.unwrap_err().to_string();
    assert_eq!(
        words(gate.set_stage("a", "ga")),
        "flag `a` is at `off`: going to `ga` skips internal, pilot, expanded; go to `internal`, or force it and give a reason",
    );
    assert_eq!(
        words(gate.set_stage("a", "pilto")),
        "flag `a` has no stage `pilto`: did you mean `pilot`? write one of: off, internal, pilot, expanded, ga",
    );
    assert_eq!(
        words(gate.set_stage("aa\u{1b}", "ga")),
        "no flag `aa\\u{1b}`: the plan has none of that name"
    );
    assert_eq!(words(gate.roll_back("A")), "no flag `A`: did you mean `a`?");
    assert_eq!(
        words(gate.force_stage("a", "ga", " ")),
        "the reason for forcing flag `a` to `ga` is blank; give one, it is reported with the change",
    );
    assert!(gate.set_stage("b", "ga").unwrap_err().is_not_found());
    assert!(gate.set_stage("a", "x").unwrap_err().is_not_found());
    assert_eq!(gate.version(), 1);
}

#[test]
fn moving_down_is_never_refused() {
    let stages = ["off", "internal", "pilot", "expanded", "ga"];
    for (from, to) in (0..5).flat_map(|from| (0..=from).map(move |to| (stages[from], stages[to]))) {
        let (by_call, by_document) = (gate(from), gate(from));
        by_call.set_stage("a", to).unwrap();
        by_document.update(flag_at(to)).unwrap();
        assert_eq!((&*stage_of(&by_call), &*stage_of(&by_document)), (to, to));
    }
}

#[test]
fn an_unrelated_edit_does_not_undo_a_rollback() {
    let gate = gate("internal");
    gate.roll_back("a").unwrap();
    let edited = "schema = 1\n[flags.a]\nstage = \"internal\"\nowner = \"team\"\n[flags.b]\n";
    gate.update(edited).unwrap();
    assert_eq!(stage_of(&gate), "off");
    assert_eq!(gate.status().flags[0].declared, "internal");
    gate.update(edited.replace("internal", "off")).unwrap();
    gate.update(edited).unwrap();
    assert_eq!(stage_of(&gate), "internal");
}

#[test]
fn an_old_reason_does_not_undo_a_rollback() {
    let document = "schema = 1\n[flags.a]\nstage = \"ga\"\nskip_reason = \"launch day\"";
    let gate = Gate::from_document(document).unwrap();
    gate.roll_back("a").unwrap();
    gate.update(document).unwrap();
    assert_eq!(stage_of(&gate), "off");
}

#[test]
fn an_unrelated_edit_does_not_undo_a_move_by_a_call() {
    let gate = gate("internal");
    for stage in ["pilot", "expanded", "ga"] {
        gate.set_stage("a", stage).unwrap();
    }
    gate.update("schema = 1\n[flags.a]\nstage = \"internal\"\n[flags.b]\nstage = \"off\"\n")
        .unwrap();
    assert_eq!(stage_of(&gate), "ga");
    assert!((0..1000).all(|user| gate.is_enabled(user, "a")));
    // A document with another `stage` moves the flag.
    gate.update(flag_at("pilot")).unwrap();
    assert_eq!(stage_of(&gate), "pilot");
}

#[test]
fn editing_a_percentage_is_no_way_around_a_stage() {
    let gate = Gate::from_document(own_stages("s2", &[0, 10, 25, 100])).unwrap();
    for (stage, found, allowed) in [
        ("s3", 100, "25%, at its next stage \"s3\""),
        // The flag stays in its stage, so the next stage does not count.
        ("s2", 50, "10%, at its stage \"s2\""),
    ] {
        let error = gate.update(own_stages(stage, &[5, 50, 100])).unwrap_err();
        assert!(error.is_skip());
        assert_eq!(
            error.problems()[0].message(),
            format!(
                "found \"{stage}\", which admits {found}% of users: the plan in force allows at most {allowed}"
            )
        );
    }
    gate.update(own_stages("s2", &[5, 10, 100])).unwrap();
    assert_eq!(stage_of(&gate), "s2");
}

#[test]
fn renaming_stages_does_not_allow_a_skip() {
    let gate = gate("pilot");
    let renamed = |stage: &str| {
        format!(
            "schema = 1\ngroups.staff.users = []\n[flags.a]\nstage = \"{stage}\"\n\
             stages = [{{ name = \"staff\", groups = [\"staff\"] }}, \
             {{ name = \"few\", percent = 10 }}, {{ name = \"many\", percent = 25 }}, \
             {{ name = \"all\", percent = 100 }}]"
        )
    };
    assert!(gate.update(renamed("all")).unwrap_err().is_skip());
    gate.update(renamed("many")).unwrap();
    assert_eq!(stage_of(&gate), "many");
}

/// Returns a plan whose flag has these stages: name, percentage, and whether the group `team` is in the stage.
fn with_stages(stage: &str, stages: &[(&str, u32, bool)]) -> String {
    let stages = stages.iter().map(|(name, percent, team)| {
        // A stage that adds no audience is refused, but a stage with an empty group is accepted.
        let groups = match (team, percent) {
            (true, _) => "\"team\"",
            (false, 0) => "\"nobody\"",
            (false, _) => "",
        };
        format!("{{ name = \"{name}\", percent = {percent}, groups = [{groups}] }}, ")
    });
    let stages: String = stages.collect();
    format!(
        "schema = 1\ngroups.team.users = [\"ana\"]\ngroups.nobody.users = []\n[flags.a]\nstage = \"{stage}\"\nstages = [{stages}]\n"
    )
}

#[test]
fn a_rolled_back_flag_does_not_gain_a_group_when_stages_are_renamed() {
    let old = [("internal", 0, false), ("ga", 100, false)];
    let gate = Gate::from_document(with_stages("ga", &old)).unwrap();
    gate.set_stage("a", "internal").unwrap();
    gate.update(with_stages("ga", &[("inner", 0, false), ("early", 0, true), ("ga", 100, false)]))
        .unwrap();
    assert_eq!(stage_of(&gate), "inner");
    assert!(!gate.is_enabled("ana", "a"));
}

#[test]
fn renaming_stages_does_not_allow_skipping_a_stage_of_groups() {
    let gate = Gate::from_document(with_stages("one", &[("one", 0, false)])).unwrap();
    let new = [("x", 0, false), ("y", 0, true), ("z", 100, false)];
    assert!(gate.update(with_stages("z", &new)).unwrap_err().is_skip());
    gate.update(with_stages("y", &new)).unwrap();
    assert!(gate.is_enabled("ana", "a"));
}

#[test]
fn a_new_flag_starts_where_its_document_says_and_a_removed_one_is_unknown() {
    let gate = gate("off");
    gate.update("schema = 1\n[flags.b]\nstage = \"ga\"").unwrap();
    assert!(gate.is_enabled(1, "b"));
    assert_eq!(gate.evaluate(1, "a").reason, stagegate::Reason::FlagNotFound);
}

#[test]
fn handles_keep_their_flag_when_other_flags_come_and_go() {
    let gate = Gate::from_document("schema = 1\n[flags.m]\nstage = \"ga\"").unwrap();
    let (m, z) = (gate.flag("m"), gate.flag("z"));
    assert_eq!((m.is_enabled(1), z.is_enabled(1)), (true, false));
    gate.update("schema = 1\n[flags.a]\n[flags.m]\nstage = \"ga\"\n[flags.z]\nstage = \"ga\"")
        .unwrap();
    assert_eq!((m.is_enabled(1), z.is_enabled(1)), (true, true));
    gate.update("schema = 1\n[flags.a]\nstage = \"off\"\n[flags.z]\nstage = \"ga\"").unwrap();
    assert_eq!((m.is_enabled(1), z.is_enabled(1)), (false, true));
    let other = Gate::from_document("schema = 1\n[flags.x]\n[flags.z]\nstage = \"off\"").unwrap();
    assert!(!z.is_enabled_in(&other.pin(), 1));
    assert!(z.is_enabled_in(&gate.pin(), 1));
}

#[test]
fn observers_see_every_update_even_if_one_panics() {
    let gate = gate("off");
    let told = Arc::new(Mutex::new(Vec::new()));
    gate.observe(|_: &Update<'_>| panic!("a broken observer"));
    let log = Arc::clone(&told);
    let asked = gate.clone();
    gate.observe(move |update: &Update<'_>| {
        // The update is in force when an observer is called.
        let line = match update {
            Update::Applied { version, changes, .. } => {
                assert_eq!(asked.version(), *version);
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                format!("{version}: {}", changes.join(", "))
            }
            Update::Refused { error, .. } => format!("refused: {error}"),
            _ => unreachable!("two kinds of update"),
        };
        log.lock().unwrap().push(line);
    });
    gate.set_stage("a", "internal").unwrap();
    gate.force_stage("a", "ga", "hot\nfix").unwrap();
    gate.roll_back("b").unwrap_err();
    gate.update("schema = 1\n[flags.c]\nstage = \"pilot\"").unwrap();
    gate.update("").unwrap_err();
    let told = told.lock().unwrap();
    assert_eq!(told[0], "2: a: off -> internal");
    assert_eq!(told[1], "3: a: internal -> ga (hot\\nfix)");
    assert_eq!(told[2], "refused: no flag `b`: did you mean `a`?");
    assert_eq!(told[3], "4: a: ga -> (none), c: (none) -> pilot");
    assert!(told[4].starts_with("refused: rollout document `(text)` has 1 problem"), "{}", told[4]);
    assert_eq!(told.len(), 5);
}

#[test]
fn every_api_gives_the_same_answer_after_every_kind_of_update() {
    // A removed flag, percentages, 100%, off, another salt, groups.
    let flags = [
        "b = {}",
        r#"a = { stage = "pilot" }"#,
        r#"a = { stage = "expanded" }"#,
        r#"a = { stage = "ga" }"#,
        r#"a = { stage = "off" }"#,
        r#"a = { stage = "pilot", salt = "other" }"#,
        r#"a = { stage = "pilot", hold_back = { few = "expanded" } }"#,
        r#"a = { stage = "pilot", salt = "a" }"#,
        // Other stages, stages with the same percentage, and renamed stages.
        r#"a = { stage = "first", plan = "halves" }"#,
        r#"a = { stage = "second", plan = "halves" }"#,
        r#"a = { stage = "second", plan = "renamed" }"#,
        r#"a = { stage = "second", plan = "others" }"#,
    ];
    let document = |flags: &str| {
        let stages = |first: &str, percent: u32| {
            format!(
                "[{{ name = \"{first}\", percent = {percent} }}, \
                 {{ name = \"second\", groups = [\"few\"] }}]"
            )
        };
        format!(
            "schema = 1\n[groups]\nfew = {{ users = [\"u1\", \"u2\"] }}\n[plans]\n\
             halves = {{ stages = {} }}\nrenamed = {{ stages = {} }}\nothers = {{ stages = {} }}\n\
             [flags]\n{flags}",
            stages("first", 50),
            stages("half", 50),
            stages("first", 40),
        )
    };
    for first in flags {
        let gate = Gate::from_document(document(first)).unwrap();
        // Handles from before, and from after each update.
        let mut handles = vec![gate.flag("a")];
        for next in flags.iter().chain(&flags).chain(flags.iter().rev()) {
            // Some updates skip a stage and are refused.
            let _ = gate.update(document(next));
            handles.push(gate.flag("a"));
            for user in (0..200).map(|n| format!("u{n}")) {
                let expected = gate.pin().evaluate(&user, "a");
                let by_name = (gate.is_enabled(&user, "a"), gate.evaluate(&user, "a"));
                assert_eq!(by_name, (expected.enabled, expected), "{user}: {first}, then {next}");
                for handle in &handles {
                    let answers = (handle.is_enabled(&user), handle.evaluate(&user));
                    assert_eq!(answers, by_name, "{user}: {first}, then {next}");
                }
            }
        }
    }
}

#[test]
fn list_changes_take_effect_at_once_in_every_api() {
    let listed = |users: std::ops::Range<usize>| {
        let users: Vec<String> = users.map(|n| format!(r#""u{n}""#)).collect();
        format!("{{ users = [{}] }}", users.join(", "))
    };
    let groups = [
        listed(0..1),
        listed(0..3),
        listed(2..5),
        listed(0..100),
        listed(50..9_000),
        listed(7..8),
        r#"{ where = { region = ["eu"] } }"#.to_owned(),
        listed(3..6),
    ];
    let two =
        r#"[{ name = "some", percent = 10, groups = ["g"] }, { name = "all", percent = 100 }]"#;
    let flags = [
        format!(r#"{{ stage = "some", stages = {two} }}"#),
        r#"{ stage = "pilot", hold_back = { g = "expanded" } }"#.to_owned(),
        r#"{ stage = "ga", hold_back = { g = "ga" } }"#.to_owned(),
        format!(r#"{{ stage = "off", stages = {two} }}"#),
    ];
    let mut reasons = 0..;
    for flag in flags {
        let mut document = |group: &str| {
            // Each update may remove many users or match other users, so it needs a new reason.
            let reason = reasons.next().unwrap();
            let flag = flag.replacen('{', &format!("{{ skip_reason = \"{reason}\", "), 1);
            format!("schema = 1\n[groups]\ng = {group}\n[flags]\na = {flag}")
        };
        for first in &groups {
            let gate = Gate::from_document(document(first)).unwrap();
            let mut handles = vec![gate.flag("a")];
            for next in groups.iter().chain(groups.iter().rev()) {
                gate.update(document(next)).unwrap();
                handles.push(gate.flag("a"));
                let pinned = gate.pin();
                for user in (0..60).chain(90..110).chain(8_995..9_005).map(|n| format!("u{n}")) {
                    let user = User::new(&user).attribute("region", "eu");
                    let expected = pinned.is_enabled(&user, "a");
                    assert_eq!(gate.is_enabled(&user, "a"), expected, "{flag}: {user:?}");
                    for handle in &handles {
                        assert_eq!(handle.is_enabled(&user), expected, "{flag}: {user:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn flag_names_of_every_length_are_found_before_and_after_updates() {
    // Names that differ in the first character only, or in length by one.
    let names = |lengths: std::ops::RangeInclusive<usize>| -> Vec<String> {
        let of = |length: usize| {
            let middle = "m".repeat(length - 2);
            [format!("a{middle}"), format!("a{middle}y"), format!("b{middle}y")]
        };
        let names: BTreeSet<String> = lengths.flat_map(of).collect();
        names.into_iter().collect()
    };
    let document = |names: &[String]| {
        let stage = |name: &str| if name.len().is_multiple_of(3) { "ga" } else { "off" };
        let flags = names.iter().map(|name| format!("{name} = {{ stage = \"{}\" }}", stage(name)));
        format!(
            "schema = 1\n[limits]\nper_update = 100\n[flags]\n{}",
            flags.collect::<Vec<_>>().join("\n")
        )
    };
    let (first, all) = (names(2..=60), names(2..=128));
    let gate = Gate::from_document(document(&first)).unwrap();
    for names in [&first, &all, &first] {
        gate.update(document(names)).unwrap();
        let pinned = gate.pin();
        let mut on = 0;
        for name in &all {
            assert_eq!(gate.is_enabled(1, name), pinned.is_enabled(1, name), "{name}");
            for other in [format!("{name}-"), name.replace('a', "c"), name[1..].to_owned()] {
                assert_eq!(gate.is_enabled(1, &other), pinned.is_enabled(1, &other), "{other}");
            }
            on += usize::from(pinned.is_enabled(1, name));
        }
        assert!(on > 50, "{on}");
    }
    assert!(!gate.is_enabled(1, ""));
}

/// A copy of a flag remembers few units, and an entry by name serves other flags later.
#[test]
fn a_changed_unit_is_followed_by_every_api() {
    let units =
        ["organisation", "device", "", "session", "tenant", "team", "organisation", "", "team"];
    let document = |n: usize, unit: &str| {
        let by = if unit.is_empty() { String::new() } else { format!("by = \"{unit}\"\n") };
        format!(
            "schema = 1\n[limits]\nper_update = 100\n[flags.a]\nskip_reason = \"{n}\"\nstage = \"half\"\n{by}\
             stages = [{{ name = \"half\", percent = 50 }}]\n[flags.b]\nstage = \"half\"\n\
             stages = [{{ name = \"half\", percent = 50 }}]\n"
        )
    };
    let gate = Gate::from_document(document(0, units[0])).unwrap();
    let handle = gate.flag("a");
    for (n, unit) in units.iter().enumerate() {
        if n > 0 {
            gate.update(document(n, unit)).unwrap();
        }
        let pinned = gate.pin();
        let salt = stagegate::Salt::new("a");
        for user in 0..100 {
            let (key, value) = (format!("user-{user}"), format!("{unit}-{}", user / 2));
            let with_unit = User::new(&key).attribute(unit, &value);
            let without = User::new(&key).attribute("other", &value).attribute(unit, "");
            let expected = |user: &User<'_>, text: Option<&str>| {
                let share = stagegate::Percent::from_ppm(500_000).unwrap();
                let expected = text.is_some_and(|text| share.contains(salt.bucket(text)));
                assert_eq!(pinned.is_enabled(user, "a"), expected, "{unit}");
                assert_eq!(gate.is_enabled(user, "a"), expected, "{unit}");
                assert_eq!(handle.is_enabled(user), expected, "{unit}");
                assert_eq!(gate.flag("a").is_enabled(user), expected, "{unit}");
                assert_eq!(gate.evaluate(user, "a").enabled, expected, "{unit}");
            };
            let of_key = if unit.is_empty() { Some(&*key) } else { None };
            expected(&with_unit, of_key.or(Some(&*value)));
            expected(&without, of_key);
        }
    }
}
