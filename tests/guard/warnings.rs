//! What `guard::warnings` says of stages that are too short, and where.

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

/// Nothing is said of who is in by a list alone, of a stage that lasts no certain time, of what is judged
/// otherwise, and of a comparison where everybody has the flag.
#[test]
fn each_stage_that_is_too_short_for_a_trigger_is_told() {
    assert_eq!(
        warnings(&search(300)),
        r#"a.toml:9:49: flags.search.stages[2].min_duration: found 90m at least for stage "pilot" of flag "search": at the declared traffic it takes 4h until twice what `error_rate > 5%` allows is found, in four of five cases
      write a `min_duration` of at least "4h", a larger `percent` or a looser limit
a.toml:9:49: flags.search.stages[2].min_duration: found 90m at least for stage "pilot" of flag "search": at the declared traffic it takes 12h until twice what `error_rate 50% worse than control` allows is found, in four of five cases
      write a `min_duration` of at least "12h", a larger `percent` or a looser limit
a.toml:10:49: flags.search.stages[3].min_duration: found 10m at least for stage "half" of flag "search": at the declared traffic it takes 38m until twice what `error_rate 50% worse than control` allows is found, in four of five cases
      write a `min_duration` and `max_duration` of at least "38m" or a looser limit
"#
    );
    assert_eq!(
        warnings(&search(1)),
        r#"a.toml:9:49: flags.search.stages[2].min_duration: found 90m at least for stage "pilot" of flag "search": at the declared traffic it takes 39d until twice what `error_rate > 5%` allows is found, in four of five cases
      write a `min_duration` of at least "39d", a larger `percent` or a looser limit
a.toml:9:49: flags.search.stages[2].min_duration: found 90m at least for stage "pilot" of flag "search": at the declared traffic it takes 140d until twice what `error_rate 50% worse than control` allows is found, in four of five cases
      write a `min_duration` of at least "140d", a larger `percent` or a looser limit
a.toml:10:49: flags.search.stages[3].min_duration: found 10m at least for stage "half" of flag "search": at the declared traffic it takes 19h until twice what `error_rate > 5%` allows is found, in four of five cases
      write a `min_duration` and `max_duration` of at least "19h", a larger `percent` or a looser limit
a.toml:10:49: flags.search.stages[3].min_duration: found 10m at least for stage "half" of flag "search": at the declared traffic it takes 186h until twice what `error_rate 50% worse than control` allows is found, in four of five cases
      write a `min_duration` and `max_duration` of at least "186h" or a looser limit
a.toml:11:70: flags.search.stages[4].watch.for: found 2m at least for stage "ga" of flag "search": at the declared traffic it takes 10h until twice what `error_rate > 5%` allows is found, in four of five cases
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

/// Once for all that are alike, at the stage that they share; where the stage is the built-in plan's, at the
/// flag's traffic.
#[test]
fn flags_that_share_a_plan_are_told_once() {
    assert_eq!(
        warnings(SHARED),
        r#"a.toml:8:16: plans.shop.stages[0].min_duration: found 1h at least for stage "pilot" of flag "a" and 2 more: at the declared traffic it takes 3h until twice what `error_rate > 5%` allows is found, in four of five cases
      write a `min_duration` of at least "3h", a larger `percent` or a looser limit
a.toml:8:16: plans.shop.stages[0].min_duration: found 1h at least for stage "pilot" of flag "e": at the declared traffic it takes 27h until twice what `error_rate > 5%` allows is found, in four of five cases
      write a `min_duration` of at least "27h", a larger `percent` or a looser limit
a.toml:18:17: flags.f.traffic: found 1w at least for stage "pilot" of flag "f": at the declared traffic it takes 210h until twice what `error_rate > 2%` allows is found, in four of five cases
      write a `min_duration` of at least "210h", a larger `percent` or a looser limit; `stagegate init` prints the built-in stages, to make them your own
"#
    );
}

#[test]
fn what_takes_more_than_a_year_has_no_time_to_write() {
    let document = SHARED.replace("percent = 1\n", "percent = 0.0001\n");
    let told = warnings(&document);
    assert_eq!(
        told.lines().take(2).collect::<Vec<_>>(),
        [
            "a.toml:8:16: plans.shop.stages[0].min_duration: found 1h at least for stage \"pilot\" of flag \
             \"a\" and 2 more: at the declared traffic it takes more than a year until twice what \
             `error_rate > 5%` allows is found, in four of five cases",
            "      write a larger `percent` or a looser limit",
        ]
    );
}

#[test]
fn places_of_json_are_found_too() {
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

/// The warning is where `Judge::power` foretells more than the stage has, to the minute.
#[test]
fn a_stage_that_is_as_long_as_foretold_is_long_enough() {
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
fn no_more_are_listed_than_problems() {
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
