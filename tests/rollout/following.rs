//! Several rollouts on one journal: followers, leaders, and actions decided on an outdated state.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use stagegate::clock::ManualClock;
use stagegate::rollout::{
    Controller, Fact, LeaderLease, Record, Rollout, Store, StoreError, Watcher,
};
use stagegate::store::Memory;

use super::{monday, unmet};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1 }, { name = "two", percent = 2 }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "all", percent = 100, advance = "auto" }]
"#;

/// A timeout that no test reaches.
const LONG: Duration = Duration::from_secs(60);

fn two() -> (Rollout, Rollout, Memory) {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let one = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let other = Rollout::open(store.clone(), clock).unwrap();
    (one, other, store)
}

fn promotions(rollout: &Rollout) -> usize {
    let records = rollout.records(1).unwrap();
    records.iter().filter(|record| matches!(record.fact, Fact::Promoted { .. })).count()
}

#[test]
fn a_promotion_decided_for_another_stage_is_refused() {
    let (one, other, _) = two();
    one.by("ana").promote("a").unwrap();
    // `other` has not read the promotion yet.
    let refused = other.by("ben").promote("a").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "promote of `a` is refused: 1 condition is not met\n  \
         `a` was moved meanwhile, from `off` to `one`\n      \
         check the flag's status, then decide again"
    );
    assert_eq!(promotions(&one), 1);
    // `other` has read the journal by now, so this promotion is deliberate.
    other.by("ben").promote("a").unwrap();
    assert_eq!(unmet(one.by("ana").force_to("a", "all", "late")), ["moved"]);
    assert_eq!(one.report("a").unwrap().state.stage, "two");

    // The flag moved, and is in the same stage again.
    one.by("ana").roll_back_to("a", "one", "slow").unwrap();
    let refused = other.by("ben").promote("a").unwrap_err();
    assert!(refused.refusals()[0].has("moved"));
    for _ in 0..4 {
        let _ = one.by("ana").step("a", None);
    }
    one.by("ana").close("a", "over").unwrap();
    other.refresh().unwrap();
    one.by("ana").promote("a").unwrap();
    one.by("ana").roll_back_to("a", "one", "slow again").unwrap();
    let refused = other.by("ben").force("a", "late").unwrap_err();
    let again = "`a` was moved meanwhile, and is in stage `one` again";
    assert!(refused.to_string().contains(again), "{refused}");
    // A rollback is never refused.
    other.by("ben").roll_back("a", "at once").unwrap();
    assert!(!one.refresh().unwrap().is_empty());
    assert_eq!(one.gate().evaluate("anybody", "a").stage.unwrap(), "off");
}

#[test]
fn a_refresh_follows_others_and_keeps_local_rollbacks() {
    let (one, other, _) = two();
    assert!(other.refresh().unwrap().is_empty());
    one.by("ana").promote("a").unwrap();
    one.by("ana").promote("b").unwrap();
    let read: Vec<u64> = other.refresh().unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(read, [2, 3]);
    assert!(other.gate().is_enabled("anybody", "b"));
    // The application rolls `b` back while the other rollout promotes `a`.
    other.gate().roll_back("b").unwrap();
    one.by("ana").promote("a").unwrap();
    other.refresh().unwrap();
    assert!(!other.gate().is_enabled("anybody", "b"));
    assert_eq!(other.gate().serving_stage("a"), "two");
    // A thread records the rollback without a tick.
    while !other.status().unrecorded.is_empty() {
        std::thread::yield_now();
    }
    one.refresh().unwrap();
    assert!(!one.gate().is_enabled("anybody", "b"));
    let flags = one.records(4).unwrap().into_iter().map(|record| record.flag.unwrap());
    let flags: std::collections::BTreeSet<_> = flags.collect();
    assert_eq!(flags, ["a".into(), "b".into()].into());
}

trait Serving {
    fn serving_stage(&self, flag: &str) -> String;
}

impl Serving for stagegate::Gate {
    fn serving_stage(&self, flag: &str) -> String {
        self.evaluate("anybody", flag).stage.unwrap().to_string()
    }
}

/// A store in memory that reads one line at a time, fails on demand, and reports new lines to watchers.
#[derive(Clone, Debug, Default)]
struct WatchableStore {
    store: Memory,
    /// Whether each of the next reads fails.
    failures: Arc<Mutex<VecDeque<bool>>>,
    head: Arc<(Mutex<u64>, Condvar)>,
    waits: Arc<AtomicU32>,
}

impl Store for WatchableStore {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        if self.failures.lock().unwrap().pop_front().unwrap_or(false) {
            return Err(StoreError::io("it was told to fail"));
        }
        let mut lines = self.store.read(from)?;
        let end = lines.iter().position(|byte| *byte == b'\n');
        lines.truncate(end.map_or(0, |end| end + 1));
        Ok(lines)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.store.append(number, line)?;
        *self.head.0.lock().unwrap() = number;
        self.head.1.notify_all();
        Ok(())
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.store.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.store.document(hash)
    }

    fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        Some(Box::new(self.clone()))
    }

    fn label(&self) -> String {
        "(telling)".to_owned()
    }
}

impl Watcher for WatchableStore {
    fn wait(&mut self, beyond: u64, time: Duration) -> Result<bool, StoreError> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        let head = self.head.0.lock().unwrap();
        let waited = self.head.1.wait_timeout_while(head, time, |head| *head <= beyond);
        Ok(*waited.unwrap().0 > beyond)
    }
}

#[test]
fn a_refresh_that_fails_halfway_is_repeated() {
    let (store, clock) = (WatchableStore::default(), ManualClock::at(monday()));
    let one = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let other = Rollout::open(store.clone(), clock).unwrap();
    for flag in ["a", "a", "b"] {
        one.by("ana").promote(flag).unwrap();
    }
    *store.failures.lock().unwrap() = VecDeque::from([false, false, true]);
    let failed = other.refresh().unwrap_err().to_string();
    assert_eq!(failed, "(telling): it was told to fail");
    assert_eq!(other.status().last_error.unwrap().to_string(), failed);
    assert_eq!(other.gate().serving_stage("a"), "off");
    assert_eq!(other.refresh().unwrap().len(), 3);
    assert!(other.status().last_error.is_none());
    assert_eq!(other.gate().serving_stage("a"), "two");
    other.by("ben").promote("a").unwrap();
}

#[test]
fn a_follower_reads_new_records_at_once_and_stops_at_once() {
    let (store, clock) = (WatchableStore::default(), ManualClock::at(monday()));
    let one = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let other = Rollout::open(store.clone(), clock).unwrap();
    let (sender, told) = mpsc::channel();
    let begin = Instant::now();
    let follower = Controller::following(&other, LONG, move |read| {
        let read = read.as_ref().map(Vec::len).map_err(ToString::to_string);
        let _ = sender.send(read);
    });
    let follower = follower.unwrap();
    assert_eq!(told.recv().unwrap(), Ok(0));
    one.by("ana").promote("b").unwrap();
    assert_eq!(told.recv().unwrap(), Ok(1));
    assert!(other.gate().is_enabled("anybody", "b"));
    // A failed read is retried soon, long before the interval of a minute ends.
    *store.failures.lock().unwrap() = VecDeque::from([true, true]);
    one.by("ana").promote("a").unwrap();
    let failed = Err("(telling): it was told to fail".to_owned());
    assert_eq!([told.recv().unwrap(), told.recv().unwrap()], [failed.clone(), failed]);
    assert_eq!(told.recv().unwrap(), Ok(1));
    drop(follower);
    assert!(begin.elapsed() < LONG, "dropping the follower waits for its watcher");
}

#[test]
fn a_store_that_reports_records_it_does_not_have_causes_no_busy_loop() {
    let (store, clock) = (WatchableStore::default(), ManualClock::at(monday()));
    let one = Rollout::start(store.clone(), clock, DOCUMENT, "ana").unwrap();
    *store.head.0.lock().unwrap() = 1_000;
    let (sender, told) = mpsc::channel();
    let every = Duration::from_millis(200);
    let follower = Controller::following(&one, every, move |_| sender.send(()).unwrap_or(()));
    for _ in 0..8 {
        told.recv().unwrap();
    }
    let waits = store.waits.load(Ordering::SeqCst);
    drop(follower);
    assert!(waits <= 8, "{waits}");
}

/// The watcher also reports the records of this process. They once counted as a false report, and the pause after it
/// delayed the next rollback of another process by up to a tenth of a second.
#[test]
fn a_record_of_this_process_is_no_false_report() {
    let (store, clock) = (WatchableStore::default(), ManualClock::at(monday()));
    let one = Rollout::start(store.clone(), clock, DOCUMENT, "ana").unwrap();
    let (sender, told) = mpsc::channel();
    let waits = Arc::clone(&store.waits);
    let on_refresh = move |_: &_| sender.send(waits.load(Ordering::SeqCst)).unwrap_or(());
    let follower = Controller::following(&one, LONG, on_refresh).unwrap();
    // Each refresh but the first follows a wait of its own. After a false report, a refresh follows a pause.
    for waited in 0..6 {
        assert_eq!(told.recv().unwrap(), waited);
        while store.waits.load(Ordering::SeqCst) == waited {
            std::thread::yield_now();
        }
        one.by("ana").hold("a", "wait").or_else(|_| one.by("ana").resume("a", None)).unwrap();
    }
    drop(follower);
}

/// A leader lease whose answers come from the test.
#[derive(Debug)]
struct ScriptedLease(mpsc::Receiver<Option<Duration>>, mpsc::Sender<()>, bool);

impl LeaderLease for ScriptedLease {
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError> {
        match self.0.recv() {
            Ok(time) => Ok(time),
            Err(_) => Err(StoreError::io("the test has ended")),
        }
    }

    fn release(&mut self) {
        self.2 = true;
        let _ = self.1.send(());
    }
}

#[test]
fn only_the_leader_does_due_work() {
    let (one, _, _) = two();
    one.by("ana").promote("b").unwrap();
    let ((say, lead), (gave, given_up), (sender, told)) =
        (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let controller =
        Controller::leading(&one, ScriptedLease(lead, gave, false), LONG, move |report| {
            let facts: Vec<String> = report.records.iter().map(Record::to_string).collect();
            sender.send(facts).unwrap();
        });
    let controller = controller.unwrap();
    say.send(None).unwrap();
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    assert!(!one.report("b").unwrap().state.complete);
    // A lease that has already expired does not make this process the leader.
    say.send(Some(Duration::ZERO)).unwrap();
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    say.send(Some(LONG)).unwrap();
    assert_eq!(told.recv().unwrap().len(), 1);
    assert!(one.report("b").unwrap().state.complete);
    drop(say);
    drop(controller);
    given_up.recv().unwrap();
}

#[test]
fn the_leader_reports_the_records_of_others_and_errors() {
    let (store, clock) = (WatchableStore::default(), ManualClock::at(monday()));
    let one = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let other = Rollout::open(store.clone(), clock).unwrap();
    let ((say, lead), (gave, _given_up), (sender, told)) =
        (mpsc::channel(), mpsc::channel(), mpsc::channel());
    let lead = ScriptedLease(lead, gave, false);
    let controller = Controller::leading(&other, lead, Duration::ZERO, move |report| {
        let read: Vec<u64> = report.refreshed.iter().map(|record| record.seq).collect();
        sender.send((read, report.error.as_ref().map(ToString::to_string))).unwrap();
    });
    let controller = controller.unwrap();
    let tick = || {
        say.send(Some(LONG)).unwrap();
        told.recv_timeout(LONG).unwrap()
    };
    one.by("ana").promote("a").unwrap();
    assert_eq!(tick(), (vec![2], None));
    store.failures.lock().unwrap().push_back(true);
    // The tick has no due work, so the error is that of the refresh.
    let failed = "(telling): it was told to fail".to_owned();
    assert_eq!(tick(), (vec![], Some(failed.clone())));
    assert_eq!(other.status().last_error.unwrap().to_string(), failed);
    assert_eq!(tick(), (vec![], None));
    drop(say);
    drop(controller);
}

#[test]
fn a_repeated_promotion_to_the_same_stage_is_a_no_op() {
    let (store, clock) = (Memory::new(), super::start_rollout().1);
    let document = "schema = 1\n[flags.a]\nstages = [{ name = \"p\", percent = 1 }, { name = \"q\", percent = 100 }]";
    let one = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
    let other = Rollout::open(store, clock).unwrap();
    assert_eq!(one.by("ana").promote_to("a", "p").unwrap().records.len(), 1);
    // `other` has not read the promotion, and decides to promote from `off` to `p`, too.
    let late = other.by("ben").promote_to("a", "p").unwrap();
    assert_eq!((late.records.len(), &*late.state.stage), (0, "p"));
    assert_eq!(other.records(1).unwrap().len(), 2);
}

#[test]
fn a_repeated_step_of_an_incident_is_refused() {
    let (store, clock) = (Memory::new(), super::start_rollout().1);
    let document = "schema = 1\n[flags.a]\nstage = \"p\"\nstages = [{ name = \"p\", percent = 1 }]";
    let one = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
    one.by("ana").report("a", "security", None).unwrap();
    let other = Rollout::open(store, clock).unwrap();
    one.by("ana").step("a", None).unwrap();
    let late = other.by("ben").step("a", None).unwrap_err();
    assert_eq!(
        late.to_string(),
        "incident step of `a` is refused: 1 condition is not met\n  the incident of `a` has moved on meanwhile\n      \
         check the flag's status, then decide again"
    );
    assert_eq!(other.report("a").unwrap().state.incident.unwrap().phase.to_string(), "execute");
}
