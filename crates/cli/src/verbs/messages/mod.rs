//! `messages`: prints the messages to send, with every variable filled in.

mod moment;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use stagegate::model::{Date, FlagPlan, Message, Template};

use crate::args::{Format, Messages};
use crate::document;
use crate::escape::{terminal, terminal_lines};
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::terminal::quoted;
use moment::Moment;
use values::Values;

pub(crate) use values::occasion;

pub(crate) fn run(args: &Messages, output: &Output) -> Result<Answer, Failure> {
    let plan =
        document::plan(&args.input.document, &args.input.reading, "messages", args.format, output)?;
    let flag = document::flag(&plan, args.input.flag.as_deref())?;
    check_names(flag, &args.set)?;
    let start = args.start.or_else(|| flag.start());
    let (due, what) = match (args.from, args.to) {
        (Some(from), Some(to)) => (between(flag, from, to, start)?, format!("from {from} to {to}")),
        _ => {
            let on = args.on.as_deref().unwrap_or_default();
            let moment = Moment::parse(flag, on)?;
            let what = format!("at {}.{}", moment.stage, moment.when);
            (moment.due(flag, start), what)
        }
    };
    let given = args.set.iter().map(|(name, value)| (&**name, &**value)).collect();
    let messages = render_all(flag, &due, start, &given)?;
    match args.format {
        Format::Human if messages.is_empty() => {
            output.text(&format!("The plan of `{}` has no message {what}.\n", flag.key()))?;
        }
        Format::Human => output.text(&human(&messages))?,
        Format::Json => {
            output.json("messages", &MessagesResult { flag: flag.key(), messages: &messages })?;
        }
    }
    Ok(if messages.is_empty() { Answer::No } else { Answer::Yes })
}

/// A message to send.
struct Due<'p> {
    message: &'p Message,
    /// The stage that the message is about, or `off`.
    stage: stagegate::StageName,
    /// The day, if known.
    date: Option<Date>,
}

/// Returns the messages due between two days, both included, in order of days.
fn between(
    flag: FlagPlan<'_>,
    from: Date,
    to: Date,
    start: Option<Date>,
) -> Result<Vec<Due<'_>>, Failure> {
    if to < from {
        return Err(Failure::Usage(format!("--to {to} is before --from {from}")));
    }
    let Some(start) = start else {
        return Err(Failure::Usage(
            "the document has no start. Pass the first day of the first stage with `--start DATE`"
                .to_owned(),
        ));
    };
    let timeline = flag.timeline(start);
    if timeline.unlisted_messages > 0 {
        return Err(Failure::Usage(format!(
            "the rollout has {} messages more than a timeline lists. Select a moment with \
             `--on STAGE.WHEN`",
            timeline.unlisted_messages
        )));
    }
    let messages = timeline.messages.into_iter().filter(|due| from <= due.date && due.date <= to);
    Ok(messages
        .map(|due| Due { message: due.message, stage: due.stage, date: Some(due.date) })
        .collect())
}

fn templates(message: &Message) -> impl Iterator<Item = &Template> {
    message.subject.iter().chain([&message.template])
}

/// Refuses a variable that no message uses. It is probably misspelt.
fn check_names(flag: FlagPlan<'_>, given: &[(String, String)]) -> Result<(), Failure> {
    let used: BTreeSet<&str> =
        flag.messages().iter().flat_map(templates).flat_map(Template::variables).collect();
    match given.iter().find(|(name, _)| !used.contains(&**name)) {
        None => Ok(()),
        Some((name, _)) if used.is_empty() => Err(Failure::Usage(format!(
            "no message has a variable, so `--set {}` changes nothing",
            terminal(name)
        ))),
        Some((name, _)) => Err(Failure::Usage(format!(
            "no message has the variable `{}`. Set one of: {}",
            terminal(name),
            quoted(used)
        ))),
    }
}

/// Fills in the variables of every message. One error lists all variables without a value.
fn render_all<'p>(
    flag: FlagPlan<'p>,
    due: &[Due<'p>],
    start: Option<Date>,
    given: &BTreeMap<&str, &str>,
) -> Result<Vec<Rendered<'p>>, Failure> {
    let (mut rendered, mut missing) = (Vec::with_capacity(due.len()), BTreeMap::new());
    let mut values = Values::new(flag, start, given);
    for due in due {
        values.at(due);
        let mut render = |template: &Template| {
            template.render(|name| {
                let value = values.value(name);
                if value.is_none() {
                    missing.insert(name.to_owned(), values::meaning(name));
                }
                value
            })
        };
        let subject = due.message.subject.as_ref().map(&mut render);
        let text = render(&due.message.template);
        rendered.push(Rendered {
            date: due.date.map(|date| date.to_string()),
            stage: due.stage.to_string(),
            when: due.message.when.to_string(),
            audience: due.message.audience.to_string(),
            channel: due.message.channel.as_deref(),
            method: due.message.method.as_deref(),
            subject,
            text,
        });
    }
    if missing.is_empty() { Ok(rendered) } else { Err(without_value(&missing, start)) }
}

fn without_value(missing: &BTreeMap<String, &str>, start: Option<Date>) -> Failure {
    let mut text = String::from("variables without a value:");
    for (name, meaning) in missing {
        let _ = write!(text, "\n  {name}: {meaning}. Pass `--set {name}=TEXT`");
        if start.is_none() && matches!(&**name, "date" | "starts" | "ends") {
            text += " or `--start DATE`";
        }
    }
    Failure::Usage(text)
}

/// The text for a message without a channel.
const NOT_SENT: &str = "none, so stagegate does not send it";

fn human(messages: &[Rendered<'_>]) -> String {
    let mut text = String::new();
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            text += "\n----\n\n";
        }
        let Rendered { stage, when, audience, .. } = message;
        let channel = message.channel.map_or_else(|| NOT_SENT.to_owned(), terminal);
        let date = message.date.as_ref().map(|date| format!(", {date}")).unwrap_or_default();
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "To:      {audience}");
        let _ = writeln!(text, "Channel: {channel}");
        if let Some(method) = message.method {
            let _ = writeln!(text, "Method:  {}", terminal(method));
        }
        let _ = writeln!(text, "When:    {stage}.{when}{date}");
        if let Some(subject) = &message.subject {
            let _ = writeln!(text, "Subject: {}", terminal(subject));
        }
        let lines = message.text.replace("\r\n", "\n");
        let _ = writeln!(text, "\n{}", terminal_lines(lines.trim_end_matches('\n')));
    }
    text
}

#[derive(Serialize)]
struct MessagesResult<'o> {
    flag: &'o str,
    messages: &'o [Rendered<'o>],
}

/// A message to send, as JSON.
#[derive(Serialize)]
struct Rendered<'p> {
    /// `null` for `rollback` and `as_needed`, and if the rollout has no start.
    date: Option<String>,
    stage: String,
    when: String,
    audience: String,
    /// `null` if stagegate does not send it.
    channel: Option<&'p str>,
    /// How people will deliver it, in words.
    method: Option<&'p str>,
    subject: Option<String>,
    text: String,
}
