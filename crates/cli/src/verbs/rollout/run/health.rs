//! `GET /health` and `GET /metrics`, for whoever watches.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde::Serialize;
use stagegate::integrate::Figures;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::failure::Failure;
use crate::output;

/// How the last tick went, and what the rollout came to.
#[derive(Default)]
pub(super) struct Health {
    state: Mutex<State>,
    figures: Mutex<Figures>,
}

#[derive(Clone, Default, Serialize)]
struct State {
    healthy: bool,
    /// Ticks so far.
    ticks: u64,
    /// What was wrong with the last one.
    error: Option<String>,
}

impl Health {
    pub(super) fn ticked(&self, ended: Result<(), String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ticks += 1;
        (state.healthy, state.error) = (ended.is_ok(), ended.err());
    }

    /// What was true at the last tick that was made. Its moments stand in it, so that it is seen to grow old.
    pub(super) fn comes_to(&self, figures: Figures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn metrics(&self) -> String {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).to_string()
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
            let state = health.state();
            let status = if state.healthy { 200 } else { 503 };
            typed(status, output::json("run", &state).unwrap_or_default(), "application/json")
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
