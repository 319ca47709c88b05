//! Secrets that must be seen nowhere.

use stagegate::http::Endpoint;

/// What no text may have in it: of the URL, of a header, of the token, of the password, and how that is sent.
const CANARIES: [&str; 5] =
    ["canary-path", "canary-header", "canary-token", "canary-password", "Y2FuYXJ5LXBhc3N3b3Jk"];

/// An endpoint full of them.
pub(crate) fn endpoint(server: &str) -> Endpoint {
    Endpoint::new(format!("{server}/canary-path"))
        .with_header("x-key", "canary-header")
        .with_bearer_token("canary-token")
        .with_basic_auth("", "xcanary-password")
}

/// The text, once it is known to have none in it.
#[track_caller]
pub(crate) fn none_in(text: String) -> String {
    let text_in_lower_case = text.to_lowercase();
    for canary in CANARIES {
        assert!(!text_in_lower_case.contains(&canary.to_lowercase()), "{canary} is in {text}");
    }
    text
}
