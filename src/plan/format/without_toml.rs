//! What is said of TOML in a build that cannot read it.

use crate::plan::node::Node;
use crate::plan::report::Report;

pub(super) fn parse<'a>(_: &'a str, report: &mut Report<'a>) -> Option<Node<'a>> {
    let hint = "enable the feature `toml` of stagegate";
    report.whole("found TOML, which this build does not read".to_owned(), hint);
    None
}
