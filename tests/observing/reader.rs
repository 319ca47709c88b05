//! A strict parser of the Prometheus text format, version 0.0.4.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// A series: its name and its labels.
pub(crate) type Series = (String, Vec<(String, String)>);

/// The parsed series.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// `counter` or `gauge`, by metric name.
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) values: BTreeMap<Series, f64>,
}

/// Parses a text. Panics at the first error.
pub(crate) fn read(text: &str) -> Read {
    let mut read = Read::default();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no line end");
    let mut lines = text.split_terminator('\n').peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").expect(line).split_once(' ').expect(line);
        assert!(is_name(name) && help.ends_with('.') && !help.contains('\\'), "{line}");
        let line = lines.next().expect("a type");
        let kind = line.strip_prefix(&format!("# TYPE {name} ")).expect(line);
        assert!(["counter", "gauge"].contains(&kind), "{line}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        let before = read.types.insert(name.to_owned(), kind.to_owned());
        assert_eq!(before, None, "{name} has two groups");
        let mut samples = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (series, value) = sample(line);
            assert_eq!(series.0, name, "a series outside of its group");
            assert!(read.values.insert(series, value).is_none(), "a duplicate series: {line}");
            samples += 1;
        }
        assert!(samples > 0, "{name} has no series");
    }
    read
}

fn sample(line: &str) -> (Series, f64) {
    let mut chars = line.chars().peekable();
    let name = word(&mut chars);
    let mut labels = Vec::new();
    if chars.next_if_eq(&'{').is_some() {
        loop {
            let label = word(&mut chars);
            assert_eq!((chars.next(), chars.next()), (Some('='), Some('"')), "{line}");
            labels.push((label, quoted(&mut chars)));
            match chars.next() {
                Some(',') => {}
                Some('}') => break,
                other => panic!("{other:?} in {line}"),
            }
        }
    }
    assert_eq!(chars.next(), Some(' '), "{line}");
    let value: String = chars.collect();
    assert!(value.chars().all(|c| c.is_ascii_digit() || ".-".contains(c)), "{line}");
    ((name, labels), value.parse().expect(line))
}

fn word(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        word.push(c);
    }
    assert!(is_name(&word), "`{word}` is not a name");
    word
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return value,
            '\\' => value.push(match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => panic!("escaped {other:?}"),
            }),
            c => value.push(c),
        }
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}
