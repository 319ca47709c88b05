//! Doubts about a list of users: valid keys that are probably no keys, or that no application sends.

mod look_alike;
#[cfg(feature = "unicode")]
mod nfc;
#[cfg(not(feature = "unicode"))]
#[path = "without_nfc.rs"]
mod nfc;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::plan::error::Excerpt;

pub(in crate::plan) use look_alike::LookAlikes;

/// The doubts about one list: the `users` of a group, or its `users_file`.
///
/// Each kind of doubt is one warning, at its first key, with the number of keys.
pub(in crate::plan) struct ListDoubts<'g> {
    origin: Origin,
    keys: usize,
    /// The first key, while every key has a comma.
    commas: Commas,
    found: BTreeMap<Kind, Found>,
    /// Of the whole group.
    look_alikes: &'g mut LookAlikes,
}

/// Where a list is. Decides about the hints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) enum Origin {
    Document,
    File,
}

/// A warning about a list.
pub(in crate::plan) struct ListWarning {
    pub(in crate::plan) place: Place,
    pub(in crate::plan) message: String,
    pub(in crate::plan) hint: String,
}

/// The place of a key. The line is from 1, and 0 in a document, whose spans are enough.
#[derive(Clone)]
pub(in crate::plan) struct Place {
    pub(in crate::plan) line: usize,
    pub(in crate::plan) span: Range<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Heading,
    Comment,
    Quotes,
    Commas,
    NotNfc,
    LookAlike,
}

struct Found {
    place: Place,
    keys: usize,
    message: String,
    hint: String,
}

enum Commas {
    NoKeyYet,
    InEveryKey(Place, String),
    No,
}

impl<'g> ListDoubts<'g> {
    pub(in crate::plan) fn new(origin: Origin, look_alikes: &'g mut LookAlikes) -> ListDoubts<'g> {
        let (commas, found) = (Commas::NoKeyYet, BTreeMap::new());
        ListDoubts { origin, keys: 0, commas, found, look_alikes }
    }

    /// Looks at a valid key. The place is that of the key without a line end.
    #[inline]
    pub(in crate::plan) fn look_at(&mut self, key: &str, place: &Place) {
        self.keys += 1;
        if self.keys == 1 && is_heading(key) {
            self.add(Kind::Heading, key, place, || {
                ("which looks like the heading of a column".to_owned(), String::new())
            });
        }
        let first = key.bytes().next();
        if first == Some(b'#') {
            self.add(Kind::Comment, key, place, || {
                ("a user key that begins with `#`".to_owned(), String::new())
            });
        } else if !matches!(self.commas, Commas::No) {
            self.look_for_comma(key, place);
        }
        if matches!(first, Some(b'"' | b'\'')) && has_quotes(key) {
            self.add(Kind::Quotes, key, place, || {
                ("a user key with quotes around it".to_owned(), String::new())
            });
        }
        if !key.is_ascii()
            && let Some(composed) = nfc::composed(key)
        {
            self.add(Kind::NotNfc, key, place, || {
                let hint = format!("write `{}` if the application sends that", Excerpt(&composed));
                ("a user key that is not in the Unicode form NFC".to_owned(), hint)
            });
        }
        if let Some((other, what)) = self.look_alikes.of(key) {
            self.add(Kind::LookAlike, key, place, || {
                let wrong = format!("which differs from `{}` only in {what}", Excerpt(&other));
                (wrong, String::new())
            });
        }
    }

    fn look_for_comma(&mut self, key: &str, place: &Place) {
        self.commas = match std::mem::replace(&mut self.commas, Commas::No) {
            _ if !is_row(key) => Commas::No,
            Commas::NoKeyYet => Commas::InEveryKey(place.clone(), key.to_owned()),
            known => known,
        };
    }

    fn add(
        &mut self,
        kind: Kind,
        key: &str,
        place: &Place,
        text: impl FnOnce() -> (String, String),
    ) {
        let origin = self.origin;
        let found = self.found.entry(kind).or_insert_with(|| {
            let (wrong, hint) = text();
            let message = format!("found {}, {wrong}", quotation(key, origin));
            let hint = if hint.is_empty() { kind.hint(origin).to_owned() } else { hint };
            Found { place: place.clone(), keys: 0, message, hint }
        });
        found.keys += 1;
    }

    /// Returns the warnings, one for each kind of doubt.
    pub(in crate::plan) fn warnings(mut self) -> impl Iterator<Item = ListWarning> {
        if let Commas::InEveryKey(place, key) = std::mem::replace(&mut self.commas, Commas::No) {
            let keys = self.keys;
            let wrong = || ("a user key with a comma".to_owned(), String::new());
            self.add(Kind::Commas, &key, &place, wrong);
            self.found.entry(Kind::Commas).and_modify(|found| found.keys = keys);
        }
        self.found.into_values().map(|found| {
            let Found { place, keys, mut message, hint } = found;
            if keys > 1 {
                message += &format!(" ({keys} such keys)");
            }
            ListWarning { place, message, hint }
        })
    }
}

/// Quotes a key as its file shows it. In a document the key is in quotes.
fn quotation(key: &str, origin: Origin) -> String {
    match origin {
        Origin::Document => format!("\"{}\"", Excerpt(key)),
        Origin::File => format!("`{}`", Excerpt(key)),
    }
}

impl Kind {
    fn hint(self, origin: Origin) -> &'static str {
        match (self, origin) {
            (Kind::Heading, Origin::Document) => {
                "leave it out: each text of the list is a user key"
            }
            (Kind::Heading, Origin::File) => "delete the line: each line is a user key",
            (Kind::Comment, Origin::Document) => "write comments outside of the quotes",
            (Kind::Comment, Origin::File) => "delete the line: a users file has no comments",
            (Kind::Quotes, Origin::Document) => "take the inner quotes away",
            (Kind::Quotes, Origin::File) => "take the quotes away: the whole line is the key",
            (Kind::Commas, Origin::Document) => "write quotes around each user key",
            (Kind::Commas, Origin::File) => {
                "leave only the user key in each line: the whole line is the key"
            }
            (Kind::NotNfc | Kind::LookAlike, _) => {
                "list the key that the application sends: keys are compared byte by byte"
            }
        }
    }
}

/// Names of columns with user keys, in lower case and without `_`, `-` and blanks.
const HEADINGS: [&str; 27] = [
    "accountid",
    "anonymousid",
    "customerid",
    "deviceid",
    "distinctid",
    "email",
    "emailaddress",
    "emails",
    "externalid",
    "guid",
    "id",
    "ids",
    "key",
    "keys",
    "login",
    "memberid",
    "uid",
    "user",
    "useremail",
    "userid",
    "userids",
    "userkey",
    "userkeys",
    "username",
    "users",
    "useruuid",
    "uuid",
];

/// Returns whether a key, or the first cell of a row, is the name of a column.
fn is_heading(key: &str) -> bool {
    let cell = key.split([',', ';', '\t']).next().unwrap_or_default();
    let letters = cell.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '"' | '\''));
    let name: String = letters.take(20).map(|c| c.to_ascii_lowercase()).collect();
    HEADINGS.contains(&name.as_str())
}

fn has_quotes(key: &str) -> bool {
    let inner = |quote: char| key.strip_prefix(quote).and_then(|key| key.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).is_some()
}

/// Returns whether a key looks like a row of a CSV file.
///
/// It has a comma without a blank after it. A distinguished name, such as `CN=Ana,OU=Sales`, is no row.
fn is_row(key: &str) -> bool {
    key.split_once(',').is_some_and(|(cell, rest)| !cell.contains('=') && !rest.starts_with(' '))
}
