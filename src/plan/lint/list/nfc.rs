//! The Unicode form NFC, feature `unicode`.

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Returns the key in NFC. `None` if that is the key.
pub(super) fn composed(key: &str) -> Option<String> {
    (!is_nfc(key)).then(|| key.nfc().collect())
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use crate::plan::Plan;

    #[test]
    fn a_listed_key_that_is_not_in_nfc_is_a_warning() {
        let plan = Plan::parse(
            "schema = 1\n[groups.g]\nusers = [\"Jos\u{e9}\", \"Jose\u{301}\", \"A\u{30a}sa\"]\n[flags.a]",
        );
        let plan = plan.expect("only warnings");
        let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "(text):3:18: groups.g.users: found \"Jose\\u{301}\", a user key that is not in the Unicode form NFC \
                 (2 such keys)\n      write `Jos\u{e9}` if the application sends that"
            ]
        );
        // A warning only: bytes decide who is listed.
        assert!(plan.flag("a").is_some());
    }
}
