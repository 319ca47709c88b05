//! Notifications as JSON.

use std::time::SystemTime;

use jiff::Timestamp;
use serde_derive::Serialize;

use super::{Letter, Notification};

/// As `docs/telling.md` has it. A field without a value is left out.
#[derive(Serialize)]
struct Told<'n> {
    schema: u32,
    at: String,
    flag: &'n str,
    kind: &'static str,
    stage: &'n str,
    text: &'n str,
    #[serde(skip_serializing_if = "Option::is_none")]
    responsible: Option<&'n str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'n>>,
}

#[derive(Serialize)]
struct Message<'n> {
    audience: String,
    channel: &'n str,
    stage: &'n str,
    when: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'n str>,
    text: &'n str,
}

impl Notification {
    /// On one line, without a line end: `{"schema":1,"at":"…","flag":"…","kind":"…",…}`. The chapter on telling has
    /// the fields.
    #[must_use]
    pub fn to_json(&self) -> String {
        let told = Told {
            schema: 1,
            at: moment(self.at),
            flag: &self.flag,
            kind: self.kind.name(),
            stage: &self.stage,
            text: &self.text,
            responsible: self.responsible.as_deref(),
            answer_by: self.answer_by.map(moment),
            record: self.record,
            message: self.letter.as_ref().map(message),
        };
        // Texts and numbers always have a JSON.
        serde_json::to_string(&told).unwrap_or_default()
    }
}

fn message(letter: &Letter) -> Message<'_> {
    Message {
        audience: letter.audience.to_string(),
        channel: &letter.channel,
        stage: &letter.stage,
        when: letter.when.to_string(),
        subject: letter.subject.as_deref(),
        text: &letter.text,
    }
}

/// In UTC, to the millisecond where it has any.
fn moment(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(bound).to_string()
}
