//! Answers, failures and their exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

/// The answer of a verb that worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exit code 0.
    Yes,
    /// Exit code 1.
    No,
}

/// The reason why a verb has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit code 1: the document is invalid. Its problems are already printed.
    InvalidDocument,
    /// Exit code 1: the answer is no, for this reason.
    No(String),
    /// Exit code 2: an argument does not fit the document.
    Usage(String),
    /// Exit code 3: reading or writing failed.
    Io(String),
    /// Exit code 3: another process holds the store.
    Locked(String),
}

impl Failure {
    /// Returns an I/O failure with its context.
    pub(crate) fn io(what: &str, error: &io::Error) -> Failure {
        Failure::Io(format!("{what}: {error}"))
    }

    /// Returns the message, which is empty if the problems are already printed.
    pub(crate) fn message(self) -> String {
        match self {
            Failure::InvalidDocument => String::new(),
            Failure::No(message)
            | Failure::Usage(message)
            | Failure::Io(message)
            | Failure::Locked(message) => message,
        }
    }

    /// Prints the message to standard error and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let code = match self {
            Failure::InvalidDocument | Failure::No(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Io(_) | Failure::Locked(_) => 3,
        };
        let message = Some(self.message()).filter(|message| !message.is_empty());
        if let Some(message) = message {
            // If standard error is closed, the exit code still reports the failure.
            let _ = writeln!(anstream::stderr(), "stagegate: {message}");
        }
        ExitCode::from(code)
    }
}
