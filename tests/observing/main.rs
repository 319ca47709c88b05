//! What can be seen of a rollout: as text for Prometheus, through `metrics`, and as events of `tracing`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod reader;
#[cfg(feature = "metrics")]
mod recorded;
mod story;
mod text;
#[cfg(feature = "tracing")]
mod traced;

/// The key of the story's user, who is listed, asks, and is counted.
const CANARY: &str = "canary-user";

/// The text, once it is known to have no key of a user in it.
#[track_caller]
fn no_user_in(text: String) -> String {
    assert!(!text.contains("canary"), "the key of a user is in {text}");
    text
}
