//! `feature-flag`: one rule per flag. Hash: SHA-256 of flag and user.
//!
//! It searches the flags in a list. A rule sees attributes but not the id. So with an allow-list, the id is also passed as
//! an attribute.

use feature_flag::{FlagEvaluator, FlagSet, Subject};
use serde_json::{Value, json};

use crate::scenario::{PERCENT, Peer, Plan};

pub struct FeatureFlag {
    evaluator: FlagEvaluator,
    /// Whether rules need the id as an attribute.
    has_list: bool,
}

impl FeatureFlag {
    fn subject(&self, id: &str) -> Subject {
        let subject = Subject::new(id);
        if self.has_list { subject.with_attr("id", id) } else { subject }
    }

    fn is_on(&self, flag: &str, subject: &Subject) -> bool {
        self.evaluator.evaluate(flag, subject).is_ok_and(|answer| answer.variant == "on")
    }
}

impl Peer for FeatureFlag {
    const NAME: &'static str = "feature-flag";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> FeatureFlag {
        let has_list = !plan.listed.is_empty();
        let list = json!({
            "id": "listed",
            "when": { "kind": "compare", "attr": "id", "op": "in", "value": plan.listed },
            "outcome": { "kind": "variant", "variant": "on" },
        });
        let split = json!({
            "id": "split",
            "when": { "kind": "always" },
            "outcome": { "kind": "rollout", "variants": [
                { "variant": "on", "weight": PERCENT },
                { "variant": "off", "weight": 100 - PERCENT },
            ] },
        });
        let rules = if has_list { vec![list, split] } else { vec![split] };
        let flag = |name: &String| {
            json!({
                "id": name, "variants": ["on", "off"], "default_variant": "off", "rules": rules,
            })
        };
        let flags: Vec<Value> = plan.flags.iter().map(flag).collect();
        let document = json!({ "version": "1", "flags": flags }).to_string();
        let flags = FlagSet::from_json(&document).expect("a valid document");
        FeatureFlag { evaluator: FlagEvaluator::new(flags), has_list }
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        self.is_on(flag, &self.subject(user))
    }
}

/// With a subject built in advance, as in a request that checks many flags.
pub struct WithSubject(FeatureFlag);

impl Peer for WithSubject {
    const NAME: &'static str = "feature-flag, prebuilt subject";
    type Flag = String;
    type User = Subject;

    fn new(plan: &Plan) -> WithSubject {
        WithSubject(FeatureFlag::new(plan))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> Subject {
        self.0.subject(id)
    }

    fn is_enabled(&self, flag: &String, user: &Subject) -> bool {
        self.0.is_on(flag, user)
    }
}
