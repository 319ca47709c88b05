//! A follower of a published document answers as the rollout does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::sample::Index;
use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;
use stagegate::{Document, Gate, User};

use super::{FlagDeclaration, PublishedDocument, users};

/// Every way to write a flag and a group in TOML.
const TOML: &str = r#"# Reviewed by the checkout team.
schema = 1

[groups]
team = { users = ["ana"], users_file = "team.txt" }   # and new members
eu.where = { region = ["eu"] }
[groups.wary]
users_file = "wary.txt" # asked to wait

[groups.companies]
values_of = "organisation"
users_file = "companies.txt"
[groups.staff]
any = ["team", { email = { suffix = "@acme.example", not_in = ["x@acme.example"] } }, { seats = "> 10, <= 100" }]
[groups.new-app]
any = [{ app_version = ">= 4.2.0" }, { platform = { present = true }, signed_up = { date = ">= 2026-01-05" } }]

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

[flags.targeted]
by = "organisation"  # as a whole
only = ["new-app", "staff"]
requires = { dotted = "one", inline = "two" }
hold_back.eu = { until = "all", except = ["staff"] }
hold_back.wary = "never"
stages = [
  { name = "one", groups = ["companies"] },
  { name = "two", percent = 20, within = ["eu"] }, # of Europe
  { name = "all", percent = 100 },
]

[flags.built-in]
# nothing of its own
"#;

const JSON: &str = r#"{"schema": 1,
"groups": {"team": {"users": ["ana"], "users_file": "team.txt"}, "wary": {"users_file": "wary.txt"},
 "companies": {"values_of": "organisation", "users_file": "companies.txt"},
 "new-app": {"any": ["team", {"app_version": ">= 4.2.0"}, {"region": {"not_in": ["eu"]}}]}},
"flags": {"b": {"stage": "one", "stages": [{"name": "one", "groups": ["team"]},
 {"name": "two", "percent": 12.5000}, {"name": "all", "percent": 100}], "hold_back": {"wary": "all"}},
 "a": {"skip_reason": "of its own"},
 "c": {"by": "organisation", "only": ["new-app"], "requires": {"b": "two"},
  "hold_back": {"wary": "never", "team": {"until": "all", "except": ["companies"]}},
  "stages": [{"name": "one", "groups": ["companies"]}, {"name": "two", "percent": 20, "within": ["new-app"]},
   {"name": "all", "percent": 100}]}}}"#;

/// Returns a document and the directory with its users files.
fn document(text: &str) -> (Document, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name, text| std::fs::write(directory.path().join(name), text).expect("a file");
    write("team.txt", "ben\r\n\n\"quoted\" \\ ö\n");
    write("wary.txt", "\u{feff}user-7\nuser-8");
    write("companies.txt", "acme\n");
    (Document::new(text).directory(directory.path()), directory)
}

/// Starts a rollout. The users files are removed afterwards, because the rollout keeps their content.
fn started(text: &str) -> (Rollout, ManualClock) {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    let (document, _directory) = document(text);
    let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana");
    (rollout.expect("a plan"), clock)
}

fn published(rollout: &Rollout) -> String {
    PublishedDocument::of(rollout).expect("a plan").text.expect("inline lists")
}

/// Publishes to disk with list files, and reads the document back.
fn published_with_list_files(rollout: &Rollout, directory: &Path) -> Document {
    let (plan, status) = (rollout.plan(), rollout.status());
    let flags =
        status.flags.iter().map(|flag| (flag.flag.clone(), FlagDeclaration::of(flag, None)));
    let published = PublishedDocument::new(plan.document(), flags.collect(), 0).expect("a plan");
    let file = directory.join(format!("rollout.{}", published.notation));
    published.write(&file).expect("a disk");
    Document::read(file).expect("a file")
}

/// Returns a gate's answers for all users, with reasons.
fn answers(gate: &Gate) -> BTreeMap<String, String> {
    let flags: Vec<String> = gate.status().flags.iter().map(|flag| flag.key.to_string()).collect();
    let names = ["ana", "ben", "\"quoted\" \\ ö"].map(str::to_owned).into_iter();
    let keys = names.chain((0..60).map(|number| format!("user-{number}")));
    let mut answers = BTreeMap::new();
    for key in keys {
        for region in ["eu", "us"] {
            let number: u32 = key.bytes().map(u32::from).sum();
            let user = User::new(&*key)
                .attribute("region", region)
                .attribute("organisation", ["acme", "globex", "initech"][number as usize % 3])
                .attribute("app_version", ["4.10.0", "4.1.9"][number as usize % 2])
                .attribute("seats", number % 200);
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

/// An action on a flag.
#[derive(Clone, Debug)]
enum Act {
    Up,
    Jump,
    Back,
    Hold,
    Resume,
    Settle,
    /// An update that changes a percentage. `true`: to a smaller one.
    Update(bool),
}

fn act(rollout: &Rollout, flag: &str, act: &Act) {
    let ana = rollout.by("ana");
    // A refused action changes nothing.
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

    /// Both for an instance that misses versions and for an instance that starts now.
    #[test]
    fn an_instance_answers_as_the_rollout_does(is_toml: bool, acts in acts()) {
        let (rollout, clock) = started(if is_toml { TOML } else { JSON });
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
                instance.update(&*text).expect("an accepted update");
                prop_assert_eq!(answers(&instance), answers(rollout.gate()));
                let another = Gate::from_document(text).expect("a plan");
                prop_assert_eq!(answers(&another), answers(rollout.gate()));
                let with_files = published_with_list_files(&rollout, directory.path());
                let another = Gate::from_document(with_files).expect("a plan");
                prop_assert_eq!(answers(&another), answers(rollout.gate()));
            }
        }
    }
}

#[test]
fn a_document_keeps_its_comments_and_its_numbers() {
    let (rollout, _) = started(TOML);
    rollout.by("ana").force("stages-alone", "on").expect("nothing in the way");
    rollout.by("ana").force("built-in", "on").expect("nothing in the way");
    let text = published(&rollout);
    let reason = "skip_reason = \"at this stage since 1970-01-01T00:00:00Z\"";
    let expected = TOML
        .replace(
            "team = { users = [\"ana\"], users_file = \"team.txt\" }",
            "team = { users = [\"ana\",\n    \"ben\",\n    '\"quoted\" \\ ö',\n]}",
        )
        .replace(
            "users_file = \"wary.txt\" # asked to wait\n",
            "users = [\n    \"user-7\",\n    \"user-8\",\n]\n",
        )
        .replace("users_file = \"companies.txt\"\n", "users = [\n    \"acme\",\n]\n")
        .replace("all\", percent = 100 },\n]\n", "all\", percent = 100 },\n]\nstage = \"off\"\n")
        .replace("# where it began\n", &format!("# where it began\ndotted.{reason}\n"))
        .replace("wary = \"all\" } }", "wary = \"all\" } , stage = \"off\" }")
        .replace("hold_back = { eu = \"two\" }\n", "hold_back = { eu = \"two\" }\nstage = \"off\"\n")
        .replace(
            "[[flags.stages-alone.stages]]\nname = \"one\"",
            &format!("\n[flags.stages-alone]\nstage = \"one\"\n{reason}\n[[flags.stages-alone.stages]]\nname = \"one\""),
        )
        .replace("[flags.built-in]\n", &format!("[flags.built-in]\nstage = \"internal\"\n{reason}\n"));
    assert_eq!(text, expected);

    let (rollout, _) = started(JSON);
    let text = published(&rollout);
    assert!(text.contains("{\"name\": \"two\", \"percent\": 12.5000}"), "{text}");
}

#[test]
fn a_document_is_not_published_under_a_wrong_extension() {
    let (rollout, _) = started(JSON);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rollout.toml");
    let refused = PublishedDocument::of(&rollout)
        .expect("a plan")
        .write(&file)
        .expect_err("another notation");
    let says = "the document in force is JSON. Use a name that ends in `.json`";
    assert!(refused.message().ends_with(says));
    assert!(!file.exists());
    let keys: Vec<_> = users(b"\xef\xbb\xbfana\r\n\nben").collect();
    assert_eq!(keys, ["ana", "ben"]);
}

/// Returns the names of the list files of a document.
fn list_files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("rollout.toml.lists")).expect("lists");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a name").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_follower_finds_every_list_file_of_any_document() {
    let (rollout, _) = started(TOML);
    let directory = tempfile::tempdir().expect("a directory");
    let first = published_with_list_files(&rollout, directory.path());
    let of_first = list_files(directory.path());
    assert_eq!(of_first.len(), 3);

    // Another list gets another file.
    let changed = TOML.replace("team.txt", "team-two.txt");
    let other = tempfile::tempdir().expect("a directory");
    for (name, keys) in [
        ("team-two.txt", "ben\n\"quoted\" \\ ö\ncy\n"),
        ("wary.txt", "user-7\nuser-8\n"),
        ("companies.txt", "acme\n"),
    ] {
        std::fs::write(other.path().join(name), keys).expect("a file");
    }
    rollout.by("ana").update(Document::new(changed).directory(other.path())).expect("a plan");
    let second = published_with_list_files(&rollout, directory.path());
    assert_eq!(list_files(directory.path()).len(), 4);
    for document in [first, second] {
        Gate::from_document(document).expect("its lists are there");
    }
    assert!(of_first.iter().all(|name| list_files(directory.path()).contains(name)));

    // Old list files that neither the document nor the one before it names are removed. Other files stay.
    let lists = directory.path().join("rollout.toml.lists");
    let old = SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
    let foreign = format!("{}.txt", "0".repeat(64));
    for name in [&*foreign, "notes.txt"] {
        std::fs::write(lists.join(name), "").expect("a file");
    }
    for name in list_files(directory.path()) {
        let file = std::fs::File::options().write(true).open(lists.join(name)).expect("a list");
        file.set_modified(old).expect("a date");
    }
    rollout.by("ana").force("inline", "on").expect("nothing in the way");
    Gate::from_document(published_with_list_files(&rollout, directory.path())).expect("a plan");
    let left = list_files(directory.path());
    assert!(left.contains(&"notes.txt".to_owned()) && !left.contains(&foreign), "{left:?}");
    let of_first = left.iter().filter(|name| of_first.contains(name)).count();
    assert_eq!((left.len(), of_first), (4, 2), "only named list files, and other files");
}

#[test]
fn no_document_is_published_without_its_list_files() {
    let (rollout, _) = started(TOML);
    let directory = tempfile::tempdir().expect("a directory");
    let (plan, status) = (rollout.plan(), rollout.status());
    let flags =
        status.flags.iter().map(|flag| (flag.flag.clone(), FlagDeclaration::of(flag, None)));
    let published = PublishedDocument::new(plan.document(), flags.collect(), 0).expect("a plan");
    let file = directory.path().join("rollout.toml");
    let lists = published.lists(&file).expect("a directory of lists");
    std::fs::write(&lists, "not a directory").expect("a file");
    let refused = published.write(&file).expect_err("no directory for lists").message();
    assert!(refused.starts_with("cannot write `") && !file.exists(), "{refused}");

    std::fs::remove_file(&lists).expect("the file exists");
    assert!(published.write(&file).expect("a disk"));
    assert!(!published.write(&file).expect("a disk"), "unchanged");
    let lost = lists.join(&list_files(directory.path())[0]);
    std::fs::remove_file(&lost).expect("the file exists");
    assert!(published.write(&file).expect("a disk"), "a lost list file is written again");
    assert!(lost.exists());
}
