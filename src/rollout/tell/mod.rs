//! Notifications for a log, a chat or a pager, and the sinks that receive them.

mod json;
mod outbox;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::eval::StageName;
use crate::plan::model::{Audience, When};

pub use outbox::{Delivery, DeliveryError, Outbox, OutboxStatus, Retry};

/// A notification: what happened to a flag, or what must be done about it.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::StageName;
/// use stagegate::rollout::{Notification, NotificationKind};
///
/// let now = SystemTime::UNIX_EPOCH;
/// let news = Notification::new("search", NotificationKind::Held, StageName::OFF, now, "held: lunch");
/// assert_eq!(
///     news.to_json(),
///     r#"{"schema":1,"at":"1970-01-01T00:00:00Z","flag":"search","kind":"held","stage":"off","text":"held: lunch"}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notification {
    /// The flag's key. Empty if the notification is about all flags.
    pub flag: Box<str>,
    /// The kind of notification.
    pub kind: NotificationKind,
    /// The flag's stage after the event, or `off`. Without meaning if the notification is about all flags.
    pub stage: StageName,
    /// The time by the wall clock.
    pub at: SystemTime,
    /// What happened, in a sentence.
    pub text: String,
    /// The person who must act, if anyone.
    pub responsible: Option<Box<str>>,
    /// The deadline for an answer. After it, the next in line is asked.
    pub answer_by: Option<SystemTime>,
    /// The number of the journal record, if already written.
    pub record: Option<u64>,
    /// The message to send, for [`MessageDue`](NotificationKind::MessageDue).
    pub message: Option<RenderedMessage>,
}

/// The kind of a [`Notification`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotificationKind {
    /// The flag was promoted, or its rollout is complete.
    StageChanged,
    /// The flag was rolled back. This is in force, though perhaps not recorded yet.
    RolledBack,
    /// The flag was held, or all flags. They are not promoted until they are resumed.
    Held,
    /// The hold ended.
    Resumed,
    /// An incident was reported, entered its next phase, or was closed.
    IncidentStep,
    /// The person responsible must decide whether to roll the flag back.
    Decision,
    /// No answer came, so the next in line is asked.
    Escalation,
    /// The guard's verdict on a trigger changed.
    VerdictChanged,
    /// A metric is beyond its alert threshold.
    MetricAlert,
    /// A check of the watch was missed.
    WatchMissed,
    /// A message of the plan must be sent: [`Notification::message`].
    MessageDue,
}

/// A message of the plan, with every variable filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderedMessage {
    /// The audience.
    pub audience: Audience,
    /// The channel that the plan names: `"email"`, `"#releases"`.
    pub channel: Box<str>,
    /// The stage that the message is about.
    pub stage: StageName,
    /// The moment relative to the stage.
    pub when: When,
    /// The subject line.
    pub subject: Option<String>,
    /// The text.
    pub text: String,
}

/// A receiver of notifications.
///
/// # Concurrency
///
/// The thread that acts calls [`tell`](Sink::tell), after the action is in force and with no lock held. `tell` must not
/// block. Put slow work behind an [`Outbox`]. A panic is caught.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Receives a notification.
    fn tell(&self, notification: &Notification);
}

impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn tell(&self, notification: &Notification) {
        (**self).tell(notification);
    }
}

impl Notification {
    /// Returns a notification with these fields, and no others.
    #[must_use]
    pub fn new(
        flag: &str,
        kind: NotificationKind,
        stage: StageName,
        at: SystemTime,
        text: impl Into<String>,
    ) -> Notification {
        let (responsible, answer_by, record, message) = (None, None, None, None);
        let (flag, text) = (flag.into(), text.into());
        Notification { flag, kind, stage, at, text, responsible, answer_by, record, message }
    }
}

impl NotificationKind {
    /// Returns the name of the kind in JSON: `stage_changed`, `rolled_back`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NotificationKind::StageChanged => "stage_changed",
            NotificationKind::RolledBack => "rolled_back",
            NotificationKind::Held => "held",
            NotificationKind::Resumed => "resumed",
            NotificationKind::IncidentStep => "incident_step",
            NotificationKind::Decision => "decision",
            NotificationKind::Escalation => "escalation",
            NotificationKind::VerdictChanged => "verdict_changed",
            NotificationKind::MetricAlert => "metric_alert",
            NotificationKind::WatchMissed => "watch_missed",
            NotificationKind::MessageDue => "message_due",
        }
    }
}
