//! Reading `[metrics.NAME]`.

use std::fmt;

use crate::key::Key;
use crate::plan::fields::{Fields, text};
use crate::plan::model::metric::built_in::BuiltInMetric;
use crate::plan::model::metric::{Metric, MetricSource};
use crate::plan::model::time::duration;
use crate::plan::model::word::{self, Word};
use crate::plan::node::{Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// Reads a metric. `every` is the metric that every document has under that name.
pub(super) fn read<'a>(
    name: &Key,
    every: Option<BuiltInMetric>,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Metric> {
    let mut fields = Fields::open(node, path, report)?;
    let title = fields.take_text("title", report).map(Box::from);
    let own = every.as_ref();
    let hint = match own {
        Some(BuiltInMetric { unit, .. }) => format!("write `unit = \"{unit}\"`"),
        None => "write `unit = \"percent\"`, \"duration\", \"count\" or \"number\"".to_owned(),
    };
    let unit = fields.required("unit", hint, report, |node, path, report| {
        read_own((name, "unit"), own.map(|it| it.unit), node, path, report)
    });
    let own = own.map(|it| it.better);
    let better = fields.optional("better", report, |node, path, report| {
        read_own((name, "direction"), own, node, path, report)
    });
    let hint = format_args!("write who records it: {SOURCES}");
    let source = fields.required("source", hint, report, read_source);
    let description = fields.take_text("description", report).map(Box::from);
    let stale_after = fields.read("stale_after", report, duration::read).flatten();
    fields.finish(report);
    let (unit, better, source) = (unit?, better?.or(own), source?);
    let stale_after = stale_after.unwrap_or(source.stale_after());
    let name: Box<str> = name.as_str().into();
    let title = title.or(every.map(|it| it.title)).unwrap_or_else(|| name.clone());
    Some(Metric { name, title, unit, better, source, description, stale_after })
}

/// Reads a word that a metric of every document already has: its unit or its direction.
fn read_own<'a, W: Word + PartialEq + fmt::Display>(
    (name, what): (&Key, &str),
    every: Option<W>,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<W> {
    let word: W = word::read(node, path, report)?;
    if let Some(own) = every.filter(|own| *own != word) {
        let wrong = format!("not the {what} that `{}` has in every document", name.as_str());
        report.found(node, path, wrong, format!("write \"{own}\", or declare another name"));
        return None;
    }
    Some(word)
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
            let query =
                fields.required("prometheus", "write `prometheus = \"QUERY\"`", report, text);
            let samples = fields.take_text("samples", report).map(Box::from);
            fields.finish(report);
            Some(MetricSource::Prometheus { query: query?.into(), samples })
        }
        _ => {
            report.found(node, path, "not a source of a metric", format!("write {SOURCES}"));
            None
        }
    }
}
