//! Integrations with files, programs and servers that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod canary;
mod command;
mod json_lines;
#[path = "../support/needs.rs"]
mod needs;
mod prometheus;
mod real;
mod server;
mod tls;
mod webhook;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;
use std::{env, fs, process};

use stagegate::StageName;
use stagegate::rollout::{Notification, NotificationKind};

fn notification(text: &str) -> Notification {
    let at = SystemTime::UNIX_EPOCH;
    Notification::new("search", NotificationKind::Held, StageName::OFF, at, text)
}

/// A temporary directory. It is removed at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("stagegate-integrate-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn with_require_all_missing_programs_fail_their_tests() {
    needs::are_required(&["real::", "tls::a_server_needs", "json_lines::a_full_disk"], 8);
}
