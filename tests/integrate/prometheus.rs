//! Requests to Prometheus, and answers that are not exactly one number.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use stagegate::Plan;
use stagegate::http::{BadEndpoint, Endpoint};
use stagegate::integrate::Prometheus;
use stagegate::model::Metric;
use stagegate::rollout::{MetricReader, Sample};

use super::canary::{endpoint, without_canaries};
use super::server::{Server, answer};

/// A deadline that no healthy server misses, and a deadline for which a test waits.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

/// Extra time for a busy machine.
const SPARE: Duration = Duration::from_secs(2);

/// Returns a metric in percent with a query for the value and one for the number of samples.
fn counted_metric() -> Metric {
    let plan = Plan::parse(
        "schema = 1\n[metrics.m]\nunit = 'percent'\n\
         source = { prometheus = 'errors / all', samples = 'sum(all)' }\n[flags.a]\n",
    );
    plan.unwrap().metrics().next().unwrap().clone()
}

/// Reads a metric with 5% from a server with this answer to the query for the number of samples. Also returns the
/// requests.
fn read_counted(status: &'static str, samples: String) -> (Result<Sample, String>, Vec<String>) {
    let server = Server::new(move |stream, request| {
        let reply = match request.contains("query=sum%28all%29&") {
            true => answer(status, &samples),
            false => answer("200 OK", &vector("5")),
        };
        stream.write_all(reply.as_bytes())
    });
    let mut prometheus = Prometheus::new(endpoint(&server.url).with_deadline(LONG)).unwrap();
    let read = prometheus.read(&counted_metric()).map(Option::unwrap);
    let read =
        read.map_err(|error| without_canaries(error.to_string()).replace(&server.url, "SERVER"));
    (read, server.requests())
}

/// Returns a metric with this query.
pub(crate) fn metric(unit: &str, query: &str, stale_after: &str) -> Metric {
    let plan = Plan::parse(&*format!(
        "schema = 1\n[metrics.m]\nunit = '{unit}'\nsource = {{ prometheus = '''{query}''' }}\n\
         stale_after = '{stale_after}'\n[flags.a]\n",
    ));
    let plan = plan.unwrap();
    plan.metrics().next().unwrap().clone()
}

pub(crate) fn read_as(server: &Server, unit: &str) -> Result<Sample, String> {
    read_within(LONG, server, unit)
}

fn read_within(deadline: Duration, server: &Server, unit: &str) -> Result<Sample, String> {
    let mut prometheus = Prometheus::new(endpoint(&server.url).with_deadline(deadline)).unwrap();
    without_canaries(format!("{prometheus:?}"));
    let begin = Instant::now();
    let read = prometheus.read(&metric(unit, "up", "10m"));
    assert!(begin.elapsed() < deadline + SPARE, "{:?}", begin.elapsed());
    match read {
        Ok(sample) => Ok(sample.unwrap()),
        Err(error) => {
            without_canaries(format!("{error:?}"));
            Err(without_canaries(error.to_string()).replace(&server.url, "SERVER"))
        }
    }
}

/// Reads an answer as a percentage and returns the error.
pub(crate) fn wrong(server: &Server) -> String {
    wrong_within(LONG, server)
}

/// Like `wrong`, for an answer that comes too late.
pub(crate) fn late(server: &Server) -> String {
    wrong_within(SHORT, server)
}

fn wrong_within(deadline: Duration, server: &Server) -> String {
    let error = read_within(deadline, server, "percent").unwrap_err();
    error.strip_prefix("`SERVER` ").expect("its address").to_owned()
}

pub(crate) fn body(data: &str) -> String {
    format!(r#"{{"status":"success","data":{data}}}"#)
}

pub(crate) fn vector(value: &str) -> String {
    body(&format!(
        r#"{{"resultType":"vector","result":[{{"metric":{{"a":"b"}},"value":[1435781451.781,"{value}"]}}]}}"#
    ))
}

pub(crate) fn ok(body: &str) -> Server {
    Server::answering("200 OK", body)
}

#[test]
fn one_number_is_a_value_in_the_unit_of_the_metric() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_435_781_451_781);
    for (value, unit, expected) in [
        ("41.5", "percent", "41.5%"),
        ("0.123456", "percent", "0.1235%"),
        ("99.99999999", "percent", "100%"),
        ("0.25", "duration", "250ms"),
        ("1e-05", "duration", "1ms"),
        ("2.9997", "count", "3"),
        ("1e+06", "count", "1000000"),
        ("-3.5", "number", "-3.5"),
        ("0.30000000000000004", "number", "0.3"),
    ] {
        let sample = read_as(&ok(&vector(value)), unit).unwrap();
        assert_eq!((sample.value.to_string(), sample.at), (expected.to_owned(), at), "{value}");
    }
    let scalar = body(r#"{"resultType":"scalar","result":[1435781452,"7"]}"#);
    let sample = read_as(&ok(&scalar), "count").unwrap();
    assert_eq!(
        (sample.value.to_string(), sample.at),
        ("7".to_owned(), at + Duration::from_millis(219))
    );
    let infos = vector("7")
        .replace(r#""status""#, r#""infos":["rate of a gauge"],"warnings":[],"new":{},"status""#);
    assert_eq!(read_as(&ok(&infos), "count").unwrap().value.to_string(), "7");
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        vector("7").len(),
        vector("7"),
    );
    assert_eq!(read_as(&Server::always(chunked), "count").unwrap().value.to_string(), "7");
}

#[test]
fn a_query_is_posted_with_a_timeout_and_a_lookback_limit() {
    let server = ok(&vector("1"));
    let base = Endpoint::new(format!("{}/prom/", server.url)).with_bearer_token("canary-token");
    let mut prometheus = Prometheus::new(base).unwrap();
    assert_eq!(prometheus.name(), "prometheus");
    prometheus.read(&metric("count", "sum(rate(x{a=\"b\"}[5m])) + 1", "10m")).unwrap();
    prometheus.read(&metric("count", "up", "90s")).unwrap();
    let requests = server.requests();
    let (head, form) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(
        form,
        "query=sum%28rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29%29%20%2B%201&timeout=3000ms&lookback_delta=300000ms",
    );
    let head = head.to_lowercase();
    assert!(head.starts_with("post /prom/api/v1/query http/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/x-www-form-urlencoded",
        "accept-encoding: identity",
        "authorization: bearer canary-token",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is not in {head}");
    }
    assert!(requests[1].ends_with("query=up&timeout=3000ms&lookback_delta=90000ms"));
}

#[test]
fn the_number_of_samples_is_queried_for_the_moment_of_the_value() {
    for (samples, expected) in [("1", 1), ("499.6", 500), ("1.2e+06", 1_200_000)] {
        let (read, requests) = read_counted("200 OK", vector(samples));
        let sample = read.unwrap();
        assert_eq!((sample.value.to_string(), sample.samples), ("5%".to_owned(), Some(expected)));
        let forms: Vec<_> =
            requests.iter().map(|it| it.split_once("\r\n\r\n").unwrap().1).collect();
        let limits = "timeout=20000ms&lookback_delta=300000ms";
        let expected = [
            format!("query=errors%20%2F%20all&{limits}"),
            format!("query=sum%28all%29&{limits}&time=1435781451.781"),
        ];
        assert_eq!(forms, expected);
    }
    // Without a query, the number is unknown.
    assert_eq!(read_as(&ok(&vector("5")), "percent").unwrap().samples, None);
}

/// 100% of an unknown number of requests may be one request.
#[test]
fn a_value_without_a_number_of_samples_is_no_value() {
    let empty = body(r#"{"resultType":"vector","result":[]}"#);
    let other_moment = vector("500").replace("1435781451.781", "1435781452");
    for (status, answer, expected) in [
        ("200 OK", vector("NaN"), "answers `NaN`, which is not a number"),
        ("200 OK", vector("-1"), "answers `-1`, which is negative"),
        ("200 OK", vector("0"), "answers `0`, and a value of no samples means nothing"),
        ("200 OK", vector("0.4"), "answers `0.4`, and a value of no samples means nothing"),
        ("200 OK", empty, "answers with no series, so the metric has no value"),
        ("200 OK", other_moment, "answers for `1435781452` instead of `1435781451.781`"),
        ("503 Service Unavailable", String::new(), "answers 503"),
    ] {
        let (read, _) = read_counted(status, answer);
        assert_eq!(read.unwrap_err(), format!("query of samples: `SERVER` {expected}"));
    }
}

#[test]
fn metrics_from_other_sources_are_not_queried() {
    let server = ok(&vector("1"));
    let plan = Plan::parse(
        "schema = 1\n[metrics.a]\nunit = 'count'\nsource = 'people'\n\
         [metrics.b]\nunit = 'count'\nsource = 'application'\n[flags.a]\n",
    );
    let plan = plan.unwrap();
    let mut prometheus = Prometheus::new(&*server.url).unwrap();
    for metric in plan.metrics() {
        assert_eq!(prometheus.read(metric), Ok(None));
    }
    assert_eq!(server.requests(), [""; 0]);
}

#[test]
fn answers_other_than_one_valid_number_have_no_value() {
    let series = r#"{"metric":{},"value":[1,"1"]}"#;
    let several = |count: usize| {
        let all = vec![series; count].join(",");
        body(&format!(r#"{{"resultType":"vector","result":[{all}]}}"#))
    };
    let of_kind = |kind: &str| body(&format!(r#"{{"resultType":"{kind}","result":[]}}"#));
    let at = |at: &str| body(&format!(r#"{{"resultType":"scalar","result":[{at},"1"]}}"#));
    for (body, expected) in [
        (vector("NaN"), "answers `NaN`, which is not a number"),
        (vector("+Inf"), "answers `+Inf`, which is not a number"),
        (vector("-Inf"), "answers `-Inf`, which is not a number"),
        (vector("0x10"), "answers `0x10`, which is not a number"),
        (vector(""), "answers ``, which is not a number"),
        (vector("1\\n2"), "answers `1\\n2`, which is not a number"),
        (vector("-1"), "answers `-1`, which is negative"),
        (vector("-0.01"), "answers `-0.01`, which is negative"),
        (vector("100.0001"), "answers `100.0001`: more than 100%"),
        (vector("1e400"), "answers `1e400`, which is too large"),
        (vector(&"9".repeat(30)), "answers `999999999999999999999999999999`, which is too large"),
        (several(0), "answers with no series, so the metric has no value"),
        (several(2), "answers 2 series instead of one: aggregate them, by `sum`, `avg` or `max`"),
        (
            several(500),
            "answers 500 series instead of one: aggregate them, by `sum`, `avg` or `max`",
        ),
        (of_kind("matrix"), "answers a matrix instead of one number"),
        (of_kind("string"), "answers a string instead of one number"),
        (of_kind("\\u001b[2J"), "answers a \\u{1b}[2J instead of one number"),
        (
            body(r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}"#),
            "answers a histogram, not a number",
        ),
        (body(r#"{"resultType":"vector","result":[{}]}"#), "answers a series without a value"),
        (
            body(r#"{"resultType":"vector","result":{}}"#),
            "answers an invalid vector: invalid type: map, expected a sequence at line 1 column 0",
        ),
        (
            body(r#"{"resultType":"scalar","result":[1,2]}"#),
            "answers an invalid scalar: invalid type: integer `2`, expected a string at line 1 column 4",
        ),
        (
            body(r#"{"resultType":"scalar","result":[1]}"#),
            "answers an invalid scalar: invalid length 1, expected a tuple of size 2 at line 1 column 3",
        ),
        (at("-1"), "answers with the invalid timestamp `-1`"),
        (at("1e300"), "answers with the invalid timestamp `1e300`"),
        (at("null"), "answers with the invalid timestamp `null`"),
        (at("\"2026\""), "answers with the invalid timestamp `\"2026\"`"),
        (
            vector("1").replace(r#""status""#, r#""warnings":["partial response"],"status""#),
            "answers with a warning, so the data may be incomplete: partial response",
        ),
        (r#"{"status":"success"}"#.to_owned(), "answers without data"),
        (r#"{"status":"odd"}"#.to_owned(), "answers with status `odd`"),
        (
            r#"{"status":"error","errorType":"internal","error":"oh no"}"#.to_owned(),
            "answers an error: oh no",
        ),
    ] {
        assert_eq!(wrong(&ok(&body)), expected);
    }
}

#[test]
fn invalid_endpoints_of_prometheus_are_refused() {
    let refused = |url: &str| Prometheus::new(url).unwrap_err();
    assert_eq!(refused("prometheus:9090"), BadEndpoint::NotUrl);
    assert_eq!(refused("http://u:p@localhost"), BadEndpoint::Credentials);
    assert_eq!(
        refused("http://prometheus:9090"),
        BadEndpoint::Plain("http://prometheus:9090".to_owned())
    );
    assert_eq!(
        refused("https://prometheus/?tenant=1").to_string(),
        "the URL of Prometheus contains a `?`: write only the part before `/api/v1/query`",
    );
}
