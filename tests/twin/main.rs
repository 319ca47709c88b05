//! Proves that the gate is right: on random documents it answers as a naive twin does, growing only
//! adds users, no document breaks it, and updates follow the rules that they document.
//!
//! `PROPTEST_CASES` says how many documents each property sees (256 where it is not set).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agreement;
mod growth;
mod hostile;
mod model;
mod oracle;
mod rules;
mod strategies;
mod transitions;
