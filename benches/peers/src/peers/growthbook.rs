//! `growthbook-rust`: GrowthBook's client. Hash: FNV-1a of flag and user.
//!
//! Each call copies all flags under a lock, so its cost grows with the number of flags. It takes the user's attributes by
//! value, so there is no row with prebuilt attributes.

use growthbook_rust::client::{GrowthBookClient, GrowthBookClientBuilder, GrowthBookClientTrait};
use growthbook_rust::model_public::{GrowthBookAttribute, GrowthBookAttributeValue};
use serde_json::{Map, Value, json};

use crate::scenario::{PERCENT, Peer, Plan, ready};

pub struct GrowthBook(GrowthBookClient);

fn document(plan: &Plan) -> Value {
    let list = json!({ "condition": { "id": { "$in": plan.listed } }, "force": true });
    let split = json!({ "force": true, "coverage": PERCENT as f64 / 100.0, "hashAttribute": "id" });
    let rules = if plan.listed.is_empty() { vec![split] } else { vec![list, split] };
    let feature = |name: &String| (name.clone(), json!({ "defaultValue": false, "rules": rules }));
    Value::Object(plan.flags.iter().map(feature).collect::<Map<String, Value>>())
}

impl Peer for GrowthBook {
    const NAME: &'static str = "growthbook-rust";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> GrowthBook {
        let builder = GrowthBookClientBuilder::new().features_json(document(plan));
        let client = ready(builder.expect("a valid document").build());
        GrowthBook(client.expect("a client"))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let id = GrowthBookAttributeValue::String(user.clone());
        self.0.is_on(flag, Some(vec![GrowthBookAttribute::new("id".to_owned(), id)]))
    }
}
