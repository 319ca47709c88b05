//! Past metrics from a CSV file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use csv::StringRecord;
use jiff::Timestamp;
use stagegate::guard::{Counts, Look};
use stagegate::model::{FlagPlan, Metric, Quantity};

use crate::escape::terminal;
use crate::failure::Failure;

/// A row: the counts since the row before.
pub(super) struct Row {
    pub(super) time: Timestamp,
    pub(super) look: Look,
}

/// The required columns, in any order.
const COLUMNS: [&str; 7] = [
    "time",
    "treatment_requests",
    "treatment_errors",
    "treatment_slow",
    "control_requests",
    "control_errors",
    "control_slow",
];

/// The most problems that an error lists. Further problems are counted.
const MAX_LISTED: usize = 20;

/// Passes each row of a file to `each`. `-` is standard input.
///
/// # Errors
///
/// One error lists all problems. `each` may then have seen some rows: discard them.
pub(super) fn read(path: &Path, flag: FlagPlan<'_>, each: impl FnMut(Row)) -> Result<(), Failure> {
    if path.as_os_str() == "-" {
        return read_from(std::io::stdin().lock(), "(standard input)", flag, each);
    }
    let name = path.display().to_string();
    let name = terminal(&name);
    let file =
        File::open(path).map_err(|error| Failure::io(&format!("cannot read `{name}`"), &error))?;
    read_from(file, &name, flag, each)
}

fn read_from(
    file: impl Read,
    name: &str,
    flag: FlagPlan<'_>,
    mut each: impl FnMut(Row),
) -> Result<(), Failure> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let mut problems = Problems { name, listed: Vec::new(), count: 0 };
    let columns = match reader.headers() {
        Ok(head) => Columns::of(head, flag, &mut problems),
        Err(error) => return Err(problems.of_csv(&error)),
    };
    problems.finish("write a header with these columns, then one row per look")?;
    let (mut record, mut begin, mut before) = (StringRecord::new(), None, None);
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(problems.of_csv(&error)),
        }
        let line = record.position().map_or(0, csv::Position::line);
        let Some(row) = columns.row(&record, line, begin, before, &mut problems) else { continue };
        begin.get_or_insert(row.time);
        before = Some(row.time);
        if problems.count == 0 {
            each(row);
        }
    }
    problems.finish("write whole numbers, and times such as 2026-01-05T09:00:00Z, each no earlier than the one before")
}

/// The positions of the columns.
struct Columns<'p> {
    positions: [usize; COLUMNS.len()],
    /// Metrics with their columns: treatment, and control if given.
    metrics: Vec<(&'p Metric, usize, Option<usize>)>,
}

impl<'p> Columns<'p> {
    fn of(head: &StringRecord, flag: FlagPlan<'p>, problems: &mut Problems<'_>) -> Columns<'p> {
        let position = |name: &str| head.iter().position(|column| column == name);
        let positions = COLUMNS.map(|name| {
            position(name).unwrap_or_else(|| {
                problems.add(1, &format!("found no column `{name}`"));
                0
            })
        });
        let mut metrics: Vec<(&Metric, usize, Option<usize>)> = Vec::new();
        for metric in flag.tracked_metrics() {
            let is_new = !metrics.iter().any(|(known, ..)| known.name == metric.name);
            if let Some(column) = position(&metric.name).filter(|_| is_new) {
                metrics.push((metric, column, position(&format!("control_{}", metric.name))));
            }
        }
        Columns { positions, metrics }
    }

    fn row(
        &self,
        record: &StringRecord,
        line: u64,
        begin: Option<Timestamp>,
        before: Option<Timestamp>,
        problems: &mut Problems<'_>,
    ) -> Option<Row> {
        let field = |column: usize| record.get(column).unwrap_or_default();
        let [time, counts @ ..] = self.positions.map(field);
        let time = match time.parse::<Timestamp>() {
            Ok(time) if before.is_none_or(|before| before <= time) => Some(time),
            Ok(_) => {
                problems.add(line, &format!("`{time}` is earlier than the row before"));
                None
            }
            Err(_) => {
                problems.add(line, &format!("`{}` is not a time", terminal(time)));
                None
            }
        };
        let mut number = |index: usize| {
            let text = counts.get(index).copied().unwrap_or_default();
            text.parse::<u64>().unwrap_or_else(|_| {
                let column = COLUMNS.get(index + 1).copied().unwrap_or_default();
                problems.add(
                    line,
                    &format!("`{}` in `{column}` is not a whole number", terminal(text)),
                );
                0
            })
        };
        let mut arm = |first: usize| {
            let (requests, errors, slow) = (number(first), number(first + 1), number(first + 2));
            Counts { requests, errors, slow: vec![(slow, requests)], ..Counts::default() }
        };
        let (treatment, control) = (arm(0), arm(3));
        for (arm, counts) in [("treatment", &treatment), ("control", &control)] {
            for (what, count) in [
                ("errors", counts.errors),
                ("slow", counts.slow.first().map_or(0, |(slow, _)| *slow)),
            ] {
                if count > counts.requests {
                    let requests = counts.requests;
                    problems.add(
                        line,
                        &format!(
                            "`{arm}_{what}` is {count}, more than `{arm}_requests`, {requests}"
                        ),
                    );
                }
            }
        }
        let time = time?;
        let since = time.duration_since(begin.unwrap_or(time));
        let mut look = Look::new(Duration::try_from(since).unwrap_or_default());
        (look.treatment, look.control) = (treatment, control);
        for (metric, column, control) in &self.metrics {
            let mut quantity = |column: usize| {
                let text = field(column);
                if text.is_empty() {
                    return None;
                }
                let read = Quantity::parse(text, metric.unit);
                read.map_err(|error| {
                    let text = terminal(text);
                    problems.add(line, &format!("`{text}` in `{}`: {error}", metric.name));
                })
                .ok()
            };
            if let Some(value) = quantity(*column) {
                look.readings.insert(metric.name.clone(), (value, control.and_then(quantity)));
            }
        }
        Some(Row { time, look })
    }
}

/// The problems of a file, by line.
struct Problems<'n> {
    name: &'n str,
    listed: Vec<String>,
    count: usize,
}

impl Problems<'_> {
    fn add(&mut self, line: u64, what: &str) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(format!("{}:{line}: {what}", self.name));
        }
    }

    fn of_csv(&mut self, error: &csv::Error) -> Failure {
        match error.kind() {
            csv::ErrorKind::Io(error) => {
                Failure::io(&format!("cannot read `{}`", self.name), error)
            }
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map_or(0, csv::Position::line);
                self.add(line, &format!("{len} fields, but the header has {expected_len}"));
                let hint = "write the same number of fields in each row";
                self.finish(hint).err().unwrap_or(Failure::InvalidDocument)
            }
            csv::ErrorKind::Utf8 { pos, .. } => {
                self.add(pos.as_ref().map_or(0, csv::Position::line), "not UTF-8");
                self.finish("write UTF-8").err().unwrap_or(Failure::InvalidDocument)
            }
            _ => Failure::Usage(format!("`{}` is not a CSV file", self.name)),
        }
    }

    fn finish(&self, hint: &str) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let mut text = format!(
            "the metrics file has {} problem{}",
            self.count,
            if self.count == 1 { "" } else { "s" }
        );
        for line in &self.listed {
            text = text + "\n  " + line;
        }
        if self.count > MAX_LISTED {
            text += &format!("\n  and {} more", self.count - MAX_LISTED);
        }
        Err(Failure::Usage(format!("{text}\n  {hint}")))
    }
}
