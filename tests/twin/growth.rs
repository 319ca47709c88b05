//! Growing only adds: a user in a stage is in every later stage, and keeps the flag across edits that grow the plan.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use stagegate::Gate;

use super::model::{Doc, Flag, Group, Member, Stage, StagesOf};
use super::oracle::Answer;
use super::strategies::{doc, free_group_name, people, ppm, some_users};

proptest! {
    /// A flag may let in users of other flags, which require it, but takes no flag from any user.
    #[test]
    fn a_user_in_a_stage_is_in_every_later_stage(mut doc in doc(), people in people()) {
        let gate = Gate::from_document(doc.toml()).unwrap();
        let keys: Vec<String> = doc.flags.iter().map(|flag| flag.key.clone()).collect();
        for key in &keys {
            let mut before: Option<BTreeSet<(&str, usize)>> = None;
            let last = doc.flag(key).unwrap().stages().len();
            for position in 0..=last {
                gate.force_stage(key, &doc.flag(key).unwrap().stage_name(position), "to see").unwrap();
                doc.move_flag(key, position);
                let mut enabled = BTreeSet::new();
                for (index, person) in people.iter().enumerate() {
                    for flag in &doc.flags {
                        let answer = Answer::from(gate.evaluate(person, &flag.key));
                        prop_assert_eq!(gate.is_enabled(person, &flag.key), answer.enabled);
                        if answer.enabled {
                            enabled.insert((keys.iter().find(|key| **key == flag.key).unwrap().as_str(), index));
                            let held_until = doc.held_until(flag, person);
                            prop_assert!(held_until <= flag.position, "{:?} is held back", person);
                        }
                        prop_assert_eq!(answer, doc.answer(&flag.key, person));
                    }
                }
                let is_on = enabled.iter().any(|(flag, _)| flag == key);
                prop_assert!(position > 0 || !is_on, "a user has a flag that is off");
                if let Some(before) = before.filter(|before| !before.is_subset(&enabled)) {
                    prop_assert!(false, "{} takes a flag: {:?}, {:?}", key, before, enabled);
                }
                before = Some(enabled);
            }
        }
    }

    #[test]
    fn users_keep_a_flag_across_edits_that_grow_the_plan(
        mut doc in doc(),
        people in people(),
        edits in vec(edit(), 1..8),
    ) {
        let gate = Gate::from_document(doc.toml()).unwrap();
        let mut keys: Vec<String> = doc.flags.iter().map(|flag| flag.key.clone()).collect();
        let enabled = |keys: &[String]| -> Vec<Vec<bool>> {
            let of_flag =
                |key: &String| people.iter().map(|p| gate.is_enabled(p, key)).collect();
            keys.iter().map(of_flag).collect()
        };
        let mut before = enabled(&keys);
        for (step, edit) in edits.iter().enumerate() {
            edit.apply(&mut doc, &mut keys);
            let text = if step % 2 == 0 { doc.json() } else { doc.toml() };
            let version = gate.update(text);
            prop_assert_eq!(version.map_err(|e| e.to_string()), Ok(step as u64 + 2), "{:?}", edit);
            let after = enabled(&keys);
            for (flag, (was, is)) in before.iter().zip(&after).enumerate() {
                let lost = was.iter().zip(is).position(|(was, is)| *was && !*is);
                prop_assert_eq!(lost, None, "{:?} takes {} from {:?}", edit, &keys[flag], people);
            }
            before = after;
        }
        for (key, person) in keys.iter().flat_map(|key| people.iter().map(move |p| (key, p))) {
            prop_assert_eq!(Answer::from(gate.evaluate(person, key)), doc.answer(key, person));
        }
    }
}

/// An edit that takes the flag from no user.
#[derive(Clone, Debug)]
enum Edit {
    /// Raises the percentages of a later stage and of the stages after it.
    RaiseLater {
        flag: Index,
        stage: Index,
        ppm: u32,
    },
    /// Adds users to a group without a hold-back.
    AddUsers {
        group: Index,
        users: Vec<String>,
    },
    /// Adds a new group to any stage.
    AddGroup {
        flag: Index,
        stage: Index,
        users: Vec<String>,
    },
    AppendStage {
        flag: Index,
    },
    /// Renames the flag and keeps its salt.
    Rename {
        flag: Index,
    },
    Advance {
        flag: Index,
    },
    Reorder,
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<Index>;
    prop_oneof![
        (index(), index(), ppm()).prop_map(|(flag, stage, ppm)| Edit::RaiseLater {
            flag,
            stage,
            ppm
        }),
        (index(), some_users()).prop_map(|(group, users)| Edit::AddUsers { group, users }),
        (index(), index(), some_users()).prop_map(|(flag, stage, users)| Edit::AddGroup {
            flag,
            stage,
            users
        }),
        index().prop_map(|flag| Edit::AppendStage { flag }),
        index().prop_map(|flag| Edit::Rename { flag }),
        index().prop_map(|flag| Edit::Advance { flag }),
        Just(Edit::Reorder),
    ]
}

impl Edit {
    /// Applies the edit to the document, and a renamed flag to `keys`.
    fn apply(&self, doc: &mut Doc, keys: &mut [String]) {
        let count = doc.flags.len();
        match self {
            Edit::RaiseLater { flag, stage, ppm } => {
                let flag = &mut doc.flags[flag.index(count)];
                let position = flag.position;
                let later = &mut own_stages(flag)[position..];
                if !later.is_empty() {
                    let first = stage.index(later.len());
                    for stage in &mut later[first..] {
                        stage.ppm = stage.ppm.max(Some(*ppm));
                    }
                }
            }
            Edit::AddUsers { group, users } => {
                let held: BTreeSet<&str> =
                    doc.flags.iter().flat_map(|flag| &flag.hold_back).map(|h| &*h.group).collect();
                let holds =
                    |group: &Group| held.iter().any(|held| includes(doc, held, &group.name));
                let is_free = |group: &Group| group.values_of.is_none() && !holds(group);
                let free: Vec<_> =
                    (0..doc.groups.len()).filter(|i| is_free(&doc.groups[*i])).collect();
                if !free.is_empty() {
                    doc.groups[free[group.index(free.len())]].users.extend_from_slice(users);
                }
            }
            Edit::AddGroup { flag, stage, users } => {
                let name = free_group_name(doc);
                // A new group may not let in users whom the plan lists for a later stage.
                let mut users = users.clone();
                users.retain(|user| doc.groups.iter().all(|group| !group.users.contains(user)));
                let group = Group { name: name.clone(), users, ..Group::default() };
                doc.groups.push(group);
                let stages = own_stages(&mut doc.flags[flag.index(count)]);
                let stage = stage.index(stages.len());
                stages[stage].groups.push(name);
            }
            Edit::AppendStage { flag } => {
                let stages = own_stages(&mut doc.flags[flag.index(count)]);
                let name = format!("stage-{}", stages.len());
                stages.push(Stage { name, ..Stage::default() });
            }
            Edit::Rename { flag } => {
                let index = flag.index(count);
                let before = doc.flags[index].key.clone();
                let mut required = doc.flags.iter().flat_map(|flag| &flag.requires);
                // The gate cannot know that a flag is the same under its new name. So the flags that require it would
                // need a reason.
                let is_required = required.any(|(key, _)| *key == before);
                let key = format!("renamed-{before}");
                if key.len() <= stagegate::limits::MAX_KEY_BYTES && !is_required {
                    let flag = &mut doc.flags[index];
                    flag.salt.get_or_insert_with(|| before.clone());
                    let place = keys.iter_mut().find(|name| **name == before);
                    key.clone_into(place.unwrap());
                    flag.key = key;
                }
            }
            Edit::Advance { flag } => {
                let flag = &mut doc.flags[flag.index(count)];
                flag.position = (flag.position + 1).min(flag.stages().len());
            }
            Edit::Reorder => {
                doc.flags.reverse();
                doc.groups.reverse();
            }
        }
    }
}

/// Writes the flag's stages into the flag itself, which changes no answer, and returns them.
fn own_stages(flag: &mut Flag) -> &mut Vec<Stage> {
    flag.plan = StagesOf::Own(flag.stages());
    match &mut flag.plan {
        StagesOf::Own(stages) => stages,
        StagesOf::BuiltIn | StagesOf::Shared(_) => unreachable!("just set"),
    }
}

/// Returns whether a group is another one, or includes it.
fn includes(doc: &Doc, name: &str, other: &str) -> bool {
    let group = doc.groups.iter().find(|group| group.name == name).unwrap();
    name == other
        || group.any.iter().any(
            |member| matches!(member, Member::Group(included) if includes(doc, included, other)),
        )
}
