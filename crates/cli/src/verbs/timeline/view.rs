//! The stages on the calendar, as every form of output has them.

use std::fmt;

use serde::{Serialize, Serializer};
use stagegate::model::{
    Calendar, ChecklistItem, Date, Due, FlagPlan, Freeze, Message, Period, Stage, StageDetails,
    StagePeriod, Template,
};

use crate::amount::Amount;

/// The timeline of a flag.
#[derive(Serialize)]
pub(crate) struct TimelineView<'p> {
    pub(super) flag: &'p str,
    pub(super) description: Option<&'p str>,
    pub(super) owner: Option<&'p str>,
    /// The day asked for.
    pub(super) start: Day,
    pub(super) stages: Vec<PeriodView<'p>>,
    /// In order of dates. Those of a roll-back have none and are not here.
    pub(super) messages: Vec<DueView<'p>>,
    /// Messages beyond the limit of the list.
    pub(super) unlisted_messages: usize,
    pub(super) calendar: Option<CalendarView<'p>>,
}

/// A stage on the calendar.
#[derive(Serialize)]
pub(super) struct PeriodView<'p> {
    pub(super) stage: String,
    pub(super) percent: Amount,
    pub(super) goal: Option<&'p str>,
    pub(super) owner: Option<&'p str>,
    pub(super) begins: Days,
    /// The day of the next promotion; for the last stage the day on which the watch, or else the
    /// stage, is over.
    pub(super) ends: Days,
    /// The reason of the freeze that makes it begin later than durations say.
    pub(super) delayed_by: Option<&'p str>,
    pub(super) activities: Vec<&'p str>,
    pub(super) decision: DecisionView<'p>,
}

/// The earliest and the latest day of something.
#[derive(Serialize)]
pub(super) struct Days {
    pub(super) earliest: Day,
    pub(super) latest: Day,
}

/// The go or no-go at the end of a stage.
#[derive(Serialize)]
pub(super) struct DecisionView<'p> {
    /// In a few words: `go to pilot: 3 to sign, 5 metrics`.
    pub(super) text: String,
    /// The stage it leads to; none where the rollout is complete.
    pub(super) to: Option<String>,
    /// What is to be signed.
    pub(super) checklist: Vec<SignView<'p>>,
    /// How many success criteria have to hold.
    pub(super) criteria: usize,
    /// How many metrics have to be on target.
    pub(super) metrics: usize,
}

#[derive(Serialize)]
pub(super) struct SignView<'p> {
    pub(super) id: &'p str,
    pub(super) text: &'p str,
    pub(super) owner: Option<&'p str>,
}

/// A message that is due, if every stage takes its minimum.
#[derive(Serialize)]
pub(super) struct DueView<'p> {
    pub(super) date: Day,
    pub(super) stage: String,
    pub(super) when: String,
    pub(super) audience: String,
    pub(super) channel: &'p str,
    /// With the variables as they are.
    pub(super) subject: Option<&'p str>,
    /// Which message of the plan, from 0.
    pub(super) message: usize,
    #[serde(skip)]
    pub(super) template: &'p str,
}

/// When a flag may be promoted.
#[derive(Serialize)]
pub(crate) struct CalendarView<'p> {
    pub(super) hours: String,
    pub(super) time_zone: String,
    pub(super) freezes: Vec<FreezeView<'p>>,
}

#[derive(Serialize)]
pub(super) struct FreezeView<'p> {
    pub(super) from: Day,
    /// The last day.
    pub(super) to: Day,
    pub(super) reason: &'p str,
}

/// A day. As JSON `"2026-01-05"`; printed for people with its weekday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// As `Mon 2026-01-05`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.weekday(), self.0)
    }
}

/// As `Mon 2026-01-05` or `Mon 2026-01-05 – Tue 2026-01-06`.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.earliest == self.latest {
            return self.earliest.fmt(f);
        }
        write!(f, "{} – {}", self.earliest, self.latest)
    }
}

impl<'p> TimelineView<'p> {
    pub(crate) fn of(flag: FlagPlan<'p>, start: Date) -> TimelineView<'p> {
        let timeline = flag.timeline(start);
        let stages: Vec<Stage<'p>> = flag.stages().collect();
        let next = |index: usize| stages.get(index + 1).map(|stage| stage.name().to_string());
        let periods = stages.iter().zip(&timeline.stages).enumerate();
        let periods =
            periods.map(|(index, (stage, period))| PeriodView::of(*stage, period, next(index)));
        TimelineView {
            flag: flag.key(),
            description: flag.description(),
            owner: flag.owner(),
            start: Day(timeline.start),
            stages: periods.collect(),
            messages: timeline
                .messages
                .iter()
                .map(|due| DueView::of(due, flag.messages()))
                .collect(),
            unlisted_messages: timeline.unlisted_messages,
            calendar: flag.calendar().map(CalendarView::of),
        }
    }
}

impl<'p> PeriodView<'p> {
    fn of(stage: Stage<'p>, period: &StagePeriod<'p>, next: Option<String>) -> PeriodView<'p> {
        let details: &'p StageDetails = stage.details();
        PeriodView {
            stage: stage.name().to_string(),
            percent: Amount::percent(stage.percent()),
            goal: details.goal.as_deref(),
            owner: period.owner,
            begins: Days::of(period.begins),
            ends: Days::of(period.ends),
            delayed_by: period.delayed_by,
            activities: details.activities.iter().map(|text| &**text).collect(),
            decision: DecisionView::of(details, next),
        }
    }
}

impl Days {
    fn of(period: Period) -> Days {
        Days { earliest: Day(period.earliest), latest: Day(period.latest) }
    }
}

impl<'p> DecisionView<'p> {
    fn of(details: &'p StageDetails, to: Option<String>) -> DecisionView<'p> {
        let checklist: Vec<_> = details.checklist.iter().map(SignView::of).collect();
        let (criteria, metrics) = (details.criteria.len(), details.metrics.len());
        let goal = match &to {
            Some(stage) => format!("go to {stage}"),
            None => "complete".to_owned(),
        };
        let counts = [
            (checklist.len(), "to sign", "to sign"),
            (criteria, "criterion", "criteria"),
            (metrics, "metric", "metrics"),
        ];
        let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
        let words = counts
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect::<Vec<_>>();
        let text = if words.is_empty() { goal } else { format!("{goal}: {}", words.join(", ")) };
        DecisionView { text, to, checklist, criteria, metrics }
    }
}

impl<'p> SignView<'p> {
    fn of(item: &'p ChecklistItem) -> SignView<'p> {
        SignView { id: &item.id, text: &item.text, owner: item.owner.as_deref() }
    }
}

impl<'p> DueView<'p> {
    fn of(due: &Due<'p>, messages: &'p [Message]) -> DueView<'p> {
        let message = due.message;
        DueView {
            date: Day(due.date),
            stage: due.stage.to_string(),
            when: message.when.to_string(),
            audience: message.audience.to_string(),
            channel: &message.channel,
            subject: message.subject.as_ref().map(Template::text),
            message: messages.iter().position(|each| std::ptr::eq(each, message)).unwrap_or(0),
            template: message.template.text(),
        }
    }
}

impl<'p> CalendarView<'p> {
    pub(crate) fn of(calendar: &'p Calendar) -> CalendarView<'p> {
        CalendarView {
            hours: calendar.hours.to_string(),
            time_zone: calendar.time_zone.to_string(),
            freezes: calendar.freezes.iter().map(FreezeView::of).collect(),
        }
    }
}

impl<'p> FreezeView<'p> {
    fn of(freeze: &'p Freeze) -> FreezeView<'p> {
        FreezeView { from: Day(freeze.from), to: Day(freeze.to), reason: &freeze.reason }
    }
}
