//! A web service that rolls a feature back automatically. It serves real requests on loopback, and the `tower` layer counts
//! them. First comes an outage that affects all users, which is no reason to roll back. Then the feature itself fails.
//!
//! ```sh
//! cargo run --release --example auto_rollback --features rollout,tower
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use stagegate::clock::SystemClock;
use stagegate::guard::{Guard, GuardLayer};
use stagegate::rollout::{
    Controller, Delivery, DeliveryError, Notification, NotificationKind, Outbox, Rollout, Sink,
};
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
messages = [
    { audience = "internal", when = "start", channel = "shop chat", template = "{{ flag }} is at {{ stage }}, {{ percent }}%." },
    { audience = "client", when = "rollback", channel = "email", template = "We took {{ flag }} back at {{ stage }}: {{ reason }}. Questions: {{ contact }}." },
]
"#;

/// The percentage of failing requests, for users with the feature and for users without.
#[derive(Default)]
struct Faults {
    with: AtomicU64,
    without: AtomicU64,
    /// User and time of the last failed request with the feature.
    last: Mutex<Option<(String, Instant)>>,
}

/// The flag's answer for a request, from the layer.
#[derive(Clone, Copy)]
struct NewCheckout(bool);

fn main() -> Result<(), Box<dyn Error>> {
    let rollout = Rollout::start(Memory::new(), SystemClock::new(), DOCUMENT, "ana")?;
    let guard = Guard::new(rollout.gate(), rollout.plan());
    let faults = Arc::new(Faults::default());
    faults.set(1, 1);
    // The stopwatch receives rollbacks at once. The outbox delivers every notification in its own thread.
    let (back, taken_back) = mpsc::channel();
    rollout.tell(Stopwatch { back, faults: Arc::clone(&faults) });
    let (told, news) = mpsc::channel();
    rollout.tell(Outbox::spawn("printer", Printer(told))?);
    // Judges a hundred times a second, and does other due work ten times a second.
    let judge = Controller::judging(&rollout, &guard, Duration::from_millis(10), |_| {})?;
    let ticker = Controller::spawn(&rollout, Duration::from_millis(100), |_| {})?;
    let mut visitors = Visitors { address: serve(&guard, &faults)?, next: 0 };

    println!("== One request in a hundred fails, for all users");
    visitors.send(20_000)?;
    print_share(&rollout);
    print(&news);

    println!("\n== An outage: one in five fails, for all users");
    faults.set(20, 20);
    visitors.send(20_000)?;
    print_share(&rollout);
    println!(
        "no rollback: the guard compares users with the flag and without, and both fail as often"
    );
    print(&news);

    println!("\n== The outage is over, and the new checkout fails for one in eight");
    faults.set(12, 1);
    let (begin, before) = (Instant::now(), visitors.next);
    let (user, off_after) = loop {
        visitors.send(100)?;
        if let Ok(found) = taken_back.try_recv() {
            break found;
        }
    };
    println!("breaching outcome: 500 for {user}, who had it");
    println!("from that outcome to off: {} ms", off_after.as_millis());
    println!(
        "from the fault to off: {} ms, at most {} requests",
        begin.elapsed().as_millis(),
        visitors.next - before
    );
    print_share(&rollout);
    // The rollout verifies by measurements that the rollback helped. Then the incident enters its next phase.
    while rollout.report(FLAG)?.state.incident.is_some_and(|it| it.phase.to_string() == "verify") {
        visitors.send(1_000)?;
    }
    drop((judge, ticker));
    // The plan's message about the rollback may have become due after the last tick.
    drop(rollout.tick());

    println!("\n== The notifications");
    print(&news);
    println!("\n== The journal");
    rollout.records(1)?.iter().for_each(|record| println!("{record}"));
    Ok(())
}

impl Faults {
    fn set(&self, with: u64, without: u64) {
        self.with.store(with, Ordering::Relaxed);
        self.without.store(without, Ordering::Relaxed);
    }

    fn last(&self) -> Option<(String, Instant)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Measures the time from the last failure until the feature is off.
struct Stopwatch {
    back: Sender<(String, Duration)>,
    faults: Arc<Faults>,
}

impl Sink for Stopwatch {
    fn tell(&self, notification: &Notification) {
        if notification.kind == NotificationKind::RolledBack
            && let Some((user, failed)) = self.faults.last()
        {
            let _ = self.back.send((user, failed.elapsed()));
        }
    }
}

impl std::fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stopwatch")
    }
}

/// Passes notifications on as lines. In production, send mail or use `integrate::Webhook`.
struct Printer(Sender<String>);

impl Delivery for Printer {
    fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
        let line = match &notification.message {
            Some(message) => {
                format!("to {} by {}: {}", message.audience, message.channel, message.text)
            }
            None => format!(
                "{} (for {}): {}",
                notification.kind.name(),
                notification.responsible.as_deref().unwrap_or("everyone"),
                notification.text
            ),
        };
        self.0.send(line).map_err(|_| DeliveryError::permanent("the receiver is gone"))
    }
}

fn print(news: &Receiver<String>) {
    news.try_iter().for_each(|line| println!("{line}"));
}

fn print_share(rollout: &Rollout) {
    let on = (0..10_000).filter(|user| rollout.gate().is_enabled(*user, FLAG)).count();
    println!("{on} of 10000 users have it");
}

/// Starts the service on a free port of the loopback address.
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
    headers: HeaderMap,
) -> (StatusCode, &'static str) {
    let percent = if enabled { &faults.with } else { &faults.without };
    if random_percent() < percent.load(Ordering::Relaxed) {
        if enabled && let Some(user) = headers.get("user").and_then(|user| user.to_str().ok()) {
            let mut last = faults.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((user.to_owned(), Instant::now()));
        }
        return (StatusCode::INTERNAL_SERVER_ERROR, "checkout failed\n");
    }
    (StatusCode::OK, if enabled { "one page\n" } else { "four steps\n" })
}

/// Returns a pseudo-random number from 0 to 99 (`SplitMix64`).
fn random_percent() -> u64 {
    static STATE: Mutex<u64> = Mutex::new(0);
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % 100
}

/// A client that sends each request for a new user.
struct Visitors {
    address: SocketAddr,
    next: u64,
}

impl Visitors {
    /// Sends `count` requests over one connection.
    fn send(&mut self, count: u64) -> Result<(), Box<dyn Error>> {
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
