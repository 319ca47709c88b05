//! Reading what a stage asks beyond whom it lets in.

use std::collections::BTreeSet;

use super::{activity, criterion};
use crate::plan::fields::{Fields, Path, table, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::metric::quantity::Bound;
use crate::plan::model::metric::threshold::{self, Purpose};
use crate::plan::model::metric::{Metrics, StageMetric};
use crate::plan::model::stage::criterion::TARGET;
use crate::plan::model::stage::{StageDetails, Watch};
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::{list, time::duration, word};
use crate::plan::node::{Entry, Node, Value};
use crate::plan::report::Report;

/// The fields of a stage that are not about whom it lets in.
pub(in crate::plan) struct DetailFields<'n, 'a> {
    title: Option<&'n Node<'a>>,
    goal: Option<&'n Node<'a>>,
    audience: Option<&'n Node<'a>>,
    selection: Option<&'n Node<'a>>,
    at_most: Option<&'n Node<'a>>,
    min_duration: Option<&'n Node<'a>>,
    max_duration: Option<&'n Node<'a>>,
    criteria: Option<&'n Node<'a>>,
    activities: Option<&'n Node<'a>>,
    checklist: Option<&'n Node<'a>>,
    metrics: Option<&'n Node<'a>>,
    watch: Option<&'n Node<'a>>,
    advance: Option<&'n Node<'a>>,
}

impl<'n, 'a> DetailFields<'n, 'a> {
    pub(in crate::plan) fn take(fields: &mut Fields<'n, 'a>) -> Self {
        DetailFields {
            title: fields.take("title"),
            goal: fields.take("goal"),
            audience: fields.take("audience"),
            selection: fields.take("selection"),
            at_most: fields.take("at_most"),
            min_duration: fields.take("min_duration"),
            max_duration: fields.take("max_duration"),
            criteria: fields.take("criteria"),
            activities: fields.take("activities"),
            checklist: fields.take("checklist"),
            metrics: fields.take("metrics"),
            watch: fields.take("watch"),
            advance: fields.take("advance"),
        }
    }

    pub(in crate::plan) fn at_most(&self) -> Option<&'n Node<'a>> {
        self.at_most
    }

    /// `is_last`: whether this is the plan's last stage.
    pub(in crate::plan) fn read(
        self,
        path: &Path<'_>,
        is_last: bool,
        metrics: &Metrics,
        report: &mut Report<'a>,
    ) -> StageDetails {
        let mut ids = BTreeSet::new();
        let goal = self.goal.and_then(|node| text(node, &path.field("goal"), report));
        let (min_duration, max_duration) = self.durations(path, report);
        let title = self.title.and_then(|node| text(node, &path.field("title"), report));
        let [audience, selection] = [("audience", self.audience), ("selection", self.selection)]
            .map(|(name, node)| {
                node.map(|node| list::texts(node, &path.field(name), report)).unwrap_or_default()
            });
        let at_most = self.at_most.and_then(|node| {
            threshold::count_from_one(node, &path.field("at_most"), "no user at all", report)
        });
        let criteria = self.criteria.map(|node| {
            let hint = "write a list: [{ metric = \"error_rate\", target = \"< 1%\" }]";
            criterion::read(node, &path.field("criteria"), hint, metrics, &mut ids, report)
        });
        let activities =
            self.activities.map(|node| activity::read(node, &path.field("activities"), report));
        let checklist = self.checklist.map(|node| {
            let hint = "write a list: [{ id = \"load-test\", text = \"The load test passed\" }]";
            criterion::read(node, &path.field("checklist"), hint, metrics, &mut ids, report)
        });
        let tracked =
            self.metrics.map(|node| read_metrics(node, &path.field("metrics"), metrics, report));
        let watch = self.watch.and_then(|node| {
            let path = path.field("watch");
            if !is_last {
                let message = "found a watch in a stage that is not the last".to_owned();
                let hint = "move it to the last stage: it begins when the rollout is complete";
                report.problem(node.span.clone(), &path, message, hint);
                return None;
            }
            read_watch(node, &path, report)
        });
        let advance =
            self.advance.and_then(|node| word::read(node, &path.field("advance"), report));
        StageDetails {
            title: title.map(Box::from),
            goal: goal.map(Box::from),
            audience,
            selection,
            at_most,
            min_duration,
            max_duration,
            criteria: criteria.unwrap_or_default(),
            activities: activities.unwrap_or_default(),
            checklist: checklist.unwrap_or_default(),
            metrics: tracked.unwrap_or_default(),
            watch,
            advance: advance.unwrap_or_default(),
        }
    }

    fn durations(
        &self,
        path: &Path<'_>,
        report: &mut Report<'a>,
    ) -> (Option<WrittenDuration>, Option<WrittenDuration>) {
        let min =
            self.min_duration.and_then(|n| duration::read(n, &path.field("min_duration"), report));
        let max_path = path.field("max_duration");
        let max = self.max_duration.and_then(|node| duration::read(node, &max_path, report));
        if let (Some(node), Some(min), Some(max)) = (self.max_duration, min, max)
            && max < min
        {
            let wrong = format!("shorter than the stage's min_duration of {min}");
            let hint = format!("write \"{min}\" or more, or a shorter min_duration");
            report.found(node, &max_path, wrong, hint);
        }
        (min, max)
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
            fields.missing("target", TARGET, report);
        }
        let sustained = read_sustained(sustained, &path, report);
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
    let (lasts, every) = (fields.take("for"), fields.take("every"));
    let activities = fields.take("activities");
    fields.finish(report);
    if lasts.is_none() {
        fields.missing("for", "write how long it lasts: `for = \"48h\"`", report);
    }
    if every.is_none() {
        fields.missing("every", "write the time between two checks: `every = \"2h\"`", report);
    }
    let lasts = lasts.and_then(|node| duration::read(node, &path.field("for"), report));
    let (node, every_path) = (every, path.field("every"));
    let every = every.and_then(|node| duration::read(node, &every_path, report));
    let (lasts, every) = (lasts?, every?);
    if every > lasts {
        let wrong = format!("longer than the watch of {lasts}");
        report.found(node?, &every_path, wrong, format!("write \"{lasts}\" or less"));
    }
    let activities = activities.map(|node| list::texts(node, &path.field("activities"), report));
    Some(Watch { lasts, every, activities: activities.unwrap_or_default() })
}

/// How long something has to hold, where `for` says so.
pub(in crate::plan::model) fn read_sustained<'a>(
    node: Option<&Node<'a>>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<WrittenDuration> {
    node.and_then(|node| duration::read(node, &path.field("for"), report))
}
