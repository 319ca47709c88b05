//! Markdown from templates over the views. Every text is escaped, here or by a filter.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context,
};
use stagegate::model::{Date, When};

use super::view::DocumentView;
use crate::escape;
use crate::failure::Failure;
use crate::verbs::timeline::TimelineView;

const TEMPLATES: [(&str, &str); 4] = [
    ("plan.md", include_str!("plan.md.jinja")),
    ("timeline.md", include_str!("../timeline/timeline.md.jinja")),
    ("timeline_body.md", include_str!("../timeline/timeline_body.md.jinja")),
    ("calendar.md", include_str!("../timeline/calendar.md.jinja")),
];

/// The text for a missing value.
const NONE: &str = "–";

/// Formats the plans of a document, one after another.
pub(super) fn plans(view: &DocumentView<'_>) -> Result<String, Failure> {
    render("plan.md", &Value::from(Serde(view)))
}

/// Formats the timeline of a flag.
pub(crate) fn timeline(view: &TimelineView<'_>) -> Result<String, Failure> {
    render("timeline.md", &context! { timeline => Value::from(Serde(view)) })
}

fn render(name: &str, view: &Value) -> Result<String, Failure> {
    let rendered = || environment()?.get_template(name)?.render(view);
    rendered().map_err(|error| Failure::Io(format!("cannot generate the Markdown: {error}")))
}

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
    environment.set_formatter(write);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    let safe = Value::from_safe_string;
    environment.add_filter("cell", move |value: Value| safe(each(&value, escape::markdown_cell)));
    environment.add_filter("inline", move |value: Value| safe(each(&value, escape::markdown_cell)));
    environment.add_filter("quote", move |text: &str| safe(escape::markdown_quote(text)));
    environment.add_filter("code", move |text: &str| safe(escape::markdown_code(text)));
    environment
        .add_filter("steps", |names: Vec<String>| (!names.is_empty()).then(|| names.join(" → ")));
    environment.add_filter("durations", |stage: Value| durations(&stage));
    environment.add_filter("alternatives", |list: Value| alternatives(&list));
    environment.add_filter("when", |when: &str| self::when(when));
    environment.add_filter("day", |date: &str| day(date));
    environment.add_filter("days", |period: Value| days(&period));
    Ok(environment)
}

fn write(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = if value.is_safe() { value.to_string() } else { each(value, escape::markdown) };
    out.write_str(&text).map_err(|_| Error::new(ErrorKind::WriteFailure, "cannot be written"))
}

/// Returns the text of a value with each of its items escaped.
fn each(value: &Value, escape: fn(&str) -> String) -> String {
    if value.is_none() || value.is_undefined() {
        return NONE.to_owned();
    }
    if let Some(text) = value.as_str() {
        return escape(text);
    }
    match value.try_iter() {
        Ok(items) => items.map(|item| each(&item, escape)).collect::<Vec<_>>().join(", "),
        Err(_) => escape(&value.to_string()),
    }
}

/// Returns the durations of a stage: `1d–2d`.
fn durations(stage: &Value) -> Result<Option<String>, Error> {
    let text = |name: &str| {
        let amount = stage.get_attr(name)?;
        if amount.is_none() {
            return Ok(None);
        }
        Ok::<_, Error>(Some(amount.get_attr("text")?.to_string()))
    };
    Ok(duration_range(text("min_duration")?, text("max_duration")?))
}

/// Formats an optional minimum and an optional maximum.
pub(super) fn duration_range(min: Option<String>, max: Option<String>) -> Option<String> {
    match (min, max) {
        (Some(min), Some(max)) if min == max => Some(min),
        (Some(min), Some(max)) => Some(format!("{min}–{max}")),
        (Some(min), None) => Some(format!("at least {min}")),
        (None, Some(max)) => Some(format!("at most {max}")),
        (None, None) => None,
    }
}

/// Formats the conditions of a group: `region: one of "eu-west", "eu-north" and seats: >= 100; or role: "admin"`.
fn alternatives(alternatives: &Value) -> Result<Option<String>, Error> {
    let condition = |condition: Value| {
        let (name, text) = (condition.get_attr("attribute")?, condition.get_attr("condition")?);
        Ok::<_, Error>(format!("{name}: {text}"))
    };
    let all = |all: Value| {
        let all = all.try_iter()?.map(condition).collect::<Result<Vec<_>, Error>>()?;
        Ok::<_, Error>(all.join(" and "))
    };
    let texts = alternatives.try_iter()?.map(all).collect::<Result<Vec<_>, Error>>()?;
    Ok((!texts.is_empty()).then(|| texts.join("; or ")))
}

/// Formats the time of a message in words: `3 days before`.
fn when(when: &str) -> String {
    match when.parse() {
        Ok(When::Days(days)) => {
            let (count, side) = (days.unsigned_abs(), if days < 0 { "before" } else { "after" });
            format!("{count} day{} {side}", if count == 1 { "" } else { "s" })
        }
        Ok(When::AsNeeded) => "as needed".to_owned(),
        _ => when.to_owned(),
    }
}

/// Formats a day with its weekday: `Mon 2026-01-05`.
fn day(date: &str) -> String {
    date.parse::<Date>().map_or(date.to_owned(), |day| format!("{} {day}", day.weekday()))
}

/// Formats the earliest and the latest day, or one day if they are equal.
fn days(days: &Value) -> Result<String, Error> {
    let of = |name: &str| Ok::<_, Error>(day(&days.get_attr(name)?.to_string()));
    let (earliest, latest) = (of("earliest")?, of("latest")?);
    Ok(if earliest == latest { earliest } else { format!("{earliest} – {latest}") })
}
