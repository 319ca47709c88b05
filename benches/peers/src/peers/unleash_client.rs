//! `unleash-api-client`: the client around `unleash-yggdrasil`.
//!
//! It counts each check for the server under a lock, which cannot be turned off. So it does more than a bare check. It gets
//! the server's document directly and has no network.

use std::sync::Arc;

use unleash_api_client::http::{Request, Response, Transport};
use unleash_api_client::{Client, ClientBuilder, Context, client::FeatureKey};

use super::unleash_document::document;
use crate::scenario::{Peer, Plan};

/// Replaces the `enum` of an application.
#[derive(Clone, Copy, Debug)]
pub struct Flag(&'static str);

impl FeatureKey for Flag {
    fn name(self) -> &'static str {
        self.0
    }
}

struct Offline;

#[async_trait::async_trait]
impl Transport for Offline {
    async fn execute(&self, _: Request) -> anyhow::Result<Response> {
        anyhow::bail!("there is no network")
    }
}

pub struct UnleashClient(Client<Flag>);

fn context(id: &str) -> Context {
    Context { user_id: Some(id.to_owned()), ..Context::default() }
}

impl Peer for UnleashClient {
    const NAME: &'static str = "unleash-api-client";
    type Flag = Flag;
    type User = String;

    fn new(plan: &Plan) -> UnleashClient {
        let client = ClientBuilder::default()
            .disable_metric_submission()
            .into_client_with_transport("", "peers", "peers", None, Arc::new(Offline))
            .expect("a client");
        let features = serde_json::from_value(document(plan)).expect("a valid document");
        client.memoize(features).expect("a document that it takes");
        UnleashClient(client)
    }

    fn flag(&self, name: &str) -> Flag {
        Flag(name.to_owned().leak())
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &Flag, user: &String) -> bool {
        self.0.is_enabled(*flag, Some(&context(user)), false)
    }
}

/// With a context built in advance, as in a request that checks many flags.
pub struct WithContext(UnleashClient);

impl Peer for WithContext {
    const NAME: &'static str = "unleash-api-client, prebuilt context";
    type Flag = Flag;
    type User = Context;

    fn new(plan: &Plan) -> WithContext {
        WithContext(UnleashClient::new(plan))
    }

    fn flag(&self, name: &str) -> Flag {
        self.0.flag(name)
    }

    fn user(&self, id: &str) -> Context {
        context(id)
    }

    fn is_enabled(&self, flag: &Flag, user: &Context) -> bool {
        self.0.0.is_enabled(*flag, Some(user), false)
    }
}
