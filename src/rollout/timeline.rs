//! The readings of every machine that a journal has, and what they vouch for.
//!
//! Record by record the journal says what the uptime of some machine was, and the records are in order. So between any
//! two records as much time has passed as a machine counted between two of its own readings that lie between them. Where
//! one machine's readings end before another's begin, both count.
//!
//! ```text
//! record      1    2    3    4    5    6    7
//! machine     A    B    A    C    B    C    B
//! uptime      0h  50h   2h   1h  53h   3h  56h     from record 1 to 7: A 2h, then B 3h, is 5h; B alone is 6h
//! ```

use std::time::Duration;

use super::Stamp;
use crate::clock::{Boot, Moment};

/// Spells that are kept: a journal may be written to by any number of machines.
const KEPT: usize = 128;

/// The number under which a process's own looks count: of no run.
const OWN: u32 = u32::MAX;

/// A reading's place in the journal, and the uptime it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(super) record: u64,
    pub(super) uptime: Duration,
}

/// Records in a row that one run of a machine wrote: the first and the last say all.
#[derive(Clone, Debug)]
struct Spell {
    boot: Boot,
    run: u32,
    first: Mark,
    last: Mark,
}

/// The fold of a journal's readings: the same whoever reads the journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// In order of their records.
    spells: Vec<Spell>,
    /// Runs so far: the number of the next new one.
    runs: u32,
    /// The moments of the first record and of the last.
    ends: Option<(Stamp, Stamp)>,
}

/// The looks of one process at the journal: each says that its records were there at that uptime.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    boot: Option<Boot>,
    marks: Vec<Mark>,
}

/// How far a run's readings lead: that much had certainly passed when its uptime was this.
struct Reach {
    run: u32,
    uptime: Duration,
    passed: Duration,
}

impl Timeline {
    /// The moment of a reading after the last record, and its looks at the journal before.
    pub(crate) fn stamp(&self, now: &Moment, looks: &Looks) -> Stamp {
        let boots = self.run_of(now).unwrap_or(self.runs);
        let (at, uptime) = (now.wall, now.uptime);
        let Some((first, last)) = &self.ends else {
            return Stamp { at, time: Duration::ZERO, boots, uptime, record: 0 };
        };
        let stamp = Stamp { at, time: last.time, boots, uptime, record: last.record + 1 };
        let time = self.certain(first, &stamp, looks.of(now));
        Stamp { time: time.max(last.time), ..stamp }
    }

    /// Goes on to the reading of a record, by which that much time had passed.
    pub(crate) fn resume(&mut self, record: u64, at: &Moment, time: Duration) -> Stamp {
        let run = self.run_of(at).unwrap_or_else(|| {
            self.runs = self.runs.saturating_add(1);
            self.runs - 1
        });
        let mark = Mark { record, uptime: at.uptime };
        match self.spells.last_mut() {
            Some(spell) if spell.run == run && spell.last.record + 1 == record => spell.last = mark,
            _ => self.begin(Spell { boot: at.boot.clone(), run, first: mark, last: mark }),
        }
        let stamp = Stamp { at: at.wall, time, boots: run, uptime: at.uptime, record };
        self.ends = Some((self.ends.map_or(stamp, |(first, _)| first), stamp));
        stamp
    }

    /// The last record that this reading's run wrote; 0 for none.
    pub(crate) fn written_by(&self, now: &Moment) -> u64 {
        let run = self.run_of(now);
        let spell = self.spells.iter().rfind(|spell| Some(spell.run) == run);
        spell.map_or(0, |spell| spell.last.record)
    }

    /// The run of a machine that a reading is of: of those with its boot's name that it may go on, the one whose uptime
    /// is nearest. An uptime that went backwards goes on none, and containers that share a boot's name keep apart.
    fn run_of(&self, now: &Moment) -> Option<u32> {
        let mut found: Option<(u32, Duration)> = None;
        for (place, spell) in self.spells.iter().enumerate() {
            let later = self.spells.get(place + 1..).unwrap_or_default();
            let is_its_last = || later.iter().all(|later| later.run != spell.run);
            let uptime = spell.last.uptime;
            if uptime <= now.uptime
                && found.is_none_or(|(_, nearest)| uptime >= nearest)
                && spell.boot == now.boot
                && is_its_last()
            {
                found = Some((spell.run, uptime));
            }
        }
        found.map(|(run, _)| run)
    }

    /// Adds a spell. Where there is no room, the one goes that vouches for least: the time until its run wrote again, or
    /// where it has not, its uptime, as a machine is expected to stay up for as long again.
    fn begin(&mut self, spell: Spell) {
        if self.spells.len() >= KEPT {
            let vouches = |place: usize, spell: &Spell| {
                let later = self.spells.get(place + 1..).unwrap_or_default();
                match later.iter().find(|later| later.run == spell.run) {
                    Some(next) => next.first.uptime.saturating_sub(spell.first.uptime),
                    None => spell.last.uptime,
                }
            };
            let spells = self.spells.iter().enumerate();
            let least = spells.min_by_key(|(place, spell)| vouches(*place, spell));
            if let Some(place) = least.map(|(place, _)| place) {
                self.spells.remove(place);
            }
        }
        self.spells.push(spell);
    }

    /// The time that has certainly passed between two moments, the later with the looks of its own process: the
    /// longest way over readings in between.
    pub(crate) fn certain(&self, earlier: &Stamp, later: &Stamp, looks: &[Mark]) -> Duration {
        let is_between = |mark: &Mark| (earlier.record..=later.record).contains(&mark.record);
        let mut looks = looks.iter().filter(|look| is_between(look)).peekable();
        let mut way = Way::new(earlier);
        for spell in &self.spells {
            for mark in [spell.first, spell.last].into_iter().filter(is_between) {
                // A look is later than the record it has seen.
                while let Some(look) = looks.next_if(|look| look.record < mark.record) {
                    way.reads(OWN, look.uptime);
                }
                way.reads(spell.run, mark.uptime);
            }
        }
        looks.for_each(|look| way.reads(OWN, look.uptime));
        // Only of the present are there looks, and of the past none.
        way.reads(OWN, later.uptime);
        way.reads(later.boots, later.uptime);
        way.passed
    }
}

/// A way over readings in their order.
struct Way {
    passed: Duration,
    reached: Vec<Reach>,
}

impl Way {
    fn new(begin: &Stamp) -> Way {
        let Stamp { boots: run, uptime, .. } = *begin;
        Way { passed: Duration::ZERO, reached: vec![Reach { run, uptime, passed: Duration::ZERO }] }
    }

    fn reads(&mut self, run: u32, uptime: Duration) {
        let Some(reach) = self.reached.iter_mut().find(|reach| reach.run == run) else {
            self.reached.push(Reach { run, uptime, passed: self.passed });
            return;
        };
        let by_run = reach.passed.saturating_add(uptime.saturating_sub(reach.uptime));
        if by_run >= self.passed {
            self.passed = by_run;
        } else {
            // Others have vouched for more by now.
            (reach.uptime, reach.passed) = (uptime, self.passed);
        }
    }
}

impl Looks {
    /// Notes that a process knows the records up to this one at a moment. The first look at each counts.
    pub(crate) fn note(&mut self, now: &Moment, record: u64) {
        let last = self.marks.last();
        let goes_on = self.boot.as_ref() == Some(&now.boot);
        if !goes_on || last.is_some_and(|last| last.uptime > now.uptime) {
            self.boot = Some(now.boot.clone());
            self.marks.clear();
        }
        if self.marks.last().is_some_and(|last| last.record >= record) {
            return;
        }
        if self.marks.len() >= KEPT {
            let gaps = self.marks.windows(2).enumerate().min_by_key(|(_, pair)| match pair {
                [one, next] => next.uptime.saturating_sub(one.uptime),
                _ => Duration::ZERO,
            });
            if let Some(place) = gaps.map(|(place, _)| place) {
                self.marks.remove(place);
            }
        }
        self.marks.push(Mark { record, uptime: now.uptime });
    }

    /// The looks of the run that a later reading is of.
    pub(crate) fn of(&self, now: &Moment) -> &[Mark] {
        let is_of_it = self.boot.as_ref() == Some(&now.boot)
            && self.marks.last().is_none_or(|last| last.uptime <= now.uptime);
        if is_of_it { &self.marks } else { &[] }
    }
}
