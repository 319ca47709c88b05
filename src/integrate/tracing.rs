//! Notifications, updates and evaluations as events of the `tracing` crate.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use tracing::{Level, event};

use crate::eval::{Evaluation, Reason, StageName};
use crate::gate::{Change, Observer, Update, UpdateError};
use crate::rollout::{Notification, NotificationKind, Sink};

/// An emitter of `tracing` events with target `stagegate`. As a [`Sink`] it emits one event for each notification. As an
/// [`Observer`] it emits one for each update and one for each flag that the update moves.
///
/// Events that need attention are warnings: rollbacks, decisions, escalations, alerts and missed checks. A refused
/// update is an error. Every other event is information. The chapter on observing lists the fields, which include the
/// responsible person and the reasons that people wrote. A user's key is in a field only if a person wrote it there.
///
/// # Example
///
/// ```
/// use stagegate::clock::SystemClock;
/// use stagegate::integrate::Tracing;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::Memory;
///
/// let document = "schema = 1\n[flags.search]\nstages = [{ name = \"all\", percent = 100 }]";
/// let rollout = Rollout::start(Memory::new(), SystemClock::new(), document, "ana")?;
/// rollout.tell(Tracing);
/// rollout.gate().observe(Tracing);
/// rollout.by("ana").promote("search")?;
/// // WARN stagegate: rolled back from `all` to `off`: slow kind="rolled_back" flag="search" stage="off"
/// rollout.by("ana").roll_back("search", "slow")?;
/// assert!(!rollout.gate().is_enabled("ana", "search"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracing;

/// Emits a notification. A macro, because `event!` needs the level at compile time.
macro_rules! emit_notification {
    ($level:expr, $notification:ident) => {
        event!(
            name: "stagegate.notification",
            target: "stagegate",
            $level,
            kind = $notification.kind.name(),
            flag = &*$notification.flag,
            stage = $notification.stage.as_str(),
            record = $notification.record,
            responsible = $notification.responsible.as_deref(),
            answer_by = $notification.answer_by.map(rfc3339).as_deref(),
            "{}",
            $notification.text
        )
    };
}

impl Sink for Tracing {
    fn tell(&self, notification: &Notification) {
        match notification.kind {
            NotificationKind::RolledBack
            | NotificationKind::Decision
            | NotificationKind::Escalation
            | NotificationKind::MetricAlert
            | NotificationKind::WatchMissed => emit_notification!(Level::WARN, notification),
            NotificationKind::StageChanged
            | NotificationKind::Held
            | NotificationKind::Resumed
            | NotificationKind::IncidentStep
            | NotificationKind::VerdictChanged
            | NotificationKind::MessageDue => emit_notification!(Level::INFO, notification),
        }
    }
}

impl Observer for Tracing {
    fn on_update(&self, update: &Update<'_>) {
        match update {
            Update::Applied { version, changes } => {
                event!(
                    name: "stagegate.update",
                    target: "stagegate",
                    Level::INFO,
                    version,
                    changes = changes.len(),
                    "update applied"
                );
                changes.iter().for_each(|change| emit_change(*version, change));
            }
            Update::Refused { error } => event!(
                name: "stagegate.update",
                target: "stagegate",
                Level::ERROR,
                error = %without_values(error),
                "update refused"
            ),
        }
    }
}

fn emit_change(version: u64, change: &Change) {
    event!(
        name: "stagegate.change",
        target: "stagegate",
        Level::INFO,
        version,
        flag = &*change.flag,
        from = change.from.as_ref().map(StageName::as_str),
        to = change.to.as_ref().map(StageName::as_str),
        reason = change.reason.as_deref(),
        "flag moved"
    );
}

/// Describes a refusal without the values found in the document, which may be users' keys from a group's list.
fn without_values(error: &UpdateError) -> String {
    match error.problems() {
        [] => error.to_string(),
        [first, ..] => {
            let (count, file, line) = (error.problems().len(), first.file(), first.line());
            format!("problems in the document: {count}, the first at {file}:{line}")
        }
    }
}

/// Emits an evaluation as an event in the current span: `feature_flag.evaluation` of `OpenTelemetry`'s conventions.
///
/// Evaluations emit no events on their own, because an event costs a thousand times as much as an evaluation. Call this
/// where a trace needs the answer, such as once per request. The event has no user's key. To include the key, call
/// [`trace_evaluation_with_user`].
///
/// # Example
///
/// ```
/// use stagegate::Gate;
/// use stagegate::integrate::trace_evaluation;
///
/// let gate = Gate::from_document("schema = 1\n[flags.search]\nstage = \"ga\"")?;
/// let evaluation = gate.evaluate("user-42", "search");
/// trace_evaluation("search", &evaluation);
/// assert!(evaluation.enabled);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
pub fn trace_evaluation(flag: &str, evaluation: &Evaluation) {
    emit_evaluation(None, flag, evaluation);
}

/// Emits an evaluation like [`trace_evaluation`], with the user's key as `feature_flag.context.id`.
///
/// **The key is personal data**: it goes wherever your events go, and stays as long as they do.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
/// use stagegate::integrate::trace_evaluation_with_user;
///
/// let gate = Gate::from_document("schema = 1\n[flags.search]\nstage = \"ga\"")?;
/// let evaluation = gate.evaluate("user-42", "search");
/// trace_evaluation_with_user("user-42", "search", &evaluation);
/// assert!(evaluation.enabled);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
pub fn trace_evaluation_with_user(user: impl fmt::Display, flag: &str, evaluation: &Evaluation) {
    emit_evaluation(Some(&user), flag, evaluation);
}

fn emit_evaluation(user: Option<&dyn fmt::Display>, flag: &str, evaluation: &Evaluation) {
    let is_unknown = evaluation.reason == Reason::FlagNotFound;
    event!(
        name: "feature_flag.evaluation",
        target: "stagegate",
        Level::INFO,
        feature_flag.key = flag,
        feature_flag.result.variant = if evaluation.enabled { "on" } else { "off" },
        feature_flag.result.reason = convention_name(evaluation.reason),
        feature_flag.version = %evaluation.version,
        feature_flag.provider.name = "stagegate",
        feature_flag.context.id = user.map(tracing::field::display),
        "error.type" = is_unknown.then_some("flag_not_found"),
        // The message, for subscribers that name events by it.
        "feature_flag.evaluation"
    );
}

/// Returns the reason in the spelling of `OpenTelemetry`'s conventions, which is lower-case.
fn convention_name(reason: Reason) -> &'static str {
    match reason {
        Reason::FlagNotFound => "error",
        Reason::Off => "disabled",
        Reason::Prerequisite | Reason::Excluded | Reason::HeldBack | Reason::TargetingMatch => {
            "targeting_match"
        }
        Reason::Static => "static",
        Reason::Split => "split",
        Reason::NoUnit | Reason::Default => "default",
    }
}

/// Formats a moment as RFC 3339 in UTC, with a fraction of a second if it has one.
fn rfc3339(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(bound).to_string()
}
