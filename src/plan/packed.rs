//! A document and its `users_file`s in one JSON text, as a store keeps them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_derive::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::document::{Document, Format, UsersFile};
use super::error::{Excerpt, PlanError};
use super::report::Report;

/// The JSON form of a document. The files are in order of their names.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Packed<'d> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'d, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Notation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<Cow<'d, str>>,
    text: Cow<'d, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<Cow<'d, str>, Cow<'d, str>>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Notation {
    Toml,
    Json,
}

/// Returns the file name of a path, so that a document packs alike in every directory.
fn file_name(name: &str) -> &str {
    Path::new(name).file_name().and_then(OsStr::to_str).unwrap_or(name)
}

impl Document {
    /// Returns the document, which from now on keeps a copy of each `users_file` that is read for it.
    pub(crate) fn keeping_files(self) -> Document {
        if !self.can_read_files() {
            return self;
        }
        Document { files: Some(self.files.clone().unwrap_or_default()), ..self }
    }

    /// Returns the document in an environment. Fails if the document has chosen another one.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn in_environment(self, environment: &str) -> Result<Document, PlanError> {
        match &self.environment {
            Some(other) if **other != *environment => {
                let mut report = Report::new(self.label().into());
                report.document_problem(
                    format!(
                        "found environment `{}`, but this rollout is for `{environment}`",
                        Excerpt(other)
                    ),
                    "leave the environment out, or start another rollout in another store",
                );
                Err(report
                    .finish()
                    .err()
                    .unwrap_or_else(|| PlanError::unexplained(self.label().into())))
            }
            _ => Ok(self.environment(environment)),
        }
    }

    /// Returns the document with files that were already read. The keys are the names in the document.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn with_files(self, files: BTreeMap<String, UsersFile>) -> Document {
        Document { files: Some(Arc::new(Mutex::new(files))), ..self }
    }

    /// Returns the names of the files that were read for the document, or could not be read.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn file_names(&self) -> Vec<String> {
        let Some(files) = &self.files else { return Vec::new() };
        files.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Returns a hash of the document's bytes, its environment, and the files that were read for it.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn content(&self) -> u128 {
        let mut hash = Xxh3::new();
        let mut add = |bytes: &[u8]| {
            // Hash the length, too. Otherwise bytes could move from one file to the next unnoticed.
            hash.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        };
        add(&self.bytes);
        if let Some(environment) = &self.environment {
            add(environment.as_bytes());
        }
        if let Some(files) = &self.files {
            for (name, read) in &*files.lock().unwrap_or_else(PoisonError::into_inner) {
                if let Ok(bytes) = read {
                    add(name.as_bytes());
                    add(bytes);
                }
            }
        }
        hash.digest128()
    }

    /// Returns the document and its files as JSON; `None` if one of them is not UTF-8.
    pub(crate) fn pack(&self) -> Option<Vec<u8>> {
        // No code panics while it holds the lock, so the content of a poisoned lock is sound.
        let files = self.files.as_ref();
        let files = files.map(|files| files.lock().unwrap_or_else(PoisonError::into_inner));
        let read = files.iter().flat_map(|files| files.iter());
        let read = read.filter_map(|(name, read)| Some((name, read.as_ref().ok()?)));
        let text = |bytes| std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        let files: Option<BTreeMap<_, _>> =
            read.map(|(name, bytes)| Some((Cow::from(name), text(bytes)?))).collect();
        let packed = Packed {
            name: self.name.as_deref().map(|name| Cow::Borrowed(file_name(name))),
            format: self.format.map(|format| match format {
                Format::Toml => Notation::Toml,
                Format::Json => Notation::Json,
            }),
            environment: self.environment.as_deref().map(Cow::Borrowed),
            text: text(&self.bytes)?,
            files: files?,
        };
        let bytes: usize = packed.files.values().map(|text| text.len()).sum();
        // Escaping adds a byte to each line.
        let mut json = Vec::with_capacity(packed.text.len() + bytes + bytes / 8);
        serde_json::to_writer(&mut json, &packed).ok()?;
        Some(json)
    }

    /// Reads what [`pack`](Document::pack) wrote. The error is a sentence for people.
    pub(crate) fn unpack(bytes: &[u8]) -> Result<Document, String> {
        let packed: Packed<'_> = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no packed document: {error}"))?;
        let files = packed.files.into_iter();
        let files = files
            .map(|(name, text)| (name.into_owned(), Ok(Arc::from(text.into_owned().into_bytes()))));
        Ok(Document {
            bytes: packed.text.into_owned().into_bytes(),
            name: packed.name.map(Cow::into_owned),
            format: packed.format.map(|notation| match notation {
                Notation::Toml => Format::Toml,
                Notation::Json => Format::Json,
            }),
            environment: packed.environment.map(Arc::from),
            // The packed files are complete, so no directory is searched.
            directory: None,
            allowed: Vec::new(),
            files: Some(Arc::new(Mutex::new(files.collect()))),
            is_kept: true,
        })
    }
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use std::fs;

    use super::*;
    use crate::plan::Plan;

    #[test]
    fn a_packed_document_needs_no_file() {
        let directory =
            std::env::temp_dir().join(format!("stagegate-packed-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for the test");
        fs::write(directory.join("team.txt"), "ana\nben\n").expect("a file for the test");
        let text = "schema = 1\n[groups.team]\nusers_file = \"team.txt\"\n[flags.a]\nstage = \"off\"\n\
                    stages = [{ name = \"s\", groups = [\"team\"] }]\n\
                    [environments.staging.flags.a]\nstage = \"s\"";
        let document = Document::new(text).name("shop/rollout.toml").directory(&directory);
        let document = document.environment("staging");
        let plan = Plan::parse(document.keeping_files()).expect("a plan");
        let packed = plan.document().pack().expect("text");
        fs::remove_dir_all(&directory).expect("the test's own directory");

        let unpacked = Document::unpack(&packed).expect("packed before");
        assert_eq!(unpacked.label(), "rollout.toml");
        assert_eq!(unpacked.environment.as_deref(), Some("staging"));
        assert_eq!(unpacked.pack().as_ref(), Some(&packed));
        let again = Plan::parse(unpacked).expect("the same plan");
        let ana = again.flag("a").expect("a flag").explain("ana");
        assert!(ana.evaluation.enabled);
        let error = Document::unpack(b"{}").expect_err("nothing in it");
        assert!(error.starts_with("it is no packed document: missing field `text`"), "{error}");
    }

    /// An earlier version accepted a `minimum_sample` without effect, which new documents are refused for. A journal or
    /// a last known good document of that version must still open.
    #[test]
    fn a_kept_document_with_a_value_that_is_refused_by_now_still_opens() {
        let text = "schema = 1\n[metrics.m]\nunit = \"percent\"\nbetter = \"less\"\n\
                    source = { prometheus = \"up\" }\n[flags.a]\ntriggers = [{ metric = \"m\", \
                    above = \"5%\", minimum_sample = 9, no_data = \"hold\", action = \"rollback\" }]\n";
        let refused = Plan::parse(text).expect_err("without effect");
        let packed = Document::new(text).pack().expect("text");
        let kept = Plan::parse(Document::unpack(&packed).expect("packed before")).expect("kept");
        assert_eq!(kept.warnings(), refused.problems());
        // In force from a store, it is no longer a new document.
        assert!(Plan::parse(kept.document()).is_ok());
    }
}
