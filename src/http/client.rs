//! Asks a server.

use std::fmt;
use std::time::Duration;

use ureq::http::uri::{PathAndQuery, Uri};
use ureq::http::{HeaderName, HeaderValue, Request, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error, Proxy};

use super::endpoint::{BadEndpoint, Endpoint, server};
use crate::text;

/// Sends requests to one URL.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) agent: Agent,
    uri: Uri,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) deadline: Duration,
    /// All of the URL that may be printed.
    server: String,
    /// What must not be, even if the server says it.
    pub(super) secrets: Vec<String>,
}

/// An answer, of which the head is there.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(super) response: ureq::http::Response<ureq::Body>,
}

/// Why there is none. Says nothing of the URL.
pub(crate) struct NoAnswer(pub(super) String);

/// Bytes of an answer's head at most.
const MAX_HEAD_BYTES: usize = 16 * 1024;

const USER_AGENT: &str = concat!("stagegate/", env!("CARGO_PKG_VERSION"));

/// The longest deadline, 136 years: added to the time of now, a longer one may be beyond what the system can tell.
pub(super) const LONGEST: Duration = Duration::from_secs(1 << 32);

impl Client {
    /// For the server of that endpoint; `deadline` where it has none.
    pub(crate) fn new(endpoint: &Endpoint, deadline: Duration) -> Result<Client, BadEndpoint> {
        let uri = endpoint.uri()?;
        let deadline = endpoint.deadline.unwrap_or(deadline).min(LONGEST);
        let headers = endpoint.headers.iter().map(header).collect::<Result<Vec<_>, _>>()?;
        let is_encrypted = uri.scheme_str() == Some("https");
        let config = Agent::config_builder()
            .user_agent(USER_AGENT)
            .timeout_global(Some(deadline))
            // The status is judged where it is known what it means.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_response_header_size(MAX_HEAD_BYTES)
            .accept_encoding("identity")
            // Requests are rare. A connection that is kept would mostly be dead when it is needed.
            .max_idle_connections(0)
            // What is not encrypted is shown to nobody else.
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

    /// Scheme and host.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// How long a request may take.
    #[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "Prometheus is told it"))]
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The same with another path behind the one it has.
    #[allow(dead_code, reason = "a webhook has its own")]
    pub(crate) fn below(mut self, path: &str) -> Result<Client, BadEndpoint> {
        if self.uri.query().is_some() {
            return Err(BadEndpoint::Query);
        }
        let path = format!("{}{path}", self.uri.path().trim_end_matches('/'));
        let mut parts = self.uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| BadEndpoint::NotUrl)?);
        self.uri = Uri::from_parts(parts).map_err(|_| BadEndpoint::NotUrl)?;
        Ok(self)
    }

    /// The path that is asked for.
    #[cfg_attr(not(feature = "follow"), allow(dead_code))]
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Asks for what is there, with more headers than those of every request.
    #[cfg_attr(not(feature = "follow"), allow(dead_code, reason = "others send a body"))]
    pub(crate) fn get(&self, more: &[(&'static str, String)]) -> Result<Answer, NoAnswer> {
        let mut request = Request::get(self.uri.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in more {
            request = request.header(*name, value);
        }
        let request = request.body(()).map_err(|error| self.failed(&error.into()))?;
        let response = self.agent.run(request).map_err(|error| self.failed(&error))?;
        Ok(Answer { status: response.status(), response })
    }

    /// Whether bytes from the server have a header in them that was sent to it.
    #[cfg_attr(not(feature = "follow"), allow(dead_code, reason = "others quote what they read"))]
    pub(crate) fn is_repeated_in(&self, bytes: &[u8]) -> bool {
        let path = self.uri.path_and_query().map(PathAndQuery::as_str);
        let mut sent = self.secrets.iter().filter(|secret| Some(secret.as_str()) != path);
        sent.any(|secret| bytes.windows(secret.len()).any(|found| found == secret.as_bytes()))
    }

    /// Sends a body.
    pub(crate) fn post(&self, content_type: &'static str, body: &str) -> Result<Answer, NoAnswer> {
        let request = self.request(content_type, body)?;
        let response = self.agent.run(request).map_err(|error| self.failed(&error))?;
        Ok(Answer { status: response.status(), response })
    }

    pub(super) fn request<'b>(
        &self,
        content_type: &'static str,
        body: &'b str,
    ) -> Result<Request<&'b str>, NoAnswer> {
        let mut request = Request::post(self.uri.clone()).header("content-type", content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| self.failed(&error.into()))
    }

    /// The whole body of an answer, which has to be as it is said to be and no longer than that.
    #[allow(dead_code, reason = "a webhook reads none")]
    pub(crate) fn read(&self, mut answer: Answer, most: u64) -> Result<Vec<u8>, NoAnswer> {
        let encoding = answer.response.headers().get("content-encoding");
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
            let encoding = self.quoted(&String::from_utf8_lossy(encoding.as_bytes()));
            return Err(NoAnswer(format!("encoded as `{encoding}`, which nobody asked for")));
        }
        let body = answer.response.body_mut().with_config().limit(most).read_to_vec();
        body.map_err(|error| self.failed(&error))
    }

    /// What may be printed of something the server has said.
    pub(crate) fn quoted(&self, said: &str) -> String {
        let hide = |said: String, secret: &String| said.replace(&**secret, "[hidden]");
        text::beginning_of(&self.secrets.iter().fold(said.to_owned(), hide))
    }

    pub(super) fn failed(&self, error: &Error) -> NoAnswer {
        NoAnswer(match error {
            Error::Timeout(_) => format!("no answer within {:?}", self.deadline),
            Error::HostNotFound => "no such host".to_owned(),
            Error::BodyExceedsLimit(most) => format!("a body of more than {most} bytes"),
            Error::LargeResponseHeader(..) => format!("a head of more than {MAX_HEAD_BYTES} bytes"),
            Error::Io(error) => self.quoted(&error.to_string()),
            Error::Rustls(error) => self.quoted(&format!("TLS: {error}")),
            Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => {
                "the proxy of the environment does not connect".to_owned()
            }
            // None of the others quotes a URL, but what a later version does is not known.
            Error::Protocol(_) | Error::Http(_) => "no answer in HTTP".to_owned(),
            _ => "no connection".to_owned(),
        })
    }
}

impl Answer {
    /// A header that is text.
    #[cfg_attr(not(feature = "follow"), allow(dead_code))]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Whether a half of the body can be told from the whole.
    #[cfg_attr(not(feature = "follow"), allow(dead_code, reason = "others have formats that tell"))]
    pub(crate) fn states_its_length(&self) -> bool {
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

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn header((name, value): &(String, String)) -> Result<(HeaderName, HeaderValue), BadEndpoint> {
    let bad = || BadEndpoint::Header(text::beginning_of(name));
    let parsed = HeaderName::try_from(name).map_err(|_| bad())?;
    let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
    // So that nothing below prints it.
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

/// The values of headers, what follows their first word (`Bearer`), and the URL's path and query.
fn secrets(endpoint: &Endpoint, uri: &Uri) -> Vec<String> {
    let values = endpoint.headers.iter().map(|(_, value)| value.as_str());
    let words = values.clone().filter_map(|value| Some(value.split_once(' ')?.1));
    let path = uri.path_and_query().map(PathAndQuery::as_str).into_iter();
    let all = values.chain(words).chain(path).map(str::trim);
    // What is shorter is a number of a tenant, or a path such as `/prom`.
    all.filter(|secret| secret.len() >= 6).map(str::to_owned).collect()
}
