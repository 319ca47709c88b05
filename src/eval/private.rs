//! `Debug` of what names users: counts, never the users.

use std::fmt::{Debug, Formatter, Result};

use super::audience::{AttributeRule, UserSet};

/// The number of users. Their keys are personal data.
impl Debug for UserSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "UserSet({} users)", self.len())
    }
}

/// The attribute's name and the number of values: a value may be a user's key or address.
impl Debug for AttributeRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "AttributeRule({}: {} values)", self.name, self.values.len())
    }
}
