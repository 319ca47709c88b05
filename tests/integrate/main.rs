//! What a rollout is connected to: files, programs and servers that do all they should not.

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

/// A directory that is gone with the test.
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
fn what_a_machine_lacks_fails_its_tests_where_everything_is_required() {
    needs::are_required(&["real::", "tls::a_server_has_to_be", "json_lines::a_full_disk"], 8);
}
