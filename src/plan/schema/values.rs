//! The mirror of texts and numbers that have a certain form.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::plan::model::Word;

/// Declares types whose schema is written here.
macro_rules! values {
    ($($name:ident { $($schema:tt)* })*) => {$(
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ $($schema)* })
            }
        }
    )*};
}

/// One of the words of a type.
pub(super) struct OneOf<W>(PhantomData<W>);

impl<W: Word> JsonSchema for OneOf<W> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OneOf".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = W::ALL.iter().map(|value| value.word()).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

/// A value of any type.
pub(super) struct Anything;

impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

values! {
    Version {
        "const": 1,
    }
    Algorithm {
        "const": "xxh3-ppm-1",
    }
    Key {
        "type": "string",
        "description": "1 to 128 of a-z A-Z 0-9 . _ -, the first a letter or digit.",
        "pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$",
    }
    AskedAs {
        "description": "A name or a list of names. A name has 1 to 256 bytes without control characters.",
        "type": ["string", "array"],
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
        "maxLength": 256,
        "items": {
            "type": "string",
            "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$",
            "maxLength": 256,
        },
        "maxItems": 16,
    }
    Approvals {
        "type": "object",
        "description": "A list of roles for each stage. `force`: how many people approve a forced promotion.",
        "patternProperties": {
            "^force$": { "type": "integer", "minimum": 1, "maximum": 16 },
            "^(?!force$)[a-zA-Z0-9][a-zA-Z0-9._-]{0,30}$": {
                "type": "array",
                "items": { "type": "string", "pattern": r"\S", "maxLength": 256 },
                "minItems": 1,
                "maxItems": 1000,
                "uniqueItems": true,
            },
        },
        "additionalProperties": false,
    }
    StageName {
        "type": "string",
        "description": "1 to 31 of a-z A-Z 0-9 . _ -, the first a letter or digit.",
        "pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,30}$",
    }
    VariableName {
        "type": "string",
        "description": "1 to 128 of a-z 0-9 _, not beginning with a digit.",
        "pattern": "^[a-z_][a-z0-9_]{0,127}$",
    }
    UserKey {
        "type": "string",
        "description": "Without white space around it.",
        "pattern": r"^\S(?:[\s\S]*\S)?$",
        "maxLength": 512,
    }
    Text {
        "type": "string",
        "description": "At most 4096 bytes, not all of it blank.",
        "pattern": r"\S",
        "maxLength": 4096,
    }
    Template {
        "type": "string",
        "description": "A text in which {{ name }} stands for a variable.",
        "pattern": r"^(?=[\s\S]*\S)(?:(?!\{[{%#])[\s\S]|\{\{\s*[a-z_][a-z0-9_]*\s*\}\})*$",
        "maxLength": 4096,
    }
    Percent {
        "type": "number",
        "description": "A decimal number in steps of 0.0001, without an exponent.",
        "minimum": 0,
        "maximum": 100,
    }
    Duration {
        "type": "string",
        "description": "Whole numbers with their units w, d, h, m, s, ms, the longest first.",
        "pattern": concat!(
            r"^(?=.*\d)\s*(?:\d+w\s*)?(?:\d+d\s*)?(?:\d+h\s*)?",
            r"(?:\d+m\s*)?(?:\d+s\s*)?(?:\d+ms\s*)?$",
        ),
        "examples": ["2d", "1d 12h", "250ms"],
    }
    Date {
        "type": "string",
        "description": "Year, month and day.",
        "pattern": r"^\d{4}-\d{2}-\d{2}$",
        "examples": ["2026-01-05"],
    }
    Start {
        "type": "string",
        "description": "A day, or a moment with the name of its time zone.",
        "pattern": r"^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::00)?\[[^\[\]]+\])?$",
        "examples": ["2026-01-05", "2026-01-05T09:00[Europe/Berlin]"],
    }
    When {
        "type": "string",
        "description": "Days before or after the stage begins, or one of the words.",
        "pattern": r"^(?:[+-]0*[1-9]\d*d|start|weekly|end|rollback|as_needed)$",
        "examples": ["-3d", "+1d", "start", "weekly", "end", "rollback"],
    }
    Hours {
        "type": "string",
        "description": "Days of the week, and from when to when on each of them.",
        "pattern": r"^\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b",
        "examples": ["Mon-Fri 09:00-18:00", "Sat", "Fri 18:00-09:00"],
    }
    Bound {
        "type": "string",
        "description": "On which side of a number a metric has to be, with the metric's unit.",
        "pattern": r"^\s*[<>]=?\s*-?\d",
        "examples": ["< 1%", "<= 250ms", "> 20", "> -3.5"],
    }
    Bounds {
        "type": "string",
        "description": "Bounds of a number, a version or a date, separated by commas.",
        "pattern": r"^\s*(?:[<>]=?|=)\s*[-0-9A-Za-z]",
        "maxLength": 4096,
        "examples": [">= 18", "> 10, <= 100", ">= 4.2.0", "< 2026-01-05"],
    }
    Increase {
        "type": "string",
        "description": "How much worse, in percent of what users without the flag have.",
        "pattern": r"^\s*\d+(?:\.\d+)?\s*%\s*$",
        "examples": ["50%"],
    }
    Share {
        "type": "string",
        "description": "A percentage, above 0% and below 100%.",
        "pattern": r"^\s*\d+(?:\.\d+)?\s*%\s*$",
        "examples": ["0.4%"],
    }
    Quantity {
        "type": ["string", "number"],
        "description": "A number with its metric's unit; a count and a number need no quotes.",
        "pattern": r"^\s*-?\d",
        "minimum": -1_000_000_000_000_i64,
        "maximum": 1_000_000_000_000_i64,
        "examples": ["5%", "2s", 20, -3.5],
    }
}
