//! `explain`: prints whether a user has a flag, and why.

mod groups;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use stagegate::model::{Explanation, FlagPlan, Group, PrerequisiteExplanation, StageExplanation};
use stagegate::{Percent, Plan, Reason, StageName};

use crate::amount::Amount;
use crate::args::{Explain, Format};
use crate::document;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::look_alikes;
use crate::output::Output;
use crate::terminal::{Rows, quoted};
use crate::verbs::rollout;
use groups::{Attributes, values_text};

pub(crate) fn run(args: &Explain, output: &Output) -> Result<Answer, Failure> {
    let source = Source::of(args, output)?;
    let flag = document::flag(&source.plan, Some(&args.flag))?;
    let given = Attributes(&args.attributes);
    let explanation =
        flag.explain_with(|key| source.stages.get(key).copied(), given.user(&args.user));
    let subject = Subject {
        flag,
        stage: explanation.evaluation.stage.unwrap_or(flag.stage()),
        as_of: source.as_of.as_deref(),
        key: &args.user,
        given,
        explanation: &explanation,
    };
    let unused = unused(&source.plan, flag, given);
    match args.format {
        Format::Human => output.text(&subject.human(&unused))?,
        Format::Json => output.json("explain", &subject.result(unused))?,
    }
    Ok(if explanation.evaluation.enabled { Answer::Yes } else { Answer::No })
}

/// Returns the given attributes that neither the flag nor a flag that it requires uses. They may be misspelt.
fn unused<'a>(plan: &Plan, flag: FlagPlan<'_>, given: Attributes<'a>) -> BTreeSet<&'a str> {
    let mut unused: BTreeSet<&str> = given.names().collect();
    let (mut open, mut seen) = (vec![flag], BTreeSet::from([flag.key()]));
    while let Some(flag) = open.pop() {
        let groups = flag.groups();
        let listed = groups.iter().filter_map(Group::values_of);
        let conditions = groups.iter().flat_map(Group::alternatives).flatten();
        let used = conditions.map(|it| it.attribute()).chain(listed).chain(flag.unit());
        for name in used {
            unused.remove(name);
        }
        let required = flag.requires().filter_map(|(key, _)| plan.flag(key));
        open.extend(required.filter(|flag| seen.insert(flag.key())));
    }
    unused
}

/// The source of the answer: a document, or a store's journal at a moment.
struct Source {
    plan: Arc<Plan>,
    /// The stage of each flag in the journal. Without a store, flags are at their stages in the document.
    stages: BTreeMap<Box<str>, StageName>,
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
        Ok(Source { plan: Arc::new(plan), stages: BTreeMap::new(), as_of: None })
    }

    fn of_store(args: &Explain) -> Result<Source, Failure> {
        let failed = |error| rollout::rollout_failure(&error);
        let rollout = rollout::read_only_directory(&args.document, args.archive.as_ref())?;
        let past = match args.at {
            Some(at) => rollout.at(at),
            None => rollout.now(),
        };
        let past = past.map_err(failed)?;
        let record = &past.record;
        let as_of = format!("as of record {}, {}", record.seq, rollout::moment_text(record.at));
        let stages = past.flags.into_iter().map(|(key, state)| (key, state.stage)).collect();
        Ok(Source { plan: past.plan, stages, as_of: Some(as_of) })
    }
}

struct Subject<'s, 'p> {
    flag: FlagPlan<'p>,
    /// The flag's stage at that moment.
    stage: StageName,
    /// For a store: the last record at that moment, in words.
    as_of: Option<&'s str>,
    key: &'s str,
    given: Attributes<'s>,
    explanation: &'s Explanation<'p>,
}

impl<'s, 'p> Subject<'s, 'p> {
    fn human(&self, unused: &BTreeSet<&str>) -> String {
        let mut text = format!("{}\n\n", self.sentence());
        let evaluation = &self.explanation.evaluation;
        // Writing to a `String` does not fail.
        if let Some(as_of) = self.as_of {
            let _ = writeln!(text, "stage:  {}, {as_of}", self.stage);
        }
        let _ = writeln!(text, "reason: {}", evaluation.reason);
        if let Some(bucket) = evaluation.bucket {
            let unit = self.unit(bucket).map(|unit| format!(", of {unit}")).unwrap_or_default();
            let _ = writeln!(text, "bucket: {} ({bucket} of 2^64){unit}", share(bucket));
        }
        let _ = writeln!(text, "cohort: {}", self.cohort());
        for required in &self.explanation.prerequisites {
            let (flag, stage) = (required.flag, required.requires);
            let _ = writeln!(text, "needs:  `{flag}` at `{stage}`; {}", state_of(required));
        }
        let mut rows = Rows::new(&["stage", "percent", "enabled", "why"]);
        self.rows().for_each(|row| rows.add(row));
        let _ = write!(text, "\n{rows}");
        if groups::are_worth_a_table(&self.flag) {
            let mut rows = Rows::new(&["group", "in", "why"]);
            for group in self.groups() {
                let answer = if group.contains { "yes" } else { "no" };
                rows.add([group.group.to_owned(), answer.to_owned(), group.why]);
            }
            let _ = write!(text, "\n{rows}");
        }
        for name in unused {
            let _ =
                writeln!(text, "\nno group of the flag uses the attribute `{}`", terminal(name));
        }
        for sentence in look_alikes::sentences(&self.flag, self.key) {
            let _ = writeln!(text, "\n{sentence}");
        }
        text
    }

    fn cohort(&self) -> String {
        let Some(stage) = self.explanation.evaluation.cohort else {
            return "at no stage of the plan".to_owned();
        };
        let needs = if self.explanation.prerequisites.is_empty() {
            ""
        } else {
            ", if the user has the required flags"
        };
        format!("from stage `{stage}` on{needs}")
    }

    /// Returns the attribute that the percentages refer to, and its value that has the bucket.
    fn unit(&self, bucket: u64) -> Option<String> {
        let name = self.flag.unit()?;
        let values: BTreeSet<&str> =
            self.given.values(name).filter(|value| !value.is_empty()).collect();
        let has_bucket = |value: &&&str| self.flag.salt().bucket(**value) == bucket;
        let value = values_text(values.iter().find(has_bucket).copied().into_iter());
        let lowest = match values.len() {
            0 | 1 => String::new(),
            count => format!(" (the lowest of {count} values)"),
        };
        Some(format!("`{}` {value}{lowest}", terminal(name)))
    }

    fn sentence(&self) -> String {
        let Subject { flag, explanation, stage, .. } = self;
        let evaluation = &explanation.evaluation;
        match evaluation.reason {
            Reason::FlagNotFound => return format!("No: there is no flag `{}`.", flag.key()),
            Reason::Off => return format!("No: `{}` is off for all users.", flag.key()),
            _ => {}
        }
        let because = match evaluation.reason {
            Reason::Prerequisite => self.lacking().map(|required| {
                let (flag, other, at) = (flag.key(), required.flag, required.requires);
                let and = if required.has_reached {
                    format!("the user does not have `{other}`")
                } else {
                    format!("it is at `{}`", required.stage)
                };
                format!("`{flag}` requires `{other}` at `{at}`, and {and}")
            }),
            Reason::Excluded => {
                let only = quoted(flag.only());
                let not_in = not_in(flag.only().count());
                Some(format!("only users of {only} may have it, and the user is {not_in}"))
            }
            Reason::HeldBack => self.reached().last().map(|row| self.waiting(row)),
            Reason::NoUnit => flag.unit().map(terminal).map(|unit| {
                let flag = flag.key();
                format!(
                    "the user has no `{unit}`, and the percentages of `{flag}` are of its values"
                )
            }),
            Reason::Static => Some(format!("stage `{stage}` admits all users")),
            Reason::Split => self.split(),
            Reason::TargetingMatch => self.admitted(),
            Reason::Default => self.no_group(),
            other => Some(other.to_string()),
        };
        let because = because.unwrap_or_else(|| evaluation.reason.to_string());
        let (user, flag) = (terminal(self.key), flag.key());
        match evaluation.enabled {
            true => format!("Yes: `{user}` has `{flag}`, because {because}."),
            false => format!("No: `{user}` does not have `{flag}`, because {because}."),
        }
    }

    /// Returns the first required flag that bars the user.
    fn lacking(&self) -> Option<&'s PrerequisiteExplanation<'p>> {
        let required = self.explanation.prerequisites.iter();
        required.clone().find(|required| !(required.has_reached && required.has_flag))
    }

    /// Returns the flag's stage and the stages before it. None if the flag is off.
    fn reached(&self) -> &'s [StageExplanation<'p>] {
        let stages = &self.explanation.stages;
        let now = stages.iter().position(|row| row.stage == self.stage);
        now.and_then(|now| stages.get(..=now)).unwrap_or_default()
    }

    /// Says on which side of a percentage the bucket is.
    fn split(&self) -> Option<String> {
        let Explanation { evaluation, .. } = self.explanation;
        let bucket = evaluation.bucket?;
        let within = self.reached().iter().rev().filter(|row| row.is_within);
        let row = within.clone().find(|row| row.percent.contains(bucket));
        let row = row.or_else(|| within.clone().find(|row| row.percent > Percent::NONE))?;
        let whose = match self.unit(bucket) {
            None => "the user's bucket".to_owned(),
            Some(unit) => format!("the bucket of {unit}"),
        };
        let side = if evaluation.enabled { "within" } else { "outside" };
        let (at, of, stage) = (share(bucket), percent_of(row), row.stage);
        Some(format!("{whose}, {at}, is {side} the {of} of stage `{stage}`"))
    }

    /// Says which group admits the user, or which stage admits everyone in a group.
    fn admitted(&self) -> Option<String> {
        let is_whole = |row: &&StageExplanation<'_>| row.is_within && row.percent == Percent::ALL;
        let now = self.reached().last()?;
        let whole = self.reached().iter().rev().find(is_whole).filter(|_| now.by_percent);
        Some(match whole {
            Some(row) => format!("stage `{}` {}", row.stage, admits_all(row)),
            None => {
                let groups = quoted(now.groups.iter().copied());
                format!("stage `{}` admits users in {groups}", now.stage)
            }
        })
    }

    /// Says that no percentage refers to the user, and that no group admits the user.
    fn no_group(&self) -> Option<String> {
        let stage = self.stage;
        let split = self.reached().iter().rev().find(|row| row.percent > Percent::NONE);
        let Some(row) = split else {
            return Some(format!(
                "stage `{stage}` admits only its groups, and the user is in none of them"
            ));
        };
        let within = quoted(row.within.iter().copied());
        let not_in = not_in(row.within.len());
        let stages = self.flag.stages().take(self.reached().len());
        let has_groups = stages.flat_map(|stage| stage.groups()).next().is_some();
        let groups = if has_groups { ", and in no group that has the flag" } else { "" };
        Some(format!("the percentage refers only to {within}, and the user is {not_in}{groups}"))
    }

    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let now = self.stage;
        self.explanation.stages.iter().map(move |row| {
            let mark = if row.stage == now { " (now)" } else { "" };
            let answer = if row.enabled { "yes" } else { "no" };
            vec![format!("{}{mark}", row.stage), percent_of(row), answer.to_owned(), self.why(row)]
        })
    }

    fn why(&self, row: &StageExplanation<'_>) -> String {
        if let Some(required) = self.lacking() {
            return format!("requires `{}` at `{}`", required.flag, required.requires);
        }
        if self.explanation.is_excluded {
            return format!("only users of {}", quoted(self.flag.only()));
        }
        if !row.held_back.is_empty() {
            return format!("held back: {}", self.waiting(row));
        }
        let bucket = self.explanation.evaluation.bucket;
        let is_in_own = row.is_within && bucket.is_some_and(|it| row.percent.contains(it));
        let mut why = Vec::new();
        match row.percent {
            Percent::NONE if row.groups.is_empty() => why.push("admits only its groups".to_owned()),
            Percent::NONE => {}
            _ if !row.is_within => {
                let within = quoted(row.within.iter().copied());
                why.push(format!("the percentage refers only to {within}"));
            }
            _ if bucket.is_none() => {
                why.push(format!("no `{}`", terminal(self.flag.unit().unwrap_or_default())));
            }
            Percent::ALL => why.push(admits_all(row)),
            _ if is_in_own => why.push(format!("bucket within {}", percent_of(row))),
            _ => why.push(format!("bucket outside {}", percent_of(row))),
        }
        if row.by_percent && !is_in_own {
            let stages = self.explanation.stages.iter().take_while(|it| it.stage != row.stage);
            let admits = |it: &&StageExplanation<'_>| {
                it.is_within && bucket.is_some_and(|bucket| it.percent.contains(bucket))
            };
            if let Some(earlier) = stages.filter(admits).last() {
                why.push(format!("within {} since stage `{}`", percent_of(earlier), earlier.stage));
            }
        }
        if !row.groups.is_empty() {
            why.push(format!("in {}", quoted(row.groups.iter().copied())));
        }
        why.join(", ")
    }

    /// Returns the user's groups that wait, and the stages until which they wait.
    fn waiting(&self, row: &StageExplanation<'_>) -> String {
        let holds = self.flag.hold_back().filter(|hold| row.held_back.contains(&hold.group));
        let waits = holds.map(|hold| match hold.until {
            Some(until) => format!("group `{}` waits until `{until}`", hold.group),
            None => format!("group `{}` never has the flag", hold.group),
        });
        waits.collect::<Vec<_>>().join(", ")
    }

    fn groups(&self) -> impl Iterator<Item = GroupResult<'p>> {
        let groups = self.flag.groups().into_iter();
        groups.zip(&self.explanation.groups).map(|(group, found)| GroupResult {
            group: found.group,
            contains: found.contains,
            why: groups::why(&group, found, self.given),
        })
    }

    fn result(&self, unused_attributes: BTreeSet<&'s str>) -> ExplainResult<'s> {
        let evaluation = &self.explanation.evaluation;
        let stages = self.explanation.stages.iter().map(|row| StageResult {
            stage: row.stage.to_string(),
            percent: Amount::percent(row.percent),
            within: &row.within,
            is_within: row.is_within,
            enabled: row.enabled,
            by_percent: row.by_percent,
            groups: &row.groups,
            held_back: &row.held_back,
            why: self.why(row),
        });
        let required = self.explanation.prerequisites.iter().map(|required| RequiredResult {
            flag: required.flag,
            requires: required.requires.to_string(),
            stage: required.stage.to_string(),
            has_reached: required.has_reached,
            has_flag: required.has_flag,
        });
        ExplainResult {
            flag: self.flag.key(),
            user: self.key,
            enabled: evaluation.enabled,
            reason: evaluation.reason.as_str(),
            explanation: self.sentence(),
            stage: self.stage.to_string(),
            by: self.flag.unit(),
            bucket: evaluation.bucket.map(|bucket| bucket.to_string()),
            bucket_ppm: evaluation.bucket.map(parts_per_million),
            cohort: evaluation.cohort.map(|stage| stage.to_string()),
            only: self.flag.only().collect(),
            excluded: self.explanation.is_excluded,
            requires: required.collect(),
            stages: stages.collect(),
            groups: self.groups().collect(),
            unused_attributes,
        }
    }
}

/// Returns the state of a required flag in words.
fn state_of(required: &PrerequisiteExplanation<'_>) -> String {
    match (required.has_reached, required.has_flag) {
        (false, _) => format!("it is at `{}`", required.stage),
        (true, false) => "the user does not have it".to_owned(),
        (true, true) => "the user has it".to_owned(),
    }
}

/// Returns the percentage of a stage: ``10% of `eu` ``.
fn percent_of(row: &StageExplanation<'_>) -> String {
    match &*row.within {
        [] => format!("{}%", row.percent),
        within => format!("{}% of {}", row.percent, quoted(within.iter().copied())),
    }
}

fn admits_all(row: &StageExplanation<'_>) -> String {
    match &*row.within {
        [] => "admits all users".to_owned(),
        within => format!("admits all users of {}", quoted(within.iter().copied())),
    }
}

fn not_in(groups: usize) -> &'static str {
    if groups == 1 { "not in it" } else { "in none of them" }
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
    /// The attribute that the percentages refer to. `null`: they refer to user keys.
    by: Option<&'s str>,
    /// As text, because many programs read JSON numbers with fewer than 64 bits.
    bucket: Option<String>,
    /// In parts per million. If it is less than a stage's percentage, the user is within the percentage.
    bucket_ppm: Option<u32>,
    /// The earliest stage that admits the user. Does not look at required flags.
    cohort: Option<String>,
    /// The groups of which a user must be in one. Empty: every user may have the flag.
    only: Vec<&'s str>,
    /// Whether the user is in none of them.
    excluded: bool,
    requires: Vec<RequiredResult<'s>>,
    stages: Vec<StageResult<'s>>,
    groups: Vec<GroupResult<'s>>,
    unused_attributes: BTreeSet<&'s str>,
}

#[derive(Serialize)]
struct StageResult<'s> {
    stage: String,
    percent: Amount,
    /// The groups whose users the percentage refers to. Empty: all users.
    within: &'s [&'s str],
    /// Whether the percentage refers to the user.
    is_within: bool,
    enabled: bool,
    by_percent: bool,
    groups: &'s [&'s str],
    held_back: &'s [&'s str],
    why: String,
}

/// A required flag.
#[derive(Serialize)]
struct RequiredResult<'s> {
    flag: &'s str,
    /// The stage that the flag must have reached.
    requires: String,
    stage: String,
    has_reached: bool,
    has_flag: bool,
}

/// A group that the flag names, or that such a group includes.
#[derive(Serialize)]
struct GroupResult<'s> {
    group: &'s str,
    contains: bool,
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
