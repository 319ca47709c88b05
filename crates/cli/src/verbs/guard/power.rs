//! `guard power`: estimates which error rates triggers detect, and how soon.

use std::time::Duration;

use serde::Serialize;
use stagegate::guard::Traffic;
use stagegate::model::{FlagPlan, Stage, WrittenDuration};
use stagegate::rollout::HumanDuration;

use crate::amount::Amount;
use crate::args::Format;
use crate::document;
use crate::failure::{Answer, Failure};
use crate::guard_args::Power;
use crate::output::Output;
use crate::terminal::Rows;

pub(super) fn run(args: &Power, output: &Output) -> Result<Answer, Failure> {
    let plan = document::plan(
        &args.input.document,
        &args.input.reading,
        "guard power",
        args.format,
        output,
    )?;
    let flag = document::flag(&plan, args.input.flag.as_deref())?;
    let traffic = traffic(args, flag)?;
    let mut found = Vec::new();
    for stage in flag.stages() {
        let lasts = stage_time(stage);
        let judge = super::judge(flag, &stage.name())?;
        for power in judge.power(lasts.map(|lasts| *lasts).unwrap_or_default(), traffic) {
            let trigger = flag.triggers().get(power.trigger);
            let trigger = trigger.map(|trigger| trigger.cause.to_string()).unwrap_or_default();
            found.push(Detection {
                stage: stage.name().to_string(),
                lasts: lasts.map(Amount::duration),
                trigger,
                smallest: power.smallest.filter(|_| lasts.is_some()).map(rounded),
                twice_after: power.twice_after.map(Amount::duration),
                after: power.twice_after,
                time: lasts,
            });
        }
    }
    match args.format {
        Format::Human => output.text(&human(&found))?,
        Format::Json => output.json("guard power", &PowerResult { flag: flag.key(), found })?,
    }
    Ok(Answer::Yes)
}

/// Returns the traffic of the arguments, or else the document's.
fn traffic(args: &Power, flag: FlagPlan<'_>) -> Result<Traffic, Failure> {
    let declared = flag.traffic().map(Traffic::from);
    let requests = args.requests_per_minute.or(declared.map(|it| it.requests_per_minute));
    let errors = args.base_error_rate.or(declared.map(|it| it.base_error_rate));
    match (requests, errors) {
        (Some(requests_per_minute), Some(base_error_rate)) => {
            Ok(Traffic { requests_per_minute, base_error_rate })
        }
        (requests, errors) => {
            let missing = [
                requests.is_none().then_some("`--requests-per-minute`"),
                errors.is_none().then_some("`--base-error-rate`"),
            ];
            let missing: Vec<&str> = missing.into_iter().flatten().collect();
            Err(Failure::Usage(format!(
                "the document has no `traffic` for `{}`. Pass {}, or write in the document: \
                 traffic = {{ requests_per_minute = 3000, error_rate = \"0.4%\" }}",
                flag.key(),
                missing.join(" and "),
            )))
        }
    }
}

/// Rounds an estimate to three decimals.
#[expect(clippy::float_arithmetic, reason = "for people to read")]
fn rounded(times: f64) -> f64 {
    (times * 1e3).round() / 1e3
}

/// Returns the time that a stage has.
fn stage_time(stage: Stage<'_>) -> Option<WrittenDuration> {
    let details = stage.details();
    details
        .max_duration
        .or(details.min_duration)
        .or(details.watch.as_ref().map(|watch| watch.lasts))
}

#[derive(Serialize)]
struct PowerResult<'p> {
    flag: &'p str,
    found: Vec<Detection>,
}

#[derive(Serialize)]
struct Detection {
    stage: String,
    lasts: Option<Amount>,
    trigger: String,
    /// As a multiple of the base error rate.
    smallest: Option<f64>,
    twice_after: Option<Amount>,
    #[serde(skip)]
    after: Option<Duration>,
    #[serde(skip)]
    time: Option<WrittenDuration>,
}

fn human(found: &[Detection]) -> String {
    if found.is_empty() {
        return "No trigger on errors compares at once.\n".to_owned();
    }
    let mut rows = Rows::new(&[
        "stage",
        "lasts",
        "trigger",
        "smallest error rate detected",
        "twice the limit detected after",
    ]);
    for found in found {
        let none = || "never".to_owned();
        rows.add([
            found.stage.clone(),
            found.time.map_or_else(|| "?".to_owned(), |time| time.to_string()),
            found.trigger.clone(),
            found.smallest.map_or_else(none, |times| format!("{times:.2} times the base")),
            found.after.map_or_else(none, |time| HumanDuration(time).to_string()),
        ]);
    }
    rows.to_string()
}
