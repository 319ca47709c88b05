//! Quotes of foreign text in error messages: short, escaped and on one line.

use std::fmt::Write as _;

/// Most characters of a quote.
const MAX_CHARS: usize = 200;

/// Quotes the end of a text. Programs print the reason of a failure last.
pub(crate) fn end_of(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().rev().nth(MAX_CHARS - 1) {
        Some((cut, _)) if cut > 0 => format!("...{}", escaped(text.get(cut..).unwrap_or_default())),
        _ => escaped(text),
    }
}

/// Quotes the beginning of a text. Only code behind HTTP features calls this.
#[cfg_attr(not(feature = "_http"), allow(dead_code))]
pub(crate) fn beginning_of(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MAX_CHARS) {
        Some((cut, _)) => format!("{}...", escaped(text.get(..cut).unwrap_or_default())),
        None => escaped(text),
    }
}

/// Escapes characters that end the line, move the cursor, or hide or reorder text. Quotes, backslashes and letters of
/// every script stay unescaped.
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
    fn quotes_are_short_and_on_one_line() {
        assert_eq!(end_of(" a\nb\u{1b}[31m\"c\"\r\n"), "a\\nb\\u{1b}[31m\"c\"");
        assert_eq!(beginning_of("grün \u{202e}!"), "grün \\u{202e}!");
        let long = "ä".repeat(MAX_CHARS) + "z";
        assert_eq!(end_of(&long), format!("...{}z", "ä".repeat(MAX_CHARS - 1)));
        assert_eq!(beginning_of(&long), format!("{}...", "ä".repeat(MAX_CHARS)));
        let fits = "ä".repeat(MAX_CHARS);
        assert_eq!((end_of(&fits), beginning_of(&fits)), (fits.clone(), fits));
    }
}
