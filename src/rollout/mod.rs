//! Execution of the plan: a state machine for each flag, a journal of everything that happened, and
//! a [`Gate`](crate::Gate) that serves the result.

mod error;
mod journal;
#[cfg(feature = "sign")]
mod keys;
mod live;
mod machine;
mod reader;
mod stamp;
mod store;
mod tell;
mod uptime_history;

pub use error::RolloutError;
pub use journal::record::{Cause, Fact, FlagChange, FlagRollback, InitialStage, Record};
pub use journal::saved_state::SavedState;
pub use journal::signature::{RecordSignature, Signer};
pub use journal::{Damage, Hash, Journal};
pub(crate) use journal::{MAX_LINE_BYTES, lines};
#[cfg(feature = "archive")]
pub(crate) use journal::{from_bare_lines, to_bare_lines};
#[cfg(feature = "sign")]
pub use keys::{KeyError, Proof, PublicKeys, SigningKey};
#[cfg(feature = "guard")]
pub use live::JudgeReport;
pub use live::{
    Actor, Controller, FlagReport, MetricRead, Outcome, PastState, ReadReport, RollbackReport,
    Rollout, RolloutOptions, RolloutStatus, TickReport,
};
pub use machine::alert::{Alert, AlertKind};
pub use machine::event::{Event, Reading};
pub use machine::human_duration::HumanDuration;
pub use machine::refusal::{Refusal, Unmet};
pub use machine::state::{Evidence, FlagState, Freeze, Hold, Incident, Progress, Signature};
pub use machine::{EventContext, MissingFlag, Transition, overdue, transition, unmet};
pub use reader::{MetricReader, ReadError, Sample};
pub use stamp::{Now, Stamp};
pub use store::{LeaderLease, Store, StoreError, Watcher};
pub use tell::{
    Delivery, DeliveryError, Notification, NotificationKind, Outbox, OutboxStatus, RenderedMessage,
    Retry, Sink,
};
