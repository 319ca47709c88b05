//! Gates: questions and updates.

use std::path::Path;

use stagegate::{Gate, Plan, Update, UpdateError, User};

use crate::calls::Calls;
use crate::values::{keys, texts};

const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["ana"]
where = { region = ["eu"] }
[flags.a]
stage = "pilot"
hold_back = { team = "ga" }
stages = [{ name = "internal", groups = ["team"] }, { name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
"#;

pub(crate) fn call(calls: &mut Calls) {
    let gate =
        calls.call("Gate::from_document", || Gate::from_document(DOCUMENT).unwrap()).unwrap();
    let plan = Plan::parse(DOCUMENT).unwrap();
    calls.call("Gate::from_plan", || Gate::from_plan(&plan));
    calls.call("Gate::observe", || gate.observe(|update: &Update<'_>| drop(format!("{update:?}"))));
    for text in texts() {
        let text = text.as_str();
        calls.call("Gate::from_path", || Gate::from_path(Path::new(text)).map(drop));
        calls.call("Gate::from_document", || Gate::from_document(text).map(drop));
        calls.call("Gate::update", || errors(gate.update(text).map(drop)));
        calls.call("Gate::set_stage", || errors(gate.set_stage(text, text).map(drop)));
        calls.call("Gate::set_stage", || errors(gate.set_stage("a", text).map(drop)));
        calls.call("Gate::force_stage", || errors(gate.force_stage("a", text, text).map(drop)));
        calls.call("Gate::force_stage", || errors(gate.force_stage("a", "ga", text).map(drop)));
        calls.call("Gate::roll_back", || errors(gate.roll_back(text).map(drop)));
        questions(calls, &gate, text);
    }
    error_functions(calls, &gate);
    calls.call("Gate::version", || gate.version());
    calls.call("Gate::status", || format!("{:?}", gate.status()));
}

fn questions(calls: &mut Calls, gate: &Gate, flag: &str) {
    let handle = calls.call("Gate::flag", || gate.flag(flag)).unwrap();
    let pinned = calls.call("Gate::pin", || gate.pin()).unwrap();
    calls.call("FlagHandle::key", || handle.key().len());
    calls.call("Pinned::version", || pinned.version());
    for key in keys() {
        let user = User::new(&*key).attribute("region", flag);
        calls.call("Gate::is_enabled", || gate.is_enabled(&user, flag));
        calls.call("Gate::evaluate", || gate.evaluate(&user, flag).reason.as_str().len());
        calls.call("Reason::as_str", || gate.evaluate(&user, "a").reason.as_str().len());
        calls.call("Gate::cohort", || gate.cohort(&user, flag));
        calls.call("Gate::evaluate_all", || gate.evaluate_all(&user).len());
        calls.call("Pinned::is_enabled", || pinned.is_enabled(&user, flag));
        calls.call("Pinned::evaluate", || pinned.evaluate(&user, flag));
        calls.call("Pinned::cohort", || pinned.cohort(&user, flag));
        calls.call("Pinned::evaluate_all", || pinned.evaluate_all(&user).count());
        calls.call("FlagHandle::is_enabled", || handle.is_enabled(&user));
        calls.call("FlagHandle::evaluate", || handle.evaluate(&user));
        calls.call("FlagHandle::cohort", || handle.cohort(&user));
        calls.call("FlagHandle::is_enabled_in", || handle.is_enabled_in(&pinned, &user));
        calls.call("FlagHandle::evaluate_in", || handle.evaluate_in(&pinned, &user));
    }
}

/// Prints an error, because that must not panic either.
fn errors(result: Result<(), UpdateError>) {
    if let Err(error) = result {
        drop(format!("{error} {error:?}"));
    }
}

fn error_functions(calls: &mut Calls, gate: &Gate) {
    let error = gate.set_stage("\0", "\0").unwrap_err();
    calls.call("UpdateError::is_skip", || error.is_skip());
    calls.call("UpdateError::is_shrink", || error.is_shrink());
    calls.call("UpdateError::is_driven", || error.is_driven());
    calls.call("UpdateError::is_not_found", || error.is_not_found());
    calls.call("UpdateError::is_invalid_document", || error.is_invalid_document());
    calls.call("UpdateError::problems", || error.problems().len());
}
