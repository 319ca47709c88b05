//! How a run ends when it is not well.

use std::io::{self, Write};
use std::process::ExitCode;

/// What a verb found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exit code 0.
    Yes,
    /// Exit code 1: the question was understood, and the answer is no.
    No,
}

/// Why a verb has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit code 1: the document is no plan; what is wrong has been printed.
    BadDocument,
    /// Exit code 1: the answer is no, and this says why.
    No(String),
    /// Exit code 2: an argument that does not fit the document.
    Usage(String),
    /// Exit code 3: something could not be read or written.
    Io(String),
    /// Exit code 3: another process is acting on the store.
    Locked(String),
}

impl Failure {
    /// Something that could not be read or written.
    pub(crate) fn io(what: &str, error: &io::Error) -> Failure {
        Failure::Io(format!("{what}: {error}"))
    }

    /// What is wrong; nothing where that has been printed.
    pub(crate) fn message(self) -> String {
        match self {
            Failure::BadDocument => String::new(),
            Failure::No(message)
            | Failure::Usage(message)
            | Failure::Io(message)
            | Failure::Locked(message) => message,
        }
    }

    /// Says what is wrong, and ends.
    pub(crate) fn report(self) -> ExitCode {
        let code = match self {
            Failure::BadDocument | Failure::No(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Io(_) | Failure::Locked(_) => 3,
        };
        let message = Some(self.message()).filter(|message| !message.is_empty());
        if let Some(message) = message {
            // Where nothing can be written to, the exit code has to do.
            let _ = writeln!(anstream::stderr(), "stagegate: {message}");
        }
        ExitCode::from(code)
    }
}
