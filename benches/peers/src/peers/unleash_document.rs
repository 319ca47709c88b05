//! What a server of Unleash would send.

use serde_json::{Value, json};

use crate::work::{PERCENT, Plan};

/// An allow-list is a strategy of its own, `userWithId`.
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
