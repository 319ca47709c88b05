//! Secrets that must not appear in any text.

use stagegate::http::Endpoint;

/// The secrets: a part of the URL, a header, the token, the password, and the password in Base64.
const CANARIES: [&str; 5] =
    ["canary-path", "canary-header", "canary-token", "canary-password", "Y2FuYXJ5LXBhc3N3b3Jk"];

/// Returns an endpoint with all secrets.
pub(crate) fn endpoint(server: &str) -> Endpoint {
    Endpoint::new(format!("{server}/canary-path"))
        .with_header("x-key", "canary-header")
        .with_bearer_token("canary-token")
        .with_basic_auth("", "xcanary-password")
}

/// Checks that the text contains no secret, and returns it.
#[track_caller]
pub(crate) fn without_canaries(text: String) -> String {
    let text_in_lower_case = text.to_lowercase();
    for canary in CANARIES {
        assert!(!text_in_lower_case.contains(&canary.to_lowercase()), "{canary} is in {text}");
    }
    text
}
