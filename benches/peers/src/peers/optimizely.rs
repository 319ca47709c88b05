//! `optimizely`: an unofficial client. Hash: MurmurHash3 of user and rule.
//!
//! Built without its `online` feature, so it sends no decisions. An audience sees attributes but not the id. So with an
//! allow-list, the id is also passed as an attribute.

use optimizely::{AttributeValue, Client};
use serde_json::{Value, json};

use crate::scenario::{PERCENT, Peer, Plan};

pub struct Optimizely {
    client: Client,
    /// Whether an audience needs the id as an attribute.
    has_list: bool,
}

fn document(plan: &Plan) -> Value {
    let mut conditions = vec![json!("or")];
    conditions.extend(plan.listed.iter().map(
        |id| json!({ "match": "exact", "name": "id", "type": "custom_attribute", "value": id }),
    ));
    let audience = json!({ "id": "listed", "name": "listed", "conditions": conditions });
    let rule = |id: String, audiences: &[&str], percent: u64| {
        json!({
            "id": id, "key": id, "layerId": id, "status": "Running", "audienceIds": audiences,
            "trafficAllocation": [{ "entityId": "on", "endOfRange": percent * 100 }],
            "variations": [{ "id": "on", "key": "on", "featureEnabled": true, "variables": [] }],
            "forcedVariations": {},
        })
    };
    let has_list = !plan.listed.is_empty();
    let rollout = |name: &String| {
        let split = rule(format!("{name}-split"), &[], PERCENT);
        let rules = if has_list {
            vec![rule(format!("{name}-listed"), &["listed"], 100), split]
        } else {
            vec![split]
        };
        json!({ "id": name, "experiments": rules })
    };
    let flag = |name: &String| {
        json!({
            "id": name, "key": name, "rolloutId": name, "experimentIds": [], "variables": [],
        })
    };
    json!({
        "accountId": "1", "projectId": "1", "environmentKey": "peers", "sdkKey": "peers",
        "revision": "1", "botFiltering": false, "anonymizeIP": true, "events": [],
        "attributes": [{ "id": "1", "key": "id" }],
        "typedAudiences": if has_list { json!([audience]) } else { json!([]) },
        "experiments": [],
        "rollouts": plan.flags.iter().map(rollout).collect::<Vec<_>>(),
        "featureFlags": plan.flags.iter().map(flag).collect::<Vec<_>>(),
    })
}

impl Peer for Optimizely {
    const NAME: &'static str = "optimizely";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> Optimizely {
        let client = Client::from_string(document(plan).to_string()).expect("a valid document");
        Optimizely { client: client.initialize(), has_list: !plan.listed.is_empty() }
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let mut context = self.client.create_user_context(user);
        if self.has_list {
            context.set_attribute("id", AttributeValue::String(user.clone()));
        }
        context.decide(flag).enabled()
    }
}
