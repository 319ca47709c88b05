//! Templates: texts with variables.

use std::fmt::{self, Write};
use std::ops::Range;

use crate::plan::error::Excerpt;
use crate::plan::fields::one_of;
use crate::plan::model::message::variables::{VARIABLES, Variables, is_built_in, is_name};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A text in which `{{ name }}` stands for a variable. It has no other syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    /// In the order of first use.
    variables: Box<[Box<str>]>,
}

impl Template {
    /// Returns the text as in the document.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the variables that the text uses, each once, in the order of first use.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// Returns the text with each variable replaced by its value.
    ///
    /// Values are inserted unchanged. A variable without a value stays as `{{ name }}`.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     messages = [{
    ///         audience = "user", when = "start", channel = "email",
    ///         template = "{{flag}}: {{ percent }}% of all users, {{ owner }}",
    ///     }]
    /// "#)?;
    /// let template = &plan.flag("search").unwrap().messages()[0].template;
    /// assert_eq!(template.variables().collect::<Vec<_>>(), ["flag", "percent", "owner"]);
    /// let text = template.render(|name| match name {
    ///     "flag" => Some("search"),
    ///     "percent" => Some("10"),
    ///     _ => None,
    /// });
    /// assert_eq!(text, "search: 10% of all users, {{ owner }}");
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn render<V: fmt::Display>(&self, mut value: impl FnMut(&str) -> Option<V>) -> String {
        let (mut rendered, mut done) = (String::with_capacity(self.text.len()), 0);
        for tag in tags(&self.text) {
            let Tag { range, content: TagContent::Name(name) } = tag else { continue };
            let Some(value) = value(name) else { continue };
            rendered.push_str(self.text.get(done..range.start).unwrap_or_default());
            // Writing to a `String` never fails.
            let _ = write!(rendered, "{value}");
            done = range.end;
        }
        rendered.push_str(self.text.get(done..).unwrap_or_default());
        rendered
    }

    /// Creates a template without checking its variables.
    pub(in crate::plan::model) fn new(text: &str) -> Template {
        let mut variables: Vec<Box<str>> = Vec::new();
        for tag in tags(text) {
            if let TagContent::Name(name) = tag.content
                && !variables.iter().any(|known| **known == *name)
            {
                variables.push(name.into());
            }
        }
        Template { text: text.into(), variables: variables.into() }
    }
}

/// Reads a template. Reports unknown variables and invalid syntax. `node` is the value that has the text.
pub(in crate::plan::model) fn read<'a>(
    text: &str,
    node: &Node<'a>,
    path: &Path<'_>,
    variables: &Variables,
    report: &mut Report<'a>,
) -> Option<Template> {
    let mut is_good = true;
    for Tag { range, content } in tags(text) {
        let (wrong, hint) = match content {
            TagContent::Name(name) if variables.has(name) || is_built_in(name) => continue,
            TagContent::Name(name) => {
                ("not a variable of this plan", variable_hint(name, variables))
            }
            TagContent::NotAName => ("not the name of a variable", ONLY_NAMES_HINT.to_owned()),
            TagContent::Unclosed => ("which is not closed", "write }} after the name".to_owned()),
            TagContent::Statement => ("which templates do not support", ONLY_NAMES_HINT.to_owned()),
        };
        is_good = false;
        if !report.count_if_full() {
            let found = text.get(range.clone()).unwrap_or_default();
            let span = span_in_document(found, range.start, text, node, report);
            let message = format!("found {}, {wrong}", Excerpt(found));
            report.problem(span, path, message, hint);
        }
    }
    is_good.then(|| Template::new(text))
}

const ONLY_NAMES_HINT: &str = "write names only, as in {{ stage }}";

/// Returns the hint for an unknown variable. The plan's own names come first, because the documentation lists the
/// others.
fn variable_hint(name: &str, variables: &Variables) -> String {
    let own = variables.iter().map(|(name, _)| name).filter(|name| is_name(name));
    one_of(name, own.chain(VARIABLES.iter().map(|(name, _)| *name)))
}

/// Returns the span of a piece of a text in the document. If escapes hide the piece, returns the span of the whole
/// value.
fn span_in_document(
    piece: &str,
    at: usize,
    text: &str,
    node: &Node<'_>,
    report: &Report<'_>,
) -> Range<usize> {
    let before = text.get(..at).unwrap_or_default().matches(piece).count();
    let raw = report.slice(&node.span);
    let is_plain = raw.matches(piece).count() == text.matches(piece).count();
    let found = raw.match_indices(piece).nth(before).filter(|_| is_plain);
    found.map_or_else(
        || node.span.clone(),
        |(start, _)| {
            let start = node.span.start + start;
            start..start + piece.len()
        },
    )
}

/// A part of a template that is not plain text.
struct Tag<'t> {
    /// The byte range in the text.
    range: Range<usize>,
    content: TagContent<'t>,
}

enum TagContent<'t> {
    /// `{{ name }}`
    Name(&'t str),
    /// `{{ anything else }}`
    NotAName,
    /// `{{` and no `}}`
    Unclosed,
    /// `{%` or `{#`
    Statement,
}

fn tags(text: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let tag = next_tag(text, at)?;
        at = tag.range.end;
        Some(tag)
    })
}

fn next_tag(text: &str, from: usize) -> Option<Tag<'_>> {
    let rest = text.get(from..)?;
    let begins = |pair: &[u8]| matches!(pair, b"{{" | b"{%" | b"{#");
    let offset = rest.as_bytes().windows(2).position(begins)?;
    let start = from + offset;
    let rest = rest.get(offset..)?;
    let tag = |len, content| Some(Tag { range: start..start + len, content });
    let Some(content) = rest.strip_prefix("{{") else { return tag(2, TagContent::Statement) };
    let Some(end) = content.find("}}") else { return tag(2, TagContent::Unclosed) };
    let name = content.get(..end)?.trim();
    tag(end + 4, if looks_like_name(name) { TagContent::Name(name) } else { TagContent::NotAName })
}

/// Returns whether the text could be a name. Names of variables are a subset: see [`is_name`].
fn looks_like_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        Template::new(text).render(|name| (name != "none").then(|| format!("<{name}>")))
    }

    #[test]
    fn names_in_braces_are_replaced_and_the_rest_is_text() {
        assert_eq!(render("{{ a }}, {{b}}{{ a}}"), "<a>, <b><a>");
        assert_eq!(render("{{ none }} {{ a }}"), "{{ none }} <a>");
        assert_eq!(render("{ a } }} {a} 100% \u{1f600}{{ä"), "{ a } }} {a} 100% \u{1f600}{{ä");
        assert_eq!(render(""), "");
        let template = Template::new("{{ b }}{{ a }}{{ b }}");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn values_are_not_templates() {
        let rendered = Template::new("{{ a }}").render(|_| Some("{{ a }}"));
        assert_eq!(rendered, "{{ a }}");
    }
}
