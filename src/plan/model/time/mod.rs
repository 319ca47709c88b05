//! Days, durations, time zones and hours of the week, as a document writes them.

pub(in crate::plan) mod date;
pub(super) mod duration;
pub(in crate::plan) mod week;
pub(super) mod week_text;
