//! Proves that the source keeps its layers and its promises about what it never does, by reading it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod made_up;
mod rules;
mod source;

use rules::{LEGITIMATE, check};
use source::Source;

#[test]
fn sources_keep_the_rules() {
    let sources = Source::of_package(&["src", "crates"]);
    assert!(sources.iter().any(|source| source.path == "src/gate/cell.rs"), "found no source");
    let violations: Vec<_> = sources.iter().flat_map(check).map(|v| v.to_string()).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn exceptions_are_still_needed() {
    let sources = Source::of_package(&["src"]);
    for (path, text, reason) in LEGITIMATE {
        let is_there = sources.iter().any(|source| {
            source.path == *path && source.shipped.iter().any(|line| line.contains(text))
        });
        assert!(is_there, "{path} has no `{text}` any more ({reason}): take it off LEGITIMATE");
    }
}
