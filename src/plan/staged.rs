//! The built-in plan `staged`: what a flag follows whose document names no plan and no stages.

use super::document::{Document, Format};
use super::fields::Path;
use super::format;
use super::groups;
use super::report::Report;
use super::stages::{self, References, SharedPlan};
use crate::eval::Stage;
use crate::key::Key;

/// The document of the built-in plan, as `stagegate init` prints it.
///
/// A flag that names no plan and no stages follows the plan of this document. The channels and the sources of
/// metrics are those of the flag's own document. The group `team` is for a copy of the plan: the built-in stage
/// `internal` has no users.
///
/// # Example
///
/// ```
/// use stagegate::{Plan, model};
///
/// let template = Plan::parse(model::STAGED_DOCUMENT)?;
/// let small = Plan::parse("schema = 1\n[flags.search]")?;
/// let names = |plan: &Plan, flag| -> Vec<String> {
///     plan.flag(flag).unwrap().stages().map(|stage| stage.name().to_string()).collect()
/// };
/// assert_eq!(names(&template, "new-feature"), ["internal", "pilot", "expanded", "ga"]);
/// assert_eq!(names(&small, "search"), names(&template, "new-feature"));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
pub const STAGED_DOCUMENT: &str = include_str!("staged.toml");

/// The built-in plan's name in a document.
pub(super) const NAME: &str = "staged";

/// The name that its own document gives it.
const NAME_IN_DOCUMENT: &str = "our-plan";

/// Reads the plan with the metrics and channels of a document. `None` in a build that reads no TOML.
///
/// Its text has no problem of its own, which a test of the root package holds. A metric that the document declares
/// badly is reported there.
pub(super) fn read(refers: References<'_>) -> Option<SharedPlan> {
    let mut report = Report::new("the built-in plan".into());
    report.read_from(STAGED_DOCUMENT);
    let root = format::parse(Format::Toml, STAGED_DOCUMENT, &mut report)?;
    let path = Path::root();
    let groups =
        groups::read(root.field("groups"), &path, &Document::new(STAGED_DOCUMENT), &mut report);
    let refers = References { groups: &groups, ..refers };
    let plans = path.field("plans");
    let node = root.field("plans")?.field(NAME_IN_DOCUMENT)?;
    let (name, path) = (Key::parse(NAME).ok()?, plans.field(NAME_IN_DOCUMENT));
    let (mut plan, _) = stages::read_plan(&name, node, &path, refers, &mut report)?;
    // The group of its document is for you to fill in a copy. The built-in plan knows no users.
    let without_groups = |stage: &Stage| Stage::new(*stage.name(), stage.percent, Box::default());
    plan.stages.compiled = plan.stages.compiled.iter().map(without_groups).collect();
    Some(plan)
}
