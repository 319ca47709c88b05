//! `messages`: the communication plan.

pub(super) mod occasion;
pub(super) mod template;
pub(super) mod variables;
pub(super) mod when;

use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::eval::StageName;
use crate::plan::fields::{Fields, one_of, string, text};
use crate::plan::model::list;
use crate::plan::model::message::template::Template;
use crate::plan::model::message::variables::Variables;
use crate::plan::model::message::when::When;
use crate::plan::model::sections::Context;
use crate::plan::model::word::{self, Word, words};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A message of the communication plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The recipients.
    pub audience: Audience,
    /// The stage that the message is about. `None`: each stage.
    pub stage: Option<StageName>,
    /// The time at which it is due.
    pub when: When,
    /// The channel to send it to: `"#releases"`, `"email"`. `None`: the message is shown but never sent.
    pub channel: Option<Box<str>>,
    /// How the team delivers it, in words: `"Call/Email"`.
    pub method: Option<Box<str>>,
    /// The subject line.
    pub subject: Option<Template>,
    /// The text of the message.
    pub template: Template,
}

words! {
    /// The recipients of a message. Printed and parsed as in a document.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Audience: "not an audience" {
        /// `internal`
        Internal = "internal",
        /// `client`
        Client = "client",
        /// `user`
        User = "user",
    }
}

impl FromStr for Audience {
    type Err = ParseAudienceError;

    /// Parses `internal`, `client` or `user`.
    fn from_str(text: &str) -> Result<Audience, ParseAudienceError> {
        Audience::of_word(text).ok_or(ParseAudienceError(()))
    }
}

/// The error for a text that is not an [`Audience`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not `internal`, `client` or `user`")]
pub struct ParseAudienceError(());

pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    variables: &Variables,
    report: &mut Report<'a>,
) -> Arc<[Message]> {
    let hint = "write a list of messages, each with an `audience`, `when` and `template`";
    let items = list::read(node, path, hint, report).iter().enumerate();
    let read = |(index, item)| read_message(item, &path.index(index), context, variables, report);
    items.filter_map(read).collect()
}

fn read_message<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    variables: &Variables,
    report: &mut Report<'a>,
) -> Option<Message> {
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write internal, client or user";
    let audience = fields.required("audience", hint, report, word::read);
    let stage = fields
        .optional("stage", report, |node, path, report| read_stage(node, path, context, report));
    let hint = "write \"start\", or \"-3d\" for three days before it";
    let when = fields.required("when", hint, report, when::read);
    let subject = fields.optional("subject", report, |node, path, report| {
        template::read(text(node, path, report)?, node, path, variables, report)
    });
    let source = fields.required_text("template", "write the message", report);
    let template = source.and_then(|text| {
        fields.read("template", report, |node, path, report| {
            template::read(text, node, path, variables, report)
        })?
    });
    let channel = fields.take_text("channel", report);
    let method = fields.take_text("method", report).map(Box::from);
    fields.finish(report);
    let audience = audience?;
    Some(Message {
        audience,
        stage: stage?,
        when: when?,
        channel: channel.or(context.channels.of(audience)).map(Box::from),
        method,
        subject: subject?,
        template: template?,
    })
}

fn read_stage<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> Option<StageName> {
    let name = string(node, path, report)?;
    let mut names = context.stages.iter().map(|stage| *stage.name());
    let stage = names.find(|stage| **stage == **name);
    if stage.is_none() {
        let hint = one_of(name, context.stages.iter().map(|stage| stage.name().as_str()));
        report.found(node, path, "not a stage of this plan", hint);
    }
    stage
}
