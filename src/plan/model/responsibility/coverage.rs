//! Whether someone is responsible at every minute, and whether each row has any to answer for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::plan::fields::Path;
use crate::plan::model::responsibility::Responsibility;
use crate::plan::model::time::date::{Date, TimeZone};
use crate::plan::model::time::minutes::{Minute, Minutes};
use crate::plan::model::time::week::{self, DAY, Gaps, Time, WEEK, WeekHours};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// `items` are where the rows stand.
pub(in crate::plan::model) fn check<'a>(
    rows: &[Responsibility],
    node: &Node<'a>,
    items: &[Node<'a>],
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    if let Some(gap) = first_gap(rows) {
        let message = format!("found no one responsible {gap}");
        report.problem(node.span.clone(), path, message, gap.hint());
    }
    for (index, (item, is_idle)) in items.iter().zip(idle(rows)).enumerate() {
        if is_idle {
            let message = "found a row that never answers: those before it cover all its hours";
            let hint = "move it up or leave it out: of rows that cover a moment the first answers";
            report.warning(item.span.clone(), &path.index(index), message.to_owned(), hint);
        }
    }
}

/// For each row whether it never answers. Only rows before it of the same time zone, or such as
/// cover every hour, are looked at: what several zones cover together is not worth a warning.
fn idle(rows: &[Responsibility]) -> impl Iterator<Item = bool> {
    let mut covered: Vec<(&TimeZone, Minutes)> = Vec::new();
    let mut is_covered = false;
    rows.iter().map(move |row| {
        let known = covered.iter().position(|(zone, _)| **zone == row.time_zone);
        let index = known.unwrap_or(covered.len());
        if known.is_none() {
            covered.push((&row.time_zone, Minutes::none()));
        }
        let Some((_, minutes)) = covered.get_mut(index) else { return false };
        let is_idle = is_covered || row.hours.spans().iter().all(|span| minutes.have(*span));
        row.hours.spans().iter().for_each(|span| minutes.add(*span));
        is_covered |= minutes.have((0, WEEK));
        is_idle
    })
}

/// The first hours for which no one is responsible.
fn first_gap(rows: &[Responsibility]) -> Option<Gap<'_>> {
    let zone = &rows.first()?.time_zone;
    let mut by_zone: Vec<(&TimeZone, Vec<(u16, u16)>)> = Vec::new();
    for row in rows {
        let spans = row.hours.spans().iter().copied();
        match by_zone.iter_mut().find(|(zone, _)| **zone == row.time_zone) {
            Some((_, all)) => all.extend(spans),
            None => by_zone.push((&row.time_zone, spans.collect())),
        }
    }
    let hours = by_zone.into_iter().map(|(zone, spans)| (zone, WeekHours::of(spans)));
    let hours: Vec<(&TimeZone, WeekHours)> = hours.collect();
    if hours.iter().any(|(_, hours)| hours.is_always()) {
        return None;
    }
    match &*hours {
        // Every week is alike: whatever the clock is set to, it shows some minute of the week.
        [(zone, hours)] => Some(Gap::Weekly { gaps: hours.gaps(), zone }),
        _ => first_gap_of_zones(&hours).map(|(from, to)| Gap::Once { from, to, zone }),
    }
}

/// Monday 2026-01-05. No clock is read, so that a document is as good tomorrow as today; ten years
/// have every combination of summer times there is.
const BEGIN: Minute = 29_459_520;

/// See [`BEGIN`].
const END: Minute = BEGIN + 3660 * DAY as Minute;

/// From which minute on a zone's clock is that many minutes ahead.
type Offsets = Vec<(Minute, i32)>;

/// The zones' clocks change on different days, so what covers one week may not cover another.
/// Between two changes every week is alike.
fn first_gap_of_zones(hours: &[(&TimeZone, WeekHours)]) -> Option<(Minute, Minute)> {
    // Many zones keep the same time.
    let mut alike: BTreeMap<Offsets, Vec<(u16, u16)>> = BTreeMap::new();
    for (zone, hours) in hours {
        alike.entry(zone.offsets(BEGIN, END)).or_default().extend(hours.spans());
    }
    let changes = alike.keys().flatten().map(|(minute, _)| *minute);
    let begins: BTreeSet<Minute> = changes.collect();
    let ends = begins.iter().copied().skip(1).chain([END]);
    let mut known_good: BTreeSet<Vec<i32>> = BTreeSet::new();
    let mut gap = None;
    for (begin, end) in begins.iter().copied().zip(ends) {
        let offset_then = |offsets: &Offsets| {
            let after = offsets.partition_point(|(minute, _)| *minute <= begin);
            after.checked_sub(1).and_then(|last| offsets.get(last)).map_or(0, |(_, offset)| *offset)
        };
        let offsets: Vec<i32> = alike.keys().map(offset_then).collect();
        if known_good.contains(&offsets) {
            match gap {
                Some(from) => return Some((from, begin)),
                None => continue,
            }
        }
        let mut covered = Minutes::none();
        for (spans, offset) in alike.values().zip(&offsets) {
            spans.iter().for_each(|span| covered.add(moved(*span, *offset)));
        }
        if covered.have((0, WEEK)) {
            known_good.insert(offsets);
        }
        // A gap may go on through several changes.
        let goes_on = gap.map(|_| begin);
        let Some(from) = goes_on.or_else(|| covered.first(begin..end, false)) else { continue };
        let begins = *gap.get_or_insert(from);
        if let Some(to) = covered.first(from..end, true) {
            return Some((begins, to));
        }
    }
    gap.map(|from| (from, END))
}

/// A span on the wall as one in UTC.
fn moved((begin, end): (u16, u16), offset: i32) -> (u16, u16) {
    let begin_in_utc = (i32::from(begin) - offset).rem_euclid(i32::from(WEEK));
    let begin_in_utc = u16::try_from(begin_in_utc).unwrap_or(0);
    (begin_in_utc, begin_in_utc + (end - begin))
}

/// Hours for which no one is responsible.
enum Gap<'r> {
    Weekly { gaps: Vec<(u16, u16)>, zone: &'r TimeZone },
    Once { from: Minute, to: Minute, zone: &'r TimeZone },
}

impl Gap<'_> {
    fn hint(&self) -> &'static str {
        match self {
            // Covered for a week, and then no longer.
            Gap::Once { from, .. } if *from >= BEGIN + Minute::from(WEEK) => {
                "time zones change their clocks on different days: let rows overlap, or leave \
                 `hours` out in the last row"
            }
            _ => "add a row for these hours, or leave `hours` out in the last row",
        }
    }
}

/// As `on Sat 00:00–24:00 Europe/Berlin`.
impl fmt::Display for Gap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::Weekly { gaps, zone } => write!(f, "on {}", Gaps { spans: gaps, zone }),
            Gap::Once { from, to, zone } => {
                let (first, from) = on_the_wall(*from, zone);
                let (last, to) = on_the_wall(*to, zone);
                let day = first.weekday();
                if last == first {
                    write!(f, "on {day} {first} {}–{} {zone}", Time(from), Time(to))
                } else if to == 0 && last == first.plus_days(1) {
                    write!(f, "on {day} {first} {}–{} {zone}", Time(from), Time(DAY))
                } else {
                    write!(f, "from {day} {first} {} ", Time(from))?;
                    write!(f, "to {} {last} {} {zone}", last.weekday(), Time(to))
                }
            }
        }
    }
}

/// The day, and the minute of it.
fn on_the_wall(minute: Minute, zone: &TimeZone) -> (Date, u16) {
    let seconds = minute.unsigned_abs() * 60;
    let at = zone.at(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    (Date::of_time(at), week::minute(at) % DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(zone: &str, spans: &[(u16, u16)]) -> Responsibility {
        Responsibility {
            name: None,
            hours: WeekHours::of(spans.iter().copied()),
            time_zone: zone.parse().expect(zone),
            contact: "on call".into(),
            escalation: Vec::new(),
            escalate_after: None,
        }
    }

    fn at(minute: Minute) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(minute.unsigned_abs() * 60)
    }

    fn daily(from: u16, to: u16) -> Vec<(u16, u16)> {
        (0..7).map(|day| (day * DAY + from, day * DAY + to)).collect()
    }

    #[test]
    fn summer_time_that_begins_on_another_day_leaves_a_gap() {
        let gap = |rows: &[Responsibility]| first_gap(rows).map(|gap| gap.to_string());
        let follow_the_sun = |berlin: (u16, u16), new_york: (u16, u16)| {
            let berlin = row("Europe/Berlin", &daily(berlin.0 * 60, berlin.1 * 60));
            gap(&[berlin, row("America/New_York", &daily(new_york.0 * 60, new_york.1 * 60))])
        };
        // In winter and in summer six hours lie between the two, in parts of March and October five.
        assert_eq!(
            follow_the_sun((6, 18), (12, 23)).as_deref(),
            Some("on Mon 2026-01-05 05:00–06:00 Europe/Berlin"),
        );
        assert_eq!(
            follow_the_sun((6, 18), (12, 24)).as_deref(),
            Some("on Mon 2026-03-09 05:00–06:00 Europe/Berlin"),
        );
        assert_eq!(follow_the_sun((5, 18), (12, 24)), None);

        let (weekdays, weekend) = ((0, 5 * DAY), (5 * DAY, WEEK));
        let rows = [row("Asia/Tokyo", &[weekdays]), row("Europe/Berlin", &[weekend])];
        assert_eq!(gap(&rows).as_deref(), Some("on Sat 2026-01-10 00:00–08:00 Asia/Tokyo"),);
        let rows = [row("Asia/Tokyo", &[(0, 4 * DAY)]), row("Europe/Berlin", &[weekend])];
        assert_eq!(
            gap(&rows).as_deref(),
            Some("from Fri 2026-01-09 00:00 to Sat 2026-01-10 08:00 Asia/Tokyo"),
        );
    }

    #[test]
    fn a_row_after_all_its_hours_is_idle() {
        let rows = [
            row("UTC", &[(60, 120)]),
            row("UTC", &[(0, 60), (120, 180)]),
            row("UTC", &[(30, 150)]),
            row("Asia/Tokyo", &[(30, 150)]),
            row("UTC", &[(30, 190)]),
            row("UTC", &[(0, WEEK)]),
            row("Asia/Tokyo", &[(600, 700)]),
        ];
        let found: Vec<bool> = idle(&rows).collect();
        assert_eq!(found, [false, false, true, false, false, false, true]);
    }

    const ZONES: [&str; 7] = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Kolkata",
        "UTC",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// Shifts that follow one another in January, each a little longer than it has to be.
        #[test]
        fn the_first_gap_is_the_first_minute_nobody_covers(
            cuts in prop::collection::btree_set(0..DAY, 2..5),
            zones in prop::collection::vec((0..ZONES.len(), 0..5_u16), 5),
        ) {
            let begins: Vec<u16> = cuts.into_iter().collect();
            let ends = begins.iter().skip(1).copied().chain([begins[0] + DAY]);
            let shifts = begins.iter().copied().zip(ends).zip(&zones);
            let rows: Vec<Responsibility> = shifts.map(|((begin, end), (zone, slack))| {
                let time_zone: TimeZone = ZONES[*zone].parse().expect("in range");
                let ahead = time_zone.offsets(BEGIN, BEGIN + 1)[0].1;
                let begin = (i32::from(begin) + ahead).rem_euclid(i32::from(DAY));
                let begin = u16::try_from(begin).expect("in range");
                let length = end - begins.iter().copied().filter(|b| *b < end).max().expect("in range");
                row(ZONES[*zone], &daily(begin, begin + length + slack * 30))
            }).collect();
            let year = BEGIN..BEGIN + 365 * Minute::from(DAY);
            let mut minutes = year.clone();
            let naive = minutes.find(|minute| !rows.iter().any(|row| row.covers(at(*minute))));
            let hours = rows.iter().map(|row| (&row.time_zone, row.hours.clone()));
            let found = first_gap_of_zones(&hours.collect::<Vec<_>>());
            prop_assert_eq!(found.map(|gap| gap.0).filter(|from| year.contains(from)), naive);
            if let (Some(from), Some((_, to))) = (naive, found) {
                let last = (from..).take_while(|minute| !rows.iter().any(|row| row.covers(at(*minute))));
                prop_assert_eq!(last.last(), Some(to - 1));
            }
        }
    }
}
