//! From the events of the parser to a tree.

use std::borrow::Cow;
use std::ops::Range;

use toml_datetime::Datetime;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, ParseError, Raw, Span};

use super::mistake::Mistake;
use super::tables::{Id, Key, Tables};
use crate::plan::limits::{MAX_DEPTH, MAX_PROBLEMS};
use crate::plan::node::{Node, Value};

pub(super) struct Builder<'a> {
    text: &'a str,
    tables: Tables<'a>,
    /// The table of the last header, if that was a sound one.
    current: Option<Id>,
    header: Header,
    /// The keys of the dotted key that is read, at most one more than may be inside one another.
    path: Vec<Key<'a>>,
    /// Whether the next key is one more of `path`.
    is_dotted: bool,
    /// Where the next value goes that is no item of an array. It goes nowhere after a mistake.
    target: Option<Target<'a>>,
    /// Arrays and tables in braces that are not closed yet, the innermost last.
    open: Vec<Open<'a>>,
    /// Whether the parser leaves out something in brackets that it took for no value: it tells of
    /// the end and not of the beginning.
    is_skipping: bool,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) unlisted: usize,
}

/// A header that is read.
#[derive(Default)]
struct Header {
    start: usize,
    is_item: bool,
}

struct Target<'a> {
    table: Id,
    key: Key<'a>,
}

struct Open<'a> {
    start: usize,
    depth: usize,
    content: Content<'a>,
    /// Where it goes itself.
    target: Option<Target<'a>>,
}

enum Content<'a> {
    Items(Vec<Node<'a>>),
    Fields(Id),
    /// Too deep to read on.
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
            mistakes: Vec::new(),
            unlisted: 0,
        }
    }

    /// The document.
    pub(super) fn into_root(mut self) -> Node<'a> {
        Node { span: 0..0, value: Value::Table(self.tables.finish(0)) }
    }

    fn mistake(&mut self, mistake: Mistake) {
        // Every byte can be one.
        if self.mistakes.len() < MAX_PROBLEMS {
            self.mistakes.push(mistake);
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

    fn begin_header(&mut self, span: Span, is_item: bool) {
        self.header = Header { start: span.start(), is_item };
        self.path.clear();
        self.is_dotted = false;
        // Until the header is complete, which it may never be.
        self.current = None;
    }

    fn end_header(&mut self, span: Span) {
        let Header { start, is_item } = self.header;
        self.current = match self.tables.header(&self.path, start..span.end(), is_item) {
            Ok(table) => Some(table),
            Err((mistake, table)) => {
                self.mistake(mistake);
                table
            }
        };
    }

    /// Tables and arrays that the next value is inside of.
    fn depth(&self) -> usize {
        match (self.open.last(), &self.target) {
            (Some(Open { content: Content::Items(_), depth, .. }), _) => depth + 1,
            (_, Some(target)) => self.tables.depth(target.table) + 1,
            (Some(open), None) => open.depth + 1,
            (None, None) => 1,
        }
    }

    /// Whether a value may be as deep as the next one is; a mistake if not.
    fn fits(&mut self, span: Span) -> bool {
        let fits = self.depth() <= MAX_DEPTH;
        // Of a table's field the key has been told.
        if !fits && matches!(self.open.last(), Some(Open { content: Content::Items(_), .. })) {
            self.mistake(Mistake::too_deep(span.start()..span.end()));
        }
        fits
    }

    fn begin(&mut self, span: Span, is_table: bool) -> bool {
        let (fits, depth) = (self.fits(span), self.depth());
        let content = match (fits, is_table) {
            (false, _) => Content::Refused,
            (true, true) => Content::Fields(self.tables.begin(depth)),
            (true, false) => Content::Items(Vec::new()),
        };
        self.open.push(Open { start: span.start(), depth, content, target: self.target.take() });
        fits
    }

    fn end(&mut self, span: Span) {
        if self.is_skipping {
            self.is_skipping = false;
            return;
        }
        let Some(Open { start, content, target, .. }) = self.open.pop() else { return };
        self.target = target;
        let value = match content {
            Content::Items(items) => Value::Array(items),
            Content::Fields(id) => Value::Table(self.tables.finish(id)),
            Content::Refused => Value::Other,
        };
        self.place(start..span.end(), value);
    }

    fn place(&mut self, span: Range<usize>, value: Value<'a>) {
        let node = Node { span, value };
        if let Some(Open { content: Content::Items(items), .. }) = self.open.last_mut() {
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
        self.begin(span, true)
    }

    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.end(span);
    }

    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.begin(span, false)
    }

    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.end(span);
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        if !self.is_dotted {
            self.path.clear();
        }
        self.is_dotted = false;
        let text = self.key(span, encoding, errors);
        // One too many is enough to be refused.
        if self.path.len() <= MAX_DEPTH {
            self.path.push(Key { text, span: span.start()..span.end() });
        }
    }

    fn key_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.is_dotted = true;
    }

    fn key_val_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.target = None;
        let table = match self.open.last() {
            None => self.current,
            Some(Open { content: Content::Fields(id), .. }) => Some(*id),
            Some(_) => None,
        };
        let Some(table) = table else { return };
        match self.tables.parent_of(table, &self.path) {
            Ok(table) => self.target = self.path.pop().map(|key| Target { table, key }),
            Err(mistake) => self.mistake(mistake),
        }
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, errors: &mut dyn ErrorSink) {
        let value = self.value(span, encoding, errors);
        if self.fits(span) {
            self.place(span.start()..span.end(), value);
        }
    }

    fn comment(&mut self, span: Span, errors: &mut dyn ErrorSink) {
        Raw::new_unchecked(self.text(span), None, span).decode_comment(errors);
    }

    fn newline(&mut self, span: Span, errors: &mut dyn ErrorSink) {
        Raw::new_unchecked(self.text(span), None, span).decode_newline(errors);
    }

    fn error(&mut self, span: Span, _: &mut dyn ErrorSink) {
        let in_table = matches!(self.open.last(), Some(Open { content: Content::Fields(_), .. }));
        if in_table && matches!(self.text(span), "[" | "{") {
            self.is_skipping = true;
        }
    }
}

/// The content of a quoted string in which every character stands for itself. The parser decodes
/// any string; most are such, and need no more than this look.
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
