//! `statsig-rust`: Statsig's client. Hash: SHA-256 of rule and user.
//!
//! A document given at the start replaces its servers. Logging, network and exposures are off, but it still counts each
//! check. It caches the hashes of 10,000 pairs of rule and user. The bench has fewer users, so it measures cache hits. After
//! 100,000 other users, a check took five times as long.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use statsig_rust::statsig_core_api_options::FeatureGateEvaluationOptions;
use statsig_rust::{StatsigBootstrapSpecsAdapter, StatsigOptions, StatsigUser};
use tokio::runtime::{Builder, Runtime};

use crate::scenario::{PERCENT, Peer, Plan};

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

/// With a user built in advance, as in a request that checks many flags.
pub struct WithUser(Statsig);

impl Peer for WithUser {
    const NAME: &'static str = "statsig-rust, prebuilt user";
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
