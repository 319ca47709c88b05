//! The communication plan.

use std::sync::Arc;

use super::{GA, INTERNAL, PILOT};
use crate::eval::StageName;
use crate::plan::model::message::template::Template;
use crate::plan::model::message::variables::Variables;
use crate::plan::model::message::when::When;
use crate::plan::model::message::{Audience, Message};

/// A flag that follows the plan may say better.
pub(super) fn variables() -> Variables {
    [("client", "Dear all"), ("support", "our support")].into_iter().collect()
}

pub(super) fn messages() -> Arc<[Message]> {
    let messages = MESSAGES.iter().map(|(audience, stage, when, subject, template)| Message {
        audience: *audience,
        stage: *stage,
        when: *when,
        channel: channel(*audience).into(),
        subject: Some(Template::literal(subject)),
        template: Template::literal(template),
    });
    messages.collect()
}

const fn channel(audience: Audience) -> &'static str {
    match audience {
        Audience::Internal => "team chat",
        Audience::Client => "email",
        Audience::User => "in the application",
    }
}

/// Audience, stage, when, subject, text.
type Row = (Audience, Option<StageName>, When, &'static str, &'static str);

const MESSAGES: [Row; 15] = [
    (
        Audience::Internal,
        None,
        When::Days(-1),
        "{{ flag }}: {{ stage }} tomorrow",
        "{{ flag }} goes from {{ previous_stage }} to {{ stage }} ({{ percent }}%) on {{ starts }}. \
         Goal: {{ goal }}. Please sign what is still open.",
    ),
    (
        Audience::Internal,
        None,
        When::Start,
        "{{ flag }}: {{ stage }} began",
        "{{ flag }} is at {{ stage }} ({{ percent }}%). Responsible now: {{ contact }}.",
    ),
    (
        Audience::Internal,
        None,
        When::Weekly,
        "{{ flag }}: the week to {{ date }}",
        "{{ flag }} is at {{ stage }} ({{ percent }}%) until {{ ends }} at the latest. \
         Next: {{ next_stage }}.",
    ),
    (
        Audience::Internal,
        None,
        When::End,
        "{{ flag }}: {{ stage }} is over",
        "{{ flag }} has met what {{ stage }} asks.",
    ),
    (
        Audience::Internal,
        None,
        When::RollBack,
        "{{ flag }} was rolled back",
        "{{ flag }} was rolled back at {{ stage }}: {{ reason }}. Responsible: {{ contact }}. \
         Nothing is promoted until the cause is found.",
    ),
    (
        Audience::Client,
        Some(INTERNAL),
        When::Days(-3),
        "{{ flag }} can be tried from {{ starts }}",
        "{{ client }}, from {{ starts }} on you can try {{ flag }} before any user has it. \
         We would like your agreement by {{ ends }}.",
    ),
    (
        Audience::Client,
        Some(PILOT),
        When::Days(-3),
        "{{ flag }} goes to {{ percent }}% of your users on {{ starts }}",
        "{{ client }}, the pilot of {{ flag }} begins on {{ starts }} with {{ percent }}% of your \
         users. It can be taken back at any moment.",
    ),
    (
        Audience::Client,
        None,
        When::Weekly,
        "{{ flag }}: where we are",
        "{{ client }}, {{ flag }} is at {{ stage }} with {{ percent }}% of your users. \
         Questions: {{ contact }}.",
    ),
    (
        Audience::Client,
        Some(GA),
        When::Start,
        "{{ flag }} is there for everybody",
        "{{ client }}, all of your users have {{ flag }}. We watch it closely for two more days.",
    ),
    (
        Audience::Client,
        Some(GA),
        When::End,
        "{{ flag }}: the rollout is complete",
        "{{ client }}, the rollout of {{ flag }} is complete. Thank you.",
    ),
    (
        Audience::Client,
        None,
        When::RollBack,
        "{{ flag }} was taken back",
        "{{ client }}, we took {{ flag }} back: {{ reason }}. Your users have what they had before. \
         We write again when we know the cause. Questions: {{ contact }}.",
    ),
    (
        Audience::User,
        Some(PILOT),
        When::Start,
        "Something new: {{ flag }}",
        "You are one of the first to have {{ flag }}. Tell {{ support }} what you think.",
    ),
    (
        Audience::User,
        Some(GA),
        When::Days(-3),
        "Soon for everybody: {{ flag }}",
        "From {{ starts }} on everybody has {{ flag }}. Questions? Ask {{ support }}.",
    ),
    (
        Audience::User,
        Some(GA),
        When::Start,
        "New: {{ flag }}",
        "{{ flag }} is there. Questions? Ask {{ support }}.",
    ),
    (
        Audience::User,
        None,
        When::RollBack,
        "{{ flag }} is away for a while",
        "We took {{ flag }} back to make it better; all else is as you know it. \
         Questions? Ask {{ support }}.",
    ),
];
