//! The public functions of the crate, read from its sources.
//!
//! The lint `unreachable_pub` ensures that every `pub` item is public. `rustfmt` ensures that every `impl` begins a
//! line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns every `pub fn` as `Type::name`, or as `name` outside of an `impl`, and every `Type::from_str`.
pub(crate) fn of_the_crate() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

fn read_folder(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            read(&fs::read_to_string(&path).unwrap(), found);
        }
    }
}

fn read(source: &str, found: &mut BTreeSet<String>) {
    let mut of = None;
    for line in source.lines() {
        if let Some(rest) = line.strip_prefix("impl") {
            of = Some(type_of(rest));
            if rest.contains("FromStr for ") {
                found.insert(format!("{}::from_str", type_of(rest)));
            }
        } else if line == "}" {
            of = None;
        }
        let rest = line.trim_start();
        let rest = rest.strip_prefix("pub const fn ").or_else(|| rest.strip_prefix("pub fn "));
        if let Some(rest) = rest {
            let name = word(rest);
            found.insert(of.as_ref().map_or(name.clone(), |of| format!("{of}::{name}")));
        }
    }
}

/// Returns the type name of an `impl`, from the text after the word `impl`.
fn type_of(rest: &str) -> String {
    // Skip the generic parameters of the `impl`.
    let mut depth = 0;
    let end = rest.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '<') - i32::from(*c == '>');
        depth == 0
    });
    let rest = match rest.starts_with('<') {
        true => &rest[end.map_or(0, |(index, _)| index + 1)..],
        false => rest,
    };
    let rest = rest.split_once(" for ").map_or(rest, |(_, of)| of);
    word(rest.trim_start())
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn functions_are_found_with_their_types() {
    let source = "impl<'a, T: Into<A>> Plan<'a, T> {\n    pub fn parse(text: &str) {}\n    fn own() {}\n}\n\
                  impl Gate {\n    #[must_use]\n    pub const fn new() -> Gate {\n    }\n    pub(crate) fn b() {}\n}\n\
                  impl FromStr for Date {\n    fn from_str(text: &str) {}\n}\n\
                  impl fmt::Debug for Gate {\n    fn fmt() {}\n}\npub fn free(a: u8) {}\n";
    let mut found = BTreeSet::new();
    read(source, &mut found);
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["Date::from_str", "Gate::new", "Plan::parse", "free"]);
}
