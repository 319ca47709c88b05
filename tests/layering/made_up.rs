//! For each rule a made-up file that breaks it, and one that comes close and does not: a rule that
//! finds nothing would prove nothing.

use super::rules::check;
use super::source::Source;

/// The lines of the file that break a rule, each with a piece of what is said.
#[track_caller]
fn breaks(path: &str, text: &str, expected: &[(usize, &str)]) {
    let found = check(&Source::new(path, text));
    let lines: Vec<_> = found.iter().map(|violation| violation.line).collect();
    let expected_lines: Vec<_> = expected.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, expected_lines, "{path}: {found:?}");
    for (violation, (line, piece)) in found.iter().zip(expected) {
        let message = violation.to_string();
        assert!(message.starts_with(&format!("{path}:{line}: ")), "{message}");
        assert!(message.contains(piece), "{message} does not say {piece}");
    }
}

#[track_caller]
fn keeps(path: &str, text: &str) {
    breaks(path, text, &[]);
}

#[test]
fn imports_point_downward() {
    breaks("src/eval/new.rs", "use crate::plan::Plan;", &[(1, "may not import `crate::plan`")]);
    breaks("src/percent.rs", "fn f() {\n    crate::key::check();\n}", &[(2, "crate::key")]);
    breaks("src/plan/a/b.rs", "use super::super::super::gate::Gate;", &[(1, "crate::gate")]);
    breaks("src/plan/mod.rs", "use super::gate::Gate;", &[(1, "crate::gate")]);
    let list = "use crate::{\n    eval::{Flag, gate},\n    gate::Gate,\n};";
    breaks("src/plan/a.rs", list, &[(1, "crate::gate")]);
    breaks("src/eval/a.rs", "use crate::Gate;", &[(1, "crate::Gate")]);
    breaks("src/cloud/a.rs", "", &[(1, "`cloud` is no layer")]);

    keeps("src/gate/a.rs", "use crate::{eval::Flag, plan::Plan};\nuse super::Gate;");
    keeps("src/plan/a/b.rs", "use super::super::gate;\nuse crate::plan::gate;");
    keeps("src/eval/a.rs", "//! [`Plan`](crate::plan::Plan)\nconst A: &str = \"crate::plan\";");
    keeps("src/eval/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::plan::Plan;\n}");
    keeps("src/lib.rs", "#![forbid(unsafe_code)]\npub use gate::Gate;\nuse crate::plan;");
}

#[test]
fn the_hot_path_neither_locks_nor_allocates_nor_panics() {
    let bad = "fn f() {\n    a.lock();\n    b.unwrap();\n    format!(c)\n}";
    let said = [(2, "`.lock(`"), (3, "`.unwrap()`"), (4, "`format!`")];
    breaks("src/eval/a.rs", bad, &said);
    breaks("src/gate/handle.rs", bad, &said);
    breaks("src/gate/cell.rs", "use std::sync::Mutex;", &[(1, "`Mutex`")]);
    let after_tests = "#[cfg(test)]\nmod tests {}\nfn f() { panic!() }";
    breaks("src/eval/a.rs", after_tests, &[(3, "`panic!`")]);

    keeps("src/eval/a.rs", "#[expect(dead_code)]\nfn f() { a.unwrap_or_default() } // b.unwrap()");
    keeps("src/eval/a.rs", "#[cfg(test)]\nmod tests {\n    fn f() { a.unwrap() }\n}");
    keeps("src/eval/a.rs", "let a = SmallVec::new();");
    keeps("src/gate/observer.rs", bad);
}

#[test]
fn one_file_names_arc_swap() {
    breaks("src/gate/mod.rs", "use arc_swap::ArcSwap;", &[(1, "`arc_swap`")]);
    breaks("src/lib.rs", "#![forbid(unsafe_code)]\nuse ::arc_swap as swap;", &[(2, "`arc_swap`")]);
    keeps("src/gate/swap.rs", "use arc_swap::ArcSwap;");
    breaks("src/gate/cell.rs", "use arc_swap::ArcSwap;", &[(1, "`arc_swap`")]);
    keeps("src/gate/mod.rs", "// arc_swap\nfn my_arc_swap() {}");
}

#[test]
fn nothing_is_unsafe() {
    breaks("src/eval/a.rs", "fn f() {\n    unsafe { g() }\n}", &[(2, "`unsafe`")]);
    breaks("src/lib.rs", "//! #![forbid(unsafe_code)]\nmod a;", &[(1, "forbid(unsafe_code)")]);
    keeps("src/eval/a.rs", "#![allow(unsafe_code)]\nfn f() { g(\"unsafe\", r#\"unsafe\"#, '\"') }");
}

#[test]
fn features_select_modules_imports_and_attributes() {
    let said = "`cfg(feature)` stands on";
    breaks("src/plan/a.rs", "#[cfg(feature = \"toml\")]\nfn f() {}", &[(1, said)]);
    breaks("src/plan/a.rs", "#[cfg(not(feature = \"a\"))]\nlet b = 1;\nmod c;", &[(1, said)]);
    breaks("src/plan/a.rs", "fn f() {\n    if cfg!(feature = \"a\") {}\n}", &[(2, said)]);
    breaks("src/plan/a.rs", "#[cfg(feature = \"a\")] fn f() {}\nuse b::c;", &[(1, said)]);
    breaks("src/plan/a.rs", "#[cfg(any(\n    feature = \"a\",\n))]\nfn f() {}", &[(2, said)]);

    keeps("src/plan/a.rs", "#[cfg(feature = \"a\")]\n#[path = \"b.rs\"]\npub(crate) mod b;");
    keeps("src/plan/a.rs", "#[cfg(feature = \"a\")]\n// why\npub use b::C;");
    keeps("src/plan/a.rs", "#[cfg_attr(feature = \"a\", derive(Clone))]\nstruct A;");
}

#[test]
fn time_is_injected() {
    breaks("src/gate/a.rs", "fn f() { std::time::Instant::now(); }", &[(1, "`Instant::now`")]);
    breaks("src/eval/a.rs", "\nlet t = SystemTime::now();", &[(2, "`SystemTime::now`")]);
    let in_tests = "#[cfg(test)]\nmod tests {\n    fn f() { thread::sleep(d) }\n}";
    breaks("src/eval/a.rs", in_tests, &[(3, "`thread::sleep`")]);
    keeps("src/gate/a.rs", "fn f(now: Instant) -> SystemTime { clock.now() }");
}

#[test]
fn files_are_short() {
    breaks("src/eval/a.rs", &"\n".repeat(351), &[(351, "at most 350 lines, this one 351")]);
    keeps("src/eval/a.rs", &"\n".repeat(350));
}

#[test]
fn other_crates_use_the_public_api() {
    let bad = "#[path = \"../../src/eval/mod.rs\"]\nmod eval;\ninclude!(\"../../src/key.rs\");";
    breaks("crates/cli/src/main.rs", bad, &[(1, "public API"), (3, "public API")]);
    breaks("crates/cli/tests/cli/main.rs", bad, &[(1, "public API"), (3, "public API")]);
    keeps("crates/cli/src/main.rs", "use stagegate::Gate;\nuse crate::args::Args;");
    keeps("crates/cli/tests/cli/main.rs", "#[path = \"../needs.rs\"]\nmod needs;");
}

#[test]
fn strings_comments_and_characters_are_no_code() {
    let text = "/* a /* unsafe */ unsafe */ let b = '\\''; let c = \"\\\"unsafe\"; // unsafe\n\
        let d: &'static str = r##\"unsafe \"# unsafe\"##; let e = '\"'; let f = b\"unsafe\";\n\
        unsafe {}";
    breaks("src/plan/a.rs", text, &[(3, "`unsafe`")]);
}
