//! The reader of a stage's details.

use std::collections::BTreeSet;

use super::{activity, criterion};
use crate::plan::fields::{Fields, table};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::metric::quantity::Bound;
use crate::plan::model::metric::threshold::{self, Purpose};
use crate::plan::model::metric::{Metrics, StageMetric};
use crate::plan::model::stage::criterion::TARGET_HINT;
use crate::plan::model::stage::{StageDetails, Watch};
use crate::plan::model::{list, time::duration, word};
use crate::plan::node::{Entry, Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

impl StageDetails {
    /// Reads the fields of a stage, except its name and audience. `is_last`: whether this is the plan's last stage.
    pub(in crate::plan) fn read<'a>(
        fields: &mut Fields<'_, 'a>,
        is_last: bool,
        metrics: &Metrics,
        report: &mut Report<'a>,
    ) -> StageDetails {
        let mut ids = BTreeSet::new();
        let title = fields.take_text("title", report).map(Box::from);
        let goal = fields.take_text("goal", report).map(Box::from);
        let audience = fields.read("audience", report, list::texts);
        let selection = fields.read("selection", report, list::texts);
        let at_most = fields.read("at_most", report, |node, path, report| {
            threshold::count_from_one(node, path, "no user at all", report)
        });
        let min_duration = fields.read("min_duration", report, duration::read).flatten();
        let max_duration = fields.read("max_duration", report, |node, path, report| {
            let max = duration::read(node, path, report)?;
            if let Some(min) = min_duration.filter(|min| max < *min) {
                let wrong = format!("shorter than the stage's min_duration of {min}");
                let hint = format!("write \"{min}\" or more, or a shorter min_duration");
                report.found(node, path, wrong, hint);
            }
            Some(max)
        });
        let criteria = fields.read("criteria", report, |node, path, report| {
            let hint = "write a list: [{ metric = \"error_rate\", target = \"< 1%\" }]";
            criterion::read(node, path, hint, metrics, &mut ids, report)
        });
        let activities = fields.read("activities", report, activity::read);
        let checklist = fields.read("checklist", report, |node, path, report| {
            let hint = "write a list: [{ id = \"load-test\", text = \"The load test passed\" }]";
            criterion::read(node, path, hint, metrics, &mut ids, report)
        });
        let tracked = fields.read("metrics", report, |node, path, report| {
            read_metrics(node, path, metrics, report)
        });
        let watch = fields.read("watch", report, |node, path, report| {
            if !is_last {
                let message = "found a watch in a stage that is not the last".to_owned();
                let hint = "move it to the last stage: it begins when the rollout is complete";
                report.problem(node.span.clone(), path, message, hint);
                return None;
            }
            read_watch(node, path, report)
        });
        let advance = fields.read("advance", report, word::read).flatten();
        StageDetails {
            title,
            goal,
            audience: audience.unwrap_or_default(),
            selection: selection.unwrap_or_default(),
            at_most: at_most.flatten(),
            min_duration,
            max_duration: max_duration.flatten(),
            criteria: criteria.unwrap_or_default(),
            activities: activities.unwrap_or_default(),
            checklist: checklist.unwrap_or_default(),
            metrics: tracked.unwrap_or_default(),
            watch: watch.flatten(),
            advance: advance.unwrap_or_default(),
        }
    }
}

fn read_metrics<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metrics: &Metrics,
    report: &mut Report<'a>,
) -> Vec<StageMetric> {
    let entries = table(node, path, report).unwrap_or_default();
    if entries.len() > MAX_ITEMS {
        let message = format!("found {} entries, more than {MAX_ITEMS}", entries.len());
        report.problem(node.span.clone(), path, message, "leave some out");
        return Vec::new();
    }
    let read = |entry: &Entry<'a>| {
        let path = path.field(&entry.key);
        let metric = metrics.find_key(entry, &path, report);
        if !matches!(entry.node.value, Value::Table(_)) {
            report.found(&entry.node, &path, "not a table", "write `{ target = \"< 1%\" }`");
            return None;
        }
        let mut fields = Fields::open(&entry.node, &path, report)?;
        let (target, alert) = (fields.take("target"), fields.take("alert"));
        let sustained = fields.take("for");
        fields.finish(report);
        if target.is_none() {
            fields.missing("target", TARGET_HINT, report);
        }
        let sustained = duration::read_sustained(sustained, &path, report);
        let metric = metric?;
        let mut bound = |node: Option<&Node<'a>>, path: &Path<'_>, purpose| {
            threshold::bound(node?, path, (&*metric, metrics), purpose, report)
        };
        let (target_path, alert_path) = (path.field("target"), path.field("alert"));
        let target = bound(target, &target_path, Purpose::Target);
        let bound = bound(alert, &alert_path, Purpose::Alert);
        if let (Some(node), Some(target), Some(alert)) = (alert, target, bound) {
            check_alert(node, &alert_path, target, alert, report);
        }
        Some(StageMetric { metric, target: target?, alert: bound, sustained })
    };
    entries.iter().filter_map(read).collect()
}

/// An alert looks the other way than the target, and no value short of the target's is alerting.
/// That it looks the other way follows from the metric's direction, where there is one.
fn check_alert<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    target: Bound,
    alert: Bound,
    report: &mut Report<'a>,
) {
    let beyond = if target.is_upper() { ">" } else { "<" };
    let hint =
        format!("write an alert beyond the target, for example \"{beyond} {}\"", target.value);
    if alert.is_upper() == target.is_upper() {
        let wrong = format!("on the same side as the target \"{target}\"");
        report.found(node, path, wrong, hint);
    } else if alert.value != target.value && target.holds(alert.value) {
        report.found(node, path, format!("within the target \"{target}\""), hint);
    }
}

fn read_watch<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Watch> {
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write how long it lasts: `for = \"48h\"`";
    let lasts = fields.required("for", hint, report, duration::read);
    let hint = "write the time between two checks: `every = \"2h\"`";
    let every = fields.required("every", hint, report, |node, path, report| {
        let every = duration::read(node, path, report)?;
        if let Some(lasts) = lasts.filter(|lasts| every > *lasts) {
            let wrong = format!("longer than the watch of {lasts}");
            report.found(node, path, wrong, format!("write \"{lasts}\" or less"));
        }
        Some(every)
    });
    let activities = fields.read("activities", report, list::texts);
    fields.finish(report);
    Some(Watch { lasts: lasts?, every: every?, activities: activities.unwrap_or_default() })
}
