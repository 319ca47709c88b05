//! Evaluates a flag for a stream of users: `cargo run --release --example evaluate -- DOCUMENT FLAG [STAGE]`
//!
//! Reads user keys from standard input, one per line, and prints one line for each, in the same order:
//!
//! ```text
//! KEY <tab> true|false <tab> COHORT <tab> BUCKET
//! ```
//!
//! - KEY is printed as read. It may be any bytes, not only UTF-8. The other three fields contain no tab, so split the line
//!   from the right.
//! - A line ends with LF or CRLF, as in a `users_file`. A carriage return elsewhere is part of the key. The last line needs
//!   no line end.
//! - An empty line is the user with the empty key.
//! - `true` or `false` is the flag's answer at its stage, or at STAGE if given.
//! - COHORT is the earliest stage that holds the user, or `-`. BUCKET is decimal. Neither depends on the stage. The users
//!   have no attributes, so groups with `where` match no user.
//!
//! If standard error is a terminal and standard output is not, it shows the number of users so far.
//!
//! Exit codes: 0 for success, also if the reader closes the pipe (`| head`); 1 for an invalid document or an unknown flag or
//! stage; 2 for wrong usage; 3 for a failed read or write, or a line that is too long.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Instant;

use stagegate::{Gate, StageName};

/// The longest accepted line, including its end, which bounds the memory used.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Size of the read and write buffers.
const BUFFER_BYTES: usize = 64 << 10;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (document, flag, stage) = match arguments.as_slice() {
        [document, flag] => (document, flag.to_string_lossy(), None),
        [document, flag, stage] => (document, flag.to_string_lossy(), Some(stage)),
        _ => {
            eprintln!("usage: evaluate DOCUMENT FLAG [STAGE] < KEYS");
            return ExitCode::from(2);
        }
    };
    let gate = match gate_at(document, &flag, stage) {
        Ok(gate) => gate,
        Err(error) => {
            eprintln!("evaluate: {error}");
            return ExitCode::from(1);
        }
    };
    let keys = BufReader::with_capacity(BUFFER_BYTES, io::stdin().lock());
    let answers = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let progress = Progress::new(io::stderr().is_terminal() && !io::stdout().is_terminal());
    match answer(&gate, &flag, keys, answers, progress) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evaluate: {error}");
            ExitCode::from(3)
        }
    }
}

/// Loads the document and moves the flag to the given stage.
fn gate_at(document: &OsStr, flag: &str, stage: Option<&OsString>) -> Result<Gate, Box<dyn Error>> {
    let gate = Gate::from_path(document)?;
    // Without a given stage, keep the current one. `force_stage` rejects an unknown flag and suggests a similar one.
    let now = gate.evaluate("", flag).stage.unwrap_or(StageName::OFF);
    let stage = stage.map_or(now.as_str().into(), |stage| stage.to_string_lossy());
    gate.force_stage(flag, &stage, "what-if")?;
    Ok(gate)
}

fn answer(
    gate: &Gate,
    flag: &str,
    mut keys: impl BufRead,
    mut out: impl Write,
    mut progress: Progress,
) -> io::Result<()> {
    let flags = gate.pin();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if keys.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let key = match line.strip_suffix(b"\n") {
            Some(key) => key,
            None if line.len() as u64 == MAX_LINE_BYTES => {
                let message = format!("line {number} has {MAX_LINE_BYTES} bytes or more");
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
            None => &line,
        };
        let key = key.strip_suffix(b"\r").unwrap_or(key);
        let answer = flags.evaluate(key, flag);
        let cohort = answer.cohort.as_ref().map_or("-", StageName::as_str);
        out.write_all(key)?;
        writeln!(out, "\t{}\t{cohort}\t{}", answer.enabled, answer.bucket.unwrap_or_default())?;
        progress.note(number);
    }
    out.flush()
}

/// A progress line on standard error. Dropping it clears the line.
struct Progress {
    begun: Instant,
    is_shown: bool,
}

/// The number of users between two updates of the progress line.
const STEP: u64 = 1 << 20;

impl Progress {
    fn new(is_shown: bool) -> Progress {
        Progress { begun: Instant::now(), is_shown }
    }

    fn note(&mut self, users: u64) {
        if self.is_shown && users.is_multiple_of(STEP) {
            let speed = u128::from(users) * 60 / self.begun.elapsed().as_micros().max(1);
            eprint!("\r{} million users, {speed} million per minute ", users / 1_000_000);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
