//! From the text of a document to a typed plan that cannot hold an invalid state.

mod document;
#[cfg(feature = "guard")]
mod doubts;
mod error;
mod fields;
mod flags;
mod format;
mod groups;
pub mod limits;
mod lines;
pub mod model;
// Without a notation nothing makes a tree.
#[cfg_attr(not(any(feature = "toml", feature = "json")), expect(dead_code))]
mod node;
#[cfg(any(feature = "rollout", feature = "follow"))]
mod packed;
mod reach;
#[cfg(any(feature = "rollout", feature = "follow"))]
mod replace;
mod report;
#[cfg(feature = "schema")]
mod schema;
mod stages;

use std::sync::Arc;

#[cfg(any(feature = "rollout", feature = "follow"))]
pub(crate) use document::read_file;
pub use document::{Document, Format};
#[cfg(feature = "guard")]
pub(crate) use doubts::StageDoubt;
pub(crate) use error::Excerpt;
pub use error::{PlanError, Problem};
pub(crate) use fields::{nearest, one_of};
pub(crate) use flags::PlannedFlag;
#[cfg(any(feature = "rollout", feature = "follow"))]
pub(crate) use replace::replace_file;
#[cfg(feature = "rollout")]
pub(crate) use replace::sync_directory_of;

use crate::eval::{Flag, Snapshot};
use fields::{Fields, Path};
use model::{FlagPlan, Metric, Metrics};
use report::Report;

/// A whole rollout plan: parsed, checked, ready for a [`Gate`](crate::Gate).
///
/// There is no invalid `Plan`: every reference in it resolves, percentages never fall from one
/// stage to the next, and each flag stands at a stage it has.
///
/// # Example
///
/// ```
/// use stagegate::{Document, Plan};
///
/// let plan = Plan::parse("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
/// assert_eq!(plan.flags().collect::<Vec<_>>(), ["new-checkout"]);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    document: Arc<Document>,
    /// In order of their keys.
    flags: Vec<PlannedFlag>,
    metrics: Arc<Metrics>,
    warnings: Arc<[Problem]>,
}

impl Plan {
    /// Reads a document: everything about it is checked before anything is returned.
    ///
    /// # Errors
    ///
    /// [`PlanError`] with every problem of the document, in order of their places.
    ///
    /// # Complexity
    ///
    /// Linear in the document's bytes; memory is bounded by [`limits`].
    pub fn parse(document: impl Into<Document>) -> Result<Plan, PlanError> {
        let document = document.into();
        let mut report = Report::new(document.label().into());
        let read = document.checked_text(&mut report).and_then(|text| {
            report.read_from(text);
            let root = format::parse(document.format_of(text), text, &mut report)?;
            read_root(&root, &document, &mut report)
        });
        let warnings = report.finish()?.into();
        match read {
            Some((flags, metrics)) => {
                let (document, metrics) = (Arc::new(document), Arc::new(metrics));
                Ok(Plan { document, flags, metrics, warnings })
            }
            None => Err(PlanError::unexplained(document.label().into())),
        }
    }

    /// What is accepted but hardly meant, in order of place.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
    /// assert!(plan.warnings().is_empty());
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The flag of that key with its whole plan.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<FlagPlan<'_>> {
        let found = self.flags.binary_search_by(|flag| flag.definition.key.as_str().cmp(key));
        found.ok().and_then(|index| self.flags.get(index)).map(FlagPlan::new)
    }

    /// The metrics that the document declares, in order of their names.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.declared().map(|metric| &**metric)
    }

    /// The keys of the plan's flags, in order.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(|flag| flag.definition.key.as_str())
    }

    /// The document it was read from.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// An error of the document that only what is in force makes one.
    pub(crate) fn error(&self, problems: Vec<Problem>) -> PlanError {
        PlanError::of_problems(self.document.label().into(), problems, 0)
    }

    /// Where a flag's `stage` stands in the document, as the place of a problem.
    pub(crate) fn problem(&self, flag: &PlannedFlag, message: String, hint: String) -> Problem {
        let root = Path::root();
        let flags = root.field("flags");
        let path = flags.field(flag.definition.key.as_str());
        Problem {
            file: self.document.label().into(),
            place: self.document.place(&flag.declared_at),
            path: path.field("stage").to_string(),
            message,
            hint,
        }
    }

    pub(crate) fn planned(&self) -> impl Iterator<Item = &PlannedFlag> {
        self.flags.iter()
    }

    /// The plan with every flag where the document puts it.
    pub(crate) fn compile(&self) -> Snapshot {
        let flags =
            self.planned().map(|flag| Flag::new(Arc::clone(&flag.definition), flag.declared));
        Snapshot::new(1, flags.collect(), None)
    }
}

fn read_root<'a>(
    root: &node::Node<'a>,
    document: &Document,
    report: &mut Report<'a>,
) -> Option<(Vec<PlannedFlag>, Metrics)> {
    let path = Path::root();
    let mut fields = Fields::open(root, &path, report)?;
    read_schema(&mut fields, report);
    read_algorithm(&mut fields, report);
    let groups = groups::read(fields.take("groups"), &path, document, report);
    let metrics = Metrics::read(fields.take("metrics"), &path, report);
    let (plans, idle) = stages::read_plans(fields.take("plans"), &path, &groups, &metrics, report);
    let flags = fields.take("flags");
    fields.finish(report);
    let Some(flags) = flags else {
        fields.missing("flags", "write at least one, for example `[flags.new-checkout]`", report);
        return None;
    };
    let context = flags::Context { groups: &groups, metrics: &metrics, plans: &plans };
    let flags = flags::read(flags, &path, &context, idle, report)?;
    Some((flags, metrics))
}

fn read_schema<'a>(fields: &mut Fields<'_, 'a>, report: &mut Report<'a>) {
    match fields.take("schema") {
        None => fields.missing("schema", "write `schema = 1` at the top", report),
        Some(node) if report.slice(&node.span) == "1" && node.is_number() => {}
        Some(node) => {
            let path = fields.path().field("schema");
            report.found(node, &path, "not a schema this version reads", "write `schema = 1`");
        }
    }
}

/// How users are spread over buckets. There is one way so far; naming it says that a document means
/// this one, whatever comes to stand beside it.
fn read_algorithm<'a>(fields: &mut Fields<'_, 'a>, report: &mut Report<'a>) {
    const ALGORITHM: &str = "xxh3-ppm-1";
    let Some(node) = fields.take("algorithm") else { return };
    let path = fields.path().field("algorithm");
    if fields::string(node, &path, report).is_some_and(|name| name != ALGORITHM) {
        let hint = format!("write \"{ALGORITHM}\", or leave the field out");
        report.found(node, &path, "not an algorithm this version has", hint);
    }
}
