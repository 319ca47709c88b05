//! A test server with programmable answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    pub(crate) url: String,
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that answers each request with a function. The connection closes when the function returns.
    pub(crate) fn new(
        answer: impl Fn(&mut TcpStream, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, is_over) =
            (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (theirs, over) = (Arc::clone(&requests), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let mut stream = stream.unwrap();
                // Ignore clients that hang up early.
                let Ok(request) = read_request(&stream) else { continue };
                theirs.lock().unwrap().push(request.clone());
                let _ = answer(&mut stream, &request);
            }
        });
        Server {
            url: format!("http://{address}"),
            address,
            requests,
            is_over,
            thread: Some(thread),
        }
    }

    /// Starts a server that sends these bytes as the answer to every request.
    pub(crate) fn always(answer: impl Into<Vec<u8>>) -> Server {
        let answer = answer.into();
        Server::new(move |stream, _| stream.write_all(&answer))
    }

    /// Starts a server that sends a valid answer with this status and body.
    pub(crate) fn answering(status: &str, body: &str) -> Server {
        Server::always(answer(status, body))
    }

    /// Starts a server that sends `beginning`, then a byte every 10 ms, for 10 s or until the client hangs up.
    pub(crate) fn trickling(beginning: &str) -> Server {
        let beginning = beginning.to_owned();
        Server::new(move |stream, _| {
            stream.write_all(beginning.as_bytes())?;
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(10) {
                stream.write_all(b" ")?;
                thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        })
    }

    /// Returns the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn read_request(stream: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let begin = request.len();
        reader.read_line(&mut request)?;
        let line = request[begin..].trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.push_str(&String::from_utf8(body).unwrap());
    Ok(request)
}
