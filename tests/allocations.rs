//! Evaluations allocate nothing, for every kind of plan, user and call.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::thread;

use allocation_counter::measure;
use stagegate::{AsUser, FlagHandle, Gate, User};

/// One flag for each way a plan can decide, and an unknown flag.
const FLAGS: [&str; 15] = [
    "split",
    "listed",
    "matched",
    "held",
    "everybody",
    "no-such-flag",
    "by-company",
    "by-roles",
    "by-seats",
    "tests",
    "bounds",
    "within",
    "only",
    "requires",
    "waits",
];

const ATTRIBUTES: [(&str, &str); 8] = [
    ("region", "eu-west"),
    ("plan", "pro"),
    ("team", "checkout"),
    ("browser", "firefox"),
    ("os", "linux"),
    ("language", "en"),
    ("app", "web"),
    ("version", "12"),
];

fn gate() -> Gate {
    let mut text = "schema = 1\n[groups.many]\nusers = [".to_owned();
    for n in 0..1000 {
        write!(text, "\"user-{n}\", ").unwrap();
    }
    text += r#"]
        [groups.eu]
        where = { region = ["eu-west", "eu-north"], version = ["11", "12"] }
        [flags.split]
        stage = "pilot"
        [flags.everybody]
        stage = "ga"
        [flags.listed]
        stage = "first"
        stages = [{ name = "first", groups = ["many"] }, { name = "second", percent = 50, groups = ["eu"] }]
        [flags.matched]
        stage = "first"
        stages = [{ name = "first", groups = ["eu", "many"], percent = 1 }]
        [flags.held]
        stage = "expanded"
        hold_back = { many = "ga", eu = "ga" }

        [groups]
        texts.where = { region = { prefix = "eu-", suffix = "west", contains = "-", not_in = ["eu-east"] }, os = { present = true } }
        numbers.where = { seats = ">= 10, < 1000.5", ratio = "> 0.25" }
        versions.where = { app = ">= 4.2.0-rc.1, < 5" }
        days.where = { since = ">= 2026-01-05, < 2027-01-01" }
        moments.where = { since = "> 2026-01-05T09:00:00.5+01:00" }
        admins.where = { role = ["admin"] }
        companies = { values_of = "organisation", users = ["acme", "7"] }
        any.any = ["texts", "numbers", "versions", "days", "moments", "companies", { role = ["admin"], active = ["true"] }]
        [flags.by-company]
        by = "organisation"
        stage = "pilot"
        [flags.by-roles]
        by = "role"
        stage = "ga"
        [flags.by-seats]
        by = "seats"
        stage = "ga"
        [flags.tests]
        stage = "first"
        stages = [{ name = "first", groups = ["texts", "admins", "companies"] }]
        [flags.bounds]
        stage = "first"
        stages = [{ name = "first", groups = ["numbers", "versions", "days", "moments"] }]
        [flags.within]
        stage = "first"
        stages = [{ name = "first", percent = 90, within = ["any", "many"] }, { name = "all", percent = 95 }]
        [flags.only]
        stage = "ga"
        only = ["numbers", "any"]
        [flags.requires]
        stage = "ga"
        requires = { only = "ga", tests = "first" }
        [flags.waits]
        stage = "expanded"
        hold_back = { any = { until = "ga", except = ["admins", "versions"] }, days = "never" }
    "#;
    Gate::from_document(text).unwrap()
}

/// Makes every kind of call for these flags. Returns how many answers were yes, so that the compiler keeps the calls.
fn ask(gate: &Gate, handles: &[FlagHandle], user: impl AsUser) -> usize {
    let mut yes = 0;
    let mut note = |answer: bool| yes += usize::from(answer);
    let pinned = gate.pin();
    for (flag, handle) in FLAGS.into_iter().zip(handles) {
        note(gate.is_enabled(&user, flag));
        note(gate.evaluate(&user, flag).enabled);
        note(gate.cohort(&user, flag).is_some());
        note(handle.is_enabled(&user));
        note(handle.evaluate(&user).enabled);
        note(handle.cohort(&user).is_some());
        note(handle.is_enabled_in(&pinned, &user));
        note(handle.evaluate_in(&pinned, &user).enabled);
        note(pinned.is_enabled(&user, flag));
        note(pinned.evaluate(&user, flag).enabled);
        note(pinned.cohort(&user, flag).is_some());
    }
    for (_, answer) in pinned.evaluate_all(&user) {
        note(answer.enabled);
        note(answer.reason.as_str().is_empty() || answer.stage.is_some_and(|s| s.is_empty()));
    }
    note(pinned.version() == 0 || gate.version() == 0);
    yes
}

/// Returns the number of allocations and the number of answers that were yes.
fn count(asks: impl FnOnce() -> usize) -> (u64, usize) {
    let mut yes = 0;
    let info = measure(|| yes = asks());
    (info.count_total, yes)
}

#[test]
fn evaluations_allocate_nothing() {
    let gate = gate();
    let handles: Vec<_> = FLAGS.iter().map(|flag| gate.flag(flag)).collect();
    // The first load of a snapshot in a thread sets up arc-swap's slots: see the last test.
    gate.evaluate(1, "matched");

    let text = "user-7".to_owned();
    let bytes = vec![0xff_u8; 1 << 16];
    let user = ATTRIBUTES
        .into_iter()
        .fold(User::new("user-2000"), |user, (name, value)| user.attribute(name, value));
    // More attributes than a `User` has room for are allocated when it is built, before the count begins.
    let typed = User::new("user-3000")
        .attribute("seats", 250)
        .attribute("ratio", 0.1 + 0.2)
        .attribute("active", true)
        .attribute("organisation", u64::MAX)
        .attribute("role", "beta")
        .attribute("role", "admin")
        .attribute("app", "4.2.0-rc.1.with.a.long.pre-release.of.many.parts.12345678901234567890")
        .attribute("since", "2026-01-05T23:59:59.999999999+01:00")
        .attribute("region", "eu-west")
        .attribute("os", "linux");
    let unreadable = User::new("user-3001")
        .attribute("seats", f64::NAN)
        .attribute("ratio", f64::from_bits(1))
        .attribute("organisation", "")
        .attribute("organisation", f64::MIN)
        .attribute("app", "4.2.0-a-very-long-pre-release..with-an-error")
        .attribute("app", "no version at all, and longer than any version")
        .attribute("since", "2026-02-30T99:00:00+99:99")
        .attribute("since", "9999-12-31T23:59:59-23:59")
        .attribute("since", "yesterday");
    let counts = [
        ("typed attributes", count(|| ask(&gate, &handles, &typed))),
        ("unreadable attributes", count(|| ask(&gate, &handles, &unreadable))),
        ("&str", count(|| ask(&gate, &handles, "user-42"))),
        ("String", count(|| ask(&gate, &handles, &text))),
        ("u64", count(|| ask(&gate, &handles, u64::MAX))),
        ("i128", count(|| ask(&gate, &handles, i128::MIN))),
        ("&[u8]", count(|| ask(&gate, &handles, &bytes[..]))),
        ("User", count(|| ask(&gate, &handles, &user))),
    ];
    for (user, (allocations, yes)) in counts {
        assert_eq!(allocations, 0, "asked by {user}");
        // Most users have a cohort for every known flag, and `everybody` is on for all users.
        assert!(yes > 20, "asked by {user}: only {yes} answers of yes");
    }
    let is_all_on = |flags: &[&str]| flags.iter().all(|flag| gate.is_enabled(&typed, flag));
    assert!(is_all_on(&["by-roles", "by-seats", "tests", "bounds", "only", "requires"]));
    // Groups decided: listed and matched users have the flag, or are held back.
    let is_on = |flag: &str| gate.is_enabled("user-7", flag) || gate.is_enabled(&user, flag);
    assert!(is_on("listed") && is_on("matched") && !is_on("held"));
}

#[test]
fn eight_attributes_are_built_without_allocating() {
    let gate = gate();
    // As above: "matched" has groups, so its evaluation loads the snapshot.
    gate.evaluate(1, "matched");
    let build = |count: usize| {
        let attributes = ATTRIBUTES.into_iter().cycle().take(count);
        attributes.fold(User::new("user-2000"), |user, (name, value)| user.attribute(name, value))
    };
    let asks =
        |attributes: usize| count(|| usize::from(gate.is_enabled(build(attributes), "matched")));
    assert_eq!(asks(8), (0, 1));
    // The ninth attribute goes to the heap, as documented. This also shows that the test counts allocations.
    assert_eq!(asks(9), (1, 1));
}

#[test]
fn evaluations_after_an_update_allocate_nothing() {
    let gate = gate();
    let handle = gate.flag("added-later");
    assert!(!handle.is_enabled(1));
    // The thread's first check that the snapshot answers allocates the thread's copy. Later ones reuse it.
    gate.evaluate(1, "matched");
    gate.update(
        "schema = 1\nlimits.per_update = 100\n[flags.added-later]\nstage = \"ga\"\n[flags.another]",
    )
    .unwrap();
    // An update that adds or removes flags makes the next evaluation look the name up again.
    assert_eq!(count(|| usize::from(handle.is_enabled(1))), (0, 1));
    gate.roll_back("added-later").unwrap();
    assert_eq!(count(|| usize::from(handle.is_enabled(1))), (0, 0));
}

#[test]
fn only_the_first_evaluation_of_a_thread_may_allocate() {
    let gate = gate();
    let counts = thread::spawn(move || {
        let ask = || usize::from(gate.evaluate(1, "matched").enabled);
        [count(ask), count(ask), count(ask)].map(|(allocations, _)| allocations)
    });
    let [first, rest @ ..] = counts.join().unwrap();
    // arc-swap keeps a node for each thread that loads. The thread's first load, of any gate, creates
    // the node or takes it over from a thread that has ended.
    assert!(first <= FIRST_EVALUATION, "{first} allocations");
    assert_eq!(rest, [0, 0]);
}

/// One for the thread's copy of the snapshot. With arc-swap 1.9, one more if the load creates the node, none if it
/// takes one over.
const FIRST_EVALUATION: u64 = 2;
