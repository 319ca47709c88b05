//! The uptime readings of every machine in a journal, and the time that has certainly passed between records.
//!
//! Each record of the journal has the uptime of the machine that wrote it, and the records are in order. So the time
//! between two records is at least the time between two readings of one machine that lie between them. If one machine's
//! readings end before another machine's readings begin, both times count. The result is the longest path over the
//! readings. `docs/design.md` has the reasons.
//!
//! ```text
//! record      1    2    3    4    5    6    7
//! machine     A    B    A    C    B    C    B
//! uptime      0h  50h   2h   1h  53h   3h  56h     from record 1 to 7: A 2h, then B 3h, is 5h; B alone is 6h
//! ```

use std::time::Duration;

use serde_derive::{Deserialize, Serialize};

use super::Stamp;
use super::journal::names;
use crate::clock::{Boot, Moment};

/// Maximum number of rows, and of a process's own reads. Any number of machines may write to a journal.
const MAX_ROWS: usize = 128;

/// The run number for a process's own reads. No run of a journal has it.
const OWN_READS: u32 = u32::MAX;

/// An uptime, and the number of the journal's last record at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UptimeReading {
    pub(super) record: u64,
    #[serde(with = "names::millis")]
    pub(super) uptime: Duration,
}

/// Consecutive records that one run of a machine wrote. The first and the last reading suffice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(with = "names::boot")]
    boot: Boot,
    run: u32,
    first: UptimeReading,
    last: UptimeReading,
}

/// The uptime readings of a journal. Every process that reads the journal comes to the same history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UptimeHistory {
    /// In order of their records.
    rows: Vec<Row>,
    /// Number of runs so far, and the number of the next new run.
    runs: u32,
    /// The moments of the first and the last record.
    ends: Option<(Stamp, Stamp)>,
}

/// The moments at which one process read the journal: the uptime, and the last record that existed then.
#[derive(Clone, Debug, Default)]
pub(crate) struct JournalReads {
    boot: Option<Boot>,
    readings: Vec<UptimeReading>,
}

/// The time that had certainly passed when a run had an uptime.
struct RunReached {
    run: u32,
    uptime: Duration,
    passed: Duration,
}

impl UptimeHistory {
    /// Returns the stamp of a clock reading that is later than the last record. `reads` are the process's earlier reads
    /// of the journal.
    pub(crate) fn stamp(&self, now: &Moment, reads: &JournalReads) -> Stamp {
        let run = self.run_of(now).unwrap_or(self.runs);
        let (at, uptime) = (now.wall, now.uptime);
        let Some((first, last)) = &self.ends else {
            return Stamp { at, time: Duration::ZERO, run, uptime, record: 0 };
        };
        let stamp = Stamp { at, time: last.time, run, uptime, record: last.record + 1 };
        let time = self.certain_time(first, &stamp, reads.of_run_at(now));
        Stamp { time: time.max(last.time), ..stamp }
    }

    /// Adds the clock reading of a record. `time` is the time that had certainly passed since the first record.
    pub(crate) fn record(&mut self, record: u64, at: &Moment, time: Duration) -> Stamp {
        let run = self.run_of(at).unwrap_or_else(|| {
            self.runs = self.runs.saturating_add(1);
            self.runs - 1
        });
        let reading = UptimeReading { record, uptime: at.uptime };
        match self.rows.last_mut() {
            Some(row) if row.run == run && row.last.record + 1 == record => row.last = reading,
            _ => self.begin(Row { boot: at.boot.clone(), run, first: reading, last: reading }),
        }
        let stamp = Stamp { at: at.wall, time, run, uptime: at.uptime, record };
        self.ends = Some((self.ends.map_or(stamp, |(first, _)| first), stamp));
        stamp
    }

    /// Returns the number of the last record that the present run of this machine wrote, or 0.
    pub(crate) fn last_written_by(&self, now: &Moment) -> u64 {
        let run = self.run_of(now);
        let row = self.rows.iter().rfind(|row| Some(row.run) == run);
        row.map_or(0, |row| row.last.record)
    }

    /// Returns the run that a clock reading continues: the run with the same boot name whose last uptime is nearest,
    /// and not later. An uptime that went backwards continues no run. Containers that share a boot name stay separate
    /// runs.
    fn run_of(&self, now: &Moment) -> Option<u32> {
        let mut found: Option<(u32, Duration)> = None;
        for (place, row) in self.rows.iter().enumerate() {
            let later = self.rows.get(place + 1..).unwrap_or_default();
            let is_last_of_run = || later.iter().all(|later| later.run != row.run);
            let uptime = row.last.uptime;
            if uptime <= now.uptime
                && found.is_none_or(|(_, nearest)| uptime >= nearest)
                && row.boot == now.boot
                && is_last_of_run()
            {
                found = Some((row.run, uptime));
            }
        }
        found.map(|(run, _)| run)
    }

    /// Adds a row. At [`MAX_ROWS`], first removes the row that vouches for the least time. That is the time until its
    /// run wrote again. If the run has not written again, it is the uptime, because a machine is expected to stay up
    /// for as long again.
    fn begin(&mut self, row: Row) {
        if self.rows.len() >= MAX_ROWS {
            let vouches = |place: usize, row: &Row| {
                let later = self.rows.get(place + 1..).unwrap_or_default();
                match later.iter().find(|later| later.run == row.run) {
                    Some(next) => next.first.uptime.saturating_sub(row.first.uptime),
                    None => row.last.uptime,
                }
            };
            let rows = self.rows.iter().enumerate();
            let least = rows.min_by_key(|(place, row)| vouches(*place, row));
            if let Some(place) = least.map(|(place, _)| place) {
                self.rows.remove(place);
            }
        }
        self.rows.push(row);
    }

    /// Returns the time that has certainly passed between two moments: the longest path over the readings in between.
    /// `reads` are the reads of the process that made the later stamp.
    pub(crate) fn certain_time(
        &self,
        earlier: &Stamp,
        later: &Stamp,
        reads: &[UptimeReading],
    ) -> Duration {
        let records = earlier.record..=later.record;
        let is_between = |reading: &UptimeReading| records.contains(&reading.record);
        let mut reads = reads.iter().filter(|read| is_between(read)).peekable();
        let mut path = LongestPath::new(earlier);
        for row in &self.rows {
            for reading in [row.first, row.last].into_iter().filter(is_between) {
                // A read is later than the record that it names.
                while let Some(read) = reads.next_if(|read| read.record < reading.record) {
                    path.visit(OWN_READS, read.uptime);
                }
                path.visit(row.run, reading.uptime);
            }
        }
        reads.for_each(|read| path.visit(OWN_READS, read.uptime));
        // Without reads, as for a moment of the past, this visit adds no time.
        path.visit(OWN_READS, later.uptime);
        path.visit(later.run, later.uptime);
        path.passed
    }
}

/// The longest path over the readings visited so far, in the order of time.
struct LongestPath {
    passed: Duration,
    reached: Vec<RunReached>,
}

impl LongestPath {
    fn new(begin: &Stamp) -> LongestPath {
        let (Stamp { run, uptime, .. }, passed) = (*begin, Duration::ZERO);
        LongestPath { passed, reached: vec![RunReached { run, uptime, passed }] }
    }

    fn visit(&mut self, run: u32, uptime: Duration) {
        let Some(reached) = self.reached.iter_mut().find(|reached| reached.run == run) else {
            self.reached.push(RunReached { run, uptime, passed: self.passed });
            return;
        };
        let by_run = reached.passed.saturating_add(uptime.saturating_sub(reached.uptime));
        if by_run >= self.passed {
            self.passed = by_run;
        } else {
            // Other runs vouch for more time up to here, so this run continues from their result.
            (reached.uptime, reached.passed) = (uptime, self.passed);
        }
    }
}

impl JournalReads {
    /// Notes that the process knows the records up to `record` now. Later reads of the same record are ignored.
    pub(crate) fn note(&mut self, now: &Moment, record: u64) {
        let last = self.readings.last();
        let is_same_boot = self.boot.as_ref() == Some(&now.boot);
        if !is_same_boot || last.is_some_and(|last| last.uptime > now.uptime) {
            self.boot = Some(now.boot.clone());
            self.readings.clear();
        }
        if self.readings.last().is_some_and(|last| last.record >= record) {
            return;
        }
        if self.readings.len() >= MAX_ROWS {
            let gaps = self.readings.windows(2).enumerate().min_by_key(|(_, pair)| match pair {
                [one, next] => next.uptime.saturating_sub(one.uptime),
                _ => Duration::ZERO,
            });
            if let Some(place) = gaps.map(|(place, _)| place) {
                self.readings.remove(place);
            }
        }
        self.readings.push(UptimeReading { record, uptime: now.uptime });
    }

    /// Returns the reads, if they are of the machine's present run.
    pub(crate) fn of_run_at(&self, now: &Moment) -> &[UptimeReading] {
        let is_same_run = self.boot.as_ref() == Some(&now.boot)
            && self.readings.last().is_none_or(|last| last.uptime <= now.uptime);
        if is_same_run { &self.readings } else { &[] }
    }
}
