//! `explain`: whether a user has a flag, and why.

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
    let then = source.then.as_deref();
    let subject = Subject { flag, stage, then, key: &args.user, explanation: &explanation };
    let unused = unused(&flag, &args.attributes);
    match args.format {
        Format::Human => output.text(&subject.human(&unused))?,
        Format::Json => output.json("explain", &subject.result(unused))?,
    }
    Ok(if subject.explanation.evaluation.enabled { Answer::Yes } else { Answer::No })
}

/// The attributes given that no group of the flag asks for: misspelt, perhaps.
fn unused<'a>(flag: &FlagPlan<'_>, given: &'a [(String, String)]) -> BTreeSet<&'a str> {
    let groups = flag.groups();
    let asked: BTreeSet<&str> =
        groups.iter().flat_map(Group::attributes).map(|(name, _)| name).collect();
    given.iter().map(|(name, _)| &**name).filter(|name| !asked.contains(name)).collect()
}

/// Where the answer comes from: a document, or what a store's journal says of a moment.
struct Source {
    plan: Arc<Plan>,
    /// Where the flag was; `None`: where the document puts it.
    stage: Option<StageName>,
    /// Since which record that was so.
    then: Option<String>,
}

impl Source {
    fn of(args: &Explain, output: &Output) -> Result<Source, Failure> {
        if args.document.is_dir() {
            return Source::of_store(args);
        }
        if args.at.is_some() {
            let message = "only a store knows what was at another moment".to_owned();
            return Err(Failure::Usage(message));
        }
        let plan = document::plan(&args.document, "explain", args.format, output)?;
        Ok(Source { plan: Arc::new(plan), stage: None, then: None })
    }

    fn of_store(args: &Explain) -> Result<Source, Failure> {
        let failed = |error| rollout::failed(&error);
        let rollout = rollout::looking(&args.document)?;
        let past = match args.at {
            Some(at) => rollout.at(at),
            None => rollout.now(),
        };
        let past = past.map_err(failed)?;
        let states = past.flags.iter();
        let state = states.filter(|(key, _)| **key == *args.flag).map(|(_, state)| state).next();
        let record = &past.record;
        let then = format!("as of record {}, {}", record.seq, rollout::moment_text(record.at));
        Ok(Source { stage: state.map(|state| state.stage), plan: past.plan, then: Some(then) })
    }
}

struct Subject<'s, 'p> {
    flag: FlagPlan<'p>,
    /// Where the flag is, or was.
    stage: StageName,
    /// Of a store, the last record of that moment.
    then: Option<&'s str>,
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
        if let Some(then) = self.then {
            let _ = writeln!(text, "stage:  {}, {then}", self.stage);
        }
        let _ = writeln!(text, "reason: {}", evaluation.reason);
        if let Some(bucket) = evaluation.bucket {
            let _ = writeln!(text, "bucket: {} ({bucket} of 2^64)", share(bucket));
        }
        let _ = writeln!(text, "cohort: {cohort}\n");
        let mut rows = Rows::new(&["stage", "percent", "in", "why"]);
        self.rows().for_each(|row| rows.add(row));
        let _ = write!(text, "{rows}");
        for name in unused {
            let _ = writeln!(
                text,
                "\nno group of the flag asks for the attribute `{}`",
                terminal(name)
            );
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
            Reason::Off => format!("No: `{key}` is off, so nobody has it."),
            Reason::HeldBack => {
                let waiting = now.map(|row| self.waiting(row)).unwrap_or_default();
                format!("No: `{user}` is held back from `{key}`, as {waiting}.")
            }
            Reason::Static => {
                format!("Yes: `{user}` has `{key}`, as stage `{stage}` is for everybody.")
            }
            Reason::Split if evaluation.enabled => format!(
                "Yes: `{user}` has `{key}`, as the bucket, {bucket}, is within the {percent}% of \
                 stage `{stage}`."
            ),
            Reason::Split => format!(
                "No: `{user}` does not have `{key}`, as the bucket, {bucket}, is outside the \
                 {percent}% of stage `{stage}`."
            ),
            Reason::TargetingMatch => {
                let groups = now.map(|row| quoted(row.groups.iter().copied()));
                let groups = groups.unwrap_or_default();
                format!("Yes: `{user}` has `{key}`, being in {groups} at stage `{stage}`.")
            }
            Reason::Default => format!(
                "No: `{user}` does not have `{key}`, being in no group of stage `{stage}`, which \
                 has no percentage."
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
            Percent::ALL => why.push("for everybody".to_owned()),
            Percent::NONE if row.groups.is_empty() => why.push("for its groups only".to_owned()),
            Percent::NONE => {}
            percent if row.by_percent => why.push(format!("bucket within {percent}%")),
            percent => why.push(format!("bucket outside {percent}%")),
        }
        if !row.groups.is_empty() {
            why.push(format!("in {}", quoted(row.groups.iter().copied())));
        }
        why.join(", ")
    }

    /// Which groups of the user wait until which stage.
    fn waiting(&self, row: &StageExplanation<'_>) -> String {
        let holds = self.flag.hold_back().filter(|(group, _)| row.held_back.contains(group));
        let waits = holds.map(|(group, until)| format!("`{group}` waits until `{until}`"));
        waits.collect::<Vec<_>>().join(", ")
    }

    fn result(&self, unused_attributes: BTreeSet<&'s str>) -> Outcome<'s> {
        let evaluation = &self.explanation.evaluation;
        let stages = self.explanation.stages.iter().map(|row| StageOutcome {
            stage: row.stage.to_string(),
            percent: Amount::percent(row.percent),
            enabled: row.enabled,
            by_percent: row.by_percent,
            groups: &row.groups,
            held_back: &row.held_back,
            why: self.why(row),
        });
        Outcome {
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

/// Where a bucket is among all, rounded down: a user is among a percentage when this is less.
fn parts_per_million(bucket: u64) -> u32 {
    u32::try_from((u128::from(bucket) * 1_000_000) >> 64).unwrap_or(u32::MAX)
}

fn share(bucket: u64) -> String {
    let ppm = parts_per_million(bucket);
    format!("{}.{:04}%", ppm / 10_000, ppm % 10_000)
}

#[derive(Serialize)]
struct Outcome<'s> {
    flag: &'s str,
    user: &'s str,
    enabled: bool,
    /// `OpenFeature`'s name for it.
    reason: &'static str,
    explanation: String,
    stage: String,
    /// As text: it has more digits than a number of JSON keeps in many programs.
    bucket: Option<String>,
    /// Below a stage's percentage, in parts per million, the user is among it.
    bucket_ppm: Option<u32>,
    cohort: Option<String>,
    stages: Vec<StageOutcome<'s>>,
    unused_attributes: BTreeSet<&'s str>,
}

#[derive(Serialize)]
struct StageOutcome<'s> {
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
    fn a_bucket_is_a_share_without_a_float() {
        assert_eq!(share(0), "0.0000%");
        assert_eq!(share(u64::MAX), "99.9999%");
        assert_eq!(share(11_971_452_755_194_587_121), "64.8973%");
    }

    #[test]
    fn a_bucket_is_within_the_percentages_above_its_share() {
        for bucket in [0, 1 << 40, 11_971_452_755_194_587_121, u64::MAX] {
            let ppm = parts_per_million(bucket);
            assert!(!Percent::from_ppm(ppm).expect("in range").contains(bucket));
            assert!(Percent::from_ppm(ppm + 1).expect("in range").contains(bucket));
        }
    }
}
