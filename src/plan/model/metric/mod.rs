//! `[metrics.NAME]` and what a stage asks of a metric.

pub(super) mod quantity;
pub(super) mod threshold;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::key::{self, Key};
use crate::plan::Excerpt;
use crate::plan::fields::{Fields, Path, named, one_of, string, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::metric::quantity::{Bound, Unit};
use crate::plan::model::time::duration;
use crate::plan::model::word::{self, Word};
use crate::plan::node::{Entry, Node, Value};
use crate::plan::report::Report;

/// A metric of the document, or one that every document has.
///
/// `error_rate` (percent) and `latency_p50` to `latency_p99` (duration) are measured by the
/// application itself; `cpu` and `memory` (percent), `complaints` and `support_tickets` (count) are
/// entered by people unless the document declares another source.
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
///     unit = "count"
///     source = "application"
///     description = "Items of an order"
///     [flags.new-checkout]
/// "#)?;
/// let metrics: Vec<_> = plan.metrics().collect();
/// assert_eq!((&*metrics[0].name, metrics[0].unit), ("cart_size", Unit::Count));
/// assert!(matches!(&metrics[1].source, MetricSource::Prometheus { query } if query.starts_with("avg")));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// By which criteria and triggers refer to it.
    pub name: Box<str>,
    /// What it is measured in.
    pub unit: Unit,
    /// Where its values come from.
    pub source: MetricSource,
    /// What it is, for people.
    pub description: Option<Box<str>>,
    /// How old a reading may be and still count (`stale_after`): ten minutes unless the document
    /// says otherwise, a day for what people enter.
    pub stale_after: Duration,
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
    fn stale_after(&self) -> Duration {
        match self {
            MetricSource::People => Duration::from_secs(24 * 60 * 60),
            MetricSource::Application | MetricSource::Prometheus { .. } => Duration::from_secs(600),
        }
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
    pub sustained: Option<Duration>,
}

/// The metrics a document may refer to: those it declares, and those every document has.
///
/// One that could not be read is there all the same, so that naming it is no second problem.
#[derive(Debug, Default)]
pub(in crate::plan) struct Metrics(BTreeMap<Key, Option<Arc<Metric>>>);

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
                let metric = read_metric(&name, every, &entry.node, &path, report);
                metrics.insert(name, metric.map(Arc::new));
            }
        }
        Metrics(metrics)
    }

    /// The metric of that name, whether the document declares it or every document has it.
    pub(in crate::plan::model) fn get(&self, name: &str) -> Option<Arc<Metric>> {
        match self.0.get(name) {
            Some(declared) => declared.clone(),
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
        self.0.values().flatten()
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

/// What a hint lists of the metrics that every document has.
const SUGGESTED: [&str; 8] = [
    "error_rate",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "cpu",
    "memory",
    "complaints",
    "support_tickets",
];

/// A metric that every document has.
struct BuiltIn {
    unit: Unit,
    source: MetricSource,
}

impl BuiltIn {
    fn of(name: &str) -> Option<BuiltIn> {
        let (unit, source) = match name {
            "error_rate" => (Unit::Percent, MetricSource::Application),
            "cpu" | "memory" => (Unit::Percent, MetricSource::People),
            "complaints" | "support_tickets" => (Unit::Count, MetricSource::People),
            _ if is_percentile(name) => (Unit::Duration, MetricSource::Application),
            _ => return None,
        };
        Some(BuiltIn { unit, source })
    }

    fn metric(self, name: &str) -> Metric {
        let (unit, stale_after) = (self.unit, self.source.stale_after());
        Metric { name: name.into(), unit, source: self.source, description: None, stale_after }
    }
}

/// `latency_p1` to `latency_p99`, each written in one way only.
fn is_percentile(name: &str) -> bool {
    let number = name.strip_prefix("latency_p").unwrap_or_default();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    is_plain && (1..=2).contains(&number.len())
}

/// `every`: what every document has under that name.
fn read_metric<'a>(
    name: &Key,
    every: Option<BuiltIn>,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Metric> {
    let mut fields = Fields::open(node, path, report)?;
    let (unit, source) = (fields.take("unit"), fields.take("source"));
    let description = fields.take_text("description", report).map(Box::from);
    let stale_after = fields.take("stale_after");
    fields.finish(report);
    let stale_after =
        stale_after.and_then(|node| duration::read(node, &path.field("stale_after"), report));
    let every = every.map(|every| every.unit);
    let unit = match unit {
        Some(node) => read_unit(name, every, node, &path.field("unit"), report),
        None => {
            let hint = match every {
                Some(unit) => format!("write `unit = \"{unit}\"`"),
                None => "write `unit = \"percent\"`, \"duration\" or \"count\"".to_owned(),
            };
            fields.missing("unit", hint, report);
            None
        }
    };
    let source = match source {
        Some(node) => read_source(node, &path.field("source"), report),
        None => {
            fields.missing("source", format!("write who records it: {SOURCES}"), report);
            None
        }
    };
    let (unit, source) = (unit?, source?);
    let stale_after = stale_after.unwrap_or(source.stale_after());
    Some(Metric { name: name.as_str().into(), unit, source, description, stale_after })
}

fn read_unit<'a>(
    name: &Key,
    every: Option<Unit>,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Unit> {
    let unit: Unit = word::read(node, path, report)?;
    if let Some(own) = every.filter(|own| *own != unit) {
        let wrong = format!("not the unit that `{}` has in every document", name.as_str());
        report.found(node, path, wrong, format!("write \"{own}\", or declare another name"));
        return None;
    }
    Some(unit)
}

const SOURCES: &str = "\"application\", \"people\" or { prometheus = \"QUERY\" }";

fn read_source<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<MetricSource> {
    match &node.value {
        Value::Text(word) if word == "application" => Some(MetricSource::Application),
        Value::Text(word) if word == "people" => Some(MetricSource::People),
        Value::Table(_) => {
            let mut fields = Fields::open(node, path, report)?;
            let query = fields.take("prometheus");
            fields.finish(report);
            let Some(query) = query else {
                fields.missing("prometheus", "write `prometheus = \"QUERY\"`", report);
                return None;
            };
            let query = text(query, &path.field("prometheus"), report)?;
            Some(MetricSource::Prometheus { query: query.into() })
        }
        _ => {
            report.found(node, path, "not a source of a metric", format!("write {SOURCES}"));
            None
        }
    }
}

impl Word for Unit {
    const WRONG: &'static str = "not a unit of a metric";
    const ALL: &'static [Unit] = &[Unit::Percent, Unit::Duration, Unit::Count];

    fn word(self) -> &'static str {
        match self {
            Unit::Percent => "percent",
            Unit::Duration => "duration",
            Unit::Count => "count",
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
}
