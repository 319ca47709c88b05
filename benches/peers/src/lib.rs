//! Times `stagegate` beside its peers: the same work for each, by its cheapest public call.

#![forbid(unsafe_code)]

pub mod check;
pub mod peers;
pub mod time;
pub mod work;
