//! Lists of users: `users` and `users_file` of a group.

use std::sync::Arc;

use super::document::{Document, ListPathError};
use super::error::{Location, Problem};
use super::fields::{array, string, text};
use super::limits::{
    MAX_DOCUMENT_BYTES, MAX_USER_KEY_BYTES, MAX_USERS_FILE_BYTES, MAX_USERS_PER_GROUP,
};
use super::lint::list::{ListDoubts, ListWarning, LookAlikes, Origin, Place};
use super::node::Node;
use super::path::Path;
use super::report::Report;
use crate::eval::UserSet;

pub(super) fn read_users<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    users: &mut UserSet,
    look_alikes: &mut LookAlikes,
    report: &mut Report<'a>,
) {
    let mut doubts = ListDoubts::new(Origin::Document, look_alikes);
    let hint = "write a list of user keys: [\"ana\", \"ben\"]";
    let items = array(node, path, hint, report).unwrap_or_default();
    let list = path;
    for (index, item) in items.iter().enumerate() {
        let path = list.index(index);
        let Some(key) = string(item, &path, report) else { continue };
        match bad_user_key(key) {
            Some((wrong, hint)) => report.found(item, &path, wrong, hint),
            None => {
                doubts.look_at(key, &Place { line: 0, span: item.span.clone() });
                users.insert(key.as_bytes());
            }
        }
        if users.len() > MAX_USERS_PER_GROUP {
            let (wrong, hint) = too_many();
            return report.found(item, &path, wrong, hint);
        }
    }
    for ListWarning { place, message, hint } in doubts.warnings() {
        report.warning(place.span, list, message, hint);
    }
}

// A set can hold every list within the limits.
const _: () = assert!(MAX_USERS_FILE_BYTES <= UserSet::MAX_TEXT_BYTES);
const _: () = assert!(MAX_DOCUMENT_BYTES <= UserSet::MAX_TEXT_BYTES);
const _: () = assert!(MAX_USER_KEY_BYTES <= UserSet::MAX_KEY_BYTES);

/// Returns the reason why a group can have no further user, and a hint.
fn too_many() -> (String, &'static str) {
    let found = MAX_USERS_PER_GROUP + 1;
    let wrong = format!("user {found} of the group, more than {MAX_USERS_PER_GROUP}");
    (wrong, "list the others in another group, or match users by `where`")
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
    look_alikes: &mut LookAlikes,
    report: &mut Report<'a>,
) -> Option<usize> {
    let name = text(node, path, report)?;
    let file = match document.path_of(name) {
        Ok(file) => file,
        Err(error) => {
            let (wrong, hint) = describe(&error);
            report.found(node, path, wrong, hint);
            return None;
        }
    };
    let bytes = match document.users_file(name, &file) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.found(node, path, format!("which cannot be read: {error}"), A_FILE);
            return None;
        }
    };
    let label: Arc<str> = file.display().to_string().into();
    let content = report.utf8_in(Arc::clone(&label), &bytes, "the file", path)?;
    let text = content.strip_prefix('\u{feff}').unwrap_or(content);
    let mark = content.len() - text.len();
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let mut keys = users.share(Arc::clone(&bytes), lines.min(MAX_USERS_PER_GROUP));
    let mut doubts = ListDoubts::new(Origin::File, look_alikes);
    let (mut start, mut listed) = (0, 0);
    for (index, raw) in text.split('\n').enumerate() {
        let key = raw.strip_suffix('\r').unwrap_or(raw);
        let full = !key.is_empty() && keys.is_full(MAX_USERS_PER_GROUP);
        let problem = match key {
            "" => None,
            _ => bad_user_key(key).or_else(|| full.then(too_many)),
        };
        let place = Place { line: index + 1, span: start..start + key.len() };
        if let Some((wrong, hint)) = problem {
            let message = format!("found {}, {wrong}", super::error::Excerpt(key));
            report.add(in_file(&label, path, place, message, hint.to_owned()));
            if full {
                return None;
            }
        } else if !key.is_empty() {
            doubts.look_at(key, &place);
            keys.push(mark + start..mark + start + key.len());
            listed += 1;
        }
        start += raw.len() + 1;
    }
    for ListWarning { place, message, hint } in doubts.warnings() {
        report.add_warning(in_file(&label, path, place, message, hint));
    }
    Some(listed)
}

const A_FILE: &str = "write the path of a file with one user key a line";

/// Returns what is wrong with a path, and a hint.
fn describe(error: &ListPathError) -> (String, &'static str) {
    match error {
        ListPathError::NoDirectory => (
            "but the document has no directory to look in".to_owned(),
            "read the document from a file, or give it a directory",
        ),
        ListPathError::NotBelow => (
            "not a path below the document's directory".to_owned(),
            "write such a path, or allow the list's directory: `--lists-from DIR` or `Document::allowing`",
        ),
        ListPathError::Outside(found) => (
            format!("which is `{}`, in no allowed directory", found.display()),
            "move it to one, or allow its directory, too: `--lists-from DIR` or `Document::allowing`",
        ),
        ListPathError::Unreadable(error) => (format!("which cannot be read: {error}"), A_FILE),
    }
}

/// Returns a problem of a line of a users file.
fn in_file(
    file: &Arc<str>,
    path: &Path<'_>,
    place: Place,
    message: String,
    hint: String,
) -> Problem {
    let location = Location { line: place.line, column: 1, span: place.span };
    Problem { file: Arc::clone(file), location, path: path.to_string(), message, hint }
}
