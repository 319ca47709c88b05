//! The timeline as a Gantt chart.

use std::fmt::Write as _;

use stagegate::model::{Calendar, Date, Weekday};

use super::chart::{Axis, truncated, width_of};
use super::view::{DueView, PeriodView, RowView, TimelineView};
use crate::escape::xml;

const WIDTH: i64 = 1040;
/// The position of the stage names.
const MARGIN: i64 = 20;
/// The position of the first day.
const LEFT: i64 = 220;
const RIGHT: i64 = WIDTH - MARGIN;
/// The position of the first row.
const FIRST_ROW_Y: i64 = 92;
const ROW_HEIGHT: i64 = 46;
const BAR_HEIGHT: i64 = 22;
/// The height of an activity's line below its stage, and of the mark in that line.
const ACTIVITY_HEIGHT: i64 = 20;
const MARK_SIZE: i64 = 8;
/// The space below the activities of a stage.
const STAGE_GAP: i64 = 10;
/// The least width for a text next to a mark.
const MIN_LABEL_WIDTH: i64 = 60;
/// The most messages that the tooltip of a mark names.
const MAX_NAMED_MESSAGES: usize = 12;

const STYLE: &str = "\
text { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; \
font-size: 13px; fill: #1f2933; }\n\
.title { font-size: 18px; font-weight: 600; }\n\
.name { font-weight: 600; }\n\
.small { font-size: 11px; fill: #616e7c; }\n\
.before { text-anchor: end; }\n\
.paper { fill: #ffffff; }\n\
.weekend { fill: #e9edf1; }\n\
.freeze { fill: #fde2c8; }\n\
.grid { stroke: #d9dee3; stroke-width: 1; }\n\
.stage { fill: #2563a8; }\n\
.latest { fill: #b6d0ec; }\n\
.decision { fill: #d97706; stroke: #ffffff; stroke-width: 1; }\n\
.activity { fill: #7a5ea8; }\n\
.span { fill: #d9cfea; }\n\
.message { fill: #4d7c5a; }\n";

/// Draws the chart of a timeline. Shades the days on which the calendar allows no promotions.
pub(super) fn chart(view: &TimelineView<'_>, calendar: Option<&Calendar>) -> String {
    Chart::new(view, calendar).draw()
}

struct Chart<'v> {
    view: &'v TimelineView<'v>,
    calendar: Option<&'v Calendar>,
    axis: Axis,
    first: Date,
    last: Date,
    /// The lower end of the last row.
    bottom: i64,
    svg: String,
}

impl<'v> Chart<'v> {
    fn new(view: &'v TimelineView<'v>, calendar: Option<&'v Calendar>) -> Chart<'v> {
        let messages = || view.messages.iter().map(|due| due.date.0);
        let first = messages().chain([view.start.0]).min().unwrap_or(view.start.0);
        let ends = view.stages.iter().map(|stage| stage.ends.latest.0);
        let last = messages().chain(ends).max().unwrap_or(first);
        let stages: i64 = view.stages.iter().map(|stage| height_of(view, stage)).sum();
        let bottom = FIRST_ROW_Y + stages + if view.messages.is_empty() { 0 } else { ROW_HEIGHT };
        let axis = Axis::new(first, last, LEFT, RIGHT - LEFT);
        Chart { view, calendar, axis, first, last, bottom, svg: String::new() }
    }

    fn draw(mut self) -> String {
        let height = self.bottom + 84;
        let title = format!("Rollout of {}", self.view.flag);
        let description = format!("{} to {}.{}", self.first, self.last, self.description());
        let _ = writeln!(
            self.svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">"
        );
        let _ = writeln!(self.svg, "<title id=\"title\">{}</title>", xml(&title));
        let _ = writeln!(self.svg, "<desc id=\"desc\">{}</desc>", xml(&description));
        let _ = writeln!(self.svg, "<style>\n{STYLE}</style>");
        self.rectangle("paper", (0, WIDTH), 0, height, None);
        self.text("title", MARGIN, 34, &truncated(&title, WIDTH - 2 * MARGIN, 20));
        self.days_without_promotions();
        self.grid();
        let mut top = FIRST_ROW_Y;
        for stage in &self.view.stages {
            self.stage(top, stage);
            for (line, row) in (0..).zip(activities(self.view, stage)) {
                self.activity(top + ROW_HEIGHT + line * ACTIVITY_HEIGHT, stage, row);
            }
            top += height_of(self.view, stage);
        }
        if !self.view.messages.is_empty() {
            self.messages(self.bottom - ROW_HEIGHT);
        }
        self.legend(self.bottom + 52);
        self.svg.push_str("</svg>\n");
        self.svg
    }

    /// Returns a description of the chart for screen readers.
    fn description(&self) -> String {
        let sentence = |stage: &PeriodView<'_>| {
            let (name, percent) = (&stage.stage, &stage.percent.text);
            let stage_text =
                format!(" {name} ({percent}) begins {} and ends {}.", stage.begins, stage.ends);
            let rows = activities(self.view, stage);
            let rows = rows.map(|row| format!(" {}: {}.", row.dates(), row.activity));
            stage_text + &rows.collect::<String>()
        };
        self.view.stages.iter().map(sentence).collect()
    }

    /// Shades the days on which no promotion is allowed. Adjacent days become one rectangle.
    fn days_without_promotions(&mut self) {
        let calendar = self.calendar;
        if self.axis.shows_days() {
            let is_closed = |date: &Date| match calendar {
                Some(calendar) => !calendar.allows_on(*date),
                None => matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday),
            };
            let mut spans: Vec<(Date, Date)> = Vec::new();
            for date in self.axis.dates().filter(is_closed) {
                match spans.last_mut() {
                    Some((_, last)) if last.plus_days(1) == date => *last = date,
                    _ => spans.push((date, date)),
                }
            }
            for (from, to) in spans {
                self.days("weekend", from, to, None);
            }
        }
        for freeze in calendar.map(|calendar| calendar.freezes.as_slice()).unwrap_or_default() {
            if freeze.to >= self.first && freeze.from <= self.last {
                let note = format!("{} to {}: {}", freeze.from, freeze.to, freeze.reason);
                self.days("freeze", freeze.from, freeze.to, Some(&note));
            }
        }
    }

    fn days(&mut self, class: &str, from: Date, to: Date, note: Option<&str>) {
        let span = (self.axis.x(from), self.axis.end_of(to));
        self.rectangle(class, span, FIRST_ROW_Y - 8, self.bottom - FIRST_ROW_Y + 8, note);
    }

    fn grid(&mut self) {
        for tick in self.axis.ticks() {
            let x = self.axis.x(tick.date);
            let _ = writeln!(
                self.svg,
                "<line class=\"grid\" x1=\"{x}\" y1=\"{}\" x2=\"{x}\" y2=\"{}\"/>",
                FIRST_ROW_Y - 12,
                self.bottom
            );
            // Keep the label within the chart.
            let x = x.min(RIGHT - width_of(&tick.label, 11));
            self.text("small", x, FIRST_ROW_Y - 18, &tick.label);
        }
    }

    fn stage(&mut self, top: i64, stage: &PeriodView<'_>) {
        let percent = format!(" · {}", stage.percent.text);
        let room = LEFT - MARGIN - 16;
        let name = truncated(&stage.stage, room - width_of(&percent, 14), 14);
        let label = format!("{name}{percent}");
        self.text("name", MARGIN, top + 16, &label);
        if let Some(owner) = stage.owner {
            self.text("small", MARGIN, top + 32, &truncated(owner, room, 11));
        }
        let x = |date: Date| self.axis.x(date);
        let from = x(stage.begins.earliest.0);
        let to = x(stage.ends.earliest.0).max(from + 3);
        let latest = x(stage.ends.latest.0).max(to);
        let note =
            format!("{}{percent}: begins {}, ends {}", stage.stage, stage.begins, stage.ends);
        let y = top + 8;
        if latest > to {
            self.rectangle("latest", (from, latest), y, BAR_HEIGHT, Some(&note));
        }
        self.rectangle("stage", (from, to), y, BAR_HEIGHT, Some(&note));
        self.decision(to, y + BAR_HEIGHT / 2, stage);
        self.label_dates((from, latest + 10), y + 15, stage);
    }

    /// Writes the dates to the right of the bar, or to its left. Without room, the bar's tooltip still shows them.
    fn label_dates(&mut self, (from, to): (i64, i64), y: i64, stage: &PeriodView<'_>) {
        let dates = format!("{} → {}", stage.begins.earliest, stage.ends.earliest);
        let width = width_of(&dates, 11);
        if to + 4 + width <= RIGHT {
            self.text("small", to + 4, y, &dates);
        } else if from - 6 - width >= LEFT {
            self.text("small", from - 6 - width, y, &dates);
        }
    }

    fn decision(&mut self, x: i64, y: i64, stage: &PeriodView<'_>) {
        let note = format!("{}: {}", stage.ends.earliest, stage.decision.text);
        self.diamond("decision", (x, y), Some(&note));
    }

    /// Draws a mark on each day of an activity, and its text next to the marks.
    fn activity(&mut self, top: i64, stage: &PeriodView<'_>, row: &RowView<'_>) {
        let note = format!("{}: {} ({})", row.dates(), row.activity, row.owner());
        let y = top + (ACTIVITY_HEIGHT - MARK_SIZE) / 2;
        let (from, end) = (self.axis.x(row.begins.0), self.axis.end_of(row.ends.0));
        let end = end.max(from + 3);
        match row.days_apart() {
            Some(days) if days > 1 && self.axis.shows_days() => {
                self.rectangle("span", (from, end), y + MARK_SIZE / 2 - 1, 2, Some(&note));
                for nth in 0..row.occurrences() {
                    let day = row.begins.0.plus_days(nth * days);
                    let span = (self.axis.x(day), self.axis.end_of(day));
                    self.rectangle("activity", span, y, MARK_SIZE, Some(&note));
                }
            }
            _ => self.rectangle("activity", (from, end), y, MARK_SIZE, Some(&note)),
        }
        let (margin, y) = (LEFT - MARGIN - 16, top + ACTIVITY_HEIGHT / 2 + 4);
        if !self.label((from, end), y, row.activity) {
            self.text("small", MARGIN, y, &truncated(row.activity, margin, 11));
        } else if let Some(owner) = row.owner.filter(|owner| Some(*owner) != stage.owner) {
            self.text("small", MARGIN, y, &truncated(owner, margin, 11));
        }
    }

    /// Writes a text to the right of a mark, or to its left if there is more room. Returns whether there
    /// was room at all.
    fn label(&mut self, (from, to): (i64, i64), y: i64, text: &str) -> bool {
        let (left, right) = (from - 6 - LEFT, RIGHT - to - 6);
        let width = width_of(text, 11);
        if width <= right || (right >= left && right >= MIN_LABEL_WIDTH) {
            self.text("small", to + 6, y, &truncated(text, right, 11));
            return true;
        }
        if left >= MIN_LABEL_WIDTH {
            self.text("small before", from - 6, y, &truncated(text, left, 11));
            return true;
        }
        false
    }

    /// Draws one mark for each pixel with messages, so that many messages need few marks.
    fn messages(&mut self, top: i64) {
        self.text("name", MARGIN, top + 20, "messages");
        let mut marks: Vec<(i64, Vec<&DueView<'_>>)> = Vec::new();
        for due in &self.view.messages {
            let x = self.axis.x(due.date.0);
            match marks.last_mut() {
                Some((last, dues)) if *last == x => dues.push(due),
                _ => marks.push((x, vec![due])),
            }
        }
        for (x, dues) in marks {
            let named = dues.iter().take(MAX_NAMED_MESSAGES).map(|due| {
                let DueView { date, audience, stage, when, .. } = due;
                let way = due.way().map(|way| format!(", {way}")).unwrap_or_default();
                format!("{date}: {audience}{way} ({stage} {when})")
            });
            let mut note = named.collect::<Vec<_>>().join("; ");
            if dues.len() > MAX_NAMED_MESSAGES {
                let _ = write!(note, "; and {} more", dues.len() - MAX_NAMED_MESSAGES);
            }
            self.triangle("message", (x, top + 10), Some(&note));
        }
    }

    fn legend(&mut self, y: i64) {
        let closed = if self.calendar.is_some() { "no promotions" } else { "weekend" };
        let keys = [
            ("stage", "minimum durations"),
            ("latest", "maximum durations"),
            ("decision", "go/no-go"),
            ("activity", "activity"),
            ("message", "message due"),
            ("weekend", closed),
            ("freeze", "freeze"),
        ];
        let mut x = MARGIN;
        for (class, label) in keys {
            let (class, middle, y) = (format!("key {class}"), x + 7, y - 4);
            match class.as_str() {
                "key decision" => self.diamond(&class, (middle, y), None),
                "key message" => self.triangle(&class, (middle, y - 6), None),
                "key activity" => {
                    self.rectangle(&class, (x, x + 14), y - MARK_SIZE / 2, MARK_SIZE, None);
                }
                _ => self.rectangle(&class, (x, x + 14), y - 7, 14, None),
            }
            self.text("small", x + 20, y + 4, label);
            x += 20 + width_of(label, 11) + 16;
        }
    }

    fn diamond(&mut self, class: &str, (x, y): (i64, i64), note: Option<&str>) {
        let points = format!("{x},{} {},{y} {x},{} {},{y}", y - 9, x + 9, y + 9, x - 9);
        self.draw_shape(&format!("<polygon class=\"{class}\" points=\"{points}\""), note);
    }

    /// Draws a triangle that stands on its point. `y` is its upper side.
    fn triangle(&mut self, class: &str, (x, y): (i64, i64), note: Option<&str>) {
        let points = format!("{},{y} {},{y} {x},{}", x - 5, x + 5, y + 12);
        self.draw_shape(&format!("<polygon class=\"{class}\" points=\"{points}\""), note);
    }

    fn rectangle(
        &mut self,
        class: &str,
        (from, to): (i64, i64),
        y: i64,
        height: i64,
        note: Option<&str>,
    ) {
        let width = (to - from).max(1);
        let shape = format!(
            "<rect class=\"{class}\" x=\"{from}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""
        );
        self.draw_shape(&shape, note);
    }

    /// Draws a shape. `note` becomes its tooltip.
    fn draw_shape(&mut self, shape: &str, note: Option<&str>) {
        let _ = match note {
            Some(note) => {
                writeln!(self.svg, "{shape}><title>{}</title></{}>", xml(note), tag_name(shape))
            }
            None => writeln!(self.svg, "{shape}/>"),
        };
    }

    fn text(&mut self, class: &str, x: i64, y: i64, text: &str) {
        let _ =
            writeln!(self.svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", xml(text));
    }
}

/// Returns the dated activities of a stage.
fn activities<'v>(
    view: &'v TimelineView<'v>,
    stage: &'v PeriodView<'v>,
) -> impl Iterator<Item = &'v RowView<'v>> {
    view.rows.iter().filter(|row| row.is_activity() && row.stage == stage.stage)
}

/// Returns the height of a stage with its activities.
fn height_of(view: &TimelineView<'_>, stage: &PeriodView<'_>) -> i64 {
    match i64::try_from(activities(view, stage).count()).unwrap_or(0) {
        0 => ROW_HEIGHT,
        lines => ROW_HEIGHT + lines * ACTIVITY_HEIGHT + STAGE_GAP,
    }
}

/// Returns the element name of an opening tag.
fn tag_name(shape: &str) -> &str {
    shape.trim_start_matches('<').split(' ').next().unwrap_or_default()
}
