//! Edge cases: notified programs, their environment, and typing errors.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Run, stagegate_with_env};

/// A directory with a rollout whose flag `a` is on for all users.
struct Shop(TempDir);

impl Shop {
    /// Starts the rollout. `plan` is added to the flag.
    fn new(plan: &str) -> Shop {
        let shop = Shop(tempfile::tempdir().unwrap());
        let stages = "stages = [{ name = \"all\", percent = 100 }]";
        let document = format!("schema = 1\n[flags.a]\nstage = \"all\"\n{stages}\n{plan}");
        fs::write(shop.path("rollout.toml"), document).unwrap();
        let document = shop.path("rollout.toml");
        shop.run(&["start", document.to_str().unwrap()]).ends(0);
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Run {
        let store = self.path("store").display().to_string();
        let ours = [("STAGEGATE_STORE", &*store), ("STAGEGATE_BY", "ana")];
        stagegate_with_env(arguments, &[&ours, env].concat())
    }
}

/// Writes an executable shell script.
#[cfg(unix)]
fn program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;

    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_notified_program_does_not_get_the_passwords_of_the_store() {
    let shop = Shop::new("");
    let (told, seen) = (shop.path("told"), shop.path("seen"));
    program(&told, &format!("env > '{}'", seen.display()));
    let told = told.to_str().unwrap();
    let env = [("STAGEGATE_ETCD_PASSWORD", "s3cret"), ("PAGER_TOKEN", "t0ken")];
    let rollback = ["rollback", "a", "--reason", "slow", "--yes", "--tell-command", told];
    shop.run_with(&rollback, &env).ends(0);
    let environment = fs::read_to_string(&seen).unwrap();
    assert!(environment.contains("STAGEGATE_FLAG=a\n"), "{environment}");
    assert!(!environment.contains("s3cret") && !environment.contains("t0ken"), "{environment}");

    let asked = [&env[..], &[("STAGEGATE_TELL_ENV", "PAGER_TOKEN,OTHER")]].concat();
    Shop::new("").run_with(&rollback, &asked).ends(0);
    let environment = fs::read_to_string(&seen).unwrap();
    assert!(environment.contains("PAGER_TOKEN=t0ken\n"), "{environment}");
    assert!(!environment.contains("s3cret"), "{environment}");
}

#[test]
fn a_misspelt_incident_does_not_end_with_0_and_leave_the_flag_at_100_percent() {
    let shop = Shop::new("triggers = [{ incident = \"security\", action = \"rollback\" }]");
    let run = shop.run(&["incident", "report", "a", "securty"]).ends(1);
    let refusal = "report of `a` is refused: 1 condition is not met\n  \
                   `securty` is not a known kind of incident\n      \
                   did you mean `security`? write one of: security, data_integrity, critical_bug\n";
    assert_eq!(run.stdout, refusal);
    shop.run(&["incident", "report", "a", "security"]).ends(0);
    let status = shop.run(&["status", "--format", "json"]).ends(0).json();
    assert_eq!(status["flags"][0]["stage"], "off");
}
