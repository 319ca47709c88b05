//! What a document may at most have. One beyond is refused with an error that names the limit.
//!
//! Bytes are counted before they are read, and so bound the memory of reading: about 40 times as
//! much for the worst document known, an array of five million empty ones. Everything else is
//! counted before what it bounds is made of what was read.

/// Bytes of a document: 16 MiB. Nothing beyond is read.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Bytes of a `users_file`: 64 MiB. Nothing beyond is read.
pub const MAX_USERS_FILE_BYTES: usize = 64 << 20;

/// Users listed in one group, inline and by file together.
pub const MAX_USERS_PER_GROUP: usize = 1_000_000;

/// Bytes of a listed user's key. A user who asks may have a longer one.
pub const MAX_USER_KEY_BYTES: usize = 512;

/// Flags of a document.
pub const MAX_FLAGS: usize = 100_000;

/// Groups of a document.
pub const MAX_GROUPS: usize = 10_000;

/// Shared plans of a document.
pub const MAX_PLANS: usize = 10_000;

/// Stages of one plan.
pub const MAX_STAGES: usize = 64;

/// Metrics of a document, and entries of any list of a plan: criteria, triggers, messages, risks.
pub const MAX_ITEMS: usize = 1000;

/// Bytes of the key of a flag, a group or a shared plan.
pub const MAX_KEY_BYTES: usize = crate::key::MAX_KEY_BYTES;

/// Bytes of a stage's name.
pub const MAX_STAGE_NAME_BYTES: usize = crate::eval::MAX_STAGE_NAME_BYTES;

/// Bytes of an owner, a description, a reason, an attribute's name or value.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Tables and arrays inside one another.
pub const MAX_DEPTH: usize = 64;

/// Messages that a timeline lists; of the rest it gives the number.
pub const MAX_DUE_MESSAGES: usize = 10_000;

/// Problems that one error lists; of the rest it gives the number.
pub const MAX_PROBLEMS: usize = 1000;
