//! Each operation on the disk fails once, half way, or forever. No reader sees a promotion that is not
//! durable, and rollbacks always work.

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;

use super::disk::{Disk, Fault};
use super::golden::run_story;
use super::story::{begin, clock, standing, steps_with_segments};

const OF_OTHER: [&str; 3] = ["off", "few", "all"];
const OF_SEARCH: [&str; 4] = ["off", "internal", "pilot", "ga"];

fn position(flag: &str, stage: &str) -> usize {
    let names: &[&str] = if flag == "other" { &OF_OTHER } else { &OF_SEARCH };
    names.iter().position(|name| *name == stage).unwrap()
}

/// Checks that no flag is served at a higher stage than the journal would have after a power failure.
#[track_caller]
fn nothing_is_ahead_of_the_disk(disk: &Disk, rollout: &Rollout) {
    let left = disk.without_power(|_| 0);
    let left = Rollout::open(left.open().unwrap(), clock()).unwrap();
    for (here, there) in rollout.status().flags.iter().zip(&left.status().flags) {
        let (flag, recorded) = (&*here.flag, &*there.state.stage);
        assert!(
            position(flag, &here.serving) <= position(flag, recorded),
            "{flag} is served at {}, but the disk has {recorded}",
            here.serving
        );
    }
}

fn begun(disk: &Disk, clock: &ManualClock) -> Option<Rollout> {
    begin(disk.create().ok()?, clock).ok()
}

/// Returns the number of operations of the whole story.
fn operations() -> usize {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begun(&disk, &clock).unwrap();
    steps_with_segments().into_iter().for_each(|step| step(&rollout, &clock).unwrap());
    disk.operations()
}

#[test]
fn an_operation_that_fails_once_loses_nothing() {
    let expected = standing(&run_story().1);
    for fault in [Fault::Once, Fault::Half] {
        for number in 1..=operations() {
            let (disk, clock) = (Disk::new(), clock());
            disk.fail(number, fault);
            let rollout = begun(&disk, &clock).or_else(|| begun(&disk, &clock)).unwrap();
            for step in steps_with_segments() {
                let done = step(&rollout, &clock);
                nothing_is_ahead_of_the_disk(&disk, &rollout);
                if done.is_err()
                    && let Err(error) = step(&rollout, &clock)
                {
                    // The first attempt may have taken effect, so the second one may be refused.
                    assert!(error.is_refused(), "operation {number}: {error}");
                }
            }
            assert!(rollout.tick().error.is_none());
            assert_eq!(standing(&rollout), expected, "operation {number}, {fault:?}");
            let status = rollout.status();
            assert!(status.unrecorded.is_empty() && status.last_error.is_none());
            drop(rollout);
            let again = Rollout::open(disk.open().unwrap(), clock).unwrap();
            assert_eq!((standing(&again), again.status().head), (expected.clone(), status.head));
        }
    }
}

#[test]
fn on_a_dead_disk_nothing_is_promoted_and_every_rollback_works() {
    for number in 1..=operations() {
        let (disk, clock) = (Disk::new(), clock());
        disk.fail(number, Fault::Forever);
        let Some(rollout) = begun(&disk, &clock) else { continue };
        for step in steps_with_segments() {
            let _ = step(&rollout, &clock);
            nothing_is_ahead_of_the_disk(&disk, &rollout);
        }
        for flag in ["other", "search"] {
            rollout.by("ben").roll_back_to(flag, "off", "the disk is dead").ok();
            assert!(!rollout.gate().is_enabled("user-1", flag));
        }
        rollout.by("ben").roll_back("search", "the disk is dead").unwrap();
        let status = rollout.status();
        if !status.unrecorded.is_empty() {
            let error = status.last_error.unwrap().to_string();
            assert_eq!(error, "store: `store` cannot be written: Input/output error (os error 5)");
        }
        let before: Vec<_> = status.flags.iter().map(|it| it.serving).collect();

        disk.repair();
        let report = rollout.tick();
        assert!(report.error.is_none(), "operation {number}: {report:?}");
        let status = rollout.status();
        assert!(status.unrecorded.is_empty() && status.last_error.is_none());
        let after: Vec<_> = status.flags.iter().map(|it| it.serving).collect();
        assert_eq!(before, after, "a rollback was undone by the repair");
        drop(rollout);
        let again = Rollout::open(disk.open().unwrap(), clock).unwrap();
        assert_eq!(again.status().head, status.head);
        assert!(again.status().flags.iter().all(|it| it.serving == it.state.stage));
    }
}

/// The order of the specification. A document: a temporary name, the content, sync, the final name, sync of the
/// directory. A record: write, sync.
#[test]
fn records_and_documents_are_synced_before_they_count() {
    let (disk, clock) = (Disk::new(), clock());
    let rollout = begun(&disk, &clock).unwrap();
    let began = disk.operation_log();
    let hash = rollout.status().document;
    let document = format!("store/documents/{hash}");
    let expected = [
        "create store/documents",
        "sync directory store",
        "sync directory .",
        "open store/journal.jsonl",
        // The handle that is locked.
        "open store/journal.jsonl",
        "sync directory store",
        &format!("open {document}.new"),
        "truncate",
        "write",
        "sync",
        &format!("rename to {document}.json"),
        "sync directory store/documents",
        "write",
        "sync",
    ];
    assert_eq!(began, expected);
    rollout.by("ana").promote("search").unwrap();
    assert_eq!(disk.operation_log()[expected.len()..], ["write", "sync"]);
}
