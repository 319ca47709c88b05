//! `schema`: prints the JSON Schema of plan documents.

use serde::Serialize;
use stagegate::model;

use crate::args::{Format, Schema};
use crate::failure::{Answer, Failure};
use crate::output::Output;

pub(crate) fn run(args: &Schema, output: &Output) -> Result<Answer, Failure> {
    let schema = model::json_schema();
    match args.format {
        Format::Human => output.text(&(schema + "\n"))?,
        Format::Json => {
            let document: serde_json::Value = serde_json::from_str(&schema)
                .map_err(|error| Failure::Io(format!("the schema cannot be read: {error}")))?;
            output.json("schema", &SchemaResult { document })?;
        }
    }
    Ok(Answer::Yes)
}

#[derive(Serialize)]
struct SchemaResult {
    document: serde_json::Value,
}
