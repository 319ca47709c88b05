//! Sources that do all they should not, and gates that keep what they have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod by_hand;
mod damage;
mod kept;
mod links;
mod world;
mod writers;
