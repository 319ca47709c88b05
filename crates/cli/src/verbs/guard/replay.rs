//! `guard replay`: when triggers would have fired.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use stagegate::guard::Verdict;
use stagegate::model::{FlagPlan, NoData, Trigger, TriggerCause};

use super::metrics;
use crate::args::Format;
use crate::document;
use crate::failure::{Answer, Failure};
use crate::guard_args::Replay;
use crate::output::Output;

/// What became of a trigger.
struct Told<'p> {
    trigger: &'p Trigger,
    /// The row it fired at, from 1 below the head, and when.
    fired: Option<(usize, Timestamp)>,
    /// At that row; else at the last.
    verdict: Verdict,
}

pub(super) fn run(args: &Replay, output: &Output) -> Result<Answer, Failure> {
    let plan = document::plan(&args.of.document, "guard replay", args.format, output)?;
    let flag = document::flag(&plan, args.of.flag.as_deref())?;
    let mut judge = super::judge(flag, &args.stage)?;
    let triggers = flag.triggers().iter();
    let mut told: Vec<Told<'_>> =
        triggers.map(|trigger| Told { trigger, fired: None, verdict: Verdict::NoData }).collect();
    let mut rows = 0;
    metrics::read(&args.metrics, flag, |row| {
        rows += 1;
        for (told, finding) in told.iter_mut().zip(judge.look(&row.look)) {
            if told.fired.is_none() {
                let fires = fires(told.trigger, &finding.verdict, row.look.at);
                told.fired = fires.then_some((rows, row.time));
                told.verdict = finding.verdict;
            }
        }
    })?;
    match args.format {
        Format::Human => output.text(&human(flag, args, rows, &told))?,
        Format::Json => {
            let outcome = Outcome::new(flag, args, rows, &told);
            output.json("guard replay", &outcome)?;
        }
    }
    Ok(Answer::Yes)
}

/// Whether a trigger does what it does, so long after the first row: on a breach, and where it says so when
/// data stay away. If there never were any, the first row is what they are missing since, as in a rollout the
/// begin of the stage.
fn fires(trigger: &Trigger, verdict: &Verdict, spent: Duration) -> bool {
    let TriggerCause::Metric { metric, no_data: NoData::RollBack, .. } = &trigger.cause else {
        return verdict.is_breach();
    };
    match verdict {
        Verdict::NoData => spent > *metric.stale_after,
        Verdict::Stale(_) => true,
        _ => verdict.is_breach(),
    }
}

fn human(flag: FlagPlan<'_>, args: &Replay, rows: usize, told: &[Told<'_>]) -> String {
    let noun = if rows == 1 { "row" } else { "rows" };
    let mut text = format!("{} in {}, {rows} {noun}\n", flag.key(), args.stage);
    for told in told {
        let Trigger { cause, action, .. } = told.trigger;
        let _ = match told.fired {
            Some((row, time)) => {
                write!(text, "\n{cause}: {action} at row {row}, {time}\n  {}\n", told.verdict)
            }
            None => write!(text, "\n{cause}: does not fire\n  {}\n", told.verdict),
        };
    }
    text
}

#[derive(Serialize)]
struct Outcome<'p> {
    flag: &'p str,
    stage: &'p str,
    rows: usize,
    first_fire: Option<First>,
    triggers: Vec<TriggerResult<'p>>,
}

#[derive(Serialize)]
struct First {
    row: usize,
    trigger: usize,
}

#[derive(Serialize)]
struct TriggerResult<'p> {
    metric: Option<&'p str>,
    incident: Option<&'p str>,
    trigger: String,
    action: String,
    row: Option<usize>,
    time: Option<String>,
    verdict: &'static str,
    detail: String,
}

impl<'p> Outcome<'p> {
    fn new(flag: FlagPlan<'p>, args: &'p Replay, rows: usize, told: &[Told<'p>]) -> Outcome<'p> {
        let fired = told.iter().enumerate();
        let fired = fired.filter_map(|(trigger, told)| Some((told.fired?.0, trigger)));
        let first_fire = fired.min().map(|(row, trigger)| First { row, trigger });
        let triggers = told.iter().map(|told| {
            let (metric, incident) = match &told.trigger.cause {
                TriggerCause::Metric { metric, .. } => (Some(&*metric.name), None),
                TriggerCause::Incident(kind) => (None, Some(kind.as_str())),
                _ => (None, None),
            };
            TriggerResult {
                metric,
                incident,
                trigger: told.trigger.cause.to_string(),
                action: told.trigger.action.to_string(),
                row: told.fired.map(|(row, _)| row),
                time: told.fired.map(|(_, time)| time.to_string()),
                verdict: told.verdict.name(),
                detail: told.verdict.to_string(),
            }
        });
        Outcome {
            flag: flag.key(),
            stage: &args.stage,
            rows,
            first_fire,
            triggers: triggers.collect(),
        }
    }
}
