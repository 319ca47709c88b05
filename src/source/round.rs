//! One look at the source, and what comes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::changed::News;
use super::error::{FollowError, SourceError};
use super::kept::Kept;
use super::observer::{FollowEvent, FollowObserver, tell};
use super::pace::{Pace, random};
use super::signal::{Nudge, Signal, Wait};
use super::status::{FollowStatus, Freshness, Seen};
use super::{Fetched, FollowOptions, Source};
use crate::clock::{Clock, Moment};
use crate::gate::{Gate, UpdateError};
use crate::plan::Document;

/// What a refresh has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refreshed {
    /// Another document is in force.
    #[non_exhaustive]
    Applied {
        /// The version that it made.
        version: u64,
    },
    /// The source has what is in force.
    Unchanged,
}

/// What the thread and the handle share.
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) signal: Arc<Signal>,
    pub(super) news: Arc<News>,
    observers: Vec<Arc<dyn FollowObserver>>,
    /// Held while the source is asked and its document put in force: so answers are put in force in the order in which they
    /// were asked for.
    following: Mutex<Following>,
    state: Mutex<State>,
    /// The freshness may be another.
    changed: Condvar,
}

struct Following {
    source: Box<dyn Source>,
    pace: Pace,
    kept: Option<Kept>,
    /// The content that was put in force last.
    applied: Option<u128>,
    /// What was refused since.
    refused: Option<(u128, UpdateError)>,
    events: Vec<FollowEvent>,
}

struct State {
    freshness: Freshness,
    seen: Option<Seen>,
    last_error: Option<FollowError>,
    applied: u64,
    refused: u64,
    unreachable: u64,
}

/// Looks at a source that does not settle, in one refresh: a bound for sources that never do.
const MAX_LOOKS: usize = 1000;

impl Shared {
    pub(super) fn new(gate: Gate, source: Box<dyn Source>, options: FollowOptions) -> Shared {
        let pace = Pace::new(source.interval());
        let kept = options.last_known_good.map(Kept::new);
        let (applied, refused, events) = (None, None, Vec::new());
        Shared {
            gate,
            clock: options.clock,
            signal: Arc::default(),
            news: Arc::default(),
            observers: options.observers,
            following: Mutex::new(Following { source, pace, kept, applied, refused, events }),
            state: Mutex::new(State {
                freshness: Freshness::NotReady,
                seen: None,
                last_error: None,
                applied: 0,
                refused: 0,
                unreachable: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Asks the source once. Returns what came of it, or that it is unsettled, and how long to wait.
    pub(super) fn look(&self) -> (Option<Result<Refreshed, FollowError>>, Wait) {
        let mut following = self.following();
        let rest = following.source.rest();
        let fetched = following.fetch();
        let looked = match fetched {
            // Whoever waits for an answer may have left meanwhile.
            _ if self.signal.is_stopped() => Ok(Refreshed::Unchanged),
            Ok(Fetched::Unsettled { again_after }) => {
                return (None, Wait { least: again_after, most: again_after });
            }
            Ok(Fetched::Unchanged) if following.applied.is_some() => {
                following.refused = None;
                Ok(self.confirmed(&mut following))
            }
            Ok(Fetched::Unchanged) => {
                let error = "says that nothing has changed, though nothing was read yet";
                Err(self.unreachable(&mut following, SourceError::new(error)))
            }
            Ok(Fetched::Document(document)) => self.judge(&mut following, document),
            Err(error) => Err(self.unreachable(&mut following, error)),
        };
        let most = match looked.as_ref().err().and_then(FollowError::source_error) {
            Some(error) => following.pace.after_failure(error.retry_after(), random()),
            None => following.pace.after_success(random()),
        };
        following.note();
        let events = std::mem::take(&mut following.events);
        drop(following);
        self.changed.notify_all();
        tell(&self.observers, &events);
        (Some(looked), Wait { least: rest.min(most), most })
    }

    /// Asks the source until it has settled.
    pub(super) fn refresh(&self) -> Result<Refreshed, FollowError> {
        for _ in 0..MAX_LOOKS {
            match self.look() {
                (Some(looked), _) => return looked,
                (None, wait) if self.signal.wait(wait) => break,
                (None, _) => {}
            }
        }
        Err(SourceError::new("does not settle").into())
    }

    fn judge(
        &self,
        following: &mut Following,
        document: Document,
    ) -> Result<Refreshed, FollowError> {
        let document = document.keeping_files();
        let content = document.content();
        if following.applied == Some(content) {
            following.refused = None;
            following.applied();
            return Ok(self.confirmed(following));
        }
        if let Some((refused, error)) = &following.refused
            && *refused == content
        {
            let error = FollowError::from(error.clone());
            self.state().fail(Freshness::Failed, &error);
            return Err(error);
        }
        // Its files are kept with both.
        match self.gate.update(document.clone()) {
            Ok(version) => {
                following.applied = Some(content);
                following.refused = None;
                following.applied();
                let at = self.clock.now();
                let mut state = self.state();
                state.applied += 1;
                // What was wrong is told to be over by what is in force now.
                state.last_error = None;
                state.succeed(at);
                drop(state);
                following.events.push(FollowEvent::Applied { version });
                following.keep(&document, &*self.clock);
                self.news.tell(version);
                Ok(Refreshed::Applied { version })
            }
            Err(error) => {
                following.refused = Some((content, error.clone()));
                following.events.push(FollowEvent::Refused { error: error.clone() });
                let error = FollowError::from(error);
                let mut state = self.state();
                state.refused += 1;
                state.fail(Freshness::Failed, &error);
                Err(error)
            }
        }
    }

    /// The source has what is in force.
    fn confirmed(&self, following: &mut Following) -> Refreshed {
        let at = self.clock.now();
        let mut state = self.state();
        if state.last_error.take().is_some() {
            following.events.push(FollowEvent::Recovered);
        }
        state.succeed(at);
        Refreshed::Unchanged
    }

    fn unreachable(&self, following: &mut Following, error: SourceError) -> FollowError {
        let mut state = self.state();
        state.unreachable += 1;
        let last = state.last_error.as_ref().map(ToString::to_string);
        if last != Some(error.to_string()) {
            following.events.push(FollowEvent::Unreachable { error: error.clone() });
        }
        let error = FollowError::from(error);
        state.fail(Freshness::Stale, &error);
        error
    }

    /// Puts the last known good in force; an error says what is wrong with it, if there is one.
    pub(super) fn start_from_last_known_good(&self) -> Result<(), Option<String>> {
        let mut following = self.following();
        let kept = following.kept.as_ref().ok_or(None)?;
        let now = self.clock.now();
        let (document, written) = kept.read()?;
        let content = document.content();
        self.gate.update(document).map_err(|error| Some(kept.wrong(&error)))?;
        following.applied = Some(content);
        let age = now.wall.duration_since(written).unwrap_or_default();
        let mut state = self.state();
        state.freshness = Freshness::Stale;
        state.seen = Some(Seen { at: now, age });
        drop(state);
        drop(following);
        tell(&self.observers, &[FollowEvent::StartedFromLastKnownGood { age }]);
        Ok(())
    }

    pub(super) fn status(&self) -> FollowStatus {
        let now = self.clock.now();
        let state = self.state();
        FollowStatus {
            freshness: state.freshness,
            age: state.seen.as_ref().map(|seen| seen.age(&now)),
            version: self.gate.version(),
            last_error: state.last_error.clone(),
            applied: state.applied,
            refused: state.refused,
            unreachable: state.unreachable,
        }
    }

    /// Whether it is ready; waits that long to be.
    pub(super) fn wait_ready(&self, time: Duration) -> bool {
        let is_not = |state: &mut State| state.freshness != Freshness::Ready;
        let waited = self.changed.wait_timeout_while(self.state(), time, is_not);
        waited.unwrap_or_else(PoisonError::into_inner).0.freshness == Freshness::Ready
    }

    /// Tells of an error of which the status says nothing.
    pub(super) fn tell(&self, text: String) {
        tell(&self.observers, &[FollowEvent::Note { text }]);
    }

    pub(super) fn watch(&self, nudge: Nudge) {
        let mut following = self.following();
        // The panic has been printed by the hook. There is the interval.
        let _ = catch_unwind(AssertUnwindSafe(|| following.source.watch(nudge)));
    }

    /// After a look that is over.
    pub(super) fn first_wait(&self) -> Duration {
        let mut following = self.following();
        let freshness = self.state().freshness;
        match freshness {
            Freshness::Ready => following.pace.after_success(random()),
            _ => following.pace.after_failure(None, random()),
        }
    }

    /// A panic of a source is caught before it gets here; that of a gate's observer too.
    fn following(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn succeed(&mut self, at: Moment) {
        self.freshness = Freshness::Ready;
        self.seen = Some(Seen { at, age: Duration::ZERO });
    }

    fn fail(&mut self, freshness: Freshness, error: &FollowError) {
        // Where there is nothing, nothing is stale.
        if self.freshness != Freshness::NotReady {
            self.freshness = freshness;
        }
        self.last_error = Some(error.clone());
    }
}

impl Following {
    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        let fetched = catch_unwind(AssertUnwindSafe(|| self.source.fetch()));
        fetched.unwrap_or_else(|_| Err(SourceError::new("it panicked")))
    }

    fn applied(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.source.applied()));
    }

    fn note(&mut self) {
        let text = catch_unwind(AssertUnwindSafe(|| self.source.take_note()));
        self.events.extend(text.ok().flatten().map(|text| FollowEvent::Note { text }));
    }

    /// What is in force is kept, and nothing else ever is.
    fn keep(&mut self, document: &Document, clock: &dyn Clock) {
        let Some(kept) = &self.kept else { return };
        if let Err(text) = kept.write(document, clock.now().wall) {
            self.events.push(FollowEvent::Note { text });
        }
    }
}
