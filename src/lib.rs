//! Feature flags that never deploy 0 → 100.

#![forbid(unsafe_code)]

mod eval;
mod gate;
mod key;
mod percent;
mod plan;

pub use eval::{AsUser, Evaluation, Reason, Salt, StageName, User, UserKey};
pub use gate::{
    Change, FlagHandle, FlagStatus, Gate, Observer, Pinned, Status, Update, UpdateError,
};
pub use percent::{ParsePercentError, Percent};
pub use plan::{Document, Format, Plan, PlanError, Problem, limits};
