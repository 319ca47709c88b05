//! The rules, each from a source file to the lines that break it.

use std::fmt;

use super::source::{Source, has_word, is_word};

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

/// Each layer and what it may import.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "integrate",
        &["rollout", "guard", "gate", "plan", "eval", "percent", "key", "clock", "http", "text"],
    ),
    ("store", &["rollout", "clock", "plan", "eval", "percent", "key", "http", "text", "trust"]),
    ("source", &["gate", "plan", "eval", "percent", "key", "clock", "http", "text", "trust"]),
    ("rollout", &["guard", "gate", "plan", "eval", "percent", "key", "clock"]),
    ("guard", &["gate", "plan", "eval", "percent", "key", "clock"]),
    ("gate", &["plan", "eval", "percent", "key"]),
    ("plan", &["eval", "percent", "key"]),
    ("eval", &["percent", "key"]),
    ("http", &["text"]),
    ("text", &[]),
    ("trust", &[]),
    ("percent", &[]),
    ("key", &[]),
    ("clock", &[]),
    ("_docs", &[]),
];

/// Where a question passes through.
const HOT: &[&str] = &[
    "src/eval/",
    "src/gate/ask.rs",
    "src/gate/by_name.rs",
    "src/gate/cell.rs",
    "src/gate/filter.rs",
    "src/gate/handle.rs",
    "src/gate/pinned.rs",
    "src/gate/shortcut.rs",
    "src/gate/swap.rs",
];

/// What locks, allocates or panics.
const COLD: &[&str] = &[
    "Mutex",
    "RwLock",
    ".lock(",
    "format!",
    "String::",
    "vec!",
    "Vec::",
    "Box::",
    "Arc::new",
    ".to_owned()",
    ".to_string()",
    ".to_vec()",
    ".collect()",
    "panic!",
    "assert!",
    "assert_eq!",
    "todo!",
    "unreachable!",
    ".unwrap()",
    ".expect(",
];

/// Hot files' code that no question runs: file, text of the line, reason.
pub(crate) const LEGITIMATE: &[(&str, &str, &str)] = &[
    ("src/eval/names.rs", "let hashes: Vec<u64> = flags", "an update makes a new index"),
    ("src/eval/places.rs", "let mut pilots = vec!", "as above"),
    ("src/eval/places.rs", "let mut at = vec!", "as above"),
    ("src/eval/places.rs", "let mut ends = vec!", "as above"),
    ("src/eval/places.rs", "let mut members = vec!", "as above"),
    ("src/eval/removed.rs", "", "only an update remembers and forgets"),
    ("src/eval/snapshot.rs", "Arc::new(Names::new(&flags))", "an update makes a new index"),
    ("src/gate/ask.rs", ".map(answer).collect()", "`evaluate_all` gives a list, and says so"),
    ("src/gate/cell.rs", "Arc::new(snapshot)", "an update makes a new snapshot"),
    (
        "src/gate/cell.rs",
        "let mut known = self.shortcuts.lock();",
        "an update swaps, a handle is made",
    ),
];

const MAX_LINES: usize = 350;

/// Everything wrong with one file of `src/` or `crates/`.
pub(crate) fn check(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut note = |index: usize, rule: String| {
        found.push(Violation { path: source.path.clone(), line: index + 1, rule });
    };
    if !source.path.starts_with("src/") {
        borrows_no_source(source, &mut note);
        return found;
    }
    imports_downward(source, &mut note);
    hot_code_is_free(source, &mut note);
    one_file_swaps(source, &mut note);
    is_safe(source, &mut note);
    features_select_whole_items(source, &mut note);
    time_is_not_read(source, &mut note);
    if source.code.len() > MAX_LINES {
        note(
            MAX_LINES,
            format!("a file has at most {MAX_LINES} lines, this one {}", source.code.len()),
        );
    }
    found.sort_by_key(|violation| violation.line);
    found
}

type Note<'n> = dyn FnMut(usize, String) + 'n;

/// `src/gate/cell.rs` and `src/gate.rs` are of the layer `gate`; `src/lib.rs` is of none.
fn layer(path: &str) -> Option<&str> {
    let name = path.strip_prefix("src/")?.split('/').next()?;
    (name != "lib.rs").then(|| name.strip_suffix(".rs").unwrap_or(name))
}

fn imports_downward(source: &Source, note: &mut Note<'_>) {
    let Some(own) = layer(&source.path) else { return };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
        return note(0, format!("`{own}` is no layer yet: give it a place in LAYERS"));
    };
    for (index, line) in source.shipped.iter().enumerate() {
        for name in names_from_root(source, index, line) {
            if name != own && !allowed.contains(&&*name) {
                note(index, format!("`{own}` may not import `crate::{name}`, only {allowed:?}"));
            }
        }
    }
}

/// What stands right below the crate's root in paths of this line: after `crate::`, or after as
/// many `super::` as lead there.
fn names_from_root(source: &Source, index: usize, line: &str) -> Vec<String> {
    let inside = source.path.trim_start_matches("src/").trim_end_matches("/mod.rs");
    let depth = inside.split('/').count();
    let mut names = Vec::new();
    for root in ["crate::".to_owned(), "super::".repeat(depth)] {
        for (at, _) in line.match_indices(&root) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            let after = &line[at + root.len()..];
            if let Some(inside) = after.strip_prefix('{') {
                // A list may go on for lines.
                let rest = source.shipped[index + 1..].iter().map(String::as_str);
                let text = std::iter::once(inside).chain(rest).collect::<Vec<_>>().join(" ");
                names.extend(listed_names(&text));
            } else {
                names.push(after.chars().take_while(|c| is_word(*c)).collect());
            }
        }
    }
    names
}

/// The first name of each item of a list in braces, of which the first is open already.
fn listed_names(text: &str) -> Vec<String> {
    let (mut depth, mut names, mut item) = (1, Vec::new(), String::new());
    for c in text.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 || (depth == 1 && c == ',') {
            names.push(item.trim().chars().take_while(|c| is_word(*c)).collect::<String>());
            item.clear();
        } else {
            item.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn hot_code_is_free(source: &Source, note: &mut Note<'_>) {
    if !HOT.iter().any(|hot| source.path.starts_with(hot)) {
        return;
    }
    for (index, line) in source.shipped.iter().enumerate() {
        if LEGITIMATE.iter().any(|(path, text, _)| *path == source.path && line.contains(text)) {
            continue;
        }
        for cold in COLD.iter().filter(|cold| names(line, cold)) {
            note(index, format!("the hot path may not lock, allocate or panic: `{cold}`"));
        }
    }
}

/// Whether the line has this, and not only as the end of a longer name: `SmallVec::` is no `Vec::`.
fn names(line: &str, cold: &str) -> bool {
    let is_end = |at: usize| cold.starts_with(is_word) && line[..at].ends_with(is_word);
    line.match_indices(cold).any(|(at, _)| !is_end(at))
}

fn one_file_swaps(source: &Source, note: &mut Note<'_>) {
    if source.path == "src/gate/swap.rs" {
        return;
    }
    for (index, _) in source.code.iter().enumerate().filter(|(_, line)| has_word(line, "arc_swap"))
    {
        note(index, "only src/gate/swap.rs names `arc_swap`".to_owned());
    }
}

fn is_safe(source: &Source, note: &mut Note<'_>) {
    for (index, _) in source.code.iter().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
        note(index, "there is no `unsafe`".to_owned());
    }
    let forbids = || source.code.iter().any(|line| line.trim() == "#![forbid(unsafe_code)]");
    if source.path == "src/lib.rs" && !forbids() {
        note(0, "`lib.rs` says `#![forbid(unsafe_code)]`".to_owned());
    }
}

/// A feature adds whole modules and imports, or changes attributes: no line of code depends on one.
fn features_select_whole_items(source: &Source, note: &mut Note<'_>) {
    for (index, line) in source.code.iter().enumerate() {
        if !has_word(line, "feature") {
            continue;
        }
        let line = line.trim();
        let mut below = source.code[index + 1..].iter().map(|line| line.trim());
        let selected = below.find(|line| !line.is_empty() && !line.starts_with("#["));
        let selected = selected.unwrap_or_default();
        // `pub mod`, `pub(crate) use`.
        let item = selected.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        let item = item.trim_start_matches("pub ");
        let selects = item.starts_with("mod ") || item.starts_with("use ");
        let is_attribute = line.starts_with("#[cfg_attr(") || line.starts_with("#![cfg_attr(");
        if !(is_attribute || (line.starts_with("#[cfg(") && line.ends_with(")]") && selects)) {
            note(index, "`cfg(feature)` stands on `mod`, `use` and attributes only".to_owned());
        }
    }
}

fn time_is_not_read(source: &Source, note: &mut Note<'_>) {
    if source.path == "src/clock/system.rs" {
        return;
    }
    for (index, line) in source.code.iter().enumerate() {
        for call in ["Instant::now", "SystemTime::now", "thread::sleep"] {
            if line.contains(call) {
                note(index, format!("time is injected: `{call}`"));
            }
        }
    }
}

/// A crate beside the library sees its public API, as any other crate does, and not its files. Only tests share a helper.
fn borrows_no_source(source: &Source, note: &mut Note<'_>) {
    let is_test = source.path.contains("/tests/");
    for (index, line) in source.code.iter().enumerate() {
        let below = source.code.get(index + 1).map_or("", |line| line.trim());
        let is_helper = is_test && below == "mod needs;";
        // What they name is in a string, so any other is one too many.
        if (line.contains("#[path") && !is_helper) || line.contains("include!") {
            note(index, "a crate of `crates/` uses the public API, not files of others".to_owned());
        }
    }
}
