//! Lists of users: `users` and `users_file` of a group.

use std::path::{Component, Path as FilePath};
use std::sync::Arc;

use super::document::Document;
use super::error::{Location, Problem};
use super::fields::{array, string, text};
use super::limits::{MAX_USER_KEY_BYTES, MAX_USERS_PER_GROUP};
use super::node::Node;
use super::path::Path;
use super::report::Report;
use crate::eval::UserSet;

pub(super) fn read_users<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    users: &mut UserSet,
    report: &mut Report<'a>,
) {
    let hint = "write a list of user keys: [\"ana\", \"ben\"]";
    for (index, item) in array(node, path, hint, report).unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let Some(key) = string(item, &path, report) else { continue };
        match bad_user_key(key) {
            Some((wrong, hint)) => report.found(item, &path, wrong, hint),
            None => users.insert(key.as_bytes()),
        }
        if users.len() > MAX_USERS_PER_GROUP {
            let wrong =
                format!("user {} of the group, more than {MAX_USERS_PER_GROUP}", users.len());
            return report.found(item, &path, wrong, "match users by `where` instead");
        }
    }
}

/// Returns the reason why a listed key is invalid, and a hint. `None` for a valid key.
fn bad_user_key(key: &str) -> Option<(String, &'static str)> {
    if key.is_empty() {
        Some(("an empty user key".to_owned(), "write the user's key or leave it out"))
    } else if key.len() > MAX_USER_KEY_BYTES {
        let wrong = format!("a user key of {} bytes, more than {MAX_USER_KEY_BYTES}", key.len());
        Some((wrong, "list a shorter key"))
    } else if key.trim() != key {
        Some(("a user key with white space around it".to_owned(), "take the white space away"))
    } else {
        None
    }
}

/// Reads a file with one user key per line. Empty lines are ignored, and lines may end in CRLF.
///
/// Returns the number of users that the file lists. `None` if the file cannot be read.
pub(super) fn read_users_file<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    document: &Document,
    users: &mut UserSet,
    report: &mut Report<'a>,
) -> Option<usize> {
    let name = text(node, path, report)?;
    let below = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !FilePath::new(name).components().all(below) {
        let hint = "write a path below the document's directory";
        report.found(node, path, "not a path below the document's directory", hint);
        return None;
    }
    let Some(file) = document.path_of(name) else {
        let hint = "read the document from a file, or give it a directory";
        report.found(node, path, "but the document has no directory to look in", hint);
        return None;
    };
    let bytes = match document.users_file(name, &file) {
        Ok(bytes) => bytes,
        Err(error) => {
            let wrong = format!("which cannot be read: {error}");
            let hint = "write the path of a file with one user key a line";
            report.found(node, path, wrong, hint);
            return None;
        }
    };
    let label: Arc<str> = file.display().to_string().into();
    let content = report.utf8_in(Arc::clone(&label), &bytes, "the file", path)?;
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let (mut start, mut listed) = (0, 0);
    for (index, raw) in content.split('\n').enumerate() {
        let key = raw.strip_suffix('\r').unwrap_or(raw);
        let problem = if key.is_empty() { None } else { bad_user_key(key) };
        let full = users.len() >= MAX_USERS_PER_GROUP;
        let problem = problem.or_else(|| {
            let wrong = || {
                format!(
                    "user {} of the group, more than {MAX_USERS_PER_GROUP}",
                    MAX_USERS_PER_GROUP + 1
                )
            };
            (full && !key.is_empty()).then(|| (wrong(), "match users by `where` instead"))
        });
        if let Some((wrong, hint)) = problem {
            let location = Location { line: index + 1, column: 1, span: start..start + key.len() };
            let message = format!("found {}, {wrong}", super::error::Excerpt(key));
            report.add(Problem {
                file: Arc::clone(&label),
                location,
                path: path.to_string(),
                message,
                hint: hint.to_owned(),
            });
            if full {
                return None;
            }
        } else if !key.is_empty() {
            users.insert(key.as_bytes());
            listed += 1;
        }
        start += raw.len() + 1;
    }
    Some(listed)
}
