//! The sections of a plan: triggers, messages and the other fields that a flag and a shared plan both have.

use std::sync::Arc;

use crate::eval::StageDefinition;
use crate::plan::channels::Channels;
use crate::plan::fields::{Fields, boolean};
use crate::plan::model::approvals::{self, Approvals};
use crate::plan::model::calendar::{self, Calendar};
use crate::plan::model::message::variables::{self, Variables};
use crate::plan::model::message::{self, Message};
use crate::plan::model::metric::Metrics;
use crate::plan::model::responsibility::{self, Responsibility};
use crate::plan::model::risk::{self, Risk};
use crate::plan::model::rollback::{self, Rollback};
use crate::plan::model::timeline::{self, TimelinePlan};
use crate::plan::model::traffic::{self, DeclaredTraffic};
use crate::plan::model::trigger::{self, Trigger};
use crate::plan::report::Report;

/// The sections of a plan. Each is shared, so a flag that replaces one section does not copy the others.
#[derive(Clone, Debug, Default)]
pub(in crate::plan) struct Sections {
    pub(in crate::plan) triggers: Arc<[Trigger]>,
    pub(in crate::plan) rollback: Arc<Rollback>,
    pub(in crate::plan) responsibility: Arc<[Responsibility]>,
    pub(in crate::plan) variables: Arc<Variables>,
    pub(in crate::plan) messages: Arc<[Message]>,
    pub(in crate::plan) timeline: Arc<TimelinePlan>,
    pub(in crate::plan) calendar: Option<Arc<Calendar>>,
    pub(in crate::plan) risks: Arc<[Risk]>,
    pub(in crate::plan) traffic: Option<DeclaredTraffic>,
    pub(in crate::plan) approvals: Arc<Approvals>,
    pub(in crate::plan) four_eyes: bool,
}

/// The stages, metrics and channels that sections may name.
#[derive(Clone, Copy)]
pub(in crate::plan) struct Context<'c> {
    pub(in crate::plan) stages: &'c [StageDefinition],
    pub(in crate::plan) metrics: &'c Metrics,
    pub(in crate::plan) channels: &'c Channels,
}

/// The fields of all sections.
pub(in crate::plan) const SECTIONS: [&str; 11] = [
    "triggers",
    "rollback",
    "responsibility",
    "variables",
    "messages",
    "timeline",
    "calendar",
    "risks",
    "traffic",
    "approvals",
    "four_eyes",
];

impl Sections {
    /// Reads the sections of a flag or a shared plan, and returns `base` with each of them replaced.
    pub(in crate::plan) fn read<'a>(
        fields: &mut Fields<'_, 'a>,
        context: Context<'_>,
        base: &Arc<Sections>,
        report: &mut Report<'a>,
    ) -> Arc<Sections> {
        if SECTIONS.iter().all(|name| fields.take(name).is_none()) {
            return Arc::clone(base);
        }
        let mut sections = Sections::clone(base);
        let read = fields.read("triggers", report, |node, path, report| {
            trigger::read(node, path, context, report)
        });
        replace(&mut sections.triggers, read);
        let read = fields.read("rollback", report, rollback::read);
        replace(&mut sections.rollback, read.map(Arc::new));
        replace(
            &mut sections.responsibility,
            fields.read("responsibility", report, responsibility::read),
        );
        let own = fields.read("variables", report, variables::read);
        replace(
            &mut sections.variables,
            own.map(|own| Arc::new(own.with_fallback(&base.variables))),
        );
        let read = fields.read("messages", report, |node, path, report| {
            message::read(node, path, context, &sections.variables, report)
        });
        replace(&mut sections.messages, read);
        let read = fields.read("timeline", report, |node, path, report| {
            timeline::read(node, path, context, report)
        });
        replace(&mut sections.timeline, read.map(Arc::new));
        let read = fields.read("calendar", report, calendar::read);
        replace(&mut sections.calendar, read.map(|calendar| calendar.map(Arc::new)));
        replace(&mut sections.risks, fields.read("risks", report, risk::read));
        replace(&mut sections.traffic, fields.read("traffic", report, traffic::read));
        let read = fields.read("approvals", report, |node, path, report| {
            approvals::read(node, path, context, report)
        });
        replace(&mut sections.approvals, read.map(Arc::new));
        replace(&mut sections.four_eyes, fields.read("four_eyes", report, boolean).flatten());
        Arc::new(sections)
    }
}

fn replace<T>(section: &mut T, own: Option<T>) {
    if let Some(own) = own {
        *section = own;
    }
}
