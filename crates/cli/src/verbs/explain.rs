//! `explain`: prints whether a user has a flag, and why.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use stagegate::model::{Explanation, FlagPlan, Group, StageExplanation};
use stagegate::{Percent, Plan, Reason, StageName, User};

use crate::amount::Amount;
use crate::args::{Explain, Format};
use crate::document;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::look_alikes;
use crate::output::Output;
use crate::terminal::{Rows, quoted};
use crate::verbs::rollout;

pub(crate) fn run(args: &Explain, output: &Output) -> Result<Answer, Failure> {
    let source = Source::of(args, output)?;
    let flag = document::flag(&source.plan, Some(&args.flag))?;
    let attributes = args.attributes.iter();
    let user =
        attributes.fold(User::new(&args.user), |user, (name, value)| user.attribute(name, value));
    let stage = source.stage.unwrap_or(flag.stage());
    let explanation = flag.explain_at(&stage, &user).unwrap_or_else(|| flag.explain(&user));
    let as_of = source.as_of.as_deref();
    let subject = Subject { flag, stage, as_of, key: &args.user, explanation: &explanation };
    let unused = unused(&flag, &args.attributes);
    match args.format {
        Format::Human => output.text(&subject.human(&unused))?,
        Format::Json => output.json("explain", &subject.result(unused))?,
    }
    Ok(if subject.explanation.evaluation.enabled { Answer::Yes } else { Answer::No })
}

/// Returns the given attributes that no group of the flag uses. They may be misspelt.
fn unused<'a>(flag: &FlagPlan<'_>, given: &'a [(String, String)]) -> BTreeSet<&'a str> {
    let groups = flag.groups();
    let asked: BTreeSet<&str> =
        groups.iter().flat_map(Group::attributes).map(|(name, _)| name).collect();
    given.iter().map(|(name, _)| &**name).filter(|name| !asked.contains(name)).collect()
}

/// The source of the answer: a document, or a store's journal at a moment.
struct Source {
    plan: Arc<Plan>,
    /// The flag's stage in the journal. `None`: use the document's stage.
    stage: Option<StageName>,
    /// For a store: the last record at that moment, in words.
    as_of: Option<String>,
}

impl Source {
    fn of(args: &Explain, output: &Output) -> Result<Source, Failure> {
        if args.document.is_dir() {
            return Source::of_store(args);
        }
        if args.at.is_some() {
            let message = "a document has no history. Pass the directory of a store with `--at`";
            return Err(Failure::Usage(message.to_owned()));
        }
        let plan = document::plan(&args.document, &args.reading, "explain", args.format, output)?;
        Ok(Source { plan: Arc::new(plan), stage: None, as_of: None })
    }

    fn of_store(args: &Explain) -> Result<Source, Failure> {
        let failed = |error| rollout::rollout_failure(&error);
        let rollout = rollout::read_only_directory(&args.document)?;
        let past = match args.at {
            Some(at) => rollout.at(at),
            None => rollout.now(),
        };
        let past = past.map_err(failed)?;
        let flag = past.plan.key_of(&args.flag).unwrap_or(&args.flag);
        let states = past.flags.iter();
        let state = states.filter(|(key, _)| **key == *flag).map(|(_, state)| state).next();
        let record = &past.record;
        let as_of = format!("as of record {}, {}", record.seq, rollout::moment_text(record.at));
        Ok(Source { stage: state.map(|state| state.stage), plan: past.plan, as_of: Some(as_of) })
    }
}

struct Subject<'s, 'p> {
    flag: FlagPlan<'p>,
    /// The flag's stage at that moment.
    stage: StageName,
    /// For a store: the last record at that moment, in words.
    as_of: Option<&'s str>,
    key: &'s str,
    explanation: &'s Explanation<'p>,
}

impl<'s, 'p> Subject<'s, 'p> {
    fn human(&self, unused: &BTreeSet<&str>) -> String {
        let mut text = format!("{}\n\n", self.sentence());
        let evaluation = &self.explanation.evaluation;
        let cohort = match evaluation.cohort {
            Some(stage) => format!("from stage `{stage}` on"),
            None => "at no stage of the plan".to_owned(),
        };
        // Writing to a `String` does not fail.
        if let Some(as_of) = self.as_of {
            let _ = writeln!(text, "stage:  {}, {as_of}", self.stage);
        }
        let _ = writeln!(text, "reason: {}", evaluation.reason);
        if let Some(bucket) = evaluation.bucket {
            let _ = writeln!(text, "bucket: {} ({bucket} of 2^64)", share(bucket));
        }
        let _ = writeln!(text, "cohort: {cohort}\n");
        let mut rows = Rows::new(&["stage", "percent", "enabled", "why"]);
        self.rows().for_each(|row| rows.add(row));
        let _ = write!(text, "{rows}");
        for name in unused {
            let _ =
                writeln!(text, "\nno group of the flag uses the attribute `{}`", terminal(name));
        }
        for sentence in look_alikes::sentences(&self.flag, self.key) {
            let _ = writeln!(text, "\n{sentence}");
        }
        text
    }

    fn sentence(&self) -> String {
        let Subject { flag, explanation, .. } = self;
        let (key, user) = (flag.key(), terminal(self.key));
        let stage = self.stage;
        let evaluation = &explanation.evaluation;
        let bucket = evaluation.bucket.map(share).unwrap_or_default();
        let now = explanation.stages.iter().find(|row| row.stage == stage);
        let percent = now.map_or(Percent::NONE, |row| row.percent);
        match evaluation.reason {
            Reason::FlagNotFound => format!("No: there is no flag `{key}`."),
            Reason::Off => format!("No: `{key}` is off for all users."),
            Reason::HeldBack => {
                let waiting = now.map(|row| self.waiting(row)).unwrap_or_default();
                format!("No: `{user}` does not have `{key}`, because {waiting}.")
            }
            Reason::Static => {
                format!("Yes: `{user}` has `{key}`, because stage `{stage}` admits all users.")
            }
            Reason::Split if evaluation.enabled => format!(
                "Yes: `{user}` has `{key}`, because the user's bucket, {bucket}, is within the \
                 {percent}% of stage `{stage}`."
            ),
            Reason::Split => format!(
                "No: `{user}` does not have `{key}`, because the user's bucket, {bucket}, is \
                 outside the {percent}% of stage `{stage}`."
            ),
            Reason::TargetingMatch => {
                let groups = now.map(|row| quoted(row.groups.iter().copied()));
                let groups = groups.unwrap_or_default();
                format!(
                    "Yes: `{user}` has `{key}`, because stage `{stage}` admits users in {groups}."
                )
            }
            Reason::Default => format!(
                "No: `{user}` does not have `{key}`, because stage `{stage}` admits only its \
                 groups, and the user is in none of them."
            ),
            other => format!("`{user}` and `{key}`: {other}."),
        }
    }

    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let now = self.stage;
        self.explanation.stages.iter().map(move |row| {
            let mark = if row.stage == now { " (now)" } else { "" };
            let answer = if row.enabled { "yes" } else { "no" };
            vec![
                format!("{}{mark}", row.stage),
                format!("{}%", row.percent),
                answer.to_owned(),
                self.why(row),
            ]
        })
    }

    fn why(&self, row: &StageExplanation<'_>) -> String {
        if !row.held_back.is_empty() {
            return format!("held back: {}", self.waiting(row));
        }
        let mut why = Vec::new();
        match row.percent {
            Percent::ALL => why.push("admits all users".to_owned()),
            Percent::NONE if row.groups.is_empty() => why.push("admits only its groups".to_owned()),
            Percent::NONE => {}
            percent if row.by_percent => why.push(format!("bucket within {percent}%")),
            percent => why.push(format!("bucket outside {percent}%")),
        }
        if !row.groups.is_empty() {
            why.push(format!("in {}", quoted(row.groups.iter().copied())));
        }
        why.join(", ")
    }

    /// Returns the user's groups that wait, and the stages until which they wait.
    fn waiting(&self, row: &StageExplanation<'_>) -> String {
        let holds = self.flag.hold_back().filter(|(group, _)| row.held_back.contains(group));
        let waits = holds.map(|(group, until)| format!("group `{group}` waits until `{until}`"));
        waits.collect::<Vec<_>>().join(", ")
    }

    fn result(&self, unused_attributes: BTreeSet<&'s str>) -> ExplainResult<'s> {
        let evaluation = &self.explanation.evaluation;
        let stages = self.explanation.stages.iter().map(|row| StageResult {
            stage: row.stage.to_string(),
            percent: Amount::percent(row.percent),
            enabled: row.enabled,
            by_percent: row.by_percent,
            groups: &row.groups,
            held_back: &row.held_back,
            why: self.why(row),
        });
        ExplainResult {
            flag: self.flag.key(),
            user: self.key,
            enabled: evaluation.enabled,
            reason: evaluation.reason.as_str(),
            explanation: self.sentence(),
            stage: self.stage.to_string(),
            bucket: evaluation.bucket.map(|bucket| bucket.to_string()),
            bucket_ppm: evaluation.bucket.map(parts_per_million),
            cohort: evaluation.cohort.map(|stage| stage.to_string()),
            stages: stages.collect(),
            unused_attributes,
        }
    }
}

/// Returns a bucket's position in parts per million, rounded down. A user is within a percentage if this is less.
fn parts_per_million(bucket: u64) -> u32 {
    u32::try_from((u128::from(bucket) * 1_000_000) >> 64).unwrap_or(u32::MAX)
}

fn share(bucket: u64) -> String {
    let ppm = parts_per_million(bucket);
    format!("{}.{:04}%", ppm / 10_000, ppm % 10_000)
}

#[derive(Serialize)]
struct ExplainResult<'s> {
    flag: &'s str,
    user: &'s str,
    enabled: bool,
    /// The reason's name in `OpenFeature`.
    reason: &'static str,
    explanation: String,
    stage: String,
    /// As text, because many programs read JSON numbers with fewer than 64 bits.
    bucket: Option<String>,
    /// In parts per million. If it is less than a stage's percentage, the user is within the percentage.
    bucket_ppm: Option<u32>,
    cohort: Option<String>,
    stages: Vec<StageResult<'s>>,
    unused_attributes: BTreeSet<&'s str>,
}

#[derive(Serialize)]
struct StageResult<'s> {
    stage: String,
    percent: Amount,
    enabled: bool,
    by_percent: bool,
    groups: &'s [&'s str],
    held_back: &'s [&'s str],
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_printed_as_a_percentage() {
        assert_eq!(share(0), "0.0000%");
        assert_eq!(share(u64::MAX), "99.9999%");
        assert_eq!(share(11_971_452_755_194_587_121), "64.8973%");
    }

    #[test]
    fn a_bucket_is_within_each_greater_percentage() {
        for bucket in [0, 1 << 40, 11_971_452_755_194_587_121, u64::MAX] {
            let ppm = parts_per_million(bucket);
            assert!(!Percent::from_ppm(ppm).expect("in range").contains(bucket));
            assert!(Percent::from_ppm(ppm + 1).expect("in range").contains(bucket));
        }
    }
}
