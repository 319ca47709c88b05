//! The server for `GET /health` and `GET /metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use stagegate::clock::monotonic;
use stagegate::integrate::Figures;
use tiny_http::{Header, Method, Request, Response, Server};

use super::print_error;
use crate::failure::Failure;
use crate::output;

/// The state behind `/health` and `/metrics`: the last results, the rollout's metrics and the lead.
#[derive(Debug)]
pub(super) struct Health {
    /// The longest time without a tick or a read that counts as healthy.
    max_silence: Duration,
    state: Mutex<State>,
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of ticks so far.
    ticks: u64,
    /// The last error of each component that was tried. `None` if its last attempt succeeded.
    last_results: BTreeMap<Component, Option<String>>,
    /// The time of the last tick or read, by [`monotonic`].
    last_activity: Option<Duration>,
    /// The end of this process's lead, by [`monotonic`]. `None` before the first attempt to lead.
    leads_until: Option<Duration>,
}

/// A component that can fail. `/health` shows the error of the first one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Component {
    Store,
    Lead,
    Tick,
    Publish,
    Archive,
}

#[derive(Serialize)]
struct Page {
    healthy: bool,
    leads: Option<bool>,
    ticks: u64,
    error: Option<String>,
}

/// The tolerance beyond two tick intervals.
const GRACE: Duration = Duration::from_secs(5);

impl Health {
    /// Returns the state of a process with this tick interval.
    pub(super) fn new(every: Duration) -> Health {
        let max_silence = every.saturating_mul(2).saturating_add(GRACE);
        Health { max_silence, state: Mutex::default(), figures: Mutex::default() }
    }

    /// Records a tick or a read, whether it succeeded or not.
    pub(super) fn saw_activity(&self) {
        self.state().last_activity = Some(monotonic());
    }

    pub(super) fn ticked(&self, error: Option<String>) {
        let mut state = self.state();
        state.ticks += 1;
        state.last_results.insert(Component::Tick, error);
    }

    /// Sets a component's error, and prints it unless it is the same as before.
    pub(super) fn set_error(&self, component: Component, error: Option<String>) {
        let before = self.state().last_results.insert(component, error.clone()).flatten();
        if let Some(error) = error.filter(|error| before.as_ref() != Some(error)) {
            print_error(&error);
        }
    }

    /// Sets the end of this process's lead. Returns whether it leads, or `None` if that is unchanged.
    pub(super) fn set_lead_until(&self, until: Duration) -> Option<bool> {
        let mut state = self.state();
        let leads = until > monotonic();
        let before = state.leads_until.replace(until);
        if !leads {
            // Another process ticks now.
            state.last_results.remove(&Component::Tick);
        }
        let led = before.map(|until| until > Duration::ZERO);
        (led != Some(leads)).then_some(leads)
    }

    /// Sets the rollout's metrics. They contain time stamps, so that a monitor notices old ones.
    pub(super) fn set_figures(&self, figures: Figures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self) -> Page {
        let state = self.state();
        let error = state.stall_error(self.max_silence);
        let error = error.or_else(|| state.last_results.values().flatten().next().cloned());
        let healthy = error.is_none() && !state.last_results.is_empty();
        Page { healthy, leads: state.leads(), ticks: state.ticks, error }
    }

    fn metrics(&self) -> String {
        let (leads, is_down) = {
            let state = self.state();
            (state.leads(), state.stall_error(self.max_silence).is_some())
        };
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The last figures still say that the store is up.
        let figures = if is_down { figures.with_store(false) } else { figures };
        let figures = match leads {
            Some(leads) => figures.with_lead(leads),
            None => figures,
        };
        figures.to_string()
    }
}

impl State {
    /// Returns the error if there was no activity for too long, for example because a disk hangs.
    fn stall_error(&self, max_silence: Duration) -> Option<String> {
        let since = monotonic().saturating_sub(self.last_activity?);
        if since <= max_silence {
            return None;
        }
        let since = since.as_secs();
        Some(format!("nothing was read or recorded for {since}s: the store does not answer"))
    }

    fn leads(&self) -> Option<bool> {
        self.leads_until.map(|until| monotonic() < until)
    }
}

/// The address of the server. The thread of the server lives as long as the process.
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

/// Answers a request. Ignores a client that has disconnected.
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
            Response::from_string("not found; see /health and /metrics\n").with_status_code(404)
        }
        _ => Response::from_string("only GET and HEAD are allowed\n").with_status_code(405),
    };
    let _ = request.respond(response);
}
