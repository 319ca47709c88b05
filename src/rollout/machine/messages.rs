//! Messages of the plan: which ones are due, and their text.

use std::time::{Duration, SystemTime};

use super::flag_view::{Decision, FlagView};
use super::state::PendingMessages;
use crate::eval::StageName;
use crate::plan::model::{Date, Message, Occasion, StagePeriod, Template, When};
use crate::rollout::tell::RenderedMessage;
use crate::rollout::{Fact, Stamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A message that is later than this is not sent: it is no longer news.
const MAX_DELAY: Duration = DAY;

/// The messages of one stage and one time (`when`), and the moment at which they are due.
struct ScheduledMessages {
    stage: StageName,
    when: When,
    /// Occurrence number; for weekly messages, the week.
    number: u32,
    due: SystemTime,
    /// The earliest day on which the stage begins, and the latest on which it ends.
    period: Option<(Date, Date)>,
    /// The cause of the rollback, for messages about one.
    reason: Option<Box<str>>,
}

/// Returns every message that is due and was not sent, with one fact for each stage and time.
pub(super) fn due(flag: &FlagView<'_, '_>) -> Decision {
    let mut decision = Decision::default();
    for messages in scheduled(flag) {
        let age = flag.now.at().duration_since(messages.due);
        if age.is_ok_and(|age| age <= MAX_DELAY) && !is_sent(flag, &messages) {
            add_messages(flag, &messages, &mut decision);
        }
    }
    decision
}

fn is_sent(flag: &FlagView<'_, '_>, messages: &ScheduledMessages) -> bool {
    let key = (messages.stage, messages.when);
    let mut sent = flag.state.sent_messages.iter();
    sent.any(|(stage, when, number)| (*stage, *when) == key && *number >= messages.number)
}

fn scheduled(flag: &FlagView<'_, '_>) -> Vec<ScheduledMessages> {
    let pending = flag.state.pending_messages.iter();
    let mut scheduled: Vec<_> = pending.map(|pending| of_pending(flag, pending)).collect();
    let periods = periods(flag);
    if !flag.state.complete {
        scheduled.extend(periods.first().into_iter().flat_map(|period| during_stage(flag, period)));
    }
    // While a freeze, a hold or an incident blocks promotions, the dates of later stages are unknown.
    let is_held = flag.state.hold.is_some() || flag.freeze().is_some();
    let has_dates = !is_held && flag.state.incident.is_none();
    if has_dates {
        let begun = usize::from(!flag.is_off());
        scheduled.extend(periods.iter().skip(begun).flat_map(|period| before_stage(flag, period)));
    }
    scheduled
}

/// Returns the dates of the present stage and the later ones. A flag that is off, without an incident, starts on the
/// plan's start date.
fn periods<'p>(flag: &FlagView<'_, 'p>) -> Vec<StagePeriod<'p>> {
    if !flag.is_off() {
        return flag.plan.timeline_from(flag.state.stage, day(flag, flag.state.since.at));
    }
    let start = flag.plan.start().filter(|_| flag.state.incident.is_none());
    start.map(|start| flag.plan.timeline(start).stages).unwrap_or_default()
}

fn of_pending(flag: &FlagView<'_, '_>, pending: &PendingMessages) -> ScheduledMessages {
    let began = day(flag, pending.began.at);
    let stages = flag.plan.timeline_from(pending.stage, began);
    let period = stages.first().map(|stage| (began, stage.ends.latest));
    let PendingMessages { stage, when, since, ref reason, .. } = *pending;
    ScheduledMessages { stage, when, number: 1, due: since.at, period, reason: reason.clone() }
}

/// Returns the messages of the present stage some days or weeks after it began.
fn during_stage(flag: &FlagView<'_, '_>, period: &StagePeriod<'_>) -> Vec<ScheduledMessages> {
    if flag.is_off() {
        return Vec::new();
    }
    let since = flag.state.since.at;
    let spent = flag.now.at().duration_since(since).unwrap_or_default();
    let weeks = u32::try_from(spent.as_secs() / (7 * DAY.as_secs())).unwrap_or(u32::MAX);
    message_times(flag, period.stage)
        .into_iter()
        .filter_map(|when| {
            let (number, days) = match when {
                When::Days(days @ 1..) => (1, days),
                When::Weekly if weeks > 0 => (weeks, i32::try_from(weeks).ok()?.checked_mul(7)?),
                _ => return None,
            };
            Some(schedule(period, when, number, days_after(since, days)?))
        })
        .collect()
}

/// Returns the messages some days before a later stage. If that day is before the present stage began, they were due
/// when it began.
fn before_stage(flag: &FlagView<'_, '_>, period: &StagePeriod<'_>) -> Vec<ScheduledMessages> {
    let since = flag.state.since.at;
    let begins = day(flag, since).days_until(period.begins.earliest);
    message_times(flag, period.stage)
        .into_iter()
        .filter_map(|when| match when {
            When::Days(days @ ..0) => {
                let due = days_after(since, begins.saturating_add(days).max(0))?;
                Some(schedule(period, when, 1, due))
            }
            _ => None,
        })
        .collect()
}

fn schedule(
    period: &StagePeriod<'_>,
    when: When,
    number: u32,
    due: SystemTime,
) -> ScheduledMessages {
    let days = (period.begins.earliest, period.ends.latest);
    ScheduledMessages { stage: period.stage, when, number, due, period: Some(days), reason: None }
}

/// Returns each time (`when`) that the messages of a stage name.
fn message_times(flag: &FlagView<'_, '_>, stage: StageName) -> Vec<When> {
    let mut times: Vec<When> = Vec::new();
    for (message, _) in messages_of_stage(flag, stage) {
        if !times.contains(&message.when) {
            times.push(message.when);
        }
    }
    times
}

/// Returns the messages of a stage with their channels. A message without a channel is never sent.
fn messages_of_stage<'p>(
    flag: &FlagView<'_, 'p>,
    stage: StageName,
) -> impl Iterator<Item = (&'p Message, &'p Box<str>)> + use<'p> {
    let messages = flag.plan.messages().iter();
    let about = messages.filter(move |message| message.stage.is_none_or(|about| about == stage));
    about.filter_map(|message| Some((message, message.channel.as_ref()?)))
}

/// Adds the filled-in messages and their fact to a decision.
fn add_messages(flag: &FlagView<'_, '_>, messages: &ScheduledMessages, decision: &mut Decision) {
    let (stage, when) = (messages.stage, messages.when);
    let mut occasion = Occasion::new(stage, flag.now.at());
    occasion.date = Some(day(flag, flag.now.at()));
    occasion.period = messages.period;
    occasion.reason = messages.reason.clone();
    let mut to: Vec<Box<str>> = Vec::new();
    let due = messages_of_stage(flag, stage).filter(|(message, _)| message.when == when);
    for (message, channel) in due {
        let render = |template: &Template| {
            // An unknown variable becomes an empty text, so that no `{{ name }}` reaches the recipient.
            template.render(|name| Some(flag.plan.variable(name, &occasion).unwrap_or_default()))
        };
        to.push(format!("{} by {channel}", message.audience).into());
        decision.messages.push(RenderedMessage {
            audience: message.audience,
            channel: channel.clone(),
            stage,
            when,
            subject: message.subject.as_ref().map(render),
            text: render(&message.template),
        });
    }
    if !to.is_empty() {
        let (when, number) = (when.to_string().into(), messages.number);
        decision.extend(flag.stays(Fact::Messaged { stage, when, number, to }));
    }
}

/// Returns the day in the plan's time zone.
fn day(flag: &FlagView<'_, '_>, at: SystemTime) -> Date {
    Date::of(at, &flag.plan.time_zone())
}

fn days_after(since: SystemTime, days: i32) -> Option<SystemTime> {
    since.checked_add(DAY.checked_mul(u32::try_from(days).ok()?)?)
}

/// Returns the pending messages after a promotion, in order. `from` is the stage that the flag left, `began` its
/// beginning.
pub(super) fn pending_after_promotion(
    mut pending: Vec<PendingMessages>,
    (from, began): (StageName, Stamp),
    since: Stamp,
) -> Vec<PendingMessages> {
    if from != StageName::OFF {
        pending.push(PendingMessages { stage: from, when: When::End, since, began, reason: None });
    }
    pending
}
