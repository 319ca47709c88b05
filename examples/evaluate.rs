//! Answers for a stream of users: `cargo run --release --example evaluate -- DOCUMENT FLAG [STAGE]`
//!
//! Reads user keys from standard input, one a line, and prints one line each, in the same order:
//!
//! ```text
//! KEY <tab> true|false <tab> COHORT <tab> BUCKET
//! ```
//!
//! - KEY is any bytes, printed as read; it need not be UTF-8. The other three fields hold no tab,
//!   so a key with tabs is split off from the right.
//! - A line ends with LF or CRLF, as in a `users_file`, so a list of users saved on Windows names
//!   the same users. A carriage return elsewhere is part of the key. The last line needs no end.
//! - An empty line is the user with the empty key.
//! - `true` or `false` is the flag's answer at its stage, or at STAGE when that is given.
//! - COHORT is the earliest stage that holds the user, `-` for none; BUCKET is decimal. Neither
//!   depends on the stage. Users have no attributes here, so groups by `where` match nobody.
//!
//! Where the answers go to a file or a pipe and standard error is a terminal, it shows how many users there have been.
//!
//! Exits with 0 when done, or when nobody reads on (`| head`); 1 for a bad document, an unknown
//! flag or stage; 2 for wrong usage; 3 when standard input or output fails, or a line is too long.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::Instant;

use stagegate::{Gate, StageName};

/// Bytes of a line, its end included: what bounds the memory. No sane key comes near.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Bytes read or written at once.
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

/// The document's gate, with the flag at the stage to try.
fn gate_at(document: &OsStr, flag: &str, stage: Option<&OsString>) -> Result<Gate, Box<dyn Error>> {
    let gate = Gate::from_path(document)?;
    // Without a stage to try, the one the flag is at. A flag that does not exist is at none, and
    // is refused below with the nearest that does.
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
                let message = format!("line {number} has {MAX_LINE_BYTES} bytes and more");
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

/// One line on standard error, written over and over; removed when it is dropped.
struct Progress {
    begun: Instant,
    is_shown: bool,
}

/// Users between two looks at the clock.
const STEP: u64 = 1 << 20;

impl Progress {
    fn new(is_shown: bool) -> Progress {
        Progress { begun: Instant::now(), is_shown }
    }

    fn note(&mut self, users: u64) {
        if self.is_shown && users.is_multiple_of(STEP) {
            let speed = u128::from(users) * 60 / self.begun.elapsed().as_micros().max(1);
            eprint!("\r{} million users, {speed} million a minute ", users / 1_000_000);
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
