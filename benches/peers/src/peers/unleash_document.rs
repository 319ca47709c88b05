//! A document in the format that Unleash's server sends.

use serde_json::{Value, json};

use crate::scenario::{PERCENT, Plan};

/// Builds the document. An allow-list is a separate strategy, `userWithId`.
pub fn document(plan: &Plan) -> Value {
    let list = json!({ "name": "userWithId", "parameters": { "userIds": plan.listed.join(",") } });
    let flag = |name: &String| {
        let split = json!({
            "name": "flexibleRollout",
            "parameters": {
                "rollout": PERCENT.to_string(), "stickiness": "userId", "groupId": name,
            },
        });
        let strategies =
            if plan.listed.is_empty() { vec![split] } else { vec![list.clone(), split] };
        json!({ "name": name, "type": "release", "enabled": true, "strategies": strategies })
    };
    let features: Vec<Value> = plan.flags.iter().map(flag).collect();
    json!({ "version": 2, "features": features })
}
