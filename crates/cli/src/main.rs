//! The command line `stagegate`: validates, shows and executes staged rollout plans.
//!
//! Exit codes: 0 success, 1 the answer is no, 2 usage error, 3 I/O error.

#![forbid(unsafe_code)]

mod amount;
mod args;
mod document;
mod escape;
mod excerpt;
mod failure;
mod guard_args;
mod key_args;
mod look_alikes;
mod notifications;
mod output;
mod published;
mod rollout_args;
mod run_args;
mod store_location;
mod terminal;
mod users;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use failure::Answer;

fn main() -> ExitCode {
    // Prints help, and exits with 2 on a usage error.
    let cli = Cli::parse();
    match verbs::run(cli) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => failure.report(),
    }
}
