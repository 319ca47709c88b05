//! A fleet: three processes that serve, one that promotes and rolls back, and an etcd that connects them. Starts the etcd
//! on loopback in a temporary directory.
//!
//! ```sh
//! cargo run --release --example fleet --features etcd            # `etcd` on the PATH, or pass its path after `--`
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use stagegate::clock::SystemClock;
use stagegate::rollout::{Controller, Rollout};
use stagegate::store::Etcd;

const FLAG: &str = "new-checkout";

const DOCUMENT: &str = r#"
schema = 1
[flags.new-checkout]
stages = [{ name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
"#;

const INSTANCES: usize = 3;

/// First command-line argument of an instance.
const INSTANCE: &str = "instance";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, number, url] if role == INSTANCE => serve(number, url),
        [] => operate("etcd"),
        [program] => operate(program),
        _ => Err("usage: fleet [PATH-OF-ETCD]".into()),
    }
}

/// Runs an instance. It follows the journal and prints how many users have the flag whenever the number changes.
fn serve(number: &str, url: &str) -> Result<(), Box<dyn Error>> {
    let rollout = Rollout::open(store(url)?, SystemClock::new())?;
    let gate = rollout.gate().clone();
    let (changed, changes) = mpsc::channel();
    let follower = Controller::following(&rollout, Duration::from_secs(5), move |_| {
        let _ = changed.send(());
    })?;
    let mut last = None;
    while changes.recv().is_ok() {
        let on = (0..1_000).filter(|user| gate.is_enabled(*user, FLAG)).count();
        if last.replace(on) != Some(on) {
            println!("instance {number}, process {}: {on} of 1000 users have it", process::id());
        }
    }
    drop(follower);
    Ok(())
}

/// Runs the process that promotes and rolls back.
fn operate(program: &str) -> Result<(), Box<dyn Error>> {
    let server = Server::start(program)?;
    println!("etcd answers at {}", server.url);
    let rollout = Rollout::start(store(&server.url)?, SystemClock::new(), DOCUMENT, "ana")?;
    let fleet = Fleet::start(&server.url)?;
    fleet.expect("0 of 1000", Instant::now())?;

    println!("\n== ana promotes it");
    let begin = Instant::now();
    rollout.by("ana").promote(FLAG)?;
    fleet.expect("of 1000", begin)?;

    println!("\n== ben rolls it back");
    let begin = Instant::now();
    rollout.by("ben").roll_back(FLAG, "errors at the till")?;
    fleet.expect("0 of 1000", begin)?;

    println!("\n== One journal");
    rollout.records(1)?.iter().for_each(|record| println!("{record}"));
    Ok(())
}

fn store(url: &str) -> Result<Etcd, Box<dyn Error>> {
    Ok(Etcd::new([url], "/shop/rollout")?)
}

/// The instances and their output.
struct Fleet {
    children: Vec<Child>,
    lines: Receiver<String>,
}

impl Fleet {
    fn start(url: &str) -> Result<Fleet, Box<dyn Error>> {
        let (sender, lines) = mpsc::channel();
        let mut children = Vec::new();
        for number in 1..=INSTANCES {
            let mut command = Command::new(env::current_exe()?);
            command.args([INSTANCE, &number.to_string(), url]).stdout(Stdio::piped());
            let mut child = command.spawn()?;
            let output = child.stdout.take().ok_or("no pipe for standard output")?;
            children.push(child);
            let sender = sender.clone();
            thread::spawn(move || {
                let lines = BufReader::new(output).lines();
                lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
            });
        }
        Ok(Fleet { children, lines })
    }

    /// Prints the next line of each instance and its latency. Fails if a line does not contain `expected`.
    fn expect(&self, expected: &str, begin: Instant) -> Result<(), Box<dyn Error>> {
        for _ in 0..INSTANCES {
            let line = self.lines.recv_timeout(Duration::from_secs(60))?;
            println!("{line}, after {} ms", begin.elapsed().as_millis());
            if !line.contains(expected) {
                return Err(format!("expected `{expected}`, found `{line}`").into());
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A temporary etcd.
struct Server {
    child: Child,
    path: PathBuf,
    url: String,
}

impl Server {
    /// Starts etcd and waits until it answers.
    fn start(program: &str) -> Result<Server, Box<dyn Error>> {
        let path = env::temp_dir().join(format!("stagegate-fleet-{}", process::id()));
        let [url, peers] =
            [free_port()?, free_port()?].map(|port| format!("http://127.0.0.1:{port}"));
        let child = Command::new(program)
            .arg("--data-dir")
            .arg(&path)
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run etcd, `{program}`: {error}"))?;
        let server = Server { child, path, url };
        for _ in 0..600 {
            // Any answer will do, such as "no rollout yet".
            match Rollout::open(store(&server.url)?, SystemClock::new()) {
                Err(error) if error.store_error().is_some() => {
                    thread::sleep(Duration::from_millis(50));
                }
                _ => return Ok(server),
            }
        }
        Err("etcd does not answer".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
