//! Sources of one's own, waiting, and being told.

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

/// Answers what the test says next, and counts.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Says>>);

#[derive(Default)]
struct Says {
    next: Option<Box<dyn FnMut() -> Answer + Send>>,
    nudge: Option<Nudge>,
    applied: u32,
}

impl Script {
    /// Panics of what it says are part of the tests.
    fn says(&self) -> MutexGuard<'_, Says> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, answer: impl FnMut() -> Answer + Send + 'static) {
        self.says().next = Some(Box::new(answer));
    }

    fn has(&self, text: &str) {
        let text = text.to_owned();
        self.say(move || Ok(Fetched::Document(Document::new(text.clone()))));
    }

    fn nudge(&self) {
        self.says().nudge.as_ref().unwrap().nudge();
    }
}

impl Source for Script {
    fn fetch(&mut self) -> Answer {
        let mut says = self.says();
        says.next.as_mut().unwrap()()
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn rest(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn watch(&mut self, nudge: Nudge) {
        self.says().nudge = Some(nudge);
    }

    fn applied(&mut self) {
        self.says().applied += 1;
    }
}

#[test]
fn content_decides_and_only_what_is_in_force_is_confirmed() {
    let script = Script::default();
    script.has(&plan(0));
    let log = Log::default();
    let options = log.options().by_hand();
    let (gate, follower) = Follower::start(script.clone(), options).unwrap();
    assert_eq!(follower.refresh_now().unwrap(), Refreshed::Unchanged);
    script.has(&plan(1));
    assert!(matches!(follower.refresh_now().unwrap(), Refreshed::Applied { version: 2, .. }));
    assert_eq!(script.0.lock().unwrap().applied, 3);
    script.has("");
    assert!(follower.refresh_now().is_err());
    assert_eq!(script.0.lock().unwrap().applied, 3);
    assert_eq!(follower.status().freshness, Freshness::Failed);
    // "What was applied" is what is in force, not what was refused.
    script.say(|| Ok(Fetched::Unchanged));
    follower.refresh_now().unwrap();
    assert_eq!((follower.status().freshness, gate.version()), (Freshness::Ready, 2));
    script.say(|| Err(SourceError::new("gone fishing")));
    assert_eq!(follower.refresh_now().unwrap_err().to_string(), "gone fishing");
    follower.refresh_now().unwrap_err();
    assert_eq!((follower.status().freshness, follower.status().unreachable), (Freshness::Stale, 2));
    script.has(&plan(1));
    follower.refresh_now().unwrap();
    let told: Vec<String> =
        log.lines().iter().map(|line| line.lines().next().unwrap_or_default().to_owned()).collect();
    let refused = "refused: rollout document `(text)` has 1 problem";
    let all =
        ["applied 1", "applied 2", refused, "recovered", "unreachable: gone fishing", "recovered"];
    assert_eq!(told, all);
}

#[test]
fn a_source_that_has_nothing_says_that_nothing_changed() {
    let script = Script::default();
    script.say(|| Ok(Fetched::Unchanged));
    let error = Follower::start(script, FollowOptions::new().by_hand()).unwrap_err();
    let text = "nothing to start from: says that nothing has changed, though nothing was read yet";
    assert_eq!(error.to_string(), text);
}

#[test]
fn panics_of_sources_and_observers_are_caught() {
    let script = Script::default();
    script.has(&plan(0));
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
        // A panic that is slow to print is met again by the next look, so one turn may count several.
        let before = follower.status().unreachable;
        script.say(|| panic!("a source"));
        script.nudge();
        while follower.status().unreachable == before {
            thread::sleep(Duration::from_micros(100));
        }
        assert_eq!(follower.status().last_error.unwrap().to_string(), "it panicked");
        script.has(&plan(turn % 2 + 1));
        script.nudge();
        assert!(changed.wait(LONG).is_some());
    }
    assert_eq!(gate.version(), 101);
    drop(follower);
    assert!(told.load(Ordering::SeqCst) >= 201);
}

#[test]
fn observers_may_ask_and_refresh() {
    let script = Script::default();
    script.has(&plan(0));
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
    script.has(&plan(1));
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
fn changes_are_awaited_by_threads_and_by_tasks() {
    let script = Script::default();
    script.has(&plan(0));
    let (_gate, follower) = Follower::start(script.clone(), FollowOptions::new()).unwrap();
    let mut blocking = follower.changed();
    assert_eq!(blocking.wait(Duration::from_millis(1)), None);
    let mut waiting = follower.changed();
    let task = thread::spawn(move || {
        let first = block_on(&mut waiting);
        (first, block_on(&mut waiting))
    });
    script.has(&plan(1));
    script.nudge();
    assert_eq!(blocking.wait(LONG), Some(2));
    assert_eq!(blocking.wait(Duration::from_millis(1)), None);
    // One that is no longer waited for is forgotten.
    let mut forgotten = follower.changed();
    let poll = pin!(&mut forgotten).poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
    drop(forgotten);
    thread::sleep(Duration::from_millis(20));
    drop(follower);
    let (first, second) = task.join().unwrap();
    assert_eq!((first, second), (Some(2), None));
    assert_eq!(blocking.wait(LONG), None, "at once: there will be no more");
}

#[test]
fn a_source_that_hangs_is_left_to_itself() {
    let script = Script::default();
    script.has(&plan(0));
    let (gate, follower) = Follower::start(script.clone(), FollowOptions::new()).unwrap();
    let (sender, hanging) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let late = plan(1);
    script.say(move || {
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
    assert_eq!(gate.version(), 1, "what comes late is not put in force");
}

#[test]
fn a_gate_that_is_there_follows() {
    let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"internal\"").unwrap();
    let script = Script::default();
    script.say(|| Err(SourceError::new("not yet")));
    let follower = gate.follow(script.clone(), FollowOptions::new()).unwrap();
    assert!(!follower.wait_ready(Duration::from_millis(20)));
    assert_eq!(follower.status().freshness, Freshness::NotReady);
    script.has("schema = 1\n[flags.a]\nstage = \"ga\"");
    script.nudge();
    while follower.status().refused == 0 {
        thread::sleep(Duration::from_micros(100));
    }
    script.has("schema = 1\n[flags.a]\nstage = \"pilot\"");
    script.nudge();
    assert!(follower.wait_ready(LONG));
    assert_eq!(gate.version(), 2);
    let begin = Instant::now();
    drop(follower);
    assert!(begin.elapsed() < Duration::from_millis(500));
}

#[test]
fn a_gate_that_a_rollout_drives_is_refused_at_the_call_and_not_at_every_update() {
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
    assert!(script.says().nudge.is_none(), "the source is not started");
}
