//! An outbox with deliveries that fail, hang and panic.

use std::sync::mpsc;
use std::time::SystemTime;

use super::*;
use crate::eval::StageName;
use crate::rollout::NotificationKind;

/// Fails with each of these errors in turn, then succeeds.
struct Flaky {
    failures: VecDeque<DeliveryError>,
    taken: mpsc::Sender<String>,
    /// Before each attempt, waits for a value.
    gate: Option<mpsc::Receiver<()>>,
}

impl Delivery for Flaky {
    fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        let _ = self.taken.send(notification.text.clone());
        self.failures.pop_front().map_or(Ok(()), Err)
    }
}

fn notification(text: &str) -> Notification {
    let at = SystemTime::UNIX_EPOCH;
    Notification::new("a", NotificationKind::Held, StageName::OFF, at, text)
}

fn at_once(attempts: u32) -> Retry {
    Retry { attempts, first_wait: Duration::ZERO, max_wait: Duration::ZERO }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_fails_is_tried_again_in_order_and_what_never_will_is_not() {
    let (taken, told) = mpsc::channel();
    let failures = VecDeque::from([
        DeliveryError::temporary("busy"),
        DeliveryError::temporary("busy"),
        DeliveryError::permanent("no such address"),
    ]);
    let flaky = Flaky { failures, taken, gate: None };
    let outbox = Outbox::spawn_with("test", flaky, at_once(3)).expect("a thread");
    ["one", "two", "three"].iter().for_each(|text| outbox.tell(&notification(text)));
    assert!(outbox.flush(LONG));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["one", "one", "one", "two", "three"]);
    let status = outbox.status();
    assert_eq!((status.delivered, status.lost, status.last_error), (2, 1, None));
}

#[test]
fn patience_ends_and_the_next_goes_on() {
    let (taken, told) = mpsc::channel();
    let failures = (0..3).map(|_| DeliveryError::temporary("busy")).collect();
    let flaky = Flaky { failures, taken, gate: None };
    let outbox = Outbox::spawn_with("test", flaky, at_once(3)).expect("a thread");
    outbox.tell(&notification("one"));
    assert!(outbox.flush(LONG));
    assert_eq!(outbox.status().last_error, Some(DeliveryError::temporary("busy")));
    outbox.tell(&notification("two"));
    assert!(outbox.flush(LONG));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["one", "one", "one", "two"]);
    assert_eq!((outbox.status().delivered, outbox.status().lost), (1, 1));
}

#[test]
fn whoever_tells_never_waits_and_the_oldest_goes() {
    let (taken, told) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let flaky = Flaky { failures: VecDeque::new(), taken, gate: Some(gate) };
    let outbox = Outbox::spawn_with("test", flaky, at_once(1)).expect("a thread");
    outbox.tell(&notification("under way"));
    while !outbox.shared.queue().in_delivery {
        thread::yield_now();
    }
    (0..CAPACITY + 10).for_each(|number| outbox.tell(&notification(&number.to_string())));
    assert_eq!((outbox.status().waiting, outbox.status().lost), (CAPACITY, 11));
    drop(open);
    assert!(outbox.flush(LONG));
    let told: Vec<String> = told.try_iter().collect();
    assert_eq!((&*told[0], &*told[1], told.len()), ("under way", "11", CAPACITY));
}

#[test]
fn a_panic_is_a_failure_and_dropping_delivers_what_waits() {
    struct Panics(mpsc::Sender<String>, bool);
    impl Delivery for Panics {
        fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
            if std::mem::take(&mut self.1) {
                std::panic::resume_unwind(Box::new(()));
            }
            let _ = self.0.send(notification.text.clone());
            Ok(())
        }
    }
    let (taken, told) = mpsc::channel();
    let outbox = Outbox::spawn_with("test", Panics(taken, true), at_once(2)).expect("a thread");
    outbox.tell(&notification("one"));
    assert!(outbox.flush(LONG));
    outbox.tell(&notification("two"));
    drop(outbox);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["one", "two"]);
}
