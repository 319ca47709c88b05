//! A real etcd for tests.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Run, stagegate_with_env};
use crate::needs;

/// The timeout for any event.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct EtcdServer {
    program: OsString,
    child: Option<Child>,
    scratch: TempDir,
    clients: String,
    peers: String,
    scheme: &'static str,
    more: Vec<String>,
    /// The value of `--store`.
    pub(crate) store: String,
    /// The environment variables of each run.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl EtcdServer {
    /// Starts etcd. `None` if the machine has none.
    pub(crate) fn start(what: &str) -> Option<EtcdServer> {
        let mut real = EtcdServer::new(needs::etcd(what)?, "http", tempfile::tempdir().unwrap());
        real.restart();
        Some(real)
    }

    /// Starts etcd with TLS. `scratch` has the server's certificate and key, and the authority's certificate.
    pub(crate) fn start_with_tls(what: &str, scratch: TempDir, name: &str) -> Option<EtcdServer> {
        let mut real = EtcdServer::new(needs::etcd(what)?, "https", scratch);
        let path = |end: &str| real.path(&format!("{name}.{end}")).display().to_string();
        real.more =
            vec!["--cert-file".to_owned(), path("pem"), "--key-file".to_owned(), path("key")];
        real.env.push(("STAGEGATE_ETCD_CA", real.path("ca.pem").display().to_string()));
        real.restart();
        Some(real)
    }

    fn new(program: OsString, scheme: &'static str, scratch: TempDir) -> EtcdServer {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (clients, peers) = (free().to_string(), format!("http://{}", free()));
        let store = format!("etcd{}://{clients}/shop/rollout", &scheme[4..]);
        let env = vec![("STAGEGATE_BY", "ana".to_owned())];
        let more = Vec::new();
        EtcdServer { program, child: None, scratch, clients, peers, scheme, more, store, env }
    }

    /// Starts etcd again and waits until it answers. Retries if etcd ends because its port is taken.
    pub(crate) fn restart(&mut self) {
        let begin = Instant::now();
        let url = format!("{}://{}", self.scheme, self.clients);
        while self.child.is_none() {
            let child = Command::new(&self.program)
                .arg("--data-dir")
                .arg(self.path("data"))
                .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
                .args(["--listen-peer-urls", &self.peers])
                .args(["--initial-advertise-peer-urls", &self.peers])
                .args(["--initial-cluster", &format!("default={}", self.peers)])
                .args(&self.more)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let mut child = child.unwrap();
            while child.try_wait().unwrap().is_none() {
                assert!(begin.elapsed() < TIMEOUT);
                let said = self.run(&["status"]).stderr;
                // An error about the certificate is an answer, too.
                if !said.contains("does not answer") || said.contains("invalid peer certificate") {
                    self.child = Some(child);
                    break;
                }
            }
        }
    }

    /// Kills etcd.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs a verb on the store.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &self.env)
    }

    /// Runs a verb on the store with other environment variables.
    pub(crate) fn run_with(&self, arguments: &[&str], env: &[(&str, String)]) -> Run {
        let mut all = arguments.to_vec();
        all.extend(["--store", &self.store]);
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, &**value)).collect();
        stagegate_with_env(&all, &env)
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}
