//! Polling the source once, and applying the document.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::changed::Updates;
use super::error::{FollowError, SourceError};
use super::last_known_good::LastKnownGood;
use super::nudge::{Nudge, Wait};
use super::observer::{FollowEvent, FollowObserver, notify};
use super::pace::Pace;
use super::status::{Confirmed, FollowStatus, Freshness};
use super::{Fetched, FollowOptions, Source};
use crate::background::{Signal, random};
use crate::clock::{Clock, Moment};
use crate::gate::{Gate, UpdateError};
use crate::plan::Document;

/// The result of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refreshed {
    /// A new document took effect.
    #[non_exhaustive]
    Applied {
        /// The gate's new version.
        version: u64,
    },
    /// The source has the gate's current document.
    Unchanged,
}

/// The state that the thread and the handle share.
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signal: Arc<Signal>,
    pub(super) updates: Arc<Updates>,
    observers: Vec<Arc<dyn FollowObserver>>,
    /// Locked from a fetch until its document is applied, so that documents are applied in the order of the fetches.
    poller: Mutex<Poller>,
    state: Mutex<State>,
    /// Notified when the freshness may have changed.
    changed: Condvar,
}

/// The source, and which of its documents were applied or refused.
struct Poller {
    source: Box<dyn Source>,
    pace: Pace,
    last_known_good: Option<LastKnownGood>,
    /// The environment of every document. `None`: the environment that the source has chosen, if any.
    environment: Option<Arc<str>>,
    /// The content hash of the document that was applied last.
    applied: Option<u128>,
    /// The content hash and the error of the last refused document, if nothing was applied since.
    refused: Option<(u128, UpdateError)>,
    events: Vec<FollowEvent>,
}

struct State {
    freshness: Freshness,
    confirmed: Option<Confirmed>,
    last_error: Option<FollowError>,
    applied: u64,
    refused: u64,
    unreachable: u64,
}

/// The most polls in one refresh. A source may never settle.
const MAX_POLLS: usize = 1000;

impl Shared {
    pub(super) fn new(gate: Gate, source: Box<dyn Source>, options: FollowOptions) -> Shared {
        let pace = Pace::new(source.interval());
        let last_known_good = options.last_known_good.map(LastKnownGood::new);
        let (applied, refused, events) = (None, None, Vec::new());
        let environment = options.environment;
        Shared {
            gate,
            clock: options.clock,
            signal: Arc::default(),
            updates: Arc::default(),
            observers: options.observers,
            poller: Mutex::new(Poller {
                source,
                pace,
                last_known_good,
                environment,
                applied,
                refused,
                events,
            }),
            state: Mutex::new(State {
                freshness: Freshness::NotReady,
                confirmed: None,
                last_error: None,
                applied: 0,
                refused: 0,
                unreachable: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Fetches once and applies the document. Returns the result, or `None` if the source has not settled, and the wait
    /// before the next poll.
    pub(super) fn poll(&self) -> (Option<Result<Refreshed, FollowError>>, Wait) {
        let mut poller = self.poller();
        let min_interval = poller.source.min_interval();
        let fetched = poller.fetch();
        let result = match fetched {
            // The follower was dropped during the fetch.
            _ if self.signal.is_stopped() => Ok(Refreshed::Unchanged),
            Ok(Fetched::Unsettled { again_after }) => {
                return (None, Wait { least: again_after, most: again_after });
            }
            Ok(Fetched::Unchanged) if poller.applied.is_some() => {
                poller.refused = None;
                Ok(self.confirm(&mut poller))
            }
            Ok(Fetched::Unchanged) => {
                let error = "the source reports no change, but has not returned a document yet";
                Err(self.unreachable(&mut poller, SourceError::new(error)))
            }
            Ok(Fetched::Document(document)) => self.apply(&mut poller, document),
            Err(error) => Err(self.unreachable(&mut poller, error)),
        };
        let most = match result.as_ref().err().and_then(FollowError::source_error) {
            Some(error) => poller.pace.after_failure(error.retry_after(), random()),
            None => poller.pace.after_success(random()),
        };
        poller.take_note();
        let events = std::mem::take(&mut poller.events);
        drop(poller);
        self.changed.notify_all();
        notify(&self.observers, &events);
        (Some(result), Wait { least: min_interval.min(most), most })
    }

    /// Polls the source until it has settled.
    pub(super) fn refresh(&self) -> Result<Refreshed, FollowError> {
        for _ in 0..MAX_POLLS {
            match self.poll() {
                (Some(result), _) => return result,
                (None, wait) if wait.wait(&self.signal) => break,
                (None, _) => {}
            }
        }
        Err(SourceError::new("the source keeps changing").into())
    }

    fn apply(&self, poller: &mut Poller, document: Document) -> Result<Refreshed, FollowError> {
        let document = poller.in_environment(document).keeping_files();
        let content = document.content();
        if poller.applied == Some(content) {
            poller.refused = None;
            poller.applied();
            return Ok(self.confirm(poller));
        }
        if let Some((refused, error)) = &poller.refused
            && *refused == content
        {
            let error = FollowError::from(error.clone());
            self.state().fail(Freshness::Failed, &error);
            return Err(error);
        }
        // The document has its users files with it, so the last known good contains them too.
        match self.gate.update(document.clone()) {
            Ok(version) => {
                poller.applied = Some(content);
                poller.refused = None;
                poller.applied();
                let at = self.clock.now();
                let mut state = self.state();
                state.applied += 1;
                // `Applied` reports the end of an error, so `Recovered` must not.
                state.last_error = None;
                state.succeed(at);
                drop(state);
                poller.events.push(FollowEvent::Applied { version });
                poller.keep(&document, &*self.clock);
                self.updates.publish(version);
                Ok(Refreshed::Applied { version })
            }
            Err(error) => {
                poller.refused = Some((content, error.clone()));
                poller.events.push(FollowEvent::Refused { error: error.clone() });
                let error = FollowError::from(error);
                let mut state = self.state();
                state.refused += 1;
                state.fail(Freshness::Failed, &error);
                Err(error)
            }
        }
    }

    /// Records that the source has the current document.
    fn confirm(&self, poller: &mut Poller) -> Refreshed {
        let at = self.clock.now();
        let mut state = self.state();
        if state.last_error.take().is_some() {
            poller.events.push(FollowEvent::Recovered);
        }
        state.succeed(at);
        Refreshed::Unchanged
    }

    fn unreachable(&self, poller: &mut Poller, error: SourceError) -> FollowError {
        let mut state = self.state();
        state.unreachable += 1;
        let last = state.last_error.as_ref().map(ToString::to_string);
        if last != Some(error.to_string()) {
            poller.events.push(FollowEvent::Unreachable { error: error.clone() });
        }
        let error = FollowError::from(error);
        state.fail(Freshness::Stale, &error);
        error
    }

    /// Applies the last known good. The error is `None` if there is no such file.
    pub(super) fn start_from_last_known_good(&self) -> Result<(), Option<String>> {
        let mut poller = self.poller();
        let file = poller.last_known_good.as_ref().ok_or(None)?;
        let now = self.clock.now();
        let (document, written) = file.read()?;
        let document = poller.in_environment(document);
        let content = document.content();
        self.gate.update(document).map_err(|error| Some(file.read_error(&error)))?;
        poller.applied = Some(content);
        let age = now.wall.duration_since(written).unwrap_or_default();
        let mut state = self.state();
        state.freshness = Freshness::Stale;
        state.confirmed = Some(Confirmed { at: now, age });
        drop(state);
        drop(poller);
        notify(&self.observers, &[FollowEvent::StartedFromLastKnownGood { age }]);
        Ok(())
    }

    pub(super) fn status(&self) -> FollowStatus {
        let now = self.clock.now();
        let state = self.state();
        FollowStatus {
            freshness: state.freshness,
            age: state.confirmed.as_ref().map(|confirmed| confirmed.age(&now)),
            version: self.gate.version(),
            last_error: state.last_error.clone(),
            applied: state.applied,
            refused: state.refused,
            unreachable: state.unreachable,
        }
    }

    /// Waits until the follower is ready, at most for this time. Returns whether it is.
    pub(super) fn wait_ready(&self, time: Duration) -> bool {
        let is_not = |state: &mut State| state.freshness != Freshness::Ready;
        let waited = self.changed.wait_timeout_while(self.state(), time, is_not);
        waited.unwrap_or_else(PoisonError::into_inner).0.freshness == Freshness::Ready
    }

    /// Reports a problem that the status does not show.
    pub(super) fn note(&self, text: String) {
        notify(&self.observers, &[FollowEvent::Note { text }]);
    }

    pub(super) fn watch(&self, nudge: Nudge) {
        let mut poller = self.poller();
        // The panic hook has printed the panic. Without nudges, the interval decides.
        let _ = catch_unwind(AssertUnwindSafe(|| poller.source.watch(nudge)));
    }

    /// Returns the wait after the poll of `start`.
    pub(super) fn first_wait(&self) -> Duration {
        let mut poller = self.poller();
        let freshness = self.state().freshness;
        match freshness {
            Freshness::Ready => poller.pace.after_success(random()),
            _ => poller.pace.after_failure(None, random()),
        }
    }

    /// Panics of the source and of the gate's observers are caught below, so a poisoned lock has valid content.
    fn poller(&self) -> MutexGuard<'_, Poller> {
        self.poller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn succeed(&mut self, at: Moment) {
        self.freshness = Freshness::Ready;
        self.confirmed = Some(Confirmed { at, age: Duration::ZERO });
    }

    fn fail(&mut self, freshness: Freshness, error: &FollowError) {
        // Without a document, none can be stale.
        if self.freshness != Freshness::NotReady {
            self.freshness = freshness;
        }
        self.last_error = Some(error.clone());
    }
}

impl Poller {
    fn in_environment(&self, document: Document) -> Document {
        match &self.environment {
            Some(environment) => document.environment(Arc::clone(environment)),
            None => document,
        }
    }

    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        let fetched = catch_unwind(AssertUnwindSafe(|| self.source.fetch()));
        fetched.unwrap_or_else(|_| Err(SourceError::new("the source panicked")))
    }

    fn applied(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.source.applied()));
    }

    fn take_note(&mut self) {
        let text = catch_unwind(AssertUnwindSafe(|| self.source.take_note()));
        self.events.extend(text.ok().flatten().map(|text| FollowEvent::Note { text }));
    }

    /// Writes the last known good. Call it only for the current document.
    fn keep(&mut self, document: &Document, clock: &dyn Clock) {
        let Some(file) = &self.last_known_good else { return };
        if let Err(text) = file.write(document, clock.now().wall) {
            self.events.push(FollowEvent::Note { text });
        }
    }
}
