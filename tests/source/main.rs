//! Sources that do all they should not, and gates that keep what they have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod by_hand;
#[path = "../integrate/canary.rs"]
mod canary;
mod damage;
mod hostile;
mod kept;
mod links;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../integrate/server.rs"]
mod server;
mod tags;
mod world;
mod writers;
