//! The built-in plan `staged`. A flag without `plan` and `stages` follows it.

use super::document::{Document, Format};
use super::format;
use super::groups;
use super::path::Path;
use super::report::Report;
use super::stages::{self, BUILT_IN_PLAN, References, SharedPlan};
use crate::eval::StageDefinition;
use crate::key::Key;

/// The document of the built-in plan, as `stagegate init` prints it.
///
/// A flag without `plan` and `stages` follows the plan of this document. Channels and metric sources come from the
/// flag's own document. The group `team` is for copies of the plan: the built-in stage `internal` has no users.
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

/// The name of the plan in [`STAGED_DOCUMENT`].
const NAME_IN_DOCUMENT: &str = "our-plan";

/// Reads the plan with the metrics and channels of a document. `None` in a build without the feature `toml`.
///
/// Problems are dropped. A test of the root package checks that the plan's text has none, and an invalid metric
/// declaration is reported where the document has it.
pub(super) fn read(references: References<'_>) -> Option<SharedPlan> {
    let mut report = Report::new("the built-in plan".into());
    report.read_from(STAGED_DOCUMENT);
    let root = format::parse(Format::Toml, STAGED_DOCUMENT, &mut report)?;
    let path = Path::root();
    let groups =
        groups::read(root.field("groups"), &path, &Document::new(STAGED_DOCUMENT), &mut report);
    let references = References { groups: &groups, ..references };
    let plans = path.field("plans");
    let node = root.field("plans")?.field(NAME_IN_DOCUMENT)?;
    let (name, path) = (Key::parse(BUILT_IN_PLAN).ok()?, plans.field(NAME_IN_DOCUMENT));
    let (mut plan, _) = stages::read_plan(&name, node, &path, references, &mut report)?;
    // The group `team` is for copies of the plan. The built-in plan has no users.
    let without_groups = |stage: &StageDefinition| {
        StageDefinition::new(*stage.name(), stage.percent, Box::default(), Box::default())
    };
    plan.stages.compiled = plan.stages.compiled.iter().map(without_groups).collect();
    Some(plan)
}
