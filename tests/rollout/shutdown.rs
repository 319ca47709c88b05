//! Dropping a controller never waits longer than a fixed time.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::model::Metric;
use stagegate::rollout::{Controller, MetricReader, ReadError, Rollout, Sample};
use stagegate::store::Memory;

use super::faulty::Faulty;
use super::monday;

/// A timeout far longer than dropping a controller may take.
const LONG: Duration = Duration::from_secs(60);

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stage = "ga"
triggers = [{ metric = "error_rate", above = "5%", no_data = "rollback", action = "rollback" }]
"#;

/// A reader that reports each read, and answers when the channel closes.
struct Hangs(Sender<()>, Receiver<()>);

impl MetricReader for Hangs {
    fn read(&mut self, _: &Metric) -> Result<Option<Sample>, ReadError> {
        self.0.send(()).unwrap();
        let _ = self.1.recv();
        Ok(None)
    }

    fn name(&self) -> &str {
        "hangs"
    }
}

/// Starts a controller whose reader hangs until the returned sender is dropped.
fn reading() -> (Controller, Sender<()>) {
    let (store, _) = Faulty::on(&Memory::new());
    let rollout = Rollout::start(store, ManualClock::at(monday()), DOCUMENT, "ana").unwrap();
    let ((asked, is_asked), (answer, answers)) = (mpsc::channel(), mpsc::channel());
    let controller = Controller::reading(&rollout, Hangs(asked, answers), LONG, |_| {}).unwrap();
    is_asked.recv().unwrap();
    (controller, answer)
}

#[test]
fn dropping_a_controller_does_not_wait_for_a_reader_that_hangs() {
    let (controller, answer) = reading();
    let (dropped, is_dropped) = mpsc::channel();
    let thread = thread::spawn(move || {
        drop(controller);
        dropped.send(()).unwrap();
    });
    is_dropped.recv_timeout(LONG).expect("dropping it waits for the reader");
    drop(answer);
    thread.join().unwrap();
}

#[test]
fn stopping_a_controller_waits_for_the_given_time() {
    let (controller, answer) = reading();
    assert!(!controller.stop(Duration::ZERO), "it is still reading");
    let (controller, other) = reading();
    drop((answer, other));
    assert!(controller.stop(LONG));
}

#[test]
fn stopping_a_controller_does_not_wait_for_a_disk_that_hangs() {
    let (store, faults) = Faulty::on(&Memory::new());
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
    let hung = faults.hang_read();
    let controller = Controller::spawn(&rollout, LONG, |_| {}).unwrap();
    hung.wait_until_called();
    assert!(!controller.stop(Duration::ZERO));
    hung.go_on();
    let hung = faults.hang_read();
    let controller = Controller::following(&rollout, LONG, |_| {}).unwrap();
    hung.wait_until_called();
    assert!(!controller.stop(Duration::ZERO));
    hung.go_on();
}
