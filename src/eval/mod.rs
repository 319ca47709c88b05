//! Decisions: pure functions over immutable data, without locks, allocation or failure.

mod audience;
mod bucketing;
mod condition;
mod decision;
mod evaluation;
mod filter;
mod flag;
mod names;
mod ordered;
mod perfect_hash;
mod private;
mod removed;
mod snapshot;
mod stage;
mod stage_name;
mod user;
mod user_set;
mod value;

pub(crate) use audience::Group;
pub use bucketing::Salt;
pub(crate) use bucketing::Threshold;
pub use condition::Finding;
pub(crate) use condition::{Bound, Comparison, Condition, Test};
pub(crate) use decision::Placement;
pub use evaluation::{Evaluation, Reason};
pub(crate) use filter::ListFilter;
pub(crate) use flag::{Flag, FlagDefinition, FlagExtras, HoldBack, NEVER, Prerequisite, Targeting};
pub(crate) use ordered::Kind;
pub(crate) use perfect_hash::{NameHash, PerfectHash, Shape};
pub(crate) use snapshot::{Slot, Snapshot};
pub(crate) use stage::{Position, StageDefinition};
pub(crate) use stage_name::MAX_STAGE_NAME_BYTES;
pub use stage_name::StageName;
pub use user::{AsUser, User, UserKey};
pub(crate) use user_set::UserSet;
pub use value::AttributeValue;
