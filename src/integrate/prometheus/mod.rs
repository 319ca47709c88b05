//! A reader of metrics from Prometheus.

mod answer;
mod decimal;
mod value;

use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::{BadEndpoint, Client, Endpoint, RequestError};
use crate::plan::model::{Metric, MetricSource, Quantity, Unit};
use crate::rollout::{MetricReader, ReadError, Sample};

/// A [`MetricReader`] for the metrics of a plan that have `source = { prometheus = "QUERY" }`. It sends an instant
/// query, whose answer must be a single number.
///
/// If the source has `samples = "QUERY"`, it sends this query next, for the timestamp of the first answer. The answer is
/// the number of samples, and must be at least 1. Without it, there is no value. Each query has the whole deadline.
///
/// # Units
///
/// | unit | the query returns | rounded to |
/// | --- | --- | --- |
/// | percent | 0 to 100; multiply a ratio by 100 in the query | a part per million |
/// | duration | seconds | a millisecond, at least one |
/// | count | a count | an integer |
/// | number | a number, perhaps negative | a millionth |
///
/// Values are rounded from their decimal text, without a float.
///
/// # Rejected answers
///
/// - no series, or more than one;
/// - `NaN` or `Inf`, a percentage above 100, or a negative value of any unit except `number`;
/// - an answer with `warnings`, because Prometheus then sends incomplete data (`infos` are accepted);
/// - an answer that is late, truncated, longer than 1 MiB, or not in Prometheus' format.
///
/// The [`ReadError`] quotes the answer.
///
/// # Age of a value
///
/// The timestamp in Prometheus' answer is the time of the query, not of the scrape. So a series that is no longer
/// written would look fresh for five minutes. Each query therefore sets `lookback_delta` to the metric's `stale_after`,
/// or to five minutes if that is less. Prometheus before 2.43 ignores it. It does not affect ranges such as
/// `rate(x[10m])`. For a series that is written less often, query `last_over_time(x[15m])`.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::integrate::Prometheus;
/// use stagegate::rollout::MetricReader;
/// # use std::io::{Read, Write};
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let port = listener.local_addr()?.port();
/// # let server = std::thread::spawn(move || -> std::io::Result<()> {
/// #     let (mut stream, _) = listener.accept()?;
/// #     let mut request = Vec::new();
/// #     while !request.ends_with(b"lookback_delta=300000ms") {
/// #         let mut byte = [0];
/// #         stream.read_exact(&mut byte)?;
/// #         request.extend(byte);
/// #     }
/// #     let body = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1769500000.5,"41.5"]}]}}"#;
/// #     write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
/// # });
/// let mut prometheus = Prometheus::new(format!("http://127.0.0.1:{port}"))?;
/// let plan = Plan::parse(r#"
///     schema = 1
///     [metrics.cpu]
///     unit = "percent"
///     source = { prometheus = "100 * avg(node_cpu_busy)" }
///     [flags.search]
/// "#)?;
/// let cpu = plan.metrics().next().ok_or("no metric")?;
/// let sample = prometheus.read(cpu)?.ok_or("not a metric of Prometheus")?;
/// assert_eq!(sample.value.to_string(), "41.5%");
/// # server.join().expect("no panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Prometheus {
    client: Client,
}

const DEFAULT_DEADLINE: Duration = Duration::from_secs(3);

/// Largest accepted body. One series takes about a hundred bytes, but a query without aggregation may return many.
const MAX_BODY_BYTES: u64 = 1024 * 1024;

/// Prometheus' default lookback.
const DEFAULT_LOOKBACK: Duration = Duration::from_secs(5 * 60);

/// Characters that a form value must escape: all except letters, digits and `-._`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

impl Prometheus {
    /// Creates a reader for a server. The endpoint or URL is the part before `/api/v1/query`. Does not connect yet. The
    /// deadline of a query is 3 seconds unless the endpoint has its own.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`] if the endpoint is invalid.
    pub fn new(endpoint: impl Into<Endpoint>) -> Result<Prometheus, BadEndpoint> {
        let client = Client::new(&endpoint.into(), DEFAULT_DEADLINE)?;
        Ok(Prometheus { client: client.with_subpath("/api/v1/query")? })
    }

    /// Returns the answer to a query: one value and its timestamp, both as text. `at` is the timestamp to ask for, as
    /// an earlier answer wrote it. `None`: now, by the server's clock.
    fn query(
        &self,
        query: &str,
        stale_after: Duration,
        at: Option<&str>,
    ) -> Result<(String, String), ReadError> {
        let body = self.post(query, stale_after, at)?;
        match answer::parse_point(&body) {
            Ok((at, value)) => Ok((at.to_owned(), value)),
            Err(wrong) => Err(self.answers(&wrong)),
        }
    }

    fn post(
        &self,
        query: &str,
        stale_after: Duration,
        at: Option<&str>,
    ) -> Result<Vec<u8>, ReadError> {
        // `POST`, because it has no limit on the query's length, stays out of access logs, and is not cached. `timeout`
        // lets the server abandon the query at our deadline.
        let timeout = self.client.deadline().as_millis();
        let lookback = stale_after.min(DEFAULT_LOOKBACK).as_millis();
        let query = utf8_percent_encode(query, ESCAPED);
        let at = at.map(|at| format!("&time={}", utf8_percent_encode(at, ESCAPED)));
        let form = format!(
            "query={query}&timeout={timeout}ms&lookback_delta={lookback}ms{}",
            at.unwrap_or_default()
        );
        let no_answer = |why: RequestError| self.error(format_args!("does not answer: {why}"));
        let answer = self.client.post("application/x-www-form-urlencoded", &form);
        let answer = answer.map_err(no_answer)?;
        let status = answer.status;
        if status.is_redirection() {
            let wrong =
                format_args!("answers {}, a redirect, which is not followed", status.as_u16());
            return Err(self.error(wrong));
        }
        let body = self.client.read(answer, MAX_BODY_BYTES);
        if status.as_u16() != 200 {
            // Prometheus explains a refusal in the body. A proxy may not.
            let why = body.ok().and_then(|body| answer::error_message(&body));
            let why =
                why.map(|why| format!(": {}", self.client.redacted(&why))).unwrap_or_default();
            return Err(self.error(format_args!("answers {}{why}", status.as_u16())));
        }
        body.map_err(no_answer)
    }

    /// Returns the number of samples at the timestamp of the value.
    fn samples(&self, query: &str, stale_after: Duration, at: &str) -> Result<u64, ReadError> {
        let (answered, count) = self.query(query, stale_after, Some(at))?;
        let parse = || {
            if value::parse_timestamp(&answered)? != value::parse_timestamp(at)? {
                return Err(format!("for `{answered}` instead of `{at}`"));
            }
            match value::parse_quantity(&count, Unit::Count)? {
                Quantity::Count(0) => {
                    Err(format!("`{count}`, and a value of no samples means nothing"))
                }
                Quantity::Count(count) => Ok(count),
                _ => Err(format!("`{count}`, which is not a count")),
            }
        };
        parse().map_err(|wrong| self.answers(&wrong))
    }

    /// Returns an error that completes "Prometheus answers …".
    fn answers(&self, wrong: &str) -> ReadError {
        self.error(format_args!("answers {}", self.client.redacted(wrong)))
    }

    fn error(&self, wrong: fmt::Arguments<'_>) -> ReadError {
        ReadError::new(format!("`{}` {wrong}", self.client.server()))
    }
}

impl MetricReader for Prometheus {
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError> {
        let MetricSource::Prometheus { query, samples } = &metric.source else { return Ok(None) };
        let (at, value) = self.query(query, *metric.stale_after, None)?;
        let sample = value::parse_timestamp(&at)
            .and_then(|at| Ok(Sample::new(value::parse_quantity(&value, metric.unit)?, at)))
            .map_err(|wrong| self.answers(&wrong))?;
        let Some(samples) = samples else { return Ok(Some(sample)) };
        let count = self.samples(samples, *metric.stale_after, &at);
        let count = count.map_err(|error| ReadError::new(format!("query of samples: {error}")))?;
        Ok(Some(sample.with_samples(count)))
    }

    fn name(&self) -> &str {
        "prometheus"
    }
}

/// Prints only the scheme and host of the URL.
impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("server", &self.client.server()).finish_non_exhaustive()
    }
}
