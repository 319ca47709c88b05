//! SIGTERM and SIGINT.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;

use crate::failure::Failure;

/// The signals that ask for an end.
pub(super) struct Signals(Receiver<()>);

impl Signals {
    /// From now on they end nothing by themselves.
    pub(super) fn catch() -> Result<Signals, Failure> {
        let failed = |error| Failure::io("cannot wait for signals", &error);
        let mut incoming = Incoming::new([SIGTERM, SIGINT]).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new().name("stagegate-signals".to_owned());
        let spawned = thread.spawn(move || {
            for _ in incoming.forever() {
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        spawned.map_err(failed)?;
        Ok(Signals(receiver))
    }

    /// Whether one has come, or comes within that time.
    pub(super) fn come_within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time).is_ok()
    }

    /// Waits until one comes.
    pub(super) fn come(&self) {
        // Without the thread that hears them nothing more will come.
        let _ = self.0.recv();
    }
}
