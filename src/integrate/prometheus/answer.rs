//! What Prometheus answers: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

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

/// When, in seconds, and how much: numbers as text, so that no float comes in between.
type Point<'a> = (&'a RawValue, String);

/// Moment and value of the one number that an answer is, or what it is instead.
pub(super) fn point(body: &[u8]) -> Result<(&str, String), String> {
    let answer = read(body)?;
    if let Some(error) = answer.error {
        return Err(format!("an error: {}", short(&error)));
    }
    if answer.status != "success" {
        return Err(format!("with status `{}`", answer.status));
    }
    if let Some(warning) = answer.warnings.iter().flatten().next() {
        return Err(format!("with a warning, so perhaps with a part of the data: {warning}"));
    }
    let data = answer.data.ok_or("without data")?;
    let at_odds = |error| format!("a {} that is none: {error}", data.kind);
    let (at, value) = match &*data.kind {
        "scalar" => serde_json::from_str::<Point<'_>>(data.result.get()).map_err(at_odds)?,
        "vector" => one(serde_json::from_str(data.result.get()).map_err(at_odds)?)?,
        kind => return Err(format!("a {kind} instead of one number")),
    };
    Ok((at.get(), value))
}

/// Why a query was refused, where an answer says so.
pub(super) fn reason(body: &[u8]) -> Option<String> {
    Some(short(&read(body).ok()?.error?).to_owned())
}

fn read(body: &[u8]) -> Result<Answer<'_>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "what is no text")?;
    if text.trim().is_empty() {
        return Err("nothing at all".to_owned());
    }
    serde_json::from_str(text).map_err(|error| match error.is_eof() {
        true => format!("a part: {error}"),
        false => format!("no JSON of Prometheus: {error}, in `{text}`"),
    })
}

fn one(mut series: Vec<Series<'_>>) -> Result<Point<'_>, String> {
    match series.len() {
        0 => Err("no series, so no value".to_owned()),
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

/// Without what is true of all.
fn short(error: &str) -> &str {
    error.strip_prefix("invalid parameter \"query\": ").unwrap_or(error)
}
