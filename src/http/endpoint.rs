//! The address of a server, and how to connect to it.

use std::fmt;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use thiserror::Error;
use ureq::http::Uri;

/// A server: its URL, credentials and deadline.
///
/// The endpoint is checked when you use it, not before. `Debug` shows neither path, header values nor certificates: many
/// chat services put a secret into the path.
///
/// * Another machine needs `https`, unless you [allow plain HTTP](Endpoint::allowing_plain_http). `localhost`,
///   `127.0.0.0/8` and `[::1]` are this machine.
/// * Certificates are checked against Mozilla's list, which is compiled in. So the result is the same on every machine,
///   also in a container without certificate files. For a server with your own certificate, use
///   [`with_root_certificates`](Endpoint::with_root_certificates).
/// * Redirects are not followed, so requests reach no other server.
/// * For `https`, the environment variables `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` apply. Plain HTTP uses no proxy.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::http::Endpoint;
///
/// let endpoint = Endpoint::new("https://chat.example.com/hooks/s3cret")
///     .with_bearer_token("t0ken")
///     .with_deadline(Duration::from_secs(2));
/// assert_eq!(
///     format!("{endpoint:?}"),
///     r#"Endpoint { server: "https://chat.example.com", headers: ["authorization"], deadline: Some(2s), .. }"#,
/// );
/// ```
#[derive(Clone)]
pub struct Endpoint {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) deadline: Option<Duration>,
    pub(super) is_plain_allowed: bool,
    pub(super) roots: Option<Vec<u8>>,
}

impl Endpoint {
    /// Returns an endpoint for a URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Endpoint {
        let (headers, deadline, is_plain_allowed, roots) = (Vec::new(), None, false, None);
        Endpoint { url: url.into(), headers, deadline, is_plain_allowed, roots }
    }

    /// Sends `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn with_bearer_token(self, token: &str) -> Endpoint {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// Sends `Authorization: Basic …` with a name and a password.
    #[must_use]
    pub fn with_basic_auth(self, name: &str, password: &str) -> Endpoint {
        let credentials = BASE64_STANDARD.encode(format!("{name}:{password}"));
        self.with_header("authorization", &format!("Basic {credentials}"))
    }

    /// Adds a header to each request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Endpoint {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets how long a request may take in all, from the name lookup to the last byte of the answer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Endpoint {
        self.deadline = Some(deadline);
        self
    }

    /// Trusts only these root certificates, in PEM format.
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Endpoint {
        self.roots = Some(pem.into());
        self
    }

    /// Allows `http://` to another machine.
    ///
    /// Anyone on the network path can then read all requests, including tokens, and can forge answers.
    #[must_use]
    pub fn allowing_plain_http(mut self) -> Endpoint {
        self.is_plain_allowed = true;
        self
    }

    /// Parses and checks the URL.
    pub(super) fn uri(&self) -> Result<Uri, BadEndpoint> {
        let uri: Uri = self.url.parse().map_err(|_| BadEndpoint::NotUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadEndpoint::NotUrl);
        };
        if authority.as_str().contains('@') {
            return Err(BadEndpoint::Credentials);
        }
        if authority.host().is_empty() || !["http", "https"].contains(&scheme) {
            return Err(BadEndpoint::NotUrl);
        }
        if scheme == "http" && !self.is_plain_allowed && !is_loopback(authority.host()) {
            return Err(BadEndpoint::Plain(server(&uri)));
        }
        Ok(uri)
    }
}

impl From<&str> for Endpoint {
    fn from(url: &str) -> Endpoint {
        Endpoint::new(url)
    }
}

impl From<String> for Endpoint {
    fn from(url: String) -> Endpoint {
        Endpoint::new(url)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.url.parse().ok();
        let server = uri.filter(|uri: &Uri| uri.scheme().is_some()).map(|uri| server(&uri));
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Endpoint")
            .field("server", &server.as_deref().unwrap_or("no URL"))
            .field("headers", &headers)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The reason why an [`Endpoint`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadEndpoint {
    /// The text is not a URL with `http` or `https`.
    #[error("not a URL of a server: write `https://HOST/PATH`")]
    NotUrl,
    /// The URL contains a user name or a password.
    #[error("the URL contains a user name, which logs would show: pass it separately")]
    Credentials,
    /// The URL of Prometheus contains a query.
    #[error("the URL of Prometheus contains a `?`: write only the part before `/api/v1/query`")]
    Query,
    /// The URL uses plain HTTP to another machine. The field has its scheme and host.
    #[error(
        "`{0}` is another machine, and `http` is not encrypted: write `https`, or allow plain HTTP"
    )]
    Plain(String),
    /// The name or the value of this header is not valid.
    #[error(
        "the header `{0}` cannot be sent: its name or value has a character that HTTP headers do not allow"
    )]
    Header(String),
    /// There is no URL.
    #[error("no server: pass at least one URL")]
    NoServer,
    /// The prefix of the keys is empty.
    #[error("no prefix for the keys: pass one, such as `/shop/rollout`")]
    NoPrefix,
    /// The text contains no certificate.
    #[error("no certificate in the root certificates: pass the text of a PEM file")]
    Certificates,
}

/// Returns the part of a URL that may be printed: scheme, host and port.
pub(super) fn server(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // The part before `@` is a name and a password.
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}://{host}", uri.scheme_str().unwrap_or_default())
}

/// Returns whether a host is this machine. Decides by the text alone, without a name lookup.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<std::net::IpAddr>();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_name() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "::1x",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
