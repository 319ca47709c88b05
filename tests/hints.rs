//! A hint never offers a value that the next check refuses.
//!
//! The test takes every invalid document in `tests/data/invalid`. Where an error says "did you mean `X`?", it writes X
//! and parses the document again. The place must then have no problem.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use stagegate::{Document, Plan, Problem};

/// Returns the name that a hint offers.
fn offered(problem: &Problem) -> Option<&str> {
    problem.hint().strip_prefix("did you mean `")?.split('`').next()
}

/// Returns the text with the offered name at the place of the problem.
fn corrected(text: &str, problem: &Problem, name: &str) -> String {
    let found = &text[problem.span()];
    let is_quoted = found.starts_with(['"', '\'']);
    let name = if is_quoted { format!("\"{name}\"") } else { name.to_owned() };
    let mut corrected = text.to_owned();
    corrected.replace_range(problem.span(), &name);
    corrected
}

#[test]
fn a_hint_never_offers_a_value_that_the_next_check_refuses() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/invalid");
    let (mut tried, mut refused) = (0, String::new());
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let is_document = path.extension().is_some_and(|end| end == "toml" || end == "json");
        let Some(document) = is_document.then(|| Document::read(&path).ok()).flatten() else {
            continue;
        };
        let Some(text) = document.text().map(str::to_owned) else { continue };
        let error = Plan::parse(&document).unwrap_err();
        let of_document = |problem: &&Problem| problem.file() == document.label();
        for problem in error.problems().iter().filter(of_document) {
            let Some(name) = offered(problem) else { continue };
            tried += 1;
            let again = corrected(&text, problem, name);
            let again = Document::new(again).name(document.label()).directory(&directory);
            let left = match Plan::parse(again) {
                Ok(_) => continue,
                Err(error) => error,
            };
            let is_here = |left: &&Problem| left.span().start == problem.span().start;
            for left in left.problems().iter().filter(is_here) {
                refused += &format!("{problem}\nwith `{name}`: {left}\n\n");
            }
        }
    }
    assert!(tried >= 20, "only {tried} hints");
    assert!(refused.is_empty(), "{refused}");
}
