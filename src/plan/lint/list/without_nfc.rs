//! Stands for the Unicode form NFC without feature `unicode`.

/// Returns `None`: without the feature, no key is in doubt.
pub(super) fn composed(_: &str) -> Option<String> {
    None
}
