//! Limits of a document. A document beyond a limit is refused, and the error names the limit.
//!
//! The byte limits are checked before a file is read, so they bound the memory that reading takes. The worst document
//! known takes about 40 times its size: an array of five million empty arrays. Every other limit is checked before the
//! reader builds what it limits.

/// Bytes of a document: 16 MiB. Further bytes are not read.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// Bytes of a `users_file`: 512 MiB. Further bytes are not read.
pub const MAX_USERS_FILE_BYTES: usize = 512 << 20;

/// Users that one group lists, in `users` and `users_file` together. A document may have several such groups.
pub const MAX_USERS_PER_GROUP: usize = 10_000_000;

/// Bytes of the user key in a list. A user key in a check may be longer.
pub const MAX_USER_KEY_BYTES: usize = 512;

/// Flags of a document.
pub const MAX_FLAGS: usize = 100_000;

/// Groups of a document.
pub const MAX_GROUPS: usize = 10_000;

/// Groups that one group includes by `any`, also through other groups.
pub const MAX_INCLUDED_GROUPS: usize = 64;

/// Flags that one flag requires, also through other flags.
pub const MAX_REQUIRED_FLAGS: usize = 64;

/// Shared plans of a document.
pub const MAX_PLANS: usize = 10_000;

/// Environments of a document. Reading a document reads it once more for each environment.
pub const MAX_ENVIRONMENTS: usize = 16;

/// Stages of one plan.
pub const MAX_STAGES: usize = 64;

/// Metrics of a document, and entries of any list of a plan: criteria, triggers, messages, risks.
pub const MAX_ITEMS: usize = 1000;

/// Bytes of the key of a flag, a group or a shared plan.
pub const MAX_KEY_BYTES: usize = crate::key::MAX_KEY_BYTES;

/// Names in the `asked_as` of a flag.
pub const MAX_ASKED_AS: usize = 16;

/// Bytes of a name in the `asked_as` of a flag.
pub const MAX_ASKED_AS_BYTES: usize = 256;

/// Bytes of a role in `approvals`.
pub const MAX_ROLE_BYTES: usize = 256;

/// People that `force` in `approvals` may ask for.
pub const MAX_FORCE_APPROVALS: usize = 16;

/// Bytes of a stage's name.
pub const MAX_STAGE_NAME_BYTES: usize = crate::eval::MAX_STAGE_NAME_BYTES;

/// Bytes of other texts: owners, descriptions, reasons, names and values of attributes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Levels of nested tables and arrays.
pub const MAX_DEPTH: usize = 64;

/// Messages that a timeline lists. It gives the number of further messages.
pub const MAX_DUE_MESSAGES: usize = 10_000;

/// Problems that one error lists. It gives the number of further problems.
pub const MAX_PROBLEMS: usize = 1000;

/// Listed users that the filters of all flags together may have: 8 to 16 MiB. A flag whose groups list more users than
/// are left, in the order of the keys, has no filter: each of its checks asks the lists.
pub(super) const MAX_FILTERED_USERS: usize = 1 << 22;
