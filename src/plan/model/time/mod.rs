//! Days, durations, time zones and hours of the week, as a document writes them.

pub(super) mod date;
pub(super) mod duration;
pub(super) mod week;
pub(super) mod week_text;
