//! `criteria` and `checklist`: the conditions for leaving a stage.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::key::{self, MAX_KEY_BYTES};
use crate::plan::fields::{Fields, string, text};
use crate::plan::model::list;
use crate::plan::model::metric::quantity::Bound;
use crate::plan::model::metric::threshold::{self, Purpose};
use crate::plan::model::metric::{Metric, Metrics};
use crate::plan::model::time::duration;
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::time::duration::read_sustained;
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A condition for leaving a stage: a success criterion, or an item of the go/no-go checklist.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::Criterion;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     [[flags.search.stages]]
///     name = "pilot"
///     percent = 10
///     checklist = [
///         { metric = "error_rate", target = "< 1%", for = "3d" },
///         { id = "rollback-tested", text = "Rollback tested", owner = "Ben", expires = "1w" },
///     ]
/// "#)?;
/// let stage = plan.flag("search").unwrap().stages().next().unwrap();
/// let [Criterion::Metric { target, .. }, Criterion::Manual { id, owner, .. }] =
///     &stage.details().checklist[..]
/// else { panic!() };
/// assert_eq!(target.to_string(), "< 1%");
/// assert_eq!((&**id, owner.as_deref()), ("rollback-tested", Some("Ben")));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Criterion {
    /// A metric within a bound. The data decides.
    Metric {
        /// The metric.
        metric: Arc<Metric>,
        /// The bound that its value has to be within.
        target: Bound,
        /// How long the value has to stay within the bound (`for`). `None`: the last value counts.
        sustained: Option<WrittenDuration>,
        /// The meaning of the target (`text`): "Positive user feedback".
        text: Option<Box<str>>,
    },
    /// A statement that a person signs.
    Manual {
        /// The name to sign the condition by. It is unique in the stage.
        id: Box<str>,
        /// The statement.
        text: Box<str>,
        /// The person or role that signs.
        owner: Option<Box<str>>,
        /// The time for which a signature counts (`expires`). `None`: until the flag leaves the stage.
        expires: Option<WrittenDuration>,
    },
}

const KIND_HINT: &str = "write `metric` and `target` for the data to decide, \
                    or `id` and `text` for a person";
const TEXT_HINT: &str = "write what is signed: `text = \"The load test passed\"`";
pub(super) const TARGET_HINT: &str = "write where the metric has to be: `target = \"< 1%\"`";

/// Reads a list of conditions. `ids` are the ids that the stage has so far.
pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    hint: &str,
    metrics: &Metrics,
    ids: &mut BTreeSet<Box<str>>,
    report: &mut Report<'a>,
) -> Vec<Criterion> {
    let items = list::read(node, path, hint, report).iter().enumerate();
    let read = |(index, item)| read_one(item, &path.index(index), metrics, ids, report);
    items.filter_map(read).collect()
}

fn read_one<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    metrics: &Metrics,
    ids: &mut BTreeSet<Box<str>>,
    report: &mut Report<'a>,
) -> Option<Criterion> {
    let mut fields = Fields::open(node, path, report)?;
    let (metric, target, sustained) =
        (fields.take("metric"), fields.take("target"), fields.take("for"));
    let (id, words, expires) = (fields.take("id"), fields.take("text"), fields.take("expires"));
    let owner_node = fields.take("owner");
    fields.finish(report);
    let of_metric = metric.or(target).or(sustained).is_some();
    let of_person = id.or(expires).or(owner_node).is_some();
    if of_metric == of_person && (of_metric || words.is_none()) {
        let wrong = if of_metric { "a condition of two kinds" } else { "an empty condition" };
        report.problem(node.span.clone(), path, format!("found {wrong}"), KIND_HINT);
        return None;
    }
    if of_metric {
        let words = words.map(|node| text(node, &path.field("text"), report));
        let sustained = read_sustained(sustained, path, report);
        if metric.is_none() {
            let hint = "write the name of a metric: `metric = \"error_rate\"`";
            fields.missing("metric", hint, report);
        }
        if target.is_none() {
            fields.missing("target", TARGET_HINT, report);
        }
        let metric = metrics.find(metric?, &path.field("metric"), report)?;
        let (path, of) = (path.field("target"), (&*metric, metrics));
        let target = threshold::bound(target?, &path, of, Purpose::Target, report)?;
        let text = words.flatten().map(Box::from);
        return Some(Criterion::Metric { metric, target, sustained, text });
    }
    let id = read_id(&fields, id, ids, report);
    let words = fields.required_text("text", TEXT_HINT, report);
    let owner = owner_node.and_then(|node| text(node, &path.field("owner"), report));
    let expires = expires.and_then(|node| duration::read(node, &path.field("expires"), report));
    let owner = owner.map(Box::from);
    Some(Criterion::Manual { id: id?.into(), text: words?.into(), owner, expires })
}

/// Reads an id. Reports an id that another condition of the stage has.
fn read_id<'n, 'a>(
    fields: &Fields<'_, 'a>,
    node: Option<&'n Node<'a>>,
    ids: &mut BTreeSet<Box<str>>,
    report: &mut Report<'a>,
) -> Option<&'n str> {
    let Some(node) = node else {
        fields.missing("id", "write a name to sign it by: `id = \"load-test\"`", report);
        return None;
    };
    let path = fields.path().field("id");
    let id = string(node, &path, report)?;
    if let Err(error) = key::check(id, MAX_KEY_BYTES) {
        report.found(node, &path, &error, error.hint());
        return None;
    }
    if !ids.insert(id.as_ref().into()) {
        let hint = "choose another: criteria and checklist of a stage are signed by their ids";
        report.found(node, &path, "an id that the stage already has", hint);
        return None;
    }
    Some(id)
}
