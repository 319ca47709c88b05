//! Who else is told of what happens: a log, a chat, a pager.

mod json;
mod outbox;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::eval::StageName;
use crate::plan::model::{Audience, When};

pub use outbox::{Delivery, Outbox, OutboxStatus, Retry, Undelivered};

/// Something that has happened to a flag, or is to be said of it now.
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
    /// The flag's key.
    pub flag: Box<str>,
    /// What it is about.
    pub kind: NotificationKind,
    /// Where the flag is since, or `off`.
    pub stage: StageName,
    /// When, by the clock on the wall.
    pub at: SystemTime,
    /// What happened, in a sentence.
    pub text: String,
    /// Who is responsible at this moment, where somebody has to do something.
    pub responsible: Option<Box<str>>,
    /// By when they have to have answered: then the next in line is asked.
    pub answer_by: Option<SystemTime>,
    /// The number of the journal's record, where there is one already.
    pub record: Option<u64>,
    /// What is to be sent, of a [`MessageDue`](NotificationKind::MessageDue).
    pub letter: Option<Letter>,
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotificationKind {
    /// The flag went up, or its rollout is complete.
    StageChanged,
    /// The flag was taken back. In force, though perhaps not recorded yet.
    RolledBack,
    /// Nothing is promoted until it is resumed.
    Held,
    /// The hold is over.
    Resumed,
    /// An incident was reported, went a phase on, or was closed.
    IncidentStep,
    /// Whoever is responsible has to decide whether the flag is taken back.
    Decision,
    /// Nobody answered: the next in line is asked.
    Escalation,
    /// The guard says otherwise of a trigger than before.
    VerdictChanged,
    /// A metric is beyond its alert threshold.
    MetricAlert,
    /// A check of the watch was missed.
    WatchMissed,
    /// A message of the plan is to be sent: [`Notification::letter`] has it.
    MessageDue,
}

/// A message of the plan with every variable filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Letter {
    /// To whom.
    pub audience: Audience,
    /// By which way, as the plan says: `"email"`, `"#releases"`.
    pub channel: Box<str>,
    /// About which stage.
    pub stage: StageName,
    /// Which moment of it this is.
    pub when: When,
    /// The subject line.
    pub subject: Option<String>,
    /// The text.
    pub text: String,
}

/// Where notifications go.
///
/// # Concurrency
///
/// [`tell`](Sink::tell) is called by whoever acts, after what happened is in force, and with no lock held. It is
/// not to block: what takes time stands behind an [`Outbox`]. A panic is caught.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Takes a notification.
    fn tell(&self, notification: &Notification);
}

/// Whatever it stands for is told.
impl<S: Sink + ?Sized> Sink for Arc<S> {
    fn tell(&self, notification: &Notification) {
        (**self).tell(notification);
    }
}

impl Notification {
    /// One with nothing beside what is given.
    #[must_use]
    pub fn new(
        flag: &str,
        kind: NotificationKind,
        stage: StageName,
        at: SystemTime,
        text: impl Into<String>,
    ) -> Notification {
        let (responsible, answer_by, record, letter) = (None, None, None, None);
        let (flag, text) = (flag.into(), text.into());
        Notification { flag, kind, stage, at, text, responsible, answer_by, record, letter }
    }
}

impl NotificationKind {
    /// The word that JSON has for it: `stage_changed`, `rolled_back`.
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
