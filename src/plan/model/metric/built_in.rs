//! Built-in metrics, which every document has.

use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::quantity::Unit;
use crate::plan::model::metric::{Metric, MetricSource};

/// The built-in metrics that hints list.
pub(super) const SUGGESTED: [&str; 9] = [
    "error_rate",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "cpu",
    "memory",
    "complaints",
    "support_tickets",
    "nps",
];

/// A built-in metric.
pub(super) struct BuiltInMetric {
    pub(super) title: Box<str>,
    pub(super) unit: Unit,
    pub(super) better: Better,
    pub(super) source: MetricSource,
}

impl BuiltInMetric {
    /// Returns the built-in metric with this name.
    pub(super) fn of(name: &str) -> Option<BuiltInMetric> {
        let (title, unit) = match name {
            "error_rate" => ("Error rate", Unit::Percent),
            "cpu" => ("CPU usage", Unit::Percent),
            "memory" => ("Memory usage", Unit::Percent),
            "complaints" => ("User complaints", Unit::Count),
            "support_tickets" => ("Support tickets", Unit::Count),
            "nps" => ("NPS", Unit::Number),
            _ if is_percentile(name) => ("Response time", Unit::Duration),
            _ => return None,
        };
        let title = match name.strip_prefix("latency_") {
            Some(percentile) => format!("{title} {percentile}").into(),
            None => title.into(),
        };
        let better = if name == "nps" { Better::More } else { Better::Less };
        let source = match name {
            _ if name == "error_rate" || unit == Unit::Duration => MetricSource::Application,
            _ => MetricSource::People,
        };
        Some(BuiltInMetric { title, unit, better, source })
    }

    pub(super) fn metric(self, name: &str) -> Metric {
        let BuiltInMetric { title, unit, better, source } = self;
        let (better, stale_after) = (Some(better), source.stale_after());
        Metric { name: name.into(), title, unit, better, source, description: None, stale_after }
    }
}

/// Returns whether the name is `latency_p1` to `latency_p99`. Leading zeros are not allowed, so each percentile has one
/// name.
fn is_percentile(name: &str) -> bool {
    let number = name.strip_prefix("latency_p").unwrap_or_default();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    is_plain && (1..=2).contains(&number.len())
}
