//! `status`: prints each flag's stage and unmet conditions.

use std::fmt::Write as _;

use serde::Serialize;
use stagegate::rollout::{FlagReport, HumanDuration, RolloutStatus};

use super::act::UnmetResult;
use super::open;
use super::record::moment_text;
use crate::amount::Amount;
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Status;
use crate::terminal::Rows;

pub(super) fn run(args: &Status, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::read_only(&args.store.access)?;
    let mut status = rollout.status();
    if let Some(flag) = &args.flag {
        // Fails with the known flags if there is no such flag.
        let found = rollout.report(flag).map_err(|error| open::rollout_failure(&error))?;
        status.flags.retain(|report| report.flag == found.flag);
    }
    match args.store.format {
        Format::Human => output.text(&human(&status, args.flag.is_some()))?,
        Format::Json => output.json("status", &StatusResult::new(&status))?,
    }
    Ok(Answer::Yes)
}

fn human(status: &RolloutStatus, whole: bool) -> String {
    let mut text = format!("{}, record {}\n", terminal(&status.store), status.head.0);
    if let Some(environment) = &status.environment {
        let _ = writeln!(text, "environment {}", terminal(environment));
    }
    if let Some(freeze) = &status.freeze {
        let until = freeze.until.map(|end| format!(" until {}", moment_text(end)));
        let (until, by) = (until.unwrap_or_default(), terminal(&freeze.by));
        let _ = writeln!(text, "all flags held{until} by {by}: {}", terminal(&freeze.why));
    }
    for notice in &status.notices {
        let _ = writeln!(text, "! {}", terminal(notice));
    }
    text.push('\n');
    let mut rows = Rows::new(&["flag", "state", "stage", "for", "next", "unmet", "responsible"]);
    for flag in &status.flags {
        let unmet = match &*flag.unmet {
            // No further promotion.
            _ if flag.state.complete => String::new(),
            [] => "nothing".to_owned(),
            [unmet] => terminal(&unmet.found),
            unmet => format!("{} conditions", unmet.len()),
        };
        rows.add([
            flag.flag.to_string(),
            flag.progress.to_string(),
            flag.state.stage.to_string(),
            HumanDuration(flag.time_in_stage).to_string(),
            flag.next.map(|next| next.to_string()).unwrap_or_default(),
            unmet,
            flag.responsible.as_deref().map(terminal).unwrap_or_default(),
        ]);
    }
    let _ = write!(text, "{rows}");
    for flag in &status.flags {
        if whole {
            details(flag, &mut text);
        }
        for what in &flag.overdue {
            let _ = writeln!(text, "\noverdue: {}: {}", flag.flag, terminal(what));
        }
    }
    text
}

fn details(flag: &FlagReport, text: &mut String) {
    let state = &flag.state;
    let _ = writeln!(text, "\nsince:    {}", moment_text(state.since.at));
    let _ = writeln!(text, "document: starts at {}", flag.declared);
    if let Some(hold) = &state.hold {
        let _ = writeln!(text, "held:     by {}: {}", terminal(&hold.by), terminal(&hold.why));
    }
    if let Some(incident) = &state.incident {
        let about = terminal(&incident.about);
        let _ = writeln!(text, "incident: {}, at {}: {about}", incident.number, incident.phase);
    }
    for (id, signature) in &state.signatures {
        let _ = writeln!(text, "signed:   {} by {}", terminal(id), terminal(&signature.by));
    }
    for (name, evidence) in &state.evidence {
        let value = evidence.value.map_or_else(|| "no data".to_owned(), |it| it.to_string());
        let control = evidence.control.map(|it| format!(" with the flag, {it} without"));
        let (control, at) = (control.unwrap_or_default(), moment_text(evidence.read_at.at));
        let _ = writeln!(text, "reading:  {name} {value}{control} at {at}");
    }
    for unmet in &flag.unmet {
        let (found, hint) = (terminal(&unmet.found), terminal(&unmet.hint));
        let _ = writeln!(text, "\n  {found}\n      {hint}");
    }
}

#[derive(Serialize)]
struct StatusResult<'s> {
    store: &'s str,
    at: String,
    record: u64,
    hash: String,
    document: String,
    environment: Option<&'s str>,
    notices: &'s [String],
    last_error: Option<String>,
    frozen: Option<FreezeResult<'s>>,
    flags: Vec<FlagResult<'s>>,
}

#[derive(Serialize)]
struct FlagResult<'s> {
    flag: &'s str,
    state: String,
    stage: &'s str,
    serving: &'s str,
    declared: &'s str,
    since: String,
    spent: Amount,
    next: Option<&'s str>,
    held: Option<HoldResult<'s>>,
    incident: Option<IncidentResult<'s>>,
    unmet: Vec<UnmetResult<'s>>,
    overdue: &'s [String],
    responsible: Option<&'s str>,
}

#[derive(Serialize)]
struct HoldResult<'s> {
    by: &'s str,
    why: &'s str,
    since: String,
}

#[derive(Serialize)]
struct FreezeResult<'s> {
    by: &'s str,
    why: &'s str,
    since: String,
    until: Option<String>,
}

#[derive(Serialize)]
struct IncidentResult<'s> {
    number: u64,
    about: &'s str,
    phase: String,
    rolled_back: bool,
    opened: String,
}

impl<'s> StatusResult<'s> {
    fn new(status: &'s RolloutStatus) -> StatusResult<'s> {
        StatusResult {
            store: &status.store,
            at: moment_text(status.now.at),
            record: status.head.0,
            hash: status.head.1.to_string(),
            document: status.document.to_string(),
            environment: status.environment.as_deref(),
            notices: &status.notices,
            last_error: status.last_error.as_ref().map(ToString::to_string),
            frozen: status.freeze.as_ref().map(|freeze| FreezeResult {
                by: &freeze.by,
                why: &freeze.why,
                since: moment_text(freeze.since.at),
                until: freeze.until.map(moment_text),
            }),
            flags: status.flags.iter().map(FlagResult::new).collect(),
        }
    }
}

impl<'s> FlagResult<'s> {
    fn new(flag: &'s FlagReport) -> FlagResult<'s> {
        let state = &flag.state;
        FlagResult {
            flag: &flag.flag,
            state: flag.progress.to_string(),
            stage: &state.stage,
            serving: &flag.serving,
            declared: &flag.declared,
            since: moment_text(state.since.at),
            spent: Amount::duration(flag.time_in_stage),
            next: flag.next.as_deref(),
            held: state.hold.as_ref().map(|hold| HoldResult {
                by: &hold.by,
                why: &hold.why,
                since: moment_text(hold.since.at),
            }),
            incident: state.incident.as_ref().map(|incident| IncidentResult {
                number: incident.number,
                about: &incident.about,
                phase: incident.phase.to_string(),
                rolled_back: incident.cause.is_some(),
                opened: moment_text(incident.opened.at),
            }),
            unmet: flag.unmet.iter().map(UnmetResult::new).collect(),
            overdue: &flag.overdue,
            responsible: flag.responsible.as_deref(),
        }
    }
}
