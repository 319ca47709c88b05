//! The TOML reader of a build without the feature `toml`: it reports an error.

use crate::plan::node::Node;
use crate::plan::report::Report;

pub(super) fn parse<'a>(_: &'a str, report: &mut Report<'a>) -> Option<Node<'a>> {
    let hint = "enable the feature `toml` of stagegate";
    report.document_problem("found TOML, which this build does not read".to_owned(), hint);
    None
}
