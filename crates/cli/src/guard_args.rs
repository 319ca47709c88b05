//! The arguments of `guard`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{Format, Of};

#[derive(Debug, Subcommand)]
pub(crate) enum Guard {
    /// Say when the triggers of a plan would have fired on figures of the past.
    Replay(Replay),
    /// Say what the triggers of a plan find in each stage, and how soon.
    Power(Power),
}

#[derive(Args, Debug)]
#[command(after_help = "\
The file has a row a look, and a head with the columns time (RFC 3339), treatment_requests, \
treatment_errors, treatment_slow, control_requests, control_errors, control_slow; any other column is \
a metric by its name, `control_NAME` the same for users without the flag. Count no request of a user \
who has erred: docs/guards.md says why. Ends with 0 whatever fires.

Example:
  stagegate guard replay rollout.toml --flag new-checkout --stage pilot metrics.csv")]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) of: Of,
    /// The figures; `-` is the standard input.
    pub(crate) metrics: PathBuf,
    /// The stage the flag was in.
    #[arg(long)]
    pub(crate) stage: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Of triggers on errors that compare at once, without `for`. A stage's time is its max_duration, else its \
min_duration; the last one has its watch. Found means: in four of five cases.

Example:
  stagegate guard power rollout.toml --flag new-checkout --requests-per-minute 3000 --base-error-rate 0.4%")]
pub(crate) struct Power {
    #[command(flatten)]
    pub(crate) of: Of,
    /// Requests a minute of all users together; else those of the document's `traffic`.
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    pub(crate) requests_per_minute: Option<f64>,
    /// The share of requests that fails where all is well: `0.4%`, or 0.004; else that of the
    /// document's `traffic`.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) base_error_rate: Option<f64>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0".to_owned())
}

#[expect(clippy::float_arithmetic, reason = "a percentage, for an estimate")]
fn share(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    let within = number.ok().filter(|number| *number > 0.0 && *number < 1.0);
    within.ok_or_else(|| "write a share above 0% and below 100%: 0.4%, or 0.004".to_owned())
}
