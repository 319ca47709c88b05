//! `[channels]`: the channel for the messages to each audience.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::model::Audience;
use super::node::Node;
use super::path::Path;
use super::report::Report;

/// The channel of each audience that has one.
#[derive(Debug, Default)]
pub(super) struct Channels(BTreeMap<Audience, Box<str>>);

impl Channels {
    pub(super) fn read<'a>(
        node: Option<&Node<'a>>,
        root: &Path<'_>,
        report: &mut Report<'a>,
    ) -> Channels {
        let path = root.field("channels");
        let Some(mut fields) = node.and_then(|node| Fields::open(node, &path, report)) else {
            return Channels::default();
        };
        let audiences = [
            (Audience::Internal, "internal"),
            (Audience::Client, "client"),
            (Audience::User, "user"),
        ];
        let read = |(audience, name)| Some((audience, fields.take_text(name, report)?.into()));
        let channels = audiences.into_iter().filter_map(read).collect();
        fields.finish(report);
        Channels(channels)
    }

    /// Returns the channel of an audience.
    pub(super) fn of(&self, audience: Audience) -> Option<&str> {
        self.0.get(&audience).map(|channel| &**channel)
    }
}
