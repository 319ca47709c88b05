//! Reading what a stage asks beyond whom it lets in.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::key::{self, MAX_KEY_BYTES};
use crate::plan::fields::{Fields, Path, string, table, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::metric::quantity::{Bound, Quantity};
use crate::plan::model::metric::threshold::{self, Purpose};
use crate::plan::model::metric::{Metrics, StageMetric};
use crate::plan::model::stage::{Advance, ChecklistItem, Criterion, StageDetails, Watch};
use crate::plan::model::{list, time::duration, word};
use crate::plan::node::{Entry, Node, Value};
use crate::plan::report::Report;

/// The fields of a stage that are not about whom it lets in.
pub(in crate::plan) struct DetailFields<'n, 'a> {
    goal: Option<&'n Node<'a>>,
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
            goal: fields.take("goal"),
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
        let criteria = self.criteria.map(|node| {
            let path = path.field("criteria");
            let hint = "write a list: [{ metric = \"error_rate\", target = \"< 1%\" }]";
            let items = list::read(node, &path, hint, report).iter().enumerate();
            let read =
                |(index, item)| read_criterion(item, &path.index(index), metrics, &mut ids, report);
            items.filter_map(read).collect()
        });
        let activities = self.activities.map(|node| {
            let path = path.field("activities");
            let hint = "write a list of texts: [\"watch the error log\"]";
            let items = list::read(node, &path, hint, report).iter().enumerate();
            items
                .filter_map(|(index, item)| text(item, &path.index(index), report).map(Box::from))
                .collect()
        });
        let checklist = self.checklist.map(|node| {
            let path = path.field("checklist");
            let hint = "write a list: [{ id = \"load-test\", text = \"The load test passed\" }]";
            let items = list::read(node, &path, hint, report).iter().enumerate();
            let read = |(index, item)| read_item(item, &path.index(index), &mut ids, report);
            items.filter_map(read).collect()
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
        let advance = self.advance.and_then(|node| {
            let advance = word::read(node, &path.field("advance"), report)?;
            Some((node, advance))
        });
        let details = StageDetails {
            goal: goal.map(Box::from),
            min_duration,
            max_duration,
            criteria: criteria.unwrap_or_default(),
            activities: activities.unwrap_or_default(),
            checklist: checklist.unwrap_or_default(),
            metrics: tracked.unwrap_or_default(),
            watch,
            advance: advance.map(|(_, advance)| advance).unwrap_or_default(),
        };
        if let Some((node, Advance::Auto)) = advance {
            check_advance(node, &details, path, report);
        }
        details
    }

    fn durations(
        &self,
        path: &Path<'_>,
        report: &mut Report<'a>,
    ) -> (Option<Duration>, Option<Duration>) {
        let min =
            self.min_duration.and_then(|n| duration::read(n, &path.field("min_duration"), report));
        let max_path = path.field("max_duration");
        let max = self.max_duration.and_then(|node| duration::read(node, &max_path, report));
        if let (Some(node), Some(min), Some(max)) = (self.max_duration, min, max)
            && max < min
        {
            let min = Quantity::Duration(min);
            let wrong = format!("shorter than the stage's min_duration of {min}");
            let hint = format!("write \"{min}\" or more, or a shorter min_duration");
            report.found(node, &max_path, wrong, hint);
        }
        (min, max)
    }
}

fn read_criterion<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metrics: &Metrics,
    ids: &mut BTreeSet<Box<str>>,
    report: &mut Report<'a>,
) -> Option<Criterion> {
    const HINT: &str = "write `metric` and `target` for the data to decide, \
                        or `id` and `text` for a person";
    let mut fields = Fields::open(node, path, report)?;
    let (metric, target, sustained) =
        (fields.take("metric"), fields.take("target"), fields.take("for"));
    let (id, words) = (fields.take("id"), fields.take("text"));
    fields.finish(report);
    let of_metric = metric.or(target).or(sustained).is_some();
    let manual = id.or(words).is_some();
    if of_metric && manual {
        let message = "found a criterion of two kinds".to_owned();
        report.problem(node.span.clone(), path, message, HINT);
        return None;
    }
    if manual {
        let id = read_id(&fields, id, ids, report);
        let words = list::required_text(&fields, "text", words, CONFIRMED, report);
        return Some(Criterion::Manual { id: id?.into(), text: words?.into() });
    }
    if !of_metric {
        let message = "found a criterion that asks for nothing".to_owned();
        report.problem(node.span.clone(), path, message, HINT);
        return None;
    }
    let sustained = read_sustained(sustained, path, report);
    if metric.is_none() {
        fields.missing("metric", "write the name of a metric: `metric = \"error_rate\"`", report);
    }
    if target.is_none() {
        fields.missing("target", TARGET, report);
    }
    let metric = metrics.find(metric?, &path.field("metric"), report)?;
    let (path, of) = (path.field("target"), (&*metric, metrics));
    let target = threshold::bound(target?, &path, of, Purpose::Target, report)?;
    Some(Criterion::Metric { metric, target, sustained })
}

const CONFIRMED: &str = "write what is confirmed: `text = \"The load test passed\"`";
const TARGET: &str = "write where the metric has to be: `target = \"< 1%\"`";

fn read_item<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    ids: &mut BTreeSet<Box<str>>,
    report: &mut Report<'a>,
) -> Option<ChecklistItem> {
    let mut fields = Fields::open(node, path, report)?;
    let (id, words) = (fields.take("id"), fields.take("text"));
    let owner = fields.take_text("owner", report).map(Box::from);
    let expires = fields.take("expires");
    fields.finish(report);
    let id = read_id(&fields, id, ids, report);
    let words = list::required_text(&fields, "text", words, CONFIRMED, report);
    let expires = expires.and_then(|node| duration::read(node, &path.field("expires"), report));
    Some(ChecklistItem { id: id?.into(), text: words?.into(), owner, expires })
}

/// An id that nothing else of the stage has; `ids` are those so far.
fn read_id<'n, 'a>(
    fields: &Fields<'_, 'a>,
    node: Option<&'n Node<'a>>,
    ids: &mut BTreeSet<Box<str>>,
    report: &mut Report<'a>,
) -> Option<&'n str> {
    let Some(node) = node else {
        fields.missing("id", "write a name to confirm it by: `id = \"load-test\"`", report);
        return None;
    };
    let path = fields.path().field("id");
    let id = string(node, &path, report)?;
    if let Err(error) = key::check(id, MAX_KEY_BYTES) {
        report.found(node, &path, &error, error.hint());
        return None;
    }
    if !ids.insert(id.as_ref().into()) {
        let hint = "choose another: criteria and checklist of a stage are confirmed by their ids";
        report.found(node, &path, "an id that the stage already has", hint);
        return None;
    }
    Some(id)
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

/// A stage that asks nothing would be left with the next tick.
fn check_advance<'a>(
    node: &Node<'a>,
    details: &StageDetails,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let asks_nothing = details.min_duration.is_none()
        && details.watch.is_none()
        && details.criteria.is_empty()
        && details.checklist.is_empty()
        && details.metrics.is_empty();
    if asks_nothing {
        let message = "found \"auto\" in a stage that asks nothing: it is left at once".to_owned();
        let hint = "write a `min_duration`, a metric or a criterion, or leave `advance` out";
        report.warning(node.span.clone(), &path.field("advance"), message, hint);
    }
}

fn read_watch<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Watch> {
    let mut fields = Fields::open(node, path, report)?;
    let (lasts, every) = (fields.take("for"), fields.take("every"));
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
        let lasts = Quantity::Duration(lasts);
        let wrong = format!("longer than the watch of {lasts}");
        report.found(node?, &every_path, wrong, format!("write \"{lasts}\" or less"));
    }
    Some(Watch { lasts, every })
}

/// How long something has to hold, where `for` says so.
pub(in crate::plan::model) fn read_sustained<'a>(
    node: Option<&Node<'a>>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Duration> {
    node.and_then(|node| duration::read(node, &path.field("for"), report))
}
