//! What happens, as events of the `tracing` crate.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use tracing::{Level, event};

use crate::eval::{Evaluation, Reason, StageName};
use crate::gate::{Change, Observer, Update, UpdateError};
use crate::rollout::{Notification, NotificationKind, Sink};

/// Makes events of what happens: as a [`Sink`] one of each notification, as an [`Observer`] one of each update and one
/// of each flag that it moves. Their target is `stagegate`.
///
/// What somebody has to look at is a warning: a roll-back, a decision, an escalation, an alert, a missed check. An update
/// that is refused is an error, all else information. The chapter on observing lists the fields. They have who is
/// responsible and what people have written as reasons; the key of a user is in none unless somebody wrote it there.
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
/// // WARN stagegate: taken back from `all` to `off`: slow kind="rolled_back" flag="search" stage="off"
/// rollout.by("ana").roll_back("search", "slow")?;
/// assert!(!rollout.gate().is_enabled("ana", "search"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracing;

/// The level of an event is part of what is compiled, so each has its own.
macro_rules! tell {
    ($level:expr, $it:ident) => {
        event!(
            name: "stagegate.notification",
            target: "stagegate",
            $level,
            kind = $it.kind.name(),
            flag = &*$it.flag,
            stage = $it.stage.as_str(),
            record = $it.record,
            responsible = $it.responsible.as_deref(),
            answer_by = $it.answer_by.map(moment).as_deref(),
            "{}",
            $it.text
        )
    };
}

impl Sink for Tracing {
    fn tell(&self, it: &Notification) {
        match it.kind {
            NotificationKind::RolledBack
            | NotificationKind::Decision
            | NotificationKind::Escalation
            | NotificationKind::MetricAlert
            | NotificationKind::WatchMissed => tell!(Level::WARN, it),
            NotificationKind::StageChanged
            | NotificationKind::Held
            | NotificationKind::Resumed
            | NotificationKind::IncidentStep
            | NotificationKind::VerdictChanged
            | NotificationKind::MessageDue => tell!(Level::INFO, it),
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
                changes.iter().for_each(|change| moved(*version, change));
            }
            Update::Refused { error } => event!(
                name: "stagegate.update",
                target: "stagegate",
                Level::ERROR,
                error = %refusal(error),
                "update refused"
            ),
        }
    }
}

fn moved(version: u64, change: &Change) {
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

/// Why, without what was found in a document: that may be the key of a user whom a group lists.
fn refusal(error: &UpdateError) -> String {
    match error.problems() {
        [] => error.to_string(),
        [first, ..] => {
            let (count, file, line) = (error.problems().len(), first.file(), first.line());
            format!("problems in the document: {count}, the first at {file}:{line}")
        }
    }
}

/// Makes an event of one evaluation, within the current span, as `OpenTelemetry` has it: `feature_flag.evaluation`.
///
/// Nothing is recorded by itself: an event for each question would cost a thousand times the question. Call it where
/// an answer matters, once a request, say. The event has no key of a user; [`trace_evaluation_of`] has.
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
    trace(None, flag, evaluation);
}

/// As [`trace_evaluation`], and with the key of the user as `feature_flag.context.id`.
///
/// **That is personal data**: it goes wherever events go, and stays there as long as they do.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
/// use stagegate::integrate::trace_evaluation_of;
///
/// let gate = Gate::from_document("schema = 1\n[flags.search]\nstage = \"ga\"")?;
/// let evaluation = gate.evaluate("user-42", "search");
/// trace_evaluation_of("user-42", "search", &evaluation);
/// assert!(evaluation.enabled);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
pub fn trace_evaluation_of(user: impl fmt::Display, flag: &str, evaluation: &Evaluation) {
    trace(Some(&user), flag, evaluation);
}

fn trace(user: Option<&dyn fmt::Display>, flag: &str, evaluation: &Evaluation) {
    let is_unknown = evaluation.reason == Reason::FlagNotFound;
    event!(
        name: "feature_flag.evaluation",
        target: "stagegate",
        Level::INFO,
        feature_flag.key = flag,
        feature_flag.result.variant = if evaluation.enabled { "on" } else { "off" },
        feature_flag.result.reason = reason(evaluation.reason),
        feature_flag.version = %evaluation.version,
        feature_flag.provider.name = "stagegate",
        feature_flag.context.id = user.map(tracing::field::display),
        "error.type" = is_unknown.then_some("flag_not_found"),
        // Where a span's events are named by their text.
        "feature_flag.evaluation"
    );
}

/// `Reason::as_str` in the letters of the convention.
fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::FlagNotFound => "error",
        Reason::Off => "disabled",
        Reason::HeldBack | Reason::TargetingMatch => "targeting_match",
        Reason::Static => "static",
        Reason::Split => "split",
        Reason::Default => "default",
    }
}

/// In UTC, to the fraction of a second that it has.
fn moment(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::try_from(at).unwrap_or(bound).to_string()
}
