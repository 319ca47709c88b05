//! The dates of a rollout. All output formats share them.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde::{Serialize, Serializer};
use stagegate::model::{
    Activity, ActivityDay, Calendar, Criterion, Date, DatedActivity, Due, FlagPlan, Freeze,
    Occasion, Period, Stage, StageDetails, StagePeriod, Template, TimeZone,
};

use crate::amount::Amount;
use crate::verbs::messages;

/// The text for an owner that the plan does not name.
pub(super) const UNKNOWN_OWNER: &str = "[Name]";
const DECISION: &str = "Go/no-go decision";
const COMPLETION: &str = "Rollout complete";

/// The timeline of a flag.
#[derive(Serialize)]
pub(crate) struct TimelineView<'p> {
    pub(super) flag: &'p str,
    pub(super) description: Option<&'p str>,
    pub(super) owner: Option<&'p str>,
    /// The first day of the first stage.
    pub(super) start: Day,
    /// The moment of the start, if the document states one and `--start` does not replace it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_moment: Option<String>,
    /// The dated activities and the decision of each stage, in order of stages.
    pub(super) rows: Vec<RowView<'p>>,
    pub(super) stages: Vec<PeriodView<'p>>,
    /// The messages with a date, in order of date.
    pub(super) messages: Vec<DueView<'p>>,
    /// The number of messages beyond the limit of the list.
    pub(super) unlisted_messages: usize,
    pub(super) calendar: Option<CalendarView<'p>>,
}

/// A dated activity of a stage, or the decision at its end.
#[derive(Serialize)]
pub(super) struct RowView<'p> {
    pub(super) begins: Day,
    /// The last day.
    pub(super) ends: Day,
    /// `start`, `daily`, `weekly` or `end`.
    #[serde(serialize_with = "as_text")]
    pub(super) at: ActivityDay,
    pub(super) stage: String,
    pub(super) kind: RowKind,
    pub(super) activity: &'p str,
    pub(super) owner: Option<&'p str>,
    /// The activity's number in the stage, from 1; 0 for a decision.
    #[serde(skip)]
    pub(super) number: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RowKind {
    Activity,
    Decision,
    /// The end of the last stage.
    Completion,
}

/// A stage with its dates.
#[derive(Serialize)]
pub(super) struct PeriodView<'p> {
    pub(super) stage: String,
    pub(super) percent: Amount,
    /// The groups whose users the percentage refers to. Empty: all users.
    pub(super) within: Vec<&'p str>,
    pub(super) goal: Option<&'p str>,
    pub(super) owner: Option<&'p str>,
    pub(super) begins: Days,
    /// The day of the next promotion. For the last stage, the day on which its watch ends, or else the
    /// stage itself.
    pub(super) ends: Days,
    /// The reason of a freeze that delays the stage.
    pub(super) delayed_by: Option<&'p str>,
    /// The activities that have no day.
    pub(super) activities: Vec<ActivityView<'p>>,
    pub(super) decision: DecisionView<'p>,
}

/// An activity without a day.
#[derive(Serialize)]
pub(super) struct ActivityView<'p> {
    pub(super) text: &'p str,
    /// `None` means the owner of the stage.
    pub(super) owner: Option<&'p str>,
}

/// The earliest and the latest possible day of an event.
#[derive(Serialize)]
pub(super) struct Days {
    pub(super) earliest: Day,
    pub(super) latest: Day,
}

/// The go/no-go decision at the end of a stage.
#[derive(Serialize)]
pub(super) struct DecisionView<'p> {
    /// A short description: `go to pilot: 3 checklist items, 5 metrics`.
    pub(super) text: String,
    /// The next stage. `None` if the decision completes the rollout.
    pub(super) to: Option<String>,
    pub(super) checklist: Vec<CheckView<'p>>,
    /// The number of success criteria.
    pub(super) criteria: usize,
    /// The number of metrics that must be on target.
    pub(super) metrics: usize,
}

/// An item of the go/no-go checklist.
#[derive(Serialize)]
pub(super) struct CheckView<'p> {
    /// The id to sign it off by. `None` if a metric decides it.
    pub(super) id: Option<&'p str>,
    pub(super) text: String,
    pub(super) owner: Option<&'p str>,
}

/// A due message, if every stage takes its minimum duration.
#[derive(Serialize)]
pub(super) struct DueView<'p> {
    pub(super) date: Day,
    pub(super) stage: String,
    pub(super) when: String,
    pub(super) audience: String,
    /// `None` if stagegate does not send it.
    pub(super) channel: Option<&'p str>,
    /// How people will deliver it, in words.
    pub(super) method: Option<&'p str>,
    pub(super) subject: Option<String>,
    /// The index of the message in the plan, from 0.
    pub(super) message: usize,
    #[serde(skip)]
    template: &'p Template,
    #[serde(skip)]
    flag: FlagPlan<'p>,
    #[serde(skip)]
    occasion: Occasion,
}

/// The hours in which promotions are allowed.
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

/// A day: `"2026-01-05"` in JSON, with its weekday in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub(super) Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Writes `Mon 2026-01-05`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.weekday(), self.0)
    }
}

/// Writes `Mon 2026-01-05` or `Mon 2026-01-05 – Tue 2026-01-06`.
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
            start_moment: flag
                .start_moment()
                .filter(|moment| moment.day.is_none() && flag.start() == Some(start))
                .map(|moment| moment.to_string()),
            rows: RowView::all_of(flag, &timeline.stages),
            stages: periods.collect(),
            messages: timeline
                .messages
                .iter()
                .map(|due| DueView::of(due, flag, &timeline.stages))
                .collect(),
            unlisted_messages: timeline.unlisted_messages,
            calendar: flag.calendar().map(CalendarView::of),
        }
    }
}

impl<'p> RowView<'p> {
    /// Returns the rows of a flag whose stages have these dates.
    fn all_of(flag: FlagPlan<'p>, periods: &[StagePeriod<'p>]) -> Vec<RowView<'p>> {
        let rows = flag.stages().zip(periods).enumerate().flat_map(|(index, (stage, period))| {
            RowView::of_stage(stage.details(), period, index + 1 == periods.len())
        });
        rows.collect()
    }

    /// Returns the dated activities of a stage in order of day, then its decision.
    fn of_stage(
        details: &'p StageDetails,
        period: &StagePeriod<'p>,
        is_last: bool,
    ) -> Vec<RowView<'p>> {
        let of_activity = |dated: &DatedActivity<'p>| {
            let is_it = |activity: &Activity| std::ptr::eq(activity, dated.activity);
            Some(RowView {
                begins: Day(dated.begins),
                ends: Day(dated.ends),
                at: dated.activity.at?,
                stage: period.stage.to_string(),
                kind: RowKind::Activity,
                activity: &dated.activity.text,
                owner: dated.owner,
                number: details.activities.iter().position(is_it).unwrap_or(0) + 1,
            })
        };
        let mut rows: Vec<_> = period.activities.iter().filter_map(of_activity).collect();
        let (kind, text) = match is_last {
            false => (RowKind::Decision, DECISION),
            true => (RowKind::Completion, COMPLETION),
        };
        // An activity at the end of the last stage replaces the row for the completion.
        if !is_last || rows.iter().all(|row| row.at != ActivityDay::End) {
            let day = Day(period.ends.earliest);
            rows.push(RowView {
                begins: day,
                ends: day,
                at: ActivityDay::End,
                stage: period.stage.to_string(),
                kind,
                activity: text,
                owner: period.owner,
                number: 0,
            });
        }
        rows
    }

    pub(super) fn is_activity(&self) -> bool {
        self.kind == RowKind::Activity
    }

    /// Returns how many times a daily or weekly activity takes place.
    pub(super) fn occurrences(&self) -> i32 {
        1 + self.begins.0.days_until(self.ends.0) / self.days_apart().unwrap_or(1)
    }

    /// Returns the days from one occurrence to the next, or `None` for an activity on one day.
    pub(super) fn days_apart(&self) -> Option<i32> {
        match self.at {
            ActivityDay::Daily => Some(1),
            ActivityDay::Weekly => Some(7),
            _ => None,
        }
    }

    pub(super) fn owner(&self) -> &'p str {
        self.owner.unwrap_or(UNKNOWN_OWNER)
    }

    /// Formats the days: `Mon 2026-01-05`, or `Mon 2026-01-05 – Tue 2026-01-06, daily`.
    pub(super) fn dates(&self) -> String {
        let (earliest, latest) = (self.begins, self.ends);
        let days = Days { earliest, latest };
        match self.days_apart() {
            Some(_) => format!("{days}, {}", self.at),
            None => days.to_string(),
        }
    }
}

/// Serializes a value as its text.
fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl<'p> PeriodView<'p> {
    fn of(stage: Stage<'p>, period: &StagePeriod<'p>, next: Option<String>) -> PeriodView<'p> {
        let details: &'p StageDetails = stage.details();
        PeriodView {
            stage: stage.name().to_string(),
            percent: Amount::percent(stage.percent()),
            within: stage.within().collect(),
            goal: details.goal.as_deref(),
            owner: period.owner,
            begins: Days::of(period.begins),
            ends: Days::of(period.ends),
            delayed_by: period.delayed_by,
            activities: details.activities.iter().filter_map(ActivityView::undated).collect(),
            decision: DecisionView::of(details, next),
        }
    }
}

impl<'p> ActivityView<'p> {
    fn undated(activity: &'p Activity) -> Option<ActivityView<'p>> {
        let owner = activity.owner.as_deref();
        activity.at.is_none().then_some(ActivityView { text: &activity.text, owner })
    }
}

impl Days {
    fn of(period: Period) -> Days {
        Days { earliest: Day(period.earliest), latest: Day(period.latest) }
    }
}

impl<'p> DecisionView<'p> {
    fn of(details: &'p StageDetails, to: Option<String>) -> DecisionView<'p> {
        let checklist: Vec<_> = details.checklist.iter().map(CheckView::of).collect();
        let (criteria, metrics) = (details.criteria.len(), details.metrics.len());
        let goal = match &to {
            Some(stage) => format!("go to {stage}"),
            None => "complete".to_owned(),
        };
        let counts = [
            (checklist.len(), "checklist item", "checklist items"),
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

impl<'p> CheckView<'p> {
    fn of(item: &'p Criterion) -> CheckView<'p> {
        match item {
            Criterion::Metric { metric, target, sustained, text, .. } => {
                let text = text.as_ref().map(|text| format!("{text}: ")).unwrap_or_default();
                let lasting = sustained.map(|time| format!(" for {}", Amount::duration(time)));
                let lasting = lasting.unwrap_or_default();
                let text = format!("{text}{} {target}{lasting}", metric.title);
                CheckView { id: None, text, owner: None }
            }
            Criterion::Manual { id, text, owner, .. } => {
                CheckView { id: Some(id), text: text.to_string(), owner: owner.as_deref() }
            }
            _ => CheckView { id: None, text: String::new(), owner: None },
        }
    }
}

impl<'p> DueView<'p> {
    fn of(due: &Due<'p>, flag: FlagPlan<'p>, periods: &[StagePeriod<'p>]) -> DueView<'p> {
        let message = due.message;
        let occasion = messages::occasion(due.stage, due.date, periods);
        let mut all = flag.messages().iter();
        DueView {
            date: Day(due.date),
            stage: due.stage.to_string(),
            when: message.when.to_string(),
            audience: message.audience.to_string(),
            channel: message.channel.as_deref(),
            method: message.method.as_deref(),
            subject: message.subject.as_ref().map(|subject| filled(subject, flag, &occasion)),
            message: all.position(|each| std::ptr::eq(each, message)).unwrap_or(0),
            template: &message.template,
            flag,
            occasion,
        }
    }

    /// Returns the text with its variables filled in. Computed on demand, because few outputs show it.
    pub(super) fn text(&self) -> String {
        filled(self.template, self.flag, &self.occasion)
    }

    /// Returns the channel, or else how people will deliver the message.
    pub(super) fn way(&self) -> Option<&'p str> {
        self.channel.or(self.method)
    }
}

/// Fills in the variables of a text. A variable without a known value becomes `[name]`.
fn filled(template: &Template, flag: FlagPlan<'_>, occasion: &Occasion) -> String {
    template
        .render(|name| Some(flag.variable(name, occasion).unwrap_or_else(|| format!("[{name}]"))))
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

/// A row of the timeline of a rollout without a start.
#[derive(Serialize)]
pub(crate) struct UndatedView<'p> {
    /// `start`, `daily`, `weekly` or `end`.
    #[serde(serialize_with = "as_text")]
    at: ActivityDay,
    stage: String,
    activity: &'p str,
    owner: Option<&'p str>,
}

impl<'p> UndatedView<'p> {
    pub(crate) fn all_of(flag: FlagPlan<'p>) -> Vec<UndatedView<'p>> {
        // The rows do not depend on the start.
        let start = Date::of(UNIX_EPOCH, &TimeZone::UTC);
        let rows = RowView::all_of(flag, &flag.timeline(start).stages).into_iter();
        let undated =
            |RowView { at, stage, activity, owner, .. }| UndatedView { at, stage, activity, owner };
        rows.map(undated).collect()
    }
}
