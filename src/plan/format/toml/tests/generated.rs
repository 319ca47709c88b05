//! Generated texts that are nearly TOML.
//!
//! They use few keys, so that the same key occurs in headers, dotted keys, arrays of tables and inline tables. Some
//! texts have a few characters changed.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::compare;

const CASES: u32 = 20_000;

/// Spellings of a few keys. The last one is not a valid key.
const KEYS: &[&str] =
    &["a", "b", "c", "d", "\"a\"", "'b'", "\"\\u0063\"", "\"\"", "1", "\"\"\"a\"\"\""];

const SCALARS: &[&str] = &[
    "1",
    "-17",
    "+0.5",
    "0x1F",
    "0b2",
    "1_000",
    "1__0",
    "007",
    "1e9",
    "1.",
    "inf",
    "-nan",
    "true",
    "tru",
    "1979-05-27",
    "1979-13-27",
    "07:32",
    "12:99",
    "1979-05-27 07:32:00Z",
    "word",
    "",
    "\"text\"",
    "\"esc\\t\\x41\\u00e9\\\"\"",
    "\"\\q\"",
    "'raw \\'",
    "\"open",
    "'''two\nlines'''",
    "\"\"\"\nfold \\\n   ed \"\" \r\n\"\"\"",
    "\"é\"",
    "\"\u{1}\"",
];

const ENDS: &[&str] = &["\n", "\n", "\n", "\r\n", " # why\n", "\n\n", "\n# \u{7f}\n", "\r", " "];

/// The texts that mutations insert.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\"",
    "'",
    "\\",
    "\n",
    "\r",
    "\t",
    " ",
    "a",
    "1",
    "_",
    "-",
    "\"\"\"",
    "'''",
    "[[",
    "]]",
    "{}",
    "[]",
    "\u{0}",
    "\u{feff}",
    "é",
    "a.b = 1\n",
    "[a]\n",
];

fn key() -> impl Strategy<Value = String> {
    // The four plain keys are far more frequent than the unusual spellings.
    let part = prop_oneof![12 => select(&KEYS[..4]), 2 => select(&KEYS[4..9]), 1 => select(KEYS)];
    let dot = select(&[".", ".", ".", " . ", ".."][..]);
    let dot = prop_oneof![20 => Just("."), 2 => Just(" . "), 1 => dot];
    vec((part, dot), 1..4).prop_map(|parts| {
        let text: String = parts.iter().map(|(part, dot)| format!("{part}{dot}")).collect();
        text.trim_end_matches([' ', '.']).to_owned()
    })
}

fn value() -> impl Strategy<Value = String> {
    let plain = select(&["1", "\"text\"", "true", "2.5"][..]);
    let scalar = prop_oneof![6 => plain, 1 => select(SCALARS)].prop_map(str::to_owned);
    scalar.prop_recursive(3, 12, 4, |inner| {
        let comma = || select(&[",", ", ", ",\n", " , # c\n", ",,", ""][..]);
        let comma = move || prop_oneof![12 => Just(", "), 1 => comma()];
        let array = vec((inner.clone(), comma()), 0..4);
        let array = array.prop_map(|items| {
            let items: String =
                items.iter().map(|(item, comma)| format!("{item}{comma}")).collect();
            format!("[{items}]")
        });
        let equals = prop_oneof![12 => Just(" = "), 1 => select(&["", "==", "=\n", " "][..])];
        let table = vec((key(), equals, inner, comma()), 0..4).prop_map(|fields| {
            let fields =
                fields.iter().map(|(key, eq, value, comma)| format!("{key}{eq}{value}{comma}"));
            format!("{{{}}}", fields.collect::<String>())
        });
        prop_oneof![array, table]
    })
}

fn line() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => key().prop_map(|key| format!("[{key}]")),
        4 => key().prop_map(|key| format!("[[{key}]]")),
        10 => (key(), value()).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => select(&["", "# note", "[a", "[]", "= 1", "a", "a =", "]", "[ a . b ] x", "[[a] ]"][..])
            .prop_map(str::to_owned),
    ];
    let end = prop_oneof![20 => Just("\n"), 1 => select(ENDS)];
    (line, end).prop_map(|(line, end)| line + end)
}

/// Applies changes: each removes some characters and inserts a piece.
fn mutated(mut text: String, changes: &[(Index, usize, &str)]) -> String {
    for (at, cut, piece) in changes {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, piece.chars());
        text = chars.into_iter().collect();
    }
    text
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![1 => Just(""), 2 => select(PIECES)];
    let changes = prop_oneof![2 => Just(0..1_usize), 1 => Just(1..4)]
        .prop_flat_map(move |count| vec((any::<Index>(), 0..3_usize, piece.clone()), count));
    (vec(line(), 0..8), changes).prop_map(|(lines, changes)| mutated(lines.concat(), &changes))
}

#[test]
fn both_readers_agree_on_generated_texts() {
    let (valid, invalid) = (Cell::new(0), Cell::new(0));
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let read = |text: String| {
        let count = match compare(&text).map_err(TestCaseError::fail)? {
            true => &valid,
            false => &invalid,
        };
        count.set(count.get() + 1);
        Ok(())
    };
    TestRunner::new(config).run(&text(), read).unwrap();
    let (valid, invalid) = (valid.get(), invalid.get());
    assert!(valid > CASES / 5 && invalid > CASES / 5, "{valid} valid and {invalid} invalid texts");
}

/// Every text of four lines. Three lines bring a table into every state, the fourth one tries it.
#[test]
fn both_readers_agree_on_repeated_tables() {
    let keys = ["a", "a.a", "a.a.a", "a.b", "a.a.b"];
    let line = |key: &str| [format!("[{key}]\n"), format!("[[{key}]]\n"), format!("{key} = 1\n")];
    let lines: Vec<String> = keys.into_iter().flat_map(line).collect();
    let nth =
        |number: usize, power: u32| lines[number / lines.len().pow(power) % lines.len()].as_str();
    let (mut valid, count) = (0, lines.len().pow(4));
    for number in 0..count {
        let text: String = (0..4).map(|power| nth(number, power)).collect();
        valid +=
            usize::from(compare(&text).unwrap_or_else(|difference| panic!("{text}{difference}")));
    }
    assert!(valid > count / 10, "{valid} valid texts of {count}");
}
