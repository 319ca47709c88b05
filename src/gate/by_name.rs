//! The fast path of a check by name.

use std::sync::OnceLock;

use super::fast_path::FastPath;
use super::sync::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use crate::eval::{AsUser, Flag, NameHash, PerfectHash, Shape, Snapshot};

/// A cache of fast paths by name.
///
/// Its memory stays where it is while the gate lives, so a check needs no protection from its being freed. Checks fill
/// and renew the entries. They use an entry only if it has the flag's name and the newest token, so a wrong entry
/// cannot answer: then the snapshot does.
///
/// An entry is where the perfect hash of the newest snapshot has its name. For a document with more flags than entries,
/// an update adds a larger table.
#[derive(Debug, Default)]
pub(super) struct ByName {
    /// The first table has room for the first document, and each other one for twice as many flags as the one before.
    tables: [OnceLock<Table>; MAX_TABLES],
    /// The index of the table that checks use.
    active: AtomicUsize,
}

/// Room for more names than a document may have, whatever the first document had.
const MAX_TABLES: usize = 21;

#[derive(Debug)]
struct Table {
    /// The [`Shape`] of the newest perfect hash.
    shape: AtomicU64,
    /// The pilots of the newest perfect hash.
    pilots: Box<[AtomicU16]>,
    entries: Box<[Entry]>,
    /// By the index of the entry: the middle of names with more than [`SHORT`] bytes. Empty until there is such a name.
    long_names: OnceLock<Box<[Words<14>]>>,
}

/// A flag, with all that a check needs in one cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    fast_path: FastPath,
    name: Words<3>,
}

/// A part of a name, in words.
#[derive(Debug)]
struct Words<const N: usize>([AtomicU64; N]);

/// The bytes of a name that an entry has room for.
const SHORT: usize = 23;

/// The bytes of a name that an entry and its part of `long_names` have room for. The snapshot answers for longer names.
const LONG: usize = 128;

impl ByName {
    /// Returns whether the user has the flag; `None` if the snapshot must answer.
    #[inline(always)]
    pub(super) fn is_enabled(&self, newest: u64, user: &impl AsUser, flag: &str) -> Option<bool> {
        let table = self.table()?;
        let index = table.index(NameHash::new(flag))?;
        let entry = table.entries.get(index)?;
        entry.fast_path.is_enabled(newest, user, || table.is_name(index, entry, flag))
    }

    /// Copies a flag of a snapshot, which checks ask by this name.
    pub(super) fn renew(&self, snapshot: &Snapshot, name: &str, flag: &Flag) {
        if name.len() > LONG {
            return;
        }
        let Some((table, entry, index)) = self.table().and_then(|table| {
            let index = table.renew_index(snapshot.perfect_hash(), NameHash::new(name));
            Some((table, table.entries.get(index)?, index))
        }) else {
            return;
        };
        entry.fast_path.renew(snapshot, Some(flag), || table.set_name(index, entry, name));
    }

    /// Copies all flags with lists or a unit, so that no check has to copy a long list or to allocate.
    pub(super) fn renew_rules(&self, snapshot: &Snapshot) {
        let has_rules =
            |flag: &&Flag| flag.filter().is_some() || flag.definition().unit().is_some();
        let flags = snapshot.flags().iter().filter(has_rules);
        flags.for_each(|flag| flag.names().for_each(|name| self.renew(snapshot, name, flag)));
    }

    /// Makes room for the flags of a snapshot.
    pub(super) fn reserve(&self, snapshot: &Snapshot) {
        let indices = snapshot.perfect_hash().shape().indices();
        let Some(first) = self.tables.first().filter(|_| !snapshot.flags().is_empty()) else {
            return;
        };
        let first = first.get_or_init(|| Table::new(indices));
        let factor = indices.div_ceil(first.entries.len()).next_power_of_two();
        let table = factor.trailing_zeros() as usize;
        if let Some(larger) = self.tables.get(table) {
            larger.get_or_init(|| Table::new(first.entries.len() * factor));
            // Release: pairs with the acquire in `table`.
            self.active.fetch_max(table, Ordering::Release);
        }
    }

    #[inline(always)]
    fn table(&self) -> Option<&Table> {
        // Acquire: pairs with the release in `reserve`.
        self.tables.get(self.active.load(Ordering::Acquire))?.get()
    }
}

impl Table {
    fn new(indices: usize) -> Table {
        let entry = || Entry { fast_path: FastPath::empty(), name: Words::new() };
        let pilots = PerfectHash::groups(indices);
        Table {
            shape: AtomicU64::new(0),
            pilots: std::iter::repeat_with(|| AtomicU16::new(0)).take(pilots).collect(),
            entries: std::iter::repeat_with(entry).take(indices).collect(),
            long_names: OnceLock::new(),
        }
    }

    /// Returns the index of a name.
    #[inline(always)]
    fn index(&self, name: NameHash) -> Option<usize> {
        // Relaxed: a wrong shape or pilot leads to an entry with another name, or another token.
        let shape = Shape::from_word(self.shape.load(Ordering::Relaxed));
        let pilot = self.pilots.get(shape.group(name))?.load(Ordering::Relaxed);
        Some(shape.index(name, pilot))
    }

    /// Copies what leads to the index of a name, and returns the index.
    fn renew_index(&self, hash: &PerfectHash, name: NameHash) -> usize {
        let (shape, pilot) = (hash.shape(), hash.pilot(name));
        // Relaxed: as above.
        self.shape.store(shape.to_word(), Ordering::Relaxed);
        if let Some(place) = self.pilots.get(shape.group(name)) {
            place.store(pilot, Ordering::Relaxed);
        }
        shape.index(name, pilot)
    }

    #[inline(always)]
    fn is_name(&self, index: usize, entry: &Entry, name: &str) -> bool {
        entry.name.is(&ends(name)) && (name.len() <= SHORT || self.has_rules_name(index, name))
    }

    #[inline(never)]
    fn has_rules_name(&self, index: usize, name: &str) -> bool {
        // A longer name may have the same words: they have room for 128 bytes and the lowest bits of the length.
        if name.len() > LONG {
            return false;
        }
        let words = self.long_names.get().and_then(|names| names.get(index));
        words.is_some_and(|words| words.is(&middle(name)))
    }

    fn set_name(&self, index: usize, entry: &Entry, name: &str) {
        entry.name.set(ends(name));
        if name.len() > SHORT {
            let new = || std::iter::repeat_with(Words::new).take(self.entries.len()).collect();
            if let Some(words) = self.long_names.get_or_init(new).get(index) {
                words.set(middle(name));
            }
        }
    }
}

impl<const N: usize> Words<N> {
    fn new() -> Words<N> {
        Words(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Release: as for the values of a fast path.
    fn set(&self, words: [u64; N]) {
        self.0.iter().zip(words).for_each(|(to, from)| to.store(from, Ordering::Release));
    }

    /// Acquire: as for the values of a fast path.
    #[inline(always)]
    fn is(&self, words: &[u64; N]) -> bool {
        self.0.iter().zip(words).all(|(a, b)| a.load(Ordering::Acquire) == *b)
    }
}

/// Returns the first and the last eight bytes of a name, then bytes 8 to 14 and the length. They overlap in a short
/// name.
#[inline(always)]
fn ends(name: &str) -> [u64; 3] {
    let bytes = name.as_bytes();
    let length = bytes.len() as u64;
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let [first, last] = [first, last].map(|bytes| u64::from_le_bytes(*bytes));
            let next = bytes.get(8..).and_then(|bytes| bytes.first_chunk());
            let next = next.map_or(0, |bytes| u64::from_le_bytes(*bytes));
            [first, last, next << 8 | length]
        }
        _ => {
            let shift = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
            [bytes.iter().fold(0, shift), 0, length]
        }
    }
}

/// Returns the bytes of a long name from byte 15 on, as far as they come before the last eight.
fn middle(name: &str) -> [u64; 14] {
    let mut words = [0; 14];
    for (word, bytes) in
        words.iter_mut().zip(name.as_bytes().get(15..).unwrap_or_default().chunks(8))
    {
        *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

#[cfg(all(test, not(stagegate_loom)))]
#[cfg(feature = "toml")]
mod tests {
    use super::*;
    use crate::gate::Gate;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn an_entry_is_one_cache_line() {
        assert_eq!((size_of::<Entry>(), align_of::<Entry>()), (64, 64));
    }

    /// An entry has the name in parts, and the parts overlap.
    #[test]
    fn names_that_differ_in_one_byte_are_told_apart() {
        for length in 1..=128 {
            let name = "n".repeat(length);
            let gate = Gate::from_document(format!("schema = 1\n[flags.{name}]\nstage = \"ga\""));
            let gate = gate.expect("a plan");
            // The first check fills the entry, and the others read it.
            for _ in 0..2 {
                assert!(gate.is_enabled(1, &name), "{name}");
            }
            assert!(gate.shared.current.is_enabled(&1, &name).is_some(), "{name} has no entry");
            for at in 0..length {
                let mut other = name.clone();
                other.replace_range(at..=at, "x");
                assert!(!gate.is_enabled(1, &other), "{other}");
            }
            for other in [format!("{name}n"), name[1..].to_owned()] {
                assert!(!gate.is_enabled(1, &other), "{other}");
            }
        }
    }

    #[test]
    fn a_larger_document_gets_room_for_every_flag() {
        let document = |flags: usize| {
            let flags = (0..flags).map(|flag| format!("[flags.f{flag}]\nstage = \"ga\"\n"));
            format!("schema = 1\nlimits.per_update = 100\n{}", flags.collect::<String>())
        };
        let gate = Gate::from_document(document(1)).expect("a plan");
        for flags in [1, 2, 3, 10, 100, 1_000, 5, 2_000] {
            gate.update(document(flags)).expect("only new flags and removed ones");
            for flag in 0..flags {
                let name = format!("f{flag}");
                assert!(gate.is_enabled(1, &name));
                assert_eq!(gate.shared.current.is_enabled(&1, &name), Some(true), "{name}");
            }
        }
    }
}
