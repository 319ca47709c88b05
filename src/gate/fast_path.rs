//! The fast path of a check: what one flag needs, copied out of the snapshot.

use std::sync::OnceLock;

use super::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::eval::{AsUser, Flag, ListFilter, Salt, Snapshot, Threshold};

/// A copy of the values that a check of one flag needs: salt, threshold, unit, and the filter over listed users.
///
/// A handle has one, and so has each entry of the cache by name. A check uses the copy only if it has the token of the
/// newest snapshot (see `current.rs`). Otherwise the snapshot answers, and the check renews the copy. So an update
/// leaves the copies alone, and what a check costs depends on the document in force, not on the updates before it.
///
/// The token is the sequence number of a seqlock. A check loads it before and after the values.
#[derive(Debug)]
pub(super) struct FastPath {
    /// The token of the snapshot that the values come from, or `NEVER_FILLED`, or `RENEWING`.
    token: AtomicU64,
    /// A [`Threshold`], or `ASK_SNAPSHOT`.
    threshold: AtomicU64,
    /// A [`Salt`].
    salt: AtomicU64,
    /// Empty until the flag has lists or a unit.
    rules: OnceLock<Box<Rules>>,
}

const NEVER_FILLED: u64 = 0;
const RENEWING: u64 = u64::MAX;

/// The threshold of a flag whose groups only the snapshot knows. It is no real threshold: only 100% comes as close to
/// 2^64.
const ASK_SNAPSHOT: u64 = u64::MAX - 1;

/// A copy of a [`ListFilter`] and of the name of a unit, in memory that stays where it is.
#[derive(Debug)]
struct Rules {
    /// 0 while the percentage refers to user keys. Otherwise the index of the unit in use, plus one.
    unit: AtomicUsize,
    /// The names of units that the flag has had. A flag with more of them leaves the answer to the snapshot.
    units: [OnceLock<Box<str>>; 4],
    /// 0 while lists do not matter. Otherwise the index of the words in use, plus one.
    active: AtomicUsize,
    /// The [`ListFilter::id`] of the words in use.
    id: AtomicU64,
    /// At index n: 2^n words, made when a list first needs them.
    words: [OnceLock<Box<[AtomicU64]>>; ListFilter::SIZES],
}

impl FastPath {
    /// A fast path without values, which never answers.
    pub(super) fn empty() -> FastPath {
        FastPath {
            token: AtomicU64::new(NEVER_FILLED),
            threshold: AtomicU64::new(ASK_SNAPSHOT),
            salt: AtomicU64::new(0),
            rules: OnceLock::new(),
        }
    }

    /// Returns whether the user has the flag; `None` if the snapshot must answer.
    ///
    /// `is_right` reads what else was copied with the values. Always inlined, as its callers are: in a crate with many
    /// checks, the compiler would otherwise make a call, which takes a third longer.
    #[inline(always)]
    pub(super) fn is_enabled(
        &self,
        newest: u64,
        user: &impl AsUser,
        is_right: impl FnOnce() -> bool,
    ) -> Option<bool> {
        // Acquire: pairs with the last release in `renew`, so the values are of this token or later.
        if self.token.load(Ordering::Acquire) != newest || !is_right() {
            return None;
        }
        // Acquire, for each value: pairs with its release in `renew`. A value of a later token shows that `renew` has
        // begun, so the second load of the token finds another one.
        let threshold = self.threshold.load(Ordering::Acquire);
        let salt = Salt::from_seed(self.salt.load(Ordering::Acquire));
        if let Some(rules) = self.rules.get() {
            if let Some(words) = rules.active() {
                let bucket = salt.bucket_of(user.key().as_bytes());
                let word = words.get(ListFilter::index(bucket, words.len()));
                let word = word.map_or(u64::MAX, |word| word.load(Ordering::Acquire));
                let is_listed = ListFilter::is_match(word, bucket);
                let is_unchanged = self.token.load(Ordering::Relaxed) == newest;
                let is_enabled = Threshold::from_word(threshold).admits(bucket);
                return (is_unchanged && !is_listed).then_some(is_enabled);
            }
            if let Some(unit) = rules.unit() {
                let is_unchanged = self.token.load(Ordering::Relaxed) == newest;
                return is_unchanged
                    .then(|| admits_unit(unit, salt, Threshold::from_word(threshold), user));
            }
        }
        if self.token.load(Ordering::Relaxed) != newest {
            return None;
        }
        if threshold >= ASK_SNAPSHOT {
            return (threshold != ASK_SNAPSHOT).then_some(true);
        }
        let bucket = salt.bucket_of(user.key().as_bytes());
        Some(Threshold::from_word(threshold).is_above(bucket))
    }

    /// Copies the values of a newer snapshot, and what `copy` copies. Does nothing while another thread does.
    pub(super) fn renew(&self, snapshot: &Snapshot, flag: Option<&Flag>, copy: impl FnOnce()) {
        let token = self.token.load(Ordering::Relaxed);
        if token == RENEWING || token >= snapshot.token() {
            return;
        }
        // Acquire: pairs with the last release below, so this thread writes after the one before. Each token is written
        // at most once, so a check that reads it twice has read the values between.
        let claimed =
            self.token.compare_exchange(token, RENEWING, Ordering::Acquire, Ordering::Relaxed);
        if claimed.is_err() {
            return;
        }
        // Release, for each value: a check that reads the new value finds the token changed.
        let threshold = match flag {
            None => Threshold::NOBODY.to_word(),
            Some(flag) => {
                self.salt.store(flag.salt().to_seed(), Ordering::Release);
                if self.copy_rules(flag) { flag.threshold().to_word() } else { ASK_SNAPSHOT }
            }
        };
        self.threshold.store(threshold, Ordering::Release);
        copy();
        // Release: a check that reads this token finds the values.
        self.token.store(snapshot.token(), Ordering::Release);
    }

    /// Copies the filter and the unit of a flag. Returns `false` if the snapshot must answer, because more decides.
    fn copy_rules(&self, flag: &Flag) -> bool {
        // Also where the unit does not decide now: so a change of stage needs no memory.
        let (unit, decides) = (flag.definition().unit(), flag.is_decided_by_unit());
        let is_needed = unit.is_some() || flag.filter().is_some();
        let rules =
            if is_needed { Some(self.rules()) } else { self.rules.get().map(|rules| &**rules) };
        let Some(rules) = rules else { return !flag.is_targeted() };
        let knows_unit = rules.copy_unit(unit, decides);
        match flag.filter() {
            // Also where no group matters now: so a change of stage needs no memory.
            Some(filter) => rules.copy(filter, flag.is_targeted()),
            None => rules.active.store(0, Ordering::Release),
        }
        if decides { knows_unit } else { flag.filter().is_some() || !flag.is_targeted() }
    }

    fn rules(&self) -> &Rules {
        self.rules.get_or_init(|| Box::new(Rules::new()))
    }
}

/// Returns whether the percentage admits a value of the user's unit. An empty value is none.
#[inline(never)]
fn admits_unit(unit: &str, salt: Salt, threshold: Threshold, user: &impl AsUser) -> bool {
    user.any_value(unit, &mut |value| {
        value
            .with_text(|text| !text.is_empty() && threshold.admits(salt.bucket_of(text.as_bytes())))
    })
}

impl Rules {
    fn new() -> Rules {
        Rules {
            unit: AtomicUsize::new(0),
            units: [const { OnceLock::new() }; 4],
            active: AtomicUsize::new(0),
            id: AtomicU64::new(0),
            words: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// Returns the unit in use; `None` for user keys.
    #[inline(always)]
    fn unit(&self) -> Option<&str> {
        let index = self.unit.load(Ordering::Acquire).checked_sub(1)?;
        self.units.get(index)?.get().map(|unit| &**unit)
    }

    /// Keeps the name of a unit, and puts it in use if it decides. Returns `false` if there is no room for the name.
    fn copy_unit(&self, unit: Option<&str>, decides: bool) -> bool {
        let Some(unit) = unit else {
            self.unit.store(0, Ordering::Release);
            return true;
        };
        // Only the thread that renews the fast path adds names.
        let place = self.units.iter().position(|name| **name.get_or_init(|| unit.into()) == *unit);
        let active = place.filter(|_| decides).map_or(0, |index| index + 1);
        self.unit.store(active, Ordering::Release);
        place.is_some()
    }

    /// Returns the words in use; `None` while lists do not matter.
    #[inline(always)]
    fn active(&self) -> Option<&[AtomicU64]> {
        let index = self.active.load(Ordering::Acquire).checked_sub(1)?;
        self.words.get(index)?.get().map(|words| &**words)
    }

    /// Takes a microsecond for 4,000 users. Copies only a new filter, not that of each new version.
    fn copy(&self, filter: &ListFilter, is_active: bool) {
        let size = filter.words().len().trailing_zeros() as usize;
        // Relaxed: only the thread that renews the fast path reads or writes it.
        if self.id.load(Ordering::Relaxed) != filter.id() {
            let Some(words) = self.words.get(size) else { return };
            let new = || filter.words().iter().map(|_| AtomicU64::new(0)).collect();
            for (to, from) in words.get_or_init(new).iter().zip(filter.words()) {
                to.store(*from, Ordering::Release);
            }
            self.id.store(filter.id(), Ordering::Relaxed);
        }
        self.active.store(if is_active { size + 1 } else { 0 }, Ordering::Release);
    }
}
