//! `document`: prints the document in force.

use serde::Serialize;

use super::open::{self, rollout_failure};
use crate::args::Format;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Document;

#[derive(Serialize)]
struct DocumentResult<'d> {
    document: String,
    name: &'d str,
    text: &'d str,
}

pub(super) fn run(args: &Document, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::read_only(&args.store.access)?;
    let (plan, hash) = match args.at {
        None => (rollout.plan(), rollout.status().document),
        Some(at) => {
            let past = rollout.at(at).map_err(|error| rollout_failure(&error))?;
            (past.plan, past.record.document)
        }
    };
    let document = plan.document();
    let text = document.text().unwrap_or_default();
    match args.store.format {
        Format::Human => output.text(text)?,
        Format::Json => {
            let (document, name) = (hash.to_string(), document.label());
            output.json("document", &DocumentResult { document, name, text })?;
        }
    }
    Ok(Answer::Yes)
}
