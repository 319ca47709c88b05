//! Programs and permissions that a test needs, and that a machine may lack.
//!
//! A test asks for a program or a permission through this module. If the machine lacks it, the test is skipped and
//! prints `not tried`. With `STAGEGATE_REQUIRE_ALL=1`, which `.ci/run` sets, the test fails instead.

#![allow(dead_code, reason = "each test binary uses only a part")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the program or permission. If it is missing, prints why and returns `None`, or panics with
/// `STAGEGATE_REQUIRE_ALL=1`.
#[track_caller]
pub(crate) fn found<T>(test: &str, found: Result<T, String>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(missing) => {
            let is_required = env::var_os("STAGEGATE_REQUIRE_ALL").is_some_and(|it| it == "1");
            assert!(!is_required, "STAGEGATE_REQUIRE_ALL=1, but {test}: {missing}");
            println!("not tried: {test}: {missing}");
            None
        }
    }
}

/// Returns the etcd that `STAGEGATE_ETCD` names, or the one on the `PATH`.
#[track_caller]
pub(crate) fn etcd(test: &str) -> Option<OsString> {
    named(test, "STAGEGATE_ETCD", "etcd")
}

/// Returns the Prometheus that `STAGEGATE_PROMETHEUS` names, or the one on the `PATH`.
#[track_caller]
pub(crate) fn prometheus(test: &str) -> Option<OsString> {
    named(test, "STAGEGATE_PROMETHEUS", "prometheus")
}

/// Returns the path of a program on the `PATH`.
#[track_caller]
pub(crate) fn program(test: &str, name: &str) -> Option<PathBuf> {
    found(test, on_path(name).ok_or_else(|| format!("there is no `{name}` on the PATH")))
}

#[track_caller]
fn named(test: &str, variable: &str, name: &str) -> Option<OsString> {
    let program = env::var_os(variable).or_else(|| on_path(name).map(PathBuf::into_os_string));
    let missing = || format!("{variable} is not set, and there is no `{name}` on the PATH");
    found(test, program.ok_or_else(missing))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// A file system of 64 KiB, unmounted when the value is dropped.
pub(crate) struct SmallDisk<'p>(&'p Path);

impl SmallDisk<'_> {
    /// Mounts a file system over a directory.
    #[track_caller]
    pub(crate) fn mount<'p>(test: &str, path: &'p Path) -> Option<SmallDisk<'p>> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "stagegate-test"]).arg(path);
        let mounted = match mount.output() {
            Ok(output) if output.status.success() => Ok(SmallDisk(path)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("`mount`: {error}")),
        };
        found(test, mounted)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, because a program that another test starts may inherit an open file for a moment.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// Runs the matching tests of this binary without any program on the `PATH`. Asserts that each is skipped, and that
/// each fails with `STAGEGATE_REQUIRE_ALL=1`.
#[track_caller]
pub(crate) fn are_required(filters: &[&str], count: usize) {
    let run = |required: &str| {
        let output = Command::new(env::current_exe().expect("this program has a path"))
            .args(filters)
            .args(["--nocapture", "--test-threads=1"])
            .env("PATH", "/nonexistent")
            .env("STAGEGATE_REQUIRE_ALL", required)
            .env_remove("STAGEGATE_ETCD")
            .env_remove("STAGEGATE_PROMETHEUS")
            .output();
        let output = output.expect("this program runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (passes, text) = run("0");
    assert!(passes && text.matches("not tried: ").count() == count, "{text}");
    let (passes, text) = run("1");
    assert!(!passes && text.contains(&format!("{count} failed;")), "{text}");
}
