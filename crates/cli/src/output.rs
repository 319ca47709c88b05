//! Writing results to standard output, or to a file in one step.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;

/// The version of every JSON output. Increase it when a field changes its meaning or is removed.
const JSON_SCHEMA: u32 = 1;

/// The destination of a result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    file: Option<PathBuf>,
}

/// The first fields of every JSON output, and the result after them.
#[derive(Serialize)]
struct Envelope<'v, T> {
    schema: u32,
    verb: &'v str,
    #[serde(flatten)]
    result: T,
}

impl Output {
    /// Returns an output to this file, or to standard output.
    pub(crate) fn to(file: Option<PathBuf>) -> Output {
        Output { file }
    }

    /// Writes a text. Removes its colours unless it goes to a terminal.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        match &self.file {
            Some(file) => replace(file, anstream::adapter::strip_str(text).to_string().as_bytes()),
            None => to_stdout(text.as_bytes()),
        }
    }

    /// Writes a result as JSON, after the schema version and the verb.
    pub(crate) fn json(&self, verb: &str, result: &impl Serialize) -> Result<(), Failure> {
        self.text(&json(verb, result)?)
    }

    /// Writes a result in pieces, so that a long one needs little memory.
    pub(crate) fn stream(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        match &self.file {
            Some(file) => replace_with(file, write),
            None => {
                let mut stdout = BufWriter::new(io::stdout().lock());
                or_closed_pipe(write(&mut stdout).and_then(|()| stdout.flush()))
            }
        }
    }

    /// Writes a text to a new file, or to standard output. An existing file is an error.
    pub(crate) fn create(&self, text: &str) -> Result<(), Failure> {
        match &self.file {
            Some(file) => create(file, text.as_bytes()),
            None => to_stdout(text.as_bytes()),
        }
    }
}

/// Returns a result as JSON, after the schema version and the verb.
pub(crate) fn json(verb: &str, result: &impl Serialize) -> Result<String, Failure> {
    let envelope = Envelope { schema: JSON_SCHEMA, verb, result };
    let text = serde_json::to_string_pretty(&envelope)
        .map_err(|error| Failure::Io(format!("the result cannot be written: {error}")))?;
    Ok(text + "\n")
}

fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = anstream::stdout();
    or_closed_pipe(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Returns the failure of writing to standard output. A closed pipe is not a failure: the reader
/// has seen enough.
fn or_closed_pipe(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("cannot write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Replaces a file in one step, or leaves it unchanged.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    replace_with(file, |file| file.write_all(bytes))
}

fn replace_with(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| cannot_write(file, &error);
    let written = write_temporary(file, write).map_err(failed)?;
    written.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

fn create(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::Io(format!("`{}` already exists and was not changed", file.display()))
        }
        _ => cannot_write(file, &error),
    };
    let written = write_temporary(file, |file| file.write_all(bytes)).map_err(failed)?;
    written.persist_noclobber(file).map_err(|error| failed(error.error))?;
    Ok(())
}

fn cannot_write(file: &Path, error: &io::Error) -> Failure {
    Failure::io(&format!("cannot write `{}`", file.display()), error)
}

/// Writes a temporary file in the same directory, so that one rename replaces the target.
fn write_temporary(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<tempfile::NamedTempFile> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The usual mode of a new file; the process's umask still applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    let mut buffered = BufWriter::new(&mut temporary);
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    temporary.as_file().sync_all()?;
    Ok(temporary)
}
