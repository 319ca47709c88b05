//! `launchdarkly-server-sdk-evaluation`: the engine of LaunchDarkly's client. Hash: SHA-1 of flag, salt and user.
//!
//! This file uses the engine without its client. Flags are in a plain map, so there is no lock, no copy of the flag and no
//! event. `launchdarkly_client.rs` measures the client.

use std::collections::HashMap;

use launchdarkly_server_sdk_evaluation::{
    Context, ContextBuilder, Flag, FlagValue, Segment, Store, evaluate,
};

use super::launchdarkly_flag::document;
use crate::scenario::{Peer, Plan};

pub struct LaunchDarkly(Flags);

struct Flags(HashMap<String, Flag>);

/// Used only for prerequisite flags.
impl Store for Flags {
    fn flag(&self, key: &str) -> Option<Flag> {
        self.0.get(key).cloned()
    }

    fn segment(&self, _: &str) -> Option<Segment> {
        None
    }
}

impl LaunchDarkly {
    fn is_on(&self, flag: &str, context: &Context) -> bool {
        self.0.0.get(flag).is_some_and(|flag| {
            matches!(evaluate(&self.0, flag, context, None).value, Some(FlagValue::Bool(true)))
        })
    }
}

fn context(id: &str) -> Context {
    ContextBuilder::new(id).build().expect("a valid key")
}

impl Peer for LaunchDarkly {
    const NAME: &'static str = "launchdarkly-server-sdk-evaluation";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> LaunchDarkly {
        let flag = |name| serde_json::from_value(document(name, plan)).expect("a valid flag");
        LaunchDarkly(Flags(plan.flags.iter().map(|name| (name.clone(), flag(name))).collect()))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        self.is_on(flag, &context(user))
    }
}

/// With a context built in advance, as in a request that checks many flags.
pub struct WithContext(LaunchDarkly);

impl Peer for WithContext {
    const NAME: &'static str = "launchdarkly-server-sdk-evaluation, prebuilt context";
    type Flag = String;
    type User = Context;

    fn new(plan: &Plan) -> WithContext {
        WithContext(LaunchDarkly::new(plan))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> Context {
        context(id)
    }

    fn is_enabled(&self, flag: &String, user: &Context) -> bool {
        self.0.is_on(flag, user)
    }
}
