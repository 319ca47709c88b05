//! `key`: secret keys that sign records, and their public keys.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use stagegate::rollout::{PublicKeys, SigningKey};

use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::key_args::{Key, New};
use crate::output::Output;

#[derive(Serialize)]
struct KeyResult<'k> {
    /// The line for the file of `verify --keys`.
    public: &'k str,
}

pub(super) fn run(verb: &Key, output: &Output) -> Result<Answer, Failure> {
    let (name, key, format) = match verb {
        Key::New(args) => ("key new", create(args)?, args.format),
        Key::Show(args) => ("key show", read_secret(&args.file)?, args.format),
    };
    let public = key.public_key();
    match format {
        Format::Human => output.text(&format!("{}\n", terminal(public.trim_end())))?,
        Format::Json => output.json(name, &KeyResult { public: public.trim_end() })?,
    }
    Ok(Answer::Yes)
}

fn create(args: &New) -> Result<SigningKey, Failure> {
    let name = args.name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::Usage("no name. Pass `--name NAME`, in one line".to_owned()));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::Io(format!("the system has no random bytes: {error}")))?;
    let key = SigningKey::new(name, &secret);
    let path = args.file.display().to_string();
    let failed = |error| Failure::io(&format!("cannot write `{}`", terminal(&path)), &error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&args.file).map_err(failed)?;
    let written = file.write_all(key.to_secret_text().as_bytes()).and_then(|()| file.sync_all());
    written.map_err(failed)?;
    Ok(key)
}

/// Reads a secret key. Refuses a file that others can read, as `ssh` does.
pub(crate) fn read_secret(path: &Path) -> Result<SigningKey, Failure> {
    let (shown, text) = read(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open_to_others = |it: fs::Metadata| it.permissions().mode() & 0o077 != 0;
        if fs::metadata(path).is_ok_and(open_to_others) {
            return Err(Failure::Io(format!(
                "other users can read `{shown}`. Run `chmod 600 {shown}`, and create another key if they may have"
            )));
        }
    }
    SigningKey::parse(&text).map_err(|error| Failure::Io(format!("{shown}: {error}")))
}

/// Reads a file of public keys.
pub(crate) fn read_public(path: &Path) -> Result<PublicKeys, Failure> {
    let (shown, text) = read(path)?;
    PublicKeys::parse(&text).map_err(|error| Failure::Io(format!("{shown}: {error}")))
}

/// Returns the path for a terminal, and the file's text.
pub(crate) fn read(path: &Path) -> Result<(String, String), Failure> {
    let shown = terminal(&path.display().to_string());
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| Failure::io(&format!("cannot read `{shown}`"), &error))?;
    Ok((shown, text))
}
