//! `guard`: tests triggers on metrics.

mod metrics;
mod power;
mod replay;

use stagegate::guard::Judge;
use stagegate::model::FlagPlan;

use crate::failure::{Answer, Failure};
use crate::guard_args::Guard;
use crate::output::Output;
use crate::terminal::quoted;

pub(super) fn run(verb: &Guard, output: &Output) -> Result<Answer, Failure> {
    match verb {
        Guard::Replay(args) => replay::run(args, output),
        Guard::Power(args) => power::run(args, output),
    }
}

fn judge(flag: FlagPlan<'_>, stage: &str) -> Result<Judge, Failure> {
    // A file has counts of errors and slow requests, and values of all other metrics.
    let is_counted = |name: &str| name == "error_rate" || name.starts_with("latency_p");
    let names = flag.tracked_metrics().map(|metric| &*metric.name);
    let read: Vec<&str> = names.filter(|name| !is_counted(name)).collect();
    Judge::with_readings(&flag, stage, &read).ok_or_else(|| {
        let names: Vec<_> = flag.stages().map(|stage| stage.name()).collect();
        let known = quoted(names.iter().map(stagegate::StageName::as_str));
        Failure::Usage(format!(
            "`{}` has no stage `{}`; it has: {known}",
            flag.key(),
            stage.escape_debug()
        ))
    })
}
