//! Plans: reading, checking and compiling plan documents.
//!
//! [`Plan::parse`] turns the text of a document into a typed plan that cannot hold an invalid state.

mod channels;
mod conditions;
mod document;
mod environments;
mod error;
mod fields;
mod flag_names;
mod flags;
mod format;
mod groups;
mod header;
pub mod limits;
mod lines;
mod lint;
pub mod model;
// In a build without TOML and JSON, no reader creates a tree.
#[cfg_attr(not(any(feature = "toml", feature = "json")), expect(dead_code))]
mod node;
#[cfg(any(feature = "rollout", feature = "follow"))]
mod packed;
mod path;
mod reach;
#[cfg(any(feature = "rollout", feature = "follow"))]
mod replace;
mod report;
mod requires;
#[cfg(feature = "schema")]
mod schema;
mod staged;
mod stages;
mod users;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

#[cfg(feature = "rollout")]
pub(crate) use document::read_file;
pub use document::{Document, Format};
#[cfg(feature = "follow")]
pub(crate) use document::{read_open, read_shared};
pub(crate) use error::Excerpt;
pub use error::{PlanError, Problem};
pub(crate) use fields::{nearest, one_of};
pub(crate) use flags::PlannedFlag;
#[cfg(feature = "guard")]
pub(crate) use lint::StageDoubt;
#[cfg(any(feature = "rollout", feature = "follow"))]
pub(crate) use replace::replace_file;
#[cfg(feature = "rollout")]
pub(crate) use replace::sync_directory_of;

use crate::eval::{Flag, Group, Snapshot};
use crate::key::Key;
use crate::percent::{ParsePercentError, Percent};
use channels::Channels;
use fields::Fields;
use header::Header;
use model::{FlagPlan, Metric, Metrics};
use path::Path;
use report::Report;
use stages::References;

/// A validated rollout plan, ready for a [`Gate`](crate::Gate).
///
/// A `Plan` is always valid: every reference resolves, percentages never fall from one stage to the next, and each flag
/// is at one of its own stages.
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
#[derive(Clone)]
pub struct Plan {
    document: Arc<Document>,
    header: Header,
    /// Sorted by key.
    flags: Vec<PlannedFlag>,
    /// The names of `asked_as`, sorted, each with the key of its flag.
    asked_as: Arc<[(Box<str>, Key)]>,
    metrics: Arc<Metrics>,
    per_update: Percent,
    /// The groups with an empty `users_file` and without `may_be_empty`, each with the span of the file's name.
    empty_lists: Arc<[(Arc<Group>, Range<usize>)]>,
    /// The names of the environments, in the document's order.
    environments: Arc<[Key]>,
    warnings: Arc<[Problem]>,
}

/// The checked content of a document.
struct Root {
    header: Header,
    flags: Vec<PlannedFlag>,
    metrics: Metrics,
    per_update: Percent,
    empty_lists: Vec<(Arc<Group>, Range<usize>)>,
}

/// The default of `limits.per_update`, in percent.
const DEFAULT_PER_UPDATE: u32 = 50;

impl Plan {
    /// Parses and checks a whole document.
    ///
    /// # Errors
    ///
    /// [`PlanError`] with every problem of the document, in order of position.
    ///
    /// # Complexity
    ///
    /// Linear in the document's bytes. [`limits`] bounds the memory.
    pub fn parse(document: impl Into<Document>) -> Result<Plan, PlanError> {
        let document = document.into();
        let mut report = Report::new(document.label().into());
        report.accept_kept(document.is_kept);
        let read = document.checked_text(&mut report).and_then(|text| {
            report.read_from(text);
            let root = format::parse(document.format_of(text), text, &mut report)?;
            read_environments(root, text, &document, &mut report)
        });
        let warnings = report.finish()?.into();
        match read {
            Some((Root { header, flags, metrics, per_update, empty_lists }, environments)) => {
                let (document, metrics) = (Arc::new(document), Arc::new(metrics));
                let empty_lists = empty_lists.into();
                let asked_as = asked_as(&flags);
                Ok(Plan {
                    document,
                    header,
                    flags,
                    asked_as,
                    metrics,
                    per_update,
                    empty_lists,
                    environments,
                    warnings,
                })
            }
            None => Err(PlanError::unexplained(document.label().into())),
        }
    }

    /// Returns the warnings in order of position: valid parts of the document that are probably mistakes.
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

    /// Returns the flag with this key and its whole plan.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<FlagPlan<'_>> {
        Some(FlagPlan::new(self.planned_flag(key)?, &self.flags))
    }

    /// Returns the key of the flag that checks find by this name: its key, or a name of its `asked_as`.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse("schema = 1\n[flags.search]\nasked_as = \"shop/search\"")?;
    /// assert_eq!(plan.key_of("shop/search"), Some("search"));
    /// assert_eq!(plan.key_of("search"), Some("search"));
    /// assert_eq!(plan.key_of("shop/cart"), None);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn key_of(&self, name: &str) -> Option<&str> {
        if let Some(flag) = self.flag(name) {
            return Some(flag.key());
        }
        let found = self.asked_as.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.asked_as.get(found).map(|(_, key)| key.as_str())
    }

    /// Returns the environment that was chosen with [`Document::environment`].
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Document, Plan};
    ///
    /// let document = Document::new("
    ///     schema = 1
    ///     flags.search.stage = 'pilot'
    ///     environments.staging.flags.search.stage = 'ga'
    /// ");
    /// let plan = Plan::parse(document.clone().environment("staging"))?;
    /// assert_eq!(plan.environment(), Some("staging"));
    /// assert_eq!(plan.flag("search").unwrap().stage(), "ga");
    ///
    /// let base = Plan::parse(document)?;
    /// assert_eq!(base.environment(), None);
    /// assert_eq!(base.flag("search").unwrap().stage(), "pilot");
    /// assert_eq!(base.environments().collect::<Vec<_>>(), ["staging"]);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.document.environment.as_deref()
    }

    /// Returns the names of the document's environments, in the document's order.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.environments.iter().map(Key::as_str)
    }

    /// Returns the metrics that the document declares, sorted by name.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.declared().map(|metric| &**metric)
    }

    /// Returns the keys of the plan's flags, sorted.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(|flag| flag.definition.key.as_str())
    }

    /// Returns the name of the project (`project`).
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     project = "Shop"
    ///     version = "1.0"
    ///     last_updated = 2026-01-05
    ///     [flags.search]
    /// "#)?;
    /// assert_eq!((plan.project(), plan.version()), (Some("Shop"), Some("1.0")));
    /// assert_eq!(plan.last_updated().unwrap().to_string(), "2026-01-05");
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.header.project.as_deref()
    }

    /// Returns the version of the plan, a text for people (`version`).
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.header.version.as_deref()
    }

    /// Returns the day of the plan's last change (`last_updated`).
    #[must_use]
    pub fn last_updated(&self) -> Option<model::Date> {
        self.header.last_updated
    }

    /// Returns the percentage of users that one update may take a flag from (`limits.per_update`).
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse("schema = 1\n[limits]\nper_update = 20\n[flags.a]")?;
    /// assert_eq!(plan.per_update().to_string(), "20");
    /// assert_eq!(Plan::parse("schema = 1\n[flags.a]")?.per_update().to_string(), "50");
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn per_update(&self) -> Percent {
        self.per_update
    }

    /// Returns the groups with an empty `users_file` and without `may_be_empty`, each with the span of the file's name.
    pub(crate) fn empty_lists(&self) -> impl Iterator<Item = (&Group, &Range<usize>)> {
        self.empty_lists.iter().map(|(group, at)| (&**group, at))
    }

    /// Returns the document that the plan was parsed from.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Returns an error for problems that only a comparison with the plan in force can find.
    pub(crate) fn error(&self, problems: Vec<Problem>) -> PlanError {
        PlanError::of_problems(self.document.label().into(), problems, 0)
    }

    /// Returns a problem at the `stage` of a flag.
    pub(crate) fn problem(&self, flag: &PlannedFlag, message: String, hint: String) -> Problem {
        let fields = ["flags", flag.definition.key.as_str(), "stage"];
        self.problem_at(&flag.declared_at, &fields, message, hint)
    }

    /// Returns a problem at a span of the document. `fields` is the path of the field there.
    pub(crate) fn problem_at(
        &self,
        at: &Range<usize>,
        fields: &[&str],
        message: String,
        hint: impl Into<String>,
    ) -> Problem {
        let location = self.document.location_of(at);
        let (file, path) = (self.document.label().into(), Path::root().below(fields));
        Problem { file, location, path, message, hint: hint.into() }
    }

    /// Returns the flags, sorted by key.
    pub(crate) fn planned(&self) -> impl Iterator<Item = &PlannedFlag> {
        self.flags.iter()
    }

    pub(crate) fn planned_flag(&self, key: &str) -> Option<&PlannedFlag> {
        let found = self.flags.binary_search_by(|flag| flag.definition.key.as_str().cmp(key));
        found.ok().and_then(|index| self.flags.get(index))
    }

    /// Returns a snapshot in which every flag is at the `stage` of the document.
    pub(crate) fn compile(&self) -> Snapshot {
        let flags =
            self.planned().map(|flag| Flag::new(Arc::clone(&flag.definition), flag.declared));
        Snapshot::new(1, flags.collect(), None)
    }
}

/// Shows the document and some counts. Leaves out users and texts.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("document", &self.document)
            .field("flags", &self.flags.len())
            .field("metrics", &self.metrics.declared().count())
            .field("warnings", &self.warnings.len())
            .finish_non_exhaustive()
    }
}

/// Returns the names of `asked_as`, sorted, each with the key of its flag.
fn asked_as(flags: &[PlannedFlag]) -> Arc<[(Box<str>, Key)]> {
    let of_flag = |flag: &PlannedFlag| {
        let (definition, key) = (Arc::clone(&flag.definition), flag.definition.key.clone());
        let names = definition.asked_as().to_vec();
        names.into_iter().map(move |name| (name, key.clone()))
    };
    let mut asked_as: Vec<_> = flags.iter().flat_map(of_flag).collect();
    asked_as.sort_unstable();
    asked_as.into()
}

/// Reads a document with all its environments. Returns the plan of the chosen environment and the names of all.
///
/// `None` after a problem that leaves no plan to read.
fn read_environments<'a>(
    mut root: node::Node<'a>,
    text: &'a str,
    document: &Document,
    report: &mut Report<'a>,
) -> Option<(Root, Arc<[Key]>)> {
    let entry = environments::take(&mut root);
    let mut chosen = read_root(&root, document, report);
    let environments = entry.as_ref().map(|entry| environments::read(entry, &root, report));
    let mut names = Vec::new();
    for environment in environments.unwrap_or_default() {
        let mut of_environment = Report::new(document.label().into());
        of_environment.read_from(text);
        let read = read_root(&environment.root, document, &mut of_environment);
        let path = Path::root();
        let path = path.field("environments");
        report.add_new(of_environment, &path.field(environment.name.as_str()));
        if document.environment.as_deref() == Some(environment.name.as_str()) {
            chosen = read;
        }
        names.push(environment.name);
    }
    if let Some(wanted) = &document.environment
        && names.iter().all(|name| name.as_str() != &**wanted)
    {
        let hint = one_of(wanted, names.iter().map(Key::as_str));
        let message = format!("found no environment `{}`", Excerpt(wanted));
        report.problem(0..0, &Path::root(), message, hint);
    }
    Some((chosen?, names.into()))
}

/// Reads the top-level table. `None` after a problem that leaves no plan to read.
fn read_root<'a>(
    root: &node::Node<'a>,
    document: &Document,
    report: &mut Report<'a>,
) -> Option<Root> {
    let path = Path::root();
    let mut fields = Fields::open(root, &path, report)?;
    read_schema(&mut fields, report);
    read_algorithm(&mut fields, report);
    let per_update = read_limits(fields.take("limits"), &path, report);
    let groups = groups::read(fields.take("groups"), &path, document, report);
    let metrics = Metrics::read(fields.take("metrics"), &path, report);
    let channels = Channels::read(fields.take("channels"), &path, report);
    let header = Header::read(&mut fields, report);
    let references = References { groups: &groups, metrics: &metrics, channels: &channels };
    let (plans, idle) = stages::read_plans(fields.take("plans"), &path, references, report);
    let flags = fields.take("flags");
    // Taken from the root before.
    fields.know(&["environments"]);
    fields.finish(report);
    let Some(flags) = flags else {
        fields.missing("flags", "write at least one, for example `[flags.new-checkout]`", report);
        return None;
    };
    let context = flags::FlagContext { references, plans: &plans };
    let flags = flags::read(flags, &path, &context, idle, report)?;
    Some(Root { header, flags, metrics, per_update, empty_lists: groups.empty_lists })
}

/// Reads `[limits]` and returns `per_update`.
fn read_limits<'a>(
    node: Option<&node::Node<'a>>,
    root: &Path<'_>,
    report: &mut Report<'a>,
) -> Percent {
    let default = Percent::from_whole(DEFAULT_PER_UPDATE).unwrap_or(Percent::ALL);
    let path = root.field("limits");
    let Some(mut fields) = node.and_then(|node| Fields::open(node, &path, report)) else {
        return default;
    };
    let per_update = fields.take("per_update");
    fields.finish(report);
    let Some(node) = per_update else { return default };
    let path = path.field("per_update");
    let hint = "write a number from 0 to 100 without quotes: a percentage of users";
    if !node.is_number() {
        report.found(node, &path, "not a number", hint);
        return default;
    }
    report.slice(&node.span).parse().unwrap_or_else(|error: ParsePercentError| {
        report.found(node, &path, error, hint);
        default
    })
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

/// Checks `algorithm`, the id of the bucketing formula.
///
/// Only one formula exists. A document that names it keeps it if a later version has a different default.
fn read_algorithm<'a>(fields: &mut Fields<'_, 'a>, report: &mut Report<'a>) {
    const ALGORITHM: &str = "xxh3-ppm-1";
    let Some(node) = fields.take("algorithm") else { return };
    let path = fields.path().field("algorithm");
    if fields::string(node, &path, report).is_some_and(|name| name != ALGORITHM) {
        let hint = format!("write \"{ALGORITHM}\", or leave the field out");
        report.found(node, &path, "not an algorithm this version has", hint);
    }
}
