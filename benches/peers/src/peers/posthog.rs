//! `posthog-rs`: PostHog's local evaluation. Hash: SHA-1 of flag and user.
//!
//! Calls the evaluator directly, because the client also queues an event for each check. A condition sees properties but not
//! the id. So with an allow-list, the id is also passed as a property.

use std::collections::HashMap;

use posthog_rs::{FlagCache, FlagValue, LocalEvaluator};
use serde_json::{Value, json};

use crate::scenario::{PERCENT, Peer, Plan};

pub struct PostHog {
    evaluator: LocalEvaluator,
    /// Whether a condition needs the id as a property.
    has_list: bool,
}

fn document(plan: &Plan) -> Value {
    let list = json!({
        "properties": [{
            "key": "id", "value": plan.listed, "operator": "exact", "type": "person",
        }],
        "rollout_percentage": 100, "variant": null,
    });
    let split = json!({ "properties": [], "rollout_percentage": PERCENT, "variant": null });
    let groups = if plan.listed.is_empty() { vec![split] } else { vec![list, split] };
    let flag =
        |name: &String| json!({ "key": name, "active": true, "filters": { "groups": groups } });
    json!({ "flags": plan.flags.iter().map(flag).collect::<Vec<_>>() })
}

impl Peer for PostHog {
    const NAME: &'static str = "posthog-rs";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> PostHog {
        let cache = FlagCache::new();
        cache.update(serde_json::from_value(document(plan)).expect("a valid document"));
        PostHog { evaluator: LocalEvaluator::new(cache), has_list: !plan.listed.is_empty() }
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let mut properties = HashMap::new();
        if self.has_list {
            properties.insert("id".to_owned(), json!(user));
        }
        let (groups, group_properties) = (HashMap::new(), HashMap::new());
        let answer = self.evaluator.evaluate_flag_simple(
            flag,
            user,
            &properties,
            &groups,
            &group_properties,
        );
        matches!(answer, Ok(Some(FlagValue::Boolean(true))))
    }
}
