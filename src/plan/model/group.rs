//! The users of a group, for comparing one document with another.

use crate::eval;

/// A group that a flag's stages or its `hold_back` name.
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
/// let attributes: Vec<_> = team.attributes().collect();
/// assert_eq!(attributes, [("tier", vec!["staff"])]);
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

    /// Returns the keys of the listed users, including those in the `users_file`. Each one once, in no order.
    pub fn users(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.compiled.users.iter().filter_map(|key| std::str::from_utf8(key).ok())
    }

    /// Returns whether the group lists the user. Does not look at attributes.
    #[must_use]
    pub fn lists(&self, user: &str) -> bool {
        self.compiled.users.contains(user.as_bytes())
    }

    /// Returns the attributes of `where`, each with the values that match.
    ///
    /// A user who is not listed is in the group if every attribute matches. Without attributes, only listed users are.
    pub fn attributes(&self) -> impl Iterator<Item = (&'p str, Vec<&'p str>)> + use<'p> {
        let rules = self.compiled.rules.iter();
        rules.map(|rule| (&*rule.name, rule.values.iter().map(|value| &**value).collect()))
    }
}
