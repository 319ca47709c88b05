//! A gate inside a web service: `cargo run --example axum_service [PORT]`, port 3000 by default.
//!
//! ```text
//! curl 'http://127.0.0.1:3000/checkout?user=maria&region=eu-north'
//! curl http://127.0.0.1:3000/admin/flags
//! curl -d pilot http://127.0.0.1:3000/admin/flags/new-checkout/stage
//! curl -X POST http://127.0.0.1:3000/admin/flags/new-checkout/rollback
//! ```
//!
//! Port 0 picks a free port. Ctrl-C finishes the requests in progress, then stops.

use std::collections::HashMap;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use stagegate::{Gate, UpdateError, User};
use tokio::net::TcpListener;

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plans/rollout.toml");

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum_service: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    // All clones share one gate. Every worker sees every update, and workers never wait for each other.
    let gate = Gate::from_path(PLAN)?;

    // These routes decide what every user gets. In production, put them behind authentication and on a
    // separate port. Here, only the loopback address protects them.
    let admin = Router::new()
        .route("/flags", get(status))
        .route("/flags/{flag}/stage", post(set_stage))
        .route("/flags/{flag}/rollback", post(roll_back));
    let service =
        Router::new().route("/checkout", get(checkout)).nest("/admin", admin).with_state(gate);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, service).with_graceful_shutdown(ctrl_c()).await?;
    Ok(())
}

async fn ctrl_c() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("axum_service: cannot wait for ctrl-c ({error}), stopping");
    }
}

/// The route whose behaviour the flags change.
async fn checkout(
    State(gate): State<Gate>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<String, (StatusCode, &'static str)> {
    let key = query.get("user").ok_or((StatusCode::BAD_REQUEST, "which user?\n"))?;
    let region = query.get("region").map_or("", String::as_str);
    let user = User::new(key).attribute("region", region);

    // Pin once per request, so that both answers come from one version. Otherwise, an update between the
    // two checks could mix two versions in this page.
    let flags = gate.pin();
    let checkout = if flags.is_enabled(&user, "new-checkout") { "one page" } else { "four steps" };
    let theme = if flags.is_enabled(&user, "dark-mode") { "dark" } else { "light" };
    Ok(format!("checkout in {checkout}, {theme}\n"))
}

async fn status(State(gate): State<Gate>) -> String {
    let status = gate.status();
    let mut text = format!("version {}\n", status.version);
    for flag in status.flags {
        let owner = flag.owner.as_deref().unwrap_or("no one");
        text += &format!("{}: {} ({}%), owned by {owner}\n", flag.key, flag.stage, flag.percent);
    }
    if let Some(error) = status.last_refused {
        text += &format!("last refused: {error}\n");
    }
    text
}

/// Moves a flag to the stage in the request body.
async fn set_stage(State(gate): State<Gate>, Path(flag): Path<String>, stage: String) -> Reply {
    reply(gate.set_stage(&flag, stage.trim()))
}

async fn roll_back(State(gate): State<Gate>, Path(flag): Path<String>) -> Reply {
    reply(gate.roll_back(&flag))
}

type Reply = (StatusCode, String);

fn reply(update: Result<u64, UpdateError>) -> Reply {
    let error = match update {
        Ok(version) => return (StatusCode::OK, format!("version {version}\n")),
        Err(error) => error,
    };
    let status = if error.is_skip() {
        StatusCode::CONFLICT
    } else if error.is_not_found() {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::BAD_REQUEST
    };
    (status, format!("{error}\n"))
}
