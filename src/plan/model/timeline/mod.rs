//! When each stage comes, from a start and the stages' durations.

pub(in crate::plan) mod open_days;

use std::time::Duration;

use crate::eval::StageName;
use crate::plan::error::Excerpt;
use crate::plan::fields::{Fields, Path, one_of, table, text};
use crate::plan::limits::MAX_DUE_MESSAGES;
use crate::plan::model::flag::FlagPlan;
use crate::plan::model::message::Message;
use crate::plan::model::sections::Context;
use crate::plan::model::stage::StageDetails;
use crate::plan::model::stage::activity::{Activity, ActivityDay};
use crate::plan::model::time::date::{self, Date};
use crate::plan::model::timeline::open_days::{OpenDays, Opening};
use crate::plan::model::{When, time::week};
use crate::plan::node::{Entry, Node};
use crate::plan::report::Report;

/// The stages of a plan on the calendar.
///
/// *Earliest* is when every stage takes its `min_duration`, *latest* when every stage takes its
/// `max_duration` (where there is none, the `min_duration`; where there is neither, no day).
/// Durations count as whole days, rounded up. A promotion that would be on a day on which the
/// plan's calendar lets nothing advance is on the next that does, and what comes after it moves
/// along.
///
/// It is computed from the document alone: where the flag stands, and since when, is not in it.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     stages = [
///         { name = "pilot", percent = 10, min_duration = "3d", max_duration = "1w" },
///         { name = "ga", percent = 100, watch = { for = "48h", every = "2h" } },
///     ]
///     calendar.hours = ["Mon-Thu 09:00-16:00"]
/// "#)?;
/// let timeline = plan.flag("search").unwrap().timeline("2026-01-06".parse()?);
/// let [pilot, ga] = &*timeline.stages else { panic!() };
/// assert_eq!(pilot.begins.earliest.to_string(), "2026-01-06");
/// // Three days later is a Friday, so the promotion waits for Monday.
/// assert_eq!(ga.begins.earliest.to_string(), "2026-01-12");
/// assert_eq!(ga.begins.latest.to_string(), "2026-01-13");
/// assert_eq!(ga.ends.latest.to_string(), "2026-01-15");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Complexity
///
/// Linear in freezes, and in stages times messages. At most [`MAX_DUE_MESSAGES`] entries.
///
/// [`MAX_DUE_MESSAGES`]: crate::limits::MAX_DUE_MESSAGES
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timeline<'p> {
    /// The day asked for. The first stage begins then, or on the next day the calendar allows.
    pub start: Date,
    /// In order.
    pub stages: Vec<StagePeriod<'p>>,
    /// Every message that has a date, in order of dates, those of a day in order of stages and then
    /// as the plan has them; those of a roll-back have none.
    pub messages: Vec<Due<'p>>,
    /// Messages of later stages beyond the limit of the list.
    pub unlisted_messages: usize,
}

/// A stage on the calendar.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StagePeriod<'p> {
    /// Which one.
    pub stage: StageName,
    /// Who owns it: the timeline's owner of that stage, else the flag's.
    pub owner: Option<&'p str>,
    /// The day it begins.
    pub begins: Period,
    /// The day it ends, that of the next promotion. For the last stage the day its `watch` is over,
    /// else its durations, else the day it begins; the calendar does not move it.
    pub ends: Period,
    /// The activities that have a day (`at`), in order of their first days.
    pub activities: Vec<DatedActivity<'p>>,
    /// The reason of the freeze without which the earliest beginning would be an earlier day;
    /// `None` also where only days without hours are in the way.
    pub delayed_by: Option<&'p str>,
}

/// An activity on the calendar, if every stage takes its minimum.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
///
/// let plan = Plan::parse("schema = 1\n[flags.search]\nowner = \"ana\"")?;
/// let timeline = plan.flag("search").unwrap().timeline("2026-01-06".parse()?);
/// let monitoring = &timeline.stages[1].activities[1];
/// assert_eq!(&*monitoring.activity.text, "Daily monitoring: check the metrics");
/// assert_eq!(monitoring.owner, Some("ana"));
/// assert_eq!((monitoring.begins, monitoring.ends), ("2026-01-07".parse()?, "2026-01-13".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatedActivity<'p> {
    /// What is done, and on which days of the stage.
    pub activity: &'p Activity,
    /// The activity's owner, else the stage's.
    pub owner: Option<&'p str>,
    /// Its first day.
    pub begins: Date,
    /// Its last day. A daily or weekly activity lasts until the day before the stage ends, any other one day.
    pub ends: Date,
}

/// The earliest and the latest day of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// If every stage takes its minimum.
    pub earliest: Date,
    /// If every stage takes its maximum.
    pub latest: Date,
}

/// A message on the calendar.
///
/// Days before or after a stage and `start` count from its earliest beginning, `end` is its
/// earliest end, and `weekly` is every seventh day between the two.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Due<'p> {
    /// The day, if every stage takes its minimum. It may be before the start.
    pub date: Date,
    /// About which stage.
    pub stage: StageName,
    /// What to send.
    pub message: &'p Message,
}

/// `timeline`: when a flag's rollout starts, and who owns its stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) struct TimelinePlan {
    pub(in crate::plan::model) start: Option<Date>,
    pub(in crate::plan::model) owners: Vec<(StageName, Box<str>)>,
}

pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> TimelinePlan {
    let Some(mut fields) = Fields::open(node, path, report) else { return TimelinePlan::default() };
    let (start, owners) = (fields.take("start"), fields.take("owners"));
    fields.finish(report);
    let start = start.and_then(|node| date::read(node, &path.field("start"), report));
    let path = path.field("owners");
    let entries = owners.and_then(|node| table(node, &path, report)).unwrap_or_default();
    let read = |entry| read_owner(entry, &path, context, report);
    let mut owners: Vec<_> = entries.iter().filter_map(read).collect();
    owners.sort_unstable_by_key(|(position, ..)| *position);
    let owners = owners.into_iter().map(|(_, stage, owner)| (stage, owner)).collect();
    TimelinePlan { start, owners }
}

/// The stage's number and name, and its owner.
fn read_owner<'a>(
    entry: &Entry<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> Option<(usize, StageName, Box<str>)> {
    let path = path.field(&entry.key);
    let mut stages = context.stages.iter().map(|stage| *stage.name()).enumerate();
    let Some((position, stage)) = stages.find(|(_, stage)| **stage == *entry.key) else {
        let hint = one_of(&entry.key, context.stages.iter().map(|stage| stage.name().as_str()));
        let message = format!("found `{}`, not a stage of this plan", Excerpt(&entry.key));
        report.problem(entry.key_span.clone(), &path, message, hint);
        return None;
    };
    Some((position, stage, text(&entry.node, &path, report)?.into()))
}

impl<'p> Timeline<'p> {
    pub(in crate::plan::model) fn new(
        flag: FlagPlan<'p>,
        plan: &'p TimelinePlan,
        start: Date,
    ) -> Timeline<'p> {
        let stages = periods(flag, plan, 0, &beginnings(flag, start));
        let (messages, unlisted_messages) = due(&stages, flag.messages());
        Timeline { start, stages, messages, unlisted_messages }
    }
}

/// The stages from a number on, where those are when they begin.
fn periods<'p>(
    flag: FlagPlan<'p>,
    plan: &'p TimelinePlan,
    first: usize,
    beginnings: &[Beginning<'p>],
) -> Vec<StagePeriod<'p>> {
    let begins = |beginning: &Beginning<'_>| Period {
        earliest: beginning.earliest.date,
        latest: beginning.latest.date,
    };
    let nexts = beginnings.iter().skip(1).map(|next| Some(begins(next))).chain([None]);
    let stages = flag.stages().skip(first).zip(beginnings).zip(nexts);
    let periods = stages.map(|((stage, beginning), next)| {
        let name = stage.name();
        let owner = plan.owners.iter().find(|(stage, _)| *stage == name);
        let begins = begins(beginning);
        let ends = next.unwrap_or_else(|| end_of_last(begins, stage.details()));
        let owner = owner.map(|(_, owner)| &**owner).or(flag.owner());
        let days = (begins.earliest, ends.earliest);
        StagePeriod {
            stage: name,
            owner,
            begins,
            ends,
            activities: dated(&stage.details().activities, owner, days),
            delayed_by: beginning.earliest.freeze.map(|freeze| &*freeze.reason),
        }
    });
    periods.collect()
}

/// The activities that have a day, of a stage that begins and ends on these days.
fn dated<'p>(
    activities: &'p [Activity],
    owner: Option<&'p str>,
    (begins, ends): (Date, Date),
) -> Vec<DatedActivity<'p>> {
    let last = ends.plus_days(-1).max(begins);
    let mut dated: Vec<_> = activities
        .iter()
        .filter_map(|activity| {
            let (begins, ends) = match activity.at? {
                ActivityDay::Start => (begins, begins),
                ActivityDay::Daily | ActivityDay::Weekly => (begins, last),
                ActivityDay::End => (ends, ends),
            };
            let owner = activity.owner.as_deref().or(owner);
            Some(DatedActivity { activity, owner, begins, ends })
        })
        .collect();
    // Of those that begin on one day, first the start, then daily, weekly, the end.
    dated.sort_by_key(|it| (it.begins, it.activity.at));
    dated
}

/// The stages of a rollout that came to one of them on a day, from that one on.
pub(in crate::plan::model) fn onward<'p>(
    flag: FlagPlan<'p>,
    plan: &'p TimelinePlan,
    stage: StageName,
    began: Date,
) -> Vec<StagePeriod<'p>> {
    let Some(first) = flag.stages().position(|known| known.name() == stage) else {
        return Vec::new();
    };
    // It has begun, whatever the calendar says.
    let begun = Opening { wished: began, freeze: None, date: began };
    periods(flag, plan, first, &beginnings_after(flag, first, begun))
}

/// When a stage begins, if the stages before it take their minimum and their maximum.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Beginning<'p> {
    pub(in crate::plan) earliest: Opening<'p>,
    pub(in crate::plan) latest: Opening<'p>,
}

/// When each stage begins. Later days never have an earlier open day, so no latest is before its
/// earliest.
pub(in crate::plan) fn beginnings(flag: FlagPlan<'_>, start: Date) -> Vec<Beginning<'_>> {
    beginnings_after(flag, 0, OpenDays::of(flag.calendar()).from(start))
}

/// The same from the stage of a number on, which begins then.
fn beginnings_after<'p>(
    flag: FlagPlan<'p>,
    number: usize,
    first: Opening<'p>,
) -> Vec<Beginning<'p>> {
    let open = OpenDays::of(flag.calendar());
    let mut next = Beginning { earliest: first, latest: first };
    let stages = flag.stages().skip(number).map(|stage| {
        let begins = next;
        let (min, max) = days_of(stage.details());
        next = Beginning {
            earliest: open.from(begins.earliest.date.plus_days(min)),
            latest: open.from(begins.latest.date.plus_days(max)),
        };
        begins
    });
    stages.collect()
}

/// The whole days that a stage takes, at least and at most.
fn days_of(details: &StageDetails) -> (i32, i32) {
    let min = details.min_duration.map_or(0, whole_days);
    (min, details.max_duration.map_or(min, whole_days).max(min))
}

pub(in crate::plan) fn whole_days(duration: Duration) -> i32 {
    let minutes = duration.as_nanos().div_ceil(60_000_000_000);
    i32::try_from(minutes.div_ceil(week::DAY.into())).unwrap_or(i32::MAX)
}

fn end_of_last(begins: Period, details: &StageDetails) -> Period {
    let watched = details.watch.as_ref().map(|watch| whole_days(watch.lasts));
    let (min, max) = watched.map_or_else(|| days_of(details), |days| (days, days));
    Period { earliest: begins.earliest.plus_days(min), latest: begins.latest.plus_days(max) }
}

/// What is due, and how much more than the limit that would be.
fn due<'p>(stages: &[StagePeriod<'p>], messages: &'p [Message]) -> (Vec<Due<'p>>, usize) {
    let (mut all, mut unlisted) = (Vec::new(), 0);
    for StagePeriod { stage, begins, ends, .. } in stages {
        let of_stage = |message: &&Message| message.stage.is_none_or(|about| about == *stage);
        for message in messages.iter().filter(of_stage) {
            let begin = begins.earliest;
            // Every so many days from the first day on.
            let (first, count) = match message.when {
                When::Start => (begin, 1),
                When::Days(days) => (begin.plus_days(days), 1),
                When::End => (ends.earliest, 1),
                When::Weekly => (begin.plus_days(7), (begin.days_until(ends.earliest) - 1) / 7),
                When::RollBack | When::AsNeeded => continue,
            };
            let room = MAX_DUE_MESSAGES - all.len();
            let listed = usize::try_from(count).unwrap_or(0).min(room);
            unlisted += usize::try_from(count).unwrap_or(0) - listed;
            let dates = (0..count).map(|week| first.plus_days(7 * week)).take(listed);
            all.extend(dates.map(|date| Due { date, stage: *stage, message }));
        }
    }
    // Stable, so that those of a day stay in order of stages and messages.
    all.sort_by_key(|due| due.date);
    (all, unlisted)
}
