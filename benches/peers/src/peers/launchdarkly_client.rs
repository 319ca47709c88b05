//! `launchdarkly-server-sdk`: the client around `launchdarkly-server-sdk-evaluation`.
//!
//! Its data source for tests replaces the servers. For each check it copies the flag under a lock and creates an event,
//! which cannot be turned off. The events are discarded here.

use std::thread;
use std::time::Duration;

use launchdarkly_server_sdk::{
    Client, ConfigBuilder, Context, ContextBuilder, NullEventProcessorBuilder, TestData,
};

use super::launchdarkly_flag::document;
use crate::scenario::{Peer, Plan};

pub struct LaunchDarkly(Client);

fn context(id: &str) -> Context {
    ContextBuilder::new(id).build().expect("a valid key")
}

impl Peer for LaunchDarkly {
    const NAME: &'static str = "launchdarkly-server-sdk";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> LaunchDarkly {
        let source = TestData::new();
        for name in &plan.flags {
            let flag = serde_json::from_value(document(name, plan)).expect("a valid flag");
            source.use_preconfigured_flag(flag);
        }
        let config = ConfigBuilder::new("peers")
            .data_source(&source)
            .event_processor(&NullEventProcessorBuilder::new())
            .build();
        let client = Client::build(config.expect("a configuration")).expect("a client");
        client.start_with_runtime().expect("a runtime");
        while !client.initialized() {
            thread::sleep(Duration::from_millis(1));
        }
        LaunchDarkly(client)
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        self.0.bool_variation(&context(user), flag, false)
    }
}

/// With a context built in advance, as in a request that checks many flags.
pub struct WithContext(LaunchDarkly);

impl Peer for WithContext {
    const NAME: &'static str = "launchdarkly-server-sdk, prebuilt context";
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
        self.0.0.bool_variation(user, flag, false)
    }
}
