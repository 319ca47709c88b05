//! Sets of minutes of the week.

use std::ops::Range;

use crate::plan::model::time::week::{DAY, WEEK};

/// Minutes since 1970 in UTC.
pub(in crate::plan::model) type Minute = i64;

/// A set of minutes of the week, a bit for each.
pub(in crate::plan::model) struct Minutes([u64; WORDS]);

const WORDS: usize = WEEK as usize / 64 + 1;

impl Minutes {
    pub(in crate::plan::model) fn none() -> Minutes {
        Minutes([0; WORDS])
    }

    /// What goes beyond the week's end goes on at its beginning.
    pub(in crate::plan::model) fn add(&mut self, (begin, end): (u16, u16)) {
        let span = (begin, end.min(WEEK));
        let words = self.0.get_mut(words(span)).unwrap_or_default();
        for (word, index) in words.iter_mut().zip(begin / 64..) {
            *word |= mask(index, span);
        }
        if end > WEEK {
            self.add((0, end - WEEK));
        }
    }

    pub(in crate::plan::model) fn have(&self, span: (u16, u16)) -> bool {
        let words = self.0.get(words(span)).unwrap_or_default();
        words.iter().zip(span.0 / 64..).all(|(word, index)| !word & mask(index, span) == 0)
    }

    /// The first of these minutes that is in the set or is not.
    pub(in crate::plan::model) fn first(
        &self,
        mut minutes: Range<Minute>,
        is_in: bool,
    ) -> Option<Minute> {
        let has = |minute: Minute| {
            // 1970 began on a Thursday.
            let minute = (minute + 3 * Minute::from(DAY)).rem_euclid(Minute::from(WEEK));
            let minute = u16::try_from(minute).unwrap_or(0);
            self.have((minute, minute + 1))
        };
        minutes.end = minutes.end.min(minutes.start + Minute::from(WEEK));
        minutes.find(|minute| has(*minute) == is_in)
    }
}

/// The words in which a span has bits.
fn words((begin, end): (u16, u16)) -> Range<usize> {
    usize::from(begin / 64)..usize::from(end.div_ceil(64))
}

/// The bits of one word that stand for a span.
fn mask(word: u16, (begin, end): (u16, u16)) -> u64 {
    let below = |minute: u16| match minute.saturating_sub(word * 64) {
        bits @ 0..64 => (1_u64 << bits) - 1,
        _ => u64::MAX,
    };
    below(end) & !below(begin)
}
