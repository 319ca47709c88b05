//! The verbs that apply one event to one flag.

use std::io::IsTerminal;

use serde::Serialize;
use stagegate::model::{FlagPlan, Metric, Phase, Quantity};
use stagegate::rollout::{Event, FlagReport, Outcome, Reading, Rollout, RolloutError};

use super::open::{self, Acting, rollout_failure};
use super::record::{AlertResult, RecordResult, alert_line, line};
use super::{all, confirm};
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{
    ActionArgs, Close, Hold, Promote, Report, Resume, Rollback, Set, Sign, Step,
};

/// Promotes only from the stage that was named, shown or read, so that a repeated command never promotes twice.
pub(super) fn promote(args: &Promote, output: &Output) -> Result<Answer, Failure> {
    let seen =
        confirm_unless_yes(&args.action, &args.flag, args.confirm.yes, |rollout, report| {
            // The rollout will refuse this, so there is no need to ask.
            let may_go = args.force || report.unmet.is_empty();
            let named = args.to.as_deref().map(|to| stage(rollout, &args.flag, to)).transpose()?;
            let is_next = args.force || named.is_none() || named == report.next;
            let to = named.or(report.next).filter(|_| may_go && is_next);
            to.map(|to| confirm::describe_move(rollout, report, to, &args.confirm)).transpose()
        })?;
    let acting = open::acting(&args.action)?;
    let rollout = &acting.rollout;
    let now = flag_report(rollout, &args.flag)?;
    let (flag, at) = (&*now.flag, now.state.stage);
    let to = args.to.as_deref().map(|to| stage(rollout, flag, to)).transpose()?;
    let from = args.from.as_deref().map(|from| stage(rollout, flag, from)).transpose()?;
    if let Some(to) = to.filter(|to| *to == at) {
        let verb = ("promote", args.action.store.format);
        return print_unchanged(flag, &format!("is already at `{to}`"), &now, verb, output);
    }
    if let Some(from) = from.filter(|from| *from != at) {
        return not_done(&format!("{flag} is at `{at}`, not at `{from}`"));
    }
    // With `--to`, the rollout compares the stages.
    if to.is_none() && seen.state.stage != at {
        let from = &seen.state.stage;
        return not_done(&format!("{flag} has meanwhile moved from `{from}` to `{at}`"));
    }
    let event = match (&args.reason, to) {
        (Some(reason), to) => Event::Force { to: to.or(now.next), reason: reason.clone() },
        (None, Some(to)) => Event::PromoteTo { to },
        (None, None) => Event::Promote,
    };
    act(&acting, &args.action, flag, &event, "promote", output)
}

fn not_done(found: &str) -> Result<Answer, Failure> {
    Err(Failure::No(format!("{found}; nothing was done")))
}

/// Reports success for a repeated command that has nothing left to do.
fn print_unchanged(
    flag: &str,
    what: &str,
    report: &FlagReport,
    (verb, format): (&str, Format),
    output: &Output,
) -> Result<Answer, Failure> {
    match format {
        Format::Human => output.text(&format!("{flag} {what}\n"))?,
        Format::Json => output.json(
            verb,
            &ActionResult {
                done: true,
                flag,
                stage: &report.state.stage,
                standing: report.progress.to_string(),
                records: Vec::new(),
                alerts: Vec::new(),
            },
        )?,
    }
    Ok(Answer::Yes)
}

/// Rolls a flag back, or all flags. Needs no reason, and asks only on a terminal.
pub(super) fn rollback(args: &Rollback, output: &Output) -> Result<Answer, Failure> {
    if !args.confirm.yes {
        let what = match &args.flag {
            Some(flag) => describe_rollback(args, flag),
            None => all::describe_rollback(&args.action),
        };
        match (what, std::io::stdin().is_terminal()) {
            (Ok(what), true) => confirm::ask(&what)?,
            (Ok(what), false) => anstream::eprintln!("stagegate: {what}"),
            // The action below reports the error.
            (Err(_), _) => {}
        }
    }
    let Some(flag) = &args.flag else {
        return all::roll_back(&args.action, &args.reason, output);
    };
    let acting = open::acting_in_any_case(&args.action)?;
    let to = args.to.as_deref().map(|to| stage(&acting.rollout, flag, to)).transpose()?;
    let event = Event::RollBack { to, reason: args.reason.clone() };
    act(&acting, &args.action, flag, &event, "rollback", output)
}

/// Describes what a rollback means for users.
fn describe_rollback(args: &Rollback, flag: &str) -> Result<String, Failure> {
    let rollout = open::read_only(&args.action.store.access)?;
    let report = flag_report(&rollout, flag)?;
    let to = args.to.as_deref().map(|to| stage(&rollout, flag, to)).transpose()?;
    confirm::describe_move(&rollout, &report, to.unwrap_or(report.rollback_target), &args.confirm)
}

/// Asks for confirmation of the effect that `what` describes, unless `yes`. Returns the flag's report from before the
/// question. Holds no lock, because an unanswered question must not delay a rollback.
fn confirm_unless_yes(
    action: &ActionArgs,
    flag: &str,
    yes: bool,
    what: impl FnOnce(&Rollout, &FlagReport) -> Result<Option<String>, Failure>,
) -> Result<FlagReport, Failure> {
    let rollout = open::read_only(&action.store.access)?;
    let report = flag_report(&rollout, flag)?;
    if !yes && let Some(what) = what(&rollout, &report)? {
        confirm::ask(&what)?;
    }
    Ok(report)
}

pub(super) fn hold(args: Hold, output: &Output) -> Result<Answer, Failure> {
    match &args.flag {
        Some(flag) => {
            open_and_act(&args.action, flag, &Event::Hold { why: args.reason }, "hold", output)
        }
        None => all::hold(&args.action, &args.reason, args.until, output),
    }
}

pub(super) fn resume(args: Resume, output: &Output) -> Result<Answer, Failure> {
    match &args.flag {
        Some(flag) => {
            open_and_act(&args.action, flag, &Event::Resume { why: args.reason }, "resume", output)
        }
        None => all::resume(&args.action, args.reason.as_deref(), output),
    }
}

pub(super) fn sign(args: Sign, output: &Output) -> Result<Answer, Failure> {
    let Sign { item, evidence, undo, reason, .. } = args;
    let event = match undo {
        true => Event::Unsign { item, why: reason },
        false => Event::Sign { item, evidence },
    };
    open_and_act(&args.action, &args.flag, &event, "sign", output)
}

pub(super) fn report(args: Report, output: &Output) -> Result<Answer, Failure> {
    let event = Event::Report { kind: args.kind, note: args.note };
    let acting = open::acting_in_any_case(&args.action)?;
    act(&acting, &args.action, &args.flag, &event, "incident report", output)
}

pub(super) fn step(args: Step, output: &Output) -> Result<Answer, Failure> {
    let phase_of = |report: &FlagReport| report.state.incident.as_ref().map(|it| it.phase);
    let seen = phase_of(&flag_report(&open::read_only(&args.action.store.access)?, &args.flag)?);
    let acting = open::acting(&args.action)?;
    let now = flag_report(&acting.rollout, &args.flag)?;
    let (flag, present) = (&*now.flag, phase_of(&now));
    let named = args.phase.as_deref().map(parse_phase).transpose()?;
    if let (Some(named), Some(present)) = (named, present) {
        if named < present {
            let what = format!("has already passed `{named}`");
            let verb = ("incident step", args.action.store.format);
            return print_unchanged(flag, &what, &now, verb, output);
        }
        if named > present {
            return not_done(&format!(
                "the incident of {flag} is at `{present}`, not at `{named}`"
            ));
        }
    }
    if seen != present {
        return not_done(&format!("the incident of {flag} has meanwhile changed its phase"));
    }
    let event = Event::Step { note: args.note, overriding: args.overriding };
    act(&acting, &args.action, flag, &event, "incident step", output)
}

/// Parses the name of an incident's phase.
fn parse_phase(name: &str) -> Result<Phase, Failure> {
    const ALL: [Phase; 5] =
        [Phase::Decide, Phase::Execute, Phase::Verify, Phase::Communicate, Phase::Investigate];
    let found = ALL.into_iter().find(|phase| phase.to_string() == name);
    found.ok_or_else(|| {
        let names = ALL.map(|phase| phase.to_string()).join(", ");
        Failure::Usage(format!("no phase `{}`. Write one of: {names}", name.escape_debug()))
    })
}

pub(super) fn close(args: Close, output: &Output) -> Result<Answer, Failure> {
    confirm_unless_yes(&args.action, &args.flag, args.yes, |_, report| {
        Ok(report.state.incident.as_ref().map(|incident| {
            let (number, about) = (incident.number, terminal(&incident.about));
            format!(
                "close incident {number} of {} ({about}); the flag may then be promoted",
                report.flag
            )
        }))
    })?;
    open_and_act(
        &args.action,
        &args.flag,
        &Event::Close { note: args.note },
        "incident close",
        output,
    )
}

pub(super) fn measure(args: Set, output: &Output) -> Result<Answer, Failure> {
    let acting = open::acting(&args.action)?;
    let plan = acting.rollout.plan();
    let flag = plan.key_of(&args.flag).and_then(|key| plan.flag(key));
    let unit = flag.and_then(|flag| metric(flag, &args.name)).map(|it| it.unit);
    let parse = |text: &str| match unit {
        Some(unit) => Quantity::parse(text, unit).map(Some).map_err(|error| {
            let text = text.escape_debug();
            Failure::Usage(format!("`{text}`: {error}; the unit of `{}` is {unit}", args.name))
        }),
        // The rollout refuses an unknown metric and lists the known ones.
        None => Ok(None),
    };
    let reading = match &*args.value {
        "none" => Reading::NoData,
        value => parse(value)?.map_or(Reading::NoData, Reading::Value),
    };
    let control = args.control.as_deref().map(parse).transpose()?.flatten();
    let event = Event::Measure { metric: args.name, reading, control, samples: args.samples };
    act(&acting, &args.action, &args.flag, &event, "metric set", output)
}

/// Finds a metric by name in a flag's stages and triggers.
fn metric<'p>(flag: FlagPlan<'p>, name: &str) -> Option<&'p Metric> {
    flag.tracked_metrics().find(|metric| *metric.name == *name)
}

fn open_and_act(
    action: &ActionArgs,
    flag: &str,
    event: &Event,
    verb: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    act(&open::acting(action)?, action, flag, event, verb, output)
}

fn act(
    acting: &Acting,
    action: &ActionArgs,
    flag: &str,
    event: &Event,
    verb: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    let plan = acting.rollout.plan();
    let flag = plan.key_of(flag).unwrap_or(flag);
    match acting.actor().act(flag, event) {
        Ok(outcome) => {
            print_outcome(&outcome, flag, action.store.format, verb, output)?;
            check_recorded(outcome.unrecorded.as_ref(), flag, action)
        }
        Err(error) => print_refusal(&error, action.store.format, verb, output),
    }
}

/// Fails if a rollback was not recorded. The error says whether the rollback is lost with this process.
pub(super) fn check_recorded(
    unrecorded: Option<&RolloutError>,
    of: &str,
    action: &ActionArgs,
) -> Result<Answer, Failure> {
    let Some(error) = unrecorded else { return Ok(Answer::Yes) };
    let error = terminal(&error.to_string());
    let what = match &action.store.access.intents {
        Some(file) => format!(
            "it is kept in `{}`; the next command with this `--intents` that can write records it",
            terminal(&file.display().to_string())
        ),
        None => "it is lost. Run the command again; `--intents FILE` would keep it".to_owned(),
    };
    Err(Failure::Io(format!("the rollback of {of} was not recorded: {error}; {what}")))
}

fn print_outcome(
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
            &ActionResult {
                done: true,
                flag,
                stage: &outcome.state.stage,
                standing: outcome.state.progress().to_string(),
                records: outcome.records.iter().map(RecordResult::new).collect(),
                alerts: outcome.alerts.iter().map(|it| AlertResult::new(flag, it)).collect(),
            },
        ),
    }
}

#[derive(Serialize)]
struct ActionResult<'d> {
    done: bool,
    flag: &'d str,
    stage: &'d str,
    standing: String,
    records: Vec<RecordResult<'d>>,
    alerts: Vec<AlertResult<'d>>,
}

/// Prints a refusal, which is an answer. Returns any other error as a failure.
pub(super) fn print_refusal(
    error: &RolloutError,
    format: Format,
    verb: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    if !error.is_refused() {
        return Err(rollout_failure(error));
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
                flag: (!refusal.flag.is_empty()).then_some(&*refusal.flag),
                unmet: refusal.unmet.iter().map(UnmetResult::new).collect(),
            });
            output.json(verb, &RefusedResult { done: false, refusals: refusals.collect() })?;
        }
    }
    Ok(Answer::No)
}

#[derive(Serialize)]
struct RefusedResult<'r> {
    done: bool,
    refusals: Vec<RefusalResult<'r>>,
}

#[derive(Serialize)]
struct RefusalResult<'r> {
    /// `None` if the action is about all flags.
    flag: Option<&'r str>,
    unmet: Vec<UnmetResult<'r>>,
}

/// An unmet condition, as JSON.
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

fn flag_report(rollout: &Rollout, flag: &str) -> Result<FlagReport, Failure> {
    rollout.report(flag).map_err(|error| rollout_failure(&error))
}

fn stage(rollout: &Rollout, flag: &str, name: &str) -> Result<stagegate::StageName, Failure> {
    rollout.stage(flag, name).map_err(|error| rollout_failure(&error))
}
