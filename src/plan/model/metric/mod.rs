//! `[metrics.NAME]` and what a stage asks of a metric.

pub(super) mod better;
mod built_in;
mod fields;
pub(super) mod increase;
pub(super) mod number;
pub(super) mod quantity;
pub(super) mod threshold;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::key::{self, Key};
use crate::plan::Excerpt;
use crate::plan::fields::{Path, named, one_of, string};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::built_in::{BuiltIn, SUGGESTED};
use crate::plan::model::metric::quantity::{Bound, Unit};
use std::time::Duration;

use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::node::{Entry, Node};
use crate::plan::report::Report;

/// A metric of the document, or one that every document has.
///
/// `error_rate` (percent) and `latency_p1` to `latency_p99` (duration) are measured by the
/// application itself. People enter `cpu` and `memory` (percent), `complaints` and
/// `support_tickets` (count) and `nps` (number), unless the document declares another source.
/// Of `nps` more is better, of the others less.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::{MetricSource, Unit};
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [metrics.cpu]
///     unit = "percent"
///     source = { prometheus = "avg(node_cpu_busy)" }
///     [metrics.cart_size]
///     title = "Items of an order"
///     unit = "count"
///     better = "more"
///     source = "application"
///     [flags.new-checkout]
/// "#)?;
/// let metrics: Vec<_> = plan.metrics().collect();
/// assert_eq!((&*metrics[0].name, metrics[0].unit), ("cart_size", Unit::Count));
/// assert_eq!([&*metrics[0].title, &*metrics[1].title], ["Items of an order", "CPU usage"]);
/// assert!(matches!(&metrics[1].source, MetricSource::Prometheus { query } if query.starts_with("avg")));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// By which criteria and triggers refer to it.
    pub name: Box<str>,
    /// The name for people: "Revenue per user". A metric without a title has its name here.
    pub title: Box<str>,
    /// What it is measured in.
    pub unit: Unit,
    /// Whether less or more of it is better. `None` only for a metric that the document declares
    /// and compares with nothing.
    pub better: Option<Better>,
    /// Where its values come from.
    pub source: MetricSource,
    /// What it is, for people.
    pub description: Option<Box<str>>,
    /// How old a reading may be and still count (`stale_after`): ten minutes unless the document
    /// says otherwise, a day for what people enter.
    pub stale_after: WrittenDuration,
}

/// Who records a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricSource {
    /// The application, through this crate: known for treatment and control apart.
    Application,
    /// People enter it.
    People,
    /// A query to a Prometheus server.
    Prometheus {
        /// In Prometheus' query language.
        query: Box<str>,
    },
}

impl MetricSource {
    /// How old a reading may be where the document does not say.
    fn stale_after(&self) -> WrittenDuration {
        let time = match self {
            MetricSource::People => Duration::from_secs(24 * 60 * 60),
            MetricSource::Application | MetricSource::Prometheus { .. } => Duration::from_secs(600),
        };
        time.into()
    }
}

/// A metric to track in a stage. Its target must hold for the flag to leave the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageMetric {
    /// Which one.
    pub metric: Arc<Metric>,
    /// Where it has to be: `"< 1%"`.
    pub target: Bound,
    /// From where on somebody is told: `"> 2%"`.
    pub alert: Option<Bound>,
    /// For how long the target must have held (`for`); `None`: now.
    pub sustained: Option<WrittenDuration>,
}

/// The metrics a document may refer to: those it declares, and those every document has.
///
/// One that could not be read is there all the same, so that naming it is no second problem.
#[derive(Debug, Default)]
pub(in crate::plan) struct Metrics(BTreeMap<Key, Declared>);

/// A metric of the document.
#[derive(Debug)]
struct Declared {
    metric: Option<Arc<Metric>>,
    /// Where its name stands.
    span: Range<usize>,
}

impl Metrics {
    /// `[metrics]` of a document.
    pub(in crate::plan) fn read<'a>(
        node: Option<&Node<'a>>,
        root: &Path<'_>,
        report: &mut Report<'a>,
    ) -> Metrics {
        let path = root.field("metrics");
        let entries = node.map(|node| named(node, &path, MAX_ITEMS, report)).unwrap_or_default();
        let mut metrics = BTreeMap::new();
        for (name, entry) in entries {
            let path = path.field(&entry.key);
            let every = BuiltIn::of(name.as_str());
            if every.as_ref().is_some_and(|every| every.source == MetricSource::Application) {
                let message = format!("found `{}`, a metric of every document", name.as_str());
                let hint = "leave it out: criteria and triggers may name it as it is";
                report.problem(entry.key_span.clone(), &path, message, hint);
            } else {
                let metric = fields::read(&name, every, &entry.node, &path, report);
                let (metric, span) = (metric.map(Arc::new), entry.key_span.clone());
                metrics.insert(name, Declared { metric, span });
            }
        }
        Metrics(metrics)
    }

    /// The metric of that name, whether the document declares it or every document has it.
    pub(in crate::plan::model) fn get(&self, name: &str) -> Option<Arc<Metric>> {
        match self.0.get(name) {
            Some(declared) => declared.metric.clone(),
            None => BuiltIn::of(name).map(|built_in| Arc::new(built_in.metric(name))),
        }
    }

    /// The metric that a value names; a problem when nothing records it.
    pub(in crate::plan::model) fn find<'a>(
        &self,
        node: &Node<'a>,
        path: &Path<'_>,
        report: &mut Report<'a>,
    ) -> Option<Arc<Metric>> {
        let name = string(node, path, report)?;
        if !self.is_known(name) {
            report.found(node, path, "not a metric of this document", self.hint(name));
        }
        self.get(name)
    }

    /// The same for a name that is a key of the document and not a value.
    pub(in crate::plan::model) fn find_key(
        &self,
        entry: &Entry<'_>,
        path: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Option<Arc<Metric>> {
        if !self.is_known(&entry.key) {
            let message = format!("found `{}`, not a metric of this document", Excerpt(&entry.key));
            report.problem(entry.key_span.clone(), path, message, self.hint(&entry.key));
        }
        self.get(&entry.key)
    }

    /// Those that the document declares, in order of their names.
    pub(in crate::plan) fn declared(&self) -> impl Iterator<Item = &Arc<Metric>> {
        self.0.values().filter_map(|declared| declared.metric.as_ref())
    }

    /// The direction of a metric that the value at `user` is compared with. A metric without one is
    /// a problem where it is declared, once, however many values are compared with it.
    pub(in crate::plan::model) fn direction(
        &self,
        metric: &Metric,
        user: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Option<Better> {
        if metric.better.is_none()
            && let Some(Declared { span, .. }) = self.0.get(&*metric.name)
        {
            let (root, name) = (Path::root(), &metric.name);
            let metrics = root.field("metrics");
            let message = || format!("found no `better`, which `{user}` needs");
            let hint = format!(
                "write `better = \"less\"` or `better = \"more\"` in `[{}]`",
                metrics.field(name)
            );
            report.problem_once(span.clone(), &metrics.field(name), message, hint);
        }
        metric.better
    }

    /// Whether there is one of that name, read or not.
    fn is_known(&self, name: &str) -> bool {
        self.0.contains_key(name) || BuiltIn::of(name).is_some()
    }

    fn hint(&self, name: &str) -> String {
        let declared = self.0.keys().map(Key::as_str);
        let known = one_of(name, declared.chain(SUGGESTED));
        if name.starts_with("latency_p") {
            return format!("percentiles are `latency_p1` to `latency_p99`; {known}");
        }
        if key::check(name, key::MAX_KEY_BYTES).is_ok() {
            format!("{known}; or declare it as `[metrics.{}]`", Excerpt(name))
        } else {
            format!("{known}; or declare one with `[metrics.NAME]`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_has_whole_percentiles_from_1_to_99() {
        let metrics = Metrics::default();
        let percentiles = (0..=120).filter(|n| metrics.get(&format!("latency_p{n}")).is_some());
        assert!(percentiles.eq(1..=99));
        for name in ["latency_p", "latency_p05", "latency_p00", "latency_p+5", "latency_p9.5"] {
            assert_eq!(metrics.get(name), None, "{name}");
        }
        let p95 = metrics.get("latency_p95").expect("built in");
        assert_eq!((p95.unit, &p95.source), (Unit::Duration, &MetricSource::Application));
    }

    #[test]
    fn every_document_has_metrics_with_a_title_and_a_direction() {
        let metrics = Metrics::default();
        let expected = [
            ("error_rate", "Error rate", Better::Less),
            ("latency_p50", "Response time p50", Better::Less),
            ("latency_p95", "Response time p95", Better::Less),
            ("latency_p99", "Response time p99", Better::Less),
            ("cpu", "CPU usage", Better::Less),
            ("memory", "Memory usage", Better::Less),
            ("complaints", "User complaints", Better::Less),
            ("support_tickets", "Support tickets", Better::Less),
            ("nps", "NPS", Better::More),
        ];
        assert_eq!(SUGGESTED, expected.map(|(name, ..)| name));
        for (name, title, better) in expected {
            let metric = metrics.get(name).expect("built in");
            assert_eq!((&*metric.title, metric.better), (title, Some(better)));
        }
        let nps = metrics.get("nps").expect("built in");
        assert_eq!((nps.unit, &nps.source), (Unit::Number, &MetricSource::People));
    }
}
