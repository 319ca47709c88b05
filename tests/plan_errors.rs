//! The exact error text of every invalid document in `tests/data/invalid`.
//!
//! Each document has a golden file with the expected error. `STAGEGATE_BLESS=1 cargo test --test plan_errors` rewrites
//! the golden files, so that you can review the diff.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use stagegate::{Document, Gate, Plan, limits};

/// Returns the error text without the absolute path of the directory.
fn error_of(file: &Path) -> String {
    let error = Document::read(file).and_then(Plan::parse).expect_err("a bad document");
    error.to_string().replace(&format!("{}/", file.parent().unwrap().display()), "")
}

#[test]
fn every_bad_document_has_its_exact_error() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/invalid");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_document = |file: &PathBuf| {
        file.extension().is_some_and(|extension| extension == "toml" || extension == "json")
    };
    let documents: Vec<PathBuf> = entries.filter(is_document).collect();
    assert!(documents.len() >= 70, "found only {} documents", documents.len());

    let mut wrong = String::new();
    for file in documents {
        let expected_file = PathBuf::from(format!("{}.expected.txt", file.display()));
        let found = error_of(&file) + "\n";
        if std::env::var_os("STAGEGATE_BLESS").is_some() {
            fs::write(&expected_file, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        if found != expected {
            wrong += &format!("{}\nexpected: {expected}\nfound: {found}\n", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The exact warnings of every valid but doubtful document in `tests/data/warned`.
#[test]
fn every_doubtful_document_has_its_exact_warnings() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/warned");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let documents: Vec<PathBuf> =
        entries.filter(|file| file.extension().is_some_and(|end| end == "toml")).collect();
    assert!(documents.len() >= 3, "found only {} documents", documents.len());

    let mut wrong = String::new();
    for file in documents {
        let expected_file = PathBuf::from(format!("{}.expected.txt", file.display()));
        let plan = Document::read(&file).and_then(Plan::parse).unwrap();
        let found: String = plan.warnings().iter().map(|problem| format!("{problem}\n")).collect();
        let found = found.replace(&format!("{}/", file.parent().unwrap().display()), "");
        if std::env::var_os("STAGEGATE_BLESS").is_some() {
            fs::write(&expected_file, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        if found.is_empty() || found != expected {
            wrong += &format!("{}\nexpected: {expected}\nfound: {found}\n", file.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_bad_document_replaces_nothing() {
    let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"").unwrap();
    for bad in ["", "{", "schema = 1", "\u{0}", "schema = 1\n[flags.a]\nstage = \"g\""] {
        let error = gate.update(bad).unwrap_err();
        assert!(error.is_invalid_document() && !error.problems().is_empty(), "{bad:?}: {error}");
        assert!(gate.is_enabled(1, "a"));
        assert_eq!(gate.version(), 1);
        assert_eq!(gate.status().last_refused.unwrap().to_string(), error.to_string());
    }
}

fn text_error(document: impl Into<Document>) -> String {
    Plan::parse(document).expect_err("a bad document").to_string()
}

#[test]
fn a_key_of_ten_megabytes() {
    let key = "k".repeat(10 << 20);
    let expected = format!(
        "rollout document `(text)` has 1 problem\n  \
           (text):2:8: flags.\"{}... (10485760 bytes)\": found a key of 10485760 bytes, more than 128\n      \
               write 1 to 128 characters",
        "k".repeat(60)
    );
    assert_eq!(text_error(format!("schema = 1\n[flags.{key}]\n")), expected);
}

#[test]
fn nesting_100_000_deep() {
    let deep = 100_000;
    let json = format!(r#"{{"schema": {}1{}}}"#, "[".repeat(deep), "]".repeat(deep));
    assert_eq!(
        text_error(json),
        "rollout document `(text)` has 1 problem\n  \
           (text):1:76: found more than 64 nested tables and arrays\n      \
               a plan needs at most six levels",
    );
    let toml = format!("schema = {}1{}", "[".repeat(deep), "]".repeat(deep));
    assert_eq!(
        text_error(toml),
        "rollout document `(text)` has 1 problem\n  \
           (text):1:74: found more than 64 nested tables and arrays\n      \
               a plan needs at most six levels",
    );
    let toml = format!("schema = 1\n[{}]", vec!["a"; deep].join("."));
    assert_eq!(
        text_error(toml),
        "rollout document `(text)` has 1 problem\n  \
           (text):2:130: found more than 64 nested tables and arrays\n      \
               a plan needs at most six levels",
    );
}

/// Each document takes well below a second. With quadratic time it would take hours.
#[test]
fn repeated_text_is_parsed_in_linear_time() {
    let repeat = |piece: &str| piece.repeat((1 << 19) / piece.len());
    let count = |count: fn(usize) -> String| (0..40_000).map(count).collect::<String>();
    let header = |index: usize| format!("[k{index}]\n");
    let field = |index: usize| format!("k{index} = 1\n");
    let cases = [
        ("brackets", repeat("["), 1),
        ("arrays", format!("schema = {}", repeat("[")), 65),
        ("braces", format!("schema = {}", repeat("{a=")), 65),
        ("fields that stand twice", format!("a = {}", repeat("{b=1,b=")), 129),
        ("equals", repeat("="), 1 + (1 << 19)),
        ("values", format!("schema = {}", repeat("=")), 1 + (1 << 19)),
        ("signs", format!("schema = {}1", repeat("-")), (1 << 19) - 1),
        ("bad keys", repeat("!a"), 1 + (1 << 18)),
        ("dotted keys", repeat("a."), 2),
        ("a table twice", repeat("[a]\n"), (1 << 17) - 1),
        ("a field twice", repeat("a=1\n"), (1 << 17) - 1),
        ("a dotted field twice", repeat("ab.c=1\n\n"), (1 << 16) - 1),
        ("a field in braces twice", format!("a = {{{}}}", repeat("a=1,")), (1 << 17) - 1),
        ("tables and the same again", count(header) + &count(header), 40_000),
        ("fields and tables of the same key", count(field) + &count(header), 40_000),
    ];
    for (name, document, problems) in cases {
        let error = text_error(document);
        let expected = format!("rollout document `(text)` has {problems} problem");
        assert!(error.starts_with(&expected), "{name}: {}", error.lines().next().unwrap());
    }
}

#[test]
fn a_document_beyond_the_limit_of_bytes() {
    let error = text_error(" ".repeat(limits::MAX_DOCUMENT_BYTES + 1));
    assert_eq!(
        error,
        "rollout document `(text)` has 1 problem\n  \
           (text):1:1: found 16777217 bytes, more than 16777216\n      \
               move long lists of users to a `users_file`",
    );
}

#[test]
fn more_flags_stages_or_users_than_the_limit() {
    let mut document = "schema = 1\n".to_owned();
    for flag in 0..=limits::MAX_FLAGS {
        document += &format!("[flags.f{flag}]\n");
    }
    assert_eq!(
        text_error(document),
        "rollout document `(text)` has 1 problem\n  \
           (text):2:2: flags: found 100001 entries, more than 100000\n      \
               split the document",
    );

    let stages: String = (0..=64).map(|stage| format!("{{ name = \"s{stage}\" }}, ")).collect();
    assert_eq!(
        text_error(format!("schema = 1\n[flags.a]\nstages = [{stages}]")),
        "rollout document `(text)` has 1 problem\n  \
           (text):3:10: flags.a.stages: found 65 stages, more than 64\n      \
               leave some out",
    );
}

#[test]
fn a_thousand_problems_are_listed_and_the_rest_counted() {
    let flags: String = (0..1500).map(|flag| format!("[flags.f{flag}]\nstage = \"x\"\n")).collect();
    let error = Plan::parse(format!("schema = 1\n{flags}")).unwrap_err();
    assert_eq!(error.problems().len(), 1000);
    let text = error.to_string();
    assert!(text.starts_with("rollout document `(text)` has 1500 problems\n"), "{}", &text[..80]);
    assert!(text.ends_with("\n  and 500 more"));
}

#[test]
fn directories_pipes_and_missing_files_are_refused() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let error = Gate::from_path(directory).unwrap_err();
    assert!(error.is_unreadable());
    let expected =
        format!("rollout document `{}` cannot be read: it is a directory", directory.display());
    assert_eq!(error.to_string(), expected);
    let error = Gate::from_path("no-such.toml").unwrap_err();
    assert!(
        error.to_string().starts_with("rollout document `no-such.toml` cannot be read: "),
        "{error}"
    );
    if Path::new("/dev/zero").exists() {
        let error = Gate::from_path("/dev/zero").unwrap_err();
        assert_eq!(
            error.to_string(),
            "rollout document `/dev/zero` cannot be read: it is not a regular file"
        );
    }
}

#[test]
fn a_byte_order_mark_is_ignored() {
    assert!(Plan::parse("\u{feff}schema = 1\n[flags.a]\n").is_ok());
    assert!(Plan::parse("\u{feff}{\"schema\": 1, \"flags\": {\"a\": {}}}").is_ok());
}

#[test]
fn users_files_need_a_directory() {
    let document = "schema = 1\n[groups.g]\nusers_file = \"users.txt\"\n[flags.a]\n";
    assert_eq!(
        text_error(document),
        "rollout document `(text)` has 1 problem\n  \
           (text):3:14: groups.g.users_file: found \"users.txt\", but the document has no directory to look in\n      \
               read the document from a file, or give it a directory",
    );
}

/// A mounted secret: `team.txt` -> `..data/team.txt`, and `..data` -> a directory with a date.
#[cfg(unix)]
#[test]
fn lists_in_another_directory_need_permission() {
    use std::os::unix::fs::symlink;

    let root = std::env::temp_dir().join(format!("stagegate-elsewhere-{}", std::process::id()));
    let secret = root.join("secret");
    fs::create_dir_all(secret.join("..2026_01_05")).unwrap();
    fs::create_dir_all(root.join("plans")).unwrap();
    fs::write(secret.join("..2026_01_05/team.txt"), "ana\n").unwrap();
    fs::write(root.join("private.txt"), "ben\n").unwrap();
    symlink("..2026_01_05", secret.join("..data")).unwrap();
    symlink("..data/team.txt", secret.join("team.txt")).unwrap();
    symlink("../private.txt", secret.join("out.txt")).unwrap();
    let document = |name: &str| {
        let text = format!(
            "schema = 1\n[groups.g]\nusers_file = \"{name}\"\n[flags.a]\nstage = \"s\"\n\
             stages = [{{ name = \"s\", groups = [\"g\"] }}]"
        );
        Document::new(text).directory(root.join("plans"))
    };
    let error = |document: Document| {
        let error = Plan::parse(document).unwrap_err().to_string();
        let root = fs::canonicalize(&root).unwrap();
        error.replace(&root.display().to_string(), "ROOT")
    };
    let absolute = secret.join("team.txt").display().to_string();
    for name in ["../secret/team.txt", &*absolute] {
        let gate = Gate::from_document(document(name).allowing(&secret)).unwrap();
        assert!(gate.is_enabled("ana", "a"), "{name}");
        // Not below the document's directory, and nothing else is allowed.
        let found = error(document(name));
        assert!(found.contains(", not a path below the document's directory\n"), "{found}");
        let found = error(document(name).allowing(root.join("plans")));
        assert!(
            found.contains(", which is `ROOT/secret/..2026_01_05/team.txt`, in no "),
            "{found}"
        );
    }
    assert_eq!(
        error(document("../secret/out.txt").allowing(&secret)),
        "rollout document `(text)` has 1 problem\n  \
           (text):3:14: groups.g.users_file: found \"../secret/out.txt\", which is `ROOT/private.txt`, in no \
           allowed directory\n      \
               move it to one, or allow its directory, too: `--lists-from DIR` or `Document::allowing`",
    );
    // Neither a link of an allowed directory, nor a directory whose name begins alike, is a way around.
    let found = error(document("../secret/../private.txt").allowing(&secret));
    assert!(found.contains("`ROOT/private.txt`, in no allowed directory"), "{found}");
    let found = error(document("../secret/team.txt").allowing(root.join("sec")));
    assert!(found.contains("in no allowed directory"), "{found}");
    let found = error(document("../secret/none.txt").allowing(&secret));
    assert!(found.contains("which cannot be read: "), "{found}");
    fs::remove_dir_all(&root).unwrap();
}
