//! Structure errors: each one is reported once, with the positions of both keys.

use std::fmt::Write;

use crate::plan::document::Document;
use crate::plan::node::{Node, Value};
use crate::plan::{Plan, limits};

/// Returns the problems of a text, each as `line:column message`.
fn problems(text: &str) -> Vec<String> {
    let error = Plan::parse(Document::new(text)).expect_err("a bad document");
    let problem = |p: &crate::plan::Problem| format!("{}:{} {}", p.line(), p.column(), p.message());
    error.problems().iter().map(problem).collect()
}

#[track_caller]
fn found(text: &str, expected: &[&str]) {
    assert_eq!(problems(text), expected, "{text}");
}

#[test]
fn duplicate_keys() {
    let twice = |place: &str, key: &str, line: usize| {
        format!("{place} found {key} a second time, the first is on line {line}")
    };
    let one = |text: &str, place: &str, key: &str, line: usize| {
        found(text, &[&twice(place, key, line)]);
    };
    one("a = 1\n\na = 2", "3:1", "a", 1);
    one("a = 1\n\"\\u0061\" = 2", "2:1", "\"\\u0061\"", 1);
    one("[a]\nb.c = 1\nb.d = 2\nb.c = 3", "4:3", "c", 2);
    one("[a.b]\n[a]\nb = 1", "3:1", "b", 1);
    one("[a.b]\n[a]\nb.c = 1", "3:1", "b", 1);
    one("[b]\nc = 1\n[b.c]", "3:4", "c", 2);
    one("[[a]]\n[a]", "2:2", "a", 1);
    one("[a]\n[[a]]", "2:3", "a", 1);
    one("a.b = 1\n[a]", "2:2", "a", 1);
    one("[[a.b]]\n[a]\nb.c = 1", "3:1", "b", 1);
    one("a = {b = 1,\nb = 2}", "2:1", "b", 1);
    one("a = {b.c = 1,\nb.c = 3}", "2:3", "c", 1);
    // A header defines the table that `[a.b]` implied, so the first definition is on line 2.
    one("[a.b]\n[a]\n[a]", "3:2", "a", 2);
    found("a = 1\na = 2\na = 3", &[&twice("2:1", "a", 1), &twice("3:1", "a", 1)]);
}

#[test]
fn fields_of_values_that_are_not_open_tables() {
    found("[b]\nc = 1\n[b.c.d]", &["3:4 found c with fields, but it is a plain value on line 2"]);
    found("a = 'x'\na.b = 2", &["2:1 found a with fields, but it is a plain value on line 1"]);
    found(
        "a = [{b = {},\nb.c = 2}]",
        &["2:1 found b with fields, but it is a table in braces on line 1"],
    );
    found("a = {}\na.b = 2", &["2:1 found a with fields, but it is a table in braces on line 1"]);
    found(
        "a = [{}]\n[[a.b]]",
        &["2:3 found a with fields, but it is an array in brackets on line 1"],
    );
}

#[test]
fn a_duplicate_table_is_one_error() {
    let text = "[a.b]\nc = 1\n[a.b.d]\n\n[a.b]\nc = 1\ne.f = 2\n[a.b.d]\nc = 1\n[[a.b.g]]";
    found(text, &["5:4 found b a second time, the first is on line 1"]);
    // Errors inside the duplicate table are reported too.
    let text = "[a]\n[a]\nb = 1\nb = 2\n[a]";
    let twice = |place, key, line| {
        format!("{place} found {key} a second time, the first is on line {line}")
    };
    found(text, &[&twice("2:2", "a", 1), &twice("4:1", "b", 3), &twice("5:2", "a", 1)]);
}

#[test]
fn one_syntax_error_causes_no_others() {
    let invalid = |text: &str, place: &str, description: &str| {
        let found = problems(text);
        let is_it = |found: &String| found.starts_with(place) && found.contains(description);
        assert!(found.len() == 1 && found.iter().all(is_it), "{text}: {found:?}");
    };
    // Fields below an incomplete header do not belong to the table before it.
    invalid("a = 1\n[b\na = 2", "2:3", "unclosed table");
    invalid(
        "a = 1\nb = {[1, {}]}\na2 = 1",
        "2:6 invalid TOML at `[`:",
        "missing key for inline table element",
    );
    invalid(
        "a = 1\nb = {c = 1 {a = 2}, a = 2}",
        "2:12 invalid TOML at `{`:",
        "missing key for inline table",
    );
    invalid("a = 1\na.b\nb = 1", "2:4 invalid TOML at the end of the line", "key with no value");
}

#[test]
fn nesting_is_limited_as_in_json() {
    let deep = limits::MAX_DEPTH;
    let arrays = |n: usize| format!("a = {}1{}", "[".repeat(n), "]".repeat(n));
    let braces = |n: usize| format!("a = {}1{}", "{a = ".repeat(n), "}".repeat(n));
    let dotted = |n: usize| format!("a{} = 1", ".a".repeat(n));
    let header = |n: usize| format!("[a{}]\na = 1", ".a".repeat(n - 1));
    let mixed = |n: usize| format!("[[a.a]]\na.a = {{a.a = [{}]}}", braces(n - 6)[4..].to_owned());
    for text in
        [arrays(deep - 1), braces(deep - 1), dotted(deep - 1), header(deep - 1), mixed(deep - 1)]
    {
        assert!(super::read(&text, 1).is_ok(), "{text}");
    }
    for text in [arrays(deep), braces(deep), dotted(deep), header(deep), mixed(deep)] {
        let found = problems(&text);
        assert!(found.len() == 1 && found.iter().all(|f| f.contains("more than 64")), "{found:?}");
    }
}

#[test]
fn entries_keep_the_order_of_the_text() {
    let mut text = String::from(
        "z = 1\n[y.b]\n[x]\nm.b = 1\na = 2\nm.a = 3\n[y]\nq = 1\na = 1\n[y.a2]\n[w]\n",
    );
    for key in (0..100).rev() {
        writeln!(text, "k{key} = {key}").unwrap();
    }
    fn keys(node: &Node<'_>, out: &mut Vec<String>) {
        if let Value::Table(entries) = &node.value {
            for entry in entries {
                out.push(entry.key.to_string());
                keys(&entry.node, out);
            }
        }
    }
    let mut found = Vec::new();
    keys(&super::read(&text, 1).unwrap(), &mut found);
    let mut expected = "z y b q a a2 x m b a a w".split(' ').map(str::to_owned).collect::<Vec<_>>();
    expected.extend((0..100).rev().map(|key| format!("k{key}")));
    assert_eq!(found, expected);
}
