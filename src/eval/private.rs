//! `Debug` output that counts users but never names them.

use std::fmt::{Debug, Formatter, Result};

use super::audience::AttributeRule;
use super::user_set::UserSet;

/// Prints the number of users. Their keys are personal data.
impl Debug for UserSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "UserSet({} users)", self.len())
    }
}

/// Prints the attribute's name and the number of values. A value may be personal data, such as an address.
impl Debug for AttributeRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "AttributeRule({}: {} values)", self.name, self.values.len())
    }
}
