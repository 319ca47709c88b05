//! What a rollout is connected to: where its news goes.
//!
//! * [`JsonLines`] and [`Command`] bring a [`Notification`](crate::rollout::Notification) into a file or to a
//!   program.
//!
//! What waits for others has a deadline, and no secret stands in what is printed or in an error.

mod command;
mod json_lines;
mod text;

pub use command::Command;
pub use json_lines::JsonLines;
