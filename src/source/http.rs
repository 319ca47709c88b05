//! A document on a server.

use std::time::Duration;

use super::{Fetched, Source, SourceError};
use crate::http::{Answer, BadEndpoint, Client, Endpoint, NoAnswer};
use crate::plan::limits::MAX_DOCUMENT_BYTES;
use crate::plan::{Document, Format};

/// A document on a server, asked for again and again.
///
/// * Requests are conditional (`If-None-Match`, else `If-Modified-Since`), by what the server said of the document *in
///   force*: of one that was refused nothing is remembered. Every twentieth is not, since tags can be wrong. Whether there
///   is something new is told by the content.
/// * An answer counts if it is a `200` with a body that is whole: its length is stated or it comes in chunks, it is not
///   compressed, no web page, and within [`MAX_DOCUMENT_BYTES`](crate::limits::MAX_DOCUMENT_BYTES). All else, a `401` or
///   `404` too, leaves in force what is.
/// * No redirect is followed; `http://` is for this machine, unless [it is allowed](Endpoint::allowing_plain_http).
/// * An answer may take 10 seconds in all unless the endpoint says otherwise. `Retry-After` in seconds is heeded, up to
///   twenty intervals.
/// * `application/json` and `application/toml` tell the notation, else `.json` and `.toml` at the end of the path, else the
///   content. A document on a server names no `users_file`.
/// * Errors name scheme and host alone, and an answer that repeats a header of the request is refused unread.
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
    /// By the end of the path.
    format: Option<Format>,
    /// Of what is in force.
    applied: Validators,
    /// Of what was fetched last.
    fetched: Validators,
    /// Since the last request without a condition.
    conditional: u32,
}

/// What a server says of a document so that it can be asked whether it is still the same.
#[derive(Clone, Debug, Default)]
struct Validators {
    tag: Option<String>,
    modified: Option<String>,
}

const DEADLINE: Duration = Duration::from_secs(10);

/// Requests in a row that may be conditional.
const MOST_CONDITIONAL: u32 = 19;

/// What a tag has at the most: it is sent back with each request.
const MAX_TAG_BYTES: usize = 1024;

impl Http {
    /// The document at that endpoint, or URL. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`] when that cannot be asked.
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

    /// How often it is asked for; every 30 seconds unless told otherwise.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Http {
        self.every = interval;
        self
    }

    fn conditions(&mut self) -> Vec<(&'static str, String)> {
        if self.conditional >= MOST_CONDITIONAL {
            self.conditional = 0;
            return Vec::new();
        }
        self.conditional += 1;
        let Validators { tag, modified } = self.applied.clone();
        // Seconds, which a document may change within: only where there is nothing better.
        let modified = modified.filter(|_| tag.is_none());
        let tag = tag.map(|tag| ("if-none-match", tag));
        tag.into_iter().chain(modified.map(|date| ("if-modified-since", date))).collect()
    }

    fn error(&self, wrong: &str) -> SourceError {
        SourceError::new(format!("`{}` {wrong}", self.client.server()))
    }

    fn no_answer(&self, why: &NoAnswer) -> SourceError {
        self.error(&format!("does not answer: {why}"))
    }

    /// What an answer without a document means.
    fn refusal(&self, answer: &Answer, is_conditional: bool) -> SourceError {
        let status = answer.status.as_u16();
        let error = self.error(&match status {
            304 if !is_conditional => {
                "answers 304 to what was asked without a condition".to_owned()
            }
            300..400 => format!("answers {status}, a redirect, which is not followed"),
            _ => format!("answers {status}"),
        });
        let seconds = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
        match seconds.filter(|_| matches!(status, 429 | 503)) {
            Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
            None => error,
        }
    }

    fn document(&mut self, answer: Answer) -> Result<Document, SourceError> {
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
        if !answer.states_its_length() {
            return Err(self.error("does not say how long its answer is, which may be a half"));
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
        if self.client.is_repeated_in(&body) {
            return Err(self.error("repeats what it was sent, which is no document"));
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
