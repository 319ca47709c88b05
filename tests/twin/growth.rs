//! Growing only adds: a user in a stage is in every later stage, and keeps the flag across edits that grow the plan.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use stagegate::Gate;

use super::model::{Doc, Flag, Group, Stage, StagesOf};
use super::oracle::Answer;
use super::strategies::{doc, free_group_name, people, ppm, some_users};

proptest! {
    #[test]
    fn a_user_in_a_stage_is_in_every_later_stage(doc in doc(), people in people()) {
        let gate = Gate::from_document(doc.toml()).unwrap();
        for flag in &doc.flags {
            let mut enabled: Vec<BTreeSet<usize>> = Vec::new();
            for position in 0..=flag.stages().len() {
                gate.force_stage(&flag.key, &flag.stage_name(position), "to see").unwrap();
                for person in &people {
                    let answer = Answer::from(gate.evaluate(person, &flag.key));
                    prop_assert_eq!(answer, doc.answer_at(flag, position, person));
                }
                let is_in = |index: &usize| gate.is_enabled(&people[*index], &flag.key);
                enabled.push((0..people.len()).filter(is_in).collect());
            }
            for (later, at_later) in enabled.iter().enumerate() {
                for at_earlier in &enabled[..later] {
                    prop_assert!(at_earlier.is_subset(at_later), "{} shrinks: {:?}", flag.key, enabled);
                }
                for index in at_later {
                    let held_until = doc.held_until(flag, &people[*index]);
                    prop_assert!(held_until <= later, "{:?} is held back", people[*index]);
                }
            }
            prop_assert!(enabled[0].is_empty(), "a user has a flag that is off");
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
                let holds = |group: &Group| {
                    let mut held = doc.flags.iter().flat_map(|flag| &flag.hold_back);
                    held.any(|(name, _)| *name == group.name)
                };
                let free: Vec<_> =
                    (0..doc.groups.len()).filter(|i| !holds(&doc.groups[*i])).collect();
                if !free.is_empty() {
                    doc.groups[free[group.index(free.len())]].users.extend_from_slice(users);
                }
            }
            Edit::AddGroup { flag, stage, users } => {
                let name = free_group_name(doc);
                // A new group may not let in users whom the plan lists for a later stage.
                let mut users = users.clone();
                users.retain(|user| doc.groups.iter().all(|group| !group.users.contains(user)));
                let group = Group { name: name.clone(), users, rules: Vec::new() };
                doc.groups.push(group);
                let stages = own_stages(&mut doc.flags[flag.index(count)]);
                let stage = stage.index(stages.len());
                stages[stage].groups.push(name);
            }
            Edit::AppendStage { flag } => {
                let stages = own_stages(&mut doc.flags[flag.index(count)]);
                let name = format!("stage-{}", stages.len());
                stages.push(Stage { name, ppm: None, groups: Vec::new() });
            }
            Edit::Rename { flag } => {
                let flag = &mut doc.flags[flag.index(count)];
                let key = format!("renamed-{}", flag.key);
                if key.len() <= stagegate::limits::MAX_KEY_BYTES {
                    flag.salt.get_or_insert_with(|| flag.key.clone());
                    let place = keys.iter_mut().find(|name| **name == flag.key);
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
