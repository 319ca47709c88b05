//! Dates, durations, time zones and hours of the week, in the form of a document.

pub(in crate::plan) mod date;
pub(super) mod duration;
pub(in crate::plan) mod week;
pub(super) mod week_text;
