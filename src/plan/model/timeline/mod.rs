//! The timeline: when each stage begins, computed from a start and the stages' durations.

pub(in crate::plan) mod open_days;
pub(super) mod start;

use crate::eval::StageName;
use crate::plan::error::Excerpt;
use crate::plan::fields::{Fields, one_of, table, text};
use crate::plan::limits::MAX_DUE_MESSAGES;
use crate::plan::model::flag::FlagPlan;
use crate::plan::model::message::Message;
use crate::plan::model::sections::Context;
use crate::plan::model::stage::activity::{Activity, ActivityDay};
use crate::plan::model::stage::{Advance, StageDetails};
use crate::plan::model::time::date::Date;
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::timeline::open_days::{OpenDays, Opening};
use crate::plan::model::timeline::start::Start;
use crate::plan::model::{When, time::week, word};
use crate::plan::node::{Entry, Node};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The stages of a plan on the calendar.
///
/// *Earliest* means that every stage takes its `min_duration`. *Latest* means that every stage takes its
/// `max_duration`, or its `min_duration` if it has no maximum. A stage without durations takes no day. Durations
/// count as whole days, rounded up. If the plan's calendar allows no promotion on a day, the promotion moves to the
/// next day that does, and all later dates move with it.
///
/// The timeline depends on the document alone. It does not know in which stage the flag is.
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
    /// The start that was asked about. The first stage begins then, or on the next day that the calendar allows.
    pub start: Date,
    /// The stages, in order.
    pub stages: Vec<StagePeriod<'p>>,
    /// Every message that has a date, in order of date, stage and position in the plan. Messages of a rollback have
    /// no date.
    pub messages: Vec<Due<'p>>,
    /// The number of messages that the list has no room for. They are of later stages.
    pub unlisted_messages: usize,
}

/// A stage on the calendar.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StagePeriod<'p> {
    /// The name of the stage.
    pub stage: StageName,
    /// The owner of the stage in the timeline, or else the owner of the flag.
    pub owner: Option<&'p str>,
    /// The day on which the stage begins.
    pub begins: Period,
    /// The day on which the stage ends: the day of the next promotion.
    ///
    /// The last stage ends with its `watch`. Without a watch it ends after its durations, and without durations on
    /// its first day. The calendar does not move this day.
    pub ends: Period,
    /// The activities that have a day (`at`), in order of their first days.
    pub activities: Vec<DatedActivity<'p>>,
    /// The reason of the freeze that delays the earliest beginning. Days without hours are no freeze.
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
    /// The activity, with its days (`at`).
    pub activity: &'p Activity,
    /// The owner of the activity, or else of the stage.
    pub owner: Option<&'p str>,
    /// Its first day.
    pub begins: Date,
    /// Its last day. A daily or weekly activity lasts until the day before the stage ends, any other one day.
    pub ends: Date,
}

/// The earliest and the latest day of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The day, if every stage takes its minimum.
    pub earliest: Date,
    /// The day, if every stage takes its maximum.
    pub latest: Date,
}

/// A message on the calendar.
///
/// Days before or after a stage count from its earliest beginning, like `start`. `end` is its earliest end. `weekly`
/// is every seventh day between the two.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Due<'p> {
    /// The day, if every stage takes its minimum. It may be before the start of the rollout.
    pub date: Date,
    /// The stage that the message is about.
    pub stage: StageName,
    /// The message.
    pub message: &'p Message,
}

/// `timeline`: the start of a flag's rollout and the owners of its stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) struct TimelinePlan {
    pub(in crate::plan::model) start: Option<Start>,
    /// Whether a flag that is off begins by itself at the start.
    pub(in crate::plan::model) advance: Advance,
    pub(in crate::plan::model) owners: Vec<(StageName, Box<str>)>,
}

pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: Context<'_>,
    report: &mut Report<'a>,
) -> TimelinePlan {
    let Some(mut fields) = Fields::open(node, path, report) else { return TimelinePlan::default() };
    let start = fields.read("start", report, start::read).flatten();
    let advance = fields.read("advance", report, word::read).flatten().unwrap_or_default();
    if let Some(node) = fields.take("advance").filter(|_| advance == Advance::Auto)
        && fields.take("start").is_none()
    {
        let hint = "write `start`, the day or the moment at which the flag begins by itself";
        report.found(node, &path.field("advance"), "but there is no `start`", hint);
    }
    let owners = fields.read("owners", report, |node, path, report| {
        let entries = table(node, path, report).unwrap_or_default();
        let read = |entry| read_owner(entry, path, context, report);
        let mut owners: Vec<_> = entries.iter().filter_map(read).collect();
        owners.sort_unstable_by_key(|(position, ..)| *position);
        owners.into_iter().map(|(_, stage, owner)| (stage, owner)).collect()
    });
    fields.finish(report);
    TimelinePlan { start, advance, owners: owners.unwrap_or_default() }
}

/// Reads one owner. Returns the position and name of the stage, and the owner.
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

/// Returns the stages from position `first` on. `beginnings` has one entry for each of them.
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

/// Returns the activities that have a day, of a stage that begins and ends on these days.
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
    // On the same first day: `start`, then `daily`, `weekly` and `end`.
    dated.sort_by_key(|it| (it.begins, it.activity.at));
    dated
}

/// Returns the stages from `stage` on, for a flag that came to `stage` on the day `began`.
pub(in crate::plan::model) fn onward<'p>(
    flag: FlagPlan<'p>,
    plan: &'p TimelinePlan,
    stage: StageName,
    began: Date,
) -> Vec<StagePeriod<'p>> {
    let Some(first) = flag.stages().position(|known| known.name() == stage) else {
        return Vec::new();
    };
    // The stage has begun, even if the calendar would not allow that day.
    let begun = Opening { wished: began, freeze: None, date: began };
    periods(flag, plan, first, &beginnings_after(flag, first, begun))
}

/// The beginnings of a stage, if every earlier stage takes its minimum or its maximum.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Beginning<'p> {
    pub(in crate::plan) earliest: Opening<'p>,
    pub(in crate::plan) latest: Opening<'p>,
}

/// Returns when each stage begins.
///
/// A later day never has an earlier open day. So the latest beginning is never before the earliest.
pub(in crate::plan) fn beginnings(flag: FlagPlan<'_>, start: Date) -> Vec<Beginning<'_>> {
    beginnings_after(flag, 0, OpenDays::of(flag.calendar()).from(start))
}

/// Returns when each stage from position `number` on begins. The first of them begins on `first`.
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

/// Returns the whole days that a stage takes, at least and at most.
fn days_of(details: &StageDetails) -> (i32, i32) {
    let min = details.min_duration.map_or(0, whole_days);
    (min, details.max_duration.map_or(min, whole_days).max(min))
}

pub(in crate::plan) fn whole_days(duration: WrittenDuration) -> i32 {
    let minutes = duration.as_nanos().div_ceil(60_000_000_000);
    i32::try_from(minutes.div_ceil(week::DAY.into())).unwrap_or(i32::MAX)
}

fn end_of_last(begins: Period, details: &StageDetails) -> Period {
    let watched = details.watch.as_ref().map(|watch| whole_days(watch.lasts));
    let (min, max) = watched.map_or_else(|| days_of(details), |days| (days, days));
    Period { earliest: begins.earliest.plus_days(min), latest: begins.latest.plus_days(max) }
}

/// Returns the messages that have a date, and the number of those beyond the limit.
fn due<'p>(stages: &[StagePeriod<'p>], messages: &'p [Message]) -> (Vec<Due<'p>>, usize) {
    let (mut all, mut unlisted) = (Vec::new(), 0);
    for StagePeriod { stage, begins, ends, .. } in stages {
        let of_stage = |message: &&Message| message.stage.is_none_or(|about| about == *stage);
        for message in messages.iter().filter(of_stage) {
            let begin = begins.earliest;
            // `count` messages, every seventh day from `first` on.
            let (first, count) = match message.when {
                When::Start => (begin, 1),
                When::Days(days) => (begin.plus_days(days), 1),
                When::End => (ends.earliest, 1),
                When::Weekly => (begin.plus_days(7), (begin.days_until(ends.earliest) - 1) / 7),
                When::Rollback | When::AsNeeded => continue,
            };
            let room = MAX_DUE_MESSAGES - all.len();
            let listed = usize::try_from(count).unwrap_or(0).min(room);
            unlisted += usize::try_from(count).unwrap_or(0) - listed;
            let dates = (0..count).map(|week| first.plus_days(7 * week)).take(listed);
            all.extend(dates.map(|date| Due { date, stage: *stage, message }));
        }
    }
    // A stable sort: messages of one day stay in order of stage and position.
    all.sort_by_key(|due| due.date);
    (all, unlisted)
}
