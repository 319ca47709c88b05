//! Reading `[metrics.NAME]`.

use std::fmt;

use crate::key::Key;
use crate::plan::fields::{Fields, Path, text};
use crate::plan::model::metric::built_in::BuiltIn;
use crate::plan::model::metric::{Metric, MetricSource};
use crate::plan::model::time::duration;
use crate::plan::model::word::{self, Word};
use crate::plan::node::{Node, Value};
use crate::plan::report::Report;

/// Reads a metric. `every` is the metric that every document has under that name.
pub(super) fn read<'a>(
    name: &Key,
    every: Option<BuiltIn>,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Metric> {
    let mut fields = Fields::open(node, path, report)?;
    let title = fields.take_text("title", report).map(Box::from);
    let (unit, better) = (fields.take("unit"), fields.take("better"));
    let source = fields.take("source");
    let description = fields.take_text("description", report).map(Box::from);
    let stale_after = fields.take("stale_after");
    fields.finish(report);
    let stale_after =
        stale_after.and_then(|node| duration::read(node, &path.field("stale_after"), report));
    let own = every.as_ref();
    let unit = match unit {
        Some(node) => {
            read_own((name, "unit"), own.map(|it| it.unit), node, &path.field("unit"), report)
        }
        None => {
            let hint = match own {
                Some(BuiltIn { unit, .. }) => format!("write `unit = \"{unit}\"`"),
                None => {
                    "write `unit = \"percent\"`, \"duration\", \"count\" or \"number\"".to_owned()
                }
            };
            fields.missing("unit", hint, report);
            None
        }
    };
    let own = own.map(|it| it.better);
    let better = match better {
        Some(node) => {
            read_own((name, "direction"), own, node, &path.field("better"), report).map(Some)
        }
        None => Some(own),
    };
    let source = match source {
        Some(node) => read_source(node, &path.field("source"), report),
        None => {
            fields.missing("source", format!("write who records it: {SOURCES}"), report);
            None
        }
    };
    let (unit, better, source) = (unit?, better?, source?);
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
