//! The document in force with each flag's present stage in it: for instances that have no store open.

mod json;
mod lists;
#[cfg(test)]
mod tests;
mod toml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stagegate::limits::MAX_DOCUMENT_BYTES;
use stagegate::rollout::{FlagReport, Rollout};
use stagegate::{Document, Plan};

use crate::escape::{terminal, terminal_lines};
use crate::failure::Failure;
use crate::output;
use lists::Lists;

/// A document that says where each flag is.
#[derive(Debug)]
pub(crate) struct Published {
    document: Document,
    flags: BTreeMap<Box<str>, Declared>,
    lists: Kept,
    notation: &'static str,
    /// With every list of users in it: a document that stands by itself. `None` where that is longer than a document may
    /// be.
    text: Option<String>,
}

/// The users of each `users_file`, by its name.
type Kept = BTreeMap<String, Vec<String>>;

/// What a document says of its own that is to be said otherwise.
struct Present<'p> {
    /// By the flags' keys.
    flags: &'p BTreeMap<Box<str>, Declared>,
    /// By the names of the `users_file`s.
    users: BTreeMap<String, Users>,
}

/// Where the users of a `users_file` are since.
enum Users {
    /// In the document.
    Within(Vec<String>),
    /// In a file of that name, relative to the document.
    Beside(String),
}

/// Where a flag is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) stage: String,
    /// Another one each time that the flag has moved: whoever has missed a stage follows all the same. The rollout has
    /// gone through each, or its journal says why not.
    skip_reason: Option<String>,
}

/// Characters of a document's reason that a published one repeats: with the rest it fits the limit of a text.
const MOST_OF_A_REASON: usize = 900;

impl Declared {
    /// The stage by which questions are answered, which is below what is recorded while a rollback waits for the store.
    /// `reason` is the `skip_reason` of the rollout's document: a new one is a new reason for followers, too.
    pub(crate) fn of(report: &FlagReport, reason: Option<&str>) -> Declared {
        let stage = report.serving.to_string();
        let since = jiff::Timestamp::try_from(report.state.since.at).unwrap_or_default();
        let reason = reason.map(|reason| {
            let most: String = reason.chars().take(MOST_OF_A_REASON).collect();
            format!(": {most}")
        });
        let reason = reason.unwrap_or_default();
        let skip_reason =
            (stage != "off").then(|| format!("the rollout is here since {since}{reason}"));
        Declared { stage, skip_reason }
    }
}

impl Published {
    pub(crate) fn of(rollout: &Rollout) -> Result<Published, Failure> {
        // Of one plan: the next one may come in between.
        let (plan, status) = loop {
            let (plan, status) = (rollout.plan(), rollout.status());
            if Arc::ptr_eq(&plan, &rollout.plan()) {
                break (plan, status);
            }
        };
        let flags = status.flags.iter().map(|flag| {
            let reason = plan.flag(&flag.flag).and_then(|flag| flag.skip_reason());
            (flag.flag.clone(), Declared::of(flag, reason))
        });
        Published::new(plan.document(), flags.collect(), MAX_DOCUMENT_BYTES)
    }

    /// With the lists of users in it as long as it has at most so many bytes.
    fn new(
        document: &Document,
        flags: BTreeMap<Box<str>, Declared>,
        most: usize,
    ) -> Result<Published, Failure> {
        let files = document.kept_files().into_iter();
        let lists: Kept = files.map(|(name, bytes)| (name, users(&bytes))).collect();
        let text = document.text().unwrap_or_default();
        let notation = if text.trim_start().starts_with('{') { "json" } else { "toml" };
        let listed: usize = lists.values().flatten().map(String::len).sum();
        let document = document.clone();
        let mut published = Published { document, flags, lists, notation, text: None };
        if listed <= most {
            let users = published.lists.iter();
            let users = users.map(|(name, keys)| (name.clone(), Users::Within(keys.clone())));
            let text = published.with(users.collect())?;
            if text.len() <= most {
                published.proved(Document::new(&*text))?;
                published.text = Some(text);
            }
        }
        Ok(published)
    }

    fn with(&self, users: BTreeMap<String, Users>) -> Result<String, Failure> {
        let present = Present { flags: &self.flags, users };
        let text = self.document.text().unwrap_or_default();
        let text = match self.notation {
            "json" => json::with(text, &present),
            _ => toml::with(text, &present),
        };
        text.map_err(|why| unpublished(&why))
    }

    /// Nothing that is not sure to say so is given away.
    fn proved(&self, document: Document) -> Result<(), Failure> {
        let plan = Plan::parse(document).map_err(|error| unpublished(&error.to_string()))?;
        for (key, declared) in &self.flags {
            let found = plan.flag(key).map(|flag| flag.stage().to_string());
            if found.as_ref() != Some(&declared.stage) {
                let found = found.unwrap_or_else(|| "nowhere".to_owned());
                return Err(unpublished(&format!(
                    "`{key}` is at {}, there {found}",
                    declared.stage
                )));
            }
        }
        Ok(())
    }

    /// Where its lists of users are, where it has no room for them.
    pub(crate) fn lists(&self, file: &Path) -> Option<PathBuf> {
        self.text.is_none().then(|| lists::directory(file))
    }

    /// Puts it in the place of a file, unless that says the same already; whether it did not.
    pub(crate) fn write(&self, file: &Path) -> Result<bool, Failure> {
        // Whoever follows the file goes by its name.
        let extension = file.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|it| it != self.notation && matches!(it, "toml" | "json")) {
            return Err(Failure::Usage(format!(
                "`{}`: the document in force is {}: write a name that ends in `.{}`",
                terminal(&file.display().to_string()),
                self.notation.to_uppercase(),
                self.notation,
            )));
        }
        let before = std::fs::read(file).unwrap_or_default();
        let Some(text) = &self.text else { return self.write_with_lists(file, &before) };
        if before == text.as_bytes() {
            return Ok(false);
        }
        output::replace(file, text.as_bytes()).map(|()| true)
    }

    /// The lists first: a document that names a list which is not there is none.
    fn write_with_lists(&self, file: &Path, before: &[u8]) -> Result<bool, Failure> {
        let lists = Lists::new(&self.lists, file);
        let text = self.with(lists.places()?)?;
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(unpublished(&format!(
                "it has {} bytes with the stage of each flag, more than {MAX_DOCUMENT_BYTES}\n  \
                 leave out descriptions and other texts, or split the flags between two stores",
                text.len()
            )));
        }
        if before == text.as_bytes() && lists.are_written() {
            return Ok(false);
        }
        lists.write()?;
        let directory = file.parent().unwrap_or(Path::new(""));
        self.proved(Document::new(&*text).directory(directory))?;
        output::replace(file, text.as_bytes())?;
        lists.clear(before, &text);
        Ok(true)
    }
}

fn unpublished(why: &str) -> Failure {
    Failure::Io(format!("the document is not published: {}", terminal_lines(why)))
}

/// One a line, as the plan has read them.
fn users(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let keys = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    keys.filter(|key| !key.is_empty()).map(str::to_owned).collect()
}
