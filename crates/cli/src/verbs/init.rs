//! `init`: prints a document to start from.

use serde::Serialize;
use stagegate::model::STAGED_DOCUMENT;

use crate::args::{Format, Init, Template};
use crate::failure::{Answer, Failure};
use crate::output::Output;

const MINIMAL: &str = include_str!("init/minimal.toml");

pub(crate) fn run(args: &Init, output: &Output) -> Result<Answer, Failure> {
    let document = match args.template {
        Template::Minimal => MINIMAL,
        Template::Staged => STAGED_DOCUMENT,
    };
    match args.format {
        Format::Human => output.create(document)?,
        Format::Json => output.create(&crate::output::json("init", &InitResult { document })?)?,
    }
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct InitResult {
    document: &'static str,
}
