//! A web service that takes a feature back by itself: real requests on loopback, counted by the `tower` layer.
//! First an outage that everybody shares, which is no reason; then a fault of the feature, which is one.
//!
//! ```sh
//! cargo run --release --example auto_rollback --features rollout,tower
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use stagegate::clock::SystemClock;
use stagegate::guard::{Guard, GuardLayer};
use stagegate::rollout::{Judged, Rollout};
use stagegate::store::Memory;

const FLAG: &str = "new-checkout";

const DOCUMENT: &str = r#"
schema = 1
[flags.new-checkout]
stage = "pilot"
stages = [{ name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
triggers = [
    { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
]
responsibility = [{ contact = "pager@shop.example" }]
"#;

/// Percent of requests that fail: of users with the feature, and of all others.
#[derive(Default)]
struct Faults {
    with: AtomicU64,
    without: AtomicU64,
}

/// What the layer has asked for a request.
#[derive(Clone, Copy)]
struct NewCheckout(bool);

fn main() -> Result<(), Box<dyn Error>> {
    let rollout = Rollout::start(Memory::new(), SystemClock::new(), DOCUMENT, "ana")?;
    let guard = Guard::new(rollout.gate(), rollout.plan());
    rollout.judge(&guard);
    let faults = Arc::new(Faults::default());
    faults.with.store(1, Ordering::Relaxed);
    faults.without.store(1, Ordering::Relaxed);
    let address = serve(&guard, &faults)?;
    let (judged, breaches) = mpsc::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let judge = watch(rollout.clone(), guard, judged, Arc::clone(&stop));
    let mut visitors = Visitors { address, next: 0 };

    println!("== One request in a hundred fails, for everybody");
    visitors.come(20_000)?;
    say_whether_it_is_on(&rollout);

    println!("\n== An outage: one in five, for everybody");
    faults.with.store(20, Ordering::Relaxed);
    faults.without.store(20, Ordering::Relaxed);
    visitors.come(20_000)?;
    say_whether_it_is_on(&rollout);
    println!(
        "each look compares users with it and without: both fail as often, so that is no evidence"
    );

    println!("\n== The outage is over, and the new checkout fails for one in eight");
    faults.without.store(1, Ordering::Relaxed);
    faults.with.store(12, Ordering::Relaxed);
    let (begin, before) = (Instant::now(), visitors.next);
    let (judged, took) = loop {
        visitors.come(100)?;
        if let Ok(found) = breaches.try_recv() {
            break found;
        }
    };
    let finding =
        judged.judgement.breached.first().and_then(|it| judged.judgement.findings.get(*it));
    println!("breach: {}", finding.map(|finding| finding.verdict.to_string()).unwrap_or_default());
    println!(
        "{} ms and at most {} requests after the fault began; from the look that found it to off: {} µs",
        begin.elapsed().as_millis(),
        visitors.next - before,
        took.as_micros()
    );
    for act in &judged.acts {
        for alert in act.as_ref().map(|outcome| &*outcome.alerts).unwrap_or_default() {
            println!("tell {}: {}", alert.responsible.as_deref().unwrap_or("nobody"), alert.text);
        }
    }
    say_whether_it_is_on(&rollout);
    visitors.come(2_000)?;

    println!("\n== The journal");
    rollout.records(1)?.iter().for_each(|record| println!("{record}"));
    stop.store(true, Ordering::Relaxed);
    judge.join().map_err(|_| "the judge has panicked")?;
    Ok(())
}

fn say_whether_it_is_on(rollout: &Rollout) {
    let on = (0..10_000).filter(|user| rollout.gate().is_enabled(*user, FLAG)).count();
    println!("{on} of 10000 users have it");
}

/// Judges a hundred times a second, and hands on what was done.
fn watch(
    rollout: Rollout,
    guard: Guard,
    told: Sender<(Judged, Duration)>,
    stop: Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let begin = Instant::now();
            for judged in rollout.judge(&guard) {
                if !judged.acts.is_empty() {
                    let _ = told.send((judged, begin.elapsed()));
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    })
}

/// The service, on any free port of the loopback address.
fn serve(guard: &Guard, faults: &Arc<Faults>) -> Result<SocketAddr, Box<dyn Error>> {
    let layer = GuardLayer::new(
        guard.flag(FLAG),
        |request: &Request| Some(request.headers().get("user")?.to_str().ok()?.to_owned()),
        |request: &mut Request, enabled| {
            request.extensions_mut().insert(NewCheckout(enabled));
        },
        |response: &Response| response.status().is_server_error(),
    );
    let service =
        Router::new().route("/checkout", get(checkout)).with_state(Arc::clone(faults)).layer(layer);
    let (address, bound) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_io().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let _ = address.send(listener.local_addr());
            axum::serve(listener, service).await
        })
    });
    Ok(bound.recv()??)
}

async fn checkout(
    State(faults): State<Arc<Faults>>,
    Extension(NewCheckout(enabled)): Extension<NewCheckout>,
) -> (StatusCode, &'static str) {
    let percent = if enabled { &faults.with } else { &faults.without };
    if chance() < percent.load(Ordering::Relaxed) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "no luck\n");
    }
    (StatusCode::OK, if enabled { "one page\n" } else { "four steps\n" })
}

/// 0 to 99, one after the other as if at random: `SplitMix64`.
fn chance() -> u64 {
    static STATE: Mutex<u64> = Mutex::new(0);
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 100
}

/// Users, each for the first time.
struct Visitors {
    address: SocketAddr,
    next: u64,
}

impl Visitors {
    /// So many requests, over one connection.
    fn come(&mut self, count: u64) -> Result<(), Box<dyn Error>> {
        let mut connection = TcpStream::connect(self.address)?;
        connection.set_nodelay(true)?;
        let mut answers = BufReader::new(connection.try_clone()?);
        for user in self.next..self.next + count {
            write!(
                connection,
                "GET /checkout HTTP/1.1\r\nhost: shop\r\nuser: user-{user}\r\n\r\n"
            )?;
            skip_answer(&mut answers)?;
        }
        self.next += count;
        Ok(())
    }
}

fn skip_answer(answers: &mut impl BufRead) -> Result<(), Box<dyn Error>> {
    let mut len = 0;
    loop {
        let mut line = String::new();
        answers.read_line(&mut line)?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => len = value.parse()?,
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    answers.take(len).read_to_end(&mut Vec::new())?;
    Ok(())
}
