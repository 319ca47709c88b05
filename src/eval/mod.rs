//! The decision itself: pure functions over immutable data, without locks, allocation or failure.

mod audience;
mod bucketing;
mod evaluation;
mod flag;
mod snapshot;
mod stage;
mod user;

pub(crate) use audience::{AttributeRule, Group, UserSet};
pub use bucketing::Salt;
pub(crate) use bucketing::{Quick, hash};
pub use evaluation::{Evaluation, Reason};
pub(crate) use flag::{Flag, FlagDefinition, HoldBack, Placement};
pub(crate) use snapshot::{Slot, Snapshot};
pub use stage::StageName;
pub(crate) use stage::{MAX_STAGE_NAME_BYTES, Position, Stage};
pub use user::{AsUser, User, UserKey};
