//! A source on an HTTP server.

use std::time::Duration;

use super::{Fetched, Source, SourceError};
use crate::http::{BadEndpoint, Client, Endpoint, RequestError, Response};
use crate::plan::limits::MAX_DOCUMENT_BYTES;
use crate::plan::{Document, Format};

/// A [`Source`] that polls an HTTP server.
///
/// * Requests are conditional (`If-None-Match`, else `If-Modified-Since`), with the tag of the *current* document. The
///   tag of a refused document is never kept. One request in twenty is unconditional, since tags can be wrong. The
///   content decides whether a document is new.
/// * An answer counts if it is a `200` with a complete body. The body has a stated length or comes in chunks, is not
///   compressed, is no web page, and has at most [`MAX_DOCUMENT_BYTES`](crate::limits::MAX_DOCUMENT_BYTES). Any other
///   answer, such as `401` or `404`, changes nothing.
/// * It follows no redirect. It allows `http://` only to this machine, unless you
///   [allow more](Endpoint::allowing_plain_http).
/// * An answer may take 10 seconds in all, unless the endpoint sets another deadline. `Retry-After` in seconds is
///   honoured, up to twenty intervals.
/// * The format comes from the content type `application/json` or `application/toml`, else from `.json` or `.toml` at
///   the end of the path, else from the content. A document on a server cannot have a `users_file`.
/// * Errors show only scheme and host. An answer that contains a header value of the request is refused.
///
/// # Example
///
/// ```no_run
/// use stagegate::http::Endpoint;
/// use stagegate::source::{FollowOptions, Follower, Http};
///
/// let endpoint = Endpoint::new("https://plans.example.com/shop/rollout.toml").with_bearer_token("t0ken");
/// let options = FollowOptions::new().last_known_good("/var/lib/shop/rollout.last");
/// let (gate, follower) = Follower::start(Http::new(endpoint)?, options)?;
/// # assert!(gate.is_enabled("ana", "new-checkout"));
/// # drop(follower);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Http {
    client: Client,
    every: Duration,
    /// The format by the end of the path.
    format: Option<Format>,
    /// The validators of the current document.
    applied: Validators,
    /// The validators of the document that was fetched last.
    fetched: Validators,
    /// The number of requests since the last unconditional one.
    conditional: u32,
}

/// The headers of an answer that make the next request conditional.
#[derive(Clone, Debug, Default)]
struct Validators {
    tag: Option<String>,
    modified: Option<String>,
}

const DEADLINE: Duration = Duration::from_secs(10);

/// The most conditional requests in a row.
const MAX_CONDITIONAL: u32 = 19;

/// The longest tag that is kept. It is sent back with each request.
const MAX_TAG_BYTES: usize = 1024;

impl Http {
    /// Returns a source for the document at an endpoint or a URL. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// Returns a [`BadEndpoint`] if the URL, a header or a certificate is not valid.
    pub fn new(endpoint: impl Into<Endpoint>) -> Result<Http, BadEndpoint> {
        let client = Client::new(&endpoint.into(), DEADLINE)?;
        let format = match client.path().rsplit_once('.') {
            Some((_, "json")) => Some(Format::Json),
            Some((_, "toml")) => Some(Format::Toml),
            _ => None,
        };
        let (applied, fetched) = (Validators::default(), Validators::default());
        let every = Duration::from_secs(30);
        Ok(Http { client, every, format, applied, fetched, conditional: 0 })
    }

    /// Sets the polling interval. The default is 30 seconds.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Http {
        self.every = interval;
        self
    }

    fn conditions(&mut self) -> Vec<(&'static str, String)> {
        if self.conditional >= MAX_CONDITIONAL {
            self.conditional = 0;
            return Vec::new();
        }
        self.conditional += 1;
        let Validators { tag, modified } = self.applied.clone();
        // A date counts whole seconds, and a document may change twice in one. So a tag is better.
        let modified = modified.filter(|_| tag.is_none());
        let tag = tag.map(|tag| ("if-none-match", tag));
        tag.into_iter().chain(modified.map(|date| ("if-modified-since", date))).collect()
    }

    fn error(&self, wrong: &str) -> SourceError {
        SourceError::new(format!("`{}` {wrong}", self.client.server()))
    }

    fn no_answer(&self, why: &RequestError) -> SourceError {
        self.error(&format!("does not answer: {why}"))
    }

    /// Returns the error of an answer without a document.
    fn refusal(&self, answer: &Response, is_conditional: bool) -> SourceError {
        let status = answer.status.as_u16();
        let error = self.error(&match status {
            304 if !is_conditional => "answers 304 to an unconditional request".to_owned(),
            300..400 => format!("answers {status}, a redirect, which is not followed"),
            _ => format!("answers {status}"),
        });
        let seconds = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
        match seconds.filter(|_| matches!(status, 429 | 503)) {
            Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
            None => error,
        }
    }

    fn document(&mut self, answer: Response) -> Result<Document, SourceError> {
        let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let format = match kind {
            "text/html" | "application/xhtml+xml" => {
                return Err(self.error(&format!("answers a web page (`{kind}`)")));
            }
            "application/json" => Some(Format::Json),
            "application/toml" => Some(Format::Toml),
            _ => self.format,
        };
        if !answer.has_stated_length() {
            return Err(self.error(
                "does not state the length of its answer, so the document may be incomplete",
            ));
        }
        let header = |name| answer.header(name).filter(|text| text.len() <= MAX_TAG_BYTES);
        let (tag, modified) = (header("etag"), header("last-modified"));
        let fetched =
            Validators { tag: tag.map(str::to_owned), modified: modified.map(str::to_owned) };
        let most = u64::try_from(MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
        let body = self.client.read(answer, most).map_err(|why| self.no_answer(&why))?;
        if body.trim_ascii().is_empty() {
            return Err(self.error("answers an empty document"));
        }
        if self.client.is_echoed_in(&body) {
            return Err(
                self.error("answers with a header value of the request instead of a document")
            );
        }
        self.fetched = fetched;
        let document = Document::new(body).name(self.client.server());
        Ok(match format {
            Some(format) => document.format(format),
            None => document,
        })
    }
}

impl Source for Http {
    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        let conditions = self.conditions();
        let answer = self.client.get(&conditions).map_err(|why| self.no_answer(&why))?;
        match answer.status.as_u16() {
            200 => self.document(answer).map(Fetched::Document),
            304 if !conditions.is_empty() => Ok(Fetched::Unchanged),
            _ => Err(self.refusal(&answer, !conditions.is_empty())),
        }
    }

    fn interval(&self) -> Duration {
        self.every
    }

    fn applied(&mut self) {
        self.applied = self.fetched.clone();
    }
}
