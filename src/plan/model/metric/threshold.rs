//! Reading of bounds, limits and counts in criteria, stage metrics and triggers.

use crate::percent::Percent;
use crate::plan::fields::text;
use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::built_in::BuiltInMetric;
use crate::plan::model::metric::increase::Increase;
use crate::plan::model::metric::number::Number;
use crate::plan::model::metric::quantity::{Bound, Comparison, Quantity, Unit};
use crate::plan::model::metric::quantity::{MAX_COUNT, parse_count};
use crate::plan::model::metric::{Metric, Metrics};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The purpose of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan::model) enum Purpose {
    /// Good values are within it.
    Target,
    /// Bad values are within it.
    Alert,
}

impl Purpose {
    /// Returns the comparison of a bound with this purpose.
    fn side(self, better: Better) -> Comparison {
        match (self, better) {
            (Purpose::Target, Better::Less) | (Purpose::Alert, Better::More) => Comparison::Below,
            (Purpose::Target, Better::More) | (Purpose::Alert, Better::Less) => Comparison::Above,
        }
    }
}

/// Reads a bound in the metric's unit.
///
/// Reports a bound that every value or no value is within, and a bound on the wrong side for its purpose.
pub(in crate::plan::model) fn bound<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    (metric, metrics): (&Metric, &Metrics),
    purpose: Purpose,
    report: &mut Report<'a>,
) -> Option<Bound> {
    let example = metric.better.map_or(Comparison::Below, |better| purpose.side(better));
    let hint = value_hint(metric, &format!("{example} "));
    let bound = match Bound::parse(quoted(node, path, &hint, report)?, metric.unit) {
        Ok(bound) => bound,
        Err(error) => {
            report.found(node, path, error, hint);
            return None;
        }
    };
    let always = match bound.comparison {
        Comparison::AtLeast | Comparison::AtMost => true,
        Comparison::Below | Comparison::Above => false,
    };
    let end =
        if bound.is_upper() == always { is_maximum(bound.value) } else { is_minimum(bound.value) };
    if end {
        let wrong = if always { "which always holds" } else { "which never holds" };
        let hint =
            format!("write a bound that some values of `{}` meet and others do not", metric.name);
        report.found(node, path, wrong, hint);
        return None;
    }
    let better = metrics.direction(metric, path, report);
    if let Some(better) =
        better.filter(|it| it.has_good_values_within(bound) != (purpose == Purpose::Target))
    {
        let (what, side) = match purpose {
            Purpose::Target => ("a target", "bad"),
            Purpose::Alert => ("an alert", "good"),
        };
        let comparison = purpose.side(better);
        let wrong = wrong_side(what, side, metric, better);
        let hint = format!(
            "write \"{comparison} {}\"{}",
            bound.value,
            or_change_direction(metric, better)
        );
        report.found(node, path, wrong, hint);
        return None;
    }
    Some(bound)
}

/// Returns the message for a value on the wrong side.
pub(in crate::plan::model) fn wrong_side(
    what: &str,
    side: &str,
    metric: &Metric,
    better: Better,
) -> String {
    format!("{what} on the {side} side of `{}`: {better} is better", metric.name)
}

/// Returns the end of a hint: change the metric's direction. Empty for a built-in metric, whose direction is fixed.
pub(in crate::plan::model) fn or_change_direction(metric: &Metric, better: Better) -> String {
    if BuiltInMetric::of(&metric.name).is_some() {
        return String::new();
    }
    let (root, opposite) = (Path::root(), better.opposite());
    let metrics = root.field("metrics");
    format!(", or `better = \"{opposite}\"` in `[{}]`", metrics.field(&metric.name))
}

/// Reads a trigger's limit in the metric's unit. Counts and numbers may be without quotes.
pub(in crate::plan::model) fn quantity<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metric: &Metric,
    report: &mut Report<'a>,
) -> Option<Quantity> {
    let text = if node.is_number() && matches!(metric.unit, Unit::Count | Unit::Number) {
        report.slice(&node.span)
    } else {
        quoted(node, path, &value_hint(metric, ""), report)?
    };
    match Quantity::parse(text, metric.unit) {
        Ok(quantity) => Some(quantity),
        Err(error) => {
            report.found(node, path, error, value_hint(metric, ""));
            None
        }
    }
}

/// Reads `worse_than_control_by`.
pub(in crate::plan::model) fn increase<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    (metric, better): (&Metric, Better),
    report: &mut Report<'a>,
) -> Option<Increase> {
    // A value that is never negative cannot be more than 100% lower than control.
    let is_limited = better == Better::More && metric.unit != Unit::Number;
    let most = if is_limited { "less than 100%" } else { "at most 10000%" };
    let half = match better {
        Better::Less => "half as much again as control",
        Better::More => "half as much as control",
    };
    let hint = format!("write more than 0% and {most}, for example \"50%\": {half}");
    let wrong = match Increase::parse(quoted(node, path, &hint, report)?) {
        Ok(increase) if is_limited && increase.ppm() >= Percent::ALL.ppm() => {
            format!("but `{}` cannot be that much lower than control", metric.name)
        }
        Ok(increase) => return Some(increase),
        Err(error) => error.to_string(),
    };
    report.found(node, path, wrong, hint);
    None
}

/// Reads a whole number from 1. `none` is the message for 0.
pub(in crate::plan::model) fn count_from_one<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    none: &str,
    report: &mut Report<'a>,
) -> Option<u64> {
    let hint = format!("write a whole number from 1 to {MAX_COUNT}, its digits alone");
    let wrong = if node.is_number() {
        match parse_count(report.slice(&node.span)) {
            Ok(0) => none.to_owned(),
            Ok(count) => return Some(count),
            Err(error) => error.to_string(),
        }
    } else {
        "not a number".to_owned()
    };
    report.found(node, path, wrong, hint);
    None
}

/// Returns the text of a value. For a number without quotes, reports a problem with `hint`, which shows the whole form.
fn quoted<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    hint: &str,
    report: &mut Report<'a>,
) -> Option<&'n str> {
    if node.is_number() {
        report.found(node, path, "not a text", hint);
        return None;
    }
    text(node, path, report)
}

/// Returns whether no value of the unit is larger.
pub(in crate::plan::model) fn is_maximum(value: Quantity) -> bool {
    value == Quantity::Percent(Percent::ALL) || value == Quantity::Number(Number::MAX)
}

/// Returns whether no value of the unit is smaller.
pub(in crate::plan::model) fn is_minimum(value: Quantity) -> bool {
    let is_zero = value == Quantity::Percent(Percent::NONE) || value == Quantity::Count(0);
    is_zero || value == Quantity::Number(Number::MIN)
}

/// Returns a hint with an example of the metric's unit.
fn value_hint(metric: &Metric, comparison: &str) -> String {
    let (is, example) = match metric.unit {
        Unit::Percent => ("a percentage", "1%"),
        Unit::Duration => ("a duration", "2s"),
        Unit::Count => ("a whole number", "20"),
        Unit::Number => ("a decimal number", "-3.5"),
    };
    format!("`{}` is {is}: write for example \"{comparison}{example}\"", metric.name)
}
