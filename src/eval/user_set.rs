//! Sets of listed user keys.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

/// A set of listed user keys: texts, and a hash table of the places of the keys in them.
///
/// A set of a `users_file` shares the bytes of the file with the document that keeps it. So a user of the file takes the
/// bytes of the line, and 8 to 16 bytes of the table.
///
/// # Invariants
///
/// Each place is within its text, so [`iter`](UserSet::iter) yields [`len`](UserSet::len) keys.
#[derive(Default)]
pub(crate) struct UserSet {
    /// The keys that were inserted one by one.
    own: Vec<u8>,
    /// The text of a `users_file`.
    shared: Arc<[u8]>,
    /// Hashed by the key. The hash needs no secret key: a table holds keys of the reviewed plan, and checks only look
    /// up. So an attacker cannot fill the table with colliding keys.
    places: HashTable<Place>,
}

/// The place of a key in one of the texts. Six bytes, aligned to two.
#[derive(Clone, Copy)]
struct Place {
    /// The low and the high half of the offset. The highest bit tells the text: 1 for `own`.
    offset: [u16; 2],
    len: u16,
}

/// The bit of an offset that means the text `own`.
const OWN: u32 = 1 << 31;

impl Place {
    /// Returns the place of a key. `None` if it is beyond the largest offset or length.
    #[expect(clippy::cast_possible_truncation, reason = "two halves of one number")]
    fn new(text: u32, range: &Range<usize>) -> Option<Place> {
        let offset = u32::try_from(range.start).ok().filter(|offset| *offset < OWN)? | text;
        let len = u16::try_from(range.len()).ok()?;
        Some(Place { offset: [offset as u16, (offset >> 16) as u16], len })
    }
}

/// Returns the key at a place.
#[inline(always)]
fn key_at<'t>(own: &'t [u8], shared: &'t [u8], place: Place) -> &'t [u8] {
    let [low, high] = place.offset;
    let offset = u32::from(low) | u32::from(high) << 16;
    let text = if offset & OWN == 0 { shared } else { own };
    let start = (offset & !OWN) as usize;
    text.get(start..start + usize::from(place.len)).unwrap_or_default()
}

#[inline(always)]
fn is_at(own: &[u8], shared: &[u8], place: Place, key: &[u8]) -> bool {
    usize::from(place.len) == key.len() && key_at(own, shared, place) == key
}

fn hash_at(own: &[u8], shared: &[u8], place: Place) -> u64 {
    xxh3_64(key_at(own, shared, place))
}

/// Adds the place of a key. Returns `false` if the table has the key.
fn put(
    places: &mut HashTable<Place>,
    own: &[u8],
    shared: &[u8],
    hash: u64,
    key: &[u8],
    place: Place,
) -> bool {
    let is_key = |place: &Place| is_at(own, shared, *place, key);
    match places.entry(hash, is_key, |place| hash_at(own, shared, *place)) {
        Entry::Occupied(_) => false,
        Entry::Vacant(vacant) => {
            vacant.insert(place);
            true
        }
    }
}

impl UserSet {
    /// The bytes that a text of keys may have.
    pub(crate) const MAX_TEXT_BYTES: usize = OWN as usize;

    /// The bytes that a key may have.
    pub(crate) const MAX_KEY_BYTES: usize = u16::MAX as usize;

    /// Adds a key. The document's [limits](crate::limits) keep keys and texts within the limits of the set.
    pub(crate) fn insert(&mut self, key: &[u8]) {
        let range = self.own.len()..self.own.len() + key.len();
        let Some(place) = Place::new(OWN, &range) else { return };
        if put(&mut self.places, &self.own, &self.shared, xxh3_64(key), key, place) {
            self.own.extend_from_slice(key);
        }
    }

    /// Sets the text of a `users_file`, and reserves memory for this number of its keys. Call it at most once.
    pub(crate) fn share(&mut self, text: Arc<[u8]>, keys: usize) -> SharedKeys<'_> {
        self.shared = text;
        self.places.reserve(keys, |place| hash_at(&self.own, &self.shared, *place));
        // The table has a power of two of buckets, of which at most seven eighths are full.
        let buckets = (self.places.capacity() / 7).saturating_mul(8).next_power_of_two();
        let pending = Vec::with_capacity((keys / 8).clamp(1, SharedKeys::MAX_PENDING));
        SharedKeys { set: self, pending, mask: (buckets as u64).wrapping_sub(1) }
    }

    /// Frees the memory that the set does not need. Copies the keys out of a shared text that is mostly something else,
    /// such as empty lines or repeated keys.
    pub(crate) fn shrink(&mut self) {
        let used: usize = self.iter().map(<[u8]>::len).sum();
        if self.shared.len() / 2 > used + self.len() {
            let mut copy = UserSet::default();
            self.iter().for_each(|key| copy.insert(key));
            *self = copy;
        }
        self.own.shrink_to_fit();
        self.places.shrink_to_fit(|place| hash_at(&self.own, &self.shared, *place));
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        let is_key = |place: &Place| is_at(&self.own, &self.shared, *place, key);
        self.places.find(xxh3_64(key), is_key).is_some()
    }

    /// Iterates in arbitrary order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| key_at(&self.own, &self.shared, *place))
    }
}

/// Adds the keys of a `users_file` to a set.
///
/// Adds them in portions, each in the order of the table. In the order of the file, each key would be a cache miss, and
/// ten million keys would take four times as long. The order of the table is a detail of its library, on which only the
/// speed depends.
pub(crate) struct SharedKeys<'s> {
    set: &'s mut UserSet,
    /// Keys with their hashes.
    pending: Vec<(u64, Place)>,
    /// The bits of a hash that decide about its bucket.
    mask: u64,
}

impl SharedKeys<'_> {
    /// 16 MiB.
    const MAX_PENDING: usize = 1 << 20;

    /// Adds the key at this range of the text.
    pub(crate) fn push(&mut self, range: Range<usize>) {
        let place = Place::new(0, &range);
        let Some((key, place)) = self.set.shared.get(range).zip(place) else { return };
        self.pending.push((xxh3_64(key), place));
        if self.pending.len() == self.pending.capacity() {
            self.flush();
        }
    }

    /// Returns whether the set has this number of keys.
    pub(crate) fn is_full(&mut self, keys: usize) -> bool {
        if self.set.len() + self.pending.len() < keys {
            return false;
        }
        // Some of the pending keys may be duplicates.
        self.flush();
        self.set.len() >= keys
    }

    fn flush(&mut self) {
        let mask = self.mask;
        self.pending.sort_unstable_by_key(|(hash, _)| hash & mask);
        let UserSet { own, shared, places } = &mut *self.set;
        for (hash, place) in self.pending.drain(..) {
            put(places, own, shared, hash, key_at(&[], shared, place), place);
        }
    }
}

impl Drop for SharedKeys<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Short keys of few letters, so that many keys are equal or begin alike.
    fn keys() -> impl Strategy<Value = Vec<String>> {
        let key = prop_oneof![9 => "[abü\n]{0,3}", 1 => Just("long".repeat(100))];
        proptest::collection::vec(key, 0..40)
    }

    /// Inserts `own` one by one, and `shared` as the lines of a text.
    fn set(own: &[String], shared: &[String]) -> UserSet {
        let mut set = UserSet::default();
        own.iter().for_each(|key| set.insert(key.as_bytes()));
        let (mut text, mut ranges) = (String::new(), Vec::new());
        for key in shared {
            ranges.push(text.len()..text.len() + key.len());
            text += &format!("{key}\r\n");
        }
        let mut shared = set.share(text.into_bytes().into(), ranges.len());
        ranges.into_iter().for_each(|range| shared.push(range));
        drop(shared);
        set
    }

    proptest! {
        #[test]
        fn a_set_has_what_a_hash_set_has(own in keys(), shared in keys(), asked in keys()) {
            let mut set = set(&own, &shared);
            let naive: HashSet<&[u8]> =
                own.iter().chain(&shared).map(String::as_bytes).collect();
            for is_shrunk in [false, true] {
                prop_assert_eq!(set.len(), naive.len());
                prop_assert_eq!(set.iter().count(), naive.len(), "shrunk: {}", is_shrunk);
                prop_assert_eq!(&set.iter().collect::<HashSet<_>>(), &naive);
                for key in asked.iter().chain(&own).chain(&shared) {
                    // Also keys that go beyond a listed one, to the end of its line.
                    for key in [key.clone(), format!("{key}\r"), format!("{key}\r\n")] {
                        prop_assert_eq!(set.contains(key.as_bytes()), naive.contains(key.as_bytes()));
                    }
                }
                set.shrink();
            }
        }
    }

    #[test]
    fn a_file_of_one_key_and_many_empty_lines_is_not_kept() {
        let text: Arc<[u8]> = format!("ana{}", "\n".repeat(1000)).into_bytes().into();
        let mut set = UserSet::default();
        set.share(Arc::clone(&text), 1000).push(0..3);
        set.shrink();
        assert_eq!(Arc::strong_count(&text), 1);
        assert!(set.contains(b"ana") && set.len() == 1);
        assert!(set.places.capacity() < 10);
    }

    #[test]
    fn a_key_beyond_the_limits_is_left_out() {
        let mut set = UserSet::default();
        set.insert(&[b'a'; UserSet::MAX_KEY_BYTES + 1]);
        assert_eq!(set.len(), 0);
        set.insert(&[b'a'; UserSet::MAX_KEY_BYTES]);
        assert_eq!(set.len(), 1);
        assert!(Place::new(0, &(UserSet::MAX_TEXT_BYTES..UserSet::MAX_TEXT_BYTES + 1)).is_none());
    }

    #[test]
    fn a_place_is_six_bytes() {
        assert_eq!(size_of::<Place>(), 6);
    }
}
