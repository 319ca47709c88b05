//! Documents, plans, and every part of a plan.

use std::path::Path;
use std::time::SystemTime;

use stagegate::model::{
    Action, Audience, Better, Bound, Comparison, Date, FlagPlan, IncidentKind, Increase, Limit,
    Number, Occasion, Quantity, TimeZone, TriggerCause, Unit, WeekHours, When, json_schema,
};
use stagegate::{Document, Format, Plan, PlanError, Problem, User};

use crate::calls::Calls;
use crate::values::{DURATIONS, NUMBERS, keys, texts, times};

/// A document with many optional parts. Flag `a` has the built-in stages, flag `b` its own.
pub(crate) const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["ana"]
where = { region = ["eu"] }
[flags.a]
stage = "pilot"
owner = "shop"
salt = "a"
hold_back = { team = "ga" }
[flags.a.timeline]
start = 9000-12-30
[flags.a.calendar]
time_zone = "Europe/Berlin"
hours = ["Mon-Fri 09:00-17:00"]
freezes = [{ from = 1970-01-01, to = 9000-12-31, reason = "for ever" }]
[flags.a.traffic]
requests_per_minute = 1000
error_rate = "1%"
users = 10
[flags.b]
stages = [{ name = "all", percent = 100, watch = { for = "48h", every = "2h" }, min_duration = "1d", max_duration = "2d" }]
triggers = [{ metric = "error_rate", above = "5%", no_data = "rollback", action = "rollback" }, { incident = "own", action = "decide" }]
"#;

pub(crate) fn call(calls: &mut Calls) {
    documents(calls);
    let plan = calls.call("Plan::parse", || Plan::parse(DOCUMENT).unwrap()).unwrap();
    calls.call("Plan::per_update", || plan.per_update());
    calls.call("Plan::project", || plan.project().is_some());
    calls.call("Plan::version", || plan.version().is_some());
    calls.call("Plan::last_updated", || plan.last_updated());
    calls.call("Plan::warnings", || plan.warnings().len());
    calls.call("Plan::metrics", || plan.metrics().count());
    calls.call("Plan::environment", || plan.environment().is_some());
    calls.call("Plan::environments", || plan.environments().count());
    calls.call("Plan::document", || format!("{:?}", plan.document()));
    calls.call("json_schema", || json_schema().to_string().len());
    for key in texts() {
        calls.call("Plan::flag", || plan.flag(&key).is_some());
        calls.call("Plan::key_of", || plan.key_of(&key).is_some());
    }
    let keys =
        calls.call("Plan::flags", || plan.flags().map(str::to_owned).collect::<Vec<_>>()).unwrap();
    for key in keys {
        flag(calls, &plan.flag(&key).unwrap());
    }
    quantities(calls);
    dates(calls);
}

fn documents(calls: &mut Calls) {
    for text in texts() {
        let bytes = [text.as_bytes(), b"\xff"].concat();
        for bytes in [text.clone().into_bytes(), bytes] {
            let document = calls.call("Document::new", || Document::new(bytes.clone())).unwrap();
            let document = calls.call("Document::name", || document.name(text.clone())).unwrap();
            let document =
                calls.call("Document::directory", || document.directory(text.clone())).unwrap();
            let document =
                calls.call("Document::allowing", || document.allowing(text.clone())).unwrap();
            let chosen = document.clone();
            let chosen =
                calls.call("Document::environment", || chosen.environment(&*text)).unwrap();
            calls.call("Plan::parse", || Plan::parse(&chosen).is_ok());
            calls.call("Document::label", || document.label().len());
            calls.call("Document::text", || document.text().map(str::len));
            calls.call("Document::kept_files", || document.kept_files().len());
            for format in [Format::Toml, Format::Json] {
                let document =
                    calls.call("Document::format", || document.clone().format(format)).unwrap();
                let parsed = calls.call("Plan::parse", || Plan::parse(document)).unwrap();
                if let Err(error) = parsed {
                    plan_error(calls, &error);
                }
            }
        }
        calls.call("Document::read", || Document::read(Path::new(&text)).map(drop));
    }
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in
        [&*nested, &nested.replace('[', "{\"a\":").replace(']', "}"), &format!("a = {nested}")]
    {
        calls.call("Plan::parse", || {
            Plan::parse(text).map(drop).map_err(|error| error.to_string().len())
        });
    }
}

fn plan_error(calls: &mut Calls, error: &PlanError) {
    drop(format!("{error} {error:?}"));
    calls.call("PlanError::warnings", || error.warnings().len());
    calls.call("PlanError::unlisted", || error.unlisted());
    calls.call("PlanError::is_unreadable", || error.is_unreadable());
    for problem in calls.call("PlanError::problems", || error.problems()).unwrap() {
        calls.call("Problem::file", || problem.file().len());
        calls.call("Problem::line", || problem.line());
        calls.call("Problem::column", || problem.column());
        calls.call("Problem::span", || problem.span());
        calls.call("Problem::path", || problem.path().len());
        calls.call("Problem::message", || problem.message().len());
        calls.call("Problem::hint", || Problem::hint(problem).len());
    }
}

fn flag(calls: &mut Calls, flag: &FlagPlan<'_>) {
    calls.call("FlagPlan::key", || flag.key().len());
    calls.call("FlagPlan::owner", || flag.owner());
    calls.call("FlagPlan::description", || flag.description());
    calls.call("FlagPlan::salt", || flag.salt());
    calls.call("FlagPlan::skip_reason", || flag.skip_reason());
    calls.call("FlagPlan::stage", || flag.stage());
    calls.call("FlagPlan::plan", || flag.plan());
    calls.call("FlagPlan::salt_text", || flag.salt_text());
    calls.call("FlagPlan::hold_back", || flag.hold_back().count());
    calls.call("FlagPlan::asked_as", || flag.asked_as().count());
    calls.call("FlagPlan::start_moment", || flag.start_moment());
    calls.call("FlagPlan::start_advance", || flag.start_advance());
    calls.call("FlagPlan::time_zone", || format!("{:?}", flag.time_zone()));
    calls.call("FlagPlan::unit", || flag.unit());
    calls.call("FlagPlan::only", || flag.only().count());
    calls.call("FlagPlan::requires", || flag.requires().count());
    calls.call("FlagPlan::tracked_metrics", || flag.tracked_metrics().count());
    calls.call("FlagPlan::rollback", || flag.rollback().clone());
    calls.call("FlagPlan::variables", || flag.variables().count());
    calls.call("FlagPlan::start", || flag.start());
    calls.call("FlagPlan::stage_owners", || flag.stage_owners().count());
    calls.call("FlagPlan::risks", || flag.risks().len());
    calls.call("FlagPlan::traffic", || flag.traffic().copied());
    calls.call("FlagPlan::force_approvals", || flag.force_approvals());
    calls.call("FlagPlan::four_eyes", || flag.four_eyes());
    for stage in ["", "off", "pilot", "\u{0}"] {
        calls.call("FlagPlan::approvals", || flag.approvals(stage).len());
    }
    for trigger in calls.call("FlagPlan::triggers", || flag.triggers()).unwrap() {
        if let TriggerCause::Incident(kind) = &trigger.cause {
            calls.call("IncidentKind::as_str", || kind.as_str().len());
        }
        assert!(matches!(trigger.action, Action::RollBack | Action::Decide));
    }
    for group in calls.call("FlagPlan::groups", || flag.groups()).unwrap() {
        calls.call("Group::name", || group.name());
        calls.call("Group::users", || group.users().count());
        for condition in
            calls.call("Group::alternatives", || group.alternatives()).unwrap().flatten()
        {
            calls.call("Condition::attribute", || condition.attribute().len());
            assert!(!condition.to_string().is_empty());
        }
        calls.call("Group::values_of", || group.values_of());
        calls.call("Group::includes", || group.includes().count());
        for text in texts() {
            calls.call("Group::lists", || group.lists(&text));
        }
    }
    for key in keys() {
        let user = User::new(&*key).attribute("region", "eu");
        calls.call("FlagPlan::explain", || format!("{:?}", flag.explain(&user)));
        calls
            .call("FlagPlan::explain_with", || format!("{:?}", flag.explain_with(|_| None, &user)));
        for stage in texts() {
            calls.call("FlagPlan::explain_at", || flag.explain_at(&stage, &user).is_some());
        }
    }
    moments(calls, flag);
    for stage in calls.call("FlagPlan::stages", || flag.stages()).unwrap() {
        calls.call("Stage::name", || stage.name());
        calls.call("Stage::percent", || stage.percent());
        calls.call("Stage::groups", || stage.groups().count());
        calls.call("Stage::within", || stage.within().count());
        calls.call("Stage::details", || stage.details().clone());
        let details = stage.details();
        calls.call("StageDetails::conditions", || details.conditions().count());
        calls.call("StageDetails::tracked_metrics", || details.tracked_metrics().count());
        for start in days() {
            calls.call("FlagPlan::timeline_from", || flag.timeline_from(stage.name(), start).len());
        }
    }
    for start in days() {
        calls.call("FlagPlan::timeline", || format!("{:?}", flag.timeline(start)).len());
    }
}

fn moments(calls: &mut Calls, flag: &FlagPlan<'_>) {
    let off = stagegate::StageName::OFF;
    for at in times() {
        calls.call("FlagPlan::responsible", || flag.responsible(at));
        for row in calls.call("FlagPlan::responsibility", || flag.responsibility()).unwrap() {
            calls.call("Responsibility::covers", || row.covers(at));
        }
        let mut occasion = calls.call("Occasion::new", || Occasion::new(off, at)).unwrap();
        occasion.period = Some((days()[0], days()[1]));
        for name in texts().iter().map(String::as_str).chain([
            "percent",
            "responsible",
            "date",
            "duration",
            "start",
            "end",
        ]) {
            calls.call("FlagPlan::variable", || flag.variable(name, &occasion));
        }
        for message in calls.call("FlagPlan::messages", || flag.messages()).unwrap() {
            let template = &message.template;
            calls.call("Template::text", || template.text().len());
            calls.call("Template::variables", || template.variables().count());
            for value in texts() {
                calls.call("Template::render", || template.render(|_| Some(&value)).len());
            }
        }
        if let Some(calendar) = calls.call("FlagPlan::calendar", || flag.calendar()).unwrap() {
            calls.call("Calendar::allows", || calendar.allows(at));
            for day in days() {
                calls.call("Calendar::allows_on", || calendar.allows_on(day));
                calls.call("Calendar::freeze_on", || calendar.freeze_on(day).is_some());
            }
        }
    }
}

fn quantities(calls: &mut Calls) {
    let units = [Unit::Percent, Unit::Duration, Unit::Count];
    for text in texts().iter().map(String::as_str).chain([
        "1e400",
        "18446744073709551616",
        "584542046091y",
        "-1",
        "0.0000000000001",
    ]) {
        for unit in units {
            calls.call("Quantity::parse", || {
                Quantity::parse(text, unit).map_err(|error| error.to_string().len())
            });
        }
        calls.call("Audience::from_str", || {
            text.parse::<Audience>().map_err(|error| error.to_string().len()).is_ok()
        });
        calls.call("Number::from_str", || {
            text.parse::<Number>().map_err(|error| error.to_string().len()).is_ok()
        });
        calls.call("When::from_str", || {
            text.parse::<When>().map_err(|error| error.to_string().len()).is_ok()
        });
        calls.call("IncidentKind::as_str", || IncidentKind::Own(text.into()).as_str().len());
    }
    let durations = DURATIONS.into_iter().map(Quantity::Duration);
    let counts = NUMBERS.into_iter().map(Quantity::Count);
    let mut quantities: Vec<_> = durations.chain(counts).collect();
    for millionths in [i64::MIN, -1, 0, 1, i64::MAX] {
        let number = calls.call("Number::from_millionths", || Number::from_millionths(millionths));
        if let Some(number) = number.unwrap() {
            calls.call("Number::millionths", || number.millionths());
            quantities.push(Quantity::Number(number));
        }
    }
    quantities.extend([Number::MIN, Number::MAX].map(Quantity::Number));
    for ppm in [0, 1, 1_000_000, u32::MAX] {
        let increase = calls.call("Increase::from_ppm", || Increase::from_ppm(ppm)).unwrap();
        if let Some(increase) = increase {
            calls.call("Increase::ppm", || increase.ppm());
        }
        for value in &quantities {
            drop(value.to_string());
            calls.call("Quantity::unit", || value.unit());
            for other in &quantities {
                let worse = [Better::Less, Better::More]
                    .into_iter()
                    .flat_map(|better| increase.map(|by| Limit::WorseThanControlBy { by, better }));
                for limit in [Limit::Above(*other), Limit::Below(*other)].into_iter().chain(worse) {
                    calls.call("Limit::is_exceeded", || limit.is_exceeded(*value, Some(*other)));
                }
                let bound = Bound { comparison: Comparison::Below, value: *other };
                calls.call("Bound::holds", || bound.holds(*value));
            }
        }
    }
}

/// Returns the first day, the last day and a day between them.
fn days() -> [Date; 3] {
    ["1970-01-01", "9000-12-31", "2026-02-28"].map(|day| day.parse().unwrap())
}

fn dates(calls: &mut Calls) {
    for text in texts().iter().map(String::as_str).chain([
        "0000-00-00",
        "9999-12-31",
        "-001-01-01",
        "2026-13-01",
    ]) {
        calls.call("Date::from_str", || text.parse::<Date>().map_err(|error| error.to_string()));
        calls.call("TimeZone::from_str", || {
            text.parse::<TimeZone>().map_err(|error| error.to_string())
        });
    }
    for zone in ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12"] {
        let zone: TimeZone = zone.parse().unwrap();
        for at in times() {
            calls.call("Date::of", || Date::of(at, &zone));
        }
    }
    for day in days() {
        calls.call("Date::year", || day.year());
        calls.call("Date::month", || day.month());
        calls.call("Date::day", || day.day());
        calls.call("Date::weekday", || day.weekday());
        for other in days() {
            calls.call("Date::days_until", || day.days_until(other));
        }
        for count in [i32::MIN, -1, 0, 1, i32::MAX] {
            calls.call("Date::plus_days", || day.plus_days(count));
        }
    }
    let always = calls.call("WeekHours::always", WeekHours::always).unwrap();
    calls.call("WeekHours::is_always", || always.is_always());
    assert!(SystemTime::UNIX_EPOCH < SystemTime::now());
}
