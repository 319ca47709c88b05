//! The communication plan: which of its messages are due, and what they say.

use std::time::{Duration, SystemTime};

use super::case::{Case, Draft};
use super::state::Owed;
use crate::eval::StageName;
use crate::plan::model::{Date, Message, Occasion, StagePeriod, Template, TimeZone, When};
use crate::rollout::tell::Letter;
use crate::rollout::{Fact, Stamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A message that is later than this says what nobody needs to be told any more.
const LATE: Duration = DAY;

/// A moment of the plan that has come.
struct Moment {
    stage: StageName,
    when: When,
    /// The how manieth: of a weekly message the week.
    number: u32,
    /// When it came.
    due: SystemTime,
    /// The days on which its stage begins and ends at the latest.
    period: Option<(Date, Date)>,
    reason: Option<Box<str>>,
}

/// Every message that is due and was not told of, each moment as a fact, with its letters.
pub(super) fn due(case: &Case<'_, '_>) -> Draft {
    let mut draft = Draft::default();
    for moment in moments(case) {
        let age = case.now.at().duration_since(moment.due);
        if age.is_ok_and(|age| age <= LATE) && !is_told(case, &moment) {
            tell(case, &moment, &mut draft);
        }
    }
    draft
}

fn is_told(case: &Case<'_, '_>, moment: &Moment) -> bool {
    let of = (moment.stage, moment.when);
    let mut messaged = case.state.messaged.iter();
    messaged.any(|(stage, when, number)| (*stage, *when) == of && *number >= moment.number)
}

fn moments(case: &Case<'_, '_>) -> Vec<Moment> {
    let mut moments: Vec<Moment> = case.state.owed.iter().map(|owed| of_owed(case, owed)).collect();
    let now = periods(case);
    if !case.state.complete {
        moments.extend(now.first().into_iter().flat_map(|period| of_stage(case, period)));
    }
    // What is held or looked into goes on nobody knows when.
    let goes_on = case.state.hold.is_none() && case.state.incident.is_none();
    if goes_on {
        let begun = usize::from(!case.is_off());
        moments.extend(now.iter().skip(begun).flat_map(|period| before_stage(case, period)));
    }
    moments
}

/// The stages from the present one on. A flag that is off and was not taken back begins when its document says.
fn periods<'p>(case: &Case<'_, 'p>) -> Vec<StagePeriod<'p>> {
    if !case.is_off() {
        return case.plan.timeline_from(case.state.stage, day(case, case.state.since.at));
    }
    let start = case.plan.start().filter(|_| case.state.incident.is_none());
    start.map(|start| case.plan.timeline(start).stages).unwrap_or_default()
}

fn of_owed(case: &Case<'_, '_>, owed: &Owed) -> Moment {
    let began = day(case, owed.began.at);
    let stages = case.plan.timeline_from(owed.stage, began);
    let period = stages.first().map(|stage| (began, stage.ends.latest));
    let Owed { stage, when, since, ref reason, .. } = *owed;
    Moment { stage, when, number: 1, due: since.at, period, reason: reason.clone() }
}

/// Days after the present stage began, and its weeks.
fn of_stage(case: &Case<'_, '_>, period: &StagePeriod<'_>) -> Vec<Moment> {
    if case.is_off() {
        return Vec::new();
    }
    let since = case.state.since.at;
    let spent = case.now.at().duration_since(since).unwrap_or_default();
    let weeks = u32::try_from(spent.as_secs() / (7 * DAY.as_secs())).unwrap_or(u32::MAX);
    whens(case, period.stage)
        .into_iter()
        .filter_map(|when| {
            let (number, days) = match when {
                When::Days(days @ 1..) => (1, days),
                When::Weekly if weeks > 0 => (weeks, i32::try_from(weeks).ok()?.checked_mul(7)?),
                _ => return None,
            };
            Some(moment(period, when, number, after(since, days)?))
        })
        .collect()
}

/// Days before a stage that is to come; what would have been before the present stage began is due with it.
fn before_stage(case: &Case<'_, '_>, period: &StagePeriod<'_>) -> Vec<Moment> {
    let since = case.state.since.at;
    let begins = day(case, since).days_until(period.begins.earliest);
    whens(case, period.stage)
        .into_iter()
        .filter_map(|when| match when {
            When::Days(days @ ..0) => {
                Some(moment(period, when, 1, after(since, begins.saturating_add(days).max(0))?))
            }
            _ => None,
        })
        .collect()
}

fn moment(period: &StagePeriod<'_>, when: When, number: u32, due: SystemTime) -> Moment {
    let days = (period.begins.earliest, period.ends.latest);
    Moment { stage: period.stage, when, number, due, period: Some(days), reason: None }
}

/// The moments of a stage that some message names, each once.
fn whens(case: &Case<'_, '_>, stage: StageName) -> Vec<When> {
    let mut whens: Vec<When> = Vec::new();
    for (message, _) in of(case, stage) {
        if !whens.contains(&message.when) {
            whens.push(message.when);
        }
    }
    whens
}

/// The messages about a stage that are sent, with their channels. A message without a channel is for people to read in the plan.
fn of<'p>(
    case: &Case<'_, 'p>,
    stage: StageName,
) -> impl Iterator<Item = (&'p Message, &'p Box<str>)> + use<'p> {
    let messages = case.plan.messages().iter();
    let about = messages.filter(move |message| message.stage.is_none_or(|about| about == stage));
    about.filter_map(|message| Some((message, message.channel.as_ref()?)))
}

fn tell(case: &Case<'_, '_>, moment: &Moment, draft: &mut Draft) {
    let (stage, when) = (moment.stage, moment.when);
    let mut occasion = Occasion::new(stage, case.now.at());
    occasion.date = Some(day(case, case.now.at()));
    occasion.period = moment.period;
    occasion.reason = moment.reason.clone();
    let mut to: Vec<Box<str>> = Vec::new();
    for (message, channel) in of(case, stage).filter(|(message, _)| message.when == when) {
        let render = |template: &Template| {
            // What the occasion does not tell is left out, and not shown as a name.
            template.render(|name| Some(case.plan.variable(name, &occasion).unwrap_or_default()))
        };
        to.push(format!("{} by {channel}", message.audience).into());
        draft.letters.push(Letter {
            audience: message.audience,
            channel: channel.clone(),
            stage,
            when,
            subject: message.subject.as_ref().map(render),
            text: render(&message.template),
        });
    }
    if !to.is_empty() {
        let (when, number) = (when.to_string().into(), moment.number);
        draft.extend(case.stays(Fact::Messaged { stage, when, number, to }));
    }
}

/// The day in the time zone of the plan's calendar, or in UTC.
fn day(case: &Case<'_, '_>, at: SystemTime) -> Date {
    match case.plan.calendar() {
        Some(calendar) => Date::of(at, &calendar.time_zone),
        None => Date::of(at, &TimeZone::UTC),
    }
}

fn after(since: SystemTime, days: i32) -> Option<SystemTime> {
    since.checked_add(DAY.checked_mul(u32::try_from(days).ok()?)?)
}

/// What is to be said once a flag has gone up, in order; `from` is where it was, and since when.
pub(super) fn owed_by_promotion(
    mut owed: Vec<Owed>,
    (from, began): (StageName, Stamp),
    since: Stamp,
) -> Vec<Owed> {
    if from != StageName::OFF {
        owed.push(Owed { stage: from, when: When::End, since, began, reason: None });
    }
    owed
}
