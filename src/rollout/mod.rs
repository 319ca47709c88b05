//! Executes the plan: a state machine for each flag, a journal of all that happened, and a
//! [`Gate`](crate::Gate) that follows.

mod error;
mod journal;
mod live;
mod machine;
mod reader;
mod stamp;
mod store;
mod tell;
mod timeline;

pub use error::RolloutError;
pub use journal::record::{Cause, Changed, Fact, Placed, Record};
pub use journal::{Damage, Hash, Journal};
pub(crate) use journal::{MAX_LINE_BYTES, lines};
#[cfg(feature = "guard")]
pub use live::Judged;
pub use live::{
    Actor, Controller, FlagReport, MetricRead, Outcome, PastState, ReadReport, Rollout,
    RolloutOptions, RolloutStatus, TickReport,
};
pub use machine::alert::{Alert, AlertKind};
pub use machine::event::{Event, Reading};
pub use machine::refusal::{Refusal, Unmet};
pub use machine::state::{Evidence, FlagState, Hold, Incident, Signature, Standing};
pub use machine::text::Spent;
pub use machine::{Context, Transition, overdue, transition, unmet};
pub use reader::{MetricReader, ReadError, Sample};
pub use stamp::{Now, Stamp};
pub use store::{Lead, Store, StoreError, Watcher};
pub use tell::{
    Delivery, Letter, Notification, NotificationKind, Outbox, OutboxStatus, Retry, Sink,
    Undelivered,
};
