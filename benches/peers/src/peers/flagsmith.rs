//! `flagsmith-flag-engine`: the engine of Flagsmith's client. Hash: MD5 of flag and user.
//!
//! Its only call evaluates all flags of an environment for one user, and copies the environment to insert the user. So a
//! check of one of 1,000 flags evaluates all of them. Percentages are variants, which cost less than the segments that a
//! boolean flag would need.

use flagsmith_flag_engine::engine::get_evaluation_result;
use flagsmith_flag_engine::engine_eval::{EngineEvaluationContext, add_identity_to_context};
use serde_json::{Map, Value, json};

use crate::scenario::{PERCENT, Peer, Plan};

pub struct Flagsmith(EngineEvaluationContext);

fn document(plan: &Plan) -> Value {
    let feature = |name: &String| {
        let feature = json!({
            "key": name, "name": name, "enabled": true, "value": "off",
            "variants": [{ "key": "on", "value": "on", "weight": PERCENT as f64 }],
        });
        (name.clone(), feature)
    };
    let on = |name: &String| json!({ "key": "", "name": name, "enabled": true, "value": "on" });
    let list = json!({
        "key": "listed", "name": "listed",
        "rules": [{ "type": "ALL", "conditions": [
            { "operator": "IN", "property": "$.identity.identifier", "value": plan.listed },
        ] }],
        "overrides": plan.flags.iter().map(on).collect::<Vec<_>>(),
    });
    let segments = if plan.listed.is_empty() { json!({}) } else { json!({ "listed": list }) };
    json!({
        "environment": { "key": "peers", "name": "peers" },
        "features": plan.flags.iter().map(feature).collect::<Map<String, Value>>(),
        "segments": segments,
    })
}

impl Peer for Flagsmith {
    const NAME: &'static str = "flagsmith-flag-engine";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> Flagsmith {
        Flagsmith(serde_json::from_value(document(plan)).expect("a valid document"))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let answers = get_evaluation_result(&add_identity_to_context(&self.0, user, &[]));
        answers.flags.get(flag).is_some_and(|answer| answer.value.value == "on")
    }
}
