//! What a question by name is answered by without looking at a snapshot.

use std::sync::Arc;

use super::shortcut::{InForce, Shortcut};
use super::sync::{AtomicBool, Ordering};
use crate::eval::{AsUser, Places, Stage, Unlisted};
use crate::key::Key;

/// The shortcuts of the flags of a gate's first plan, by name. It stays where it is for as long as the gate lives: so a
/// question needs nothing that keeps it from being freed, as it does for a snapshot. Flags that come later are looked up in the
/// snapshot.
pub(super) struct ByName {
    pub(super) of: Places,
    pub(super) places: Box<[Place]>,
    /// Whether the snapshot may have flags that are not here: as a shortcut's threshold, closed by an update before the swap.
    pub(super) others: AtomicBool,
    /// Those of each plan: most flags follow one that others follow, too.
    pub(super) plans: Vec<Arc<[Stage]>>,
}

/// A flag, with all that a check needs of it in one cache line.
#[repr(align(64))]
pub(super) struct Place {
    pub(super) shortcut: Shortcut,
    pub(super) name: Name,
}

/// What a place is for.
pub(super) enum Name {
    /// Nothing.
    None,
    /// In place.
    Short {
        len: u8,
        bytes: [u8; Name::SHORT],
    },
    Long(Arc<str>),
}

impl ByName {
    /// The answer, if the snapshot is not to be asked.
    #[inline(always)]
    pub(super) fn is_enabled(&self, user: &impl AsUser, flag: &str) -> Option<bool> {
        match self.find(flag) {
            Some(shortcut) => shortcut.is_enabled(user),
            // Acquire: as in the shortcut.
            None => (!self.others.load(Ordering::Acquire)).then_some(false),
        }
    }

    /// The user, and by which stages they are to be placed, if the snapshot is not to be asked.
    #[inline(always)]
    pub(super) fn unlisted(
        &self,
        user: &impl AsUser,
        flag: &str,
        in_force: &InForce,
    ) -> Option<(Unlisted, &[Stage])> {
        let shortcut = self.find(flag)?;
        Some((shortcut.unlisted(user, in_force)?, self.stages(shortcut)))
    }

    #[inline]
    pub(super) fn stages(&self, shortcut: &Shortcut) -> &[Stage] {
        self.plans.get(shortcut.plan as usize).map(|stages| &**stages).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn find(&self, flag: &str) -> Option<&Shortcut> {
        let place = self.places.get(self.of.of(flag))?;
        place.name.is(flag).then_some(&place.shortcut)
    }
}

impl Name {
    /// What is left of 64 bytes.
    const SHORT: usize = 30;

    pub(super) fn of(flag: &Key) -> Name {
        let text = flag.as_str().as_bytes();
        let mut bytes = [0; Name::SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text);
                Name::Short { len, bytes }
            }
            _ => Name::Long(flag.shared()),
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Name::None => None,
            Name::Short { len, bytes } => std::str::from_utf8(bytes.get(..usize::from(*len))?).ok(),
            Name::Long(name) => Some(name),
        }
    }

    #[inline]
    fn is(&self, flag: &str) -> bool {
        match self {
            Name::None => false,
            Name::Short { len, bytes } => {
                usize::from(*len) == flag.len()
                    && bytes.get(..flag.len()).is_some_and(|bytes| same(bytes, flag.as_bytes()))
            }
            Name::Long(name) => **name == *flag,
        }
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
