//! The arguments, from which help, completions and the manual page are made.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const EXIT_CODES: &str =
    "Exit codes: 0 good, 1 the answer is no, 2 usage, 3 could not read or write.";

/// Checks, shows, schedules, explains and executes staged rollout plans: never 0 to 100.
#[derive(Debug, Parser)]
#[command(name = "stagegate", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Write the result to this file, whole or not at all, instead of the standard output.
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one a run")]
pub(crate) enum Verb {
    /// Print a commented document to start from. With `--output`, never overwrites a file.
    Init(Init),
    /// Check documents: every problem, with the place and the way out.
    Check(Check),
    /// Print the JSON Schema of the document, for editors.
    Schema(Schema),
    /// Show the plan of a flag, as a document for people.
    Show(Show),
    /// Put the stages on the calendar: dates, activities, decisions, messages, owners.
    Timeline(Timeline),
    /// Print the messages of a moment of the rollout, or those due between two days.
    Messages(Messages),
    /// Say who is responsible at a moment, by which row, and who is next.
    Responsible(Responsible),
    /// Say whether a user has a flag and why, and for each stage whether they would.
    Explain(Explain),
    /// Say what changes for users from one document to another.
    Diff(Diff),
    #[command(flatten)]
    Rollout(crate::rollout_args::Verb),
    /// Try the triggers of a plan on figures.
    #[command(subcommand)]
    Guard(crate::guard_args::Guard),
    /// Print the completions for a shell.
    Completions(Completions),
    /// Print the manual page, for `man -l -`.
    Man,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs, with a schema version.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Init {
    /// Which document.
    #[arg(long, value_enum, default_value_t = Template::Staged)]
    pub(crate) template: Template,
    /// How to print it: as it is, or as the text of a JSON result.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// The documents `init` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// The whole plan: stages, criteria, triggers, roll-back, responsibility, messages, risks.
    Staged,
    /// One flag that follows the built-in plan.
    Minimal,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The documents; `-` is the standard input.
    #[arg(required = true, value_name = "DOCUMENT")]
    pub(crate) documents: Vec<PathBuf>,
    /// Let warnings fail, too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// How to print it: the schema itself either way; `json` puts it in a result.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Which flag of which document.
#[derive(Args, Debug)]
pub(crate) struct Of {
    /// The document; `-` is the standard input.
    pub(crate) document: PathBuf,
    /// The flag; may be left out where the document has only one.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: stagegate show rollout.toml --format markdown > rollout.md")]
pub(crate) struct Show {
    /// The document; `-` is the standard input.
    pub(crate) document: PathBuf,
    /// Only this flag; else every one.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ShowFormat::Human)]
    pub(crate) format: ShowFormat,
}

/// How to show a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShowFormat {
    /// A summary for a terminal.
    Human,
    /// The whole plan, in the template's order of sections.
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
    pub(crate) of: Of,
    /// The day of the first stage; else the one in the document.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) start: Option<stagegate::model::Date>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = TimelineFormat::Table)]
    pub(crate) format: TimelineFormat,
}

/// How to print a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimelineFormat {
    /// For a terminal.
    #[value(alias = "human")]
    Table,
    /// A table for a document.
    Markdown,
    /// A calendar file (RFC 5545).
    Ics,
    /// A Gantt chart.
    Svg,
    /// For programs.
    Json,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 0 when there is a message and with 1 when there is none. A variable without a value, or \
a --set that no message uses, is a usage error.

Examples:
  stagegate messages rollout.toml --flag new-checkout --on pilot.-3d --start 2026-01-05
  stagegate messages rollout.toml --on rollback --set 'reason=error rate above 5%'
  stagegate messages rollout.toml --from 2026-01-05 --to 2026-01-11 --format json")]
pub(crate) struct Messages {
    #[command(flatten)]
    pub(crate) of: Of,
    /// The moment: a stage and `start`, `end`, `weekly`, `-3d` …, for example `pilot.start`; or a
    /// stage and `rollback` or `as_needed`; or one of these two alone, for the stage at which the flag is.
    #[arg(long, value_name = "STAGE.WHEN", required_unless_present = "from")]
    pub(crate) on: Option<String>,
    /// A variable of the messages, in the place of what the document says.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// All that is due from this day on …
    #[arg(long, value_name = "DATE", value_parser = date, requires = "to", conflicts_with = "on")]
    pub(crate) from: Option<stagegate::model::Date>,
    /// … to this day.
    #[arg(long, value_name = "DATE", value_parser = date, requires = "from")]
    pub(crate) to: Option<stagegate::model::Date>,
    /// The day of the first stage; else the one in the document.
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) start: Option<stagegate::model::Date>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 0, and with 1 when the plan has no responsibility table.

Example:
  stagegate responsible rollout.toml --flag new-checkout --at 2026-01-10T03:00:00+01:00")]
pub(crate) struct Responsible {
    #[command(flatten)]
    pub(crate) of: Of,
    /// The moment, with its offset or time zone: `2026-01-10T03:00:00+01:00`; else now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<std::time::SystemTime>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 0 when the user has the flag and with 1 when not.

Example:
  stagegate explain rollout.toml user-42 new-checkout --attribute region=eu-north
  stagegate explain /var/lib/shop/rollout user-42 new-checkout --at 2026-01-10T03:00:00Z")]
pub(crate) struct Explain {
    /// The document, `-` for the standard input; or a store, which answers from its journal.
    pub(crate) document: PathBuf,
    /// The user's key.
    #[arg(allow_negative_numbers = true)]
    pub(crate) user: String,
    /// The flag.
    pub(crate) flag: String,
    /// Of a store: the moment, with its offset or time zone; else now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<std::time::SystemTime>,
    /// An attribute of the user; may be said again.
    #[arg(long = "attribute", short, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) attributes: Vec<(String, String)>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 0 when the documents could be compared, whatever changes. Each line of the file of users \
is asked about; a line that is no user is a usage error. Shares are rounded down to 0.0001%.

Examples:
  stagegate diff rollout.toml rollout.new.toml
  stagegate diff rollout.toml rollout.new.toml --users users.txt")]
pub(crate) struct Diff {
    /// The document in force; `-` is the standard input.
    pub(crate) old: PathBuf,
    /// The one to come; `-` is the standard input.
    pub(crate) new: PathBuf,
    /// Users, one key a line, attributes after it as `<TAB>name=value`; `-` is the standard input.
    /// Says who enters and who leaves.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell.
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
    timestamp
        .map(Into::into)
        .map_err(|_| "not a moment; write for example 2026-01-10T03:00:00+01:00".to_owned())
}
