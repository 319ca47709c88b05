//! Opening the store, and what may be wrong with that.

use std::path::Path;
use std::time::{Duration, SystemTime};

use stagegate::clock::{Boot, Clock, Moment, SystemClock, WallClock};
use stagegate::rollout::{Record, Rollout, RolloutError, RolloutOptions};

use crate::escape::{terminal, terminal_lines};
use crate::failure::Failure;
use crate::place::{Place, Purpose, hint};
use crate::rollout_args::{Acting, ClockChoice, Store};
use crate::telling::Telling;

/// A clock that stands still, for rehearsals.
#[derive(Clone, Copy, Debug)]
struct Rehearsal(SystemTime);

/// What the records of a rehearsal have for a boot.
const REHEARSAL: &str = "rehearsal";

/// Whichever clock was chosen.
#[derive(Debug)]
struct Chosen(Box<dyn Clock>);

impl Clock for Rehearsal {
    fn now(&self) -> Moment {
        let uptime = self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment::new(self.0, uptime, Boot::new(REHEARSAL))
    }
}

impl Clock for Chosen {
    fn now(&self) -> Moment {
        self.0.now()
    }
}

fn clock(choice: ClockChoice) -> Chosen {
    Chosen(match choice {
        ClockChoice::System => Box::new(SystemClock::new()),
        ClockChoice::Wall => Box::new(WallClock),
        ClockChoice::At(moment) => Box::new(Rehearsal(moment)),
    })
}

/// A new store with a rollout of this document in it.
pub(super) fn started(
    acting: &Acting,
    document: stagegate::Document,
    by: &str,
) -> Result<Result<Rollout, RolloutError>, Failure> {
    let store = acting.store.store.open(Purpose::Start)?;
    let (clock, options) = (clock(acting.store.clock), options(&acting.store));
    let started = Rollout::start_with(store, clock, document, by, &options);
    if let Ok(rollout) = &started {
        complain_of(rollout);
        acting.telling.attach(rollout)?;
    }
    Ok(started)
}

/// The rollout, for acting, which is told of.
pub(super) fn acting(store: &Store, telling: &Telling) -> Result<Rollout, Failure> {
    let rollout = acting_untold(store)?;
    telling.attach(&rollout)?;
    Ok(rollout)
}

/// The same, of which nobody is told yet.
pub(super) fn acting_untold(store: &Store) -> Result<Rollout, Failure> {
    by_clock(store.store.open(Purpose::Act)?, store)
}

/// The rollout of a store that is open already, for acting.
pub(super) fn by_clock(
    opened: impl stagegate::rollout::Store + 'static,
    store: &Store,
) -> Result<Rollout, Failure> {
    open(opened, store.clock, &options(store))
}

fn open(
    opened: impl stagegate::rollout::Store + 'static,
    choice: ClockChoice,
    options: &RolloutOptions,
) -> Result<Rollout, Failure> {
    let rollout = Rollout::open_with(opened, clock(choice), options);
    let rollout = rollout.map_err(|error| failed(&error))?;
    fits(&rollout, choice)?;
    complain_of(&rollout);
    Ok(rollout)
}

/// What only acts uses the file of intents.
fn options(store: &Store) -> RolloutOptions {
    let options = RolloutOptions::new();
    store.intents.iter().fold(options, RolloutOptions::keep_intents_in)
}

fn complain_of(rollout: &Rollout) {
    for notice in rollout.status().notices {
        anstream::eprintln!("stagegate: {}", terminal(&notice));
    }
}

/// The rollout, for looking: also while another process has it.
pub(super) fn for_looking(store: &Store) -> Result<Rollout, Failure> {
    open(store.store.open(Purpose::Look)?, store.clock, &RolloutOptions::new())
}

/// Every record, each proved against the one before.
pub(super) fn proved(store: &Store) -> Result<Result<Vec<Record>, RolloutError>, Failure> {
    let opened = store.store.open(Purpose::Look)?;
    let rollout = Rollout::open(opened, clock(store.clock));
    Ok(rollout.and_then(|rollout| rollout.records(1)))
}

/// The same of a directory, by the machine's clock.
pub(crate) fn looking(path: &Path) -> Result<Rollout, Failure> {
    let opened = Place::Directory(path.to_owned()).open(Purpose::Look)?;
    Rollout::open(opened, clock(ClockChoice::System)).map_err(|error| failed(&error))
}

/// A rehearsal is none any more once real time counts in it, and the other way round.
fn fits(rollout: &Rollout, choice: ClockChoice) -> Result<(), Failure> {
    let rehearsed = rollout.is_of_boot(REHEARSAL);
    match choice {
        ClockChoice::At(_) if !rehearsed => Err(Failure::Usage(
            "this rollout is real: only one that was begun on a moment can be rehearsed".to_owned(),
        )),
        ClockChoice::System | ClockChoice::Wall if rehearsed => Err(Failure::Usage(
            "this rollout is a rehearsal: say `--clock` and a moment, such as \
             --clock 2026-01-10T03:00:00Z"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Who acts.
pub(super) fn who(acting: &Acting) -> Result<String, Failure> {
    let logged_in = || std::env::var("USER").ok();
    acting
        .by
        .clone()
        .or_else(logged_in)
        .filter(|by| !by.trim().is_empty())
        .ok_or_else(|| Failure::Usage("who does it? Say `--by`, or set STAGEGATE_BY".to_owned()))
}

/// A failure that is no refusal.
pub(crate) fn failed(error: &RolloutError) -> Failure {
    let message = error.to_string();
    let message = terminal_lines(&message) + &hint(&message);
    if error.is_not_found() {
        Failure::Usage(message)
    } else if error.is_damaged() {
        Failure::No(message)
    } else {
        Failure::Io(message)
    }
}
