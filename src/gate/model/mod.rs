//! Every order in which threads can see the steps of `Cell::update`: `.ci/loom`.

use std::sync::Arc;

use loom::sync::mpsc::channel;
use loom::thread;

use super::{FlagHandle, Gate};
use crate::eval::{Evaluation, Flag, Snapshot};
use crate::plan::Plan;

/// A document in two versions. Between them a flag moves, a list of users grows, a flag is added and another one is removed.
const ONE: &str = r#"
    schema = 1
    [groups.team]
    users = ["ana"]
    [flags.listed]
    stage = "team"
    stages = [{ name = "team", groups = ["team"] }, { name = "all", percent = 100 }]
    [flags.moved]
    stage = "few"
    stages = [{ name = "few", percent = 0.0001 }, { name = "most", percent = 99.9999 }]
    [flags.steady]
    stage = "most"
    stages = [{ name = "most", percent = 99.9999 }]
    [flags.removed]
    stage = "most"
    stages = [{ name = "most", percent = 99.9999 }]
"#;
const OTHER: &str = r#"
    schema = 1
    [groups.team]
    users = ["ana", "ben"]
    [flags.listed]
    stage = "team"
    stages = [{ name = "team", groups = ["team"] }, { name = "all", percent = 100 }]
    [flags.moved]
    stage = "most"
    stages = [{ name = "few", percent = 0.0001 }, { name = "most", percent = 99.9999 }]
    [flags.steady]
    stage = "most"
    stages = [{ name = "most", percent = 99.9999 }]
    [flags.added]
    stage = "most"
    stages = [{ name = "most", percent = 99.9999 }]
"#;

/// A gate and handles. loom knows the atomics of each execution, so that each makes its own.
struct World {
    gate: Gate,
    moved: FlagHandle,
    added: FlagHandle,
    listed: FlagHandle,
}

impl World {
    fn new(one: &Document) -> Arc<World> {
        let gate = Gate::from_plan(&one.plan);
        let [moved, added, listed] = ["moved", "added", "listed"].map(|flag| gate.flag(flag));
        Arc::new(World { gate, moved, added, listed })
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

/// The documents take turns.
fn is_other(version: u64) -> bool {
    version == 2
}

fn is_other_by(answer: &Evaluation) -> bool {
    let is_other = is_other(answer.version);
    assert_eq!(answer.enabled, is_other, "an answer of one version with the number of another");
    is_other
}

/// Parsed outside of the model, once.
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

/// A way of asking. Tells whether the other document answered.
type Way = (&'static str, fn(&World) -> bool);

const WAYS: [Way; 11] = [
    ("version", |world| is_other(world.gate.version())),
    ("moved, by name", |world| world.gate.is_enabled("user", "moved")),
    ("moved, by name, why", |world| is_other_by(&world.gate.evaluate("user", "moved"))),
    ("moved, by handle", |world| world.moved.is_enabled("user")),
    ("moved, by handle, why", |world| is_other_by(&world.moved.evaluate("user"))),
    ("listed, by name", |world| world.gate.is_enabled("ben", "listed")),
    ("listed, by handle", |world| world.listed.is_enabled("ben")),
    ("added, by name", |world| world.gate.is_enabled("user", "added")),
    ("added, by handle", |world| world.added.is_enabled("user")),
    ("steady, why", |world| is_other(world.gate.evaluate("user", "steady").version)),
    ("removed, by name", |world| !world.gate.is_enabled("user", "removed")),
];

/// A thread that one way told of an update is told of it by every other way, too.
///
/// The update is made by the thread that loom runs first. loom finds out that a load could have come before a store. It misses
/// that a store could have come before a load where the storing thread has itself loaded the value, as an update does.
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
                        ready.send(()).expect("somebody waits");
                        goes.recv().expect("somebody goes on");
                        let is_new = |way: fn(&World) -> bool| way(&world) != is_back;
                        let (was_new, is_new_still) = (is_new(first), is_new(second));
                        assert!(
                            is_new_still || !was_new,
                            "`{first_name}` told of the update, then `{second_name}` did not"
                        );
                    })
                };
                is_ready.recv().expect("it gets ready");
                go.send(()).expect("it waits");
                world.put(if is_back { &one } else { &other });
                let is_new = second(&world) != is_back;
                assert!(is_new, "`{second_name}` does not tell who made the update");
                reader.join().expect("it does not panic");
            });
        }
    }
}

#[test]
fn a_thread_that_was_told_of_an_update_is_told_nothing_older() {
    no_answer_goes_back(false, &WAYS, 1);
}

#[test]
fn a_thread_that_was_told_of_an_update_back_is_told_nothing_older() {
    no_answer_goes_back(true, &WAYS, 1);
}

/// Such an answer reads three atomics, so the update is interrupted, goes on, and is interrupted again.
#[test]
fn an_answer_and_its_version_are_of_one_version() {
    let with_version = WAYS.into_iter().filter(|(name, _)| name.ends_with("why"));
    no_answer_goes_back(false, &with_version.collect::<Vec<_>>(), 3);
}

/// Every order with so many changes of the thread that runs, though it could go on.
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
        let up = |world: &World, flag: &str| {
            world.update(|now| {
                let (slot, found) = now.find(flag).expect("it is there");
                now.with(slot, found.at(2))
            });
        };
        let update = {
            let world = Arc::clone(&world);
            thread::spawn(move || up(&world, "moved"))
        };
        up(&world, "listed");
        update.join().expect("it does not panic");
        assert_eq!(world.gate.version(), 3);
        assert!(world.gate.is_enabled("user", "moved") && world.moved.is_enabled("user"));
        assert!(world.gate.is_enabled("ben", "listed") && world.listed.is_enabled("ben"));
        // No update is under way, so no question has to look at the snapshot.
        assert_eq!(world.gate.shared.current.is_enabled(&"user", "moved"), Some(true));
        assert!(world.gate.shared.current.unlisted(&"user", "moved").is_some());
    });
}
