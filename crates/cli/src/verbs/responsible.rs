//! `responsible`: prints who is responsible at a moment.

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp, Zoned, tz};
use serde::Serialize;
use stagegate::model::{FlagPlan, Responsibility};

use crate::amount::Amount;
use crate::args::{Format, Responsible};
use crate::document;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;

pub(crate) fn run(args: &Responsible, output: &Output) -> Result<Answer, Failure> {
    let plan = document::plan(
        &args.input.document,
        &args.input.reading,
        "responsible",
        args.format,
        output,
    )?;
    let flag = document::flag(&plan, args.input.flag.as_deref())?;
    let at = timestamp(args.at.unwrap_or_else(SystemTime::now));
    let found = flag.responsible(at.into()).map(|row| Row::new(row, at));
    let next = found.as_ref().and_then(|row| next(flag, row));
    match args.format {
        Format::Human => output.text(&human(&flag, found.as_ref(), next.as_ref()))?,
        Format::Json => output.json(
            "responsible",
            &ResponsibleResult {
                flag: flag.key(),
                at: at.to_string(),
                responsible: found.as_ref().map(Row::result),
                until: next.as_ref().map(|row| row.at.to_string()),
                then: next.as_ref().map(Row::result),
            },
        )?,
    }
    Ok(if found.is_some() { Answer::Yes } else { Answer::No })
}

/// A row of the responsibility table, and a moment that it covers.
struct Row<'p> {
    index: usize,
    row: &'p Responsibility,
    at: Timestamp,
}

/// Converts a moment. A moment out of range becomes the nearest one in range.
fn timestamp(at: SystemTime) -> Timestamp {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(bound)
}

/// Returns the next row that covers a moment, to the minute, because hours have no seconds. Hours repeat
/// each week, so a search of eight days finds every change. `None`: no other row.
fn next<'p>(flag: FlagPlan<'p>, now: &Row<'_>) -> Option<Row<'p>> {
    const MINUTES: i64 = 8 * 24 * 60;
    // A single row covers all hours.
    flag.responsibility().get(1)?;
    let minute = Timestamp::from_second(now.at.as_second().div_euclid(60) * 60).ok()?;
    (1..=MINUTES).find_map(|minutes| {
        let at = minute.checked_add(SignedDuration::from_mins(minutes)).ok()?;
        let (index, row) = flag.responsible(at.into())?;
        (index != now.index).then_some(Row { index, row, at })
    })
}

fn human(flag: &FlagPlan<'_>, found: Option<&Row<'_>>, next: Option<&Row<'_>>) -> String {
    let Some(found) = found else {
        return format!("The plan of `{}` has no responsibility table.\n", flag.key());
    };
    let row = found.row;
    let mut text = format!("{}\n\n", terminal(&row.contact));
    // Writing to a `String` does not fail.
    let _ = writeln!(text, "row:        {}", found.title());
    let _ = writeln!(text, "hours:      {}, {}", row.hours, row.time_zone);
    let _ = writeln!(text, "local time: {}", found.local());
    if !row.escalation.is_empty() {
        let names = row.escalation.iter().map(|name| terminal(name));
        let names = names.collect::<Vec<_>>().join(", then ");
        let after = row.escalate_after.map(|time| {
            let each = if row.escalation.len() > 1 { " each" } else { "" };
            format!(" (after {time}{each})")
        });
        let _ = writeln!(text, "escalation: {names}{}", after.unwrap_or_default());
    }
    let _ = match next {
        Some(next) => {
            let at = Row { index: found.index, row, at: next.at }.local();
            writeln!(
                text,
                "until:      {at}; then {}, row {}",
                terminal(&next.row.contact),
                next.title()
            )
        }
        None => writeln!(text, "until:      no change within a week"),
    };
    text
}

impl<'p> Row<'p> {
    fn new((index, row): (usize, &'p Responsibility), at: Timestamp) -> Row<'p> {
        Row { index, row, at }
    }

    /// Returns the row's number, from 1, and its name.
    fn title(&self) -> String {
        let name = self.row.name.as_deref().map(|name| format!(" ({})", terminal(name)));
        format!("{}{}", self.index + 1, name.unwrap_or_default())
    }

    /// Returns the moment in the row's time zone.
    fn local(&self) -> String {
        let zone = tz::TimeZone::get(&self.row.time_zone.to_string()).unwrap_or(tz::TimeZone::UTC);
        let local = Zoned::new(self.at, zone);
        // jiff has English day names whatever the locale.
        local.strftime("%a %Y-%m-%d %H:%M %:z").to_string()
    }

    fn result(&self) -> RowResult<'_> {
        let row = self.row;
        RowResult {
            row: self.index + 1,
            name: row.name.as_deref(),
            hours: row.hours.to_string(),
            time_zone: row.time_zone.to_string(),
            local_time: self.local(),
            contact: &row.contact,
            escalation: row.escalation.iter().map(|name| &**name).collect(),
            escalate_after: row.escalate_after.map(Amount::duration),
        }
    }
}

#[derive(Serialize)]
struct ResponsibleResult<'o> {
    flag: &'o str,
    at: String,
    responsible: Option<RowResult<'o>>,
    /// The moment from which another row is responsible. `null` if none is within a week.
    until: Option<String>,
    then: Option<RowResult<'o>>,
}

#[derive(Serialize)]
struct RowResult<'o> {
    /// From 1.
    row: usize,
    name: Option<&'o str>,
    hours: String,
    time_zone: String,
    local_time: String,
    contact: &'o str,
    escalation: Vec<&'o str>,
    escalate_after: Option<Amount>,
}
