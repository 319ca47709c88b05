//! The texts and positions of `guard::warnings` about stages that are too short.

use stagegate::guard::{self, Judge, Traffic};
use stagegate::{Document, Plan, limits};

fn warnings(document: &str) -> String {
    let plan = Plan::parse(Document::new(document).name("a.toml")).unwrap();
    assert!(plan.warnings().is_empty());
    guard::warnings(&plan).iter().map(|warning| format!("{warning}\n")).collect()
}

const STAGES: &str = r#"
stages = [
  { name = "team", groups = ["team"], min_duration = "1m" },
  { name = "untimed", percent = 0.1 },
  { name = "pilot", percent = 1, min_duration = "90m" },
  { name = "half", percent = 50, min_duration = "10m", max_duration = "20m" },
  { name = "ga", percent = 100, min_duration = "1m", watch = { for = "2m", every = "1m" } },
]
triggers = [
  { metric = "error_rate", above = "5%", no_data = "hold", action = "rollback" },
  { metric = "error_rate", above = "2%", for = "1h", no_data = "hold", action = "decide" },
  { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
  { metric = "latency_p95", worse_than_control_by = "20%", no_data = "hold", action = "decide" },
]
"#;

fn search(requests: u64) -> String {
    format!(
        "schema = 1\n[groups.team]\nusers = [\"ana\"]\n[flags.search]\n\
         traffic = {{ requests_per_minute = {requests}, error_rate = \"1%\" }}{STAGES}"
    )
}

/// Some cases get no warning: stages with only listed users or without a minimum time, triggers on latencies or with
/// `for`, and comparisons in the last stage.
#[test]
fn stages_that_are_too_short_for_a_trigger_are_reported() {
    assert_eq!(
        warnings(&search(300)),
        r#"a.toml:9:49: flags.search.stages[2].min_duration: found 90m, too short for stage "pilot" of flag "search": at the declared traffic, the guard needs 4h to find twice what `error_rate > 5%` allows in four of five cases
      write a `min_duration` of at least "4h", a larger `percent` or a looser limit
a.toml:9:49: flags.search.stages[2].min_duration: found 90m, too short for stage "pilot" of flag "search": at the declared traffic, the guard needs 12h to find twice what `error_rate 50% worse than control` allows in four of five cases
      write a `min_duration` of at least "12h", a larger `percent` or a looser limit
a.toml:10:49: flags.search.stages[3].min_duration: found 10m, too short for stage "half" of flag "search": at the declared traffic, the guard needs 38m to find twice what `error_rate 50% worse than control` allows in four of five cases
      write a `min_duration` and `max_duration` of at least "38m" or a looser limit
"#
    );
    assert_eq!(
        warnings(&search(1)),
        r#"a.toml:9:49: flags.search.stages[2].min_duration: found 90m, too short for stage "pilot" of flag "search": at the declared traffic, the guard needs 39d to find twice what `error_rate > 5%` allows in four of five cases
      write a `min_duration` of at least "39d", a larger `percent` or a looser limit
a.toml:9:49: flags.search.stages[2].min_duration: found 90m, too short for stage "pilot" of flag "search": at the declared traffic, the guard needs 140d to find twice what `error_rate 50% worse than control` allows in four of five cases
      write a `min_duration` of at least "140d", a larger `percent` or a looser limit
a.toml:10:49: flags.search.stages[3].min_duration: found 10m, too short for stage "half" of flag "search": at the declared traffic, the guard needs 19h to find twice what `error_rate > 5%` allows in four of five cases
      write a `min_duration` and `max_duration` of at least "19h", a larger `percent` or a looser limit
a.toml:10:49: flags.search.stages[3].min_duration: found 10m, too short for stage "half" of flag "search": at the declared traffic, the guard needs 186h to find twice what `error_rate 50% worse than control` allows in four of five cases
      write a `min_duration` and `max_duration` of at least "186h" or a looser limit
a.toml:11:70: flags.search.stages[4].watch.for: found 2m, too short for stage "ga" of flag "search": at the declared traffic, the guard needs 10h to find twice what `error_rate > 5%` allows in four of five cases
      write a `watch.for` of at least "10h" or a looser limit
"#
    );
    assert_eq!(warnings(&search(30_000)), "");
    assert_eq!(warnings(&search(300).replace("traffic = ", "variables = {} # ")), "");
}

const SHARED: &str = r#"schema = 1
[plans.shop]
traffic = { requests_per_minute = 300, error_rate = "1%" }
triggers = [{ metric = "error_rate", above = "5%", no_data = "hold", action = "rollback" }]
[[plans.shop.stages]]
name = "pilot"
percent = 1
min_duration = "1h"
[[plans.shop.stages]]
name = "ga"
percent = 100
[flags]
a = { plan = "shop" }
b = { plan = "shop" }
c = { plan = "shop", traffic = { requests_per_minute = 30_000, error_rate = "1%" } }
d = { plan = "shop", triggers = [] }
e = { plan = "shop", traffic = { requests_per_minute = 30, error_rate = "1%" } }
f = { traffic = { requests_per_minute = 1, error_rate = "1%" }, triggers = [{ metric = "error_rate", above = "2%", no_data = "hold", action = "rollback" }] }
g = { plan = "shop" }
"#;

/// Flags with the same plan and traffic get one warning, at their shared stage. For a stage of the built-in plan, the
/// warning is at the flag's traffic.
#[test]
fn flags_that_share_a_plan_get_one_warning() {
    assert_eq!(
        warnings(SHARED),
        r#"a.toml:8:16: plans.shop.stages[0].min_duration: found 1h, too short for stage "pilot" of flag "a" and 2 more: at the declared traffic, the guard needs 3h to find twice what `error_rate > 5%` allows in four of five cases
      write a `min_duration` of at least "3h", a larger `percent` or a looser limit
a.toml:8:16: plans.shop.stages[0].min_duration: found 1h, too short for stage "pilot" of flag "e": at the declared traffic, the guard needs 27h to find twice what `error_rate > 5%` allows in four of five cases
      write a `min_duration` of at least "27h", a larger `percent` or a looser limit
a.toml:18:17: flags.f.traffic: found 1w, too short for stage "pilot" of flag "f": at the declared traffic, the guard needs 210h to find twice what `error_rate > 2%` allows in four of five cases
      write a `min_duration` of at least "210h", a larger `percent` or a looser limit; `stagegate init` prints the built-in stages, to make them your own
"#
    );
}

#[test]
fn a_need_of_more_than_a_year_suggests_no_duration() {
    let document = SHARED.replace("percent = 1\n", "percent = 0.0001\n");
    let told = warnings(&document);
    assert_eq!(
        told.lines().take(2).collect::<Vec<_>>(),
        [
            "a.toml:8:16: plans.shop.stages[0].min_duration: found 1h, too short for stage \"pilot\" of flag \
             \"a\" and 2 more: at the declared traffic, the guard needs more than a year to find twice what \
             `error_rate > 5%` allows in four of five cases",
            "      write a larger `percent` or a looser limit",
        ]
    );
}

#[test]
fn warnings_have_positions_in_json() {
    let document = r#"{
        "schema": 1,
        "flags": { "a.b": {
            "stages": [{ "name": "s", "percent": 1, "min_duration": "1h" }],
            "triggers": [{ "metric": "error_rate", "above": "5%", "no_data": "hold", "action": "rollback" }],
            "traffic": { "requests_per_minute": 300, "error_rate": "1%" }
        } }
    }"#;
    let plan = Plan::parse(document).unwrap();
    let [warning] = &*guard::warnings(&plan) else { panic!() };
    assert_eq!((warning.line(), warning.path()), (4, "flags.\"a.b\".stages[0].min_duration"));
    assert_eq!(document.get(warning.span()), Some("\"1h\""));
}

/// The warning appears if `Judge::power` predicts a longer time than the stage has, to the minute.
#[test]
fn a_stage_as_long_as_the_forecast_gets_no_warning() {
    let document = |minutes: u64| search(3_000).replace("90m", &format!("{minutes}m"));
    let plan = Plan::parse(document(90)).unwrap();
    let flag = plan.flag("search").unwrap();
    let traffic = Traffic::from(flag.traffic().unwrap());
    let power = Judge::new(&flag, "pilot").unwrap().power(std::time::Duration::ZERO, traffic);
    let longest = power.iter().map(|power| power.twice_after.unwrap()).max().unwrap();
    let minutes = longest.as_secs() / 60;
    assert!(minutes > 10, "{minutes}");
    assert!(warnings(&document(minutes)).contains("for stage \"pilot\""));
    assert!(!warnings(&document(minutes + 1)).contains("for stage \"pilot\""));
}

#[test]
fn warnings_are_limited_like_problems() {
    let flag = |number: u64| {
        let (requests, error_rate) = (number % 500 + 1, number / 500 + 1);
        format!(
            "f{number} = {{ plan = \"shop\", traffic = {{ requests_per_minute = {requests}, \
             error_rate = \"{error_rate}%\" }} }}\n"
        )
    };
    let flags: String = (0..1500).map(flag).collect();
    let plan = Plan::parse(format!("{SHARED}{flags}")).unwrap();
    assert_eq!(guard::warnings(&plan).len(), limits::MAX_PROBLEMS);
}
