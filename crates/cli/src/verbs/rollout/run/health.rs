//! `GET /health` and `GET /metrics`, for whoever watches.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use stagegate::clock::monotonic;
use stagegate::integrate::Figures;
use tiny_http::{Header, Method, Request, Response, Server};

use super::complain;
use crate::failure::Failure;
use crate::output;

/// What it is seen by: how the last tick went, what the rollout came to, and who leads.
#[derive(Debug)]
pub(super) struct Health {
    /// How long there may be neither a tick nor a read before that is a fault.
    patience: Duration,
    state: Mutex<State>,
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct State {
    /// Ticks so far.
    ticks: u64,
    /// What was tried, and what was wrong with it the last time.
    tried: BTreeMap<Part, Option<String>>,
    /// When there was a tick or a read last, by [`monotonic`].
    lived: Option<Duration>,
    /// Why there is none: who has the store.
    locked: Option<String>,
    /// Whether the store could not even be opened the last time.
    is_closed: bool,
    /// Until when this process leads, by [`monotonic`]; `None` where nobody leads.
    leads_until: Option<Duration>,
}

/// What may be wrong, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Store,
    Lead,
    Tick,
    Publish,
}

#[derive(Serialize)]
struct Page {
    healthy: bool,
    leads: Option<bool>,
    ticks: u64,
    error: Option<String>,
}

/// How long beyond two ticks nothing may happen.
const GRACE: Duration = Duration::from_secs(5);

impl Health {
    /// Of a program that ticks so often.
    pub(super) fn new(every: Duration) -> Health {
        let patience = every.saturating_mul(2).saturating_add(GRACE);
        Health { patience, state: Mutex::default(), figures: Mutex::default() }
    }

    /// There was a tick, or the store was read: well or not.
    pub(super) fn lives(&self) {
        let mut state = self.state();
        (state.lived, state.locked, state.is_closed) = (Some(monotonic()), None, false);
    }

    /// Another process has the store. For a moment that is nothing.
    pub(super) fn is_locked_out(&self, locked: String) {
        let mut state = self.state();
        state.lived.get_or_insert(monotonic());
        state.locked = Some(locked);
    }

    /// The store cannot be opened.
    pub(super) fn cannot_open(&self, error: String) {
        self.lives();
        self.state().is_closed = true;
        self.ticked(Some(error));
    }

    pub(super) fn ticked(&self, error: Option<String>) {
        let mut state = self.state();
        state.ticks += 1;
        state.tried.insert(Part::Tick, error);
    }

    /// Says what is wrong now, unless that was so before.
    pub(super) fn complained(&self, part: Part, error: Option<String>) {
        let before = self.state().tried.insert(part, error.clone()).flatten();
        if let Some(error) = error.filter(|error| before.as_ref() != Some(error)) {
            complain(&error);
        }
    }

    /// Whether this process leads since, if that is new.
    pub(super) fn leads_until(&self, until: Duration) -> Option<bool> {
        let mut state = self.state();
        let leads = until > monotonic();
        let before = state.leads_until.replace(until);
        if !leads {
            // The ticks are another one's now.
            state.tried.remove(&Part::Tick);
        }
        let led = before.map(|until| until > Duration::ZERO);
        (led != Some(leads)).then_some(leads)
    }

    /// What was true when it was seen last. Its moments stand in it, so that it is seen to grow old.
    pub(super) fn comes_to(&self, figures: Figures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self) -> Page {
        let state = self.state();
        let error = state.hangs(self.patience);
        let error = error.or_else(|| state.tried.values().flatten().next().cloned());
        let healthy = error.is_none() && !state.tried.is_empty();
        Page { healthy, leads: state.leads(), ticks: state.ticks, error }
    }

    fn metrics(&self) -> String {
        let (leads, is_away) = {
            let state = self.state();
            (state.leads(), state.is_closed || state.hangs(self.patience).is_some())
        };
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // What was seen last says that the store was there.
        let figures = if is_away { figures.with_store(false) } else { figures };
        let figures = match leads {
            Some(leads) => figures.with_lead(leads),
            None => figures,
        };
        figures.to_string()
    }
}

impl State {
    /// What is wrong where nothing has happened for too long: a disk hangs, or another process keeps the store.
    fn hangs(&self, patience: Duration) -> Option<String> {
        let since = monotonic().saturating_sub(self.lived?);
        if since <= patience {
            return None;
        }
        let why = self.locked.as_deref().unwrap_or("the store does not answer");
        Some(format!("nothing was read or recorded for {}s: {why}", since.as_secs()))
    }

    fn leads(&self) -> Option<bool> {
        self.leads_until.map(|until| monotonic() < until)
    }
}

/// Answers in a thread of its own, as long as the process lives.
pub(super) struct Listening(SocketAddr);

impl Listening {
    pub(super) fn address(&self) -> SocketAddr {
        self.0
    }
}

pub(super) fn listen(address: SocketAddr, health: &Arc<Health>) -> Result<Listening, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Io(format!("cannot listen on {address}: {error}"));
    let server = Server::http(address).map_err(|error| failed(&error))?;
    let bound = server.server_addr().to_ip().unwrap_or(address);
    let health = Arc::clone(health);
    let thread = thread::Builder::new().name("stagegate-health".to_owned());
    let spawned = thread.spawn(move || {
        for request in server.incoming_requests() {
            answer(request, &health);
        }
    });
    spawned.map_err(|error| failed(&error))?;
    Ok(Listening(bound))
}

/// Whoever has gone before the answer is there has no use for it.
fn answer(request: Request, health: &Health) {
    let typed = |status: u16, body: String, content_type: &str| {
        let header = Header::from_bytes("content-type", content_type).ok();
        let response = Response::from_string(body).with_status_code(status);
        header.into_iter().fold(response, Response::with_header)
    };
    let response = match (request.method(), request.url()) {
        (Method::Get | Method::Head, "/health") => {
            let page = health.page();
            let status = if page.healthy { 200 } else { 503 };
            typed(status, output::json("run", &page).unwrap_or_default(), "application/json")
        }
        (Method::Get | Method::Head, "/metrics") => {
            typed(200, health.metrics(), Figures::CONTENT_TYPE)
        }
        (Method::Get | Method::Head, _) => {
            Response::from_string("there are /health and /metrics\n").with_status_code(404)
        }
        _ => Response::from_string("there is nothing to write to\n").with_status_code(405),
    };
    let _ = request.respond(response);
}
