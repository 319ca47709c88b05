//! Why a user is in a group or not.

use stagegate::User;
use stagegate::model::{ConditionExplanation, Finding, FlagPlan, Group, GroupExplanation};

use crate::escape::terminal;
use crate::terminal::quoted;

/// The attributes on the command line. A name may come several times, with several values.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a [(String, String)]);

impl<'a> Attributes<'a> {
    pub(super) fn user(self, key: &'a str) -> User<'a> {
        let given = self.0.iter();
        given.fold(User::new(key), |user, (name, value)| user.attribute(name, value))
    }

    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Returns the values of an attribute, in the order of the command line.
    pub(super) fn values(self, name: &str) -> impl Iterator<Item = &'a str> {
        let given = self.0.iter().filter(move |(given, _)| given == name);
        given.map(|(_, value)| &**value)
    }

    /// Returns the values of an attribute as a text.
    fn text(self, name: &str) -> String {
        values_text(self.values(name))
    }
}

/// Returns values for a terminal, separated by commas.
pub(super) fn values_text<'v>(values: impl Iterator<Item = &'v str>) -> String {
    let text = |value: &str| if value.is_empty() { "empty".to_owned() } else { terminal(value) };
    few(values.map(text))
}

/// Returns whether the groups of a flag do more than list users.
pub(super) fn are_worth_a_table(flag: &FlagPlan<'_>) -> bool {
    let has_rules = |group: &Group<'_>| {
        group.values_of().is_some()
            || group.alternatives().next().is_some()
            || group.includes().next().is_some()
    };
    flag.groups().iter().any(has_rules)
}

/// Returns why a user with these attributes is in a group or not.
pub(super) fn why(
    group: &Group<'_>,
    found: &GroupExplanation<'_>,
    given: Attributes<'_>,
) -> String {
    if found.contains { why_in(group, found, given) } else { why_not_in(group, found, given) }
}

fn why_in(group: &Group<'_>, found: &GroupExplanation<'_>, given: Attributes<'_>) -> String {
    match group.values_of() {
        Some(name) if found.is_listed => {
            let listed = given.values(name).filter(|value| group.lists(value));
            return format!("lists `{}` {}", terminal(name), values_text(listed));
        }
        None if found.is_listed => return "lists the user".to_owned(),
        _ => {}
    }
    let matches = |it: &ConditionExplanation<'_>| it.finding == Finding::Matches;
    let matching = found.alternatives.iter().find(|all| all.iter().all(matches));
    match matching {
        Some(all) => few(all.iter().map(|it| is(it, given))),
        None => format!("includes {}", quoted(found.included.iter().copied())),
    }
}

/// Of each alternative, one condition that does not match is reason enough.
fn why_not_in(group: &Group<'_>, found: &GroupExplanation<'_>, given: Attributes<'_>) -> String {
    let mut reasons = Vec::new();
    if group.users().next().is_some() {
        reasons.push(match group.values_of() {
            None => "does not list the user".to_owned(),
            Some(name) if given.values(name).next().is_none() => missing(name),
            Some(name) => format!("does not list `{}` {}", terminal(name), given.text(name)),
        });
    }
    let fails = |it: &&ConditionExplanation<'_>| it.finding != Finding::Matches;
    for failing in found.alternatives.iter().filter_map(|all| all.iter().find(fails)) {
        let reason = why_no_match(failing, given);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let included: Vec<&str> = group.includes().collect();
    match &*included {
        [] => {}
        [one] => reasons.push(format!("the user is not in {}", quoted([*one]))),
        _ => reasons.push(format!("the user is in none of {}", quoted(included))),
    }
    if reasons.is_empty() { "lists nobody".to_owned() } else { reasons.join("; ") }
}

fn why_no_match(it: &ConditionExplanation<'_>, given: Attributes<'_>) -> String {
    let condition = terminal(&it.condition.to_string());
    match it.finding {
        Finding::Missing => missing(it.condition.attribute()),
        Finding::Unreadable { needs, .. } => format!("{}, which is not a {needs}", is(it, given)),
        // `18, not >= 21`, but not: `eu, not begins with "us"`.
        _ if condition.starts_with(['"', '<', '>', '=']) || condition.starts_with("one of") => {
            format!("{}, not {condition}", is(it, given))
        }
        _ => format!("{}, needed: {condition}", is(it, given)),
    }
}

fn missing(attribute: &str) -> String {
    format!("`{}` is missing", terminal(attribute))
}

fn is(it: &ConditionExplanation<'_>, given: Attributes<'_>) -> String {
    let name = it.condition.attribute();
    format!("`{}` is {}", terminal(name), given.text(name))
}

/// The number of texts that a sentence lists.
const LISTED: usize = 6;

fn few(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    match texts.split_at_checked(LISTED) {
        Some((first, more @ [_, ..])) => format!("{} and {} more", first.join(", "), more.len()),
        _ => texts.join(", "),
    }
}
