//! The users of a group, for comparing one document with another.

use std::fmt;

use crate::eval;

/// A group that a flag names, or that such a group includes.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [groups.team]
///     users = ["ana"]
///     where = { tier = ["staff"] }
///     [flags.search]
///     stages = [{ name = "internal", groups = ["team"] }]
/// "#)?;
/// let flag = plan.flag("search").unwrap();
/// let team = flag.groups()[0];
/// assert_eq!(team.name(), "team");
/// assert!(team.lists("ana") && !team.lists("ben"));
/// let alternatives: Vec<_> = team.alternatives().collect();
/// assert_eq!(alternatives[0][0].attribute(), "tier");
/// assert_eq!(alternatives[0][0].to_string(), "\"staff\"");
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Group<'p> {
    pub(super) compiled: &'p eval::Group,
}

impl<'p> Group<'p> {
    /// Returns the group's name.
    #[must_use]
    pub fn name(&self) -> &'p str {
        self.compiled.name.as_str()
    }

    /// Returns the listed user keys, including those in the `users_file`. Each one once, in no order.
    ///
    /// With [`values_of`](Group::values_of), they are values of an attribute.
    pub fn users(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.compiled.users.iter().filter_map(|key| std::str::from_utf8(key).ok())
    }

    /// Returns whether the group lists the user key or the value. Does not look at attributes and included groups.
    #[must_use]
    pub fn lists(&self, user: &str) -> bool {
        self.compiled.users.contains(user.as_bytes())
    }

    /// Returns the attribute whose values the group lists. `None`: it lists user keys.
    #[must_use]
    pub fn values_of(&self) -> Option<&'p str> {
        self.compiled.values_of.as_deref()
    }

    /// Returns the conditions of `where`, and those of each table of `any`.
    ///
    /// A user who is not listed is in the group if every condition of one of them matches.
    pub fn alternatives(&self) -> impl Iterator<Item = Vec<Condition<'p>>> + use<'p> {
        let conditions = |all: &'p [eval::Condition]| {
            all.iter().map(|compiled| Condition { compiled }).collect()
        };
        self.compiled.alternatives.iter().map(move |all| conditions(all))
    }

    /// Returns the names of the groups that this one includes, directly or through others, sorted.
    pub fn includes(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.compiled.includes.iter().map(|group| group.name.as_str())
    }
}

/// A condition on an attribute. Prints as `one of "eu-west", "eu-north"` or `>= 18`.
///
/// `{}` prints the first four values of a long list, and `{:#}` prints all.
///
/// Two conditions are equal if the same values match.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'p> {
    pub(super) compiled: &'p eval::Condition,
}

impl<'p> Condition<'p> {
    /// Returns the name of the attribute.
    #[must_use]
    pub fn attribute(&self) -> &'p str {
        &self.compiled.attribute
    }
}

impl PartialEq for Condition<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compiled.implies(other.compiled) && other.compiled.implies(self.compiled)
    }
}

impl Eq for Condition<'_> {}

impl fmt::Display for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.compiled.fmt(f)
    }
}
