//! Events: requests and observations about a flag.

use crate::eval::StageName;
use crate::plan::model::Quantity;

/// A request or an observation about a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Promotes the flag one stage, or completes the rollout in the last stage. Every condition must hold.
    Promote,
    /// Promotes the flag to its next stage, if that is the named one. Changes nothing if the flag is there already, so
    /// a command may be repeated.
    PromoteTo {
        /// The stage to promote to.
        to: StageName,
    },
    /// Promotes the flag although conditions are unmet.
    Force {
        /// The stage to promote to. `None`: one stage up, or from the last stage to complete.
        to: Option<StageName>,
        /// The reason. Must not be blank.
        reason: String,
    },
    /// Blocks promotions until the flag is resumed.
    Hold {
        /// The reason. Must not be blank.
        why: String,
    },
    /// Ends a hold.
    Resume {
        /// The reason.
        why: Option<String>,
    },
    /// Rolls the flag back by a person's decision.
    RollBack {
        /// The stage to roll back to, below the flag's stage. `None`: the plan's target.
        to: Option<StageName>,
        /// The reason. May be blank: a rollback is never refused for lack of a reason.
        reason: String,
    },
    /// Reports that a trigger is breached, as a guard does. Rolls the flag back or asks for a decision.
    Breach {
        /// The trigger's index in the plan's list, from 0.
        trigger: usize,
        /// The figures that breach the trigger, in words.
        evidence: String,
    },
    /// Signs an item of the checklist or of the criteria, or an approval.
    Sign {
        /// The item's id.
        item: String,
        /// The evidence, such as a link.
        evidence: Option<String>,
    },
    /// Removes a signature.
    Unsign {
        /// The item's id.
        item: String,
        /// The reason.
        why: Option<String>,
    },
    /// Reports an incident.
    Report {
        /// The incident's kind: `security`, `data_integrity`, `critical_bug`, or a kind that a trigger of the flag
        /// names. Any other kind is refused.
        kind: String,
        /// What was observed.
        note: Option<String>,
    },
    /// Completes the present phase of the incident.
    Step {
        /// What was found or done.
        note: Option<String>,
        /// The reason to complete the phase although its check fails.
        overriding: Option<String>,
    },
    /// Closes the incident.
    Close {
        /// The result of the investigation. Must not be blank.
        note: String,
    },
    /// Reports a reading of a metric.
    Measure {
        /// The metric's name.
        metric: String,
        /// The value, or no data.
        reading: Reading,
        /// The value for users without the flag.
        control: Option<Quantity>,
        /// The number of samples.
        samples: Option<u64>,
    },
    /// Reports a guard's measurement of a metric. It counts for criteria, alerts and the verification of an incident.
    /// It fires no trigger, because the guard judges triggers itself. But it is data for `no_data = "rollback"`.
    Judged {
        /// The stage in which the guard measured. Ignored if the flag is in another stage.
        stage: StageName,
        /// The metric's name.
        metric: String,
        /// The value for users with the flag.
        value: Quantity,
        /// The value for users without the flag.
        control: Option<Quantity>,
        /// The number of requests.
        samples: u64,
    },
    /// Does what is due because time has passed.
    Tick,
    /// Sends the plan's messages that are due.
    SendMessages,
}

/// The result of reading a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A value.
    Value(Quantity),
    /// No value: no data, not a number, or an answer that is too old.
    NoData,
}

/// Maximum length of a text that a caller gives, in bytes. Longer texts are truncated, because a journal keeps them
/// forever. They are not refused: a pasted log must not prevent a rollback.
const MAX_TEXT_BYTES: usize = 4096;

/// Returns the text as a record keeps it: [`MAX_TEXT_BYTES`] at most.
pub(in crate::rollout) fn truncated(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}… ({} bytes more)", text.len() - end)
}

impl Event {
    /// Returns the event with every text truncated.
    pub(in crate::rollout) fn truncated(&self) -> Event {
        let mut event = self.clone();
        let truncate = |text: &mut String| *text = truncated(text);
        let truncate_any = |text: &mut Option<String>| text.iter_mut().for_each(truncate);
        match &mut event {
            Event::Promote | Event::PromoteTo { .. } | Event::Tick | Event::SendMessages => {}
            Event::Force { reason: text, .. }
            | Event::Hold { why: text }
            | Event::RollBack { reason: text, .. }
            | Event::Breach { evidence: text, .. }
            | Event::Close { note: text }
            | Event::Measure { metric: text, .. }
            | Event::Judged { metric: text, .. } => truncate(text),
            Event::Resume { why: text } => truncate_any(text),
            Event::Sign { item, evidence: text }
            | Event::Unsign { item, why: text }
            | Event::Report { kind: item, note: text } => {
                truncate(item);
                truncate_any(text);
            }
            Event::Step { note, overriding } => {
                truncate_any(note);
                truncate_any(overriding);
            }
        }
        event
    }

    /// Returns the event's name in refusals.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Event::Promote | Event::PromoteTo { .. } => "promote",
            Event::Force { .. } => "forced promotion",
            Event::Hold { .. } => "hold",
            Event::Resume { .. } => "resume",
            Event::RollBack { .. } | Event::Breach { .. } => "rollback",
            Event::Sign { .. } => "signature",
            Event::Unsign { .. } => "removal of a signature",
            Event::Report { .. } => "report",
            Event::Step { .. } => "incident step",
            Event::Close { .. } => "closing the incident",
            Event::Measure { .. } | Event::Judged { .. } => "metric",
            Event::Tick => "tick",
            Event::SendMessages => "sending messages",
        }
    }
}
