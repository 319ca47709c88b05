//! Notifications as JSON.

use std::time::SystemTime;

use jiff::Timestamp;
use serde_derive::Serialize;

use super::{Notification, RenderedMessage};

/// The JSON of a notification, specified in `docs/telling.md`. A field without a value is left out.
#[derive(Serialize)]
struct NotificationJson<'n> {
    schema: u32,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<&'n str>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'n str>,
    text: &'n str,
    #[serde(skip_serializing_if = "Option::is_none")]
    responsible: Option<&'n str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageJson<'n>>,
}

#[derive(Serialize)]
struct MessageJson<'n> {
    audience: String,
    channel: &'n str,
    stage: &'n str,
    when: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'n str>,
    text: &'n str,
}

impl Notification {
    /// Returns the notification as JSON on one line, without a line end:
    /// `{"schema":1,"at":"…","flag":"…","kind":"…",…}`. `docs/telling.md` lists the fields.
    #[must_use]
    pub fn to_json(&self) -> String {
        let is_about_all = self.flag.is_empty();
        let json = NotificationJson {
            schema: 1,
            at: moment(self.at),
            flag: (!is_about_all).then_some(&*self.flag),
            kind: self.kind.name(),
            stage: (!is_about_all).then_some(&*self.stage),
            text: &self.text,
            responsible: self.responsible.as_deref(),
            answer_by: self.answer_by.map(moment),
            record: self.record,
            message: self.message.as_ref().map(message),
        };
        // Serializing texts and numbers cannot fail.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

fn message(message: &RenderedMessage) -> MessageJson<'_> {
    MessageJson {
        audience: message.audience.to_string(),
        channel: &message.channel,
        stage: &message.stage,
        when: message.when.to_string(),
        subject: message.subject.as_deref(),
        text: &message.text,
    }
}

/// Formats a time in UTC, with a fraction of a second if it has one.
fn moment(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(bound).to_string()
}
