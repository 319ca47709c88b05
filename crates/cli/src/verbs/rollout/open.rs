//! Opening a store as a rollout.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagegate::clock::{Boot, Clock, Moment, SystemClock, WallClock};
use stagegate::rollout::{
    Actor, Journal, Record, Rollout, RolloutError, RolloutOptions, Signer, SigningKey, Store,
};
use stagegate::store::Archive;

use crate::escape::{terminal, terminal_lines};
use crate::failure::Failure;
use crate::rollout_args::{ActionArgs, ClockChoice, KeyArgs, StoreAccess, WhoArgs};
use crate::store_location::{Access, StoreLocation, certificate_hint};
use crate::verbs::key;

/// A clock that always shows one moment, for rehearsals.
#[derive(Clone, Copy, Debug)]
struct FixedClock(SystemTime);

/// The boot id in the records of a rehearsal.
const REHEARSAL: &str = "rehearsal";

/// The clock of `--clock`.
#[derive(Debug)]
struct SelectedClock(Box<dyn Clock>);

impl Clock for FixedClock {
    fn now(&self) -> Moment {
        let uptime = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment::new(self.0, uptime, Boot::new(REHEARSAL))
    }
}

impl Clock for SelectedClock {
    fn now(&self) -> Moment {
        self.0.now()
    }
}

fn clock(choice: ClockChoice) -> SelectedClock {
    SelectedClock(match choice {
        ClockChoice::System => Box::new(SystemClock::new()),
        ClockChoice::Wall => Box::new(WallClock),
        ClockChoice::At(moment) => Box::new(FixedClock(moment)),
    })
}

/// Creates a store and starts a rollout of this document in it.
pub(super) fn new_rollout(
    action: &ActionArgs,
    document: stagegate::Document,
) -> Result<Result<Rollout, RolloutError>, Failure> {
    let who = Who::of(&action.who, &action.store.access)?;
    let store = action.store.access.store.open(Access::Create)?;
    let (clock, options) = (clock(action.store.access.clock), options(&action.store.access, &who));
    let started = Rollout::start_with(store, clock, document, &who.name, &options);
    if let Ok(rollout) = &started {
        print_notices(rollout);
        action.notifications.attach(rollout)?;
    }
    Ok(started)
}

/// A rollout, opened by the person or program who acts.
pub(super) struct Acting {
    pub(super) rollout: Rollout,
    name: String,
}

impl Acting {
    pub(super) fn actor(&self) -> Actor<'_> {
        self.rollout.by(&self.name)
    }
}

/// Opens the rollout to act on it, and sends its notifications.
pub(super) fn acting(action: &ActionArgs) -> Result<Acting, Failure> {
    acting_as(action, Who::of(&action.who, &action.store.access)?)
}

/// As [`acting`], for a rollback or a report. A missing name or key must not prevent it.
pub(super) fn acting_in_any_case(action: &ActionArgs) -> Result<Acting, Failure> {
    acting_as(action, Who::in_any_case(&action.who, &action.store.access))
}

fn acting_as(action: &ActionArgs, who: Who) -> Result<Acting, Failure> {
    let rollout = writable(&action.store.access, &who)?;
    action.notifications.attach(&rollout)?;
    Ok(Acting { rollout, name: who.name })
}

/// Opens the rollout to act on it, without notifications.
pub(super) fn writable(store: &StoreAccess, who: &Who) -> Result<Rollout, Failure> {
    with_store(store.store.open(Access::Write)?, store, who)
}

/// Opens the rollout of an open store, to act on it.
pub(super) fn with_store(
    opened: impl Store + 'static,
    store: &StoreAccess,
    who: &Who,
) -> Result<Rollout, Failure> {
    let rollout = open_rollout(opened, store.clock, &options(store, who))?;
    if who.key.is_some() && rollout.format() < Journal::SIGNED_FORMAT {
        anstream::eprintln!(
            "stagegate: no record is signed, because the journal has format {}. Run `stagegate upgrade`",
            rollout.format()
        );
    }
    Ok(rollout)
}

fn open_rollout(
    opened: impl Store + 'static,
    choice: ClockChoice,
    options: &RolloutOptions,
) -> Result<Rollout, Failure> {
    let rollout = Rollout::open_with(opened, clock(choice), options);
    let rollout = rollout.map_err(|error| rollout_failure(&error))?;
    check_clock(&rollout, choice)?;
    print_notices(&rollout);
    Ok(rollout)
}

/// Returns the options of a command that acts. Commands that read do not use the intents file.
fn options(store: &StoreAccess, who: &Who) -> RolloutOptions {
    let options = RolloutOptions::new();
    let options = who.key.iter().cloned().fold(options, RolloutOptions::sign_with);
    store.intents.iter().fold(options, RolloutOptions::keep_intents_in)
}

fn print_notices(rollout: &Rollout) {
    for notice in rollout.status().notices {
        anstream::eprintln!("stagegate: {}", terminal(&notice));
    }
}

/// Opens the rollout to read it. This works while another process acts on it.
pub(super) fn read_only(store: &StoreAccess) -> Result<Rollout, Failure> {
    open_rollout(open_to_read(store)?, store.clock, &RolloutOptions::new())
}

/// Opens the store to read it, with its archive.
pub(super) fn open_to_read(store: &StoreAccess) -> Result<Box<dyn Store>, Failure> {
    let opened = store.store.open(Access::Read)?;
    Ok(match &store.archive {
        Some(archive) => Archive::new(archive).with(opened),
        None => opened,
    })
}

/// Verifies every record against the records before it. Then calls a function for each. Returns the rollout.
pub(super) fn verified_records(
    store: &StoreAccess,
    mut each: impl FnMut(Record),
) -> Result<Result<Rollout, RolloutError>, Failure> {
    let options = RolloutOptions::new().read_all_segments();
    let rollout = Rollout::open_with(open_to_read(store)?, clock(store.clock), &options);
    Ok(rollout.and_then(|rollout| {
        rollout.for_each_record(rollout.first_record()?, |record| {
            each(record);
            ControlFlow::Continue(())
        })?;
        Ok(rollout)
    }))
}

/// Opens the rollout in a directory to read it with its archive, by the system clock.
pub(crate) fn read_only_directory(
    path: &Path,
    archive: Option<&PathBuf>,
) -> Result<Rollout, Failure> {
    let opened = StoreLocation::Directory(path.to_owned()).open(Access::Read)?;
    let opened = match archive {
        Some(archive) => Archive::new(archive).with(opened),
        None => opened,
    };
    Rollout::open(opened, clock(ClockChoice::System)).map_err(|error| rollout_failure(&error))
}

/// Refuses real time in a rehearsal, and a rehearsal's clock in a real rollout.
fn check_clock(rollout: &Rollout, choice: ClockChoice) -> Result<(), Failure> {
    let rehearsed = rollout.started_in_boot(REHEARSAL);
    match choice {
        ClockChoice::At(_) if !rehearsed => Err(Failure::Usage(
            "this rollout is real. A rehearsal needs a rollout that was started with a moment as \
             `--clock`"
                .to_owned(),
        )),
        ClockChoice::System | ClockChoice::Wall if rehearsed => Err(Failure::Usage(
            "this rollout is a rehearsal. Pass a moment, such as `--clock 2026-01-10T03:00:00Z`"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The person or program who acts: the name for the journal, and the key that signs the records.
pub(super) struct Who {
    pub(super) name: String,
    key: Option<SigningKey>,
}

impl Who {
    /// Returns who acts: `--by`, or else the name of the key, or else the store's user.
    pub(super) fn of(args: &WhoArgs, access: &StoreAccess) -> Result<Who, Failure> {
        let key = args.key.key.as_deref().map(key::read_secret).transpose()?;
        let name = match (&args.by, &key) {
            // A blank variable `STAGEGATE_BY` is none.
            (Some(by), Some(key)) if by.trim().is_empty() => Some(key.name().to_owned()),
            (None, Some(key)) => Some(key.name().to_owned()),
            (_, _) => name(args, access),
        };
        let name = name.ok_or_else(|| {
            Failure::Usage("no user name. Pass `--by NAME`, or set STAGEGATE_BY".to_owned())
        })?;
        match &key {
            Some(key) if key.name() != name => Err(Failure::Usage(format!(
                "`--by` is `{}`, but the key is of `{}`. Leave out `--by` and STAGEGATE_BY",
                terminal(&name),
                terminal(key.name())
            ))),
            _ => Ok(Who { name, key }),
        }
    }

    /// As [`of`](Who::of). Without a name or a key that can be used, prints why, and goes on without.
    fn in_any_case(args: &WhoArgs, access: &StoreAccess) -> Who {
        Who::of(args, access).unwrap_or_else(|failure| {
            if args.key.key.is_some() {
                anstream::eprintln!("stagegate: not signed: {}", failure.message());
            }
            Who { name: name(args, access).unwrap_or_else(|| "unknown".to_owned()), key: None }
        })
    }

    /// Returns the program that does due work.
    pub(super) fn automatic(args: &KeyArgs) -> Result<Who, Failure> {
        let key = args.key.as_deref().map(key::read_secret).transpose()?;
        match &key {
            Some(key) if key.name() != AUTOMATIC => Err(Failure::Usage(format!(
                "automatic records have the name `{AUTOMATIC}`, but the key is of `{}`. Create one by `stagegate key \
                 new FILE --name {AUTOMATIC}`",
                terminal(key.name())
            ))),
            _ => Ok(Who { name: AUTOMATIC.to_owned(), key }),
        }
    }
}

/// The name in automatic records.
const AUTOMATIC: &str = "stagegate";

/// Returns the name that was passed, or else the store's user. A blank name is a mistake, as of a script.
fn name(args: &WhoArgs, access: &StoreAccess) -> Option<String> {
    let name = args.by.clone().or_else(|| access.store.user());
    name.filter(|name| !name.trim().is_empty())
}

/// Converts a rollout's error, which is not a refusal, to a failure with its exit code.
pub(crate) fn rollout_failure(error: &RolloutError) -> Failure {
    let message = error.to_string();
    let message = terminal_lines(&message) + &certificate_hint(&message);
    if error.is_not_found() {
        Failure::Usage(message)
    } else if error.is_damaged() {
        Failure::No(message)
    } else {
        Failure::Io(message)
    }
}
