//! The built-in plan has every row of the template "Staged Rollout Plan", and nothing that no row asks for.
//!
//! `tests/data/template.tsv` lists the rows in the template's own words. `place` is where the built-in plan has the
//! row: a path and the value that stands there. A row with several values takes several lines. The lines of the section
//! `extra` are what the plan needs beyond the template. Their `row` is the reason.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use stagegate::Plan;
use stagegate::model::{self, Criterion, FlagPlan, Template, TriggerCause};

/// Values by path, such as `stages[1].percent` = `10`.
#[derive(Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn add(&mut self, path: impl Into<String>, value: impl Display) {
        let (path, value) = (path.into(), value.to_string());
        let before = self.0.insert(path.clone(), value);
        assert_eq!(before, None, "{path} is there twice");
    }

    fn add_if<V: Display>(&mut self, path: impl Into<String>, value: Option<V>) {
        if let Some(value) = value {
            self.add(path, value);
        }
    }

    fn add_list<V: Display>(&mut self, path: &str, values: impl IntoIterator<Item = V>) {
        for (index, value) in values.into_iter().enumerate() {
            self.add(format!("{path}[{index}]"), value);
        }
    }
}

/// The plan that a document of three lines gets. Its timeline starts on Monday, 2026-01-05.
fn built_in() -> Lines {
    let mut lines = Lines::default();
    document(&mut lines);
    let plan = Plan::parse("schema = 1\n[flags.a]").unwrap();
    let flag = plan.flag("a").unwrap();
    stages(flag, &mut lines);
    sections(flag, &mut lines);
    let owned = Plan::parse("schema = 1\n[flags.a]\nowner = \"[Name]\"").unwrap();
    timeline(owned.flag("a").unwrap(), &mut lines);
    lines
}

/// The head of the document that `stagegate init` prints.
fn document(lines: &mut Lines) {
    let template = Plan::parse(model::STAGED_DOCUMENT).unwrap();
    lines.add("document.heading", model::STAGED_DOCUMENT.lines().next().unwrap());
    lines.add_if("document.project", template.project());
    lines.add_if("document.version", template.version());
    let updated = model::STAGED_DOCUMENT.lines().find(|line| line.contains("last_updated"));
    lines.add_if("document.last_updated", updated);
}

fn stages(flag: FlagPlan<'_>, lines: &mut Lines) {
    for (index, stage) in flag.stages().enumerate() {
        let (path, details) = (format!("stages[{index}]"), stage.details());
        let field = |name: &str| format!("{path}.{name}");
        lines.add(field("name"), stage.name());
        lines.add_if(field("title"), details.title.as_deref());
        lines.add_if(field("goal"), details.goal.as_deref());
        lines.add(field("percent"), stage.percent());
        lines.add_list(&field("groups"), stage.groups());
        lines.add_list(&field("audience"), &details.audience);
        lines.add_list(&field("selection"), &details.selection);
        lines.add_if(field("at_most"), details.at_most);
        lines.add_if(field("min_duration"), details.min_duration);
        let none = || "none".to_owned();
        lines.add(
            field("max_duration"),
            details.max_duration.map_or_else(none, |time| time.to_string()),
        );
        conditions(&field("criteria"), &details.criteria, lines);
        for (index, activity) in details.activities.iter().enumerate() {
            let path = format!("{path}.activities[{index}]");
            lines.add(format!("{path}.text"), &activity.text);
            lines.add_if(format!("{path}.at"), activity.at);
            lines.add_if(format!("{path}.owner"), activity.owner.as_deref());
        }
        conditions(&field("checklist"), &details.checklist, lines);
        for tracked in &details.metrics {
            let path = format!("{path}.metrics.{}", tracked.metric.name);
            lines.add(format!("{path}.target"), tracked.target);
            lines.add_if(format!("{path}.alert"), tracked.alert);
            lines.add_if(format!("{path}.for"), tracked.sustained);
        }
        if let Some(watch) = &details.watch {
            lines.add(field("watch.for"), watch.lasts);
            lines.add(field("watch.every"), watch.every);
            lines.add_list(&field("watch.activities"), &watch.activities);
        }
        lines.add_if(
            field("advance"),
            Some(details.advance).filter(|way| *way != model::Advance::Manual),
        );
    }
}

fn conditions(path: &str, conditions: &[Criterion], lines: &mut Lines) {
    for (index, condition) in conditions.iter().enumerate() {
        let field = |name: &str| format!("{path}[{index}].{name}");
        match condition {
            Criterion::Metric { metric, target, sustained, text } => {
                lines.add(field("metric"), &metric.name);
                lines.add(field("target"), target);
                lines.add_if(field("for"), *sustained);
                lines.add_if(field("text"), text.as_deref());
            }
            Criterion::Manual { id, text, owner, expires } => {
                lines.add(field("id"), id);
                lines.add(field("text"), text);
                lines.add_if(field("owner"), owner.as_deref());
                lines.add_if(field("expires"), *expires);
            }
            _ => panic!("a condition of a new kind"),
        }
    }
}

fn sections(flag: FlagPlan<'_>, lines: &mut Lines) {
    for (index, trigger) in flag.triggers().iter().enumerate() {
        let field = |name: &str| format!("triggers[{index}].{name}");
        lines.add(field("cause"), &trigger.cause);
        lines.add(field("action"), trigger.action);
        if let TriggerCause::Metric { minimum_sample, no_data, .. } = &trigger.cause {
            lines.add_if(field("minimum_sample"), *minimum_sample);
            lines.add(field("no_data"), no_data);
        }
    }
    lines.add("rollback.target", flag.rollback().target);
    for (index, step) in flag.rollback().steps.iter().enumerate() {
        let field = |name: &str| format!("rollback.steps[{index}].{name}");
        lines.add(field("phase"), step.phase);
        lines.add(field("text"), &step.text);
        lines.add_if(field("owner"), step.owner.as_deref());
        lines.add_if(field("within"), step.within);
    }
    for (index, row) in flag.responsibility().iter().enumerate() {
        let field = |name: &str| format!("responsibility[{index}].{name}");
        lines.add_if(field("name"), row.name.as_deref());
        lines.add(field("hours"), &row.hours);
        lines.add(field("time_zone"), &row.time_zone);
        lines.add(field("contact"), &row.contact);
        lines.add_list(&field("escalation"), &row.escalation);
        lines.add_if(field("escalate_after"), row.escalate_after);
    }
    for (index, message) in flag.messages().iter().enumerate() {
        let field = |name: &str| format!("messages[{index}].{name}");
        lines.add(field("audience"), message.audience);
        lines.add(field("stage"), message.stage.map_or("every".to_owned(), |it| it.to_string()));
        lines.add(field("when"), message.when);
        lines.add_if(field("channel"), message.channel.as_deref());
        lines.add_if(field("method"), message.method.as_deref());
        lines.add_if(field("subject"), message.subject.as_ref().map(Template::text));
        lines.add(field("template"), message.template.text());
    }
    for (name, text) in flag.variables() {
        lines.add(format!("variables.{name}"), text);
    }
    lines.add_if("calendar", flag.calendar().map(|calendar| &calendar.hours));
    lines.add_if("timeline.start", flag.start());
    for (stage, owner) in flag.stage_owners() {
        lines.add(format!("timeline.owners.{stage}"), owner);
    }
    for (index, risk) in flag.risks().iter().enumerate() {
        let field = |name: &str| format!("risks[{index}].{name}");
        lines.add(field("risk"), &risk.risk);
        lines.add_if(field("likelihood"), risk.likelihood);
        lines.add_if(field("impact"), risk.impact);
        lines.add(field("mitigation"), &risk.mitigation);
        lines.add_if(field("owner"), risk.owner.as_deref());
    }
    lines.add_if("traffic.users", flag.traffic().map(|traffic| format!("{traffic:?}")));
}

/// The dated activities of each stage, then the decision to leave it.
fn timeline(flag: FlagPlan<'_>, lines: &mut Lines) {
    let timeline = flag.timeline("2026-01-05".parse().unwrap());
    let last = timeline.stages.len() - 1;
    for (stage, period) in timeline.stages.iter().enumerate() {
        let activities = period.activities.iter();
        let mut rows: Vec<_> =
            activities.map(|it| (&*it.activity.text, it.begins, it.ends, it.owner)).collect();
        if stage < last {
            let day = period.ends.earliest;
            rows.push(("Go/No-Go decision", day, day, period.owner));
        }
        for (index, (activity, begins, ends, owner)) in rows.into_iter().enumerate() {
            let field = |name: &str| format!("timeline.{}[{index}].{name}", period.stage);
            lines.add(field("activity"), activity);
            lines.add(field("days"), format!("{begins} to {ends}"));
            lines.add_if(field("owner"), owner);
        }
    }
}

#[test]
fn the_built_in_plan_is_the_template() {
    let lines = built_in();
    let rows = include_str!("data/template.tsv").lines().collect::<Vec<_>>();
    assert_eq!(rows[0], "section\trow\tplace");
    let (mut wrong, mut claimed) = (Vec::new(), BTreeSet::new());
    for row in &rows[1..] {
        let [section, row, place] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not three columns: {row}")
        };
        let (path, expected) = place.split_once(" = ").expect("a path, ` = ` and a value");
        claimed.insert(path);
        match lines.0.get(path) {
            None => wrong.push(format!("dropped: {section}: {row}: no {path}")),
            Some(found) if found != expected => {
                let change = format!("{path} is {found:?}, not {expected:?}");
                wrong.push(format!("changed: {section}: {row}: {change}"));
            }
            Some(_) => {}
        }
    }
    let unasked = lines.0.iter().filter(|(path, _)| !claimed.contains(&***path));
    wrong.extend(unasked.map(|(path, value)| format!("no row asks for {path} = {value}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.len() > 350, "only {} rows", rows.len());
}
