//! The names of the keys.

/// The keys below a prefix.
#[derive(Clone, Debug)]
pub(super) struct Layout(pub(super) String);

/// The digits of a record number in a key. Padded to the longest `u64`, keys sort by their numbers.
const DIGITS: usize = 20;

impl Layout {
    /// Returns `None` for an empty prefix.
    pub(super) fn new(prefix: &str) -> Option<Layout> {
        let prefix = prefix.trim_matches('/');
        (!prefix.is_empty()).then(|| Layout(format!("/{prefix}")))
    }

    pub(super) fn record(&self, number: u64) -> String {
        format!("{}/journal/{number:0DIGITS$}", self.0)
    }

    /// Returns the end of the range of records: `0` sorts right after `/`.
    pub(super) fn records_end(&self) -> String {
        format!("{}/journal0", self.0)
    }

    /// Returns the number of the record with this key.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(&*self.0)?.strip_prefix("/journal/")?;
        digits.parse().ok().filter(|_| digits.len() == DIGITS)
    }

    /// The key of a segment other than the first, which begins with this record.
    pub(super) fn segment(&self, begin: u64) -> String {
        format!("{}/segments/{begin:0DIGITS$}", self.0)
    }

    /// Returns the end of the range of segments.
    pub(super) fn segments_end(&self) -> String {
        format!("{}/segments0", self.0)
    }

    /// The key with the number of the first record that is left, once segments were removed.
    pub(super) fn first(&self) -> String {
        format!("{}/first", self.0)
    }

    /// The key with the number of the last record. It is watched, and shows whether a record is missing.
    pub(super) fn head(&self) -> String {
        format!("{}/head", self.0)
    }

    /// The key with the length of a document.
    pub(super) fn document(&self, hash: &str) -> String {
        format!("{}/documents/{hash}", self.0)
    }

    /// The key of a piece of a document. The first piece is 0.
    pub(super) fn piece(&self, hash: &str, piece: usize) -> String {
        format!("{}/documents/{hash}/{piece:04}", self.0)
    }

    pub(super) fn leader(&self) -> String {
        format!("{}/leader", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        for prefix in ["shop/rollout", "/shop/rollout", "//shop/rollout/"] {
            let Some(layout) = Layout::new(prefix) else { panic!("{prefix}") };
            assert_eq!(layout.record(12), "/shop/rollout/journal/00000000000000000012");
            assert_eq!(layout.number(&layout.record(u64::MAX)), Some(u64::MAX));
            assert!(layout.record(9) < layout.record(10));
            assert!(layout.record(u64::MAX) < layout.records_end());
            assert_eq!(layout.number("/shop/rollout/journal/12"), None);
            assert_eq!(layout.number(&layout.head()), None);
        }
        assert!(Layout::new("").is_none());
        assert!(Layout::new("//").is_none());
    }
}
