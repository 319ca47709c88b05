//! A real etcd server.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stagegate::http::Endpoint;
use stagegate::store::Etcd;

use super::{LONG, needs};

pub(crate) struct Real {
    program: OsString,
    path: PathBuf,
    port: u16,
    peers: u16,
    pub(crate) url: String,
    child: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Real {
    /// Starts a server. Returns `None` if the machine has no etcd.
    pub(crate) fn start(what: &str) -> Option<Real> {
        let program = needs::etcd(what)?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("stagegate-etcd-{}-{count}", process::id()));
        let (port, peers) = (free_port(), free_port());
        let url = format!("http://127.0.0.1:{port}");
        let mut real = Real { program, path, port, peers, url, child: None };
        real.run();
        Some(real)
    }

    /// Runs the server and waits until it answers. Starts it again if it ends, because its port may be taken for a
    /// moment.
    pub(crate) fn run(&mut self) {
        let peers = format!("http://127.0.0.1:{}", self.peers);
        let begin = Instant::now();
        while self.child.is_none() {
            let mut command = Command::new(&self.program);
            command.arg("--data-dir").arg(&self.path);
            command.args(["--listen-client-urls", &self.url, "--advertise-client-urls", &self.url]);
            command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
            command.args(["--initial-cluster", &format!("default={peers}")]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().expect("etcd is a program");
            while child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                    && ["revision", "user name"]
                        .iter()
                        .any(|said| self.post("/v3/kv/range", r#"{"key":"AA=="}"#).contains(said))
                {
                    self.child = Some(child);
                    break;
                }
                assert!(begin.elapsed() < LONG);
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(begin.elapsed() < LONG);
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::new(&*self.url)
    }

    pub(crate) fn store(&self) -> Etcd {
        Etcd::new([self.endpoint()], "test/rollout").unwrap()
    }

    /// Posts to etcd's HTTP gateway with `curl`, without the store's own client.
    pub(crate) fn post(&self, path: &str, body: &str) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "5", "--data", body])
            .arg(format!("{}{path}", self.url))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn revision(&self) -> u64 {
        let answer = self.post("/v3/kv/range", r#"{"key":"AA=="}"#);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["header"]["revision"].as_str().unwrap().parse().unwrap()
    }

    /// Returns the CPU time that the server has used.
    pub(crate) fn busy(&self) -> Duration {
        let id = self.child.as_ref().unwrap().id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // The fields utime and stime, in ticks of 10 ms. The process name in brackets may contain spaces, so skip it.
        let fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        Duration::from_millis(fields.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Deletes all data and starts the server again.
    pub(crate) fn wipe(&mut self) {
        self.kill();
        fs::remove_dir_all(&self.path).unwrap();
        self.run();
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Encodes text as Base64, as etcd's JSON gateway expects keys.
pub(crate) fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let letters = bits.as_bytes().chunks(6).map(|six| {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        char::from(LETTERS[usize::from_str_radix(&six, 2).unwrap()])
    });
    let text: String = letters.collect();
    let padding = (4 - text.len() % 4) % 4;
    text + &"=".repeat(padding)
}
