//! A flag in the format that LaunchDarkly's server sends.

use serde_json::{Value, json};

use crate::scenario::{PERCENT, Plan};

pub fn document(name: &str, plan: &Plan) -> Value {
    const WHOLE: u64 = 100_000;
    let on = WHOLE * PERCENT / 100;
    let targets = if plan.listed.is_empty() {
        json!([])
    } else {
        json!([{ "values": plan.listed, "variation": 1 }])
    };
    json!({
        "key": name, "version": 1, "on": true, "salt": name, "offVariation": 0,
        "variations": [false, true], "targets": targets, "rules": [], "prerequisites": [],
        "clientSide": false,
        "fallthrough": { "rollout": { "variations": [
            { "variation": 1, "weight": on },
            { "variation": 0, "weight": WHOLE - on },
        ] } },
    })
}
