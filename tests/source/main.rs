//! Sources that do all they should not, and gates that keep what they have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;
mod writers;
