//! Strategies for random valid documents and for people.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::model::{Condition, Doc, Flag, Group, Hold, Member, NEVER, Stage, StagesOf, Test};
use super::oracle::{Person, Value};

const GROUPS: [&str; 4] = ["team", "eu", "9.of_diamonds", "Held-back"];
const FLAGS: [&str; 5] = ["a", "new-checkout", "New-checkout", "search.v2", "zz_top"];
const SALTS: [&str; 3] = ["shared", "a", "salt \u{1f9c2} \"\\\n"];
const STAGES: [&str; 6] = ["internal", "pilot", "ga", "ring-0", "1", "Everybody"];
const ATTRIBUTES: [&str; 3] = ["region", "plan", "größe"];
const VALUES: [&str; 4] = ["eu", "us", "EU", " "];
/// Values of any attribute, near the limits below.
const TEXTS: [&str; 40] = [
    "eu",
    "us",
    "EU",
    " ",
    "",
    "eu-west",
    "west-eu",
    "1",
    "true",
    "99",
    "100",
    "100.0",
    "100.5",
    "1000",
    "-100",
    "-0.00",
    "0",
    "18446744073709551616",
    "100.00000000000000000000001",
    "1e3",
    "+5",
    " 100",
    "2.9.9",
    "2.10.0",
    "v2.10.0",
    "2.10",
    "2.10.0-rc.1",
    "2.11.0-rc.1",
    "2.10.0+build.7",
    "1.0.0-999",
    "1.0.0-2345",
    "2.10.0.1",
    "2026-01-04",
    "2026-01-05",
    "2026-01-05T23:59:59Z",
    "2026-01-06T00:30:00+01:00",
    "2026-01-05T09:00:00.5-05:00",
    "2026-01-05T09:00:00",
    "2026-02-30",
    "1767600000",
];
const NUMBERS: [&str; 6] = ["100", "99.5", "0", "-100", "18446744073709551616", "1"];
const VERSIONS: [&str; 6] = ["2.10.0", "2.10", "v2", "2.10.0-rc.1", "1.0.0-1234", "0.1.0"];
const DATES: [&str; 5] =
    ["2026-01-05", "2026-01-01", "2026-01-05T23:30:00Z", "2026-01-06T00:30:00+01:00", "1969-12-31"];
const SIGNS: [&str; 5] = [">=", ">", "<=", "<", "="];
/// Only a few, so that people are often listed.
const USERS: [&str; 8] = ["ana", "ben", "42", "-7", "user-1", "user-2", "Ana", "\u{1f600} smith"];

/// A valid document with its flags at any stage.
pub(crate) fn doc() -> impl Strategy<Value = Doc> {
    subsequence(&GROUPS, 0..=4).prop_flat_map(|names| {
        let groups: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(index, name)| group(name, &names[index + 1..]))
            .collect();
        let flags = subsequence(&FLAGS, 1..=4);
        let flags = flags.prop_flat_map(move |keys| {
            keys.into_iter().map(|key| flag(key, names.clone())).collect::<Vec<_>>()
        });
        let requires = vec(prop::option::weighted(0.15, any::<Index>()), 6);
        (groups, flags, requires).prop_map(|(groups, mut flags, requires)| {
            add_requirements(&mut flags, &requires);
            Doc { groups, flags, per_update: None }
        })
    })
}

/// Lets flags require flags before them: chains and diamonds.
fn add_requirements(flags: &mut [Flag], requires: &[Option<Index>]) {
    let pairs = (1..flags.len()).flat_map(|later| (0..later).map(move |earlier| (earlier, later)));
    for ((earlier, later), position) in pairs.zip(requires) {
        if let Some(position) = position {
            let position = 1 + position.index(flags[earlier].stages().len());
            let key = flags[earlier].key.clone();
            flags[later].requires.push((key, position));
        }
    }
}

/// A group that may include the groups with these names.
pub(crate) fn group(
    name: &str,
    others: &[&'static str],
) -> impl Strategy<Value = Group> + Clone + use<> {
    let name = name.to_owned();
    let by_key = subsequence(&USERS, 0..=4).prop_map(|users| (None, owned(&users)));
    let values = subsequence(&["eu", "us", "100", "true"], 1..=2);
    let by_value = (select(&ATTRIBUTES[..]), values)
        .prop_map(|(attribute, values)| (Some(attribute.to_owned()), owned(&values)));
    let table = prop_oneof![3 => Just(Vec::new()), 3 => conditions(1), 1 => conditions(2)];
    let included = subsequence(others.to_vec(), 0..=others.len().min(2));
    let included = prop_oneof![2 => Just(Vec::new()), 1 => included];
    let any = (included, prop_oneof![3 => Just(Vec::new()), 1 => vec(conditions(2), 1..3)]);
    (prop_oneof![4 => by_key, 1 => by_value], table, any).prop_map(
        move |((values_of, users), rules, (included, tables))| {
            let included = included.into_iter().map(|name| Member::Group(name.to_owned()));
            let any = included.chain(tables.into_iter().map(Member::Table)).collect();
            Group { name: name.clone(), users, values_of, rules, any }
        },
    )
}

/// One to `most` conditions on different attributes.
fn conditions(most: usize) -> impl Strategy<Value = Vec<Condition>> + Clone {
    btree_map(select(&ATTRIBUTES[..]), tests(), 1..=most).prop_map(|conditions| {
        let conditions = conditions.into_iter();
        let condition =
            |(name, tests): (&str, Vec<Test>)| Condition { attribute: name.to_owned(), tests };
        conditions.map(condition).collect()
    })
}

/// Mostly one test. More are all of different kinds, in any order.
fn tests() -> impl Strategy<Value = Vec<Test>> + Clone {
    let values = || {
        // Without the blank value, which makes a document invalid.
        subsequence(&["eu", "us", "EU", "100", "2.10.0", "true"], 1..=2).prop_map(|v| owned(&v))
    };
    let part = || select(&["e", "eu", "u", "1", "10", "-", "st"][..]).prop_map(str::to_owned);
    let bounds = |kind: &'static str, limits: &'static [&'static str]| {
        let bound = (select(&SIGNS[..]), select(limits));
        let bound = bound.prop_map(|(sign, limit)| (sign, limit.to_owned()));
        vec(bound, 1..=2).prop_map(move |bounds| Test::Bounds(kind, bounds))
    };
    let one = prop_oneof![
        4 => values().prop_map(Test::In),
        2 => values().prop_map(Test::NotIn),
        1 => part().prop_map(Test::Prefix),
        1 => part().prop_map(Test::Suffix),
        1 => part().prop_map(Test::Contains),
        2 => bounds("number", &NUMBERS),
        2 => bounds("version", &VERSIONS),
        2 => bounds("date", &DATES),
        1 => Just(Test::Present),
    ];
    prop_oneof![3 => vec(one.clone(), 1), 1 => vec(one, 2..=3)].prop_map(|mut tests| {
        let mut kinds = Vec::new();
        tests.retain(|test| {
            let kind = match test {
                Test::Bounds(kind, _) => (*kind).to_owned(),
                test => format!("{:?}", std::mem::discriminant(test)),
            };
            let is_new = !kinds.contains(&kind);
            kinds.push(kind);
            is_new
        });
        tests
    })
}

fn flag(key: &str, groups: Vec<&'static str>) -> impl Strategy<Value = Flag> + use<> {
    let key = key.to_owned();
    let salt = prop::option::weighted(0.4, select(&SALTS[..]));
    let members = stages(groups.clone());
    let plan = prop_oneof![
        1 => Just(StagesOf::BuiltIn),
        4 => members.clone().prop_map(StagesOf::Own),
        1 => members.prop_map(StagesOf::Shared),
    ];
    let by = prop::option::weighted(0.2, select(&ATTRIBUTES[..]));
    let most = groups.len().min(2);
    let only = prop_oneof![4 => Just(Vec::new()), 1 => subsequence(groups.clone(), 0..=most)];
    let excepts = vec(subsequence(groups.clone(), 0..=most.min(1)), 2);
    let until = prop_oneof![5 => any::<Index>().prop_map(Some), 1 => Just(None)];
    let holds = (subsequence(groups, 0..=most), vec(until, 2), excepts);
    (salt, plan, any::<Index>(), holds, by, only).prop_map(
        move |(salt, plan, position, (held, until, excepts), by, only)| {
            let [salt, by] = [salt, by].map(|text| text.map(str::to_owned));
            let (key, only) = (key.clone(), owned(&only));
            let mut flag = Flag { key, salt, plan, by, only, ..Flag::default() };
            let count = flag.stages().len();
            flag.position = position.index(count + 1);
            let until = until.iter().map(|until| until.map_or(NEVER, |it| 1 + it.index(count)));
            let holds = owned(&held).into_iter().zip(until).zip(excepts);
            let hold = |((group, until), except): ((String, usize), Vec<&str>)| Hold {
                group,
                until,
                except: owned(&except),
            };
            flag.hold_back = holds.map(hold).collect();
            flag
        },
    )
}

fn stages(groups: Vec<&'static str>) -> impl Strategy<Value = Vec<Stage>> + Clone {
    let some = groups.len().min(2);
    let members = vec(subsequence(groups.clone(), 0..=some), STAGES.len());
    let within = prop_oneof![3 => Just(Vec::new()), 1 => subsequence(groups, 0..=some)];
    let names = subsequence(&STAGES, 1..=STAGES.len()).prop_shuffle();
    let written = vec(prop::bool::weighted(0.8), STAGES.len());
    (names, members, vec(ppm(), STAGES.len()), written, vec(within, STAGES.len())).prop_map(
        |(names, members, mut ppm, written, within)| {
            ppm.sort_unstable();
            let mut stages = Vec::new();
            for (index, name) in names.into_iter().enumerate() {
                let (groups, within) = (owned(&members[index]), owned(&within[index]));
                // A stage with `within` states its percentage.
                let is_written = written[index] || !within.is_empty();
                let ppm = is_written.then_some(ppm[index]);
                stages.push(Stage { name: name.to_owned(), ppm, groups, within });
            }
            stages
        },
    )
}

pub(crate) fn ppm() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![
        select(&[0, 0, 1, 10_000, 250_000, 500_000, 999_999, 1_000_000, 1_000_000][..]),
        0..=1_000_000_u32,
    ]
}

/// People whom the documents list, and people with arbitrary keys.
pub(crate) fn people() -> impl Strategy<Value = Vec<Person>> {
    let key = prop_oneof![
        select(&USERS[..]).prop_map(|key| key.as_bytes().to_vec()),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        vec(any::<u8>(), 0..40),
        // XXH3 uses another algorithm for keys of more than 240 bytes.
        vec(any::<u8>(), 241..600),
    ];
    let attribute = (select(&ATTRIBUTES[..]), value());
    let attribute = attribute.prop_map(|(name, value)| (name.to_owned(), value));
    let person = (key, vec(attribute, 0..5));
    vec(person.prop_map(|(key, attributes)| Person { key, attributes }), 1..8)
}

/// A text that groups may name, or a value of another type.
pub(crate) fn value() -> impl Strategy<Value = Value> + Clone {
    let text = |text: &str| Value::Text(text.to_owned());
    prop_oneof![
        6 => select(&VALUES[..]).prop_map(text),
        8 => select(&TEXTS[..]).prop_map(text),
        2 => select(&[100, 99, -100, 0, 1, i64::MIN, i64::MAX][..]).prop_map(Value::Signed),
        1 => select(&[100, 1, u64::MAX][..]).prop_map(Value::Unsigned),
        2 => select(&[100.0, 99.5, -0.0, 1e300, 5e-324, f64::NAN][..]).prop_map(Value::Decimal),
        1 => any::<bool>().prop_map(Value::Bool),
    ]
}

/// A document, and the same document with everything reordered whose order has no meaning.
pub(crate) fn doc_and_shuffled() -> impl Strategy<Value = (Doc, Doc)> {
    doc().prop_flat_map(|doc| {
        let groups = Just(doc.groups.clone()).prop_shuffle();
        let flags = Just(doc.flags.clone()).prop_shuffle();
        (Just(doc), groups, flags, any::<bool>()).prop_map(|(doc, mut groups, mut flags, turn)| {
            if turn {
                for group in &mut groups {
                    group.users.reverse();
                    group.rules.reverse();
                    group.any.reverse();
                    group.rules.iter_mut().for_each(|rule| rule.tests.reverse());
                }
                flags.iter_mut().for_each(reverse_sets);
            }
            (doc, Doc { groups, flags, per_update: None })
        })
    })
}

fn reverse_sets(flag: &mut Flag) {
    flag.hold_back.reverse();
    flag.only.reverse();
    flag.requires.reverse();
    if let StagesOf::Own(stages) | StagesOf::Shared(stages) = &mut flag.plan {
        for stage in stages {
            stage.groups.reverse();
            stage.within.reverse();
        }
    }
}

/// Returns the keys to evaluate: every flag that a document may have, and unknown keys.
pub(crate) fn asked_keys() -> impl Iterator<Item = &'static str> {
    FLAGS.into_iter().chain(["no-such-flag", "", "\u{0}", "internal"])
}

/// Returns a group name that the document does not use.
pub(crate) fn free_group_name(doc: &Doc) -> String {
    let taken: Vec<_> = doc.groups.iter().map(|group| &group.name).collect();
    (0..).map(|n| format!("group-{n}")).find(|name| !taken.contains(&name)).unwrap()
}

/// One to three of the users.
pub(crate) fn some_users() -> impl Strategy<Value = Vec<String>> {
    btree_set(select(&USERS[..]), 1..4)
        .prop_map(|users| owned(&users.into_iter().collect::<Vec<_>>()))
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
