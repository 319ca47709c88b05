//! `start` and `update`: put a document in force.

use serde::Serialize;
use stagegate::Plan;

use super::act::print_refusal;
use super::confirm;
use super::open::{self, Who, rollout_failure};
use super::record::count;
use crate::args::Format;
use crate::document;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{Start, Update};
use crate::verbs;

#[derive(Serialize)]
struct StartResult<'s> {
    store: String,
    document: String,
    flags: Vec<FlagResult<'s>>,
}

#[derive(Serialize)]
struct FlagResult<'s> {
    flag: &'s str,
    stage: &'s str,
}

pub(super) fn start(args: &Start, output: &Output) -> Result<Answer, Failure> {
    let format = args.action.store.format;
    let document = document::read(&args.document, &args.reading)?;
    // Checked first: an invalid document creates no store.
    document::parse(&document, "start", format, output)?;
    let rollout =
        open::new_rollout(&args.action, document)?.map_err(|error| rollout_failure(&error))?;
    let status = rollout.status();
    match format {
        Format::Human => {
            let mut text = format!(
                "{}: started with {}\n",
                terminal(&status.store),
                count(status.flags.len(), "flag")
            );
            for flag in &status.flags {
                text += &format!("  {}: {}\n", flag.flag, flag.state.stage);
            }
            output.text(&text)?;
        }
        Format::Json => {
            let flags = status.flags.iter();
            let flags = flags.map(|flag| FlagResult { flag: &flag.flag, stage: &flag.state.stage });
            let (store, document) = (status.store.clone(), status.document.to_string());
            output.json("start", &StartResult { store, document, flags: flags.collect() })?;
        }
    }
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct UpdateResult<'u> {
    done: bool,
    document: String,
    changes: Vec<ChangeResult<'u>>,
}

#[derive(Serialize)]
struct ChangeResult<'u> {
    flag: &'u str,
    stage: Option<&'u str>,
    new: bool,
    /// Whether an earlier document had removed the flag.
    back: bool,
    audience: Vec<&'u str>,
    reason: Option<&'u str>,
    permissions: Vec<&'u str>,
    reset: Vec<&'u str>,
}

pub(super) fn update(args: &Update, output: &Output) -> Result<Answer, Failure> {
    let format = args.action.store.format;
    // Checked before the question.
    Who::of(&args.action.who, &args.action.store.access)?;
    let document = document::read(&args.document, &args.reading)?;
    document::parse(&document, "update", format, output)?;
    if !args.yes {
        // Not locked: an unanswered question must not delay a rollback.
        let rollout = open::read_only(&args.action.store.access)?;
        let changes = match rollout.preview(document.clone()) {
            Ok(changes) => changes,
            Err(error) => return print_refusal(&error, format, "update", output),
        };
        let changes = changes.iter().map(|change| terminal(&change.to_string()) + "\n");
        let changes: String = changes.collect();
        let changes = match &*changes {
            "" => "the document changes no flag's state",
            changes => changes.trim_end(),
        };
        // As in `diff`: people confirm what changes for users and what the rollout resets.
        let plan = Plan::parse(document.clone()).map_err(|error| Failure::Io(error.to_string()))?;
        let users = verbs::diff::summary(&rollout.plan(), &plan);
        confirm::ask(&format!("{}\n{changes}", users.trim_end()))?;
    }
    let acting = open::acting(&args.action)?;
    let changes = match acting.actor().update(document) {
        Ok(changes) => changes,
        Err(error) => return print_refusal(&error, format, "update", output),
    };
    match format {
        Format::Human => {
            let mut text = String::new();
            for change in &changes {
                text += &format!("{}\n", terminal(&change.to_string()));
            }
            text += "the document is in force\n";
            output.text(&text)?;
        }
        Format::Json => {
            let document = acting.rollout.status().document.to_string();
            let changes = changes.iter().map(|change| ChangeResult {
                flag: &change.flag,
                stage: change.stage.as_deref(),
                new: change.new,
                back: change.back,
                audience: change.audience.iter().map(|what| &**what).collect(),
                reason: change.reason.as_deref(),
                permissions: change.permissions.iter().map(|what| &**what).collect(),
                reset: change.reset.iter().map(|what| &**what).collect(),
            });
            let changes = changes.collect();
            output.json("update", &UpdateResult { done: true, document, changes })?;
        }
    }
    Ok(Answer::Yes)
}
