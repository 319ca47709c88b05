//! Readers that turn the text of a document into a tree, one for each format.

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

/// Returns the tree of a document. `None` if its syntax is invalid, which is then in the report.
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
