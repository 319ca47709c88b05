//! Arguments of `guard`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{Format, Input};

#[derive(Debug, Subcommand)]
pub(crate) enum Guard {
    /// Print when triggers would have fired on past metrics.
    Replay(Replay),
    /// Estimate which error rates triggers detect, and how soon.
    Power(Power),
}

#[derive(Args, Debug)]
#[command(after_help = "\
The file is CSV with a header: time (RFC 3339), treatment_requests, treatment_errors, \
treatment_slow, control_requests, control_errors, control_slow. Each row is one look, with the \
counts since the row before. Any other column with the name of a metric is a reading of that \
metric; `control_NAME` is the same for users without the flag. Leave out a user's requests after \
their first error: docs/guards.md says why. Exit code 0: the file was read, whatever fires.

Example:
  stagegate guard replay rollout.toml --flag new-checkout --stage pilot metrics.csv")]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) input: Input,
    /// CSV file of past metrics; `-` reads standard input.
    pub(crate) metrics: PathBuf,
    /// Set the stage that the flag was in.
    #[arg(long)]
    pub(crate) stage: String,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Covers error triggers that compare at once, without `for`. A stage's time is its max_duration, else \
its min_duration, else its watch. \"Detected\" means detected in four of five cases.

Example:
  stagegate guard power rollout.toml --flag new-checkout --requests-per-minute 3000 --base-error-rate 0.4%")]
pub(crate) struct Power {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Set the requests per minute of all users together.
    ///
    /// Default: the document's `traffic`.
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    pub(crate) requests_per_minute: Option<f64>,
    /// Set the error rate of a healthy service: `0.4%` or 0.004.
    ///
    /// Default: the document's `traffic`.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) base_error_rate: Option<f64>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0".to_owned())
}

#[expect(clippy::float_arithmetic, reason = "a percentage, for an estimate")]
fn rate(text: &str) -> Result<f64, String> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse(),
    };
    let within = number.ok().filter(|number| *number > 0.0 && *number < 1.0);
    within.ok_or_else(|| "write a rate above 0% and below 100%: 0.4%, or 0.004".to_owned())
}
