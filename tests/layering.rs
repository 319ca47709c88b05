//! Rules about the source that neither the compiler nor clippy checks.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

use std::fs;
use std::path::Path;

/// Each layer of `docs/design.md` with the layers that it may import.
const LAYERS: &[(&str, &str)] = &[
    ("integrate", "rollout guard gate plan eval percent key clock http text"),
    ("store", "rollout clock plan eval percent key http text trust background"),
    ("source", "gate plan eval percent key clock http text trust background"),
    ("rollout", "guard gate plan eval percent key clock background"),
    ("guard", "gate plan eval percent key clock"),
    ("gate", "plan eval percent key"),
    ("plan", "eval percent key"),
    ("eval", "percent key"),
    ("http", "text"),
    ("background", ""),
    ("clock", ""),
    ("key", ""),
    ("percent", ""),
    ("text", ""),
    ("trust", ""),
    ("_docs", ""),
];

/// Files and folders with code that runs in an evaluation.
const HOT_PATH: &str = "src/eval/ src/gate/by_name.rs src/gate/checks.rs src/gate/current.rs \
    src/gate/fast_path.rs src/gate/handle.rs src/gate/pinned.rs src/gate/swap.rs";

/// Locks and panics. (`tests/allocations.rs` shows that an evaluation does not allocate.)
const NOT_IN_HOT_PATH: &str =
    "Mutex RwLock .lock( panic! assert! assert_eq! todo! unreachable! .unwrap() .expect(";

#[test]
fn sources_keep_the_rules() {
    let sources: Vec<_> = ["src", "crates"].into_iter().flat_map(read).collect();
    for hot in HOT_PATH.split(' ') {
        assert!(sources.iter().any(|(path, _)| path.starts_with(hot)), "no {hot}");
    }
    let violations: Vec<_> = sources.iter().flat_map(|(path, text)| check(path, text)).collect();
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn layers_import_downward_in_the_design() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let design = fs::read_to_string(root.join("docs/design.md")).unwrap();
    let columns = design.lines().map(|line| line.split("  ").next().unwrap());
    let rows: Vec<Vec<_>> = columns.map(|names| names.split(" · ").collect()).collect();
    let row = |layer| rows.iter().position(|names| names.contains(&layer)).expect(layer);
    for (layer, allowed) in LAYERS.iter().filter(|(_, allowed)| !allowed.is_empty()) {
        assert!(allowed.split(' ').all(|below| row(below) >= row(layer)), "{layer}: {allowed}");
    }
}

#[test]
fn violations_are_found() {
    for (path, line) in [
        ("src/eval/a.rs", "use crate::plan::Plan;"),
        ("src/plan/a/b.rs", "use super::super::super::gate::Gate;"),
        ("src/eval/a.rs", "use crate::{plan, key};"),
        ("src/new_folder/a.rs", "use crate::plan::Plan;"),
        ("src/gate/handle.rs", "let state = self.state.lock();"),
        ("src/plan/a.rs", "#[cfg(feature = \"toml\")]\nfn f() {}"),
        ("src/plan/a.rs", "if cfg!(feature = \"toml\") {}"),
        ("crates/cli/src/main.rs", "#[path = \"../../src/key.rs\"]\nmod key;"),
    ] {
        assert_eq!(check(path, line).len(), 1, "{path}: {line}");
    }
    let test_module = "//! See crate::plan.\n\nmod tests {\n    use crate::plan::Plan;";
    assert_eq!(check("src/eval/a.rs", test_module), <[String; 0]>::default());
}

/// Returns the path and text of every Rust file below `folder`, which is relative to the repository.
fn read(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let visit = |path: std::path::PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        match path.extension().is_some_and(|extension| extension == "rs") {
            true => vec![(name, fs::read_to_string(path).unwrap())],
            false if path.is_dir() && !name.ends_with("/target") => read(&name),
            false => Vec::new(),
        }
    };
    paths.flat_map(visit).collect()
}

/// Returns a message for each line of a file that breaks a rule.
fn check(path: &str, text: &str) -> Vec<String> {
    let code = text.split_inclusive("\nmod tests {").next().unwrap_or_default();
    let lines: Vec<_> = code.lines().map(|line| line.split("//").next().unwrap().trim()).collect();
    let broken = |(index, line): (usize, &&str)| {
        let rule = broken_rule(path, line, item_below(&lines[index + 1..]))?;
        Some(format!("{path}:{}: {rule}: {line}", index + 1))
    };
    lines.iter().enumerate().filter_map(broken).collect()
}

/// Returns the item that the attribute above these lines belongs to, without its visibility.
fn item_below<'a>(lines: &[&'a str]) -> &'a str {
    let mut in_attribute = false;
    let item = lines.iter().find(|line| {
        in_attribute |= line.starts_with("#[");
        let skipped = in_attribute || line.is_empty();
        in_attribute &= !line.ends_with(']');
        !skipped
    });
    let item = item.copied().unwrap_or_default();
    let visibilities = ["pub(crate) ", "pub(super) ", "pub "];
    visibilities.iter().find_map(|prefix| item.strip_prefix(prefix)).unwrap_or(item)
}

fn broken_rule(path: &str, line: &str, below: &str) -> Option<String> {
    let Some(inside) = path.strip_prefix("src/") else {
        let is_shared_helper = path.contains("/tests/") && below == "mod needs;";
        let includes = line.contains("include!(") || line.contains("#[path") && !is_shared_helper;
        return includes.then(|| "other crates use only the public API".to_owned());
    };
    let is_hot = HOT_PATH.split(' ').any(|hot| path.starts_with(hot));
    if let Some(found) = NOT_IN_HOT_PATH.split(' ').find(|found| is_hot && line.contains(found)) {
        return Some(format!("`{found}` in the hot path"));
    }
    let selects_item = below.starts_with("mod ") || below.starts_with("use ");
    let has_feature = line.contains("feature = \"");
    if line.starts_with("#[cfg(") && (has_feature && !selects_item || !line.ends_with(']'))
        || line.contains("cfg!(") && has_feature
    {
        return Some("`cfg(feature)` only on `mod` and `use`, on one line".to_owned());
    }
    let layer = inside.split('/').next()?.trim_end_matches(".rs");
    let depth = inside.trim_end_matches("/mod.rs").split('/').count();
    if line.contains(&"super::".repeat(depth)) || line.contains("crate::{") {
        return Some("write `crate::LAYER`, once per line".to_owned());
    }
    let is_in = |list: &str, name| list.split(' ').any(|listed| listed == name);
    let allowed = LAYERS.iter().find(|(name, _)| *name == layer).map_or("", |(_, allowed)| allowed);
    let names = line.split("crate::").skip(1).filter_map(|rest| rest.split(is_not_in_name).next());
    let wrong = names.filter(|name| layer != "lib" && *name != layer && !is_in(allowed, *name));
    Some(format!("`{layer}` may not import `{}`, only: {allowed}", { wrong }.next()?))
}

fn is_not_in_name(c: char) -> bool {
    !c.is_alphanumeric() && c != '_'
}
