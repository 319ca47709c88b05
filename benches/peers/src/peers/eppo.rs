//! `eppo_core`: the engine of Eppo's clients. Hash: MD5, with the salt hashed in advance.
//!
//! `doLog` is off, so it logs no assignment. It reads the clock for each check, because an allocation may have a start and
//! an end.

use std::sync::Arc;

use eppo_core::configuration_store::ConfigurationStore;
use eppo_core::eval::{Evaluator, EvaluatorConfig};
use eppo_core::ufc::{UniversalFlagConfig, VariationType};
use eppo_core::{Attributes, Configuration, SdkMetadata, Str};
use serde_json::{Map, Value, json};

use crate::scenario::{PERCENT, Peer, Plan};

pub struct Eppo {
    evaluator: Evaluator,
    /// Empty, and shared by all users.
    attributes: Arc<Attributes>,
}

fn document(plan: &Plan) -> Value {
    const SHARDS: u64 = 10_000;
    let list = json!({
        "key": "listed", "doLog": false,
        "rules": [{ "conditions": [
            { "attribute": "id", "operator": "ONE_OF", "value": plan.listed },
        ] }],
        "splits": [{ "variationKey": "on", "shards": [] }],
    });
    let flag = |name: &String| {
        let range = json!({ "start": 0, "end": SHARDS * PERCENT / 100 });
        let split = json!({
            "key": "split", "doLog": false,
            "splits": [{
                "variationKey": "on", "shards": [{ "salt": name, "ranges": [range] }],
            }],
        });
        let allocations =
            if plan.listed.is_empty() { vec![split] } else { vec![list.clone(), split] };
        let flag = json!({
            "key": name, "enabled": true, "variationType": "BOOLEAN", "totalShards": SHARDS,
            "variations": { "on": { "key": "on", "value": true } },
            "allocations": allocations,
        });
        (name.clone(), flag)
    };
    let flags: Map<String, Value> = plan.flags.iter().map(flag).collect();
    json!({
        "createdAt": "2026-01-01T00:00:00Z", "format": "SERVER",
        "environment": { "name": "peers" }, "flags": flags,
    })
}

impl Peer for Eppo {
    const NAME: &'static str = "eppo_core";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> Eppo {
        let sdk_metadata = SdkMetadata { name: "peers", version: "0" };
        let document = document(plan).to_string().into_bytes();
        let flags = UniversalFlagConfig::from_json(sdk_metadata, document).expect("a document");
        let configuration_store = Arc::new(ConfigurationStore::new());
        let configuration = Configuration::from_server_response(flags, None);
        configuration_store.set_configuration(Arc::new(configuration));
        let evaluator = Evaluator::new(EvaluatorConfig { configuration_store, sdk_metadata });
        Eppo { evaluator, attributes: Arc::default() }
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let answer = self.evaluator.get_assignment(
            flag,
            &Str::from(user.as_str()),
            &self.attributes,
            Some(VariationType::Boolean),
        );
        // A user outside all allocations has no assignment.
        let assignment = answer.ok().flatten();
        assignment.is_some_and(|assignment| assignment.value.as_boolean() == Some(true))
    }
}
