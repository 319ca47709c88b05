//! Lints: one function for each doubt about a plan.
//!
//! A lint looks at one flag or shared plan, as the document writes it and as it was read, and reports warnings. A
//! plan with warnings is accepted. To add a lint, write a function in [`rules`] and list it in [`LINTS`].
//!
//! Three files serve other needs. [`idle_stage`] reports errors, and only once every flag has been read. [`list`] looks
//! at the users of a group. [`placed`] finds the place in the document for warnings of other modules.

pub(super) mod idle_stage;
pub(super) mod list;
#[cfg(feature = "guard")]
mod placed;
mod rules;

#[cfg(feature = "guard")]
pub(crate) use placed::StageDoubt;

use super::model::{FlagPlan, Sections, Stages};
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::report::Report;

/// Every lint.
const LINTS: [fn(&Subject<'_, '_>, &mut Report<'_>); 6] = [
    rules::auto_advance_without_condition,
    rules::incident_like_a_known_one,
    rules::long_freeze,
    rules::promotion_in_a_freeze,
    rules::row_that_never_answers,
    rules::unused_variable,
];

/// A flag or a shared plan, as the document writes it and as it was read.
pub(super) struct Subject<'s, 'a> {
    pub(super) entry: &'s Entry<'a>,
    pub(super) path: &'s Path<'s>,
    pub(super) stages: &'s Stages,
    pub(super) sections: &'s Sections,
    /// `None`: a shared plan.
    pub(super) flag: Option<FlagPlan<'s>>,
}

impl<'s, 'a> Subject<'s, 'a> {
    /// Runs every lint.
    pub(super) fn check(&self, report: &mut Report<'a>) {
        for lint in LINTS {
            lint(self, report);
        }
    }

    /// Returns a field that the flag or plan has of its own.
    fn field(&self, name: &str) -> Option<&'s Node<'a>> {
        self.entry.node.field(name)
    }

    /// Returns the items of a list that the flag or plan has of its own; no items if it has none.
    fn items(&self, name: &str) -> &'s [Node<'a>] {
        self.field(name).map(Node::items).unwrap_or_default()
    }
}

/// Returns whether every item of a list could be read.
fn is_whole<T>(list: &Node<'_>, read: &[T]) -> bool {
    matches!(&list.value, Value::Array(items) if items.len() == read.len())
}
