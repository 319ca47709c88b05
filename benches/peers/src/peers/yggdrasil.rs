//! `unleash-yggdrasil`: the engine of Unleash's clients. Strategies are closures. Hash: MurmurHash3 of group and user.
//!
//! Uses the call that borrows its arguments. The engine counts nothing; `unleash_client.rs` measures the client, which does.

use unleash_yggdrasil::state::EnrichedContext;
use unleash_yggdrasil::{EngineState, UpdateMessage};

use super::unleash_document::document;
use crate::scenario::{Peer, Plan};

pub struct Yggdrasil(EngineState);

impl Peer for Yggdrasil {
    const NAME: &'static str = "unleash-yggdrasil";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> Yggdrasil {
        let engine = EngineState::default();
        let features = serde_json::from_value(document(plan)).expect("a valid document");
        let warnings = engine.take_state(UpdateMessage::FullResponse(features));
        assert!(warnings.is_none(), "a document without warnings");
        Yggdrasil(engine)
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let context = EnrichedContext {
            user_id: Some(user),
            session_id: None,
            environment: None,
            app_name: None,
            current_time: None,
            remote_address: None,
            properties: None,
            external_results: None,
            toggle_name: flag,
            runtime_hostname: None,
        };
        self.0.check_enabled(&context).unwrap_or_default()
    }
}
