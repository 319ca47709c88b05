//! The verbs, one module each.

mod check;
mod completions;
pub(crate) mod diff;
mod explain;
mod guard;
mod init;
pub(crate) mod key;
mod messages;
mod responsible;
mod rollout;
mod schema;
pub(crate) mod show;
pub(crate) mod timeline;

use crate::args::{Cli, Verb};
use crate::failure::{Answer, Failure};
use crate::output::Output;

pub(crate) fn run(cli: Cli) -> Result<Answer, Failure> {
    let output = Output::to(cli.output);
    match cli.verb {
        Verb::Init(args) => init::run(&args, &output),
        Verb::Check(args) => check::run(&args, &output),
        Verb::Show(args) => show::run(&args, &output),
        Verb::Timeline(args) => timeline::run(&args, &output),
        Verb::Completions(args) => completions::completions(&args, &output),
        Verb::Man => completions::man(&output),
        Verb::Messages(args) => messages::run(&args, &output),
        Verb::Responsible(args) => responsible::run(&args, &output),
        Verb::Explain(args) => explain::run(&args, &output),
        Verb::Diff(args) => diff::run(&args, &output),
        Verb::Guard(verb) => guard::run(&verb, &output),
        Verb::Key(verb) => key::run(&verb, &output),
        Verb::Rollout(verb) => rollout::run(verb, &output),
        Verb::Schema(args) => schema::run(&args, &output),
    }
}
