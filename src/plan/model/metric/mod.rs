//! `[metrics.NAME]`, and the metrics of a stage.

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
use crate::plan::fields::{named, one_of, string};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::built_in::{BuiltInMetric, SUGGESTED};
use crate::plan::model::metric::quantity::{Bound, Unit};
use crate::plan::path::Path;
use std::time::Duration;

use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::node::{Entry, Node};
use crate::plan::report::Report;

/// A metric that the document declares, or a built-in one.
///
/// The application records the built-in metrics `error_rate` (percent) and `latency_p1` to `latency_p99` (duration).
/// People enter the built-in metrics `cpu`, `memory` (percent), `complaints`, `support_tickets` (count) and `nps`
/// (number), unless the document declares another source. For `nps`, more is better. For the others, less is better.
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
/// assert!(matches!(&metrics[1].source, MetricSource::Prometheus { query, .. } if query.starts_with("avg")));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name that criteria and triggers use.
    pub name: Box<str>,
    /// The name for people: "Revenue per user". Without a title, the metric's name.
    pub title: Box<str>,
    /// The unit of its values.
    pub unit: Unit,
    /// Whether less or more is better. `None` only for a metric of the document that no target, alert or trigger names.
    pub better: Option<Better>,
    /// The source of its values.
    pub source: MetricSource,
    /// The description for people.
    pub description: Option<Box<str>>,
    /// The age up to which a reading counts (`stale_after`). The default is ten minutes, or a day for values that
    /// people enter.
    pub stale_after: WrittenDuration,
}

/// The source of a metric's values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricSource {
    /// The application records it through this crate. Known for treatment and control separately.
    Application,
    /// People enter it.
    People,
    /// A query to a Prometheus server.
    #[non_exhaustive]
    Prometheus {
        /// The query, in `PromQL`.
        query: Box<str>,
        /// The query for the number of samples that the value is computed from (`samples`).
        samples: Option<Box<str>>,
    },
}

impl MetricSource {
    /// Returns the default of `stale_after`.
    fn stale_after(&self) -> WrittenDuration {
        let time = match self {
            MetricSource::People => Duration::from_secs(24 * 60 * 60),
            MetricSource::Application | MetricSource::Prometheus { .. } => Duration::from_secs(600),
        };
        time.into()
    }
}

/// A metric that a stage tracks. The flag leaves the stage only if the target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageMetric {
    /// The metric.
    pub metric: Arc<Metric>,
    /// The bound that its value has to be within: `"< 1%"`.
    pub target: Bound,
    /// The bound that raises an alert when a value is within it: `"> 2%"`.
    pub alert: Option<Bound>,
    /// The time for which the target must have held (`for`). `None`: the last value counts.
    pub sustained: Option<WrittenDuration>,
}

/// The metrics that a document may refer to: its own and the built-in ones.
///
/// An invalid metric is in the map too, so that a criterion that names it is not a second problem.
#[derive(Debug, Default)]
pub(in crate::plan) struct Metrics(BTreeMap<Key, DeclaredMetric>);

/// A metric of the document. `metric` is `None` if its declaration is invalid.
#[derive(Debug)]
struct DeclaredMetric {
    metric: Option<Arc<Metric>>,
    /// The span of its name.
    span: Range<usize>,
}

impl Metrics {
    /// Reads `[metrics]` of a document.
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
            let built_in = BuiltInMetric::of(name.as_str());
            if built_in.as_ref().is_some_and(|metric| metric.source == MetricSource::Application) {
                let message = format!("found `{}`, a metric of every document", name.as_str());
                let hint = "leave it out: criteria and triggers can use it without a declaration";
                report.problem(entry.key_span.clone(), &path, message, hint);
            } else {
                let metric = fields::read(&name, built_in, &entry.node, &path, report);
                let (metric, span) = (metric.map(Arc::new), entry.key_span.clone());
                metrics.insert(name, DeclaredMetric { metric, span });
            }
        }
        Metrics(metrics)
    }

    /// Returns the metric with this name, declared or built-in.
    pub(in crate::plan::model) fn get(&self, name: &str) -> Option<Arc<Metric>> {
        match self.0.get(name) {
            Some(declared) => declared.metric.clone(),
            None => BuiltInMetric::of(name).map(|built_in| Arc::new(built_in.metric(name))),
        }
    }

    /// Returns the metric that a value names. Reports a problem if there is no such metric.
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

    /// Like [`find`](Metrics::find), for a name that is a key of a table.
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

    /// Returns the metrics that the document declares, sorted by name.
    pub(in crate::plan) fn declared(&self) -> impl Iterator<Item = &Arc<Metric>> {
        self.0.values().filter_map(|declared| declared.metric.as_ref())
    }

    /// Returns the direction of a metric, which the value at `used_at` needs.
    ///
    /// Reports a metric without a direction at its declaration, and only once.
    pub(in crate::plan::model) fn direction(
        &self,
        metric: &Metric,
        used_at: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Option<Better> {
        if metric.better.is_none()
            && let Some(DeclaredMetric { span, .. }) = self.0.get(&*metric.name)
        {
            let (root, name) = (Path::root(), &metric.name);
            let metrics = root.field("metrics");
            let message = || format!("found no `better`, which `{used_at}` needs");
            let hint = format!(
                "write `better = \"less\"` or `better = \"more\"` in `[{}]`",
                metrics.field(name)
            );
            report.problem_once(span.clone(), &metrics.field(name), message, hint);
        }
        metric.better
    }

    /// Returns whether there is a metric with this name, valid or not.
    fn is_known(&self, name: &str) -> bool {
        self.0.contains_key(name) || BuiltInMetric::of(name).is_some()
    }

    /// Returns the hint for an unknown name.
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
