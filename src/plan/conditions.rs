//! Conditions on attributes: `where`, and the tables of `any`.

use super::error::Excerpt;
use super::fields::{Fields, array, table, text};
use super::limits::MAX_TEXT_BYTES;
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::report::Report;
use crate::eval::{Bound, Comparison, Condition, Kind, Test};

/// Reads a table of attributes. Leaves out conditions with a problem, which are then in the report.
pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Box<[Condition]> {
    let entries = table(node, path, report);
    if entries.is_some_and(<[_]>::is_empty) {
        let hint = "write at least one attribute: { region = [\"eu\"] }";
        report.found(node, path, "which matches nobody", hint);
    }
    let entries = entries.unwrap_or_default().iter();
    entries.filter_map(|entry| read_condition(entry, path, report)).collect()
}

const LIST: &str = "write a list of values: [\"eu-west\", \"eu-north\"]";

fn read_condition<'a>(
    entry: &Entry<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Condition> {
    let path = path.field(&entry.key);
    if entry.key.trim().is_empty() || entry.key.len() > MAX_TEXT_BYTES {
        let message = format!("found an attribute name of {} bytes", entry.key.len());
        let hint = format!("write 1 to {MAX_TEXT_BYTES} bytes");
        report.problem(entry.key_span.clone(), &path, message, hint);
    }
    let tests = match &entry.node.value {
        Value::Table(_) => read_tests(&entry.node, &path, report)?,
        Value::Text(_) => vec![read_bounds(entry, &path, report)?],
        Value::Array(_) => vec![Test::In(read_values(&entry.node, &path, report)?)],
        _ => {
            let value = Excerpt(report.slice(&entry.node.span));
            let hint = format!("write [\"{value}\"] for this value, or a bound such as \">= 18\"");
            report.found(&entry.node, &path, "not a condition", hint);
            return None;
        }
    };
    Some(Condition { attribute: (*entry.key).into(), tests: tests.into() })
}

const CONDITION: &str = "write a list of values, a bound such as \">= 18\", or tests such as { suffix = \"@acme.example\" }";

/// Reads a table of tests: `{ prefix = "a", not_in = ["abc"] }`.
fn read_tests<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Vec<Test>> {
    let mut fields = Fields::open(node, path, report)?;
    let mut tests = Vec::new();
    let count = node.len().unwrap_or_default();
    tests.extend(fields.read("in", report, read_values).flatten().map(Test::In));
    let not_in = fields.read("not_in", report, |node, path, report| {
        if node.len() == Some(0) {
            let hint = "list values, or write { present = true } for any value";
            report.found(node, path, "which excludes no value", hint);
            return None;
        }
        read_values(node, path, report)
    });
    tests.extend(not_in.flatten().map(Test::NotIn));
    tests.extend(fields.read("prefix", report, read_part).flatten().map(Test::Prefix));
    tests.extend(fields.read("suffix", report, read_part).flatten().map(Test::Suffix));
    tests.extend(fields.read("contains", report, read_part).flatten().map(Test::Contains));
    for (name, kind) in [("number", Kind::Number), ("version", Kind::Version), ("date", Kind::Date)]
    {
        let bounds = fields.read(name, report, |node, path, report| {
            match node.text().and_then(split_bounds) {
                Some(bounds) if all_are(kind, &bounds) => Some(Test::Within(kind, bounds)),
                _ => {
                    let wrong = format!("not a bound of a {}", kind.name());
                    let hint = format!("write, for example, \"{}\"", example(kind));
                    report.found(node, path, wrong, hint);
                    None
                }
            }
        });
        tests.extend(bounds.flatten());
    }
    let is_present = fields.read("present", report, |node, path, report| {
        let is_true = report.slice(&node.span) == "true";
        if !is_true {
            let hint = "write `true`, or leave it out: a missing attribute never matches";
            report.found(node, path, "not true", hint);
        }
        is_true
    });
    tests.extend((is_present == Some(true)).then_some(Test::Present));
    fields.finish(report);
    if count == 0 {
        report.found(node, path, "which tests nothing", CONDITION);
    }
    (count > 0 && tests.len() == count).then_some(tests)
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => ">= 18",
        Kind::Version => ">= 4.2.0",
        Kind::Date => ">= 2026-01-05",
    }
}

fn read_values<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Box<[Box<str>]>> {
    let items = array(node, path, LIST, report)?;
    if items.is_empty() {
        report.found(node, path, "which matches nobody", LIST);
    }
    let read = |(index, item): (usize, &Node<'a>)| {
        let path = path.index(index);
        let value = text(item, &path, report)?;
        warn_of_pattern(value, item, &path, report);
        Some(Box::from(value))
    };
    let values: Box<[_]> = items.iter().enumerate().filter_map(read).collect();
    (!values.is_empty() && values.len() == items.len()).then_some(values)
}

/// Reads the part of a text that a value must have.
fn read_part<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Box<str>> {
    let part = text(node, path, report)?;
    if part.contains('*') {
        let message =
            format!("found {}, in which `*` stands for itself", Excerpt(report.slice(&node.span)));
        let hint = "leave out the `*`: no test has wildcards";
        report.warning(node.span.clone(), path, message, hint);
    }
    Some(part.into())
}

/// Warns of a value that looks like a bound or a pattern, but is compared letter by letter.
fn warn_of_pattern<'a>(value: &str, node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) {
    // A text with blanks is rather a sentence with a `*`.
    let has_wildcard = value.contains('*') && !value.contains(char::is_whitespace);
    let hint = if value.starts_with(['<', '>', '=']) && split_bounds(value).is_some() {
        format!("for a bound, write it without a list: \"{value}\"")
    } else if let Some(test) = test_of_pattern(value) {
        format!("for a pattern, write {test} without a list")
    } else if let Some(other) = value.strip_prefix('!').filter(|other| !other.trim().is_empty()) {
        format!("for any other text, write {{ not_in = [\"{other}\"] }} without a list")
    } else if has_wildcard || value.starts_with(['<', '>', '=', '~', '^']) {
        "there are no wildcards or regular expressions; \
         the tests are in, not_in, prefix, suffix, contains, number, version, date, present"
            .to_owned()
    } else {
        return;
    };
    let found = Excerpt(report.slice(&node.span));
    let message = format!("found {found}, which is compared letter by letter");
    report.warning(node.span.clone(), path, message, hint);
}

/// Returns the test that a pattern with `*` at its ends stands for: `{ suffix = "@acme.example" }`.
fn test_of_pattern(value: &str) -> Option<String> {
    let inner = value.trim_matches('*');
    let (begins, ends) = (value.starts_with('*'), value.ends_with('*'));
    let test = match (begins, ends) {
        (true, true) => "contains",
        (true, false) => "suffix",
        (false, true) => "prefix",
        (false, false) => return None,
    };
    let is_plain = !inner.is_empty() && !inner.contains('*');
    is_plain.then(|| format!("{{ {test} = \"{inner}\" }}"))
}

/// Reads bounds whose kind follows from their limits: `">= 18, < 65"`.
fn read_bounds<'a>(entry: &Entry<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Test> {
    let node = &entry.node;
    let value = text(node, path, report)?;
    let Some(bounds) = split_bounds(value) else {
        let hint = match test_of_pattern(value) {
            Some(test) => format!("write {test}"),
            None if value.trim_start().starts_with(['<', '>', '=']) => {
                "write, for example, \">= 18\" or \"> 10, <= 100\"".to_owned()
            }
            None => {
                let value = Excerpt(value);
                format!("write [\"{value}\"] for this value, or a bound such as \">= 18\"")
            }
        };
        report.found(node, path, "not a bound", hint);
        return None;
    };
    let kinds = [Kind::Number, Kind::Date, Kind::Version];
    // A date is not the pre-release of a version here.
    let is_date = |bound: &Bound| Kind::Date.reads(&bound.limit);
    let is_of = |kind: &Kind| match kind {
        Kind::Version => !bounds.iter().any(is_date) && all_are(*kind, &bounds),
        _ => all_are(*kind, &bounds),
    };
    let Some(kind) = kinds.into_iter().find(is_of) else {
        let wrong = match &*bounds {
            [_] => "whose limit is neither a number nor a version nor a date",
            _ => "whose limits are not all numbers, all versions or all dates",
        };
        let hint = "write, for example, \">= 18\", \">= 4.2.0\" or \">= 2026-01-05\"";
        report.found(node, path, wrong, hint);
        return None;
    };
    let has_point = bounds.iter().any(|bound| bound.limit.contains('.'));
    if kind == Kind::Number && has_point && entry.key.to_ascii_lowercase().contains("version") {
        let message = format!(
            "found {}, which is read as a number, so that 4.10 is less than 4.2",
            Excerpt(report.slice(&node.span))
        );
        let hint = format!(
            "write {{ version = \"{value}\" }}, or {{ number = \"{value}\" }} for a number"
        );
        report.warning(node.span.clone(), path, message, hint);
    }
    Some(Test::Within(kind, bounds))
}

fn all_are(kind: Kind, bounds: &[Bound]) -> bool {
    bounds.iter().all(|bound| kind.reads(&bound.limit))
}

/// Splits `>= 18, < 65`. `None` if a part is no comparison with a limit.
fn split_bounds(text: &str) -> Option<Box<[Bound]>> {
    let bound = |part: &str| {
        let part = part.trim();
        let signs = Comparison::ALL.iter();
        let found = signs.filter_map(|(sign, one)| Some((*one, part.strip_prefix(sign)?))).next();
        let (comparison, limit) = found?;
        let limit = limit.trim_start();
        let is_limit =
            limit.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '-');
        is_limit.then(|| Bound { comparison, limit: limit.into() })
    };
    text.split(',').map(bound).collect()
}
