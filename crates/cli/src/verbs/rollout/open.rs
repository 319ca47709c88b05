//! Opening a store as a rollout.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagegate::clock::{Boot, Clock, Moment, SystemClock, WallClock};
use stagegate::rollout::{Record, Rollout, RolloutError, RolloutOptions, Store};
use stagegate::store::Archive;

use crate::escape::{terminal, terminal_lines};
use crate::failure::Failure;
use crate::notifications::NotificationArgs;
use crate::rollout_args::{ActionArgs, ClockChoice, StoreAccess};
use crate::store_location::{Access, StoreLocation, certificate_hint};

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
    by: &str,
) -> Result<Result<Rollout, RolloutError>, Failure> {
    let store = action.store.access.store.open(Access::Create)?;
    let (clock, options) = (clock(action.store.access.clock), options(&action.store.access));
    let started = Rollout::start_with(store, clock, document, by, &options);
    if let Ok(rollout) = &started {
        print_notices(rollout);
        action.notifications.attach(rollout)?;
    }
    Ok(started)
}

/// Opens the rollout to act on it, and sends its notifications.
pub(super) fn writable(
    store: &StoreAccess,
    notifications: &NotificationArgs,
) -> Result<Rollout, Failure> {
    let rollout = writable_without_notifications(store)?;
    notifications.attach(&rollout)?;
    Ok(rollout)
}

/// Opens the rollout to act on it, without notifications.
pub(super) fn writable_without_notifications(store: &StoreAccess) -> Result<Rollout, Failure> {
    with_store(store.store.open(Access::Write)?, store)
}

/// Opens the rollout of an open store, to act on it.
pub(super) fn with_store(
    opened: impl Store + 'static,
    store: &StoreAccess,
) -> Result<Rollout, Failure> {
    open_rollout(opened, store.clock, &options(store))
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
fn options(store: &StoreAccess) -> RolloutOptions {
    let options = RolloutOptions::new();
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

/// Returns all records. Each was verified against the record before it.
pub(super) fn verified_records(
    store: &StoreAccess,
) -> Result<Result<Vec<Record>, RolloutError>, Failure> {
    let options = RolloutOptions::new().read_all_segments();
    let rollout = Rollout::open_with(open_to_read(store)?, clock(store.clock), &options);
    Ok(rollout.and_then(|rollout| rollout.records(rollout.first_record()?)))
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

/// Returns the user name for the journal: `--by`, or else the logged-in user.
pub(super) fn user_name(by: Option<&String>) -> Result<String, Failure> {
    let logged_in = || std::env::var("USER").ok();
    by.cloned().or_else(logged_in).filter(|by| !by.trim().is_empty()).ok_or_else(|| {
        Failure::Usage("no user name. Pass `--by NAME`, or set STAGEGATE_BY".to_owned())
    })
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
