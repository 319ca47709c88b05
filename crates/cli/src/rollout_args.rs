//! The arguments of the verbs that act on a rollout, or look at one.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};

use crate::args::{Format, moment};
use crate::place::{Place, place};
use crate::run_args::{Publish, Run};
use crate::telling::Telling;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Begin a rollout: a store with the document and the journal's first record.
    Start(Document),
    /// Put another version of the document in force; every flag stays in its stage.
    Update(Update),
    /// Say where every flag is, what bars its promotion, what is overdue, who is responsible.
    Status(Status),
    /// Move a flag one stage up, if every condition holds; from the last stage, complete it.
    Promote(Promote),
    /// Bar the promotion of a flag until it is resumed.
    Hold(Reasoned),
    /// End a hold.
    Resume(Resume),
    /// Take a flag back, at once.
    Rollback(Rollback),
    /// Sign an item of the stage's checklist, or a criterion that people confirm.
    Sign(Sign),
    /// Report an incident, go through its steps, close it.
    #[command(subcommand)]
    Incident(Incident),
    /// Say what was read of a metric.
    #[command(subcommand)]
    Metric(Metric),
    /// Print the journal.
    History(History),
    /// Prove that the journal is what was written.
    Verify(Verify),
    /// Do what is due: promotions that need nobody, expiries, escalations; messages, where somebody is told.
    Tick(Tick),
    /// Do what is due, again and again, until told to stop: for a service manager.
    Run(Run),
    /// Write the document in force with each flag's present stage in it, for instances that follow a file or a server.
    Publish(Publish),
    /// Print the document in force, or the one that was.
    Document(Kept),
}

/// Which store, and by which clock.
#[derive(Args, Debug)]
pub(crate) struct Store {
    /// The directory of the rollout, or etcd://HOST:PORT/PREFIX (etcds:// for TLS).
    #[arg(long, env = "STAGEGATE_STORE", value_name = "STORE", value_parser = place)]
    pub(crate) store: Place,
    /// Whose time counts: `system`, the machine's, which counts no time that it cannot measure;
    /// `wall`, the date alone, across machines and restarts; or a moment, for rehearsals.
    #[arg(long, env = "STAGEGATE_CLOCK", value_name = "CLOCK", default_value = "system", value_parser = clock)]
    pub(crate) clock: ClockChoice,
    /// Keep rollbacks that the store does not take in this file, for the next command that can write: put it on another
    /// disk. One process uses it at a time.
    #[arg(long, env = "STAGEGATE_INTENTS", value_name = "FILE")]
    pub(crate) intents: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Whose time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockChoice {
    System,
    Wall,
    At(SystemTime),
}

/// Who acts on which store.
#[derive(Args, Debug)]
pub(crate) struct Acting {
    #[command(flatten)]
    pub(crate) store: Store,
    /// Who does it: the journal keeps the name. Else the user who is logged in.
    #[arg(long, env = "STAGEGATE_BY", value_name = "WHO")]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) telling: Telling,
}

/// Whether it is meant.
#[derive(Args, Debug)]
pub(crate) struct Consent {
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Users, one a line as for `diff`: says how many of them gain or lose the flag.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// How many users there are: says about how many of them that is. Else as many as the `traffic` of
    /// the document in force says.
    #[arg(long, value_name = "COUNT", conflicts_with = "users")]
    pub(crate) traffic: Option<u64>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: stagegate start rollout.toml --store /var/lib/shop/rollout")]
pub(crate) struct Document {
    /// The document; `-` is the standard input.
    pub(crate) document: PathBuf,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// The document; `-` is the standard input.
    pub(crate) document: PathBuf,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) store: Store,
    /// Only this flag, with every condition.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 1 when a condition is not met, and names each. With `--to` or `--from` the command may be repeated: it never goes
one stage further.

Examples:
  stagegate promote new-checkout --to pilot --store /var/lib/shop/rollout
  stagegate promote new-checkout --force --reason 'decided by the CTO' --to ga")]
pub(crate) struct Promote {
    /// The flag.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// Whatever the plan asks; not past a hold or an open incident.
    #[arg(long, requires = "reason")]
    pub(crate) force: bool,
    /// Why it is forced.
    #[arg(long, requires = "force")]
    pub(crate) reason: Option<String>,
    /// Only to this stage, which has to be the next one; with `--force` past others.
    #[arg(long, value_name = "STAGE")]
    pub(crate) to: Option<String>,
    /// Only from this stage.
    #[arg(long, value_name = "STAGE")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(Args, Debug)]
pub(crate) struct Reasoned {
    /// The flag.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// Why.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// The flag.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// Why.
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Asks only on a terminal.

Examples:
  stagegate rollback new-checkout
  stagegate rollback new-checkout --reason 'errors on Safari' --yes")]
pub(crate) struct Rollback {
    /// The flag.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// Why.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// To this stage; else where the plan says.
    #[arg(long, value_name = "STAGE")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(Args, Debug)]
pub(crate) struct Sign {
    /// The flag.
    pub(crate) flag: String,
    /// The item's id; `watch` for a check of the watch.
    pub(crate) item: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// On what grounds: a link, perhaps.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) evidence: Option<String>,
    /// Take the signature back.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Why it is taken back.
    #[arg(long, requires = "undo")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// Report one: takes the flag back where the plan says so.
    Report(Report),
    /// Say that its present phase is done.
    Step(Step),
    /// Close it: the flag may be promoted again.
    Close(Close),
}

#[derive(Args, Debug)]
pub(crate) struct Report {
    /// The flag.
    pub(crate) flag: String,
    /// Its kind: `security`, `data_integrity`, `critical_bug`, or one that a trigger of the flag names.
    pub(crate) kind: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// What was seen.
    #[arg(long)]
    pub(crate) note: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Step {
    /// The flag.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// What was found or done.
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// Why it counts as done although the check fails.
    #[arg(long = "override", value_name = "REASON")]
    pub(crate) overriding: Option<String>,
    /// Only if this is the present phase, so that the command may be repeated.
    #[arg(long)]
    pub(crate) phase: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Close {
    /// The flag.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// What came of it.
    #[arg(long)]
    pub(crate) note: String,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Metric {
    /// Enter a reading, as documents write values: `0.4%`, `250ms`, `3`; `none` for no data.
    Set(Set),
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// The flag.
    pub(crate) flag: String,
    /// The metric.
    pub(crate) name: String,
    /// What was read.
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) acting: Acting,
    /// What was read for users without the flag.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub(crate) control: Option<String>,
    /// From how many samples.
    #[arg(long, value_name = "COUNT")]
    pub(crate) samples: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) store: Store,
    /// Only what is of this flag, or of all.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
    /// Only from this moment on.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<SystemTime>,
    /// Only from this record on.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) from: u64,
}

#[derive(Args, Debug)]
#[command(after_help = "Ends with 1 when the journal is damaged, or the noted head is not in it.")]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) store: Store,
    /// A head that was noted before, as this verb prints it: it has to be in the journal still.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) head: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Tick {
    #[command(flatten)]
    pub(crate) store: Store,
    #[command(flatten)]
    pub(crate) telling: Telling,
}

#[derive(Args, Debug)]
pub(crate) struct Kept {
    #[command(flatten)]
    pub(crate) store: Store,
    /// At this moment; else now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<SystemTime>,
}

fn clock(text: &str) -> Result<ClockChoice, String> {
    match text {
        "system" => Ok(ClockChoice::System),
        "wall" => Ok(ClockChoice::Wall),
        text => moment(text).map(ClockChoice::At).map_err(|_| {
            "not a clock; write system, wall, or a moment such as 2026-01-10T03:00:00+01:00"
                .to_owned()
        }),
    }
}
