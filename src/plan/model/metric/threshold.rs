//! Reading what a criterion, a metric or a trigger says of a metric's value.

use crate::percent::Percent;
use crate::plan::fields::{Path, text};
use crate::plan::model::metric::Metric;
use crate::plan::model::metric::quantity::{Bound, Comparison, Increase, Quantity, Unit};
use crate::plan::model::metric::quantity::{MAX_COUNT, parse_count};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// A bound in the metric's unit, which a value may be within or not.
pub(in crate::plan::model) fn bound<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metric: &Metric,
    report: &mut Report<'a>,
) -> Option<Bound> {
    let bound = match Bound::parse(quoted(node, path, &hint(metric, "< "), report)?, metric.unit) {
        Ok(bound) => bound,
        Err(error) => {
            report.found(node, path, error, hint(metric, "< "));
            return None;
        }
    };
    let always = match bound.comparison {
        Comparison::AtLeast | Comparison::AtMost => true,
        Comparison::Below | Comparison::Above => false,
    };
    let end = if bound.is_upper() == always { is_most(bound.value) } else { is_least(bound.value) };
    if end {
        let wrong = if always { "which always holds" } else { "which never holds" };
        let hint = format!("write a bound that `{}` can be within and beyond", metric.name);
        report.found(node, path, wrong, hint);
        return None;
    }
    Some(bound)
}

/// A trigger's limit in the metric's unit; a count may stand without quotes.
pub(in crate::plan::model) fn quantity<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metric: &Metric,
    report: &mut Report<'a>,
) -> Option<Quantity> {
    let text = if node.is_number() && metric.unit == Unit::Count {
        report.slice(&node.span)
    } else {
        quoted(node, path, &hint(metric, ""), report)?
    };
    match Quantity::parse(text, metric.unit) {
        Ok(quantity) => Some(quantity),
        Err(error) => {
            report.found(node, path, error, hint(metric, ""));
            None
        }
    }
}

/// By how much treatment may be worse than control.
pub(in crate::plan::model) fn increase<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Increase> {
    const HINT: &str = "write more than 0% and at most 10000%, for example \"50%\": \
                        half as much again as control";
    match Increase::parse(quoted(node, path, HINT, report)?) {
        Ok(increase) => Some(increase),
        Err(error) => {
            report.found(node, path, error, HINT);
            None
        }
    }
}

/// A number of something of which there has to be one; `none`: what a 0 is called.
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

/// A text; of a number without quotes is told what to write, beyond the quotes.
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

/// No value is more.
pub(in crate::plan::model) fn is_most(value: Quantity) -> bool {
    value == Quantity::Percent(Percent::ALL)
}

/// No value is less.
pub(in crate::plan::model) fn is_least(value: Quantity) -> bool {
    value == Quantity::Percent(Percent::NONE) || value == Quantity::Count(0)
}

/// What to write for a value of the metric.
fn hint(metric: &Metric, comparison: &str) -> String {
    let (is, example) = match metric.unit {
        Unit::Percent => ("a percentage", "1%"),
        Unit::Duration => ("a duration", "2s"),
        Unit::Count => ("a whole number", "20"),
    };
    format!("`{}` is {is}: write for example \"{comparison}{example}\"", metric.name)
}
