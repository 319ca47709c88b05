//! Where results go: to the standard output or to a file, whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;

/// The version of every JSON output. It grows when a field changes its meaning or goes.
const JSON_SCHEMA: u32 = 1;

/// Where a result goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    file: Option<PathBuf>,
}

/// What every JSON output begins with.
#[derive(Serialize)]
struct Envelope<'v, T> {
    schema: u32,
    verb: &'v str,
    #[serde(flatten)]
    result: T,
}

impl Output {
    /// To that file, or to the standard output.
    pub(crate) fn to(file: Option<PathBuf>) -> Output {
        Output { file }
    }

    /// Writes a text, which may have colours: only a terminal gets them.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        match &self.file {
            Some(file) => replace(file, anstream::adapter::strip_str(text).to_string().as_bytes()),
            None => to_stdout(text.as_bytes()),
        }
    }

    /// Writes a result as JSON, with the version of the schema and the verb before it.
    pub(crate) fn json(&self, verb: &str, result: &impl Serialize) -> Result<(), Failure> {
        self.text(&json(verb, result)?)
    }

    /// Writes a text to a file that must not be there yet; else to the standard output.
    pub(crate) fn create(&self, text: &str) -> Result<(), Failure> {
        match &self.file {
            Some(file) => create(file, text.as_bytes()),
            None => to_stdout(text.as_bytes()),
        }
    }
}

/// A result as JSON.
pub(crate) fn json(verb: &str, result: &impl Serialize) -> Result<String, Failure> {
    let envelope = Envelope { schema: JSON_SCHEMA, verb, result };
    let text = serde_json::to_string_pretty(&envelope)
        .map_err(|error| Failure::Io(format!("the result cannot be written: {error}")))?;
    Ok(text + "\n")
}

/// A reader that has seen enough closes its end: that is no failure.
fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = anstream::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::io("cannot write to the standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Puts a file in the place of what was there: whole, or not at all.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::io(&format!("cannot write `{}`", file.display()), &error);
    let written = written_beside(file, bytes).map_err(failed)?;
    written.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

fn create(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::Io(format!("`{}` is there already and stays as it is", file.display()))
        }
        _ => Failure::io(&format!("cannot write `{}`", file.display()), &error),
    };
    let written = written_beside(file, bytes).map_err(failed)?;
    written.persist_noclobber(file).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A file of the same directory, so that putting it in its place is one step.
fn written_beside(file: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any file that a program makes; the process's mask still counts.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}
