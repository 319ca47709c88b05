//! Repeated commands: a job that runs twice, a double click, six people at once.

use std::fs;
use std::thread;

use tempfile::TempDir;

use crate::harness::{Run, stagegate_with_env};

/// Four stages without conditions.
const DOCUMENT: &str = "schema = 1\n[flags.f]\nstages = [{ name = \"p\", percent = 10 }, { name = \"q\", percent = 25 }, \
                        { name = \"r\", percent = 50 }, { name = \"ga\", percent = 100 }]\n";

struct Shop(TempDir);

impl Shop {
    fn new() -> Shop {
        let shop = Shop(tempfile::tempdir().unwrap());
        let document = shop.0.path().join("rollout.toml");
        fs::write(&document, DOCUMENT).unwrap();
        shop.run(&["start", document.to_str().unwrap(), "--by", "ana"]).ends(0);
        shop
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let store = self.0.path().join("store");
        stagegate_with_env(arguments, &[("STAGEGATE_STORE", store.to_str().unwrap())])
    }

    fn promote(&self, more: &[&str]) -> Run {
        self.run(&[&["promote", "f", "--by", "ana", "--yes"], more].concat())
    }

    fn promotions(&self) -> usize {
        let history = self.run(&["history"]).ends(0).stdout;
        history.lines().filter(|line| line.contains("promoted")).count()
    }
}

#[test]
fn six_promotions_to_one_stage_at_once_are_one() {
    let shop = Shop::new();
    let runs: Vec<Run> = thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| shop.promote(&["--to", "p"]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for run in &runs {
        // The others find the flag at the stage, or the store locked.
        let is_taken = run.code == Some(3) && run.stderr.contains("another process");
        assert!(run.code == Some(0) || is_taken, "{run:#?}");
    }
    let status = shop.run(&["status", "--format", "json"]).ends(0).json();
    assert_eq!(status["flags"][0]["stage"], "p");
    assert_eq!(shop.promotions(), 1);
}

#[test]
fn a_job_that_runs_twice_goes_one_stage_up() {
    let shop = Shop::new();
    shop.promote(&["--to", "p"]).ends(0);
    assert_eq!(shop.promote(&["--to", "p"]).ends(0).stdout, "f is already at `p`\n");
    let again = shop.promote(&["--to", "p", "--format", "json"]).ends(0).json();
    assert_eq!((&again["done"], &again["stage"]), (&true.into(), &"p".into()));
    shop.promote(&["--from", "p"]).ends(0);
    let moved = shop.promote(&["--from", "p"]).ends(1);
    assert_eq!(moved.stderr, "stagegate: f is at `q`, not at `p`; nothing was done\n");
    let passed = shop.promote(&["--to", "p"]).ends(1);
    assert_eq!(
        passed.stdout,
        "promote of `f` is refused: 1 condition is not met\n  `p` is not the next stage: the flag is at `q`\n      \
         the next stage is `r`\n"
    );
    shop.promote(&["--to", "ga"]).ends(1);
    assert_eq!(shop.promotions(), 2);
    // Also with `--force`.
    let forced = ["--force", "--reason", "decided", "--to", "ga"];
    shop.promote(&forced).ends(0);
    assert_eq!(shop.promote(&forced).ends(0).stdout, "f is already at `ga`\n");
}

#[test]
fn a_repeated_step_of_an_incident_is_one_step() {
    let shop = Shop::new();
    shop.promote(&[]).ends(0);
    shop.run(&["incident", "report", "f", "security", "--by", "ana"]).ends(0);
    let step = |phase: &str| shop.run(&["incident", "step", "f", "--by", "ana", "--phase", phase]);
    step("decide").ends(0);
    assert_eq!(step("decide").ends(0).stdout, "f has already passed `decide`\n");
    let early = step("verify").ends(1);
    assert_eq!(
        early.stderr,
        "stagegate: the incident of f is at `execute`, not at `verify`; nothing was done\n"
    );
    let unknown = step("verfy").ends(2);
    assert!(
        unknown.stderr.contains("no phase `verfy`. Write one of: decide, execute, "),
        "{unknown:#?}"
    );
}
