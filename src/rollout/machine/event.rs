//! What can happen to a flag.

use crate::eval::StageName;
use crate::plan::model::Quantity;

/// What somebody or something wants of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// One stage up, or from the last stage to complete: every condition has to hold.
    Promote,
    /// The same if this is the next stage. Where the flag is there already, nothing happens: so a command may be repeated.
    PromoteTo {
        /// Where to.
        to: StageName,
    },
    /// Up, whatever is unmet; to a certain stage or one up.
    Force {
        /// Where to; `None`: one up, or from the last stage to complete.
        to: Option<StageName>,
        /// Why. Not blank.
        reason: String,
    },
    /// No promotion until resumed.
    Hold {
        /// Why. Not blank.
        why: String,
    },
    /// The hold is over.
    Resume {
        /// Why.
        why: Option<String>,
    },
    /// Back, because somebody decides so.
    RollBack {
        /// Where to; `None`: where the plan says. Must be below where the flag is.
        to: Option<StageName>,
        /// Why. May be blank: nothing stands in the way of going back.
        reason: String,
    },
    /// Back, because something that watches found a trigger breached (`guard`).
    Breach {
        /// The trigger's place in the plan's list, from 0.
        trigger: usize,
        /// What was found, in words.
        evidence: String,
    },
    /// A person confirms an item of the checklist or a criterion.
    Sign {
        /// Its id.
        item: String,
        /// On what grounds.
        evidence: Option<String>,
    },
    /// Takes a signature back.
    Unsign {
        /// The item's id.
        item: String,
        /// Why.
        why: Option<String>,
    },
    /// Reports an incident.
    Report {
        /// Its kind: `security`, `data_integrity`, `critical_bug`, or one that a trigger of the flag names.
        /// Another kind is refused.
        kind: String,
        /// What was seen.
        note: Option<String>,
    },
    /// The present phase of the incident is done.
    Step {
        /// What was found or done.
        note: Option<String>,
        /// Why it counts as done although its check fails.
        overriding: Option<String>,
    },
    /// Closes the incident.
    Close {
        /// What came of it. Not blank.
        note: String,
    },
    /// A metric was read.
    Measure {
        /// Its name.
        metric: String,
        /// What was read.
        reading: Reading,
        /// The value for users without the flag.
        control: Option<Quantity>,
        /// From how many samples.
        samples: Option<u64>,
    },
    /// A guard has measured a metric, whose limits it judges itself: for criteria, alerts and what an incident
    /// verifies, and for no trigger but where no data is one.
    Judged {
        /// The stage it was measured in: of another one it says nothing.
        stage: StageName,
        /// Its name.
        metric: String,
        /// What it came to.
        value: Quantity,
        /// The value for users without the flag.
        control: Option<Quantity>,
        /// From how many requests.
        samples: u64,
    },
    /// Time has passed: does what is due.
    Tick,
    /// Whoever sends the plan's messages asks which are due.
    Tell,
}

/// What reading a metric gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A value.
    Value(Quantity),
    /// Nothing: no data, not a number, an answer too old.
    NoData,
}

/// Bytes of a text that somebody writes, beyond which it is cut off: a journal is kept for ever, and
/// a roll-back is not refused because somebody has pasted a log.
const MAX_TEXT_BYTES: usize = 4096;

/// A text as a record keeps it.
pub(in crate::rollout) fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}… ({} bytes more)", text.len() - end)
}

impl Event {
    /// The same, with texts as records keep them.
    pub(in crate::rollout) fn cut(&self) -> Event {
        let mut event = self.clone();
        let cut_one = |text: &mut String| *text = cut(text);
        let cut_any = |text: &mut Option<String>| text.iter_mut().for_each(cut_one);
        match &mut event {
            Event::Promote | Event::PromoteTo { .. } | Event::Tick | Event::Tell => {}
            Event::Force { reason: text, .. }
            | Event::Hold { why: text }
            | Event::RollBack { reason: text, .. }
            | Event::Breach { evidence: text, .. }
            | Event::Close { note: text }
            | Event::Measure { metric: text, .. }
            | Event::Judged { metric: text, .. } => cut_one(text),
            Event::Resume { why: text } => cut_any(text),
            Event::Sign { item, evidence: text }
            | Event::Unsign { item, why: text }
            | Event::Report { kind: item, note: text } => {
                cut_one(item);
                cut_any(text);
            }
            Event::Step { note, overriding } => {
                cut_any(note);
                cut_any(overriding);
            }
        }
        event
    }

    /// What a refusal calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Event::Promote | Event::PromoteTo { .. } => "promote",
            Event::Force { .. } => "forced promotion",
            Event::Hold { .. } => "hold",
            Event::Resume { .. } => "resume",
            Event::RollBack { .. } | Event::Breach { .. } => "roll-back",
            Event::Sign { .. } => "signature",
            Event::Unsign { .. } => "taking back a signature",
            Event::Report { .. } => "report",
            Event::Step { .. } => "incident step",
            Event::Close { .. } => "closing the incident",
            Event::Measure { .. } | Event::Judged { .. } => "metric",
            Event::Tick => "tick",
            Event::Tell => "telling",
        }
    }
}
