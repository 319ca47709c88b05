//! Keys of one group that differ only in upper and lower case, or in blanks.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

/// The keys of a group, without regard to case and blanks.
#[derive(Default)]
pub(in crate::plan) struct LookAlikes {
    /// The first key of each kind, by the hash of its folded text.
    first: HashMap<u64, Box<str>>,
    compared: usize,
    /// Reused for each key.
    folded: String,
}

/// The number of keys of a group that are compared, so that millions of keys load as fast as without.
const MAX_COMPARED: usize = 100_000;

impl LookAlikes {
    /// Returns an earlier key that differs only in case or blanks, and in what it differs. Looks at the first
    /// [`MAX_COMPARED`] keys of a group.
    #[inline]
    pub(super) fn of(&mut self, key: &str) -> Option<(Box<str>, &'static str)> {
        if self.compared >= MAX_COMPARED {
            // Free the memory before the rest of a long list is read.
            self.first = HashMap::new();
            return None;
        }
        self.compared += 1;
        self.folded.clear();
        self.folded.extend(folded(key));
        let hash = xxh3_64(self.folded.as_bytes());
        let Some(first) = self.first.get(&hash) else {
            self.first.insert(hash, key.into());
            return None;
        };
        // The same key twice is one user. Another text by chance has the same hash.
        let is_look_alike = **first != *key && folded(first).eq(self.folded.chars());
        is_look_alike.then(|| (first.clone(), difference(first, key)))
    }
}

/// Returns the text in lower case and without blanks.
fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase)
}

fn difference(one: &str, other: &str) -> &'static str {
    let same_case = one
        .split_whitespace()
        .flat_map(str::chars)
        .eq(other.split_whitespace().flat_map(str::chars));
    if same_case {
        "blanks"
    } else if one.to_lowercase() == other.to_lowercase() {
        "upper and lower case"
    } else {
        "case and blanks"
    }
}
