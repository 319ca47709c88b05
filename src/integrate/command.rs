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
use crate::rollout::{Delivery, Notification, Undelivered};
use crate::text;

/// A program that runs for each [`Notification`]: no shell, its JSON on the standard input, `STAGEGATE_KIND` and
/// `STAGEGATE_FLAG` in the environment.
///
/// The program does not inherit the application's environment, which often holds secrets. It gets `PATH`, `HOME`,
/// `LANG`, `LC_ALL`, `TZ` and `TMPDIR` (on Windows also `SystemRoot`, `ComSpec`, `PATHEXT`, `TEMP`, `TMP` and
/// `USERPROFILE`), and what [`passing`](Command::passing) and [`with_variable`](Command::with_variable) name.
///
/// What ends with 0 has delivered it, whether it has read its input or not. What it writes to the standard output
/// is thrown away; the end of what it writes to standard error goes into the error, so it should print no secret
/// there. After the deadline, 30 seconds, it is killed; what it has started and left behind is not.
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
    /// As the application has it when the program starts.
    Inherited,
    Given(OsString),
}

/// The variables of the application that every program gets. None of them is a place for secrets.
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

const DEADLINE: Duration = Duration::from_secs(30);

/// The longest time between two looks at whether the program has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How long the end of standard error is waited for after the program's own: something it has left behind may
/// keep it open.
const LINGER: Duration = Duration::from_millis(200);

/// Bytes of standard error that are kept.
const KEPT: usize = 4096;

impl Command {
    /// Runs that program: a path, or a name that is looked for in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Command {
        let (arguments, variables) = (Vec::new(), Vec::new());
        Command { program: program.into(), arguments, variables, deadline: DEADLINE }
    }

    /// With one more argument.
    #[must_use]
    pub fn with_argument(mut self, argument: impl Into<OsString>) -> Command {
        self.arguments.push(argument.into());
        self
    }

    /// Passes one more variable of the application's environment to the program. A variable that is
    /// not set when the program starts is not passed.
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

    /// Sets one more variable in the program's environment. `Debug` does not print the value.
    #[must_use]
    pub fn with_variable(
        mut self,
        name: impl Into<OsString>,
        value: impl Into<OsString>,
    ) -> Command {
        self.variables.push((name.into(), Variable::Given(value.into())));
        self
    }

    /// Killed after that time.
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
        let mut attended = attend(&mut child, notification.to_json());
        // The standard library has no waiting for a program with a deadline: it is looked at now and then.
        let (_open, pause) = mpsc::channel::<()>();
        let mut wait = Duration::from_millis(1);
        while attended.is_ok() {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) if status.success() => return Ok(Ok(())),
                Ok(Some(status)) => {
                    let said = attended.map(|said| said.end(LINGER)).unwrap_or_default();
                    return Ok(Err(format!("failed ({status}){said}")));
                }
                Err(error) => attended = Err(error),
            }
            let left = self.deadline.saturating_sub(monotonic().saturating_sub(begin));
            if left.is_zero() {
                break;
            }
            let _ = pause.recv_timeout(wait.min(left));
            wait = (wait * 2).min(LOOK);
        }
        child.kill()?;
        child.wait()?;
        let said = attended?.end(Duration::ZERO);
        Ok(Err(format!("took longer than {}{said}", Quantity::Duration(self.deadline))))
    }
}

impl Delivery for Command {
    /// # Errors
    ///
    /// Another exit code than 0, a signal, the deadline; in the end where there is no such program, or it may not be
    /// run.
    fn deliver(&mut self, notification: &Notification) -> Result<(), Undelivered> {
        let program = self.program.display();
        match self.run(notification) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wrong)) => Err(Undelivered::for_now(format!("`{program}` {wrong}"))),
            Err(error) => {
                let message = format!("cannot run `{program}`: {error}");
                let is_final = matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                );
                Err(if is_final {
                    Undelivered::for_ever(message)
                } else {
                    Undelivered::for_now(message)
                })
            }
        }
    }
}

/// Arguments and values of variables may be secret.
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

/// What a program has written to standard error lately.
struct Said {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Hangs up at its end.
    ended: Receiver<()>,
}

/// Threads that write the input and read standard error: a program may do neither its reading nor its ending in the
/// order that one thread would wait for. Each ends when nobody holds the other side any more.
fn attend(child: &mut Child, json: String) -> io::Result<Said> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let name = || thread::Builder::new().name("stagegate-command".to_owned());
    // That it reads nothing, or not all, is its own affair.
    name().spawn(move || stdin.map(|mut stdin| stdin.write_all(json.as_bytes())))?;
    let kept = Arc::default();
    let (end, ended) = mpsc::channel();
    let theirs = Arc::clone(&kept);
    name().spawn(move || stderr.map(|stderr| keep(stderr, &theirs, &end)))?;
    Ok(Said { kept, ended })
}

fn keep(mut stderr: ChildStderr, kept: &Mutex<Vec<u8>>, _hangs_up: &Sender<()>) {
    let mut bytes = [0; KEPT];
    while let Ok(read @ 1..) = stderr.read(&mut bytes) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes.get(..read).unwrap_or_default());
        let old = kept.len().saturating_sub(KEPT);
        kept.drain(..old);
    }
}

impl Said {
    /// What stands at the end of an error: `: no such channel`; nothing where nothing was said.
    fn end(&self, wait: Duration) -> String {
        let _ = self.ended.recv_timeout(wait);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match text::end_of(&String::from_utf8_lossy(&kept)) {
            said if said.is_empty() => said,
            said => format!(": {said}"),
        }
    }
}
