//! `configcat`: ConfigCat's client. Hash: SHA-1 of flag and user, as hexadecimal text.
//!
//! A local file overrides its servers, which saves the lookup in its own cache that a client with a network makes each
//! time. Its call is asynchronous and has nothing to wait for, so it is polled once. It takes the user by value, so there is
//! no row with a prebuilt user.

use configcat::{Client, FileDataSource, OverrideBehavior, User};
use serde_json::{Map, Value, json};

use crate::scenario::{PERCENT, Peer, Plan, ready};

pub struct ConfigCat(Client);

fn document(plan: &Plan) -> Value {
    let value = |on: bool| json!({ "b": on });
    // Comparator 0 is "is one of".
    let list = json!({
        "c": [{ "u": { "a": "Identifier", "c": 0, "l": plan.listed } }], "s": { "v": value(true) },
    });
    let rules = if plan.listed.is_empty() { vec![] } else { vec![list] };
    let setting = |name: &String| {
        let setting = json!({
            "t": 0, "v": value(false), "r": rules,
            "p": [{ "p": PERCENT, "v": value(true) }, { "p": 100 - PERCENT, "v": value(false) }],
        });
        (name.clone(), setting)
    };
    json!({ "f": plan.flags.iter().map(setting).collect::<Map<String, Value>>() })
}

impl Peer for ConfigCat {
    const NAME: &'static str = "configcat";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> ConfigCat {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), document(plan).to_string()).expect("a file to write to");
        let path = file.path().to_str().expect("a path that is text");
        let source = FileDataSource::new(path).expect("a valid document");
        let client = Client::builder("peers")
            .offline(true)
            .overrides(Box::new(source), OverrideBehavior::LocalOnly)
            .build();
        ConfigCat(client.expect("a client"))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        ready(self.0.get_value(flag, false, Some(User::new(user))))
    }
}
