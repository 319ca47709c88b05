//! What a question by name is answered by without looking at a snapshot.

use super::shortcut::Shortcut;
use crate::eval::{self, AsUser};

/// The shortcuts of the flags of a gate's first plan, by name. It stays where it is for as long as the gate lives: so a
/// question needs nothing that keeps it from being freed, as it does for a snapshot. Flags that come later, and those with
/// names that are too long for a place, are looked up in the snapshot.
pub(super) struct ByName {
    /// At least twice as many as there are names, so there are always empty ones.
    pub(super) places: Box<[Place]>,
    /// Of all the names that are not here: nobody, or ask.
    pub(super) others: Shortcut,
}

/// A flag, with all that a check needs of it in one cache line.
#[repr(align(64))]
pub(super) struct Place {
    pub(super) shortcut: Shortcut,
    pub(super) name: Name,
}

/// In place. No flag has an empty name, so one without a name is empty.
pub(super) struct Name {
    len: u8,
    bytes: [u8; Name::MOST],
}

impl ByName {
    /// The answer, if the snapshot is not to be asked.
    #[inline]
    pub(super) fn is_enabled(&self, user: &impl AsUser, flag: &str) -> Option<bool> {
        let found = self.find(flag).unwrap_or(&self.others);
        found.is_enabled(user)
    }

    #[inline]
    pub(super) fn find(&self, flag: &str) -> Option<&Shortcut> {
        let mut at = ByName::begin(flag, self.places.len());
        // Ends at an empty place.
        loop {
            let place = self.places.get(at)?;
            if place.name.is(flag) {
                return Some(&place.shortcut);
            }
            if place.name.len == 0 {
                return None;
            }
            at = ByName::after(at, self.places.len());
        }
    }

    /// Where a name is looked for first, in that many places.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "less than `places`")]
    pub(super) fn begin(flag: &str, places: usize) -> usize {
        ((u128::from(eval::hash(flag)) * places as u128) >> 64) as usize
    }

    #[inline]
    pub(super) fn after(at: usize, places: usize) -> usize {
        if at + 1 < places { at + 1 } else { 0 }
    }
}

impl Name {
    /// What is left of 64 bytes.
    const MOST: usize = 39;

    pub(super) const NONE: Name = Name { len: 0, bytes: [0; Name::MOST] };

    /// `None` for one that is too long.
    pub(super) fn of(flag: &str) -> Option<Name> {
        let mut bytes = [0; Name::MOST];
        bytes.get_mut(..flag.len())?.copy_from_slice(flag.as_bytes());
        Some(Name { len: u8::try_from(flag.len()).ok()?, bytes })
    }

    pub(super) fn is_none(&self) -> bool {
        self.len == 0
    }

    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    #[inline]
    fn is(&self, flag: &str) -> bool {
        usize::from(self.len) == flag.len()
            && self.bytes.get(..flag.len()).is_some_and(|bytes| same(bytes, flag.as_bytes()))
    }
}

/// Whether two of the same length are the same. Most names have 8 to 16 bytes, which are two comparisons; a call to compare
/// memory takes longer than the rest of the look-up.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let halves = |bytes: &[u8]| {
        let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
        Some((word(bytes.first_chunk()?), word(bytes.last_chunk()?)))
    };
    match (halves(a), halves(b)) {
        (Some(a), Some(b)) if a != b => false,
        (Some(_), Some(_)) if a.len() <= 16 => true,
        _ => a == b,
    }
}
