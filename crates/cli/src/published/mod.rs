//! The document in force with each flag's present stage in it: for instances that have no store open.

mod json;
#[cfg(test)]
mod tests;
mod toml;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stagegate::rollout::{FlagReport, Rollout};
use stagegate::{Document, Plan};

use crate::escape::terminal;
use crate::failure::Failure;
use crate::output;

/// A document that stands by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) text: String,
    notation: &'static str,
}

/// What a document says of its own that is to be said otherwise.
struct Present {
    /// By the flags' keys.
    flags: BTreeMap<Box<str>, Declared>,
    /// The users of each `users_file`, by its name.
    users: BTreeMap<String, Vec<String>>,
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
        Published::new(plan.document(), flags.collect())
    }

    fn new(document: &Document, flags: BTreeMap<Box<str>, Declared>) -> Result<Published, Failure> {
        let failed =
            |why: &str| Failure::Io(format!("the document is not published: {}", terminal(why)));
        let files = document.kept_files().into_iter();
        let users = files.map(|(name, bytes)| (name, users(&bytes))).collect();
        let present = Present { flags, users };
        let text = document.text().unwrap_or_default();
        let (notation, text) = match text.trim_start().starts_with('{') {
            true => ("json", json::with(text, &present)),
            false => ("toml", toml::with(text, &present)),
        };
        let text = text.map_err(|why| failed(&why))?;
        // Nothing that is not sure to say so is given away.
        let plan = Plan::parse(&*text).map_err(|error| failed(&error.to_string()))?;
        for (key, declared) in &present.flags {
            let found = plan.flag(key).map(|flag| flag.stage().to_string());
            if found.as_ref() != Some(&declared.stage) {
                let found = found.unwrap_or_else(|| "nowhere".to_owned());
                return Err(failed(&format!("`{key}` is at {}, there {found}", declared.stage)));
            }
        }
        Ok(Published { text, notation })
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
        if std::fs::read(file).is_ok_and(|found| found == self.text.as_bytes()) {
            return Ok(false);
        }
        output::replace(file, self.text.as_bytes()).map(|()| true)
    }
}

/// One a line, as the plan has read them.
fn users(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let keys = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    keys.filter(|key| !key.is_empty()).map(str::to_owned).collect()
}
