//! `approvals`: the people who must agree to a promotion.

use crate::eval::StageName;
use crate::plan::error::Excerpt;
use crate::plan::fields::{one_of, table, text};
use crate::plan::limits::{MAX_FORCE_APPROVALS, MAX_ROLE_BYTES};
use crate::plan::model::list;
use crate::plan::model::sections::Context;
use crate::plan::node::{Entry, Node};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The key for forced promotions.
const FORCE: &str = "force";

/// The approvals that promotions need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) struct Approvals {
    /// The roles that must approve a promotion to a stage.
    pub(super) stages: Vec<(StageName, Box<[Box<str>]>)>,
    /// The number of people who must approve a forced promotion.
    pub(super) force: usize,
}

/// Reads the table of stages with their roles, and `force`.
pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> Approvals {
    let mut approvals = Approvals::default();
    for entry in table(node, path, report).unwrap_or_default() {
        let path = path.field(&entry.key);
        if entry.key == FORCE {
            approvals.force = read_force(&entry.node, &path, report).unwrap_or_default();
        } else if let Some(stage) = stage(entry, &path, context, report) {
            approvals.stages.push((stage, read_roles(&entry.node, &path, report)));
        }
    }
    // The order in the document means nothing.
    approvals.stages.sort_unstable_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    approvals
}

fn stage<'a>(
    entry: &Entry<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> Option<StageName> {
    let mut stages = context.stages.iter().map(|stage| *stage.name());
    let found = stages.clone().find(|stage| **stage == *entry.key);
    if found.is_none() && StageName::OFF == *entry.key {
        let message = "found `off`, which needs no approval: a rollback is never refused";
        report.problem(entry.key_span.clone(), path, message.to_owned(), "leave it out");
    } else if found.is_none() {
        let names: Vec<StageName> = stages.by_ref().collect();
        let names = names.iter().map(StageName::as_str).chain([FORCE]);
        let message = format!("found `{}`, not a stage of this plan", Excerpt(&entry.key));
        report.problem(entry.key_span.clone(), path, message, one_of(&entry.key, names));
    }
    found
}

fn read_roles<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Box<[Box<str>]> {
    let hint = "write the roles that approve: [\"release owner\", \"client CTO\"]";
    if node.len() == Some(0) {
        let hint = "write who approves, for example [\"release owner\"], or leave the stage out";
        report.found(node, path, "without a role", hint);
        return Box::default();
    }
    let mut roles: Vec<Box<str>> = Vec::new();
    for (index, item) in list::read(node, path, hint, report).iter().enumerate() {
        let path = path.index(index);
        let Some(role) = text(item, &path, report) else { continue };
        if role.len() > MAX_ROLE_BYTES {
            let wrong = format!("a role of {} bytes, more than {MAX_ROLE_BYTES}", role.len());
            report.found(item, &path, wrong, "shorten it");
        } else if roles.iter().any(|known| **known == *role) {
            report.found(item, &path, "a role that is listed before", "leave it out here");
        } else {
            roles.push(role.into());
        }
    }
    roles.into()
}

fn read_force<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<usize> {
    let count = node.is_number().then(|| report.slice(&node.span).parse::<usize>());
    let wrong = match count {
        Some(Ok(0)) => "which asks for no approval".to_owned(),
        Some(Ok(count)) if count <= MAX_FORCE_APPROVALS => return Some(count),
        Some(Ok(_)) => format!("more people than {MAX_FORCE_APPROVALS}"),
        _ => "not a number of people".to_owned(),
    };
    let hint = format!(
        "write how many people must approve a forced promotion, from 1 to {MAX_FORCE_APPROVALS}, \
         or leave `force` out"
    );
    report.found(node, path, wrong, hint);
    None
}
