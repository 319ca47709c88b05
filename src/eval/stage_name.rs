//! Names of stages.

use std::fmt;
use std::num::NonZeroU8;
use std::ops::Deref;

use crate::key::{self, KeyError};

/// The longest name of a stage, in bytes. The name is copied into every [`Evaluation`](super::Evaluation).
pub(crate) const MAX_STAGE_NAME_BYTES: usize = 31;

/// The name of a stage, or `off`: at most 31 bytes of ASCII.
///
/// The value holds the text itself, so an [`Evaluation`](crate::Evaluation) contains it without an allocation.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
///
/// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
/// let stage = gate.evaluate("user-42", "new-checkout").stage;
/// assert!(stage.is_some_and(|stage| stage == "pilot"));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StageName {
    bytes: [u8; MAX_STAGE_NAME_BYTES],
    len: NonZeroU8,
}

impl StageName {
    /// The name of the position before the first stage, where no user has the flag.
    pub const OFF: StageName = StageName::literal("off");

    pub(crate) fn parse(text: &str) -> Result<StageName, KeyError> {
        key::check(text, MAX_STAGE_NAME_BYTES)?;
        Ok(StageName::literal(text))
    }

    /// Creates a name from 1 to 31 bytes of ASCII. Longer text is cut.
    #[expect(clippy::cast_possible_truncation, reason = "`len` is at most 31")]
    pub(crate) const fn literal(text: &str) -> StageName {
        let mut bytes = [0; MAX_STAGE_NAME_BYTES];
        let mut len = 0;
        while len < text.len() && len < MAX_STAGE_NAME_BYTES {
            bytes[len] = text.as_bytes()[len];
            len += 1;
        }
        let len = match NonZeroU8::new(len as u8) {
            Some(len) => len,
            None => NonZeroU8::MIN,
        };
        StageName { bytes, len }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.len.get()))
            .and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl Deref for StageName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for StageName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for StageName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
