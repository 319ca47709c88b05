//! Times `stagegate` and its peers in the same scenarios, each by its cheapest public call.

#![forbid(unsafe_code)]

pub mod check;
pub mod peers;
pub mod scenario;
pub mod time;
