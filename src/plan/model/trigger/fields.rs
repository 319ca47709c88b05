//! Reading `triggers`.

use std::iter;
use std::sync::Arc;

use crate::key::{self, MAX_KEY_BYTES};
use crate::plan::fields::{Fields, string};
use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::{Metric, MetricSource, Metrics};
use crate::plan::model::sections::Context;
use crate::plan::model::time::duration::read_sustained;
use crate::plan::model::trigger::checks::{ListedTrigger, check_decisions, check_repeated};
use crate::plan::model::trigger::{IncidentKind, Limit, Trigger, TriggerCause};
use crate::plan::model::{list, metric::threshold, word};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A list of triggers.
pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> Arc<[Trigger]> {
    let hint = "write a list: [{ incident = \"security\", action = \"rollback\" }]";
    let items = list::read(node, path, hint, report);
    let mut triggers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let trigger = read_trigger(item, &path.index(index), context.metrics, report);
        triggers.extend(trigger.map(|trigger| ListedTrigger { trigger, index, node: item }));
    }
    check_repeated(&triggers, path, report);
    check_decisions(&triggers, path, report);
    triggers.into_iter().map(|written| written.trigger).collect()
}

fn read_trigger<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metrics: &Metrics,
    report: &mut Report<'a>,
) -> Option<Trigger> {
    let mut fields = Fields::open(node, path, report)?;
    let (action, incident) = (fields.take("action"), fields.take("incident"));
    let of_metric = MetricFields::take(node, &mut fields);
    fields.finish(report);
    let action = match action {
        Some(node) => word::read(node, &path.field("action"), report),
        None => {
            let hint = "write `action = \"rollback\"` to go back at once, \
                        or \"decide\" to ask whoever is responsible";
            fields.missing("action", hint, report);
            None
        }
    };
    let cause = match (incident, of_metric.first()) {
        (Some(incident), None) => {
            let kind = read_incident(incident, &path.field("incident"), report);
            kind.map(TriggerCause::Incident)
        }
        (None, Some(_)) => of_metric.read(&fields, metrics, report),
        (Some(_), Some((name, node))) => {
            let message = format!("found `{name}` beside `incident`");
            let hint = "an incident fires at once: keep `incident` and `action` alone, \
                        or leave `incident` out";
            report.problem(node.span.clone(), &path.field(name), message, hint);
            None
        }
        (None, None) => {
            let hint = "write `metric` with a limit, or `incident`, for example \
                        `incident = \"security\"`";
            fields.missing("metric", hint, report);
            None
        }
    };
    Some(Trigger { cause: cause?, action: action? })
}

/// What only a metric's trigger has.
struct MetricFields<'n, 'a> {
    /// The trigger.
    node: &'n Node<'a>,
    metric: Option<&'n Node<'a>>,
    limits: [(&'static str, Option<&'n Node<'a>>); 3],
    sustained: Option<&'n Node<'a>>,
    minimum_sample: Option<&'n Node<'a>>,
    no_data: Option<&'n Node<'a>>,
}

impl<'n, 'a> MetricFields<'n, 'a> {
    fn take(node: &'n Node<'a>, fields: &mut Fields<'n, 'a>) -> Self {
        MetricFields {
            node,
            metric: fields.take("metric"),
            limits: LIMITS.map(|name| (name, fields.take(name))),
            sustained: fields.take("for"),
            minimum_sample: fields.take("minimum_sample"),
            no_data: fields.take("no_data"),
        }
    }

    /// The first of them that is there.
    fn first(&self) -> Option<(&'static str, &'n Node<'a>)> {
        let rest = [
            ("for", self.sustained),
            ("minimum_sample", self.minimum_sample),
            ("no_data", self.no_data),
        ];
        let all = iter::once(("metric", self.metric)).chain(self.limits).chain(rest);
        all.filter_map(written).next()
    }

    fn read(
        self,
        fields: &Fields<'_, 'a>,
        metrics: &Metrics,
        report: &mut Report<'a>,
    ) -> Option<TriggerCause> {
        let path = fields.path();
        let metric = match self.metric {
            Some(node) => metrics.find(node, &path.field("metric"), report),
            None => {
                let hint = "write the name of a metric: `metric = \"error_rate\"`";
                fields.missing("metric", hint, report);
                None
            }
        };
        let limit = self.limit(fields, metric.as_deref(), metrics, report);
        let sustained = read_sustained(self.sustained, path, report);
        let minimum_sample = self.minimum_sample.and_then(|node| {
            let path = path.field("minimum_sample");
            let least = threshold::count_from_one(node, &path, "no sample at all", report)?;
            if let Some(metric) = metric.as_deref() {
                check_counted(node, &path, metric, report);
            }
            Some(least)
        });
        let no_data = match self.no_data {
            Some(node) => word::read(node, &path.field("no_data"), report),
            None => {
                let hint = "say what no data means: `no_data = \"hold\"` to stay in the stage, \
                            or \"rollback\"";
                fields.missing("no_data", hint, report);
                None
            }
        };
        let (metric, limit, no_data) = (metric?, limit?, no_data?);
        Some(TriggerCause::Metric { metric, limit, sustained, minimum_sample, no_data })
    }

    fn limit(
        &self,
        fields: &Fields<'_, 'a>,
        metric: Option<&Metric>,
        metrics: &Metrics,
        report: &mut Report<'a>,
    ) -> Option<Limit> {
        let path = fields.path();
        let mut limits = self.limits.into_iter().filter_map(written);
        let Some((name, node)) = limits.next() else {
            let hint = "write one of `above`, `below` and `worse_than_control_by`, \
                        for example `above = \"5%\"`";
            report.problem(self.node.span.clone(), path, "found no limit".to_owned(), hint);
            return None;
        };
        if let Some((other, node)) = limits.next() {
            let message = format!("found `{other}` beside `{name}`");
            let hint = "keep one of them: two limits are two triggers";
            report.problem(node.span.clone(), &path.field(other), message, hint);
            return None;
        }
        let path = path.field(name);
        let metric = metric?;
        if name == "worse_than_control_by" {
            if metric.source != MetricSource::Application {
                let wrong = "of a metric that is not known for treatment and control apart";
                let hint = format!(
                    "write `above` or `below`; only what the application records is compared, \
                     and `{}` has another source",
                    metric.name
                );
                report.found(node, &path, wrong, hint);
                return None;
            }
            let better = metrics.direction(metric, &path, report)?;
            let by = threshold::increase(node, &path, (metric, better), report)?;
            return Some(Limit::WorseThanControlBy { by, better });
        }
        let better = metrics.direction(metric, &path, report);
        let value = threshold::quantity(node, &path, metric, report)?;
        let (limit, end) = if name == "above" {
            (Limit::Above(value), threshold::is_maximum(value))
        } else {
            (Limit::Below(value), threshold::is_minimum(value))
        };
        if end {
            let hint = format!("write a limit that `{}` can pass", metric.name);
            report.found(node, &path, "which no value is beyond", hint);
            return None;
        }
        let bad = better.map(|better| match better {
            Better::Less => (better, "above"),
            Better::More => (better, "below"),
        });
        if let Some((better, bad)) = bad.filter(|(_, bad)| *bad != name) {
            let wrong = threshold::wrong_side("a limit", "good", metric, better);
            let turn = threshold::or_change_direction(metric, better);
            report.found(node, &path, wrong, format!("write `{bad} = \"{value}\"`{turn}"));
            return None;
        }
        Some(limit)
    }
}

/// Reports a `minimum_sample` without effect: a query for the value alone does not say of how many samples it is.
fn check_counted<'a>(node: &Node<'a>, path: &Path<'_>, metric: &Metric, report: &mut Report<'a>) {
    if let MetricSource::Prometheus { samples: None, .. } = metric.source {
        let name = &metric.name;
        let wrong =
            format!("but the source of `{name}` does not query the number of samples of a reading");
        let (root, source) =
            (Path::root(), "source = { prometheus = \"...\", samples = \"QUERY\" }");
        let metrics = root.field("metrics");
        let hint = format!(
            "write a query for it: `{source}` in `[{}]`, or leave `minimum_sample` out",
            metrics.field(name)
        );
        report.found_in_new(node, path, wrong, hint);
    }
}

/// How a document calls the limits.
const LIMITS: [&str; 3] = ["above", "below", "worse_than_control_by"];

fn written<'n, 'a>(
    (name, node): (&'static str, Option<&'n Node<'a>>),
) -> Option<(&'static str, &'n Node<'a>)> {
    Some((name, node?))
}

fn read_incident<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<IncidentKind> {
    let name = string(node, path, report)?;
    if let Some(known) = IncidentKind::KNOWN.iter().find(|known| known.as_str() == name) {
        return Some(known.clone());
    }
    if let Err(error) = key::check(name, MAX_KEY_BYTES) {
        report.found(node, path, &error, error.hint());
        return None;
    }
    Some(IncidentKind::Own(name.as_ref().into()))
}
