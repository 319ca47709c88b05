//! Telling others: what happened, as notifications.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use super::{Rollout, Shared};
use crate::eval::StageName;
use crate::rollout::{
    Alert, AlertKind, Cause, Fact, Letter, Notification, NotificationKind, Record, Sink,
};

/// What became of an event: what is recorded, and what somebody is to be told beside that.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) records: Vec<Record>,
    pub(super) alerts: Vec<Alert>,
    pub(super) letters: Vec<Letter>,
}

impl Rollout {
    /// Tells a sink of everything from now on that this rollout does: what goes up or back, incidents, decisions, and
    /// with each [`tick`](Rollout::tick) the messages of the plan that are due.
    ///
    /// What is told has happened: a promotion is recorded, a roll-back is in force. Messages are recorded as sent
    /// before they are, so that after a crash one may be missing and none comes twice.
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
    ///         let line = match &it.letter {
    ///             Some(letter) => format!("to {}: {}", letter.audience, letter.text),
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
    ///     "rolled_back: taken back from `all` to `off`: slow",
    /// ]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tell(&self, sink: impl Sink + 'static) {
        let mut sinks = self.shared.sinks.write().unwrap_or_else(PoisonError::into_inner);
        sinks.push(Arc::new(sink));
    }
}

impl Shared {
    /// Whether anybody is told.
    pub(super) fn tells(&self) -> bool {
        !self.sinks.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Tells everybody what became of a flag. No lock is held.
    pub(super) fn tell_of(&self, flag: &str, done: &Done) {
        if !self.tells() {
            return;
        }
        let (stage, now) = (self.front().serving(&self.gate, flag), self.moment().wall);
        let records = done.records.iter().filter_map(|record| of_record(flag, stage, record));
        let alerts = done.alerts.iter().map(|alert| of_alert(flag, stage, now, alert));
        let letters = done.letters.iter().map(|letter| of_letter(flag, stage, now, letter));
        let told: Vec<Notification> = records.chain(alerts).chain(letters).collect();
        self.hand_out(&told);
    }

    pub(super) fn hand_out(&self, notifications: &[Notification]) {
        let sinks = self.sinks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for sink in &sinks {
            for notification in notifications {
                // The panic has been printed by the hook, and others are to be told.
                let _ = catch_unwind(AssertUnwindSafe(|| sink.tell(notification)));
            }
        }
    }
}

/// Of what no alert tells: that of a roll-back is there before its record.
fn of_record(flag: &str, stage: StageName, record: &Record) -> Option<Notification> {
    let kind = match &record.fact {
        Fact::Promoted { .. } | Fact::Completed { .. } => NotificationKind::StageChanged,
        Fact::RolledBack { cause: Cause::Call, .. } => NotificationKind::RolledBack,
        Fact::Held { .. } => NotificationKind::Held,
        Fact::Resumed { .. } => NotificationKind::Resumed,
        Fact::Stepped { .. } | Fact::Closed { .. } => NotificationKind::IncidentStep,
        _ => return None,
    };
    let mut text = record.fact.to_string();
    if let Some((from, to)) = record.from.zip(record.to).filter(|(from, to)| from != to) {
        text = format!("{text}, {from} -> {to}");
    }
    let mut told = Notification::new(flag, kind, record.to.unwrap_or(stage), record.at, text);
    told.record = Some(record.seq);
    Some(told)
}

fn of_alert(flag: &str, stage: StageName, now: SystemTime, alert: &Alert) -> Notification {
    let kind = match alert.kind {
        AlertKind::Metric => NotificationKind::MetricAlert,
        AlertKind::Decision => NotificationKind::Decision,
        AlertKind::RolledBack => NotificationKind::RolledBack,
        AlertKind::Escalation => NotificationKind::Escalation,
        AlertKind::WatchMissed => NotificationKind::WatchMissed,
    };
    let mut told = Notification::new(flag, kind, stage, now, &*alert.text);
    told.responsible = alert.responsible.clone();
    told.answer_by = alert.answer_by;
    told
}

fn of_letter(flag: &str, stage: StageName, now: SystemTime, letter: &Letter) -> Notification {
    let Letter { audience, channel, stage: about, when, .. } = letter;
    let text = format!("to {audience} by {channel}: {about}.{when}");
    let mut told = Notification::new(flag, NotificationKind::MessageDue, stage, now, text);
    told.letter = Some(letter.clone());
    told
}
