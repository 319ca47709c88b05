//! Keys: the names of flags, groups, plans and stages.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Most bytes of a key.
pub(crate) const MAX_KEY_BYTES: usize = 128;

/// The name of a flag, a group or a shared plan: 1 to 128 of `a-z A-Z 0-9 . _ -`. The first character is a letter or
/// a digit.
///
/// Keys are ASCII, so that two keys that look the same are the same: no combining marks, no look-alike letters. A key
/// needs no escaping in a URL, a file name or a log line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Arc<str>);

impl Key {
    pub(crate) fn parse(text: &str) -> Result<Key, KeyError> {
        check(text, MAX_KEY_BYTES)?;
        Ok(Key(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// Lets a map with `Key` keys be searched by `&str`.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Checks that `text` is a key of at most `max` bytes, and returns the first rule that it breaks.
pub(crate) fn check(text: &str, max: usize) -> Result<(), KeyError> {
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if text.len() > max {
        return Err(KeyError::TooLong { bytes: text.len(), max });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(character) = text.chars().find(|&c| !allowed(c)) {
        return Err(KeyError::Character { character });
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(KeyError::Start);
    }
    Ok(())
}

/// The rule that a key breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    #[error("an empty key")]
    Empty,
    #[error("a key of {bytes} bytes, more than {max}")]
    TooLong { bytes: usize, max: usize },
    #[error("a key with {}", Escaped(*character))]
    Character { character: char },
    #[error("a key that starts with punctuation")]
    Start,
}

impl KeyError {
    /// Returns what to write instead.
    pub(crate) fn hint(&self) -> String {
        match self {
            KeyError::Empty | KeyError::TooLong { .. } => {
                let max =
                    if let KeyError::TooLong { max, .. } = self { *max } else { MAX_KEY_BYTES };
                format!("write 1 to {max} characters")
            }
            KeyError::Character { .. } => {
                "use letters a-z and A-Z, digits, `.`, `_` and `-`".to_owned()
            }
            KeyError::Start => "start with a letter or a digit".to_owned(),
        }
    }
}

/// A character, escaped for a log line.
struct Escaped(char);

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_plain_ascii_names() {
        for good in ["a", "new-checkout", "Checkout_2.0", "0day", &"k".repeat(128)] {
            assert!(Key::parse(good).is_ok(), "{good}");
        }
        let refusal = |text: &str| Key::parse(text).expect_err("bad key").to_string();
        assert_eq!(refusal(""), "an empty key");
        assert_eq!(refusal(&"k".repeat(129)), "a key of 129 bytes, more than 128");
        assert_eq!(refusal("new checkout"), "a key with ` `");
        assert_eq!(refusal("caf\u{e9}"), "a key with `é`");
        assert_eq!(refusal("a\u{1b}[31m"), r"a key with `\u{1b}`");
        assert_eq!(refusal("-a"), "a key that starts with punctuation");
    }
}
