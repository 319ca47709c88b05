//! Parser of answers from Prometheus: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_derive::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Answer<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Data<'a> {
    #[serde(borrow, rename = "resultType")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Series<'a> {
    #[serde(borrow)]
    value: Option<Point<'a>>,
    histogram: Option<IgnoredAny>,
}

/// Time in seconds, and value. Both stay text, so that no float rounds them.
type Point<'a> = (&'a RawValue, String);

/// Returns time and value of an answer that is a single number, or says what the answer is instead. The error completes
/// "Prometheus answers …".
pub(super) fn parse_point(body: &[u8]) -> Result<(&str, String), String> {
    let answer = parse(body)?;
    if let Some(error) = answer.error {
        return Err(format!("an error: {}", without_prefix(&error)));
    }
    if answer.status != "success" {
        return Err(format!("with status `{}`", answer.status));
    }
    if let Some(warning) = answer.warnings.iter().flatten().next() {
        return Err(format!("with a warning, so the data may be incomplete: {warning}"));
    }
    let data = answer.data.ok_or("without data")?;
    let invalid = |error| format!("an invalid {}: {error}", data.kind);
    let (at, value) = match &*data.kind {
        "scalar" => serde_json::from_str::<Point<'_>>(data.result.get()).map_err(invalid)?,
        "vector" => single(serde_json::from_str(data.result.get()).map_err(invalid)?)?,
        kind => return Err(format!("a {kind} instead of one number")),
    };
    Ok((at.get(), value))
}

/// Returns the error message of an answer that refuses a query.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    Some(without_prefix(&parse(body).ok()?.error?).to_owned())
}

fn parse(body: &[u8]) -> Result<Answer<'_>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "with bytes that are not UTF-8")?;
    if text.trim().is_empty() {
        return Err("with an empty body".to_owned());
    }
    serde_json::from_str(text).map_err(|error| match error.is_eof() {
        true => format!("with truncated JSON: {error}"),
        false => format!("in an unknown format: {error}, in `{text}`"),
    })
}

fn single(mut series: Vec<Series<'_>>) -> Result<Point<'_>, String> {
    match series.len() {
        0 => Err("with no series, so the metric has no value".to_owned()),
        1 => match series.pop() {
            Some(Series { value: Some(point), .. }) => Ok(point),
            Some(Series { histogram: Some(_), .. }) => Err("a histogram, not a number".to_owned()),
            _ => Err("a series without a value".to_owned()),
        },
        many => {
            Err(format!("{many} series instead of one: aggregate them, by `sum`, `avg` or `max`"))
        }
    }
}

/// Removes the prefix that every refused query's message has.
fn without_prefix(error: &str) -> &str {
    error.strip_prefix("invalid parameter \"query\": ").unwrap_or(error)
}
