//! Escaping of untrusted text for terminals, Markdown, XML and calendar files.

use std::fmt::Write as _;

/// Escapes a text for one line of a terminal. Control characters and marks that change the writing
/// direction become `\u{1b}`, line ends become `\n`.
pub(crate) fn terminal(text: &str) -> String {
    escape_hidden(text, false)
}

/// Escapes a text for a terminal and keeps its lines.
pub(crate) fn terminal_lines(text: &str) -> String {
    escape_hidden(text, true)
}

/// Escapes a text within a paragraph of Markdown. Keeps its lines.
pub(crate) fn markdown(text: &str) -> String {
    text.trim().lines().map(markdown_line).collect::<Vec<_>>().join("<br>")
}

/// Escapes a text in a cell of a Markdown table, where no text starts a line.
pub(crate) fn markdown_cell(text: &str) -> String {
    text.trim().lines().map(markdown_inline).collect::<Vec<_>>().join("<br>")
}

/// Formats a text as a block quote of Markdown, line by line.
pub(crate) fn markdown_quote(text: &str) -> String {
    let mut quote = String::new();
    let mut lines = text.trim_end().lines().peekable();
    while let Some(line) = lines.next() {
        let line = markdown_line(line.trim());
        // A backslash at the end of a line is a line break within a paragraph.
        let breaks = !line.is_empty() && lines.peek().is_some_and(|next| !next.trim().is_empty());
        let _ = match (line.is_empty(), breaks) {
            (true, _) => writeln!(quote, ">"),
            (false, true) => writeln!(quote, "> {line}\\"),
            (false, false) => writeln!(quote, "> {line}"),
        };
    }
    quote
}

/// Formats a text as a code block in a list item of Markdown. The fence is longer than any row of
/// backticks in the text.
pub(crate) fn markdown_code(text: &str) -> String {
    let rows = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(rows.max().unwrap_or(0).max(2) + 1);
    let lines = escape_hidden(text.trim_end(), true).replace('\n', "\n  ");
    format!("  {fence}\n  {lines}\n  {fence}\n")
}

/// Escapes a text for character data or a quoted attribute of XML.
pub(crate) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML does not allow these two characters.
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escapes a text for a value of type TEXT of iCalendar (RFC 5545, 3.3.11).
pub(crate) fn ics(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    for c in escape_hidden(&lines, true).chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn escape_hidden(text: &str, keep_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keep_lines => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_hidden(c) => {
                let _ = write!(shown, "{}", c.escape_unicode());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Returns whether a character has an effect instead of a shape: control characters, line separators,
/// and marks that change the writing direction, so that a text looks like another text.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    let isolates = matches!(c, '\u{2066}'..='\u{2069}');
    c.is_control() || turns || isolates || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Escapes a line, and its first characters if they could start a list, a heading, a quote or a rule.
fn markdown_line(line: &str) -> String {
    let inline = markdown_inline(line.trim_start());
    let digits = inline.bytes().take_while(u8::is_ascii_digit).count();
    let is_item = |rest: &str| {
        let after = rest.strip_prefix(['.', ')']);
        after.is_some_and(|after| after.is_empty() || after.starts_with(' '))
    };
    match (inline.split_at_checked(digits), inline.chars().next()) {
        (Some((number, rest)), _) if digits > 0 && is_item(rest) => format!("{number}\\{rest}"),
        (_, Some('#' | '-' | '+' | '=' | '>' | ':')) => format!("\\{inline}"),
        _ => inline,
    }
}

/// Escapes characters that are markup in any position. Escapes no others, so that the Markdown stays
/// readable as plain text.
fn markdown_inline(line: &str) -> String {
    let line = terminal(line);
    let mut escaped = String::with_capacity(line.len());
    let mut before = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let within_word =
            before.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric);
        let is_markup = match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => true,
            '_' => !within_word,
            '<' => next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')),
            '&' => next.is_some_and(|c| c.is_ascii_alphabetic() || c == '#'),
            _ => false,
        };
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_texts_show_control_characters() {
        assert_eq!(terminal("a\u{1b}[2Jb\nc\td\r\u{7f}"), r"a\u{1b}[2Jb\nc\td\r\u{7f}");
        assert_eq!(terminal("safe\u{202e}txt.exe"), r"safe\u{202e}txt.exe");
        assert_eq!(terminal_lines("a\nb\u{9b}c"), "a\nb\\u{9b}c");
        assert_eq!(terminal("schön ✓ 東京"), "schön ✓ 東京");
    }

    #[test]
    fn escaped_markdown_reads_as_the_original_text() {
        for (text, written) in [
            ("error_rate < 1% | p95", r"error_rate < 1% \| p95"),
            ("_no_ *no* `no`", r"\_no\_ \*no\* \`no\`"),
            ("<script>&amp; a & b", r"\<script>\&amp; a & b"),
            ("# no heading", r"\# no heading"),
            ("1. no list", r"1\. no list"),
            ("- no list\n12) nor here", r"\- no list<br>12\) nor here"),
            ("[x](javascript:y)", r"\[x\](javascript:y)"),
            ("> no quote", r"\> no quote"),
            (r"C:\path", r"C:\\path"),
            ("\u{1b}[0m", r"\\u{1b}\[0m"),
            ("2 s", "2 s"),
            ("0.5%", "0.5%"),
        ] {
            assert_eq!(markdown(text), written);
        }
        assert_eq!(markdown_cell("> 2%\nor a|b"), r"> 2%<br>or a\|b");
    }

    #[test]
    fn a_quote_stays_one_quote() {
        let text = "Hello {{ owner }},\nwe *start*.\n\n# Bye\n";
        let quote = "> Hello {{ owner }},\\\n> we \\*start\\*.\n>\n> \\# Bye\n";
        assert_eq!(markdown_quote(text), quote);
    }

    #[test]
    fn a_fence_is_longer_than_any_backticks_within() {
        assert_eq!(markdown_code("a\nb"), "  ```\n  a\n  b\n  ```\n");
        assert_eq!(markdown_code("a ```` b"), "  `````\n  a ```` b\n  `````\n");
    }

    #[test]
    fn xml_and_calendar_texts_are_escaped() {
        assert_eq!(xml("<a b='c'>&\"\0"), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;\\u{0}");
        assert_eq!(xml("\u{ffff}"), "\u{fffd}");
        assert_eq!(ics("a;b,c\\d\r\ne\nEND:VEVENT"), r"a\;b\,c\\d\ne\nEND:VEVENT");
    }
}
