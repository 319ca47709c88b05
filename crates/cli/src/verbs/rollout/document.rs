//! `document`: the document in force.

use serde::Serialize;

use super::opened::{self, failed};
use crate::args::Format;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Kept;

#[derive(Serialize)]
struct DocumentResult<'d> {
    document: String,
    name: &'d str,
    text: &'d str,
}

pub(super) fn run(args: &Kept, output: &Output) -> Result<Answer, Failure> {
    let rollout = opened::for_looking(&args.store)?;
    let (plan, hash) = match args.at {
        None => (rollout.plan(), rollout.status().document),
        Some(at) => {
            let past = rollout.at(at).map_err(|error| failed(&error))?;
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
