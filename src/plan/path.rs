//! Paths of values in a document.

use std::fmt;

/// The path of a value from the top of the document: `flags.search.stages[0]`.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    segment: Segment<'p>,
}

#[derive(Clone, Copy)]
enum Segment<'p> {
    Root,
    Field(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) fn root() -> Path<'static> {
        Path { parent: None, segment: Segment::Root }
    }

    pub(super) fn field(&'p self, name: &'p str) -> Path<'p> {
        Path { parent: Some(self), segment: Segment::Field(name) }
    }

    /// Returns the path of a field some levels below, as text.
    pub(super) fn below(&self, fields: &[&str]) -> String {
        match fields.split_first() {
            Some((name, rest)) => self.field(name).below(rest),
            None => self.to_string(),
        }
    }

    pub(super) fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Root => Ok(()),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Field(name) => {
                if self.parent.is_some_and(|parent| !matches!(parent.segment, Segment::Root)) {
                    write!(f, ".")?;
                }
                let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                if !name.is_empty() && name.chars().all(bare) && name.len() <= 60 {
                    write!(f, "{name}")
                } else {
                    write!(f, "\"{}\"", super::error::Excerpt(name))
                }
            }
        }
    }
}
