//! `risks`: risks and their mitigations.

use std::sync::Arc;

use crate::plan::fields::Fields;
use crate::plan::model::list;
use crate::plan::model::word::{self, words};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A risk and its mitigation.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::Level;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     risks = [{ risk = "load", impact = "high", mitigation = "a load test first" }]
/// "#)?;
/// let risk = &plan.flag("search").unwrap().risks()[0];
/// assert_eq!((risk.likelihood, risk.impact), (None, Some(Level::High)));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Risk {
    /// The event that could happen.
    pub risk: Box<str>,
    /// How likely it is.
    pub likelihood: Option<Level>,
    /// How bad it would be.
    pub impact: Option<Level>,
    /// The measure against it.
    pub mitigation: Box<str>,
    /// The person or role that takes care of it.
    pub owner: Option<Box<str>>,
}

words! {
    /// The level of a likelihood or an impact. Printed as in a document.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Level: "not a level" {
        /// `low`
        Low = "low",
        /// `medium`
        Medium = "medium",
        /// `high`
        High = "high",
    }
}

pub(super) fn read<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Arc<[Risk]> {
    let hint = "write a list of risks: [{ risk = \"...\", mitigation = \"...\" }]";
    let items = list::read(node, path, hint, report).iter().enumerate();
    items.filter_map(|(index, item)| read_risk(item, &path.index(index), report)).collect()
}

fn read_risk<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Risk> {
    let mut fields = Fields::open(node, path, report)?;
    let risk = fields.required_text("risk", "write what could happen", report);
    let mitigation = fields.required_text("mitigation", "write what is done about it", report);
    let likelihood = fields.optional("likelihood", report, word::read);
    let impact = fields.optional("impact", report, word::read);
    let owner = fields.take_text("owner", report).map(Box::from);
    fields.finish(report);
    let (likelihood, impact) = (likelihood?, impact?);
    Some(Risk { risk: risk?.into(), likelihood, impact, mitigation: mitigation?.into(), owner })
}
