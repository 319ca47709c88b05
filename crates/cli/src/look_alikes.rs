//! Listed users whose keys look like the key of a user who is not listed.

use stagegate::model::{FlagPlan, Group};
use unicode_normalization::UnicodeNormalization;

use crate::terminal::quoted;

/// Returns a sentence for each group of the flag that does not list the user, but a key that looks alike: the same
/// characters in other bytes, or other case or blanks.
pub(crate) fn sentences(flag: &FlagPlan<'_>, user: &str) -> Vec<String> {
    flag.groups().into_iter().filter_map(|group| sentence(group, user)).collect()
}

fn sentence(group: Group<'_>, user: &str) -> Option<String> {
    if group.lists(user) {
        return None;
    }
    // The first in order of the keys, because a group has no order.
    let listed = group.users().filter(|listed| folded(listed).eq(folded(user))).min()?;
    let name = quoted([group.name()]);
    Some(format!("there is {} in {name}, {}", quoted([listed]), difference(listed, user)))
}

/// Returns the characters of a key in NFC, in lower case and without blanks.
fn folded(key: &str) -> impl Iterator<Item = char> {
    key.nfc().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase)
}

fn difference(listed: &str, user: &str) -> String {
    if listed.nfc().eq(user.nfc()) {
        let other: Vec<String> = listed
            .chars()
            .filter(|c| !c.is_ascii() && !user.contains(*c))
            .map(|c| format!("U+{:04X}", u32::from(c)))
            .collect();
        let other =
            if other.is_empty() { String::new() } else { format!(" ({})", other.join(", ")) };
        return format!("of other bytes{other}");
    }
    let no_blanks = |key: &str| key.nfc().filter(|c| !c.is_whitespace()).collect::<String>();
    if no_blanks(listed) == no_blanks(user) {
        "with other blanks".to_owned()
    } else {
        "with other upper and lower case".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use stagegate::Plan;

    use super::*;

    fn sentences_of(users: &str, user: &str) -> Vec<String> {
        let text = format!(
            "schema = 1\n[groups.g]\nusers = [{users}]\n[groups.other]\nusers = [\"else\"]\n[flags.f]\n\
             hold_back = {{ other = \"on\" }}\nstages = [{{ name = \"on\", groups = [\"g\"], percent = 5 }}]"
        );
        let plan = Plan::parse(text).expect("a plan");
        sentences(&plan.flag("f").expect("a flag"), user)
    }

    #[test]
    fn a_user_in_other_bytes_is_told_from_the_listed_one() {
        let found = sentences_of("\"Jos\u{e9}\", \"ana\"", "Jose\u{301}");
        assert_eq!(found, ["there is `Jos\u{e9}` in `g`, of other bytes (U+00E9)"]);
        let found = sentences_of("\"Jose\u{301}\"", "Jos\u{e9}");
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("in `g`, of other bytes (U+0301)"), "{found:?}");
    }

    #[test]
    fn case_and_blanks_are_named() {
        assert_eq!(
            sentences_of("\"ana\"", "Ana"),
            ["there is `ana` in `g`, with other upper and lower case"]
        );
        assert_eq!(
            sentences_of("\"ana b\"", "ana b "),
            ["there is `ana b` in `g`, with other blanks"]
        );
        assert_eq!(
            sentences_of("\"ELSE\"", "ELSE"),
            ["there is `else` in `other`, with other upper and lower case"]
        );
    }

    #[test]
    fn a_listed_user_and_a_stranger_have_none() {
        assert!(sentences_of("\"ana\", \"Ana\"", "Ana").is_empty());
        assert!(sentences_of("\"ana\"", "ben").is_empty());
    }
}
