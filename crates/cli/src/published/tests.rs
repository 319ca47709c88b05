//! Whoever follows what is published answers as the rollout does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::sample::Index;
use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;
use stagegate::{Document, Gate, User};

use super::{Declared, Published, users};

/// Every way to write a flag and a group; `FILE` has more users.
const TOML: &str = r#"# Reviewed by the checkout team.
schema = 1

[groups]
team = { users = ["ana"], users_file = "team.txt" }   # and whoever joins
eu.where = { region = ["eu"] }
[groups.wary]
users_file = "wary.txt" # asked to wait

[plans.shared]
stages = [{ name = "one", groups = ["team"] }, { name = "two", percent = 33.3333 }, { name = "all", percent = 100 }]

[flags]
dotted.plan = "shared"
dotted.stage = "one"      # where it began
inline = { plan = "shared", hold_back = { wary = "all" } }

[flags.headed]
skip_reason = "of its own"
plan = "shared"
hold_back = { eu = "two" }
[[flags.stages-alone.stages]]
name = "one" # the first
percent = 1.5
[[flags.stages-alone.stages]]
name = "two"
groups = ["eu"]
percent = 50
[[flags.stages-alone.stages]]
name = "all"
percent = 100

[flags.built-in]
# nothing of its own
"#;

const JSON: &str = r#"{"schema": 1,
"groups": {"team": {"users": ["ana"], "users_file": "team.txt"}, "wary": {"users_file": "wary.txt"}},
"flags": {"b": {"stage": "one", "stages": [{"name": "one", "groups": ["team"]},
 {"name": "two", "percent": 12.5000}, {"name": "all", "percent": 100}], "hold_back": {"wary": "all"}},
 "a": {"skip_reason": "of its own"}}}"#;

/// With its files, which are there as long as their directory is.
fn document(text: &str) -> (Document, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name, text| std::fs::write(directory.path().join(name), text).expect("a file");
    write("team.txt", "ben\r\n\n\"quoted\" \\ ö\n");
    write("wary.txt", "\u{feff}user-7\nuser-8");
    (Document::new(text).directory(directory.path()), directory)
}

/// A rollout keeps the files: they are read now, and gone after.
fn begun(text: &str) -> (Rollout, ManualClock) {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let (document, _directory) = document(text);
    let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana");
    (rollout.expect("a plan"), clock)
}

fn published(rollout: &Rollout) -> String {
    Published::of(rollout).expect("a plan").text.expect("room for the lists")
}

/// The same with the lists beside it, read back from the disk.
fn published_beside(rollout: &Rollout, directory: &Path) -> Document {
    let (plan, status) = (rollout.plan(), rollout.status());
    let flags = status.flags.iter().map(|flag| (flag.flag.clone(), Declared::of(flag, None)));
    let published = Published::new(plan.document(), flags.collect(), 0).expect("a plan");
    let file = directory.join(format!("rollout.{}", published.notation));
    published.write(&file).expect("a disk");
    Document::read(file).expect("a file")
}

/// What a gate answers to everybody, and why.
fn answers(gate: &Gate) -> BTreeMap<String, String> {
    let flags: Vec<String> = gate.status().flags.iter().map(|flag| flag.key.to_string()).collect();
    let names = ["ana", "ben", "\"quoted\" \\ ö"].map(str::to_owned).into_iter();
    let keys = names.chain((0..60).map(|number| format!("user-{number}")));
    let mut answers = BTreeMap::new();
    for key in keys {
        for region in ["eu", "us"] {
            let user = User::new(&*key).attribute("region", region);
            for flag in &flags {
                let it = gate.evaluate(&user, flag);
                let answer =
                    format!("{} {:?} {:?} {:?}", it.enabled, it.reason, it.stage, it.cohort);
                answers.insert(format!("{flag} {key} {region}"), answer);
            }
        }
    }
    answers
}

/// Something that is done to a flag.
#[derive(Clone, Debug)]
enum Act {
    Up,
    Jump,
    Back,
    Hold,
    Resume,
    Settle,
    /// To a document with another share for a stage of every flag.
    Update(bool),
}

fn act(rollout: &Rollout, flag: &str, act: &Act) {
    let ana = rollout.by("ana");
    // What is refused changes nothing.
    let _ = match act {
        Act::Up => ana.force(flag, "on").map(drop),
        Act::Jump => {
            let plan = rollout.plan();
            let last = plan.flag(flag).and_then(|flag| flag.stages().last().map(|it| it.name()));
            let last = last.expect("a stage");
            ana.force_to(flag, last.as_str(), "all at once").map(drop)
        }
        Act::Back => ana.roll_back(flag, "slow").map(drop),
        Act::Hold => ana.hold(flag, "wait").map(drop),
        Act::Resume => ana.resume(flag, None).map(drop),
        Act::Settle => {
            for _ in 0..4 {
                let _ = ana.step(flag, None);
            }
            ana.close(flag, "found").map(drop)
        }
        Act::Update(is_less) => {
            let plan = rollout.plan();
            let text = if plan.document().text().is_some_and(|text| text.starts_with('{')) {
                JSON
            } else {
                TOML
            };
            let less = text.replace("33.3333", "20").replace("12.5000", "7");
            let (next, _directory) = document(if *is_less { &less } else { text });
            ana.update(next).map(drop)
        }
    };
}

fn acts() -> impl Strategy<Value = Vec<(Act, Index, bool)>> {
    let act = prop_oneof![
        3 => Just(Act::Up),
        1 => Just(Act::Jump),
        2 => Just(Act::Back),
        1 => Just(Act::Hold),
        1 => Just(Act::Resume),
        2 => Just(Act::Settle),
        1 => any::<bool>().prop_map(Act::Update),
    ];
    prop::collection::vec((act, any::<Index>(), any::<bool>()), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Whether an instance sees each version, or few of them; and one that starts now.
    #[test]
    fn an_instance_answers_as_the_rollout_does(is_toml: bool, acts in acts()) {
        let (rollout, clock) = begun(if is_toml { TOML } else { JSON });
        let flags: Vec<String> =
            rollout.status().flags.iter().map(|flag| flag.flag.to_string()).collect();
        let instance = Gate::from_document(published(&rollout)).expect("a plan");
        prop_assert_eq!(answers(&instance), answers(rollout.gate()));
        let directory = tempfile::tempdir().expect("a directory");
        let all = acts.len();
        for (number, (what, flag, is_seen)) in acts.into_iter().enumerate() {
            clock.advance(std::time::Duration::from_millis(1));
            act(&rollout, flag.get::<String>(&flags), &what);
            if is_seen || number + 1 == all {
                let text = published(&rollout);
                instance.update(&*text).expect("nothing that is refused");
                prop_assert_eq!(answers(&instance), answers(rollout.gate()));
                let another = Gate::from_document(text).expect("a plan");
                prop_assert_eq!(answers(&another), answers(rollout.gate()));
                let beside = published_beside(&rollout, directory.path());
                let another = Gate::from_document(beside).expect("a plan");
                prop_assert_eq!(answers(&another), answers(rollout.gate()));
            }
        }
    }
}

/// What nobody has to change stays as somebody wrote it.
#[test]
fn a_document_keeps_its_comments_and_its_numbers() {
    let (rollout, _) = begun(TOML);
    rollout.by("ana").force("stages-alone", "on").expect("nothing in the way");
    rollout.by("ana").force("built-in", "on").expect("nothing in the way");
    let text = published(&rollout);
    let reason = "skip_reason = \"the rollout is here since 1970-01-01T00:00:00Z\"";
    let expected = TOML
        .replace(
            "team = { users = [\"ana\"], users_file = \"team.txt\" }",
            "team = { users = [\"ana\",\n    \"ben\",\n    '\"quoted\" \\ ö',\n]}",
        )
        .replace(
            "users_file = \"wary.txt\" # asked to wait\n",
            "users = [\n    \"user-7\",\n    \"user-8\",\n]\n",
        )
        .replace("# where it began\n", &format!("# where it began\ndotted.{reason}\n"))
        .replace("wary = \"all\" } }", "wary = \"all\" } , stage = \"off\" }")
        .replace("hold_back = { eu = \"two\" }\n", "hold_back = { eu = \"two\" }\nstage = \"off\"\n")
        .replace(
            "[[flags.stages-alone.stages]]\nname = \"one\"",
            &format!("\n[flags.stages-alone]\nstage = \"one\"\n{reason}\n[[flags.stages-alone.stages]]\nname = \"one\""),
        )
        .replace("[flags.built-in]\n", &format!("[flags.built-in]\nstage = \"internal\"\n{reason}\n"));
    assert_eq!(text, expected);

    let (rollout, _) = begun(JSON);
    let text = published(&rollout);
    assert!(text.contains("{\"name\": \"two\", \"percent\": 12.5000}"), "{text}");
}

#[test]
fn what_is_not_sure_to_be_right_is_not_published() {
    let (rollout, _) = begun(JSON);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rollout.toml");
    let refused =
        Published::of(&rollout).expect("a plan").write(&file).expect_err("another notation");
    let says = "the document in force is JSON: write a name that ends in `.json`";
    assert!(refused.message().ends_with(says));
    assert!(!file.exists());
    assert_eq!(users(b"\xef\xbb\xbfana\r\n\nben"), ["ana", "ben"]);
}

/// The names of the lists beside a document.
fn lists(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("rollout.toml.lists")).expect("lists");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a name").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_follower_finds_every_list_of_whichever_document_it_reads() {
    let (rollout, _) = begun(TOML);
    let directory = tempfile::tempdir().expect("a directory");
    let first = published_beside(&rollout, directory.path());
    let of_first = lists(directory.path());
    assert_eq!(of_first.len(), 2);

    // Another list takes another place.
    let changed = TOML.replace("team.txt", "team-two.txt");
    let other = tempfile::tempdir().expect("a directory");
    for (name, keys) in
        [("team-two.txt", "ben\n\"quoted\" \\ ö\ncy\n"), ("wary.txt", "user-7\nuser-8\n")]
    {
        std::fs::write(other.path().join(name), keys).expect("a file");
    }
    rollout.by("ana").update(Document::new(changed).directory(other.path())).expect("a plan");
    let second = published_beside(&rollout, directory.path());
    assert_eq!(lists(directory.path()).len(), 3);
    for document in [first, second] {
        Gate::from_document(document).expect("its lists are there");
    }
    assert!(of_first.iter().all(|name| lists(directory.path()).contains(name)));

    // After a while, what neither the document nor the one before it names goes. What is no list stays.
    let place = directory.path().join("rollout.toml.lists");
    let old = SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
    let foreign = format!("{}.txt", "0".repeat(64));
    for name in [&*foreign, "notes.txt"] {
        std::fs::write(place.join(name), "").expect("a file");
    }
    for name in lists(directory.path()) {
        let file = std::fs::File::options().write(true).open(place.join(name)).expect("a list");
        file.set_modified(old).expect("a date");
    }
    rollout.by("ana").force("inline", "on").expect("nothing in the way");
    Gate::from_document(published_beside(&rollout, directory.path())).expect("a plan");
    let left = lists(directory.path());
    assert!(left.contains(&"notes.txt".to_owned()) && !left.contains(&foreign), "{left:?}");
    let of_first = left.iter().filter(|name| of_first.contains(name)).count();
    assert_eq!((left.len(), of_first), (3, 1), "only what is named, and what is no list");
}

#[test]
fn without_its_lists_no_document_is_published() {
    let (rollout, _) = begun(TOML);
    let directory = tempfile::tempdir().expect("a directory");
    let (plan, status) = (rollout.plan(), rollout.status());
    let flags = status.flags.iter().map(|flag| (flag.flag.clone(), Declared::of(flag, None)));
    let published = Published::new(plan.document(), flags.collect(), 0).expect("a plan");
    let file = directory.path().join("rollout.toml");
    let place = published.lists(&file).expect("beside it");
    std::fs::write(&place, "in the way").expect("a file");
    let refused = published.write(&file).expect_err("no room for lists").message();
    assert!(refused.starts_with("cannot write `") && !file.exists(), "{refused}");

    std::fs::remove_file(&place).expect("it is there");
    assert!(published.write(&file).expect("a disk"));
    assert!(!published.write(&file).expect("a disk"), "it says the same");
    let lost = place.join(&lists(directory.path())[0]);
    std::fs::remove_file(&lost).expect("it is there");
    assert!(published.write(&file).expect("a disk"), "a list that is lost is written again");
    assert!(lost.exists());
}
