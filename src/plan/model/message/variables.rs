//! `variables`: a plan's own variables for its messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plan::error::Excerpt;
use crate::plan::fields::{table, text};
use crate::plan::limits::{MAX_ITEMS, MAX_KEY_BYTES};
use crate::plan::node::{Entry, Node};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The variables of every template, each with a description. A plan adds its own with `variables`.
pub const VARIABLES: &[(&str, &str)] = &[
    ("flag", "the flag's key"),
    ("description", "the flag's description"),
    ("owner", "the flag's owner"),
    ("stage", "the stage the message is about"),
    ("percent", "the stage's percentage, without a percent sign"),
    ("goal", "the stage's goal"),
    ("previous_stage", "the stage before, `off` before the first"),
    ("next_stage", "the stage after, empty for the last"),
    ("date", "the day the message is due"),
    ("starts", "the day the stage begins at the earliest"),
    ("ends", "the day the stage ends at the latest"),
    ("contact", "who is responsible at the moment of the message"),
    ("reason", "why the flag was rolled back"),
];

/// Variables with their texts: a flag's own ones, then the ones of its plan, which flags share.
///
/// An invalid variable is in the map too, so that a template that uses it is not a second problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) struct Variables {
    own: BTreeMap<Box<str>, Box<str>>,
    base: Option<Arc<Variables>>,
}

impl Variables {
    /// Adds the variables of `base`. For the same name, the own variable wins.
    pub(in crate::plan::model) fn with_fallback(self, base: &Arc<Variables>) -> Variables {
        Variables { own: self.own, base: Some(Arc::clone(base)) }
    }

    /// Returns the variables of the plan that a flag follows, if the flag has variables of its own.
    pub(in crate::plan) fn inherited(&self) -> Option<&Variables> {
        self.base.as_deref()
    }

    /// Returns the names and texts, sorted by name.
    pub(in crate::plan) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let mut all = BTreeMap::new();
        for level in std::iter::successors(Some(self), |level| level.base.as_deref()) {
            for (name, text) in &level.own {
                all.entry(&**name).or_insert(&**text);
            }
        }
        all.into_iter().collect::<Vec<_>>().into_iter()
    }

    pub(in crate::plan) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.base.as_ref().is_some_and(|base| base.has(name))
    }
}

impl<'t> FromIterator<(&'t str, &'t str)> for Variables {
    fn from_iter<I: IntoIterator<Item = (&'t str, &'t str)>>(entries: I) -> Variables {
        let entries = entries.into_iter().map(|(name, text)| (name.into(), text.into()));
        Variables { own: entries.collect(), base: None }
    }
}

pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Variables {
    let entries = table(node, path, report).unwrap_or_default();
    if entries.len() > MAX_ITEMS {
        let message = format!("found {} entries, more than {MAX_ITEMS}", entries.len());
        report.problem(node.span.clone(), path, message, "leave some out");
    }
    let read = entries.iter().take(MAX_ITEMS).map(|entry| {
        let path = path.field(&entry.key);
        check_name(entry, &path, report);
        (&*entry.key, text(&entry.node, &path, report).unwrap_or_default())
    });
    read.collect()
}

fn check_name(entry: &Entry<'_>, path: &Path<'_>, report: &mut Report<'_>) {
    let name = &*entry.key;
    let (wrong, hint) = if is_built_in(name) {
        ("a variable that every template has", "choose another name".to_owned())
    } else if name.len() > MAX_KEY_BYTES {
        ("a name that is too long", format!("write 1 to {MAX_KEY_BYTES} characters"))
    } else if !is_name(name) {
        let hint = "write a-z, 0-9 and `_`, and no digit first: templates name it as {{ name }}";
        ("not a variable's name", hint.to_owned())
    } else {
        return;
    };
    if !report.count_if_full() {
        let message = format!("found `{}`, {wrong}", Excerpt(name));
        report.problem(entry.key_span.clone(), path, message, hint);
    }
}

/// Returns whether a text is a valid name of a variable.
pub(in crate::plan::model) fn is_name(text: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b == b'_';
    text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|b| is_letter(b) || b.is_ascii_digit())
}

/// Returns whether every template has a variable with this name.
pub(in crate::plan::model) fn is_built_in(name: &str) -> bool {
    VARIABLES.iter().any(|(known, _)| *known == name)
}
