//! The document in force with each flag's present stage, for instances that have no store open.

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
use lists::ListFiles;

/// A document with each flag's present stage.
#[derive(Debug)]
pub(crate) struct PublishedDocument {
    document: Document,
    flags: BTreeMap<Box<str>, FlagDeclaration>,
    lists: UserLists,
    notation: &'static str,
    /// The document with every list of users in it. `None` if that is longer than a document may be.
    text: Option<String>,
}

/// The content of each `users_file`, by the file's name.
type UserLists = BTreeMap<String, Arc<[u8]>>;

/// The values to replace in the document.
struct Replacements<'p> {
    /// By flag key.
    flags: &'p BTreeMap<Box<str>, FlagDeclaration>,
    /// By the name of the `users_file`.
    users: BTreeMap<String, UserList>,
}

/// The new place for the users of a `users_file`.
enum UserList {
    /// In the document.
    Inline(Vec<String>),
    /// In a list file with this path, relative to the document.
    File(String),
}

/// The stage and `skip_reason` that the published document declares for a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlagDeclaration {
    pub(crate) stage: String,
    /// New at each move, so that a follower that missed a stage accepts the document. The rollout went through each
    /// stage, or its journal says why not. `None` for a flag that is off.
    skip_reason: Option<String>,
}

/// The most characters of the original `skip_reason` in a published one. With its prefix it fits the limit of a text.
const MAX_REASON_CHARS: usize = 900;

impl FlagDeclaration {
    /// Returns the declaration for the stage that the gate serves. While a rollback waits for the store, that stage is
    /// below the recorded one. `reason` is the `skip_reason` in the rollout's document: if it changes, followers see a
    /// new reason, too.
    pub(crate) fn of(report: &FlagReport, reason: Option<&str>) -> FlagDeclaration {
        let stage = report.serving.to_string();
        let since = jiff::Timestamp::try_from(report.state.since.at).unwrap_or_default();
        let reason = reason.map(|reason| {
            let most: String = reason.chars().take(MAX_REASON_CHARS).collect();
            format!(": {most}")
        });
        let reason = reason.unwrap_or_default();
        let skip_reason = (stage != "off").then(|| format!("at this stage since {since}{reason}"));
        FlagDeclaration { stage, skip_reason }
    }
}

impl PublishedDocument {
    /// Returns the document in force, with all lists of users in it if they fit.
    pub(crate) fn of(rollout: &Rollout) -> Result<PublishedDocument, Failure> {
        // An update may replace the plan in between. Retry until plan and status belong together.
        let (plan, status) = loop {
            let (plan, status) = (rollout.plan(), rollout.status());
            if Arc::ptr_eq(&plan, &rollout.plan()) {
                break (plan, status);
            }
        };
        let flags = status.flags.iter().map(|flag| {
            let reason = plan.flag(&flag.flag).and_then(|flag| flag.skip_reason());
            (flag.flag.clone(), FlagDeclaration::of(flag, reason))
        });
        if let Some(environment) = plan.environment() {
            return Err(not_published(&format!(
                "the rollout is for environment `{environment}`, and a document with the stages of one \
                 environment cannot be written yet; let the followers read the store instead"
            )));
        }
        PublishedDocument::new(plan.document(), flags.collect(), MAX_DOCUMENT_BYTES)
    }

    /// Includes the lists of users if the document then has at most `most` bytes.
    fn new(
        document: &Document,
        flags: BTreeMap<Box<str>, FlagDeclaration>,
        most: usize,
    ) -> Result<PublishedDocument, Failure> {
        let lists: UserLists = document.kept_files().into_iter().collect();
        let text = document.text().unwrap_or_default();
        let notation = if text.trim_start().starts_with('{') { "json" } else { "toml" };
        let listed: usize =
            lists.values().map(|bytes| users(bytes).map(str::len).sum::<usize>()).sum();
        let document = document.clone();
        let mut published = PublishedDocument { document, flags, lists, notation, text: None };
        if listed <= most {
            let inline = |bytes: &[u8]| UserList::Inline(users(bytes).map(str::to_owned).collect());
            let lists = published.lists.iter().map(|(name, bytes)| (name.clone(), inline(bytes)));
            let text = published.rewrite(lists.collect())?;
            if text.len() <= most {
                published.check_stages(Document::new(&*text))?;
                published.text = Some(text);
            }
        }
        Ok(published)
    }

    /// Returns the document's text with the declarations of all flags, and with these lists of users.
    fn rewrite(&self, users: BTreeMap<String, UserList>) -> Result<String, Failure> {
        let replacements = Replacements { flags: &self.flags, users };
        let text = self.document.text().unwrap_or_default();
        let text = match self.notation {
            "json" => json::rewrite(text, &replacements),
            _ => toml::rewrite(text, &replacements),
        };
        text.map_err(|why| not_published(&why))
    }

    /// Parses the output again, so that no wrong document is published.
    fn check_stages(&self, document: Document) -> Result<(), Failure> {
        let plan = Plan::parse(document).map_err(|error| not_published(&error.to_string()))?;
        for (key, declared) in &self.flags {
            let found = plan.flag(key).map(|flag| flag.stage().to_string());
            if found.as_ref() != Some(&declared.stage) {
                let found = found.unwrap_or_else(|| "no stage".to_owned());
                return Err(not_published(&format!(
                    "`{key}` is at {} in the rollout, and at {found} in the output",
                    declared.stage
                )));
            }
        }
        Ok(())
    }

    /// Returns the directory of the list files, if the document has no room for the lists of users.
    pub(crate) fn lists(&self, file: &Path) -> Option<PathBuf> {
        self.text.is_none().then(|| lists::directory(file))
    }

    /// Replaces a file, unless its content is the same. Returns whether it changed.
    pub(crate) fn write(&self, file: &Path) -> Result<bool, Failure> {
        // Followers choose TOML or JSON by the file's name.
        let extension = file.extension().and_then(|extension| extension.to_str());
        if extension.is_some_and(|it| it != self.notation && matches!(it, "toml" | "json")) {
            return Err(Failure::Usage(format!(
                "cannot write `{}`: the document in force is {}. Use a name that ends in `.{}`",
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

    /// Writes the list files first, because a document that names a missing file is invalid.
    fn write_with_lists(&self, file: &Path, before: &[u8]) -> Result<bool, Failure> {
        let lists = ListFiles::new(&self.lists, file);
        let text = self.rewrite(lists.references()?)?;
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(not_published(&format!(
                "it has {} bytes with the stage of each flag, more than {MAX_DOCUMENT_BYTES}\n  \
                 leave out descriptions and other texts, or split the flags between two stores",
                text.len()
            )));
        }
        if before == text.as_bytes() && lists.exist() {
            return Ok(false);
        }
        lists.write()?;
        let directory = file.parent().unwrap_or(Path::new(""));
        self.check_stages(Document::new(&*text).directory(directory))?;
        output::replace(file, text.as_bytes())?;
        lists.remove_unused(before, &text);
        Ok(true)
    }
}

fn not_published(why: &str) -> Failure {
    Failure::Io(format!("the document was not published: {}", terminal_lines(why)))
}

/// Splits a users file into keys, by the same rules as the plan. A file that is not UTF-8 is not in force.
fn users(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let keys = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    keys.filter(|key| !key.is_empty())
}
