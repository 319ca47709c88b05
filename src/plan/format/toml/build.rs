//! Builds the document tree from parser events.

use std::borrow::Cow;
use std::ops::Range;

use toml_datetime::Datetime;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, ParseError, Raw, Span};

use super::structure_error::StructureError;
use super::tables::{SimpleKey, TableId, Tables};
use crate::plan::limits::{MAX_DEPTH, MAX_PROBLEMS};
use crate::plan::node::{Node, Value};

/// Receives parser events and builds the tables of the document.
///
/// It goes on after an error, so that one pass reports every error.
pub(super) struct Builder<'a> {
    text: &'a str,
    tables: Tables<'a>,
    /// The table of the last header; `None` if that header was invalid.
    current: Option<TableId>,
    header: Header,
    /// The keys of the current dotted key, at most `MAX_DEPTH` + 1: enough to detect one that is too deep.
    path: Vec<SimpleKey<'a>>,
    /// Whether the next key continues `path`: a dot came before it.
    is_dotted: bool,
    /// The field that the next value belongs to. `None` in an array and after an error: the value is dropped.
    target: Option<Target<'a>>,
    /// The arrays and inline tables that are not closed yet, the innermost last.
    open: Vec<OpenContainer<'a>>,
    /// Whether the parser skips a bracketed value where it expected a key. It sends no event for the
    /// opening bracket, but one for the closing bracket.
    is_skipping: bool,
    pub(super) structure_errors: Vec<StructureError>,
    pub(super) unlisted: usize,
}

/// The table header that is being read.
#[derive(Default)]
struct Header {
    start: usize,
    /// Whether it has two brackets: `[[name]]`.
    is_array: bool,
}

/// The field that a value belongs to.
struct Target<'a> {
    table: TableId,
    key: SimpleKey<'a>,
}

/// An array or inline table whose closing bracket has not come yet.
struct OpenContainer<'a> {
    start: usize,
    depth: usize,
    content: Content<'a>,
    /// The field that the container itself belongs to.
    target: Option<Target<'a>>,
}

enum Content<'a> {
    Items(Vec<Node<'a>>),
    Fields(TableId),
    /// Too deep: its content is not read.
    Refused,
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str) -> Builder<'a> {
        Builder {
            text,
            tables: Tables::new(),
            current: Some(0),
            header: Header::default(),
            path: Vec::new(),
            is_dotted: false,
            target: None,
            open: Vec::new(),
            is_skipping: false,
            structure_errors: Vec::new(),
            unlisted: 0,
        }
    }

    /// Returns the tree of the whole document.
    pub(super) fn into_root(mut self) -> Node<'a> {
        Node { span: 0..0, value: Value::Table(self.tables.finish(0)) }
    }

    fn add_error(&mut self, error: StructureError) {
        // Each byte of a document can be an error, so the list needs a limit.
        if self.structure_errors.len() < MAX_PROBLEMS {
            self.structure_errors.push(error);
        } else {
            self.unlisted += 1;
        }
    }

    fn text(&self, span: Span) -> &'a str {
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    fn key(
        &self,
        span: Span,
        encoding: Option<Encoding>,
        errors: &mut dyn ErrorSink,
    ) -> Cow<'a, str> {
        let text = self.text(span);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if encoding.is_none() && !text.is_empty() && text.bytes().all(is_plain) {
            return Cow::Borrowed(text);
        }
        let mut key = Cow::Borrowed("");
        Raw::new_unchecked(text, encoding, span).decode_key(&mut key, errors);
        key
    }

    fn value(
        &self,
        span: Span,
        encoding: Option<Encoding>,
        errors: &mut dyn ErrorSink,
    ) -> Value<'a> {
        let text = self.text(span);
        if let Some(plain) = plain_string(text, encoding) {
            return Value::Text(Cow::Borrowed(plain));
        }
        let mut decoded = Cow::Borrowed("");
        match Raw::new_unchecked(text, encoding, span).decode_scalar(&mut decoded, errors) {
            ScalarKind::String => Value::Text(decoded),
            ScalarKind::Integer(_) | ScalarKind::Float => Value::Number,
            ScalarKind::Boolean(_) => Value::Other,
            ScalarKind::DateTime => {
                if let Err(error) = decoded.parse::<Datetime>() {
                    let error = ParseError::new(error.to_string()).with_unexpected(span);
                    errors.report_error(error);
                }
                Value::Other
            }
        }
    }

    fn begin_header(&mut self, span: Span, is_array: bool) {
        self.header = Header { start: span.start(), is_array };
        self.path.clear();
        self.is_dotted = false;
        // `None` until the closing bracket, which may never come.
        self.current = None;
    }

    fn end_header(&mut self, span: Span) {
        let Header { start, is_array } = self.header;
        self.current = match self.tables.header(&self.path, start..span.end(), is_array) {
            Ok(table) => Some(table),
            Err((error, table)) => {
                self.add_error(error);
                table
            }
        };
    }

    /// Returns the number of tables and arrays around the next value.
    fn depth(&self) -> usize {
        match (self.open.last(), &self.target) {
            (Some(OpenContainer { content: Content::Items(_), depth, .. }), _) => depth + 1,
            (_, Some(target)) => self.tables.depth(target.table) + 1,
            (Some(open), None) => open.depth + 1,
            (None, None) => 1,
        }
    }

    /// Returns whether the next value is within [`MAX_DEPTH`]. Reports an array item that is not.
    fn check_depth(&mut self, span: Span) -> bool {
        let is_within = self.depth() <= MAX_DEPTH;
        // A field that is too deep has been reported at its key.
        if !is_within
            && matches!(self.open.last(), Some(OpenContainer { content: Content::Items(_), .. }))
        {
            self.add_error(StructureError::too_deep(span.start()..span.end()));
        }
        is_within
    }

    /// Opens an array or an inline table. Returns whether the parser should read its content.
    fn open_container(&mut self, span: Span, is_table: bool) -> bool {
        let (is_within, depth) = (self.check_depth(span), self.depth());
        let content = match (is_within, is_table) {
            (false, _) => Content::Refused,
            (true, true) => Content::Fields(self.tables.begin(depth)),
            (true, false) => Content::Items(Vec::new()),
        };
        self.open.push(OpenContainer {
            start: span.start(),
            depth,
            content,
            target: self.target.take(),
        });
        is_within
    }

    fn close_container(&mut self, span: Span) {
        if self.is_skipping {
            self.is_skipping = false;
            return;
        }
        let Some(OpenContainer { start, content, target, .. }) = self.open.pop() else { return };
        self.target = target;
        let value = match content {
            Content::Items(items) => Value::Array(items),
            Content::Fields(id) => Value::Table(self.tables.finish(id)),
            Content::Refused => Value::Other,
        };
        self.store_value(start..span.end(), value);
    }

    fn store_value(&mut self, span: Range<usize>, value: Value<'a>) {
        let node = Node { span, value };
        if let Some(OpenContainer { content: Content::Items(items), .. }) = self.open.last_mut() {
            items.push(node);
        } else if let Some(Target { table, key }) = self.target.take() {
            self.tables.add(table, key, node);
        }
    }
}

impl EventReceiver for Builder<'_> {
    fn std_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.begin_header(span, false);
    }

    fn std_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.end_header(span);
    }

    fn array_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.begin_header(span, true);
    }

    fn array_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.end_header(span);
    }

    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open_container(span, true)
    }

    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close_container(span);
    }

    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open_container(span, false)
    }

    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close_container(span);
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        if !self.is_dotted {
            self.path.clear();
        }
        self.is_dotted = false;
        let text = self.key(span, encoding, errors);
        // One key more than `MAX_DEPTH` is enough to refuse the dotted key.
        if self.path.len() <= MAX_DEPTH {
            self.path.push(SimpleKey { text, span: span.start()..span.end() });
        }
    }

    fn key_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.is_dotted = true;
    }

    fn key_val_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.target = None;
        let table = match self.open.last() {
            None => self.current,
            Some(OpenContainer { content: Content::Fields(id), .. }) => Some(*id),
            Some(_) => None,
        };
        let Some(table) = table else { return };
        match self.tables.parent_of(table, &self.path) {
            Ok(table) => self.target = self.path.pop().map(|key| Target { table, key }),
            Err(error) => self.add_error(error),
        }
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        let value = self.value(span, encoding, errors);
        if self.check_depth(span) {
            self.store_value(span.start()..span.end(), value);
        }
    }

    fn comment(&mut self, span: Span, errors: &mut dyn ErrorSink) {
        Raw::new_unchecked(self.text(span), None, span).decode_comment(errors);
    }

    fn newline(&mut self, span: Span, errors: &mut dyn ErrorSink) {
        Raw::new_unchecked(self.text(span), None, span).decode_newline(errors);
    }

    fn error(&mut self, span: Span, _: &mut dyn ErrorSink) {
        let in_table =
            matches!(self.open.last(), Some(OpenContainer { content: Content::Fields(_), .. }));
        if in_table && matches!(self.text(span), "[" | "{") {
            self.is_skipping = true;
        }
    }
}

/// Returns the content of a quoted string without escapes, line breaks and inner quotes. `None` for any other
/// string, which the parser must decode. A fast path: most strings are plain.
fn plain_string(text: &str, encoding: Option<Encoding>) -> Option<&str> {
    let quote = match encoding? {
        Encoding::BasicString => '"',
        Encoding::LiteralString => '\'',
        Encoding::MlBasicString | Encoding::MlLiteralString => return None,
    };
    let content = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let is_plain = |byte: u8| !byte.is_ascii_control() && !matches!(byte, b'\\' | b'"' | b'\'');
    content.bytes().all(is_plain).then_some(content)
}
