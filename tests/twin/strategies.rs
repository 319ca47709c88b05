//! Strategies for random valid documents and for people.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::model::{Doc, Flag, Group, Stage, StagesOf};
use super::oracle::Person;

const GROUPS: [&str; 4] = ["team", "eu", "9.of_diamonds", "Held-back"];
const FLAGS: [&str; 5] = ["a", "new-checkout", "New-checkout", "search.v2", "zz_top"];
const SALTS: [&str; 3] = ["shared", "a", "salt \u{1f9c2} \"\\\n"];
const STAGES: [&str; 6] = ["internal", "pilot", "ga", "ring-0", "1", "Everybody"];
const ATTRIBUTES: [&str; 3] = ["region", "plan", "größe"];
const VALUES: [&str; 4] = ["eu", "us", "EU", " "];
/// Only a few, so that people are often listed.
const USERS: [&str; 8] = ["ana", "ben", "42", "-7", "user-1", "user-2", "Ana", "\u{1f600} smith"];

/// A valid document with its flags at any stage.
pub(crate) fn doc() -> impl Strategy<Value = Doc> {
    subsequence(&GROUPS, 0..=4).prop_flat_map(|names| {
        let groups: Vec<_> = names.iter().map(|name| group(name)).collect();
        let flags = subsequence(&FLAGS, 1..=4);
        let flags = flags.prop_flat_map(move |keys| {
            keys.into_iter().map(|key| flag(key, names.clone())).collect::<Vec<_>>()
        });
        (groups, flags).prop_map(|(groups, flags)| Doc { groups, flags, per_update: None })
    })
}

fn group(name: &str) -> impl Strategy<Value = Group> + use<> {
    let name = name.to_owned();
    let users = subsequence(&USERS, 0..=4);
    // Without the blank value, which makes a document invalid.
    let values = subsequence(&VALUES[..3], 1..=2);
    let rules = btree_map(select(&ATTRIBUTES[..]), values, 0..=2);
    (users, rules).prop_map(move |(users, rules)| {
        let rules = rules.into_iter().map(|(name, values)| (name.to_owned(), owned(&values)));
        Group { name: name.clone(), users: owned(&users), rules: rules.collect() }
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
    let holds = groups.len().min(2);
    let holds = (subsequence(groups, 0..=holds), vec(any::<Index>(), 2));
    (salt, plan, any::<Index>(), holds).prop_map(move |(salt, plan, position, holds)| {
        let salt = salt.map(str::to_owned);
        let mut flag = Flag {
            key: key.clone(),
            salt,
            position: 0,
            plan,
            hold_back: Vec::new(),
            skip_reason: None,
        };
        let count = flag.stages().len();
        flag.position = position.index(count + 1);
        let (held, until) = holds;
        let until = until.iter().map(|index| 1 + index.index(count));
        flag.hold_back = owned(&held).into_iter().zip(until).collect();
        flag
    })
}

fn stages(groups: Vec<&'static str>) -> impl Strategy<Value = Vec<Stage>> + Clone {
    let some = groups.len().min(2);
    let members = vec(subsequence(groups, 0..=some), STAGES.len());
    let names = subsequence(&STAGES, 1..=STAGES.len()).prop_shuffle();
    let written = vec(prop::bool::weighted(0.8), STAGES.len());
    (names, members, vec(ppm(), STAGES.len()), written).prop_map(
        |(names, members, mut ppm, written)| {
            ppm.sort_unstable();
            let rest = members.into_iter().zip(ppm).zip(written);
            let stage = |(name, ((groups, ppm), written)): (&str, ((Vec<&str>, u32), bool))| {
                let (name, groups) = (name.to_owned(), owned(&groups));
                Stage { name, ppm: written.then_some(ppm), groups }
            };
            names.into_iter().zip(rest).map(stage).collect()
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
    let attribute = (select(&ATTRIBUTES[..]), select(&VALUES[..]));
    let attribute = attribute.prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    let person = (key, vec(attribute, 0..4));
    vec(person.prop_map(|(key, attributes)| Person { key, attributes }), 1..8)
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
                    group.rules.iter_mut().for_each(|(_, values)| values.reverse());
                }
                flags.iter_mut().for_each(reverse_sets);
            }
            (doc, Doc { groups, flags, per_update: None })
        })
    })
}

fn reverse_sets(flag: &mut Flag) {
    flag.hold_back.reverse();
    if let StagesOf::Own(stages) | StagesOf::Shared(stages) = &mut flag.plan {
        stages.iter_mut().for_each(|stage| stage.groups.reverse());
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
