//! Fields that hold one of a few words.

use crate::plan::fields::{one_of, string};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A type whose values a document writes as words. Declare it with [`words!`].
pub(in crate::plan) trait Word: Copy + 'static {
    /// What to say of another text: `not a level`.
    const WRONG: &'static str;

    /// All values, in the order in which a hint lists them.
    const ALL: &'static [Self];

    /// Returns the word of the value.
    fn word(self) -> &'static str;

    /// Returns the value of a word.
    fn of_word(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.word() == text)
    }
}

/// Declares an enum with the word of each value, and what to say of another text.
///
/// The enum prints as its word.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident: $wrong:literal {
            $($(#[$of_value:meta])* $value:ident = $word:literal,)+
        }
    ) => {
        $(#[$attribute])*
        pub enum $name {
            $($(#[$of_value])* $value,)+
        }

        impl $crate::plan::model::word::Word for $name {
            const WRONG: &'static str = $wrong;
            const ALL: &'static [$name] = &[$($name::$value),+];

            fn word(self) -> &'static str {
                match self {
                    $($name::$value => $word,)+
                }
            }
        }

        /// Prints the word of the document.
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad($crate::plan::model::word::Word::word(*self))
            }
        }
    };
}

pub(super) use words;

/// Reads one of the words.
pub(super) fn read<'a, W: Word>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<W> {
    let text = string(node, path, report)?;
    let value = W::of_word(text);
    if value.is_none() {
        let hint = one_of(text, W::ALL.iter().map(|value| value.word()));
        report.found(node, path, W::WRONG, hint);
    }
    value
}
