//! The decision itself: pure functions over immutable data, without locks, allocation or failure.

mod audience;
mod bucketing;
mod evaluation;
mod flag;
mod names;
mod places;
mod private;
mod removed;
mod snapshot;
mod stage;
mod unlisted;
mod user;

pub(crate) use audience::{AttributeRule, Group, UserSet};
pub(crate) use bucketing::Quick;
pub use bucketing::Salt;
pub use evaluation::{Evaluation, Reason};
pub(crate) use flag::{Flag, FlagDefinition, HoldBack, Remarks};
pub(crate) use places::Places;
pub(crate) use snapshot::{Slot, Snapshot};
pub use stage::StageName;
pub(crate) use stage::{MAX_STAGE_NAME_BYTES, Position, Stage};
pub(crate) use unlisted::{Placement, Unlisted};
pub use user::{AsUser, User, UserKey};
