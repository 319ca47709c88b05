//! Where a server is, and how it is spoken to.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use ureq::http::Uri;

use super::base64;

/// A server: its URL, what proves to it who asks, and how long it may take.
///
/// Nothing is checked or opened before it is put to use. Its `Debug` shows scheme and host: the rest of a URL is a
/// secret with many a chat, and headers and certificates are nobody's business either.
///
/// * A server on another machine is asked with `https` alone, unless [plain HTTP is
///   allowed](Endpoint::allowing_plain_http). `localhost`, `127.0.0.0/8` and `[::1]` are this machine.
/// * Certificates are checked against Mozilla's list, which is compiled in: the same on every machine, also where the
///   system has none. A server of one's own is checked against [its own
///   certificate](Endpoint::with_root_certificates).
/// * No redirect is followed, so that what is sent reaches nobody else.
/// * `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment count for `https`. Plain HTTP goes through no
///   proxy.
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
    /// The server at a URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Endpoint {
        let (headers, deadline, is_plain_allowed, roots) = (Vec::new(), None, false, None);
        Endpoint { url: url.into(), headers, deadline, is_plain_allowed, roots }
    }

    /// `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn with_bearer_token(self, token: &str) -> Endpoint {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// `Authorization: Basic …`, of a name and a password.
    #[must_use]
    pub fn with_basic_auth(self, name: &str, password: &str) -> Endpoint {
        let credentials = base64::encode(format!("{name}:{password}").as_bytes());
        self.with_header("authorization", &format!("Basic {credentials}"))
    }

    /// One more header of each request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Endpoint {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// How long a request may take in all, from looking up the name to the last byte of the answer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Endpoint {
        self.deadline = Some(deadline);
        self
    }

    /// Trusts these certificates, in the form of PEM files, and no others.
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Endpoint {
        self.roots = Some(pem.into());
        self
    }

    /// Allows `http://` to another machine. Whoever is in between reads all that is sent, tokens included, and may
    /// answer what they like.
    #[must_use]
    pub fn allowing_plain_http(mut self) -> Endpoint {
        self.is_plain_allowed = true;
        self
    }

    /// The URL's parts.
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

/// Why an [`Endpoint`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadEndpoint {
    /// The URL is none, or of another kind.
    #[error("not a URL of a server: write `https://HOST/PATH`")]
    NotUrl,
    /// A name or a password stands in the URL.
    #[error("a user name in the URL, where it would be printed: give it apart from the URL")]
    Credentials,
    /// A query stands in the URL of Prometheus.
    #[error("a `?` in the URL of Prometheus: write what stands before `/api/v1/query`")]
    Query,
    /// Plain HTTP to another machine, by scheme and host.
    #[error(
        "`{0}` is another machine, and `http` hides nothing on the way: write `https`, or allow it"
    )]
    Plain(String),
    /// A header of that name, or with its value, cannot be sent.
    #[error(
        "the header `{0}` cannot be sent: its name or its value has a character that no header has"
    )]
    Header(String),
    /// No URL at all.
    #[error("no server: give the URL of one at least")]
    NoServer,
    /// No prefix of keys.
    #[error("no prefix: say under which keys it is, such as `/shop/rollout`")]
    NoPrefix,
    /// The text holds no certificate.
    #[error("no certificate in the root certificates: give the text of a PEM file")]
    Certificates,
}

/// What may be printed of a URL: scheme, host and port.
pub(super) fn server(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // Whatever stands before the host is a name and a password.
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}://{host}", uri.scheme_str().unwrap_or_default())
}

/// Whether a host is this machine by what it is called: no name but `localhost` is looked up.
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
