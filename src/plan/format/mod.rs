//! From text to the tree, one module a notation.

#[cfg(feature = "json")]
mod json;
#[cfg(not(feature = "json"))]
#[path = "without_json.rs"]
mod json;
#[cfg(feature = "toml")]
mod toml;
#[cfg(not(feature = "toml"))]
#[path = "without_toml.rs"]
mod toml;

use super::document::Format;
use super::node::Node;
use super::report::Report;

/// The document's tree; `None` when its syntax leaves nothing to read, which has been told.
pub(super) fn parse<'a>(
    format: Format,
    text: &'a str,
    report: &mut Report<'a>,
) -> Option<Node<'a>> {
    match format {
        Format::Toml => toml::parse(text, report),
        Format::Json => json::parse(text, report),
    }
}
