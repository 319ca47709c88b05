//! The verbs that act on a rollout or read one.

mod act;
mod all;
mod anchor;
mod archive;
mod backup;
mod confirm;
mod document;
mod history;
mod open;
mod publish;
mod record;
mod run;
mod start;
mod status;
mod tick;
mod upgrade;
mod verify;

pub(super) use open::{read_only_directory, rollout_failure};
pub(super) use record::moment_text;

use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{Incident, Metric, RolloutVerb};

pub(super) fn run(verb: RolloutVerb, output: &Output) -> Result<Answer, Failure> {
    match verb {
        RolloutVerb::Start(args) => start::start(&args, output),
        RolloutVerb::Update(args) => start::update(&args, output),
        RolloutVerb::Status(args) => status::run(&args, output),
        RolloutVerb::Promote(args) => act::promote(&args, output),
        RolloutVerb::Hold(args) => act::hold(args, output),
        RolloutVerb::Resume(args) => act::resume(args, output),
        RolloutVerb::Rollback(args) => act::rollback(&args, output),
        RolloutVerb::Sign(args) => act::sign(args, output),
        RolloutVerb::Incident(Incident::Report(args)) => act::report(args, output),
        RolloutVerb::Incident(Incident::Step(args)) => act::step(args, output),
        RolloutVerb::Incident(Incident::Close(args)) => act::close(args, output),
        RolloutVerb::Metric(Metric::Set(args)) => act::measure(args, output),
        RolloutVerb::History(args) => history::run(&args, output),
        RolloutVerb::Verify(args) => verify::run(&args, output),
        RolloutVerb::Backup(args) => backup::backup(&args, output),
        RolloutVerb::Restore(args) => backup::restore(&args, output),
        RolloutVerb::Archive(args) => archive::run(&args, output),
        RolloutVerb::Upgrade(args) => upgrade::run(&args, output),
        RolloutVerb::Anchor(args) => anchor::run(&args, output),
        RolloutVerb::Tick(args) => tick::run(&args, output),
        RolloutVerb::Run(args) => run::run(&args),
        RolloutVerb::Publish(args) => publish::run(&args, output),
        RolloutVerb::Document(args) => document::run(&args, output),
    }
}
