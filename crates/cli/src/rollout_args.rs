//! Arguments of the verbs that act on a rollout or read one.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};

use crate::args::{Format, Reading, moment};
use crate::notifications::NotificationArgs;
use crate::run_args::{Publish, Run};
use crate::store_location::{StoreLocation, parse_location};

#[derive(Debug, Subcommand)]
pub(crate) enum RolloutVerb {
    /// Start a rollout in a new store.
    ///
    /// The store keeps the document and the journal. Each flag starts at its stage in the document.
    Start(Start),
    /// Put a new version of the document in force.
    ///
    /// Every flag stays in its stage. Before it asks, it prints the changes for users.
    Update(Update),
    /// Print each flag's stage and open conditions.
    ///
    /// Also prints overdue work and the person responsible now.
    Status(Status),
    /// Move a flag one stage up if every condition holds.
    ///
    /// From the last stage, completes the rollout.
    Promote(Promote),
    /// Bar promotions of a flag, or of all, until you resume.
    Hold(Hold),
    /// End the hold of a flag, or of all.
    Resume(Resume),
    /// Roll a flag, or all, back at once.
    ///
    /// Needs no reason and, without a terminal, no `--yes`. Opens an incident.
    Rollback(Rollback),
    /// Sign off a criterion or a checklist item.
    Sign(Sign),
    /// Report an incident, go through its steps, or close it.
    #[command(subcommand)]
    Incident(Incident),
    /// Enter a reading of a metric.
    #[command(subcommand)]
    Metric(Metric),
    /// Print the journal.
    History(History),
    /// Prove that the journal is intact.
    Verify(Verify),
    /// Copy the store to a directory.
    ///
    /// The copy is a store of its own. Run it again to add what is new. Other processes may act meanwhile.
    Backup(Backup),
    /// Copy a backup to a new store.
    ///
    /// The last record says where the others come from. From a directory to etcd and back works, too.
    Restore(Restore),
    /// Move earlier records to compressed files.
    ///
    /// The journal is cut into segments of 8 MiB. This moves every segment but the last. Other processes
    /// may act meanwhile. Pass the directory as `--archive` to `verify`, `history` and `explain` to read
    /// across it.
    Archive(Archive),
    /// Write in the newest format of the journal.
    ///
    /// Checks every record and every document first. New stores have the newest format already.
    Upgrade(Upgrade),
    /// Print the journal's head, to note it elsewhere.
    ///
    /// One line: number and hash of the last record, the time, and the store.
    Anchor(Anchor),
    /// Run due work once.
    ///
    /// That is: automatic promotions, rollbacks for lack of data, expired sign-offs, escalations and
    /// the watch. With a notification option, also the plan's messages.
    Tick(Tick),
    /// Run due work repeatedly, for a service manager.
    Run(Run),
    /// Write the document with each flag's present stage.
    ///
    /// For instances that follow a file or a server and have no store open.
    Publish(Publish),
    /// Print the document in force, now or in the past.
    Document(Document),
}

/// The store, its clock and the output format.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    pub(crate) access: StoreAccess,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// The store and its clock.
#[derive(Args, Debug)]
pub(crate) struct StoreAccess {
    /// Use the store in this directory or etcd.
    ///
    /// A directory, or etcd://HOST:PORT/PREFIX (etcds:// for TLS). Separate several hosts by commas.
    #[arg(
        long,
        env = "STAGEGATE_STORE",
        value_name = "STORE",
        value_parser = parse_location,
        help_heading = STORE
    )]
    pub(crate) store: StoreLocation,
    /// Choose the clock: `system`, `wall` or a moment.
    ///
    /// `system` is the machine's clock; downtime does not count toward durations. `wall` goes by the
    /// date alone, across machines and restarts. A moment, such as 2026-01-10T03:00:00Z, is for a
    /// rehearsal: on a store that was started with a moment.
    #[arg(
        long,
        env = "STAGEGATE_CLOCK",
        value_name = "CLOCK",
        default_value = "system",
        value_parser = clock,
        help_heading = STORE
    )]
    pub(crate) clock: ClockChoice,
    /// Read earlier records from this archive, too.
    ///
    /// A directory that `stagegate archive` has written. `run` moves earlier segments of the journal there
    /// while it leads.
    #[arg(long, env = "STAGEGATE_ARCHIVE", value_name = "DIRECTORY", help_heading = STORE)]
    pub(crate) archive: Option<PathBuf>,
    /// Keep a rollback in FILE if the store does not take it.
    ///
    /// The next command with this FILE that can write records the rollback. Put FILE on another disk
    /// than the store. One process uses it at a time.
    #[arg(long, env = "STAGEGATE_INTENTS", value_name = "FILE", help_heading = STORE)]
    pub(crate) intents: Option<PathBuf>,
}

/// The help heading of the options that all verbs on a store share.
const STORE: &str = "Store options";

/// The value of `--clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockChoice {
    System,
    Wall,
    At(SystemTime),
}

/// The arguments of every action: the store, the user and the notifications.
#[derive(Args, Debug)]
pub(crate) struct ActionArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
    #[command(flatten)]
    pub(crate) notifications: NotificationArgs,
}

/// The person or program who acts.
#[derive(Args, Debug)]
pub(crate) struct WhoArgs {
    /// Set the user name in the journal.
    ///
    /// Default: the name of the key of `--key`, or else etcd's user, or else the operating system's.
    #[arg(long, env = "STAGEGATE_BY", value_name = "NAME", help_heading = STORE)]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

/// The key that signs records.
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    /// Sign the records with the secret key in FILE.
    ///
    /// `stagegate key new` writes such a file. A rollback also works without the key.
    #[arg(long, env = "STAGEGATE_KEY", value_name = "FILE", help_heading = STORE)]
    pub(crate) key: Option<PathBuf>,
}

/// The arguments of an action that shows its effect on users and asks for confirmation.
#[derive(Args, Debug)]
pub(crate) struct ConfirmArgs {
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Count the users in FILE who gain or lose the flag.
    ///
    /// The format is the same as for `diff --users`.
    #[arg(long, value_name = "FILE")]
    pub(crate) users: Option<PathBuf>,
    /// Estimate how many of COUNT users gain or lose the flag.
    ///
    /// Default: the `users` of the `traffic` in the document in force.
    #[arg(long, value_name = "COUNT", conflicts_with = "users")]
    pub(crate) traffic: Option<u64>,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: stagegate start rollout.toml --store /var/lib/shop/rollout")]
pub(crate) struct Start {
    /// Plan document; `-` reads standard input.
    pub(crate) document: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Plan document; `-` reads standard input.
    pub(crate) document: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Show only this flag, in detail.
    #[arg(long, short)]
    pub(crate) flag: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1: a condition is not met. The output names each one. With `--to` or `--from` you may repeat \
the command: it never moves the flag a second time.

Examples:
  stagegate promote new-checkout --to pilot --store /var/lib/shop/rollout
  stagegate promote new-checkout --force --reason 'decided by the CTO' --to ga")]
pub(crate) struct Promote {
    /// Flag key.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Override the plan's conditions.
    ///
    /// Does not override a hold or an open incident.
    #[arg(long, requires = "reason")]
    pub(crate) force: bool,
    /// Record why the promotion is forced.
    #[arg(long, requires = "force")]
    pub(crate) reason: Option<String>,
    /// Promote only if STAGE is the next stage.
    ///
    /// With `--force`, STAGE may be any later stage.
    #[arg(long, value_name = "STAGE")]
    pub(crate) to: Option<String>,
    /// Promote only if the flag is at STAGE.
    #[arg(long, value_name = "STAGE")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate hold new-checkout --reason 'wait for legal'
  stagegate hold --all --until 2027-01-04 --reason holidays")]
pub(crate) struct Hold {
    /// Flag key.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) flag: Option<String>,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Record why the flag is held.
    #[arg(long)]
    pub(crate) reason: String,
    /// Hold all flags, also those that an update adds.
    ///
    /// The holds of single flags are separate. Rollbacks work as ever.
    #[arg(long)]
    pub(crate) all: bool,
    /// End the hold of all flags at this day or time.
    ///
    /// A day such as 2027-01-04 begins at 00:00 UTC. Without an end, run `resume --all`.
    #[arg(long, value_name = "TIME", conflicts_with = "flag", value_parser = day_or_moment)]
    pub(crate) until: Option<SystemTime>,
}

#[derive(Args, Debug)]
pub(crate) struct Resume {
    /// Flag key.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) flag: Option<String>,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Record why the hold ends.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// End the hold of all flags.
    ///
    /// A flag with a hold of its own stays held.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Asks for confirmation only on a terminal.

Examples:
  stagegate rollback new-checkout
  stagegate rollback new-checkout --reason 'errors on Safari' --yes
  stagegate rollback --all --reason 'the database is down' --yes")]
pub(crate) struct Rollback {
    /// Flag key.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) flag: Option<String>,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Record why the flag is rolled back.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Roll back to STAGE instead of the plan's target.
    #[arg(long, value_name = "STAGE")]
    pub(crate) to: Option<String>,
    /// Roll back every flag that is in a stage, at once.
    ///
    /// Each flag moves to its plan's target and gets an incident of its own.
    #[arg(long, conflicts_with_all = ["to", "users", "traffic"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Sign {
    /// Flag key.
    pub(crate) flag: String,
    /// Id of the item; `watch` signs off a check of the watch.
    pub(crate) item: String,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Record the evidence, such as a link.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) evidence: Option<String>,
    /// Withdraw the sign-off.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Record why the sign-off is withdrawn.
    #[arg(long, requires = "undo")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incident {
    /// Report an incident.
    ///
    /// If a trigger with `action = "rollback"` names its kind, the flag is rolled back at once.
    Report(Report),
    /// Mark the incident's present phase as done.
    Step(Step),
    /// Close the incident, so that the flag may be promoted.
    Close(Close),
}

#[derive(Args, Debug)]
pub(crate) struct Report {
    /// Flag key.
    pub(crate) flag: String,
    /// Kind of incident, such as `security`.
    ///
    /// `security`, `data_integrity`, `critical_bug`, or a kind that a trigger of the flag names.
    pub(crate) kind: String,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Describe what was seen.
    #[arg(long)]
    pub(crate) note: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Step {
    /// Flag key.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Describe what was found or done.
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// Pass a verification whose check fails.
    #[arg(long = "override", value_name = "REASON")]
    pub(crate) overriding: Option<String>,
    /// Step only if the incident is at this phase.
    ///
    /// You may then repeat the command.
    #[arg(long)]
    pub(crate) phase: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Close {
    /// Flag key.
    pub(crate) flag: String,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Record what the cause was.
    #[arg(long)]
    pub(crate) note: String,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Metric {
    /// Enter a reading: `0.4%`, `250ms`, `3`, or `none`.
    ///
    /// Write the value as in a document. `none` means no data.
    Set(Set),
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Flag key.
    pub(crate) flag: String,
    /// Name of the metric.
    pub(crate) name: String,
    /// Value, such as `0.4%`, `250ms`, `3` or `none`.
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) action: ActionArgs,
    /// Set the value for users without the flag.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    pub(crate) control: Option<String>,
    /// Set the number of samples behind the value.
    #[arg(long, value_name = "COUNT")]
    pub(crate) samples: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    #[command(flatten)]
    pub(crate) access: StoreAccess,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = HistoryFormat::Human)]
    pub(crate) format: HistoryFormat,
    /// Hide the records of other flags. May be repeated.
    #[arg(long, short)]
    pub(crate) flag: Vec<String>,
    /// Show only this person's or program's records. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Vec<String>,
    /// Show only records since this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<SystemTime>,
    /// Show only records up to this moment.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<SystemTime>,
    /// Show only records from this number on.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) from: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// Store to write: a directory or etcd://HOST:PORT/PREFIX.
    #[arg(value_name = "BACKUP", value_parser = parse_location)]
    pub(crate) to: StoreLocation,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// Store to read: a directory or etcd://HOST:PORT/PREFIX.
    #[arg(value_name = "BACKUP", value_parser = parse_location)]
    pub(crate) from: StoreLocation,
    /// Leave out later records.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) as_of: Option<SystemTime>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Archive {
    /// Directory for the compressed files.
    #[arg(value_name = "DIRECTORY")]
    pub(crate) to: PathBuf,
    /// Begin another segment first, so that every record so far is moved.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Programs that do not know the newer format refuse the store from then on. Replace them first.

Examples:
  stagegate upgrade --dry-run --store /var/lib/shop/rollout
  stagegate upgrade --store /var/lib/shop/rollout")]
pub(crate) struct Upgrade {
    /// Only check the store and print what would change.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) who: WhoArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example: stagegate anchor --to /mnt/audit/anchors.txt --store /var/lib/shop/rollout")]
pub(crate) struct Anchor {
    /// Append the anchor to FILE.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// An output format of `history`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// Text for people.
    Human,
    /// One JSON document with a schema version.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// A table for a spreadsheet.
    Csv,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1: the journal is damaged, does not contain a noted head or anchor, or a signature is missing or wrong.")]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Check that the journal still contains this head.
    ///
    /// Note the head that this command prints, and pass it later.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) head: Option<String>,
    /// Check that the journal still contains every anchor in FILE.
    ///
    /// `stagegate anchor` prints anchors. This finds a journal that was rewritten as a whole.
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// Check the signatures of the people and programs whose public keys are in FILE.
    ///
    /// One key a line, as `stagegate key show` prints it. Between key and name, a range of record
    /// numbers may say for which records the key counts: `..119`, `120..`.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Tick {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) notifications: NotificationArgs,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Document {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Choose the moment; default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<SystemTime>,
}

/// Parses a moment, or the beginning of a day in UTC.
fn day_or_moment(text: &str) -> Result<SystemTime, String> {
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2027-01-04".len());
    let begin = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    begin.map(|begin| begin.timestamp().into()).map_or_else(|| moment(text), Ok).map_err(|_| {
        "not a day, nor a time with an offset or a time zone; write for example 2027-01-04 or \
         2027-01-04T09:00:00+01:00"
            .to_owned()
    })
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
