//! The signals that end `run`: SIGTERM and SIGINT.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;

use crate::failure::Failure;

/// A receiver of SIGTERM and SIGINT.
pub(super) struct Signals(Receiver<()>);

impl Signals {
    /// Catches the signals. From now on they do not end the process.
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

    /// Waits for a signal.
    pub(super) fn wait(&self) {
        // An error means that the signal thread has ended, so no signal would arrive.
        let _ = self.0.recv();
    }
}
