//! Timelines, calendars and responsibility tables of a plan.
//!
//! The rules are compared with naive implementations that search day by day, or hour by hour.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use stagegate::Plan;
use stagegate::model::{Date, Period, Timeline};

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn at(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

const WORKED: &str = r#"
schema = 1
[flags.search]
owner = "checkout"
timeline = { owners = { pilot = "Jana" } }
calendar = { hours = ["Mon-Thu 09:00-16:00"], freezes = [
    { from = "2026-12-20", to = 2027-01-03, reason = "holidays" },
] }
stages = [
    { name = "internal", percent = 1, min_duration = "1d", max_duration = "2d" },
    { name = "pilot", percent = 10, min_duration = "3d", max_duration = "1w" },
    { name = "expanded", percent = 25, min_duration = "5d 1h", max_duration = "23d" },
    { name = "ga", percent = 100, watch = { for = "48h", every = "2h" } },
]
messages = [
    { audience = "client", stage = "pilot", when = "-3d", channel = "email", template = "soon" },
    { audience = "internal", when = "start", channel = "chat", template = "now" },
    { audience = "client", stage = "expanded", when = "weekly", channel = "email", template = "well" },
    { audience = "user", stage = "ga", when = "end", channel = "page", template = "done" },
    { audience = "user", when = "rollback", channel = "page", template = "back" },
    { audience = "internal", stage = "internal", when = "+1d", channel = "chat", template = "how" },
]
"#;

#[test]
fn a_weekend_and_the_holidays_move_promotions() {
    let plan = Plan::parse(WORKED).unwrap();
    let flag = plan.flag("search").unwrap();
    assert_eq!(flag.start(), None);
    // A Friday.
    let Timeline { start, stages, messages, .. } = flag.timeline(day("2026-12-04"));
    assert_eq!(start, day("2026-12-04"));

    let period = |earliest, latest| Period { earliest: day(earliest), latest: day(latest) };
    let expected = [
        ("internal", "checkout", period("2026-12-07", "2026-12-07"), None),
        ("pilot", "Jana", period("2026-12-08", "2026-12-09"), None),
        // Three days after Tuesday is a Friday, which is closed. A week after Wednesday is a Wednesday.
        ("expanded", "checkout", period("2026-12-14", "2026-12-16"), None),
        // Six days later is a Sunday, and the next Monday is in the holidays.
        ("ga", "checkout", period("2027-01-04", "2027-01-11"), Some("holidays")),
    ];
    let found = stages.iter().map(|stage| {
        let owner = stage.owner.unwrap();
        (stage.stage.as_str(), owner, stage.begins, stage.delayed_by)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let ends = stages.iter().map(|stage| stage.ends);
    let last = period("2027-01-06", "2027-01-13");
    let begins_of_next = expected.iter().skip(1).map(|(.., begins, _)| *begins);
    assert_eq!(ends.collect::<Vec<_>>(), begins_of_next.chain([last]).collect::<Vec<_>>());

    let due = messages
        .iter()
        .map(|due| format!("{} {} {}", due.date, due.stage, due.message.template.text()));
    assert_eq!(
        due.collect::<Vec<_>>(),
        [
            "2026-12-05 pilot soon",
            "2026-12-07 internal now",
            "2026-12-08 internal how",
            "2026-12-08 pilot now",
            "2026-12-14 expanded now",
            "2026-12-21 expanded well",
            "2026-12-28 expanded well",
            "2027-01-04 ga now",
            "2027-01-06 ga done",
        ],
    );
}

/// A short document can cause a huge number of messages.
#[test]
fn messages_beyond_the_limit_are_counted() {
    let stages: Vec<String> = (1..=64)
        .map(|stage| {
            format!("{{ name = \"s{stage}\", percent = {stage}, min_duration = \"520w\" }}")
        })
        .collect();
    let weekly = r#"{ audience = "user", when = "weekly", channel = "x", template = "x" }"#;
    let document = format!(
        "schema = 1\n[flags.a]\nstages = [{}]\nmessages = [{}]",
        stages.join(","),
        [weekly; 1000].join(","),
    );
    let plan = Plan::parse(document).unwrap();
    let timeline = plan.flag("a").unwrap().timeline(day("2026-01-05"));
    assert_eq!(timeline.messages.len(), stagegate::limits::MAX_DUE_MESSAGES);
    // A stage of 520 weeks has 519 weekly messages. The 520th date is the day on which the stage ends.
    let all = 64 * 1000 * 519;
    assert_eq!(timeline.messages.len() + timeline.unlisted_messages, all);
}

#[test]
fn a_flag_may_have_no_dates_and_no_durations() {
    let document = r#"
        schema = 1
        [flags.a]
        stages = [{ name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
    "#;
    let plan = Plan::parse(document).unwrap();
    let flag = plan.flag("a").unwrap();
    let saturday = day("2026-01-10");
    for stage in flag.timeline(saturday).stages {
        let all_day = Period { earliest: saturday, latest: saturday };
        assert_eq!((stage.begins, stage.ends), (all_day, all_day));
        assert_eq!((stage.owner, stage.delayed_by), (None, None));
    }
    // Dates beyond the supported range are clamped to its first or last day.
    let last = day("9000-12-31");
    assert_eq!(last.plus_days(i32::MAX), last);
    assert_eq!(last.plus_days(i32::MIN), day("1970-01-01"));
    let plan = Plan::parse(WORKED).unwrap();
    let stages = plan.flag("search").unwrap().timeline(last).stages;
    assert!(stages.iter().all(|stage| stage.begins.latest == last && stage.ends.latest == last));
}

#[test]
fn a_freeze_without_end_ends_the_search_for_a_day() {
    let plan = Plan::parse(
        r#"
        schema = 1
        [flags.a.calendar]
        hours = ["Mon"]
        freezes = [{ from = "1970-01-01", to = "9000-12-31", reason = "the end" }]
        "#,
    )
    .unwrap();
    assert_eq!(plan.warnings().len(), 1);
    let timeline = plan.flag("a").unwrap().timeline(day("2026-01-05"));
    assert!(timeline.stages.iter().all(|stage| stage.delayed_by == Some("the end")));
}

#[test]
fn a_calendar_uses_the_local_time_of_its_zone() {
    let plan = Plan::parse(
        r#"
        schema = 1
        [flags.a.calendar]
        time_zone = "Europe/Berlin"
        hours = ["Mon-Thu 09:00-16:00"]
        freezes = [{ from = "2026-03-30", to = "2026-03-31", reason = "audit" }]
        "#,
    )
    .unwrap();
    let calendar = plan.flag("a").unwrap().calendar().unwrap();
    for (moment, is_allowed) in [
        ("2026-03-26T07:59:59.999999999Z", false),
        ("2026-03-26T08:00:00Z", true),
        ("2026-03-26T14:59:59.999999999Z", true),
        ("2026-03-26T15:00:00Z", false),
        // Friday.
        ("2026-03-27T10:00:00Z", false),
        // Summer time began on Sunday.
        ("2026-03-30T10:00:00Z", false),
        ("2026-03-31T13:59:59Z", false),
        ("2026-04-01T06:59:59Z", false),
        ("2026-04-01T07:00:00Z", true),
        ("2026-04-01T13:59:59Z", true),
        ("2026-04-01T14:00:00Z", false),
    ] {
        assert_eq!(calendar.allows(at(moment)), is_allowed, "{moment}");
    }
    let open = |text| calendar.allows_on(day(text));
    assert!(open("2026-03-26") && !open("2026-03-27") && !open("2026-03-30"));
    assert!(!open("2026-03-31") && open("2026-04-01"));
    assert_eq!(&*calendar.freeze_on(day("2026-03-31")).unwrap().reason, "audit");
}

#[test]
fn an_hour_that_a_clock_shows_twice_is_covered_twice() {
    let plan = Plan::parse(
        r#"
        schema = 1
        [flags.a]
        responsibility = [
            { hours = ["Sun 02:00-03:00"], time_zone = "Europe/Berlin", contact = "night" },
            { hours = ["Fri 18:00-09:00"], time_zone = "Europe/Berlin", contact = "weekend" },
            { contact = "on call" },
        ]
        "#,
    )
    .unwrap();
    let flag = plan.flag("a").unwrap();
    let responsible = |text| &*flag.responsible(at(text)).unwrap().1.contact;
    // On this Sunday the clock goes from 02:00 to 03:00.
    assert_eq!(responsible("2026-03-29T00:59:59Z"), "on call");
    assert_eq!(responsible("2026-03-29T01:00:00Z"), "on call");
    assert_eq!(responsible("2026-04-05T00:00:00Z"), "night");
    // And on this one from 03:00 to 02:00.
    assert_eq!(responsible("2026-10-24T23:59:59.999999999Z"), "on call");
    assert_eq!(responsible("2026-10-25T00:00:00Z"), "night");
    assert_eq!(responsible("2026-10-25T00:59:59Z"), "night");
    assert_eq!(responsible("2026-10-25T01:00:00Z"), "night");
    assert_eq!(responsible("2026-10-25T01:59:59.999999999Z"), "night");
    assert_eq!(responsible("2026-10-25T02:00:00Z"), "on call");
    // Until Saturday morning.
    assert_eq!(responsible("2026-01-09T16:59:59Z"), "on call");
    assert_eq!(responsible("2026-01-09T17:00:00Z"), "weekend");
    assert_eq!(responsible("2026-01-10T07:59:59.999999999Z"), "weekend");
    assert_eq!(responsible("2026-01-10T08:00:00Z"), "on call");
    assert_eq!(flag.responsible(at("2026-01-10T08:00:00Z")).unwrap().0, 2);
    // A person is responsible before 1970 and beyond the supported dates, too.
    let long = Duration::from_secs(1 << 40);
    for moment in [SystemTime::UNIX_EPOCH - long, SystemTime::UNIX_EPOCH + long] {
        assert!(flag.responsible(moment).is_some());
    }
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Returns the days of the week whose bit is set. Bit 0 is Monday.
fn days_of(bits: u8) -> impl Iterator<Item = usize> {
    (0..7).filter(move |day| bits & (1 << day) != 0)
}

fn day_names(bits: u8) -> String {
    days_of(bits).map(|day| WEEKDAYS[day]).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn stages_begin_on_the_day_that_a_day_by_day_search_finds(
        days in 1..128_u8,
        freezes in prop::collection::vec((0..60, 0..20), 0..4),
        stages in prop::collection::vec((prop::option::of(1..200_u32), prop::option::of(0..100_u32)), 1..5),
        start in 0..60,
    ) {
        let first = day("2026-01-01");
        let start = first.plus_days(start);
        let mut document = format!(
            "schema = 1\n[flags.a]\ntimeline.start = {start}\ncalendar.hours = [\"{}\"]\n",
            day_names(days),
        );
        let freezes: Vec<(Date, Date)> = freezes.into_iter()
            .map(|(from, days)| (first.plus_days(from), first.plus_days(from + days))).collect();
        for (index, (from, to)) in freezes.iter().enumerate() {
            document += &format!(
                "[[flags.a.calendar.freezes]]\nfrom = {from}\nto = {to}\nreason = \"{index}\"\n",
            );
        }
        for (index, (min, max)) in stages.iter().enumerate() {
            let percent = index + 1;
            document +=
                &format!("[[flags.a.stages]]\nname = \"s{index}\"\npercent = {percent}\n");
            if let Some(min) = min {
                document += &format!("min_duration = \"{min}h\"\n");
            }
            if let Some(max) = max {
                document += &format!("max_duration = \"{}h\"\n", max + min.unwrap_or(1));
            }
        }
        let plan = Plan::parse(document).unwrap();
        let timeline = plan.flag("a").unwrap().timeline(start);
        prop_assert_eq!(timeline.stages.len(), stages.len());

        let has_hours = |day: Date| days_of(days).any(|open| open == day.weekday() as usize);
        let is_in = |day: Date, (from, to): (Date, Date)| from <= day && day <= to;
        let is_frozen = |day: Date| freezes.iter().any(|freeze| is_in(day, *freeze));
        let walk = |mut day: Date, is_open: &dyn Fn(Date) -> bool| {
            while !is_open(day) {
                day = day.plus_days(1);
            }
            day
        };
        let open_from = |day| walk(day, &|day| has_hours(day) && !is_frozen(day));
        let days_in = |hours: u32| i32::try_from(hours.div_ceil(24)).unwrap();
        let (mut earliest, mut latest) = (start, start);
        let mut delayed = 0;
        for (stage, (min, max)) in timeline.stages.iter().zip(&stages) {
            let wished = walk(earliest, &has_hours);
            (earliest, latest) = (open_from(earliest), open_from(latest));
            prop_assert_eq!(stage.begins, Period { earliest, latest });
            prop_assert!(earliest <= latest && stage.ends.earliest <= stage.ends.latest);
            prop_assert_eq!(stage.delayed_by.is_some(), wished != earliest);
            if let Some(reason) = stage.delayed_by {
                delayed += 1;
                prop_assert!(is_in(wished, freezes[reason.parse::<usize>().unwrap()]));
            }
            let most = max.map(|max| max + min.unwrap_or(1)).or(*min).unwrap_or(0);
            earliest = earliest.plus_days(days_in(min.unwrap_or(0)));
            latest = latest.plus_days(days_in(most));
        }
        let last = timeline.stages.last().unwrap();
        prop_assert_eq!(last.ends, Period { earliest, latest });
        // Each delayed stage causes one warning, and there are no other warnings.
        prop_assert_eq!(plan.warnings().len(), delayed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_first_row_that_covers_a_minute_is_responsible(
        rows in prop::collection::vec((1..128_u8, 0..24_u16, 0..=24_u16), 1..8),
        is_complete in any::<bool>(),
        minutes in prop::collection::vec(0..365 * 24 * 60_u64, 20),
    ) {
        let mut document = "schema = 1\n[flags.a]\n".to_owned();
        let hours = |from: u16, to: u16| if from < to { from..to } else { from..to + 24 };
        let mut week = [None; 7 * 24];
        for (index, (days, from, to)) in rows.iter().enumerate() {
            document += &format!(
                "[[flags.a.responsibility]]\ntime_zone = \"Europe/Berlin\"\ncontact = \"{index}\"\n\
                 hours = [\"{} {from:02}:00-{to:02}:00\"]\n",
                day_names(*days),
            );
            for (day, hour) in days_of(*days).flat_map(|day| hours(*from, *to).map(move |h| (day, h))) {
                week[(day * 24 + usize::from(hour)) % (7 * 24)].get_or_insert(index);
            }
        }
        if is_complete {
            document += "[[flags.a.responsibility]]\ncontact = \"on call\"\n";
        }
        let plan = Plan::parse(document);
        let is_always = |(days, from, to): &(u8, u16, u16)| *days == 127 && (from == to || (*from, *to) == (0, 24));
        let has_last = is_complete || rows.last().is_some_and(is_always);
        prop_assert_eq!(plan.is_ok(), has_last, "{:?}", plan);
        let Ok(plan) = plan else { return Ok(()) };
        let flag = plan.flag("a").unwrap();
        for minute in minutes {
            let moment = at("2026-01-01T00:00:00Z") + Duration::from_secs(minute * 60);
            let berlin = jiff::Timestamp::try_from(moment).unwrap().in_tz("Europe/Berlin").unwrap();
            let day = berlin.weekday().to_monday_zero_offset().unsigned_abs();
            let hour = usize::from(day) * 24 + usize::from(berlin.hour().unsigned_abs());
            let (row, _) = flag.responsible(moment).unwrap();
            prop_assert_eq!(row, week[hour].unwrap_or(rows.len()));
        }
    }
}

/// Reading compares each row with the earlier rows of its time zone.
#[test]
fn a_thousand_rows_in_every_zone_are_parsed_quickly() {
    let mut document = "schema = 1\n[flags.a]\n".to_owned();
    let zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    assert!(zones.len() > 400);
    let mut row = |zone: &str, hours: String| {
        document += &format!(
            "[[flags.a.responsibility]]\ntime_zone = \"{zone}\"\ncontact = \"c\"\nhours = [{hours}]\n",
        );
    };
    for (index, zone) in zones.iter().cycle().take(999).enumerate() {
        let minute = index % 60;
        row(zone, format!("\"Mon-Thu 09:{minute:02}-10:{minute:02}\", \"Sat 10:00-10:30\""));
    }
    document += "[[flags.a.responsibility]]\ncontact = \"on call\"\n";
    let begun = std::time::Instant::now();
    Plan::parse(document).unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Returns the start of a flag with this `timeline` and `calendar`: the moment, the text and the day of the timeline.
fn start_of(sections: &str) -> (SystemTime, String, String) {
    let plan = Plan::parse(format!("schema = 1\n[flags.a]\n{sections}")).unwrap();
    let flag = plan.flag("a").unwrap();
    let start = flag.start_moment().unwrap();
    (start.at, start.to_string(), flag.start().unwrap().to_string())
}

/// A start is never earlier than the time on the clock of its time zone.
#[test]
fn a_start_that_daylight_saving_skips_or_repeats_is_never_early() {
    for (start, moment, text) in [
        ("2026-01-05T09:00[Europe/Berlin]", "2026-01-05T08:00Z", "2026-01-05 09:00, Europe/Berlin"),
        (
            "2026-07-05T09:00:00[europe/berlin]",
            "2026-07-05T07:00Z",
            "2026-07-05 09:00, Europe/Berlin",
        ),
        // Clocks go from 02:00 to 03:00.
        ("2026-03-29T02:30[Europe/Berlin]", "2026-03-29T01:30Z", "2026-03-29 03:30, Europe/Berlin"),
        // Clocks go from 03:00 to 02:00: the second 02:30.
        ("2026-10-25T02:30[Europe/Berlin]", "2026-10-25T01:30Z", "2026-10-25 02:30, Europe/Berlin"),
        ("2026-01-05T23:59[UTC]", "2026-01-05T23:59Z", "2026-01-05 23:59, UTC"),
    ] {
        let (found, shown, _) = start_of(&format!("timeline.start = \"{start}\""));
        assert_eq!((found, &*shown), (at(moment), text), "{start}");
    }
    for (day, zone, moment) in [
        ("2026-01-05", "UTC", "2026-01-05T00:00Z"),
        // Clocks skip midnight, and the day begins at 01:00.
        ("2026-04-24", "Africa/Cairo", "2026-04-23T22:00Z"),
        // Clocks repeat the hour after midnight. The day begins at the first midnight.
        ("2026-11-01", "America/Havana", "2026-11-01T04:00Z"),
    ] {
        let sections = format!("timeline.start = {day}\ncalendar.time_zone = \"{zone}\"");
        let (found, shown, days) = start_of(&sections);
        assert_eq!((found, shown, &*days), (at(moment), format!("{day}, {zone}"), day));
    }
}

#[test]
fn the_timeline_begins_on_the_day_of_the_moment_in_the_time_zone_of_the_calendar() {
    let moment = "timeline.start = \"2026-01-05T22:00[America/New_York]\"";
    assert_eq!(start_of(moment).2, "2026-01-05");
    assert_eq!(
        start_of(&format!("{moment}\ncalendar.time_zone = \"Europe/Berlin\"")).2,
        "2026-01-06"
    );
    assert_eq!(start_of(&format!("{moment}\ncalendar = {{}}")).2, "2026-01-06");
}
