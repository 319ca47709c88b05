//! The HTTP client.

use std::fmt;
use std::time::Duration;

use ureq::http::uri::{PathAndQuery, Uri};
use ureq::http::{HeaderName, HeaderValue, Request, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error, Proxy};

use super::endpoint::{BadEndpoint, Endpoint, server};
use crate::text;

/// A client for one URL.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) agent: Agent,
    uri: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) deadline: Duration,
    /// The scheme and host, which may be printed.
    server: String,
    /// Texts that must not be printed, even if the server sends them.
    pub(super) secrets: Vec<String>,
}

/// A response whose body is not read yet.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(super) inner: ureq::http::Response<ureq::Body>,
}

/// The reason why a request failed. Contains nothing of the URL.
pub(crate) struct RequestError(pub(super) String);

/// The largest head of a response.
const MAX_HEAD_BYTES: usize = 16 * 1024;

const USER_AGENT: &str = concat!("stagegate/", env!("CARGO_PKG_VERSION"));

/// The longest deadline, 136 years. Adding a longer one to the current time could overflow.
pub(super) const LONGEST: Duration = Duration::from_secs(1 << 32);

impl Client {
    /// Returns a client for the endpoint. `deadline` applies if the endpoint has none.
    pub(crate) fn new(endpoint: &Endpoint, deadline: Duration) -> Result<Client, BadEndpoint> {
        let uri = endpoint.uri()?;
        let deadline = endpoint.deadline.unwrap_or(deadline).min(LONGEST);
        let headers = endpoint.headers.iter().map(header).collect::<Result<Vec<_>, _>>()?;
        let is_encrypted = uri.scheme_str() == Some("https");
        let config = Agent::config_builder()
            .user_agent(USER_AGENT)
            .timeout_global(Some(deadline))
            // The caller interprets the status.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_response_header_size(MAX_HEAD_BYTES)
            .accept_encoding("identity")
            // Requests are rare, so an idle connection would usually be closed before its next use.
            .max_idle_connections(0)
            // No proxy may read plain HTTP.
            .proxy(if is_encrypted { Proxy::try_from_env() } else { None })
            .tls_config(TlsConfig::builder().root_certs(roots(endpoint)?).build());
        Ok(Client {
            agent: config.build().new_agent(),
            server: server(&uri),
            secrets: secrets(endpoint, &uri),
            uri,
            headers,
            deadline,
        })
    }

    /// Returns the scheme and host.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Returns how long a request may take.
    #[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "only Prometheus uses it"))]
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Appends a path to the path of the URL.
    #[allow(dead_code, reason = "a webhook uses its URL unchanged")]
    pub(crate) fn with_subpath(mut self, path: &str) -> Result<Client, BadEndpoint> {
        if self.uri.query().is_some() {
            return Err(BadEndpoint::Query);
        }
        let path = format!("{}{path}", self.uri.path().trim_end_matches('/'));
        let mut parts = self.uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| BadEndpoint::NotUrl)?);
        self.uri = Uri::from_parts(parts).map_err(|_| BadEndpoint::NotUrl)?;
        Ok(self)
    }

    /// Returns the path of the URL.
    #[cfg_attr(not(feature = "follow"), allow(dead_code))]
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Sends a `GET` request with additional headers.
    #[cfg_attr(not(feature = "follow"), allow(dead_code, reason = "others send a body"))]
    pub(crate) fn get(&self, more: &[(&'static str, String)]) -> Result<Response, RequestError> {
        let mut request = Request::get(self.uri.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in more {
            request = request.header(*name, value);
        }
        let request = request.body(()).map_err(|error| self.failed(&error.into()))?;
        let response = self.agent.run(request).map_err(|error| self.failed(&error))?;
        Ok(Response { status: response.status(), inner: response })
    }

    /// Returns whether bytes from the server contain a header value of the request.
    #[cfg_attr(not(feature = "follow"), allow(dead_code, reason = "others quote what they read"))]
    pub(crate) fn is_echoed_in(&self, bytes: &[u8]) -> bool {
        let path = self.uri.path_and_query().map(PathAndQuery::as_str);
        let mut sent = self.secrets.iter().filter(|secret| Some(secret.as_str()) != path);
        sent.any(|secret| bytes.windows(secret.len()).any(|found| found == secret.as_bytes()))
    }

    /// Sends a `POST` request.
    pub(crate) fn post(
        &self,
        content_type: &'static str,
        body: &str,
    ) -> Result<Response, RequestError> {
        let request = self.request(content_type, body)?;
        let response = self.agent.run(request).map_err(|error| self.failed(&error))?;
        Ok(Response { status: response.status(), inner: response })
    }

    pub(super) fn request<'b>(
        &self,
        content_type: &'static str,
        body: &'b str,
    ) -> Result<Request<&'b str>, RequestError> {
        let mut request = Request::post(self.uri.clone()).header("content-type", content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| self.failed(&error.into()))
    }

    /// Reads the whole body. Fails if it is compressed, incomplete or longer than `most` bytes.
    #[allow(dead_code, reason = "a webhook reads no body")]
    pub(crate) fn read(&self, mut response: Response, most: u64) -> Result<Vec<u8>, RequestError> {
        let encoding = response.inner.headers().get("content-encoding");
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
            let encoding = self.redacted(&String::from_utf8_lossy(encoding.as_bytes()));
            return Err(RequestError(format!("encoded as `{encoding}`, which was not requested")));
        }
        let body = response.inner.body_mut().with_config().limit(most).read_to_vec();
        body.map_err(|error| self.failed(&error))
    }

    /// Returns the start of a text from the server, with secrets hidden.
    pub(crate) fn redacted(&self, said: &str) -> String {
        let hide = |said: String, secret: &String| said.replace(&**secret, "[hidden]");
        text::beginning_of(&self.secrets.iter().fold(said.to_owned(), hide))
    }

    pub(super) fn failed(&self, error: &Error) -> RequestError {
        RequestError(match error {
            Error::Timeout(_) => format!("no answer within {:?}", self.deadline),
            Error::HostNotFound => "no such host".to_owned(),
            Error::BodyExceedsLimit(most) => format!("a body of more than {most} bytes"),
            Error::LargeResponseHeader(..) => format!("a head of more than {MAX_HEAD_BYTES} bytes"),
            Error::Io(error) => self.redacted(&error.to_string()),
            Error::Rustls(error) => self.redacted(&format!("TLS: {error}")),
            Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => {
                "the proxy from the environment does not connect".to_owned()
            }
            // The texts of other errors are not printed: a later version of `ureq` could put the URL into them.
            Error::Protocol(_) | Error::Http(_) => "the response is not HTTP".to_owned(),
            _ => "no connection".to_owned(),
        })
    }
}

impl Response {
    /// Returns a header, if its value is text.
    #[cfg_attr(not(feature = "follow"), allow(dead_code))]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// Returns whether an incomplete body can be detected.
    #[cfg_attr(not(feature = "follow"), allow(dead_code, reason = "others have formats that tell"))]
    pub(crate) fn has_stated_length(&self) -> bool {
        let is_chunked = |coding: &str| coding.to_ascii_lowercase().contains("chunked");
        self.header("content-length").is_some()
            || self.header("transfer-encoding").is_some_and(is_chunked)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn header((name, value): &(String, String)) -> Result<(HeaderName, HeaderValue), BadEndpoint> {
    let bad = || BadEndpoint::Header(text::beginning_of(name));
    let parsed = HeaderName::try_from(name).map_err(|_| bad())?;
    let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
    // Keeps `ureq` from printing it.
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn roots(endpoint: &Endpoint) -> Result<RootCerts, BadEndpoint> {
    let Some(pem) = &endpoint.roots else { return Ok(RootCerts::WebPki) };
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(root) = item.map_err(|_| BadEndpoint::Certificates)? {
            roots.push(root);
        }
    }
    if roots.is_empty() {
        return Err(BadEndpoint::Certificates);
    }
    Ok(RootCerts::new_with_certs(&roots))
}

/// Returns the values of headers, also without their first word (`Bearer`), and the URL's path and query.
fn secrets(endpoint: &Endpoint, uri: &Uri) -> Vec<String> {
    let values = endpoint.headers.iter().map(|(_, value)| value.as_str());
    let words = values.clone().filter_map(|value| Some(value.split_once(' ')?.1));
    let path = uri.path_and_query().map(PathAndQuery::as_str).into_iter();
    let all = values.chain(words).chain(path).map(str::trim);
    // Shorter values are no secrets: the number of a tenant, or a path such as `/prom`.
    all.filter(|secret| secret.len() >= 6).map(str::to_owned).collect()
}
