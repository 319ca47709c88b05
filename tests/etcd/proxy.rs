//! A proxy between a store and its server. It can delay answers, lose them, drop watch events, and cut the connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Drops requests before they reach the server.
    pub(crate) is_cut: AtomicBool,
    /// The number of answers to lose next. The server has executed these requests.
    pub(crate) lose: AtomicU32,
    /// The delay of each answer, in milliseconds.
    pub(crate) delay: AtomicU64,
    /// Drops every n-th event of watches. 0 drops none.
    pub(crate) swallow: AtomicU32,
    pub(crate) swallowed: AtomicU32,
    events: AtomicU32,
    pub(crate) requests: AtomicU32,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    address: SocketAddr,
    pub(crate) faults: Arc<Faults>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn new(server: &str) -> Proxy {
        let server = server["http://".len()..].to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (faults, is_over) = (Arc::<Faults>::default(), Arc::<AtomicBool>::default());
        let (theirs, over) = (Arc::clone(&faults), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let (faults, server) = (Arc::clone(&theirs), server.clone());
                let stream = stream.unwrap();
                thread::spawn(move || pass(stream, &server, &faults));
            }
        });
        let url = format!("http://{address}");
        Proxy { url, address, faults, is_over, thread: Some(thread) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Forwards one request and its answer. Returns `None` if either is lost.
fn pass(client: TcpStream, server: &str, faults: &Faults) -> Option<()> {
    let (head, body) = message(&mut BufReader::new(&client))?;
    faults.requests.fetch_add(1, Ordering::SeqCst);
    if faults.is_cut.load(Ordering::SeqCst) {
        return None;
    }
    let is_watch = head.starts_with("POST /v3/watch");
    let mut upstream = TcpStream::connect(server).ok()?;
    let head = head.trim_end().to_owned() + "\r\nconnection: close\r\n\r\n";
    upstream.write_all(head.as_bytes()).ok()?;
    upstream.write_all(&body).ok()?;
    let mut client = client;
    if is_watch {
        // If the client hangs up, end the server's watch, too.
        let (mut ends, closes) = (client.try_clone().ok()?, upstream.try_clone().ok()?);
        thread::spawn(move || {
            let _ = ends.read(&mut [0]);
            let _ = closes.shutdown(Shutdown::Both);
        });
        return stream(upstream, &mut client, faults);
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    let lose = |left: u32| left.checked_sub(1);
    if faults.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
        return None;
    }
    thread::sleep(Duration::from_millis(faults.delay.load(Ordering::SeqCst)));
    client.write_all(&answer).ok()
}

/// Forwards the chunks of a watch as they come, without the events to drop.
fn stream(upstream: TcpStream, client: &mut TcpStream, faults: &Faults) -> Option<()> {
    let mut reader = BufReader::new(upstream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    client.write_all(head.as_bytes()).ok()?;
    loop {
        let mut size = String::new();
        (reader.read_line(&mut size).ok()? > 0).then_some(())?;
        let len = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; len + 2];
        reader.read_exact(&mut chunk).ok()?;
        let swallow = faults.swallow.load(Ordering::SeqCst);
        if swallow > 0
            && String::from_utf8_lossy(&chunk).contains("\"events\"")
            && (faults.events.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(swallow)
        {
            faults.swallowed.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        thread::sleep(Duration::from_millis(faults.delay.load(Ordering::SeqCst)));
        client.write_all(&[size.as_bytes(), &chunk].concat()).ok()?;
        (len > 0).then_some(())?;
    }
}

fn message(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let begin = head.len();
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        let line = head[begin..].trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
