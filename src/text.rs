//! What others have written, within errors: short, and on one line.

use std::fmt::Write as _;

/// Characters of it at most.
const MOST: usize = 200;

/// The end of a text, where programs say what went wrong.
pub(crate) fn end_of(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().rev().nth(MOST - 1) {
        Some((cut, _)) if cut > 0 => format!("...{}", escaped(text.get(cut..).unwrap_or_default())),
        _ => escaped(text),
    }
}

/// The beginning of a text. Only servers are quoted so.
#[cfg_attr(not(feature = "_http"), allow(dead_code))]
pub(crate) fn beginning_of(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}...", escaped(text.get(..cut).unwrap_or_default())),
        None => escaped(text),
    }
}

/// Quotes and letters of every script stay as they are; what ends the line, moves the cursor, hides or turns text
/// does not.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => escaped.push(c),
            c => {
                let _ = write!(escaped, "{}", c.escape_debug());
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_short_and_on_one_line() {
        assert_eq!(end_of(" a\nb\u{1b}[31m\"c\"\r\n"), "a\\nb\\u{1b}[31m\"c\"");
        assert_eq!(beginning_of("grün \u{202e}!"), "grün \\u{202e}!");
        let long = "ä".repeat(MOST) + "z";
        assert_eq!(end_of(&long), format!("...{}z", "ä".repeat(MOST - 1)));
        assert_eq!(beginning_of(&long), format!("{}...", "ä".repeat(MOST)));
        let fits = "ä".repeat(MOST);
        assert_eq!((end_of(&fits), beginning_of(&fits)), (fits.clone(), fits));
    }
}
