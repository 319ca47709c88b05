//! Property tests that compare the gate with its *twin*, a naive reference implementation.
//!
//! On random documents, the gate gives the same answers as the twin, growing only adds users, no document breaks the
//! gate, and updates follow the documented rules. `PROPTEST_CASES` is the number of documents for each property (256 by
//! default).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agreement;
mod growth;
mod hostile;
mod model;
mod oracle;
mod rules;
mod strategies;
mod transitions;
mod widening;
