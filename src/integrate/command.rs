//! Notifications to a program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read, Write};
use std::process::{self, Child, ChildStderr, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::monotonic;
use crate::plan::model::Quantity;
use crate::rollout::{Delivery, DeliveryError, Notification};
use crate::text;

/// A [`Delivery`] that runs a program for each [`Notification`], without a shell.
///
/// The program reads the notification as JSON on standard input. Its environment has `STAGEGATE_KIND` and
/// `STAGEGATE_FLAG`.
///
/// The program does not inherit the application's environment, which often holds secrets. It gets `PATH`, `HOME`,
/// `LANG`, `LC_ALL`, `TZ` and `TMPDIR` (on Windows also `SystemRoot`, `ComSpec`, `PATHEXT`, `TEMP`, `TMP` and
/// `USERPROFILE`), and the variables named by [`passing`](Command::passing) and
/// [`with_variable`](Command::with_variable).
///
/// Exit code 0 means delivered, even if the program did not read its input. Standard output is discarded. On failure,
/// the error quotes the end of standard error, so the program should print no secrets there. The program is killed
/// after the deadline, 30 seconds by default. Processes that it started and left behind are not killed.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use stagegate::integrate::Command;
/// use stagegate::rollout::Outbox;
///
/// let pager = Command::new("/usr/local/bin/page").with_argument("--urgent");
/// let outbox = Outbox::spawn("pager", pager.with_deadline(Duration::from_secs(5)))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, Variable)>,
    deadline: Duration,
}

#[derive(Clone, PartialEq, Eq)]
enum Variable {
    /// Takes the application's value when the program starts.
    Inherited,
    Given(OsString),
}

/// Variables of the application that every program inherits. They hold no secrets.
const INHERITED: &[&str] = match cfg!(windows) {
    false => &["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"],
    true => &[
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "SystemRoot",
        "ComSpec",
        "PATHEXT",
        "TEMP",
        "TMP",
        "USERPROFILE",
    ],
};

const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Longest interval between two polls for the program's exit.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long to wait for the end of standard error after the program ends. A process that the program left behind may
/// keep the pipe open.
const STDERR_GRACE: Duration = Duration::from_millis(200);

/// How many bytes to keep from the end of standard error.
const MAX_STDERR_BYTES: usize = 4096;

impl Command {
    /// Creates a delivery that runs `program`: a path, or a name to search in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Command {
        let (arguments, variables) = (Vec::new(), Vec::new());
        Command { program: program.into(), arguments, variables, deadline: DEFAULT_DEADLINE }
    }

    /// Adds an argument.
    #[must_use]
    pub fn with_argument(mut self, argument: impl Into<OsString>) -> Command {
        self.arguments.push(argument.into());
        self
    }

    /// Passes a variable of the application's environment to the program. A variable that is not set when the program
    /// starts is not passed.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::integrate::Command;
    ///
    /// let page = Command::new("page").passing("PAGER_TOKEN").with_variable("CHANNEL", "#releases");
    /// assert!(format!("{page:?}").contains(r#"variables: ["PAGER_TOKEN", "CHANNEL"]"#));
    /// ```
    #[must_use]
    pub fn passing(mut self, name: impl Into<OsString>) -> Command {
        self.variables.push((name.into(), Variable::Inherited));
        self
    }

    /// Sets a variable in the program's environment. `Debug` does not print the value.
    #[must_use]
    pub fn with_variable(
        mut self,
        name: impl Into<OsString>,
        value: impl Into<OsString>,
    ) -> Command {
        self.variables.push((name.into(), Variable::Given(value.into())));
        self
    }

    /// Sets how long the program may run before it is killed.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Command {
        self.deadline = deadline;
        self
    }

    fn environment(&self) -> impl Iterator<Item = (OsString, OsString)> {
        let inherited = |name: &OsStr| Some((name.to_owned(), env::var_os(name)?));
        let safe = INHERITED.iter().filter_map(move |name| inherited(OsStr::new(name)));
        let named = self.variables.iter().filter_map(move |(name, variable)| match variable {
            Variable::Inherited => inherited(name),
            Variable::Given(value) => Some((name.clone(), value.clone())),
        });
        safe.chain(named)
    }

    fn run(&self, notification: &Notification) -> io::Result<Result<(), String>> {
        let begin = monotonic();
        let mut child = process::Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment())
            .env("STAGEGATE_KIND", notification.kind.name())
            .env("STAGEGATE_FLAG", &*notification.flag)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = start_pipe_threads(&mut child, notification.to_json());
        // The standard library cannot wait for a program with a deadline, so poll.
        let (_open, pause) = mpsc::channel::<()>();
        let mut wait = Duration::from_millis(1);
        while stderr.is_ok() {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) if status.success() => return Ok(Ok(())),
                Ok(Some(status)) => {
                    let suffix =
                        stderr.map(|stderr| stderr.as_suffix(STDERR_GRACE)).unwrap_or_default();
                    return Ok(Err(format!("failed ({status}){suffix}")));
                }
                Err(error) => stderr = Err(error),
            }
            let left = self.deadline.saturating_sub(monotonic().saturating_sub(begin));
            if left.is_zero() {
                break;
            }
            let _ = pause.recv_timeout(wait.min(left));
            wait = (wait * 2).min(MAX_POLL_INTERVAL);
        }
        child.kill()?;
        child.wait()?;
        let suffix = stderr?.as_suffix(Duration::ZERO);
        Ok(Err(format!("took longer than {}{suffix}", Quantity::Duration(self.deadline))))
    }
}

impl Delivery for Command {
    /// # Errors
    ///
    /// Temporary if the exit code is not 0, a signal ended the program, or it ran past the deadline. Permanent
    /// if the program does not exist or must not be run.
    fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
        let program = self.program.display();
        match self.run(notification) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wrong)) => Err(DeliveryError::temporary(format!("`{program}` {wrong}"))),
            Err(error) => {
                let message = format!("cannot run `{program}`: {error}");
                let is_permanent = matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                );
                Err(if is_permanent {
                    DeliveryError::permanent(message)
                } else {
                    DeliveryError::temporary(message)
                })
            }
        }
    }
}

/// Prints no arguments and no values of variables, because they may be secret.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("variables", &self.variables.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// The last bytes that a program wrote to standard error.
struct StderrTail {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Disconnects when standard error ends.
    closed: Receiver<()>,
}

/// Starts one thread that writes the input and one that reads standard error.
///
/// A single thread could deadlock with a program that writes before it reads, or that never reads. Each thread ends
/// when every process has closed the other end of its pipe.
fn start_pipe_threads(child: &mut Child, json: String) -> io::Result<StderrTail> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let name = || thread::Builder::new().name("stagegate-command".to_owned());
    // A failed write is not an error: the program need not read its input.
    name().spawn(move || stdin.map(|mut stdin| stdin.write_all(json.as_bytes())))?;
    let bytes = Arc::default();
    let (sender, closed) = mpsc::channel();
    let tail = Arc::clone(&bytes);
    name().spawn(move || stderr.map(|stderr| collect_tail(stderr, &tail, &sender)))?;
    Ok(StderrTail { bytes, closed })
}

/// Keeps the last bytes of standard error. The caller's sender is dropped when this returns, which disconnects
/// [`StderrTail::closed`].
fn collect_tail(mut stderr: ChildStderr, tail: &Mutex<Vec<u8>>, _closed: &Sender<()>) {
    let mut buffer = [0; MAX_STDERR_BYTES];
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let old = tail.len().saturating_sub(MAX_STDERR_BYTES);
        tail.drain(..old);
    }
}

impl StderrTail {
    /// Returns the end of an error message, such as `: no such channel`. It is empty if the program wrote nothing.
    /// Waits up to `grace` for standard error to end.
    fn as_suffix(&self, grace: Duration) -> String {
        let _ = self.closed.recv_timeout(grace);
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        match text::end_of(&String::from_utf8_lossy(&bytes)) {
            end if end.is_empty() => end,
            end => format!(": {end}"),
        }
    }
}
