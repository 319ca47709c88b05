//! The verbs that act on a rollout, or look at one.

mod act;
mod consent;
mod document;
mod history;
mod opened;
mod publish;
mod record;
mod run;
mod start;
mod status;
mod tick;
mod verify;

pub(super) use opened::{failed, looking};
pub(super) use record::moment_text;

use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{Incident, Metric, Verb};

pub(super) fn run(verb: Verb, output: &Output) -> Result<Answer, Failure> {
    match verb {
        Verb::Start(args) => start::start(&args, output),
        Verb::Update(args) => start::update(&args, output),
        Verb::Status(args) => status::run(&args, output),
        Verb::Promote(args) => act::promote(&args, output),
        Verb::Hold(args) => act::hold(args, output),
        Verb::Resume(args) => act::resume(args, output),
        Verb::Rollback(args) => act::rollback(&args, output),
        Verb::Sign(args) => act::sign(args, output),
        Verb::Incident(Incident::Report(args)) => act::report(args, output),
        Verb::Incident(Incident::Step(args)) => act::step(args, output),
        Verb::Incident(Incident::Close(args)) => act::close(args, output),
        Verb::Metric(Metric::Set(args)) => act::measure(args, output),
        Verb::History(args) => history::run(&args, output),
        Verb::Verify(args) => verify::run(&args, output),
        Verb::Tick(args) => tick::run(&args, output),
        Verb::Run(args) => run::run(&args),
        Verb::Publish(args) => publish::run(&args, output),
        Verb::Document(args) => document::run(&args, output),
    }
}
