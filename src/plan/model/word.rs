//! Fields that hold one of a few words.

use crate::plan::fields::{Path, one_of, string};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// What a document writes as one of a few words.
pub(super) trait Word: Copy + 'static {
    /// What a value that is none of them is told: `not a level`.
    const WRONG: &'static str;

    /// All there are, in the order a hint lists them.
    const ALL: &'static [Self];

    /// The word for it.
    fn word(self) -> &'static str;

    /// What the word stands for.
    fn of_word(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.word() == text)
    }
}

/// One of the words.
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
