//! Arguments of all verbs. Help, completions and manual pages are generated from them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXIT_CODES: &str = "Exit codes: 0 success, 1 the answer is no, 2 usage error, 3 I/O error.";

/// Validate, show and execute staged rollout plans.
#[derive(Debug, Parser)]
#[command(name = "stagegate", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Write the result to FILE instead of standard output.
    ///
    /// FILE is replaced in one step, or stays as it was.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value per process")]
pub(crate) enum Verb {
    /// Print a commented plan document to start from.
    ///
    /// `--output` never overwrites a file here.
    Init(Init),
    /// Validate plans and suggest fixes.
    Check(Check),
    /// Print the JSON Schema of plan documents, for editors.
    Schema(Schema),
    /// Print a plan as a summary, as Markdown or as JSON.
    Show(Show),
    /// Print the dates of stages, activities and messages.
    Timeline(Timeline),
    /// Print the messages due at a moment or between two days.
    Messages(Messages),
    /// Print who is responsible now or at another moment.
    Responsible(Responsible),
    /// Explain whether a user has a flag, and why.
    ///
    /// Also shows whether the user would have the flag at each stage.
    Explain(Explain),
    /// Compare two documents: which users gain or lose flags.
    Diff(Diff),
    #[command(flatten)]
    Rollout(crate::rollout_args::RolloutVerb),
    /// Test a plan's triggers on past metrics.
    #[command(subcommand)]
    Guard(crate::guard_args::Guard),
    /// Create a key that signs records, or print its public key.
    #[command(subcommand)]
    Key(crate::key_args::Key),
    /// Print completions for a shell.
    Completions(Completions),
    /// Print the manual pages.
    ///
    /// Read them with `stagegate man | man -l -`.
    Man,
}

/// An output format that every verb has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// JSON with a schema version.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Init {
    /// Choose the document to print.
    #[arg(long, value_enum, default_value_t = Template::Staged)]
    pub(crate) template: Template,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// A document that `init` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// The complete built-in plan.
    Staged,
    /// One flag that follows the built-in plan.
    Minimal,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Plan documents; `-` reads standard input.
    #[arg(required = true, value_name = "DOCUMENT")]
    pub(crate) documents: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Treat warnings as errors.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// Choose the output format.
    ///
    /// `json` wraps the schema in a result object.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// How to read a document.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reading {
    /// Allow `users_file`s in DIR and below it; repeatable.
    ///
    /// By default, a `users_file` is below the document's directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) lists_from: Vec<PathBuf>,
    /// Use the document's values for an environment.
    #[arg(long, env = "STAGEGATE_ENVIRONMENT", value_name = "NAME")]
    pub(crate) environment: Option<String>,
}

/// The document to read and the flag to select.
#[derive(Args, Debug)]
pub(crate) struct Input {
    /// Plan document; `-` reads standard input.
    pub(crate) document: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Select a flag; optional if the document has only one.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: stagegate show rollout.toml --format markdown > rollout.md")]
pub(crate) struct Show {
    /// Plan document; `-` reads standard input.
    pub(crate) document: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Show only this flag.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
    pub(crate) format: ShowFormat,
}

/// An output format of `show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowFormat {
    /// A summary for a terminal.
    Human,
    /// The whole plan, in the order of the template.
    Markdown,
    /// The whole plan, for programs.
    Json,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example: stagegate timeline rollout.toml --format ics --output rollout.ics"
)]
pub(crate) struct Timeline {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Set the first day of the first stage.
    ///
    /// Replaces the start in the document.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) start: Option<stagegate::model::Date>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = TimelineFormat::Table)]
    pub(crate) format: TimelineFormat,
}

/// An output format of `timeline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimelineFormat {
    /// Tables for a terminal.
    #[value(alias = "human")]
    Table,
    /// Tables for a document.
    Markdown,
    /// A calendar file (RFC 5545).
    Ics,
    /// A Gantt chart.
    Svg,
    /// JSON with a schema version.
    Json,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1: there is no message. A variable without a value, or a --set that no message uses, is a \
usage error.

Examples:
  stagegate messages rollout.toml --flag new-checkout --on pilot.-3d --start 2026-01-05
  stagegate messages rollout.toml --on rollback --set 'reason=error rate above 5%'
  stagegate messages rollout.toml --from 2026-01-05 --to 2026-01-11 --format json")]
pub(crate) struct Messages {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Select a moment, such as `pilot.start` or `rollback`.
    ///
    /// WHEN is `start`, `end`, `weekly`, `rollback`, `as_needed`, or days before or after the stage
    /// begins, such as `-3d`. Without STAGE, `rollback` and `as_needed` refer to the flag's present
    /// stage.
    #[arg(long, value_name = "STAGE.WHEN", required_unless_present = "from")]
    pub(crate) on: Option<String>,
    /// Set a variable of the messages.
    ///
    /// Replaces the document's value. Repeat it for more variables.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Select all messages due from this day on.
    #[arg(long, value_name = "DATE", value_parser = date, requires = "to", conflicts_with = "on")]
    pub(crate) from: Option<stagegate::model::Date>,
    /// Select all messages due until this day.
    #[arg(long, value_name = "DATE", value_parser = date, requires = "from")]
    pub(crate) to: Option<stagegate::model::Date>,
    /// Set the first day of the first stage.
    ///
    /// Replaces the start in the document.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) start: Option<stagegate::model::Date>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1: the plan has no responsibility table.

Example:
  stagegate responsible rollout.toml --flag new-checkout --at 2026-01-10T03:00:00+01:00")]
pub(crate) struct Responsible {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Choose the moment; default: now.
    ///
    /// Write it with an offset or a time zone: `2026-01-10T03:00:00+01:00`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<std::time::SystemTime>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 0: the user has the flag. Exit code 1: the user does not have it.

Examples:
  stagegate explain rollout.toml user-42 new-checkout --attribute region=eu-north
  stagegate explain /var/lib/shop/rollout user-42 new-checkout --at 2026-01-10T03:00:00Z")]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Plan document, or the directory of a store.
    ///
    /// `-` reads a document from standard input. A store answers from its journal.
    pub(crate) document: PathBuf,
    /// User key.
    #[arg(allow_negative_numbers = true)]
    pub(crate) user: String,
    /// Flag key.
    pub(crate) flag: String,
    /// Choose the moment, for a store; default: now.
    ///
    /// Write it with an offset or a time zone: `2026-01-10T03:00:00+01:00`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<std::time::SystemTime>,
    /// Read earlier records from this archive, too, for a store.
    #[arg(long, env = "STAGEGATE_ARCHIVE", value_name = "DIRECTORY")]
    pub(crate) archive: Option<PathBuf>,
    /// Set an attribute of the user.
    ///
    /// Repeat it for more attributes, and for several values of one attribute.
    #[arg(long = "attribute", short, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) attributes: Vec<(String, String)>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 0: both documents are valid, whatever changes. A bad line in the users file is a usage \
error. Percentages are rounded down to 0.0001%.

Examples:
  stagegate diff rollout.toml rollout.new.toml
  stagegate diff rollout.toml rollout.new.toml --users users.txt")]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Document in force; `-` reads standard input.
    pub(crate) old: PathBuf,
    /// New document; `-` reads standard input.
    pub(crate) new: PathBuf,
    /// List the users in FILE who gain or lose a flag.
    ///
    /// FILE has one key per line, then attributes as `<TAB>name=value`. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Shell to complete for.
    pub(crate) shell: Shell,
}

fn date(text: &str) -> Result<stagegate::model::Date, String> {
    text.parse().map_err(|error| format!("{error}; write for example 2026-01-05"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form KEY=VALUE".to_owned()),
    }
}

pub(crate) fn moment(text: &str) -> Result<std::time::SystemTime, String> {
    let zoned = || text.parse::<jiff::Zoned>().map(|zoned| zoned.timestamp());
    let timestamp = text.parse::<jiff::Timestamp>().or_else(|_| zoned());
    timestamp.map(Into::into).map_err(|_| {
        "not a time with an offset or a time zone; write for example 2026-01-10T03:00:00+01:00"
            .to_owned()
    })
}
