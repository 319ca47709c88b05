//! Notifications to sinks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use super::{Rollout, Shared};
use crate::eval::StageName;
use crate::rollout::{
    Alert, AlertKind, Cause, Fact, Notification, NotificationKind, Record, RenderedMessage, Sink,
};

/// The records that an event led to, and the alerts and messages to send with them.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) records: Vec<Record>,
    pub(super) alerts: Vec<Alert>,
    pub(super) messages: Vec<RenderedMessage>,
}

impl Rollout {
    /// Adds a sink. From now on it receives everything that this rollout does: promotions, rollbacks, incidents,
    /// decisions, and with each [`tick`](Rollout::tick) the plan's due messages.
    ///
    /// The sink receives a promotion after it is recorded, and a rollback once it is in force. A message is recorded
    /// before it is sent. So after a crash one may be missing, and none is sent twice.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::{Notification, Rollout, Sink};
    /// use stagegate::store::Memory;
    ///
    /// #[derive(Clone, Debug, Default)]
    /// struct Lines(Arc<Mutex<Vec<String>>>);
    ///
    /// impl Sink for Lines {
    ///     fn tell(&self, it: &Notification) {
    ///         let line = match &it.message {
    ///             Some(message) => format!("to {}: {}", message.audience, message.text),
    ///             None => format!("{}: {}", it.kind.name(), it.text),
    ///         };
    ///         self.0.lock().unwrap().push(line);
    ///     }
    /// }
    ///
    /// let document = r#"
    ///     schema = 1
    ///     [flags.a]
    ///     stages = [{ name = "all", percent = 100 }]
    ///     messages = [{ audience = "user", when = "start", channel = "email", template = "{{ flag }} is there." }]
    /// "#;
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
    /// let lines = Lines::default();
    /// rollout.tell(lines.clone());
    /// rollout.by("ana").promote("a")?;
    /// rollout.tick();
    /// rollout.by("ben").roll_back("a", "slow")?;
    /// assert_eq!(*lines.0.lock().unwrap(), [
    ///     "stage_changed: promoted, off -> all",
    ///     "to user: a is there.",
    ///     "rolled_back: rolled back from `all` to `off`: slow",
    /// ]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tell(&self, sink: impl Sink + 'static) {
        let mut sinks = self.shared.sinks.write().unwrap_or_else(PoisonError::into_inner);
        sinks.push(Arc::new(sink));
    }
}

impl Shared {
    /// Returns whether a sink was added.
    pub(super) fn has_sinks(&self) -> bool {
        !self.sinks.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Notifies all sinks of an event's results. `flag` is empty for an event about all flags. Call it with no lock held.
    pub(super) fn notify(&self, flag: &str, recorded: &Recorded) {
        if !self.has_sinks() {
            return;
        }
        let (stage, now) = (self.lock_live().gate_stage(&self.gate, flag), self.moment().wall);
        let records = recorded.records.iter().filter_map(|record| from_record(flag, stage, record));
        let alerts = recorded.alerts.iter().map(|alert| from_alert(flag, stage, now, alert));
        let messages =
            recorded.messages.iter().map(|message| from_message(flag, stage, now, message));
        let notifications: Vec<Notification> = records.chain(alerts).chain(messages).collect();
        self.send_to_sinks(&notifications);
    }

    pub(super) fn send_to_sinks(&self, notifications: &[Notification]) {
        let sinks = self.sinks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for sink in &sinks {
            for notification in notifications {
                // The panic hook has printed the panic, and the other sinks must be notified.
                let _ = catch_unwind(AssertUnwindSafe(|| sink.tell(notification)));
            }
        }
    }
}

/// Returns the notification for a record, or `None` if an alert replaces it. The alert for a rollback is sent before
/// its record is written.
fn from_record(flag: &str, stage: StageName, record: &Record) -> Option<Notification> {
    let kind = match &record.fact {
        Fact::Promoted { .. } | Fact::Completed { .. } => NotificationKind::StageChanged,
        Fact::RolledBack { cause: Cause::Call, .. } => NotificationKind::RolledBack,
        Fact::Held { .. } | Fact::HeldAll { .. } => NotificationKind::Held,
        Fact::Resumed { .. } | Fact::ResumedAll { .. } => NotificationKind::Resumed,
        Fact::Stepped { .. } | Fact::Closed { .. } => NotificationKind::IncidentStep,
        _ => return None,
    };
    let mut text = record.fact.to_string();
    if let Some((from, to)) = record.from.zip(record.to).filter(|(from, to)| from != to) {
        text = format!("{text}, {from} -> {to}");
    }
    let mut notification =
        Notification::new(flag, kind, record.to.unwrap_or(stage), record.at, text);
    notification.record = Some(record.seq);
    Some(notification)
}

fn from_alert(flag: &str, stage: StageName, now: SystemTime, alert: &Alert) -> Notification {
    let kind = match alert.kind {
        AlertKind::Metric => NotificationKind::MetricAlert,
        AlertKind::Decision => NotificationKind::Decision,
        AlertKind::RolledBack => NotificationKind::RolledBack,
        AlertKind::Escalation => NotificationKind::Escalation,
        AlertKind::WatchMissed => NotificationKind::WatchMissed,
    };
    let mut notification = Notification::new(flag, kind, stage, now, &*alert.text);
    notification.responsible = alert.responsible.clone();
    notification.answer_by = alert.answer_by;
    notification
}

fn from_message(
    flag: &str,
    stage: StageName,
    now: SystemTime,
    message: &RenderedMessage,
) -> Notification {
    let RenderedMessage { audience, channel, stage: about, when, .. } = message;
    let text = format!("to {audience} by {channel}: {about}.{when}");
    let mut notification = Notification::new(flag, NotificationKind::MessageDue, stage, now, text);
    notification.message = Some(message.clone());
    notification
}
