//! `stagegate`: checks, shows, schedules, explains and executes staged rollout plans.
//!
//! Exit codes: 0 good, 1 the answer is no, 2 usage, 3 could not read or write.

#![forbid(unsafe_code)]

mod amount;
mod args;
mod document;
mod escape;
mod excerpt;
mod failure;
mod guard_args;
mod output;
mod place;
mod published;
mod rollout_args;
mod run_args;
mod telling;
mod terminal;
mod users;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use failure::Answer;

fn main() -> ExitCode {
    // Prints help and usage by itself; usage errors end with 2.
    let cli = Cli::parse();
    match verbs::run(cli) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(failure) => failure.report(),
    }
}
