//! The TOML reader: the lexer and parser of `toml_parser`, whose events build the document tree.
//!
//! The tree keeps the position of each key and value, and the text of numbers. The reader goes on after an error.

mod build;
mod structure_error;
mod tables;

use std::fmt::Write;
use std::ops::Range;

use toml_parser::lexer::TokenKind;
use toml_parser::parser::parse_document;
use toml_parser::{ErrorSink, Expected, ParseError, Source};

use self::build::Builder;
use self::structure_error::StructureError;
use crate::plan::error::Excerpt;
use crate::plan::limits::MAX_PROBLEMS;
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

pub(super) fn parse<'a>(text: &'a str, report: &mut Report<'a>) -> Option<Node<'a>> {
    match read(text, MIN_CHUNK_TOKENS) {
        Ok(root) => Some(root),
        Err(errors) => {
            errors.report_to(text, report);
            // Do not check the part that could be read: the syntax errors may cause its problems.
            None
        }
    }
}

/// Reads a text, at least `min_tokens` tokens at a time.
fn read(text: &str, min_tokens: usize) -> Result<Node<'_>, Errors> {
    let mut builder = Builder::new(text);
    let mut syntax = SyntaxErrors::default();
    parse_in_chunks(text, min_tokens, &mut builder, &mut syntax);
    if syntax.errors.is_empty() && builder.structure_errors.is_empty() {
        return Ok(builder.into_root());
    }
    let unlisted = syntax.unlisted + builder.unlisted;
    Err(Errors { syntax: syntax.errors, structure_errors: builder.structure_errors, unlisted })
}

/// The smallest number of tokens that the parser gets at a time.
const MIN_CHUNK_TOKENS: usize = 4096;

/// Parses a text some lines at a time. The tokens of the whole text would take more memory than the tree.
///
/// A chunk ends at a line end outside all brackets. The parser has no state there, so chunks do not change the result.
/// If brackets do not match, a chunk may end while a bracket is open. The text is invalid then with or without chunks.
fn parse_in_chunks(
    text: &str,
    min_tokens: usize,
    builder: &mut Builder<'_>,
    syntax: &mut SyntaxErrors,
) {
    let (mut tokens, mut open) = (Vec::new(), 0_i32);
    for token in Source::new(text).lex() {
        tokens.push(token);
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => open += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => open -= 1,
            TokenKind::Newline if open == 0 && tokens.len() >= min_tokens => {
                parse_document(&tokens, builder, syntax);
                tokens.clear();
            }
            _ => {}
        }
    }
    parse_document(&tokens, builder, syntax);
}

/// Collects the syntax errors of the parser.
#[derive(Default)]
struct SyntaxErrors {
    /// At most [`MAX_PROBLEMS`]: each byte of a document can be an error.
    errors: Vec<ParseError>,
    unlisted: usize,
}

impl ErrorSink for SyntaxErrors {
    fn report_error(&mut self, error: ParseError) {
        if self.errors.len() < MAX_PROBLEMS {
            self.errors.push(error);
        } else {
            self.unlisted += 1;
        }
    }
}

/// The errors of a text that is not valid TOML.
#[derive(Debug)]
struct Errors {
    syntax: Vec<ParseError>,
    structure_errors: Vec<StructureError>,
    unlisted: usize,
}

impl Errors {
    fn report_to(self, text: &str, report: &mut Report<'_>) {
        for error in &self.syntax {
            let span = error.unexpected().map(|span| span.start()..span.end());
            let span = span.unwrap_or(text.len()..text.len());
            let message = describe(error, text, &span);
            report.problem(span, &Path::root(), message, "fix the syntax here or just before");
        }
        for error in &self.structure_errors {
            let (message, hint) = error.describe(report);
            report.problem(error.span.clone(), &Path::root(), message, hint);
        }
        report.count_unlisted(self.unlisted);
    }
}

/// Returns the message of a syntax error.
fn describe(error: &ParseError, text: &str, span: &Range<usize>) -> String {
    let mut found = text.get(span.clone()).unwrap_or_default().trim_end();
    if found.is_empty() {
        // The span is empty and comes before the unexpected character.
        let rest = text.get(span.start..).unwrap_or_default().trim_start_matches([' ', '\t']);
        let next = rest.chars().next().filter(|next| !matches!(next, '\r' | '\n'));
        found = next.and_then(|next| rest.get(..next.len_utf8())).unwrap_or_default();
    }
    let place = match found {
        "" => "the end of the line".to_owned(),
        _ => format!("`{}`", Excerpt(found)),
    };
    let mut message = format!("invalid TOML at {place}: {}", error.description());
    for (index, expected) in error.expected().unwrap_or_default().iter().enumerate() {
        message += if index == 0 { ", expected " } else { ", " };
        // Writing to a string does not fail.
        let _ = match expected {
            Expected::Literal("\n") => write!(message, "a new line"),
            Expected::Literal(text) => write!(message, "`{text}`"),
            Expected::Description(text) => write!(message, "{text}"),
            _ => write!(message, "something else"),
        };
    }
    message
}

// Last: the test `layering` takes the next braces after `#[cfg(test)]` for test code.
#[cfg(test)]
mod tests;
