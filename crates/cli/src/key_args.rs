//! Arguments of `key`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::Format;

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Write a new secret key, and print its public key.
    New(New),
    /// Print the public key of a secret key.
    Show(Show),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  stagegate key new ana.key --name ana
  stagegate promote new-checkout --key ana.key")]
pub(crate) struct New {
    /// File for the secret key; only its owner may read it. An existing file is not overwritten.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Set the name of the person or program. The key signs the records by this name.
    ///
    /// Automatic records have the name `stagegate`.
    #[arg(long, env = "STAGEGATE_BY", value_name = "NAME")]
    pub(crate) name: String,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// File with the secret key.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Choose the output format.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}
