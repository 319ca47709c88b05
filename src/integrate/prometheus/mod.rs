//! Metrics from Prometheus.

mod answer;
mod decimal;
mod value;

use std::fmt;
use std::time::Duration;

use crate::http::{BadEndpoint, Client, Endpoint, NoAnswer};
use crate::plan::model::{Metric, MetricSource};
use crate::rollout::{MetricReader, ReadError, Sample};

/// Reads the metrics of a plan that have `source = { prometheus = "QUERY" }`: an instant query, whose answer has to
/// be one number.
///
/// # Units
///
/// Percent: a number from 0 to 100, so a ratio is multiplied by 100 in the query. Duration: seconds. Count: as it
/// is. Number: as it is, perhaps negative. Each is rounded, from its decimal text and through no float, to the nearest that
/// a plan can write: a part per million, a millisecond (at least one), a whole number, a millionth.
///
/// # What is no value
///
/// - no series, or more than one;
/// - `NaN` or `Inf`, a percentage above 100, or a negative value of any unit but `number`;
/// - an answer with `warnings`, which Prometheus sends with a part of the data (`infos` are accepted);
/// - an answer that is late, cut off, longer than 1 MiB, or not Prometheus' format.
///
/// [`ReadError`] says what was found.
///
/// # How old a value may be
///
/// Prometheus says *when it was asked* with the result, not when the value was scraped: without more, a series that
/// is no longer written would be fresh for five minutes. So the query looks back no further than the metric's
/// `stale_after`, and never further than the usual five minutes (`lookback_delta`, since Prometheus 2.43; an older
/// one keeps to its own). It has no effect on ranges such as `rate(x[10m])`: they are as old as they say. A series
/// that is rightly written more seldom is read by `last_over_time(x[15m])`.
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

const DEADLINE: Duration = Duration::from_secs(3);

/// A number takes some hundred bytes; a query that forgot to aggregate takes as many for each series.
const MAX_BODY_BYTES: u64 = 1024 * 1024;

/// How far Prometheus looks back for a value unless told otherwise.
const LOOKBACK: Duration = Duration::from_secs(5 * 60);

impl Prometheus {
    /// Asks the server of that endpoint, or URL: what stands before `/api/v1/query`. Nothing is sent yet. An answer may
    /// take 3 seconds unless the endpoint says otherwise.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`] when that cannot be asked.
    pub fn new(endpoint: impl Into<Endpoint>) -> Result<Prometheus, BadEndpoint> {
        let client = Client::new(&endpoint.into(), DEADLINE)?;
        Ok(Prometheus { client: client.below("/api/v1/query")? })
    }

    fn ask(&self, query: &str, stale_after: Duration) -> Result<Vec<u8>, ReadError> {
        // A query of any length, which stands in no log of addresses and which nothing on the way keeps an answer to:
        // hence no `GET`. With the deadline the server need not go on either.
        let timeout = self.client.deadline().as_millis();
        let lookback = stale_after.min(LOOKBACK).as_millis();
        let query = form_encoded(query);
        let form = format!("query={query}&timeout={timeout}ms&lookback_delta={lookback}ms");
        let no_answer = |why: NoAnswer| self.error(format_args!("does not answer: {why}"));
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
            // What Prometheus refuses, it gives its reasons for; of others the status has to do.
            let why = body.ok().and_then(|body| answer::reason(&body));
            let why = why.map(|why| format!(": {}", self.client.quoted(&why))).unwrap_or_default();
            return Err(self.error(format_args!("answers {}{why}", status.as_u16())));
        }
        body.map_err(no_answer)
    }

    fn error(&self, wrong: fmt::Arguments<'_>) -> ReadError {
        ReadError::new(format!("`{}` {wrong}", self.client.server()))
    }
}

impl MetricReader for Prometheus {
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError> {
        let MetricSource::Prometheus { query } = &metric.source else { return Ok(None) };
        let body = self.ask(query, *metric.stale_after)?;
        let sample = answer::point(&body).and_then(|(at, value)| {
            let (at, value) = (value::moment(at)?, value::quantity(&value, metric.unit)?);
            Ok(Sample::new(value, at))
        });
        sample
            .map(Some)
            .map_err(|wrong| self.error(format_args!("answers {}", self.client.quoted(&wrong))))
    }

    fn name(&self) -> &str {
        "prometheus"
    }
}

/// Shows scheme and host alone.
impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("server", &self.client.server()).finish_non_exhaustive()
    }
}

/// As forms are sent: letters, digits and `-._` as they are, all else as `%XX`.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_carry_every_byte() {
        assert_eq!(
            form_encoded("rate(x{a=\"b&c\"}[5m]) + 1"),
            "rate%28x%7Ba%3D%22b%26c%22%7D%5B5m%5D%29%20%2B%201"
        );
        assert_eq!(form_encoded("a-b.c_d%ü\n"), "a-b.c_d%25%C3%BC%0A");
    }
}
