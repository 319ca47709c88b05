//! One event on one flag.

use std::io::IsTerminal;

use serde::Serialize;
use stagegate::model::{FlagPlan, Metric, Phase, Quantity};
use stagegate::rollout::{Event, FlagReport, Outcome, Reading, Rollout, RolloutError};

use super::consent;
use super::opened::{self, failed};
use super::record::{AlertResult, RecordResult, alert_line, line};
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{
    Acting, Close, Promote, Reasoned, Report, Resume, Rollback, Set, Sign, Step,
};

/// Bound to the stage that was named, shown or read: a second command like it never goes one stage further.
pub(super) fn promote(args: &Promote, output: &Output) -> Result<Answer, Failure> {
    let seen = agree(&args.acting, &args.flag, args.consent.yes, |rollout, report| {
        // What will be refused need not be asked about.
        let may_go = args.force || report.unmet.is_empty();
        let named = args.to.as_deref().map(|to| stage(rollout, &args.flag, to)).transpose()?;
        let is_next = args.force || named.is_none() || named == report.next;
        let to = named.or(report.next).filter(|_| may_go && is_next);
        to.map(|to| consent::of_move(rollout, report, to, &args.consent)).transpose()
    })?;
    let rollout = opened::acting(&args.acting.store, &args.acting.telling)?;
    let now = report_of(&rollout, &args.flag)?;
    let (flag, at) = (&args.flag, now.state.stage);
    let to = args.to.as_deref().map(|to| stage(&rollout, flag, to)).transpose()?;
    let from = args.from.as_deref().map(|from| stage(&rollout, flag, from)).transpose()?;
    if let Some(to) = to.filter(|to| *to == at) {
        let verb = ("promote", args.acting.store.format);
        return already(flag, &format!("is at `{to}`"), &now, verb, output);
    }
    if let Some(from) = from.filter(|from| *from != at) {
        return moved(&format!("{flag} is at `{at}`, not at `{from}`"));
    }
    // A stage that is named says enough: the rollout compares it.
    if to.is_none() && seen.state.stage != at {
        return moved(&format!("{flag} has gone from `{}` to `{at}` meanwhile", seen.state.stage));
    }
    let event = match (&args.reason, to) {
        (Some(reason), to) => Event::Force { to: to.or(now.next), reason: reason.clone() },
        (None, Some(to)) => Event::PromoteTo { to },
        (None, None) => Event::Promote,
    };
    act(&rollout, &args.acting, flag, &event, "promote", output)
}

fn moved(found: &str) -> Result<Answer, Failure> {
    Err(Failure::No(format!("{found}; nothing was done")))
}

/// What was asked for is so: a command that is repeated changes nothing.
fn already(
    flag: &str,
    what: &str,
    report: &FlagReport,
    (verb, format): (&str, Format),
    output: &Output,
) -> Result<Answer, Failure> {
    match format {
        Format::Human => output.text(&format!("{flag} {what} already\n"))?,
        Format::Json => output.json(
            verb,
            &Done {
                done: true,
                flag,
                stage: &report.state.stage,
                standing: report.standing.to_string(),
                records: Vec::new(),
                alerts: Vec::new(),
            },
        )?,
    }
    Ok(Answer::Yes)
}

/// Nothing bars the way back: a reason is kept where there is one, and only somebody at a terminal is asked.
pub(super) fn rollback(args: &Rollback, output: &Output) -> Result<Answer, Failure> {
    if !args.consent.yes {
        match (going_back(args), std::io::stdin().is_terminal()) {
            (Ok(what), true) => consent::ask(&what)?,
            (Ok(what), false) => anstream::eprintln!("stagegate: {what}"),
            // The act itself says what is wrong, if anything is.
            (Err(_), _) => {}
        }
    }
    let rollout = opened::acting(&args.acting.store, &args.acting.telling)?;
    let to = args.to.as_deref().map(|to| stage(&rollout, &args.flag, to)).transpose()?;
    let event = Event::RollBack { to, reason: args.reason.clone() };
    act(&rollout, &args.acting, &args.flag, &event, "rollback", output)
}

/// What a rollback means for users.
fn going_back(args: &Rollback) -> Result<String, Failure> {
    let rollout = opened::for_looking(&args.acting.store)?;
    let report = report_of(&rollout, &args.flag)?;
    let to = args.to.as_deref().map(|to| stage(&rollout, &args.flag, to)).transpose()?;
    consent::of_move(&rollout, &report, to.unwrap_or(report.roll_back_to), &args.consent)
}

/// Asks whether what `what` says of the flag as it stands is meant, unless that was answered before. Returns what was seen.
/// Nothing is locked meanwhile: a question that nobody answers holds up no roll-back.
fn agree(
    acting: &Acting,
    flag: &str,
    yes: bool,
    what: impl FnOnce(&Rollout, &FlagReport) -> Result<Option<String>, Failure>,
) -> Result<FlagReport, Failure> {
    let rollout = opened::for_looking(&acting.store)?;
    let report = report_of(&rollout, flag)?;
    if !yes && let Some(what) = what(&rollout, &report)? {
        consent::ask(&what)?;
    }
    Ok(report)
}

pub(super) fn hold(args: Reasoned, output: &Output) -> Result<Answer, Failure> {
    open_and_act(&args.acting, &args.flag, &Event::Hold { why: args.reason }, "hold", output)
}

pub(super) fn resume(args: Resume, output: &Output) -> Result<Answer, Failure> {
    open_and_act(&args.acting, &args.flag, &Event::Resume { why: args.reason }, "resume", output)
}

pub(super) fn sign(args: Sign, output: &Output) -> Result<Answer, Failure> {
    let Sign { item, evidence, undo, reason, .. } = args;
    let event = match undo {
        true => Event::Unsign { item, why: reason },
        false => Event::Sign { item, evidence },
    };
    open_and_act(&args.acting, &args.flag, &event, "sign", output)
}

pub(super) fn report(args: Report, output: &Output) -> Result<Answer, Failure> {
    let event = Event::Report { kind: args.kind, note: args.note };
    open_and_act(&args.acting, &args.flag, &event, "incident report", output)
}

pub(super) fn step(args: Step, output: &Output) -> Result<Answer, Failure> {
    let phase_of = |report: &FlagReport| report.state.incident.as_ref().map(|it| it.phase);
    let seen = phase_of(&report_of(&opened::for_looking(&args.acting.store)?, &args.flag)?);
    let rollout = opened::acting(&args.acting.store, &args.acting.telling)?;
    let now = report_of(&rollout, &args.flag)?;
    let (flag, present) = (&args.flag, phase_of(&now));
    let named = args.phase.as_deref().map(phase).transpose()?;
    if let (Some(named), Some(present)) = (named, present) {
        if named < present {
            let what = format!("has `{named}` behind it");
            let verb = ("incident step", args.acting.store.format);
            return already(flag, &what, &now, verb, output);
        }
        if named > present {
            return moved(&format!("the incident of {flag} is at `{present}`, not at `{named}`"));
        }
    }
    if seen != present {
        return moved(&format!("the incident of {flag} has gone on meanwhile"));
    }
    let event = Event::Step { note: args.note, overriding: args.overriding };
    act(&rollout, &args.acting, flag, &event, "incident step", output)
}

/// The phase of an incident that is called so.
fn phase(name: &str) -> Result<Phase, Failure> {
    const ALL: [Phase; 5] =
        [Phase::Decide, Phase::Execute, Phase::Verify, Phase::Communicate, Phase::Investigate];
    let found = ALL.into_iter().find(|phase| phase.to_string() == name);
    found.ok_or_else(|| {
        let names = ALL.map(|phase| phase.to_string()).join(", ");
        Failure::Usage(format!("no phase `{}`: write one of {names}", name.escape_debug()))
    })
}

pub(super) fn close(args: Close, output: &Output) -> Result<Answer, Failure> {
    agree(&args.acting, &args.flag, args.yes, |_, report| {
        Ok(report.state.incident.as_ref().map(|incident| {
            let (number, about) = (incident.number, terminal(&incident.about));
            format!(
                "incident {number} of {} ({about}) is closed; the flag may be promoted again",
                args.flag
            )
        }))
    })?;
    open_and_act(
        &args.acting,
        &args.flag,
        &Event::Close { note: args.note },
        "incident close",
        output,
    )
}

pub(super) fn measure(args: Set, output: &Output) -> Result<Answer, Failure> {
    let rollout = opened::acting(&args.acting.store, &args.acting.telling)?;
    let plan = rollout.plan();
    let unit = plan.flag(&args.flag).and_then(|flag| metric(flag, &args.name)).map(|it| it.unit);
    let parse = |text: &str| match unit {
        Some(unit) => Quantity::parse(text, unit).map(Some).map_err(|error| {
            let text = text.escape_debug();
            Failure::Usage(format!("`{text}`: {error}; `{}` is a {unit}", args.name))
        }),
        // What is unknown is refused with what is known.
        None => Ok(None),
    };
    let reading = match &*args.value {
        "none" => Reading::NoData,
        value => parse(value)?.map_or(Reading::NoData, Reading::Value),
    };
    let control = args.control.as_deref().map(parse).transpose()?.flatten();
    let event = Event::Measure { metric: args.name, reading, control, samples: args.samples };
    act(&rollout, &args.acting, &args.flag, &event, "metric set", output)
}

/// The metric of that name in a flag's stages and triggers.
fn metric<'p>(flag: FlagPlan<'p>, name: &str) -> Option<&'p Metric> {
    flag.tracked_metrics().find(|metric| *metric.name == *name)
}

fn open_and_act(
    acting: &Acting,
    flag: &str,
    event: &Event,
    verb: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    let rollout = opened::acting(&acting.store, &acting.telling)?;
    act(&rollout, acting, flag, event, verb, output)
}

fn act(
    rollout: &Rollout,
    acting: &Acting,
    flag: &str,
    event: &Event,
    verb: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    let by = match (opened::who(acting), event) {
        // No name is no reason to stay up.
        (Err(_), Event::RollBack { .. } | Event::Report { .. }) => "unknown".to_owned(),
        (by, _) => by?,
    };
    match rollout.by(&by).act(flag, event) {
        Ok(outcome) => {
            tell(&outcome, flag, acting.store.format, verb, output)?;
            match &outcome.unrecorded {
                Some(error) => {
                    let error = terminal(&error.to_string());
                    let what = match &acting.store.intents {
                        Some(file) => format!(
                            "it is kept in `{}`, and the next command with `--intents` that can write records it",
                            terminal(&file.display().to_string())
                        ),
                        None => "nothing keeps it: run the command again, or with `--intents FILE`"
                            .to_owned(),
                    };
                    Err(Failure::Io(format!(
                        "the rollback of {flag} is not recorded: {error}; {what}"
                    )))
                }
                None => Ok(Answer::Yes),
            }
        }
        Err(error) => refused(&error, acting.store.format, verb, output),
    }
}

fn tell(
    outcome: &Outcome,
    flag: &str,
    format: Format,
    verb: &str,
    output: &Output,
) -> Result<(), Failure> {
    match format {
        Format::Human => {
            let mut text: String = outcome.records.iter().map(line).collect();
            if text.is_empty() {
                text = format!("{flag}: nothing changes\n");
            }
            text.extend(outcome.alerts.iter().map(|alert| alert_line(flag, alert)));
            output.text(&text)
        }
        Format::Json => output.json(
            verb,
            &Done {
                done: true,
                flag,
                stage: &outcome.state.stage,
                standing: outcome.state.standing().to_string(),
                records: outcome.records.iter().map(RecordResult::new).collect(),
                alerts: outcome.alerts.iter().map(|it| AlertResult::new(flag, it)).collect(),
            },
        ),
    }
}

#[derive(Serialize)]
struct Done<'d> {
    done: bool,
    flag: &'d str,
    stage: &'d str,
    standing: String,
    records: Vec<RecordResult<'d>>,
    alerts: Vec<AlertResult<'d>>,
}

/// A refusal is an answer; anything else is a failure.
pub(super) fn refused(
    error: &RolloutError,
    format: Format,
    verb: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    if !error.is_refused() {
        return Err(failed(error));
    }
    match format {
        Format::Human => {
            let lines = error.to_string();
            let lines = lines.lines().map(|line| terminal(line) + "\n");
            output.text(&lines.collect::<String>())?;
        }
        Format::Json => {
            let refusals = error.refusals().iter();
            let refusals = refusals.map(|refusal| RefusalResult {
                flag: &refusal.flag,
                unmet: refusal.unmet.iter().map(UnmetResult::new).collect(),
            });
            output.json(verb, &Refused { done: false, refusals: refusals.collect() })?;
        }
    }
    Ok(Answer::No)
}

#[derive(Serialize)]
struct Refused<'r> {
    done: bool,
    refusals: Vec<RefusalResult<'r>>,
}

#[derive(Serialize)]
struct RefusalResult<'r> {
    flag: &'r str,
    unmet: Vec<UnmetResult<'r>>,
}

/// A condition that is not met, as JSON.
#[derive(Serialize)]
pub(super) struct UnmetResult<'u> {
    kind: &'static str,
    found: &'u str,
    hint: &'u str,
    wait_seconds: Option<u64>,
}

impl<'u> UnmetResult<'u> {
    pub(super) fn new(unmet: &'u stagegate::rollout::Unmet) -> UnmetResult<'u> {
        let wait_seconds = unmet.wait.map(|wait| wait.as_secs());
        UnmetResult { kind: unmet.kind, found: &unmet.found, hint: &unmet.hint, wait_seconds }
    }
}

fn report_of(rollout: &Rollout, flag: &str) -> Result<FlagReport, Failure> {
    rollout.report(flag).map_err(|error| failed(&error))
}

fn stage(rollout: &Rollout, flag: &str, name: &str) -> Result<stagegate::StageName, Failure> {
    rollout.stage(flag, name).map_err(|error| failed(&error))
}
