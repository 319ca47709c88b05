//! `run` under a service manager.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use stagegate::clock::SystemClock;
use stagegate::rollout::Rollout;
use stagegate::store::Directory;

use super::harness::{root, stagegate};

pub(crate) const DOCUMENT: &str = r#"
schema = 1
[metrics.queue]
unit = "count"
better = "less"
source = { prometheus = "queue_length" }
[flags.a]
stages = [{ name = "all", percent = 100 }]
triggers = [{ metric = "queue", above = 100, no_data = "hold", action = "rollback" }]
messages = [{ audience = "user", when = "start", channel = "email", template = "{{ flag }}!" }]
"#;

fn start(directory: &Path) -> String {
    let document = directory.join("rollout.toml");
    std::fs::write(&document, DOCUMENT).unwrap();
    let store = directory.join("store").display().to_string();
    let document = document.display().to_string();
    stagegate(&["start", &document, "--store", &store, "--by", "ana"]).ends(0);
    store
}

/// Returns the command with its output piped.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stagegate"));
    command.args(arguments).current_dir(root()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn spawn(arguments: &[&str], notify: &Path) -> Child {
    command(arguments).env("NOTIFY_SOCKET", notify).spawn().unwrap()
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn told(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 64];
    let len = socket.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

pub(crate) fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// Starts a server that answers each query with this value, as Prometheus would. Returns its URL.
pub(crate) fn prometheus(value: u32) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut len = 0;
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    len = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            lines.take(len).read_to_end(&mut Vec::new()).unwrap();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let body = format!(
                "{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{{\"metric\":{{}},\"value\":[{}.0,\"{value}\"]}}]}}}}",
                now.as_secs()
            );
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    url
}

/// `run` reports when it is ready, lets other processes act, sends notifications, rolls back by a metric, reports its
/// health, and ends.
#[test]
fn run_does_due_work_until_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let store = start(directory.path());
    let notify = directory.path().join("notify");
    let socket = UnixDatagram::bind(&notify).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let news = directory.path().join("news.jsonl").display().to_string();
    let url = prometheus(250);
    let arguments = ["run", "--store", &store, "--every", "50ms", "--tell-file", &news];
    let more = ["--prometheus", &url, "--listen", "127.0.0.1:0"];
    let mut child = spawn(&[&arguments[..], &more].concat(), &notify);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = lines.next().unwrap().unwrap();
    let address = listening.strip_prefix("listening on http://").unwrap().to_owned();
    assert_eq!(told(&socket), "READY=1");
    let (status, body) = get(&address, "/health");
    assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["healthy"], true);
    assert_eq!(get(&address, "/").0, "HTTP/1.1 404 Not Found");
    let (status, metrics) = get(&address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(metrics.contains("stagegate_flag_users_ratio{flag=\"a\"} 0\n"), "{metrics}");
    assert!(metrics.contains("stagegate_outbox_lost_total{outbox=\"file\"} 0\n"), "{metrics}");

    // Another process acts meanwhile.
    stagegate(&["promote", "a", "--store", &store, "--by", "ben", "--yes"]).ends(0);
    let line = loop {
        let line = lines.next().unwrap().unwrap();
        if line.contains("rolled back") {
            break line;
        }
    };
    assert!(line.contains("prometheus: a: rolled back (queue > 100 (250)), all -> off"), "{line}");
    signal(&child, "-TERM");
    assert_eq!(told(&socket), "STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let news = std::fs::read_to_string(news).unwrap();
    assert!(news.contains("\"kind\":\"rolled_back\""), "{news}");
}

#[test]
fn run_refuses_bad_arguments_and_missing_stores() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = directory.path().join("nothing").display().to_string();
    let run = stagegate(&["run", "--store", &nothing]).ends(3);
    assert!(run.stderr.contains("nothing"), "{}", run.stderr);
    let store = start(directory.path());
    for (argument, value, says) in [
        ("--listen", "0.0.0.0:9464", "not a loopback address, so other machines could connect"),
        ("--listen", "here", "not an address and a port"),
        ("--every", "soon", "write for example 30s"),
        ("--prometheus", "http://metrics.example.com", "--prometheus: "),
    ] {
        let run = stagegate(&["run", "--store", &store, argument, value]).ends(2);
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

/// A store that becomes unreadable is reported and tried again.
#[test]
fn run_survives_an_unreadable_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = start(directory.path());
    let notify = directory.path().join("notify");
    let socket = UnixDatagram::bind(&notify).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let arguments = ["run", "--store", &store, "--every", "20ms", "--listen", "127.0.0.1:0"];
    let mut child = spawn(&arguments, &notify);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = lines.next().unwrap().unwrap();
    let address = listening.strip_prefix("listening on http://").unwrap().to_owned();
    assert_eq!(told(&socket), "READY=1");
    let away = directory.path().join("away");
    std::fs::rename(&store, &away).unwrap();
    while get(&address, "/health").0 != "HTTP/1.1 503 Service Unavailable" {}
    std::fs::rename(&away, &store).unwrap();
    while get(&address, "/health").0 != "HTTP/1.1 200 OK" {}
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The leader moves segments while it runs. If the archive cannot be written, everything else goes on.
#[test]
fn run_moves_earlier_segments_to_an_archive() {
    let directory = tempfile::tempdir().unwrap();
    let store = start(directory.path());
    let notify = directory.path().join("notify");
    let socket = UnixDatagram::bind(&notify).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let archive = directory.path().join("archive");
    std::fs::write(&archive, "a file in the place of the directory").unwrap();
    let arguments = ["run", "--store", &store, "--every", "20ms", "--listen", "127.0.0.1:0"];
    let more = ["--archive", archive.to_str().unwrap()];
    let mut child = spawn(&[&arguments[..], &more].concat(), &notify);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let listening = lines.next().unwrap();
    let address = listening.strip_prefix("listening on http://").unwrap().to_owned();
    assert_eq!(told(&socket), "READY=1");

    let other = Rollout::open(Directory::open(&store).unwrap(), SystemClock::new()).unwrap();
    assert_eq!(other.by("ana").begin_segment().unwrap().seq, 2);
    while get(&address, "/health").0 != "HTTP/1.1 503 Service Unavailable" {}
    std::fs::remove_file(&archive).unwrap();
    let moved = lines.find(|line| line.starts_with("moved"));
    assert_eq!(moved.unwrap(), "moved records 1 to 1 to the archive");
    while get(&address, "/health").0 != "HTTP/1.1 200 OK" {}
    assert_eq!(other.first_record().unwrap(), 2);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let verify = ["verify", "--store", &store, "--archive", archive.to_str().unwrap()];
    assert!(stagegate(&verify).ends(0).stdout.starts_with("intact: 2 records"));
}

/// A process that stands still during a write keeps the lock. Then nothing can be recorded, which is a fault.
#[test]
fn a_lock_that_is_never_released_is_unhealthy() {
    let directory = tempfile::tempdir().unwrap();
    let store = start(directory.path());
    stagegate(&["promote", "a", "--store", &store, "--by", "ben", "--yes"]).ends(0);
    let taken = std::fs::File::open(directory.path().join("store/journal.jsonl")).unwrap();
    taken.lock().unwrap();
    let notify = directory.path().join("notify");
    let socket = UnixDatagram::bind(&notify).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let url = prometheus(250);
    let arguments = ["run", "--store", &store, "--every", "20ms", "--listen", "127.0.0.1:0"];
    let mut child = spawn(&[&arguments[..], &["--prometheus", &url]].concat(), &notify);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listening = lines.next().unwrap().unwrap();
    let address = listening.strip_prefix("listening on http://").unwrap().to_owned();
    assert_eq!(told(&socket), "READY=1");
    let body = loop {
        let (status, body) = get(&address, "/health");
        if status == "HTTP/1.1 503 Service Unavailable" && body.contains("locked") {
            break body;
        }
    };
    assert!(body.contains("which stands still while it writes: end that process"), "{body}");
    assert!(get(&address, "/metrics").1.contains("\nstagegate_store_up 0\n"));
    drop(taken);
    while get(&address, "/health").0 != "HTTP/1.1 200 OK" {}
    assert!(get(&address, "/metrics").1.contains("\nstagegate_store_up 1\n"));
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
