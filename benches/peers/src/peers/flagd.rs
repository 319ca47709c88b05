//! `open-feature-flagd`: flagd's provider for OpenFeature, with its resolver for files, which evaluates in this process.
//! Hash: MurmurHash3 of flag and user. It parses the JSON targeting rule for each check.
//!
//! Calls the provider directly, without OpenFeature's client. The call is asynchronous and has nothing to wait for, so it is
//! polled once.

use open_feature::EvaluationContext;
use open_feature::provider::FeatureProvider;
use open_feature_flagd::resolver::in_process::resolver::FileResolver;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::scenario::{PERCENT, Peer, Plan, ready};

pub struct Flagd {
    provider: FileResolver,
    /// Runs the task that watches the file. Kept alive with the file's directory.
    _runtime: Runtime,
    _directory: TempDir,
}

fn document(plan: &Plan) -> Value {
    let split = json!({ "fractional": [["on", PERCENT], ["off", 100 - PERCENT]] });
    let rule = if plan.listed.is_empty() {
        split
    } else {
        json!({ "if": [{ "in": [{ "var": "targetingKey" }, plan.listed] }, "on", split] })
    };
    let flag = |name: &String| {
        let flag = json!({
            "state": "ENABLED", "defaultVariant": "off", "targeting": rule,
            "variants": { "on": true, "off": false },
        });
        (name.clone(), flag)
    };
    json!({ "flags": plan.flags.iter().map(flag).collect::<Map<String, Value>>() })
}

impl Peer for Flagd {
    const NAME: &'static str = "open-feature-flagd";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> Flagd {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("flags.json");
        std::fs::write(&path, document(plan).to_string()).expect("a file to write to");
        let path = path.to_str().expect("a path that is text").to_owned();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let provider = runtime.block_on(FileResolver::new(path, None)).expect("a valid document");
        Flagd { provider, _runtime: runtime, _directory: directory }
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let context = EvaluationContext::default().with_targeting_key(user.as_str());
        ready(self.provider.resolve_bool_value(flag, &context)).is_ok_and(|answer| answer.value)
    }
}
