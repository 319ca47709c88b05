//! `start` and `update`: a document for a rollout.

use serde::Serialize;
use stagegate::Plan;

use super::act::refused;
use super::consent;
use super::opened::{self, failed};
use super::record::count;
use crate::args::Format;
use crate::document;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{Document, Update};
use crate::verbs;

#[derive(Serialize)]
struct Started<'s> {
    store: String,
    document: String,
    flags: Vec<StartedFlag<'s>>,
}

#[derive(Serialize)]
struct StartedFlag<'s> {
    flag: &'s str,
    stage: &'s str,
}

pub(super) fn start(args: &Document, output: &Output) -> Result<Answer, Failure> {
    let format = args.acting.store.format;
    let by = opened::who(&args.acting)?;
    let document = document::read(&args.document)?;
    // Nothing is made for what is no plan.
    document::parse(&document, "start", format, output)?;
    let rollout = opened::started(&args.acting, document, &by)?.map_err(|error| failed(&error))?;
    let status = rollout.status();
    match format {
        Format::Human => {
            let mut text = format!(
                "{}: began, with {}\n",
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
            let flags =
                flags.map(|flag| StartedFlag { flag: &flag.flag, stage: &flag.state.stage });
            let (store, document) = (status.store.clone(), status.document.to_string());
            output.json("start", &Started { store, document, flags: flags.collect() })?;
        }
    }
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct Updated<'u> {
    done: bool,
    document: String,
    changes: Vec<ChangeResult<'u>>,
}

#[derive(Serialize)]
struct ChangeResult<'u> {
    flag: &'u str,
    stage: Option<&'u str>,
    new: bool,
    /// Whether an earlier document had removed it.
    back: bool,
    audience: Vec<&'u str>,
    reason: Option<&'u str>,
    reset: Vec<&'u str>,
}

pub(super) fn update(args: &Update, output: &Output) -> Result<Answer, Failure> {
    let format = args.acting.store.format;
    let by = opened::who(&args.acting)?;
    let document = document::read(&args.document)?;
    document::parse(&document, "update", format, output)?;
    if !args.yes {
        // Not locked: a question that nobody answers holds up no roll-back.
        let rollout = opened::for_looking(&args.acting.store)?;
        let changes = match rollout.preview(document.clone()) {
            Ok(changes) => changes,
            Err(error) => return refused(&error, format, "update", output),
        };
        let changes = changes.iter().map(|change| terminal(&change.to_string()) + "\n");
        let changes: String = changes.collect();
        let changes = match &*changes {
            "" => "the document changes no flag's state",
            changes => changes.trim_end(),
        };
        // The same words as `diff`: people consent to what users will notice, and to what the rollout does about it.
        let plan = Plan::parse(document.clone()).map_err(|error| Failure::Io(error.to_string()))?;
        let users = verbs::diff::between(&rollout.plan(), &plan);
        consent::ask(&format!("{}\n{changes}", users.trim_end()))?;
    }
    let rollout = opened::acting(&args.acting.store, &args.acting.telling)?;
    let changes = match rollout.by(&by).update(document) {
        Ok(changes) => changes,
        Err(error) => return refused(&error, format, "update", output),
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
            let document = rollout.status().document.to_string();
            let changes = changes.iter().map(|change| ChangeResult {
                flag: &change.flag,
                stage: change.stage.as_deref(),
                new: change.new,
                back: change.back,
                audience: change.audience.iter().map(|what| &**what).collect(),
                reason: change.reason.as_deref(),
                reset: change.reset.iter().map(|what| &**what).collect(),
            });
            let changes = changes.collect();
            output.json("update", &Updated { done: true, document, changes })?;
        }
    }
    Ok(Answer::Yes)
}
