//! Texts with variables.

use std::fmt::{self, Write};
use std::ops::Range;

use crate::plan::error::Excerpt;
use crate::plan::fields::{Path, one_of};
use crate::plan::model::message::variables::{Variables, is_name};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// The variables every template has, and what each stands for. A plan adds its own with
/// `variables`.
pub const VARIABLES: &[(&str, &str)] = &[
    ("flag", "the flag's key"),
    ("description", "the flag's description"),
    ("owner", "the flag's owner"),
    ("stage", "the stage the message is about"),
    ("percent", "the stage's percentage, without a percent sign"),
    ("goal", "the stage's goal"),
    ("previous_stage", "the stage before, `off` before the first"),
    ("next_stage", "the stage after, empty for the last"),
    ("date", "the day the message is due"),
    ("starts", "the day the stage begins at the earliest"),
    ("ends", "the day the stage ends at the latest"),
    ("contact", "who is responsible at the moment of the message"),
    ("reason", "why the flag was rolled back"),
];

/// A text in which `{{ name }}` stands for a variable; nothing else in it is more than text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    /// In order of their first use.
    variables: Box<[Box<str>]>,
}

impl Template {
    /// The text as the document has it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables it uses, each once, in order of their first use.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// The text with each variable's value in its place. Values are put in as they are, and where
    /// there is none for a name, `{{ name }}` stays.
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
            let Tag { range, inside: Inside::Name(name) } = tag else { continue };
            let Some(value) = value(name) else { continue };
            rendered.push_str(self.text.get(done..range.start).unwrap_or_default());
            // Writing to a `String` does not fail.
            let _ = write!(rendered, "{value}");
            done = range.end;
        }
        rendered.push_str(self.text.get(done..).unwrap_or_default());
        rendered
    }

    pub(in crate::plan::model) fn literal(text: &str) -> Template {
        let mut variables: Vec<Box<str>> = Vec::new();
        for tag in tags(text) {
            if let Inside::Name(name) = tag.inside
                && !variables.iter().any(|known| **known == *name)
            {
                variables.push(name.into());
            }
        }
        Template { text: text.into(), variables: variables.into() }
    }
}

/// The template of a document that a text is; every variable of it is known. `node` is where the
/// text stands.
pub(in crate::plan::model) fn read<'a>(
    text: &str,
    node: &Node<'a>,
    path: &Path<'_>,
    variables: &Variables,
    report: &mut Report<'a>,
) -> Option<Template> {
    let mut is_good = true;
    for Tag { range, inside } in tags(text) {
        let (wrong, hint) = match inside {
            Inside::Name(name) if variables.has(name) || is_built_in(name) => continue,
            Inside::Name(name) => ("not a variable of this plan", known(name, variables)),
            Inside::Other => ("not the name of a variable", ONLY_NAMES.to_owned()),
            Inside::Unclosed => ("which nothing closes", "write }} after the name".to_owned()),
            Inside::Statement => ("which a template does not have", ONLY_NAMES.to_owned()),
        };
        is_good = false;
        if !report.count_only() {
            let found = text.get(range.clone()).unwrap_or_default();
            let span = place(found, range.start, text, node, report);
            let message = format!("found {}, {wrong}", Excerpt(found));
            report.problem(span, path, message, hint);
        }
    }
    is_good.then(|| Template::literal(text))
}

const ONLY_NAMES: &str = "write names only, as in {{ stage }}";

/// Whether every template has a variable of that name.
pub(in crate::plan::model) fn is_built_in(name: &str) -> bool {
    VARIABLES.iter().any(|(known, _)| *known == name)
}

/// A plan's own names first: the others stand in the documentation.
fn known(name: &str, variables: &Variables) -> String {
    let own = variables.iter().map(|(name, _)| name).filter(|name| is_name(name));
    one_of(name, own.chain(VARIABLES.iter().map(|(name, _)| *name)))
}

/// The bytes of the document where a piece of a text stands, or the whole value where an escape
/// hides them.
fn place(piece: &str, at: usize, text: &str, node: &Node<'_>, report: &Report<'_>) -> Range<usize> {
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

/// What is more than text in a template.
struct Tag<'t> {
    /// Its bytes in the text.
    range: Range<usize>,
    inside: Inside<'t>,
}

enum Inside<'t> {
    /// `{{ name }}`
    Name(&'t str),
    /// `{{ anything else }}`
    Other,
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
    let tag = |len, inside| Some(Tag { range: start..start + len, inside });
    let Some(inside) = rest.strip_prefix("{{") else { return tag(2, Inside::Statement) };
    let Some(end) = inside.find("}}") else { return tag(2, Inside::Unclosed) };
    let name = inside.get(..end)?.trim();
    tag(end + 4, if looks_like_name(name) { Inside::Name(name) } else { Inside::Other })
}

/// Whether it is a name, if perhaps one that no variable has.
fn looks_like_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        Template::literal(text).render(|name| (name != "none").then(|| format!("<{name}>")))
    }

    #[test]
    fn names_in_braces_are_replaced_and_the_rest_is_text() {
        assert_eq!(render("{{ a }}, {{b}}{{ a}}"), "<a>, <b><a>");
        assert_eq!(render("{{ none }} {{ a }}"), "{{ none }} <a>");
        assert_eq!(render("{ a } }} {a} 100% \u{1f600}{{ä"), "{ a } }} {a} 100% \u{1f600}{{ä");
        assert_eq!(render(""), "");
        let template = Template::literal("{{ b }}{{ a }}{{ b }}");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn values_are_not_templates() {
        let rendered = Template::literal("{{ a }}").render(|_| Some("{{ a }}"));
        assert_eq!(rendered, "{{ a }}");
    }
}
