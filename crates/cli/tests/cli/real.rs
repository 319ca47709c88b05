//! A real etcd, the program that `STAGEGATE_ETCD` names, which `.ci/etcd` brings.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use tempfile::TempDir;

use crate::harness::{Run, stagegate_with_env};

/// How long anything that has to happen may take.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Real {
    child: Option<Child>,
    scratch: TempDir,
    clients: String,
    peers: String,
    /// What `--store` says.
    pub(crate) store: String,
}

impl Real {
    /// `None` where there is no program to run.
    pub(crate) fn start(what: &str) -> Option<Real> {
        if env::var_os("STAGEGATE_ETCD").is_none() {
            println!("not tried: {what}, for want of STAGEGATE_ETCD");
            return None;
        }
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (clients, peers) = (free().to_string(), format!("http://{}", free()));
        let store = format!("etcd://{clients}/shop/rollout");
        let scratch = tempfile::tempdir().unwrap();
        let mut real = Real { child: None, scratch, clients, peers, store };
        real.go_on();
        Some(real)
    }

    /// Until it answers. A port that is taken, if only for a moment, has it end: then once more.
    pub(crate) fn go_on(&mut self) {
        let begin = Instant::now();
        let url = format!("http://{}", self.clients);
        while self.child.is_none() {
            let child = Command::new(env::var_os("STAGEGATE_ETCD").unwrap())
                .arg("--data-dir")
                .arg(self.path("data"))
                .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
                .args(["--listen-peer-urls", &self.peers])
                .args(["--initial-advertise-peer-urls", &self.peers])
                .args(["--initial-cluster", &format!("default={}", self.peers)])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let mut child = child.unwrap();
            while child.try_wait().unwrap().is_none() {
                assert!(begin.elapsed() < LONG);
                if !self.run(&["status"]).stderr.contains("does not answer") {
                    self.child = Some(child);
                    break;
                }
            }
        }
    }

    /// As a machine that loses its power.
    pub(crate) fn die(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a file beside the data.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs a verb on the store.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let mut all = arguments.to_vec();
        all.extend(["--store", &self.store, "--clock", "system"]);
        stagegate_with_env(&all, &[("STAGEGATE_BY", "ana")])
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.die();
    }
}
