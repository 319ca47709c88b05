//! This library: pinned, by handle and by name.

use std::fmt::Write as _;

use stagegate::{FlagHandle, Gate};

use crate::scenario::{PERCENT, Peer, Plan};

fn gate(plan: &Plan) -> Gate {
    let mut document = String::from("schema = 1\n");
    let mut groups = "";
    if !plan.listed.is_empty() {
        writeln!(document, "[groups.listed]\nusers = {:?}", plan.listed).expect("a string grows");
        groups = "groups = [\"listed\"]\n";
    }
    for name in &plan.flags {
        write!(
            document,
            "[flags.{name}]\nstage = \"pilot\"\n\
             [[flags.{name}.stages]]\nname = \"pilot\"\n{groups}percent = {PERCENT}\n"
        )
        .expect("a string grows");
    }
    Gate::from_document(document).expect("a valid plan")
}

/// A pinned version, used for many checks, and a handle.
pub struct Pinned {
    gate: Gate,
    pinned: stagegate::Pinned,
}

impl Peer for Pinned {
    const NAME: &'static str = "**stagegate**, pinned and by handle";
    type Flag = FlagHandle;
    type User = String;

    fn new(plan: &Plan) -> Pinned {
        let gate = gate(plan);
        Pinned { pinned: gate.pin(), gate }
    }

    fn flag(&self, name: &str) -> FlagHandle {
        self.gate.flag(name)
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &FlagHandle, user: &String) -> bool {
        flag.is_enabled_in(&self.pinned, user.as_str())
    }
}

pub struct ByHandle(Gate);

impl Peer for ByHandle {
    const NAME: &'static str = "**stagegate**, by handle";
    type Flag = FlagHandle;
    type User = String;

    fn new(plan: &Plan) -> ByHandle {
        ByHandle(gate(plan))
    }

    fn flag(&self, name: &str) -> FlagHandle {
        self.0.flag(name)
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &FlagHandle, user: &String) -> bool {
        flag.is_enabled(user.as_str())
    }
}

pub struct ByName(Gate);

impl Peer for ByName {
    const NAME: &'static str = "**stagegate**, by name";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> ByName {
        ByName(gate(plan))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        self.0.is_enabled(user.as_str(), flag)
    }
}
