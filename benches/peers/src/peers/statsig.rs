//! `statsig-rust`: Statsig's client, SHA-256 of rule and user.
//!
//! A document given at the start stands for its servers. By the call that logs no exposure, with
//! logging and network off; it counts each answer all the same. It remembers the hashes of 10,000
//! pairs of rule and user, and the users who ask here are fewer: this is what it costs to remember.
//! With 100,000 other users before them a check took five times as long.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use statsig_rust::statsig_core_api_options::FeatureGateEvaluationOptions;
use statsig_rust::{StatsigBootstrapSpecsAdapter, StatsigOptions, StatsigUser};
use tokio::runtime::{Builder, Runtime};

use crate::work::{PERCENT, Peer, Plan};

pub struct Statsig {
    client: statsig_rust::Statsig,
    _runtime: Runtime,
}

impl Statsig {
    fn is_on(&self, flag: &str, user: &StatsigUser) -> bool {
        let options = FeatureGateEvaluationOptions { disable_exposure_logging: true };
        self.client.check_gate_with_options(user, flag, options)
    }
}

fn document(plan: &Plan) -> Value {
    let rule = |id: &str, percent: u64| {
        json!({
            "name": id, "id": id, "salt": id, "passPercentage": percent, "returnValue": true,
            "conditions": [id], "idType": "userID",
        })
    };
    let split = rule("split", PERCENT);
    let rules = if plan.listed.is_empty() { vec![split] } else { vec![rule("listed", 100), split] };
    let gate = |name: &String| {
        let gate = json!({
            "type": "feature_gate", "entity": "feature_gate", "salt": name, "enabled": true,
            "defaultValue": false, "rules": rules, "idType": "userID",
        });
        (name.clone(), gate)
    };
    json!({
        "feature_gates": plan.flags.iter().map(gate).collect::<Map<String, Value>>(),
        "dynamic_configs": {}, "layer_configs": {}, "experiment_to_layer": {},
        "has_updates": true, "time": 1, "response_format": "dcs-v2",
        "condition_map": {
            "split": {
                "type": "public", "targetValue": null, "operator": null, "field": null,
                "additionalValues": {}, "idType": "userID",
            },
            "listed": {
                "type": "unit_id", "targetValue": plan.listed, "operator": "any_case_sensitive",
                "field": null, "additionalValues": {}, "idType": "userID",
            },
        },
    })
}

impl Peer for Statsig {
    const NAME: &'static str = "statsig-rust";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> Statsig {
        let adapter = StatsigBootstrapSpecsAdapter::new(document(plan).to_string());
        let options = StatsigOptions {
            specs_adapter: Some(Arc::new(adapter)),
            disable_all_logging: Some(true),
            disable_network: Some(true),
            ..StatsigOptions::default()
        };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let client = statsig_rust::Statsig::new("secret-peers", Some(Arc::new(options)));
            client.initialize().await.expect("a valid document");
            client
        });
        Statsig { client, _runtime: runtime }
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        self.is_on(flag, &StatsigUser::with_user_id(user.as_str()))
    }
}

/// The user is made before, as where one request asks for many flags.
pub struct WithUser(Statsig);

impl Peer for WithUser {
    const NAME: &'static str = "statsig-rust, user at hand";
    type Flag = String;
    type User = StatsigUser;

    fn new(plan: &Plan) -> WithUser {
        WithUser(Statsig::new(plan))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> StatsigUser {
        StatsigUser::with_user_id(id)
    }

    fn is_enabled(&self, flag: &String, user: &StatsigUser) -> bool {
        self.0.is_on(flag, user)
    }
}
