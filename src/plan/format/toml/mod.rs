//! TOML: the lexer and the grammar of `toml_parser`, whose events go straight into a tree. It keeps
//! places and the text of numbers, and reads on after an error.

mod build;
mod mistake;
mod tables;

use std::fmt::Write;
use std::ops::Range;

use toml_parser::lexer::TokenKind;
use toml_parser::parser::parse_document;
use toml_parser::{ErrorSink, Expected, ParseError, Source};

use self::build::Builder;
use self::mistake::Mistake;
use crate::plan::error::Excerpt;
use crate::plan::fields::Path;
use crate::plan::limits::MAX_PROBLEMS;
use crate::plan::node::Node;
use crate::plan::report::Report;

pub(super) fn parse<'a>(text: &'a str, report: &mut Report<'a>) -> Option<Node<'a>> {
    match read(text, PIECE) {
        Ok(root) => Some(root),
        Err(errors) => {
            errors.tell(text, report);
            // What could be recovered is not the document: problems of it might be of our own
            // making.
            None
        }
    }
}

fn read(text: &str, piece: usize) -> Result<Node<'_>, Errors> {
    let mut builder = Builder::new(text);
    let mut syntax = Syntax::default();
    parse_in_pieces(text, piece, &mut builder, &mut syntax);
    if syntax.errors.is_empty() && builder.mistakes.is_empty() {
        return Ok(builder.into_root());
    }
    let unlisted = syntax.unlisted + builder.unlisted;
    Err(Errors { syntax: syntax.errors, mistakes: builder.mistakes, unlisted })
}

/// Tokens of a piece, at least.
const PIECE: usize = 4096;

/// Has the parser see some lines at a time: the tokens of all would take more memory than the tree.
///
/// A text may be cut where a line ends with no bracket open: there the parser knows no more than at
/// the beginning. Where brackets do not match, so that one is open after all, the text is refused
/// either way.
fn parse_in_pieces(text: &str, piece: usize, builder: &mut Builder<'_>, syntax: &mut Syntax) {
    let (mut tokens, mut open) = (Vec::new(), 0_i32);
    for token in Source::new(text).lex() {
        tokens.push(token);
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => open += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => open -= 1,
            TokenKind::Newline if open == 0 && tokens.len() >= piece => {
                parse_document(&tokens, builder, syntax);
                tokens.clear();
            }
            _ => {}
        }
    }
    parse_document(&tokens, builder, syntax);
}

/// What the parser refuses.
#[derive(Default)]
struct Syntax {
    /// As many as a report may list: every byte can be one.
    errors: Vec<ParseError>,
    unlisted: usize,
}

impl ErrorSink for Syntax {
    fn report_error(&mut self, error: ParseError) {
        if self.errors.len() < MAX_PROBLEMS {
            self.errors.push(error);
        } else {
            self.unlisted += 1;
        }
    }
}

/// Why a text is no TOML.
#[derive(Debug)]
struct Errors {
    syntax: Vec<ParseError>,
    mistakes: Vec<Mistake>,
    unlisted: usize,
}

impl Errors {
    fn tell(self, text: &str, report: &mut Report<'_>) {
        for error in &self.syntax {
            let span = error.unexpected().map(|span| span.start()..span.end());
            let span = span.unwrap_or(text.len()..text.len());
            let message = describe(error, text, &span);
            report.problem(span, &Path::root(), message, "mend the syntax here, or just before");
        }
        for mistake in &self.mistakes {
            let (message, hint) = mistake.describe(report);
            report.problem(mistake.span.clone(), &Path::root(), message, hint);
        }
        report.count(self.unlisted);
    }
}

fn describe(error: &ParseError, text: &str, span: &Range<usize>) -> String {
    let mut found = text.get(span.clone()).unwrap_or_default().trim_end();
    if found.is_empty() {
        // The parser points before what it did not expect.
        let rest = text.get(span.start..).unwrap_or_default().trim_start_matches([' ', '\t']);
        let next = rest.chars().next().filter(|next| !matches!(next, '\r' | '\n'));
        found = next.and_then(|next| rest.get(..next.len_utf8())).unwrap_or("the end");
    }
    let found = Excerpt(found);
    let mut message = format!("found {found}, which is no TOML: {}", error.description());
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

// Last: what stands after it would count as a test's.
#[cfg(test)]
mod tests;
