//! Texts of a document where they could mean something to what shows them: terminals, Markdown,
//! XML, calendars.

use std::fmt::Write as _;

/// A text on one line of a terminal: what controls it, or turns the direction of writing, is
/// written as `\u{1b}`, a line end as `\n`.
pub(crate) fn terminal(text: &str) -> String {
    shown(text, false)
}

/// The same for a text that may have several lines.
pub(crate) fn terminal_lines(text: &str) -> String {
    shown(text, true)
}

/// A text within a paragraph of Markdown; its lines stay lines.
pub(crate) fn markdown(text: &str) -> String {
    text.trim().lines().map(markdown_line).collect::<Vec<_>>().join("<br>")
}

/// A text in a cell of a Markdown table, where nothing begins a line.
pub(crate) fn markdown_cell(text: &str) -> String {
    text.trim().lines().map(markdown_inline).collect::<Vec<_>>().join("<br>")
}

/// A text as a block quote of Markdown, line by line.
pub(crate) fn markdown_quote(text: &str) -> String {
    let mut quote = String::new();
    let mut lines = text.trim_end().lines().peekable();
    while let Some(line) = lines.next() {
        let line = markdown_line(line.trim());
        // A backslash at the end of a line is a line break, between two lines of a paragraph.
        let breaks = !line.is_empty() && lines.peek().is_some_and(|next| !next.trim().is_empty());
        let _ = match (line.is_empty(), breaks) {
            (true, _) => writeln!(quote, ">"),
            (false, true) => writeln!(quote, "> {line}\\"),
            (false, false) => writeln!(quote, "> {line}"),
        };
    }
    quote
}

/// A text as a block of code in an item of a list of Markdown, in a fence longer than any row of
/// backticks in it.
pub(crate) fn markdown_code(text: &str) -> String {
    let rows = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(rows.max().unwrap_or(0).max(2) + 1);
    let lines = shown(text.trim_end(), true).replace('\n', "\n  ");
    format!("  {fence}\n  {lines}\n  {fence}\n")
}

/// A text as character data or a quoted attribute of XML.
pub(crate) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No XML has these two.
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text as a value of type TEXT of iCalendar (RFC 5545, 3.3.11).
pub(crate) fn ics(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    for c in shown(&lines, true).chars() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn shown(text: &str, keep_lines: bool) -> String {
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

/// Whether a character controls what shows it instead of being shown: control characters, line
/// separators, marks that turn the direction of writing so that a text reads as another.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    let isolates = matches!(c, '\u{2066}'..='\u{2069}');
    c.is_control() || turns || isolates || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// A line of which the first characters could begin a list, a heading, a quote or a rule.
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

/// Escapes what means something wherever it stands, and no more than that, for those who read the
/// Markdown as it is.
fn markdown_inline(line: &str) -> String {
    let line = terminal(line);
    let mut escaped = String::with_capacity(line.len());
    let mut before = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let within_word =
            before.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric);
        let means_something = match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => true,
            '_' => !within_word,
            '<' => next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')),
            '&' => next.is_some_and(|c| c.is_ascii_alphabetic() || c == '#'),
            _ => false,
        };
        if means_something {
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
    fn a_terminal_shows_what_would_control_it() {
        assert_eq!(terminal("a\u{1b}[2Jb\nc\td\r\u{7f}"), r"a\u{1b}[2Jb\nc\td\r\u{7f}");
        assert_eq!(terminal("safe\u{202e}txt.exe"), r"safe\u{202e}txt.exe");
        assert_eq!(terminal_lines("a\nb\u{9b}c"), "a\nb\\u{9b}c");
        assert_eq!(terminal("schön ✓ 東京"), "schön ✓ 東京");
    }

    #[test]
    fn markdown_reads_as_the_text_that_was_meant() {
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
    fn a_quote_stays_one() {
        let text = "Hello {{ owner }},\nwe *start*.\n\n# Bye\n";
        let quote = "> Hello {{ owner }},\\\n> we \\*start\\*.\n>\n> \\# Bye\n";
        assert_eq!(markdown_quote(text), quote);
    }

    #[test]
    fn a_fence_is_longer_than_what_it_holds() {
        assert_eq!(markdown_code("a\nb"), "  ```\n  a\n  b\n  ```\n");
        assert_eq!(markdown_code("a ```` b"), "  `````\n  a ```` b\n  `````\n");
    }

    #[test]
    fn xml_and_calendars_have_their_own_rules() {
        assert_eq!(xml("<a b='c'>&\"\0"), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;\\u{0}");
        assert_eq!(xml("\u{ffff}"), "\u{fffd}");
        assert_eq!(ics("a;b,c\\d\r\ne\nEND:VEVENT"), r"a\;b\,c\\d\ne\nEND:VEVENT");
    }
}
