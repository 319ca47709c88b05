//! Conditions on attributes: `where` of a group.

use std::cmp::Ordering;
use std::fmt;

use super::ordered::Kind;
use super::user::AsUser;
use super::value::AttributeValue;

/// An attribute and the tests that its value must pass.
///
/// A user without the attribute never matches. If the attribute has several values, one value must pass every positive
/// test, and no value may be in a `not_in` list. Comparison of texts is case-sensitive.
#[derive(Clone)]
pub(crate) struct Condition {
    pub(crate) attribute: Box<str>,
    /// At least one.
    pub(crate) tests: Box<[Test]>,
}

/// A test of one value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Test {
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<str>),
    /// Any value passes.
    Present,
    /// All bounds hold.
    Within(Kind, Box<[Bound]>),
}

/// A limit of a value: `>= 18`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) comparison: Comparison,
    /// A text that the kind of the test reads.
    pub(crate) limit: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// Why a user matches a condition on an attribute or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The user matches.
    Matches,
    /// The user does not have the attribute.
    Missing,
    /// The condition needs a number, a version or a date, and no value is one.
    #[non_exhaustive]
    Unreadable {
        /// What the condition needs: `number`, `version` or `date`.
        needs: &'static str,
    },
    /// The user has the attribute, and its values do not match.
    Differs,
}

impl Condition {
    pub(crate) fn matches(&self, user: &impl AsUser) -> bool {
        let (mut passes, mut is_barred) = (false, false);
        user.any_value(&self.attribute, &mut |value| {
            value.with_text(|text| {
                is_barred |= self.bars(text);
                passes = passes || self.passes(text);
            });
            is_barred
        });
        passes && !is_barred
    }

    fn bars(&self, text: &str) -> bool {
        self.tests.iter().any(|test| matches!(test, Test::NotIn(values) if has(values, text)))
    }

    /// Returns whether a value passes every positive test.
    fn passes(&self, text: &str) -> bool {
        self.tests.iter().all(|test| matches!(test, Test::NotIn(_)) || test.passes(text))
    }

    /// Explains [`matches`](Self::matches).
    pub(crate) fn finding(&self, user: &impl AsUser) -> Finding {
        if self.matches(user) {
            return Finding::Matches;
        }
        let (mut is_missing, mut is_readable) = (true, false);
        let kind = self.tests.iter().find_map(|test| match test {
            Test::Within(kind, _) => Some(*kind),
            _ => None,
        });
        user.any_value(&self.attribute, &mut |value: AttributeValue<'_>| {
            is_missing = false;
            is_readable |= kind.is_none_or(|kind| value.with_text(|text| kind.reads(text)));
            false
        });
        match kind {
            _ if is_missing => Finding::Missing,
            Some(kind) if !is_readable => Finding::Unreadable { needs: kind.name() },
            _ => Finding::Differs,
        }
    }

    /// Returns whether every user who matches this condition surely matches the other one.
    pub(crate) fn implies(&self, other: &Condition) -> bool {
        let is_implied = |wide: &Test| self.tests.iter().any(|narrow| narrow.implies(wide));
        self.attribute == other.attribute && other.tests.iter().all(is_implied)
    }

    /// Returns the listed values if the condition is one list.
    pub(crate) fn listed_values(&self) -> Option<&[Box<str>]> {
        match &*self.tests {
            [Test::In(values)] => Some(values),
            _ => None,
        }
    }
}

fn has(values: &[Box<str>], text: &str) -> bool {
    values.iter().any(|value| **value == *text)
}

impl Test {
    fn passes(&self, text: &str) -> bool {
        match self {
            Test::In(values) => has(values, text),
            Test::NotIn(values) => !has(values, text),
            Test::Prefix(prefix) => text.starts_with(&**prefix),
            Test::Suffix(suffix) => text.ends_with(&**suffix),
            Test::Contains(part) => text.contains(&**part),
            Test::Present => true,
            Test::Within(kind, bounds) => bounds.iter().all(|bound| bound.holds(*kind, text)),
        }
    }

    /// Returns whether every value that passes this test surely passes the other one.
    ///
    /// With several values, `not_in` says more than that a value passes, so only `not_in` implies `not_in`.
    fn implies(&self, other: &Test) -> bool {
        match (self, other) {
            (_, Test::Present) => true,
            (Test::NotIn(mine), Test::NotIn(others)) => others.iter().all(|value| has(mine, value)),
            (_, Test::NotIn(_)) => false,
            (Test::In(values), _) => values.iter().all(|value| other.passes(value)),
            (Test::Prefix(mine), Test::Prefix(other)) => mine.starts_with(&**other),
            (Test::Suffix(mine), Test::Suffix(other)) => mine.ends_with(&**other),
            (
                Test::Prefix(mine) | Test::Suffix(mine) | Test::Contains(mine),
                Test::Contains(other),
            ) => mine.contains(&**other),
            (Test::Within(mine, narrow), Test::Within(kind, wide)) => {
                let is_implied = |wide: &Bound| narrow.iter().any(|one| one.implies(wide, *kind));
                mine == kind && wide.iter().all(is_implied)
            }
            _ => false,
        }
    }
}

impl Bound {
    /// Returns whether a value is within the bound. A value of another kind is not.
    fn holds(&self, kind: Kind, text: &str) -> bool {
        kind.compare(text, &self.limit).is_some_and(|order| self.comparison.holds(order))
    }

    /// Returns whether every value within this bound is within the other one.
    fn implies(&self, other: &Bound, kind: Kind) -> bool {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        // A day as a limit stands for all its moments, so limits of dates have no simple order.
        let order = match kind {
            Kind::Date => (self.limit == other.limit).then_some(Ordering::Equal),
            _ => kind.compare(&self.limit, &other.limit),
        };
        let Some(order) = order else { return false };
        match (self.comparison, other.comparison) {
            (Equal, wide) => wide.holds(order),
            (Less, Less | LessOrEqual) | (LessOrEqual, LessOrEqual) => order.is_le(),
            (LessOrEqual, Less) => order.is_lt(),
            (Greater, Greater | GreaterOrEqual) | (GreaterOrEqual, GreaterOrEqual) => order.is_ge(),
            (GreaterOrEqual, Greater) => order.is_gt(),
            _ => false,
        }
    }
}

impl Comparison {
    /// The signs, the longer ones first.
    pub(crate) const ALL: [(&'static str, Comparison); 5] = [
        (">=", Comparison::GreaterOrEqual),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ];

    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Equal => order.is_eq(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Greater => order.is_gt(),
        }
    }

    fn sign(self) -> &'static str {
        Comparison::ALL.iter().find(|(_, one)| *one == self).map_or("", |(sign, _)| sign)
    }
}

/// Prints the tests: `>= 18 and not one of "21", "22"`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, test) in self.tests.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            test.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::In(values) => list(f, "", values),
            Test::NotIn(values) => list(f, "not ", values),
            Test::Prefix(prefix) => write!(f, "begins with \"{prefix}\""),
            Test::Suffix(suffix) => write!(f, "ends with \"{suffix}\""),
            Test::Contains(part) => write!(f, "contains \"{part}\""),
            Test::Present => f.write_str("present"),
            Test::Within(_, bounds) => {
                for (index, bound) in bounds.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{} {}", bound.comparison.sign(), bound.limit)?;
                }
                Ok(())
            }
        }
    }
}

/// The number of values that a text lists, unless it is printed with `{:#}`.
const LISTED_VALUES: usize = 4;

fn list(f: &mut fmt::Formatter<'_>, not: &str, values: &[Box<str>]) -> fmt::Result {
    match values {
        [value] => return write!(f, "{not}\"{value}\""),
        _ => write!(f, "{not}one of ")?,
    }
    let most = if f.alternate() { values.len() } else { LISTED_VALUES };
    for (index, value) in values.iter().take(most).enumerate() {
        write!(f, "{}\"{value}\"", if index > 0 { ", " } else { "" })?;
    }
    match values.len().saturating_sub(most) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::User;
    use proptest::prelude::*;

    fn condition(tests: &[Test]) -> Condition {
        Condition { attribute: "a".into(), tests: tests.into() }
    }

    fn texts(values: &[&str]) -> Box<[Box<str>]> {
        values.iter().map(|value| Box::from(*value)).collect()
    }

    fn within(comparison: Comparison, limit: &str) -> Test {
        Test::Within(Kind::Number, [Bound { comparison, limit: limit.into() }].into())
    }

    #[test]
    fn a_missing_or_unreadable_attribute_matches_nothing_and_says_why() {
        let old = condition(&[within(Comparison::GreaterOrEqual, "18")]);
        let not_de = condition(&[Test::NotIn(texts(&["de"]))]);
        let none = User::new("u");
        assert_eq!(old.finding(&none), Finding::Missing);
        assert_eq!(not_de.finding(&none), Finding::Missing);
        let of = |value: &'static str| User::new("u").attribute("a", value);
        assert_eq!(old.finding(&of("old")), Finding::Unreadable { needs: "number" });
        assert_eq!(old.finding(&of("17")), Finding::Differs);
        assert_eq!(old.finding(&of("18")), Finding::Matches);
        assert_eq!(not_de.finding(&of("de")), Finding::Differs);
        assert_eq!(not_de.finding(&of("fr")), Finding::Matches);
        assert_eq!(not_de.finding(&of("")), Finding::Matches);
    }

    #[test]
    fn of_several_values_any_is_enough_and_none_may_be_excluded() {
        let user = |one, other| User::new("u").attribute("a", one).attribute("a", other);
        let admin = condition(&[Test::In(texts(&["admin"]))]);
        assert!(admin.matches(&user("admin", "beta")) && admin.matches(&user("beta", "admin")));
        let not_admin = condition(&[Test::NotIn(texts(&["admin"]))]);
        assert!(!not_admin.matches(&user("admin", "beta")));
        assert!(!not_admin.matches(&user("beta", "admin")));
        assert!(not_admin.matches(&user("beta", "gamma")));
        // One value must pass all positive tests.
        let both = condition(&[Test::Prefix("a".into()), Test::Suffix("z".into())]);
        assert!(!both.matches(&user("ab", "yz")) && both.matches(&user("ab", "az")));
    }

    fn any_test() -> impl Strategy<Value = Test> {
        let values = || proptest::collection::vec("[0-2]{1,2}", 1..3);
        let texts = |values: Vec<String>| values.into_iter().map(String::into_boxed_str).collect();
        let sign =
            proptest::sample::select(Comparison::ALL.map(|(_, comparison)| comparison).to_vec());
        let bound = (sign, "[0-2]{1,2}");
        prop_oneof![
            values().prop_map(move |it| Test::In(texts(it))),
            values().prop_map(move |it| Test::NotIn(texts(it))),
            "[0-2]{1,2}".prop_map(|it| Test::Prefix(it.into())),
            "[0-2]{1,2}".prop_map(|it| Test::Suffix(it.into())),
            "[0-2]{1,2}".prop_map(|it| Test::Contains(it.into())),
            Just(Test::Present),
            proptest::collection::vec(bound, 1..3).prop_map(|bounds| {
                let bound =
                    |(comparison, limit): (_, String)| Bound { comparison, limit: limit.into() };
                Test::Within(Kind::Number, bounds.into_iter().map(bound).collect())
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// An update may widen an audience only as far as `implies` says.
        #[test]
        fn what_a_condition_implies_holds_for_every_user(
            narrow in proptest::collection::vec(any_test(), 1..3),
            wide in proptest::collection::vec(any_test(), 1..3),
            values in proptest::collection::vec("[0-2]{0,2}", 0..3),
        ) {
            let (narrow, wide) = (condition(&narrow), condition(&wide));
            let user = values.iter().fold(User::new("u"), |user, value| user.attribute("a", value));
            if narrow.implies(&wide) && narrow.matches(&user) {
                prop_assert!(wide.matches(&user), "{} and {} for {:?}", narrow, wide, values);
            }
            prop_assert_eq!(narrow.finding(&user) == Finding::Matches, narrow.matches(&user));
        }
    }
}
