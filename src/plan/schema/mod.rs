//! The JSON Schema of documents, derived from types that mirror them.
//!
//! The mirror describes the form of a document, for editors; what only [`Plan::parse`] knows (that
//! a group exists, that percentages do not fall) it leaves out. No document is read through it: a
//! test holds it to the reader, field by field.
//!
//! [`Plan::parse`]: crate::Plan::parse

#![expect(dead_code, reason = "the types are only looked at, never made")]

mod document;
mod sections;
mod stage;
mod values;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};

/// The JSON Schema (draft 2020-12) of plan documents, as JSON text: for editors that complete and
/// check while a document is written.
///
/// Every document that [`Plan::parse`](crate::Plan::parse) accepts is valid by it, a date that TOML
/// writes without quotes taken as its text. It accepts more: whether a group exists, or a stage
/// lets in fewer than the one before, is no question of form.
///
/// # Example
///
/// ```
/// let schema = stagegate::model::json_schema();
/// assert!(schema.contains("https://json-schema.org/draft/2020-12/schema"));
/// assert!(schema.contains("hold_back"));
/// ```
#[must_use]
pub fn json_schema() -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    let mut schema = settings.into_generator().into_root_schema_for::<document::Document>();
    schema.insert("$id".to_owned(), ID.into());
    schema.insert("title".to_owned(), "Plan document of stagegate".into());
    format!("{:#}\n", schema.as_value())
}

/// A name, not an address: the schema is printed, not fetched.
const ID: &str = "urn:stagegate:plan:1";

/// A field that may be left out may not be null; and the width of an integer is nobody's business.
#[derive(Clone, Debug)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        schema.remove("format");
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(types) = object.get_mut("type").and_then(|types| types.as_array_mut()) {
            types.retain(|name| name != "null");
            if let [only] = &**types {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        let Some(any) = object.get_mut("anyOf").and_then(|any| any.as_array_mut()) else { return };
        any.retain(|one| one.get("type").is_none_or(|name| name != "null"));
        let only = if let [only] = &**any { only.as_object().cloned() } else { None };
        if let Some(only) = only {
            object.remove("anyOf");
            object.extend(only);
        }
    }
}
