//! The sections of a plan: triggers, messages and the other fields that a flag and a shared plan both have.

use std::sync::Arc;

use crate::eval::Stage;
use crate::plan::channels::Channels;
use crate::plan::fields::{Fields, Path};
use crate::plan::model::calendar::{self, Calendar};
use crate::plan::model::message::variables::{self, Variables};
use crate::plan::model::message::{self, Message};
use crate::plan::model::metric::Metrics;
use crate::plan::model::responsibility::{self, Responsibility};
use crate::plan::model::risk::{self, Risk};
use crate::plan::model::rollback::{self, RollBack};
use crate::plan::model::timeline::{self, TimelinePlan};
use crate::plan::model::traffic::{self, DeclaredTraffic};
use crate::plan::model::trigger::{self, Trigger};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// The sections of a plan. Each is shared, so a flag that replaces one section does not copy the others.
#[derive(Clone, Debug, Default)]
pub(in crate::plan) struct Sections {
    pub(in crate::plan) triggers: Arc<[Trigger]>,
    pub(in crate::plan) rollback: Arc<RollBack>,
    pub(in crate::plan) responsibility: Arc<[Responsibility]>,
    pub(in crate::plan) variables: Arc<Variables>,
    pub(in crate::plan) messages: Arc<[Message]>,
    pub(in crate::plan) timeline: Arc<TimelinePlan>,
    pub(in crate::plan) calendar: Option<Arc<Calendar>>,
    pub(in crate::plan) risks: Arc<[Risk]>,
    pub(in crate::plan) traffic: Option<DeclaredTraffic>,
}

/// The stages, metrics and channels that sections may name.
#[derive(Clone, Copy)]
pub(in crate::plan) struct Context<'c> {
    pub(in crate::plan) stages: &'c [Stage],
    pub(in crate::plan) metrics: &'c Metrics,
    pub(in crate::plan) channels: &'c Channels,
}

/// The nodes of the sections that a flag or a shared plan writes itself.
pub(in crate::plan) struct OwnSections<'n, 'a> {
    triggers: Option<&'n Node<'a>>,
    rollback: Option<&'n Node<'a>>,
    responsibility: Option<&'n Node<'a>>,
    variables: Option<&'n Node<'a>>,
    messages: Option<&'n Node<'a>>,
    timeline: Option<&'n Node<'a>>,
    calendar: Option<&'n Node<'a>>,
    risks: Option<&'n Node<'a>>,
    traffic: Option<&'n Node<'a>>,
}

impl<'n, 'a> OwnSections<'n, 'a> {
    /// Takes the fields of all sections.
    pub(in crate::plan) fn take(fields: &mut Fields<'n, 'a>) -> Self {
        OwnSections {
            triggers: fields.take("triggers"),
            rollback: fields.take("rollback"),
            responsibility: fields.take("responsibility"),
            variables: fields.take("variables"),
            messages: fields.take("messages"),
            timeline: fields.take("timeline"),
            calendar: fields.take("calendar"),
            risks: fields.take("risks"),
            traffic: fields.take("traffic"),
        }
    }

    /// Reads the sections, and returns `base` with each of them replaced.
    pub(in crate::plan) fn read(
        self,
        path: &Path<'_>,
        context: Context<'_>,
        base: &Arc<Sections>,
        report: &mut Report<'a>,
    ) -> Arc<Sections> {
        if self.is_empty() {
            return Arc::clone(base);
        }
        let mut sections = Sections::clone(base);
        if let Some(node) = self.triggers {
            sections.triggers = trigger::read(node, &path.field("triggers"), context, report);
        }
        if let Some(node) = self.rollback {
            let read = rollback::read(node, &path.field("rollback"), report);
            sections.rollback = Arc::new(read);
        }
        if let Some(node) = self.responsibility {
            let path = path.field("responsibility");
            sections.responsibility = responsibility::read(node, &path, report);
        }
        if let Some(node) = self.variables {
            let own = variables::read(node, &path.field("variables"), report);
            sections.variables = Arc::new(own.over(&base.variables));
        }
        if let Some(node) = self.messages {
            let path = path.field("messages");
            let read = message::read(node, &path, context, &sections.variables, report);
            sections.messages = read;
        }
        if let Some(node) = self.timeline {
            let read = timeline::read(node, &path.field("timeline"), context, report);
            sections.timeline = Arc::new(read);
        }
        if let Some(node) = self.calendar {
            let read = calendar::read(node, &path.field("calendar"), report);
            sections.calendar = read.map(Arc::new);
        }
        if let Some(node) = self.risks {
            sections.risks = risk::read(node, &path.field("risks"), report);
        }
        if let Some(node) = self.traffic {
            sections.traffic = traffic::read(node, &path.field("traffic"), report);
        }
        Arc::new(sections)
    }

    fn is_empty(&self) -> bool {
        let OwnSections {
            triggers,
            rollback,
            responsibility,
            variables,
            messages,
            timeline,
            calendar,
            risks,
            traffic,
        } = self;
        let any = triggers.or(*rollback).or(*responsibility).or(*variables).or(*messages);
        any.or(*timeline).or(*calendar).or(*risks).or(*traffic).is_none()
    }
}
