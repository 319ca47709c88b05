//! `timeline` in every format. Independent parsers read the calendar file and the chart.

use std::collections::HashSet;

use icalendar::parser::{Component, read_calendar, unfold};
use serde_json::Value;
use stagegate::model::Date;

use super::harness::{Run, assert_golden, stagegate, stagegate_with_stdin};

const COMPLETE: &str = "examples/plans/staged-rollout.toml";
const HOSTILE: &str = include_str!("../data/hostile.toml");
/// Dated activities of every kind, for `HOSTILE`.
const DATED: &str = r#"activities = [
    { text = "First@", at = "start" }, { text = "Each day@", at = "daily", owner = "Eve@" },
    { text = "Each week@", at = "weekly" }, { text = "Last@", at = "end" },"#;
/// A flag that follows the built-in plan.
const BUILT_IN: &str = "schema = 1\n[flags.search]\nowner = \"Ana\"\n";
/// No backslash before an `n`: the parser takes `\\\\n` for a line end.
const ATTACKS: [&str; 4] = [
    r"\r\nEND:VEVENT\r\nBEGIN:VEVENT\nX;Y,Z:\\x\\",
    r"<script>alert('1')</script> & \u0001 ]]> -->",
    r"\u001b[31mred \u202eltr \t \uffff",
    "東京🚀é東京🚀é東京🚀é東京🚀é東京🚀é東京🚀é東京🚀é東京🚀é東京🚀é",
];

fn timeline(format: &str, more: &[&str]) -> String {
    let arguments = ["timeline", COMPLETE, "--flag", "new-checkout", "--format", format];
    stagegate(&[&arguments[..], more].concat()).ends(0).stdout
}

#[test]
fn every_format_matches_its_golden_file() {
    for (format, file) in [
        ("table", "table.txt"),
        ("markdown", "timeline.md"),
        ("ics", "timeline.ics"),
        ("svg", "timeline.svg"),
        ("json", "timeline.json"),
    ] {
        assert_golden(&format!("timeline/{file}"), &timeline(format, &[]));
    }
    assert_eq!(timeline("human", &[]), timeline("table", &[]));
}

#[test]
fn a_start_is_required_and_replaces_the_documents() {
    let minimal = "schema = 1\n[flags.a]";
    let run = stagegate_with_stdin(&["timeline", "-"], minimal).ends(2);
    assert_eq!(
        run.stderr,
        "stagegate: the plan of `a` has no start. Pass `--start 2026-01-05`, or write \
         `timeline = { start = \"2026-01-05\" }` in `[flags.a]`\n"
    );
    stagegate_with_stdin(&["timeline", "-", "--start", "2026-01-05"], minimal).ends(0);
    let run = stagegate_with_stdin(&["timeline", "-", "--start", "2026-02-30"], minimal).ends(2);
    assert!(run.stderr.contains("write for example 2026-01-05"), "{}", run.stderr);
    let json: Value = serde_json::from_str(&timeline("json", &["--start", "2027-02-01"])).unwrap();
    assert_eq!(json["start"], "2027-02-01");
    assert_eq!(json["stages"][0]["begins"]["earliest"], "2027-02-01");
}

#[test]
fn missing_flags_and_files_are_reported() {
    let run = stagegate(&["timeline", COMPLETE]).ends(2);
    let expected = "stagegate: the document has several flags. Pass `--flag` with one of: invoices, new-checkout, retry-payments\n";
    assert_eq!(run.stderr, expected);
    stagegate(&["timeline", COMPLETE, "--flag", "x"]).ends(2);
    stagegate(&["timeline", "no/such/file.toml"]).ends(3);
    stagegate_with_stdin(&["timeline", "-"], b"\xff\0").ends(1);
    let run = stagegate_with_stdin(&["timeline", "-", "--format", "json"], "schema = 2").ends(1);
    assert_eq!(run.json()["verb"], "timeline");
}

fn built_in(document: &str, format: &str) -> Run {
    let arguments = ["timeline", "-", "--start", "2026-01-05", "--format", format];
    stagegate_with_stdin(&arguments, document).ends(0)
}

#[test]
fn the_built_in_plan_has_the_rows_of_the_template() {
    let json = built_in(BUILT_IN, "json").json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows: Vec<[String; 4]> = json["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!(row["owner"], "Ana");
            let days = format!("{} {}", text(row, "begins"), text(row, "ends"));
            [days, text(row, "at"), text(row, "stage"), text(row, "activity")]
        })
        .collect();
    let expected = [
        ["2026-01-05 2026-01-05", "start", "internal", "Deploy to the production environment"],
        [
            "2026-01-05 2026-01-05",
            "daily",
            "internal",
            "Internal testing: test all critical paths manually",
        ],
        ["2026-01-06 2026-01-06", "end", "internal", "Go/no-go decision"],
        ["2026-01-06 2026-01-06", "start", "pilot", "Enable the flag for pilot users"],
        ["2026-01-06 2026-01-12", "daily", "pilot", "Daily monitoring: check the metrics"],
        ["2026-01-06 2026-01-12", "weekly", "pilot", "Collect user feedback"],
        ["2026-01-13 2026-01-13", "end", "pilot", "Go/no-go decision"],
        ["2026-01-13 2026-01-13", "start", "expanded", "Enable the flag for 25% of users"],
        [
            "2026-01-13 2026-01-19",
            "daily",
            "expanded",
            "Monitor for scale-related issues and support users",
        ],
        ["2026-01-20 2026-01-20", "end", "expanded", "Go/no-go decision"],
        [
            "2026-01-20 2026-01-20",
            "start",
            "ga",
            "Enable the flag for 100% of users, or remove it from the code",
        ],
        ["2026-01-20 2026-01-21", "daily", "ga", "Intensive monitoring for 48 hours"],
        ["2026-01-22 2026-01-22", "end", "ga", "Transition to maintenance and normal monitoring"],
    ];
    assert_eq!(rows, expected.map(|row| row.map(str::to_owned)));
    agrees(&built_in(BUILT_IN, "ics").stdout, &json);
}

#[test]
fn every_format_of_the_built_in_plan_matches_its_golden_file() {
    for (format, file) in [
        ("table", "built-in.txt"),
        ("markdown", "built-in.md"),
        ("ics", "built-in.ics"),
        ("svg", "built-in.svg"),
    ] {
        assert_golden(&format!("timeline/{file}"), &built_in(BUILT_IN, format).stdout);
    }
}

#[test]
fn an_unknown_owner_or_value_is_named() {
    let document = "schema = 1\n[flags.search]\n";
    let row = "| Mon 2026-01-05 | internal | Deploy to the production environment | [Name] |\n";
    assert!(built_in(document, "markdown").stdout.contains(row));
    let table = built_in(document, "table").stdout;
    assert!(table.contains("[Name]\n") && table.contains("Pilot results: [summary]"), "{table}");
    let json = built_in(document, "json").json();
    assert_eq!(json["rows"][0]["owner"], Value::Null);
    assert_eq!(json["messages"][0]["channel"], Value::Null);
    assert_eq!(json["messages"][0]["method"], "Email");
    for format in ["table", "markdown", "ics", "svg", "json"] {
        for text in [built_in(document, format).stdout, timeline(format, &[])] {
            assert!(!text.contains("{{"), "{text}");
        }
    }
    let ics = stagegate_with_stdin(
        &["timeline", "-", "--format", "ics", "--start", "2026-01-05"],
        "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]\n\
         messages = [{ audience = \"user\", when = \"start\", subject = \"{{ flag }} on {{ date }}\", \
         template = \"{{ owner }}: {{ reason }}\" }]",
    );
    let ics = ics.ends(0).stdout;
    assert!(ics.contains(r"DESCRIPTION:a on 2026-01-05\n\n[owner]: [reason]"), "{ics}");
    assert!(ics.contains("SUMMARY:a: message to user (all start)"), "{ics}");
}

#[test]
fn the_last_stage_ends_with_its_own_activity_or_with_the_completion() {
    let last = |activities: &str| {
        let document = format!(
            "schema = 1\n[flags.a]\nstages = [{{ name = \"all\", percent = 100, \
             min_duration = \"15d\", activities = [{activities}] }}]"
        );
        built_in(&document, "json").json()["rows"].as_array().unwrap().clone()
    };
    let rows = last(r#"{ text = "Look", at = "weekly", owner = "Ben" }, "Undated""#);
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["owner"], &rows[0]["ends"]), (&"Ben".into(), &"2026-01-19".into()));
    assert_eq!(
        (&rows[1]["kind"], &rows[1]["begins"]),
        (&"completion".into(), &"2026-01-20".into())
    );
    let rows = last(r#"{ text = "Close", at = "end" }"#);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["activity"], "Close");
}

#[test]
fn the_calendar_file_matches_the_json() {
    let json: Value = serde_json::from_str(&timeline("json", &[])).unwrap();
    agrees(&timeline("ics", &[]), &json);
}

/// Reads a calendar file with an independent parser, and compares it with the JSON.
#[track_caller]
fn agrees(ics: &str, json: &Value) {
    for line in ics.split_terminator("\r\n") {
        assert!(line.len() <= 75, "{line}");
        assert!(!line.contains(['\r', '\n']), "{line:?}");
    }
    assert!(ics.ends_with("END:VCALENDAR\r\n"));
    let unfolded = unfold(ics);
    let calendar = read_calendar(&unfolded).unwrap();
    let value = |event: &Component<'_>, name: &str| {
        event.find_prop(name).map(|property| property.val.to_string()).unwrap_or_default()
    };
    let (stages, messages) =
        (json["stages"].as_array().unwrap(), json["messages"].as_array().unwrap());
    let is_activity = |row: &&Value| row["kind"] == "activity";
    let rows = json["rows"].as_array().unwrap();
    let activities: Vec<&Value> = rows.iter().filter(is_activity).collect();
    let events = &calendar.components;
    assert_eq!(events.len(), stages.len() * 2 + activities.len() + messages.len());
    let start = json["start"].as_str().unwrap().replace('-', "");
    let uids: HashSet<String> = events.iter().map(|event| value(event, "UID")).collect();
    assert_eq!(uids.len(), events.len());
    for event in events {
        assert_eq!(event.name, "VEVENT");
        assert_eq!(value(event, "DTSTAMP"), format!("{start}T000000Z"));
    }
    let of = |category: &'static str| {
        events.iter().filter(move |event| value(event, "CATEGORIES") == category)
    };
    let day = |value: &Value| value.as_str().unwrap().replace('-', "");
    let flag = json["flag"].as_str().unwrap();
    for (event, stage) in of("STAGE").zip(stages) {
        let (name, percent) = (stage["stage"].as_str().unwrap(), &stage["percent"]["text"]);
        let percent = percent.as_str().unwrap();
        assert_eq!(value(event, "SUMMARY"), format!("{flag}: {name} ({percent})"));
        assert_eq!(value(event, "DTSTART"), day(&stage["begins"]["earliest"]));
        if stage["begins"] != stage["ends"] {
            assert_eq!(value(event, "DTEND"), day(&stage["ends"]["earliest"]));
        }
    }
    for (event, stage) in of("DECISION").zip(stages) {
        assert_eq!(value(event, "DTSTART"), day(&stage["ends"]["earliest"]));
        for item in stage["decision"]["checklist"].as_array().unwrap() {
            let text = shown(item["text"].as_str().unwrap());
            assert!(value(event, "DESCRIPTION").contains(&text), "{event:?}");
        }
    }
    for (event, message) in of("MESSAGE").zip(messages) {
        assert_eq!(value(event, "DTSTART"), day(&message["date"]));
        let way = message["channel"].as_str().or(message["method"].as_str());
        assert!(value(event, "SUMMARY").contains(&shown(way.unwrap_or(""))), "{event:?}");
    }
    for (event, row) in of("ACTIVITY").zip(&activities) {
        assert_eq!(value(event, "DTSTART"), day(&row["begins"]));
        assert!(value(event, "SUMMARY").contains(&shown(row["activity"].as_str().unwrap())));
        let owner = row["owner"].as_str().unwrap_or("[Name]");
        assert!(value(event, "DESCRIPTION").contains(&format!("Owner: {}", shown(owner))));
        let date = |name: &str| -> Date { row[name].as_str().unwrap().parse().unwrap() };
        let days = date("begins").days_until(date("ends"));
        let rule = match row["at"].as_str().unwrap() {
            "daily" => format!("FREQ=DAILY;COUNT={}", days + 1),
            "weekly" => format!("FREQ=WEEKLY;COUNT={}", days / 7 + 1),
            _ => String::new(),
        };
        assert_eq!(value(event, "RRULE"), rule);
    }
    assert_eq!(of("STAGE").count(), stages.len());
    assert_eq!(of("ACTIVITY").count(), activities.len());
    assert_eq!(of("MESSAGE").count(), messages.len());
}

/// Returns a text as the parser returns it: with visible control characters.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\u{1}' | '\u{1b}' | '\u{202e}' => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[test]
fn identifiers_stay_when_the_start_moves() {
    let uids = |start: &str| -> Vec<String> {
        let ics = timeline("ics", &["--start", start]);
        ics.lines().filter(|line| line.starts_with("UID:")).map(str::to_owned).collect()
    };
    assert_eq!(uids("2026-02-02"), uids("2026-03-02"));
}

#[test]
fn hostile_texts_stay_texts() {
    for attack in ATTACKS {
        let hostile = HOSTILE.replace("activities = [", DATED);
        let document = hostile.replace('@', attack);
        let run = |format: &str| {
            stagegate_with_stdin(&["timeline", "-", "--format", format], &document).ends(0)
        };
        agrees(&run("ics").stdout, &run("json").json());
        let svg = run("svg").stdout;
        let chart = roxmltree::Document::parse(&svg).unwrap();
        let known = ["svg", "title", "desc", "style", "rect", "text", "line", "polygon"];
        let elements = chart.descendants().filter(roxmltree::Node::is_element);
        assert!(elements.clone().all(|node| known.contains(&node.tag_name().name())));
        let benign =
            stagegate_with_stdin(&["timeline", "-", "--format", "svg"], hostile.replace('@', ""));
        let benign = benign.ends(0).stdout;
        let benign = roxmltree::Document::parse(&benign).unwrap();
        let count = benign.descendants().filter(roxmltree::Node::is_element).count();
        assert_eq!(elements.count(), count);
        for format in ["table", "markdown"] {
            let text = run(format).stdout;
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
            assert!(!text.contains(['\u{202e}']), "{text:?}");
        }
        assert!(!run("markdown").stdout.replace(r"\<", "").contains("<script"));
    }
}

#[test]
fn the_chart_has_a_bar_for_each_stage_where_its_days_are() {
    let start = ["--start", "2026-03-02"];
    let (svg, json) = (timeline("svg", &start), timeline("json", &start));
    let json: Value = serde_json::from_str(&json).unwrap();
    let chart = roxmltree::Document::parse(&svg).unwrap();
    let number = |node: &roxmltree::Node<'_, '_>, name: &str| -> i64 {
        node.attribute(name).unwrap().parse().unwrap()
    };
    let bars: Vec<(i64, i64, i64)> = chart
        .descendants()
        .filter(|node| node.attribute("class") == Some("stage"))
        .map(|bar| (number(&bar, "x"), number(&bar, "width"), number(&bar, "y")))
        .collect();
    let stages = json["stages"].as_array().unwrap();
    assert_eq!(bars.len(), stages.len());
    assert!(bars.windows(2).all(|two| two[0].0 <= two[1].0 && two[0].2 < two[1].2), "{bars:?}");
    // Every day has the same width, up to rounding to whole pixels.
    let day = |value: &Value| -> i64 {
        let date: Date = value.as_str().unwrap().parse().unwrap();
        i64::from("2026-01-01".parse::<Date>().unwrap().days_until(date))
    };
    let days = |stage: &Value, end: &str| day(&stage[end]["earliest"]);
    let (first, last) = (&stages[0], &stages[stages.len() - 1]);
    let (first_bar, last_bar) = (bars[0], bars[bars.len() - 1]);
    let pixels = last_bar.0 + last_bar.1 - first_bar.0;
    let all = days(last, "ends") - days(first, "begins");
    for (bar, stage) in bars.iter().zip(stages) {
        let from = first_bar.0 + (days(stage, "begins") - days(first, "begins")) * pixels / all;
        let width = (days(stage, "ends") - days(stage, "begins")) * pixels / all;
        assert!((bar.0 - from).abs() <= 2 && (bar.1 - width).abs() <= 3, "{bar:?} {from} {width}");
    }
    let decisions = chart.descendants().filter(|node| node.attribute("class") == Some("decision"));
    assert_eq!(decisions.count(), stages.len());
}

#[test]
fn the_chart_marks_each_day_of_an_activity() {
    let svg = built_in(BUILT_IN, "svg").stdout;
    let chart = roxmltree::Document::parse(&svg).unwrap();
    let notes: Vec<String> = chart
        .descendants()
        .filter(|node| node.attribute("class") == Some("activity"))
        .filter_map(|node| node.first_element_child()?.text().map(str::to_owned))
        .collect();
    assert_eq!(notes.len(), 10);
    let daily = "Tue 2026-01-06 – Mon 2026-01-12, daily: Daily monitoring: check the metrics (Ana)";
    assert!(notes.iter().any(|note| note == daily), "{notes:?}");
    for text in ["Deploy to the production environment", "Collect user feedback"] {
        assert!(chart.descendants().any(|node| node.text() == Some(text)), "{text}");
    }
    // Three occurrences in fifteen days.
    let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100, \
                    min_duration = \"15d\", activities = [{ text = \"Look\", at = \"weekly\" }] }]";
    let svg = built_in(document, "svg").stdout;
    assert_eq!(svg.matches("class=\"activity\"").count(), 3);
}

#[test]
fn charts_of_a_week_and_of_years_have_whole_numbers_within_the_picture() {
    for (min, max) in [("1d", "2d"), ("30d", "60d"), ("365d", "700d"), ("3650d", "3650d")] {
        let document = format!(
            "schema = 1\n[flags.a]\nstages = [\
             {{ name = \"one-with-a-name-that-is-quite-lon\", percent = 1, min_duration = \"{min}\", \
             max_duration = \"{max}\", activities = [{{ text = \"Look\", at = \"daily\" }}, \
             {{ text = \"Meet\", at = \"weekly\" }}] }},\n{{ name = \"two\", percent = 100 }}]\n\
             calendar = {{ freezes = [{{ from = 2026-01-07, to = 2026-01-08, reason = \"x\" }}] }}"
        )
        .replace("that-is-quite-lon", "of-31-b");
        let run = ["timeline", "-", "--format", "svg", "--start", "2026-01-05"];
        let svg = stagegate_with_stdin(&run, &document).ends(0).stdout;
        let chart = roxmltree::Document::parse(&svg).unwrap();
        let mut labels = Vec::new();
        for node in chart.descendants() {
            for name in ["x", "y", "width", "height", "x1", "x2"] {
                let Some(value) = node.attribute(name) else { continue };
                let value: i64 = value.parse().unwrap();
                assert!((0..=1040).contains(&value), "{node:?}");
            }
            if node.attribute("y") == Some("74") && node.tag_name().name() == "text" {
                labels.push(node.text().unwrap().to_owned());
            }
        }
        assert!((3..=14).contains(&labels.len()), "{min}: {labels:?}");
    }
}
