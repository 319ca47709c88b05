//! `Debug` output that counts users but never names them.

use std::fmt::{Debug, Formatter, Result};

use super::condition::{Condition, Test};
use super::user_set::UserSet;

/// Prints the number of users. Their keys are personal data.
impl Debug for UserSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "UserSet({} users)", self.len())
    }
}

/// Prints the attribute's name and the number of tests. A tested value may be personal data, such as an address.
impl Debug for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Condition({}: {} tests)", self.attribute, self.tests.len())
    }
}

impl Debug for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Test::In(values) => write!(f, "In({} values)", values.len()),
            Test::NotIn(values) => write!(f, "NotIn({} values)", values.len()),
            Test::Prefix(_) => f.write_str("Prefix"),
            Test::Suffix(_) => f.write_str("Suffix"),
            Test::Contains(_) => f.write_str("Contains"),
            Test::Present => f.write_str("Present"),
            Test::Within(kind, bounds) => write!(f, "Within({kind:?}, {} bounds)", bounds.len()),
        }
    }
}
