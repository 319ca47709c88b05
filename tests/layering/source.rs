//! Rust source as lines of code: comments, the content of strings and test modules blanked, so that
//! what is searched for is code.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file, by its path from the package's root, with `/`.
pub(crate) struct Source {
    pub(crate) path: String,
    /// All code, line by line.
    pub(crate) code: Vec<String>,
    /// The same without `#[cfg(test)]` modules.
    pub(crate) shipped: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = blank_comments_and_strings(text);
        let shipped = blank_test_modules(&code);
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        Source { path: path.to_owned(), code: lines(&code), shipped: lines(&shipped) }
    }

    /// Every `.rs` file below these folders of the package; a folder that is not there has none.
    pub(crate) fn of_package(folders: &[&str]) -> Vec<Source> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths: Vec<PathBuf> = Vec::new();
        folders.iter().for_each(|folder| collect(&root.join(folder), &mut paths));
        paths.sort();
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            Source::new(&path, &text)
        };
        paths.into_iter().map(read).collect()
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The text with every character of a comment, a string or a character literal as a blank. Lines
/// stay lines.
fn blank_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = out.chars().next_back();
        let (skipped, is_blank) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), true),
            '/' if rest.starts_with("/*") => (block_comment(rest), true),
            '"' => (string(rest), true),
            // A raw string, unless the letter ends a name.
            'r' if !before.is_some_and(is_word) => match raw_string(rest) {
                Some(length) => (length, true),
                None => (1, false),
            },
            '\'' => match character(rest) {
                Some(length) => (length, true),
                None => (1, false),
            },
            other => (other.len_utf8(), false),
        };
        let (part, after) = rest.split_at(skipped);
        match is_blank {
            true => out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
            false => out.push_str(part),
        }
        rest = after;
    }
    out
}

/// The length of the comment at the beginning; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        match (rest.starts_with(b"/*"), rest.starts_with(b"*/")) {
            (true, _) => (depth, at) = (depth + 1, at + 2),
            (_, true) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

fn raw_string(text: &str) -> Option<usize> {
    let inside = text[1..].trim_start_matches('#');
    let hashes = text.len() - 1 - inside.len();
    let inside = inside.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&end).map_or(text.len(), |at| hashes + 2 + at + end.len()))
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    if text.starts_with("'\\") {
        // The escaped character may be a quote itself.
        return text[3..].find('\'').map(|at| 3 + at + 1);
    }
    let mut chars = text.char_indices().skip(2);
    chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

fn blank_test_modules(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let open = out[start..].find('{').map_or(out.len(), |at| start + at);
        let mut depth = 0;
        let end = out[open..].char_indices().find(|(_, c)| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth == 0
        });
        let end = end.map_or(out.len(), |(at, c)| open + at + c.len_utf8());
        let blank: String =
            out[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
    }
    out
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in the line by itself, not as a part of another name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !before.chars().next_back().is_some_and(is_word)
            && !after.chars().next().is_some_and(is_word)
    })
}
