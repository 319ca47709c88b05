//! The JSON Schema of documents, derived from types that mirror a document.
//!
//! The mirror describes the form of a document, for editors. It leaves out what only [`Plan::parse`] knows: whether a
//! group exists, or whether percentages fall. No document is read through the mirror. A test compares the mirror with
//! the reader, field by field.
//!
//! [`Plan::parse`]: crate::Plan::parse

#![expect(dead_code, reason = "schemars reads the types; no value is made")]

mod document;
mod sections;
mod stage;
mod values;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};

/// Returns the JSON Schema (draft 2020-12) of plan documents, for editors that complete and check.
///
/// Every document that [`Plan::parse`](crate::Plan::parse) accepts is valid by the schema, if a TOML date counts as its
/// text. The schema accepts more documents. For example, it does not know whether a group exists.
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

/// A name, not an address: no one can fetch the schema from it.
const ID: &str = "urn:stagegate:plan:1";

/// Removes `null` from optional fields, and the width of integers.
///
/// You can leave an optional field out, but you cannot set it to null.
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
