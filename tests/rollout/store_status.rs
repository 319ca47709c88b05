//! The store's last error in the status.

use std::sync::Arc;

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;

use super::faulty::{Faults, Faulty};
use super::monday;

fn start_rollout() -> (Rollout, Arc<Faults>) {
    let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]";
    let (store, faults) = Faulty::on(&Memory::new());
    (Rollout::start(store, ManualClock::at(monday()), document, "ana").unwrap(), faults)
}

fn last_error(rollout: &Rollout) -> Option<String> {
    rollout.status().last_error.map(|error| error.to_string())
}

#[test]
fn a_store_that_failed_to_write_is_down_until_a_write_succeeds() {
    let (rollout, faults) = start_rollout();
    Faults::set(&faults.no_append, true);
    assert!(rollout.by("ana").promote("a").is_err());
    let gone = Some("(faulty): the disk is gone".to_owned());
    assert_eq!(last_error(&rollout), gone);
    rollout.tick();
    rollout.refresh().unwrap();
    assert_eq!(last_error(&rollout), gone, "without a write, the store may still be down");
    Faults::set(&faults.no_append, false);
    rollout.by("ana").promote("a").unwrap();
    assert_eq!(last_error(&rollout), None);
}

#[test]
fn a_tick_without_due_work_detects_a_dead_store() {
    let (rollout, faults) = start_rollout();
    assert!(rollout.tick().error.is_none());
    faults.dead(true);
    let cannot = "(faulty): the disk cannot be read";
    assert_eq!(rollout.tick().error.unwrap().to_string(), cannot);
    assert_eq!(last_error(&rollout).as_deref(), Some(cannot));
    faults.dead(false);
    assert!(rollout.tick().error.is_none());
    assert_eq!(last_error(&rollout), None);
}
