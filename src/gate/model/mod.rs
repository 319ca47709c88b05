//! Every order in which threads can see the steps of an update and of a check: `.ci/loom`.

use std::sync::Arc;

use loom::sync::mpsc::channel;
use loom::thread;

use super::{FlagHandle, Gate};
use crate::eval::{Evaluation, Flag, Snapshot};
use crate::plan::Plan;

/// Two versions of a document. Between them, a flag moves, one is added, and one is removed.
const ONE: &str = r#"
    schema = 1
    [flags.moved]
    stage = "few"
    stages = [{ name = "few", percent = 0.0001 }, { name = "most", percent = 99.9999 }]
    [flags.removed]
    stage = "most"
    stages = [{ name = "most", percent = 99.9999 }]
"#;
const OTHER: &str = r#"
    schema = 1
    [flags.moved]
    stage = "most"
    stages = [{ name = "few", percent = 0.0001 }, { name = "most", percent = 99.9999 }]
    [flags.added]
    stage = "most"
    stages = [{ name = "most", percent = 99.9999 }]
"#;

/// The same flag with two lists and two salts.
const LISTED: [&str; 2] = [
    r#"{"schema": 1, "groups": {"team": {"users": ["ana"]}}, "flags": {"listed": {
        "stage": "team", "stages": [{"name": "team", "groups": ["team"]}]}}}"#,
    r#"{"schema": 1, "groups": {"team": {"users": ["ben"]}}, "flags": {"listed": { "salt": "other",
        "stage": "team", "stages": [{"name": "team", "groups": ["team"]}]}}}"#,
];

/// A gate and handles. Each execution makes its own, because loom follows the atomics of one execution.
struct World {
    gate: Gate,
    moved: FlagHandle,
    added: FlagHandle,
}

impl World {
    fn new(one: &Document) -> Arc<World> {
        let gate = Gate::from_plan(&one.plan);
        let [moved, added] = ["moved", "added"].map(|flag| gate.flag(flag));
        Arc::new(World { gate, moved, added })
    }

    /// The function under test.
    fn update(&self, next: impl Fn(&Snapshot) -> Snapshot) {
        let next = |now: &Snapshot| Ok::<_, ()>((next(now), ()));
        self.gate.shared.current.update(next).expect("nothing refuses it");
    }

    fn put(&self, document: &Document) {
        self.update(|now| Snapshot::new(now.version() + 1, document.flags.clone(), Some(now)));
    }
}

/// Odd versions have the first document, and even versions the other.
fn is_other(version: u64) -> bool {
    version.is_multiple_of(2)
}

fn is_other_by(answer: &Evaluation) -> bool {
    let is_other = is_other(answer.version);
    assert_eq!(answer.enabled, is_other, "an answer of one version with the number of another");
    is_other
}

/// A parsed document, made once outside of the model.
struct Document {
    plan: Plan,
    flags: Vec<Flag>,
}

impl Document {
    fn new(text: &str) -> Arc<Document> {
        let plan = Plan::parse(text).expect("a plan");
        let flags = plan.compile().flags().to_vec();
        Arc::new(Document { plan, flags })
    }
}

/// A kind of check. Returns whether the other document answered.
type Way = (&'static str, fn(&World) -> bool);

const WAYS: [Way; 8] = [
    ("version", |world| is_other(world.gate.version())),
    ("moved, by name", |world| world.gate.is_enabled("user", "moved")),
    ("moved, by name, why", |world| is_other_by(&world.gate.evaluate("user", "moved"))),
    ("moved, by handle", |world| world.moved.is_enabled("user")),
    ("moved, by handle, why", |world| is_other_by(&world.moved.evaluate("user"))),
    ("added, by name", |world| world.gate.is_enabled("user", "added")),
    ("added, by handle", |world| world.added.is_enabled("user")),
    ("removed, by name", |world| !world.gate.is_enabled("user", "removed")),
];

/// Once a thread has seen an update by one kind of check, it sees it by every kind.
///
/// The thread that loom runs first makes the update. loom finds loads that could have come before a store. It misses a
/// store that could have come before a load if the storing thread has loaded the value itself, as an update does.
fn no_answer_goes_back(is_back: bool, ways: &[Way], preemptions: usize) {
    let (one, other) = (Document::new(ONE), Document::new(OTHER));
    for (first_name, first) in ways.iter().copied() {
        for ((second_name, second), has_snapshot) in
            ways.iter().copied().flat_map(|way| [(way, false), (way, true)])
        {
            let (one, other) = (Arc::clone(&one), Arc::clone(&other));
            model(preemptions, move || {
                let world = World::new(&one);
                if is_back {
                    world.put(&other);
                }
                let (ready, is_ready) = channel();
                let (go, goes) = channel();
                let reader = {
                    let world = Arc::clone(&world);
                    thread::spawn(move || {
                        if has_snapshot {
                            let _ = world.gate.version();
                        }
                        ready.send(()).expect("the other thread waits");
                        goes.recv().expect("the other thread goes on");
                        let is_new = |way: fn(&World) -> bool| way(&world) != is_back;
                        let (was_new, is_new_still) = (is_new(first), is_new(second));
                        assert!(
                            is_new_still || !was_new,
                            "`{first_name}` saw the update, then `{second_name}` did not"
                        );
                    })
                };
                is_ready.recv().expect("it gets ready");
                go.send(()).expect("it waits");
                world.put(if is_back { &one } else { &other });
                let is_new = second(&world) != is_back;
                assert!(is_new, "`{second_name}` does not see the update of its own thread");
                reader.join().expect("it does not panic");
            });
        }
    }
}

#[test]
fn a_thread_that_saw_an_update_sees_nothing_older() {
    no_answer_goes_back(false, &WAYS, 1);
}

#[test]
fn a_thread_that_saw_an_update_back_sees_nothing_older() {
    no_answer_goes_back(true, &WAYS, 1);
}

/// Two kinds of checks with a reason, which contains the version.
#[test]
fn an_answer_and_its_version_are_of_one_version() {
    let with_version = WAYS.into_iter().filter(|(name, _)| name.ends_with("why"));
    no_answer_goes_back(false, &with_version.collect::<Vec<_>>(), 3);
}

/// Runs every order in which loom interrupts a running thread at most this many times.
fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(run);
}

#[test]
fn a_handle_that_is_made_during_an_update_follows_it() {
    let (one, other) = (Document::new(ONE), Document::new(OTHER));
    model(3, move || {
        let world = World::new(&one);
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let was_new = world.moved.is_enabled("user");
                let handles = ["moved", "added"].map(|flag| world.gate.flag(flag));
                assert!(!was_new || handles.iter().all(|handle| handle.is_enabled("user")));
                handles
            })
        };
        world.put(&other);
        let handles = reader.join().expect("it does not panic");
        assert!(handles.iter().all(|handle| handle.is_enabled("user")));
    });
}

#[test]
fn of_two_updates_at_once_none_is_lost() {
    let one = Document::new(ONE);
    model(3, move || {
        let world = World::new(&one);
        let up = |world: &World, flag: &str, to: u16| {
            world.update(|now| {
                let (slot, found) = now.find(flag).expect("it is there");
                now.with([(slot, found.at(to))])
            });
        };
        let update = {
            let world = Arc::clone(&world);
            thread::spawn(move || up(&world, "moved", 2))
        };
        up(&world, "removed", 0);
        update.join().expect("it does not panic");
        assert_eq!(world.gate.version(), 3);
        assert!(world.gate.is_enabled("user", "moved") && world.moved.is_enabled("user"));
        assert!(!world.gate.is_enabled("user", "removed"));
        // The first check after an update renews the copies, so the second one needs no snapshot.
        let current = &world.gate.shared.current;
        assert_eq!(current.is_enabled(&"user", "moved"), Some(true));
        assert_eq!(current.is_enabled(&"user", "removed"), Some(false));
    });
}

/// A reader and the updating thread renew one copy, while the reader may have read a part.
#[test]
fn a_copy_never_mixes_two_versions() {
    let documents = LISTED.map(Document::new);
    model(3, move || {
        let [one, other] = &documents;
        let gate = Gate::from_plan(&one.plan);
        let listed = gate.flag("listed");
        let reader = {
            let listed = listed.clone();
            thread::spawn(move || {
                let (ana, ben) = (listed.is_enabled("ana"), listed.is_enabled("ben"));
                assert!(ana || ben, "no version lets in neither");
            })
        };
        let next =
            |now: &Snapshot| Ok::<_, ()>((Snapshot::new(2, other.flags.clone(), Some(now)), ()));
        gate.shared.current.update(next).expect("it is not refused");
        assert!(listed.is_enabled("ben") && !listed.is_enabled("ana"));
        reader.join().expect("it does not panic");
    });
}
