//! Observability of a rollout: Prometheus text, the `metrics` facade, and `tracing` events.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod reader;
#[cfg(feature = "metrics")]
mod recorded;
mod story;
mod text;
#[cfg(feature = "tracing")]
mod traced;

/// The key of the user in the story. The user is in a list, evaluates a flag and makes a counted request.
const CANARY: &str = "canary-user";

/// Asserts that the text has no user key, and returns it.
#[track_caller]
fn no_user_in(text: String) -> String {
    assert!(!text.contains("canary"), "a user key is in {text}");
    text
}
