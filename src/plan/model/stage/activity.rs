//! `activities`: the tasks of the team in a stage.

use crate::plan::fields::{Fields, text};
use crate::plan::model::list;
use crate::plan::model::word::{self, words};
use crate::plan::node::{Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A task of the team in a stage.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::ActivityDay;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     [[flags.search.stages]]
///     name = "pilot"
///     percent = 10
///     activities = [
///         { text = "Enable the flag for pilot users", at = "start", owner = "Ben" },
///         "Fix issues as they arise",
///     ]
/// "#)?;
/// let stage = plan.flag("search").unwrap().stages().next().unwrap();
/// let activities = &stage.details().activities;
/// assert_eq!(activities[0].at, Some(ActivityDay::Start));
/// assert_eq!(activities[0].owner.as_deref(), Some("Ben"));
/// assert_eq!((&*activities[1].text, activities[1].at), ("Fix issues as they arise", None));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// The task.
    pub text: Box<str>,
    /// The days of the stage (`at`). `None`: the timeline does not date the activity.
    pub at: Option<ActivityDay>,
    /// The person or role that does it. `None`: the owner of the stage.
    pub owner: Option<Box<str>>,
}

words! {
    /// The days of a stage on which an activity takes place. Printed as in a document.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum ActivityDay: "not a day of an activity" {
        /// The first day of the stage (`start`).
        Start = "start",
        /// Every day of the stage (`daily`).
        Daily = "daily",
        /// Every seventh day of the stage, from the first day on (`weekly`).
        Weekly = "weekly",
        /// The last day of the stage (`end`).
        End = "end",
    }
}

/// Reads a list of texts and tables.
pub(super) fn read<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Vec<Activity> {
    let hint = "write a list of texts, or of tables: \
                [{ text = \"Monitor error rates\", at = \"daily\" }]";
    let items = list::read(node, path, hint, report).iter().enumerate();
    items.filter_map(|(index, item)| read_one(item, &path.index(index), report)).collect()
}

fn read_one<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Activity> {
    if !matches!(node.value, Value::Table(_)) {
        return Some(Activity { text: text(node, path, report)?.into(), at: None, owner: None });
    }
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write what is done: `text = \"Monitor error rates\"`";
    let words = fields.required_text("text", hint, report);
    let at = fields.optional("at", report, word::read);
    let owner = fields.take_text("owner", report).map(Box::from);
    fields.finish(report);
    Some(Activity { text: words?.into(), at: at?, owner })
}
