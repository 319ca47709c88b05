//! Custom sources, waiting for changes, and observers.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::source::{
    Fetched, FollowEvent, FollowOptions, Follower, Freshness, Nudge, Refreshed, Source,
    SourceError, StartError,
};
use stagegate::store::Memory;
use stagegate::{Document, Gate};

use crate::world::{LONG, Log, plan};

type Answer = Result<Fetched, SourceError>;

/// A source whose next answer the test sets.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<ScriptState>>);

#[derive(Default)]
struct ScriptState {
    next: Option<Box<dyn FnMut() -> Answer + Send>>,
    nudge: Option<Nudge>,
    applied: u32,
}

impl Script {
    /// Ignores poisoning, because some answers panic on purpose.
    fn state(&self) -> MutexGuard<'_, ScriptState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer_with(&self, answer: impl FnMut() -> Answer + Send + 'static) {
        self.state().next = Some(Box::new(answer));
    }

    fn serve(&self, text: &str) {
        let text = text.to_owned();
        self.answer_with(move || Ok(Fetched::Document(Document::new(text.clone()))));
    }

    fn nudge(&self) {
        self.state().nudge.as_ref().unwrap().nudge();
    }
}

impl Source for Script {
    fn fetch(&mut self) -> Answer {
        let mut state = self.state();
        state.next.as_mut().unwrap()()
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn min_interval(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn watch(&mut self, nudge: Nudge) {
        self.state().nudge = Some(nudge);
    }

    fn applied(&mut self) {
        self.state().applied += 1;
    }
}

#[test]
fn only_new_content_is_a_new_version_and_only_applied_documents_are_confirmed() {
    let script = Script::default();
    script.serve(&plan(0));
    let log = Log::default();
    let options = log.options().by_hand();
    let (gate, follower) = Follower::start(script.clone(), options).unwrap();
    assert_eq!(follower.refresh_now().unwrap(), Refreshed::Unchanged);
    script.serve(&plan(1));
    assert!(matches!(follower.refresh_now().unwrap(), Refreshed::Applied { version: 2, .. }));
    assert_eq!(script.0.lock().unwrap().applied, 3);
    script.serve("");
    assert!(follower.refresh_now().is_err());
    assert_eq!(script.0.lock().unwrap().applied, 3);
    assert_eq!(follower.status().freshness, Freshness::Failed);
    // `Unchanged` refers to the plan in force, not to the refused document.
    script.answer_with(|| Ok(Fetched::Unchanged));
    follower.refresh_now().unwrap();
    assert_eq!((follower.status().freshness, gate.version()), (Freshness::Ready, 2));
    script.answer_with(|| Err(SourceError::new("gone fishing")));
    assert_eq!(follower.refresh_now().unwrap_err().to_string(), "gone fishing");
    follower.refresh_now().unwrap_err();
    assert_eq!((follower.status().freshness, follower.status().unreachable), (Freshness::Stale, 2));
    script.serve(&plan(1));
    follower.refresh_now().unwrap();
    let told: Vec<String> =
        log.lines().iter().map(|line| line.lines().next().unwrap_or_default().to_owned()).collect();
    let refused = "refused: rollout document `(text)` has 1 problem";
    let all =
        ["applied 1", "applied 2", refused, "recovered", "unreachable: gone fishing", "recovered"];
    assert_eq!(told, all);
}

#[test]
fn a_follower_does_not_start_before_its_source_returns_a_document() {
    let script = Script::default();
    script.answer_with(|| Ok(Fetched::Unchanged));
    let error = Follower::start(script, FollowOptions::new().by_hand()).unwrap_err();
    let text = "no document to start from: the source reports no change, but has not returned a document yet";
    assert_eq!(error.to_string(), text);
}

#[test]
fn panics_of_sources_and_observers_are_caught() {
    let script = Script::default();
    script.serve(&plan(0));
    let told = Arc::<AtomicU32>::default();
    let theirs = Arc::clone(&told);
    let options = FollowOptions::new().observe(|_: &FollowEvent| panic!("an observer")).observe(
        move |_: &FollowEvent| {
            theirs.fetch_add(1, Ordering::SeqCst);
        },
    );
    let (gate, follower) = Follower::start(script.clone(), options).unwrap();
    for turn in 0..100 {
        let mut changed = follower.changed();
        // Printing a panic can take longer than an interval, so one turn may count several panics.
        let before = follower.status().unreachable;
        script.answer_with(|| panic!("a source"));
        script.nudge();
        while follower.status().unreachable == before {
            thread::sleep(Duration::from_micros(100));
        }
        assert_eq!(follower.status().last_error.unwrap().to_string(), "the source panicked");
        script.serve(&plan(turn % 2 + 1));
        script.nudge();
        assert!(changed.wait(LONG).is_some());
    }
    assert_eq!(gate.version(), 101);
    drop(follower);
    assert!(told.load(Ordering::SeqCst) >= 201);
}

#[test]
fn observers_may_call_the_follower() {
    let script = Script::default();
    script.serve(&plan(0));
    let (sender, receiver) = mpsc::channel();
    let slot = Arc::new(Mutex::new(None::<Arc<Follower>>));
    let theirs = Arc::clone(&slot);
    let options = FollowOptions::new().by_hand().observe(move |_: &FollowEvent| {
        let follower = theirs.lock().unwrap().clone();
        if let Some(follower) = follower {
            sender.send((follower.refresh_now().unwrap(), follower.status().version)).unwrap();
        }
    });
    let (_gate, follower) = Follower::start(script.clone(), options).unwrap();
    let follower = Arc::new(follower);
    *slot.lock().unwrap() = Some(Arc::clone(&follower));
    script.serve(&plan(1));
    follower.refresh_now().unwrap();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), (Refreshed::Unchanged, 2));
    *slot.lock().unwrap() = None;
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        thread::park();
    }
}

#[test]
fn threads_and_tasks_can_wait_for_changes() {
    let script = Script::default();
    script.serve(&plan(0));
    let (_gate, follower) = Follower::start(script.clone(), FollowOptions::new()).unwrap();
    let mut blocking = follower.changed();
    assert_eq!(blocking.wait(Duration::from_millis(1)), None);
    let mut waiting = follower.changed();
    let task = thread::spawn(move || {
        let first = block_on(&mut waiting);
        (first, block_on(&mut waiting))
    });
    script.serve(&plan(1));
    script.nudge();
    assert_eq!(blocking.wait(LONG), Some(2));
    assert_eq!(blocking.wait(Duration::from_millis(1)), None);
    // The follower forgets a dropped waiter.
    let mut forgotten = follower.changed();
    let poll = pin!(&mut forgotten).poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
    drop(forgotten);
    thread::sleep(Duration::from_millis(20));
    drop(follower);
    let (first, second) = task.join().unwrap();
    assert_eq!((first, second), (Some(2), None));
    assert_eq!(blocking.wait(LONG), None, "returns at once after the follower is dropped");
}

#[test]
fn dropping_a_follower_does_not_wait_for_a_source_that_hangs() {
    let script = Script::default();
    script.serve(&plan(0));
    let (gate, follower) = Follower::start(script.clone(), FollowOptions::new()).unwrap();
    let (sender, hanging) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let late = plan(1);
    script.answer_with(move || {
        sender.send(()).unwrap();
        let _ = released.recv();
        Ok(Fetched::Document(Document::new(late.clone())))
    });
    script.nudge();
    hanging.recv_timeout(LONG).unwrap();
    let begin = Instant::now();
    drop(follower);
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    release.send(()).unwrap();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(gate.version(), 1, "a late answer is not applied");
}

#[test]
fn an_existing_gate_can_follow_a_source() {
    let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"internal\"").unwrap();
    let script = Script::default();
    script.answer_with(|| Err(SourceError::new("not yet")));
    let follower = gate.follow(script.clone(), FollowOptions::new()).unwrap();
    assert!(!follower.wait_ready(Duration::from_millis(20)));
    assert_eq!(follower.status().freshness, Freshness::NotReady);
    script.serve("schema = 1\n[flags.a]\nstage = \"ga\"");
    script.nudge();
    while follower.status().refused == 0 {
        thread::sleep(Duration::from_micros(100));
    }
    script.serve("schema = 1\n[flags.a]\nstage = \"pilot\"");
    script.nudge();
    assert!(follower.wait_ready(LONG));
    assert_eq!(gate.version(), 2);
    let begin = Instant::now();
    drop(follower);
    assert!(begin.elapsed() < Duration::from_millis(500));
}

#[test]
fn a_driven_gate_cannot_follow_a_source() {
    let plan = "schema = 1\n[flags.a]\nstage = \"off\"\n";
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let rollout = Rollout::start(Memory::new(), clock, plan, "ana").unwrap();
    let script = Script::default();
    let error = rollout.gate().follow(script.clone(), FollowOptions::new()).unwrap_err();
    assert!(matches!(error, StartError::Driven));
    assert_eq!(
        error.to_string(),
        "a rollout drives this gate, so it cannot follow a source. Change its plan with `Rollout::update`, \
         or follow with a gate of its own: `Follower::start`",
    );
    assert!(script.state().nudge.is_none(), "the source is not started");
}
