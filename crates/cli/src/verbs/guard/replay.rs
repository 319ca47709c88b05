//! `guard replay`: prints when triggers would have fired.

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

/// A trigger and its result.
struct Replayed<'p> {
    trigger: &'p Trigger,
    /// The row at which it fired, from 1 below the header, and its time.
    fired: Option<(usize, Timestamp)>,
    /// The verdict at that row, or else at the last row.
    verdict: Verdict,
}

pub(super) fn run(args: &Replay, output: &Output) -> Result<Answer, Failure> {
    let plan = document::plan(
        &args.input.document,
        &args.input.reading,
        "guard replay",
        args.format,
        output,
    )?;
    let flag = document::flag(&plan, args.input.flag.as_deref())?;
    let mut judge = super::judge(flag, &args.stage)?;
    let triggers = flag.triggers().iter();
    let mut replayed: Vec<Replayed<'_>> = triggers
        .map(|trigger| Replayed { trigger, fired: None, verdict: Verdict::NoData })
        .collect();
    let mut rows = 0;
    metrics::read(&args.metrics, flag, |row| {
        rows += 1;
        for (replayed, finding) in replayed.iter_mut().zip(judge.look(&row.look)) {
            if replayed.fired.is_none() {
                let fires = fires(replayed.trigger, &finding.verdict, row.look.at);
                replayed.fired = fires.then_some((rows, row.time));
                replayed.verdict = finding.verdict;
            }
        }
    })?;
    match args.format {
        Format::Human => output.text(&human(flag, args, rows, &replayed))?,
        Format::Json => {
            let outcome = ReplayResult::new(flag, args, rows, &replayed);
            output.json("guard replay", &outcome)?;
        }
    }
    Ok(Answer::Yes)
}

/// Returns whether a trigger fires: on a breach, and for missing data if it has `no_data = "rollback"`. `spent` is the
/// time since the first row. If there never was data, it is missing since the first row. In a rollout, that is the
/// beginning of the stage.
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

fn human(flag: FlagPlan<'_>, args: &Replay, rows: usize, replayed: &[Replayed<'_>]) -> String {
    let noun = if rows == 1 { "row" } else { "rows" };
    let mut text = format!("{} in {}, {rows} {noun}\n", flag.key(), args.stage);
    for replayed in replayed {
        let Trigger { cause, action, .. } = replayed.trigger;
        let _ = match replayed.fired {
            Some((row, time)) => {
                write!(text, "\n{cause}: {action} at row {row}, {time}\n  {}\n", replayed.verdict)
            }
            None => write!(text, "\n{cause}: does not fire\n  {}\n", replayed.verdict),
        };
    }
    text
}

#[derive(Serialize)]
struct ReplayResult<'p> {
    flag: &'p str,
    stage: &'p str,
    rows: usize,
    first_fire: Option<FirstFire>,
    triggers: Vec<TriggerResult<'p>>,
}

#[derive(Serialize)]
struct FirstFire {
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

impl<'p> ReplayResult<'p> {
    fn new(
        flag: FlagPlan<'p>,
        args: &'p Replay,
        rows: usize,
        replayed: &[Replayed<'p>],
    ) -> ReplayResult<'p> {
        let fired = replayed.iter().enumerate();
        let fired = fired.filter_map(|(trigger, replayed)| Some((replayed.fired?.0, trigger)));
        let first_fire = fired.min().map(|(row, trigger)| FirstFire { row, trigger });
        let triggers = replayed.iter().map(|replayed| {
            let (metric, incident) = match &replayed.trigger.cause {
                TriggerCause::Metric { metric, .. } => (Some(&*metric.name), None),
                TriggerCause::Incident(kind) => (None, Some(kind.as_str())),
                _ => (None, None),
            };
            TriggerResult {
                metric,
                incident,
                trigger: replayed.trigger.cause.to_string(),
                action: replayed.trigger.action.to_string(),
                row: replayed.fired.map(|(row, _)| row),
                time: replayed.fired.map(|(_, time)| time.to_string()),
                verdict: replayed.verdict.name(),
                detail: replayed.verdict.to_string(),
            }
        });
        ReplayResult {
            flag: flag.key(),
            stage: &args.stage,
            rows,
            first_fire,
            triggers: triggers.collect(),
        }
    }
}
