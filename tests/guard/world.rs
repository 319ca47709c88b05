//! Simulated services. Users differ in activity, and one user's retries cause bursts of errors.

use stagegate::guard::{Counts, Look};

/// The pseudorandom generator `SplitMix64` (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Creates a generator. Consecutive seeds give unrelated numbers.
    pub(crate) fn new(seed: u64) -> Random {
        let mut seeds = Random(seed ^ 0x5851_f42d_4c95_7f2d);
        Random(seeds.next().rotate_left(32) ^ seeds.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number between 0 and 1, both exclusive.
    pub(crate) fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

/// A simulated service: `looks` looks with `requests` requests each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) looks: usize,
    pub(crate) requests: usize,
    /// The Pareto shape of the users' activity. With `None`, each request is from a different user.
    pub(crate) activity: Option<f64>,
    /// The mean length of a burst of errors. 1 means single errors.
    pub(crate) burst: f64,
    /// The share of requests that fail without the flag, as a function of time (0 to 1).
    pub(crate) base: fn(f64) -> f64,
    /// The share of users with the flag, as a function of time (0 to 1).
    pub(crate) share: fn(f64) -> f64,
    /// The error rate with the flag, as a multiple of the rate without it.
    pub(crate) ratio: f64,
}

/// How requests and errors are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Ignore a user after their first error, as the guard does.
    RiskSet,
    /// Count every request and every error.
    Requests,
    /// Count every request, but only the first error of each user.
    OneError,
}

const USERS: usize = 20_000;

/// Users with different activity. Draws the user of a request in constant time (Walker 1974, Vose 1991).
pub(crate) struct Users {
    keep: Vec<f64>,
    alias: Vec<u32>,
    /// Each user's position in the split (0 to 1).
    bucket: Vec<f64>,
    erred: Vec<bool>,
}

impl Users {
    pub(crate) fn new(shape: f64, random: &mut Random) -> Users {
        let mut keep: Vec<f64> = (0..USERS).map(|_| random.share().powf(-1.0 / shape)).collect();
        let mean = keep.iter().sum::<f64>() / USERS as f64;
        keep.iter_mut().for_each(|weight| *weight /= mean);
        let mut alias = vec![0; USERS];
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..USERS).partition(|user| keep[*user] < 1.0);
        while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
            alias[low] = u32::try_from(high).unwrap();
            keep[high] -= 1.0 - keep[low];
            if keep[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        let bucket = (0..USERS).map(|_| random.share()).collect();
        Users { keep, alias, bucket, erred: vec![false; USERS] }
    }

    pub(crate) fn of_a_request(&self, random: &mut Random) -> usize {
        let user = (random.next() % USERS as u64) as usize;
        if random.share() < self.keep[user] { user } else { self.alias[user] as usize }
    }
}

impl World {
    /// Simulates looks until `stop` returns `true`. Returns the number of that look, from 1.
    pub(crate) fn run(
        &self,
        seed: u64,
        unit: Unit,
        mut stop: impl FnMut(&Look) -> bool,
    ) -> Option<usize> {
        let mut random = Random::new(seed);
        let mut users = self.activity.map(|shape| Users::new(shape, &mut random));
        for number in 1..=self.looks {
            let place = number as f64 / self.looks as f64;
            let (base, share) = ((self.base)(place), (self.share)(place));
            let mut look = Look::new(std::time::Duration::from_secs(60 * number as u64));
            for _ in 0..self.requests {
                let user = users.as_ref().map(|users| users.of_a_request(&mut random));
                let bucket = match (&users, user) {
                    (Some(users), Some(user)) => users.bucket[user],
                    _ => random.share(),
                };
                let treated = bucket < share;
                let counts = if treated { &mut look.treatment } else { &mut look.control };
                let rate = if treated { base * self.ratio } else { base };
                let fails = random.share() < rate / self.burst;
                let has_erred = match (&mut users, user) {
                    (Some(users), Some(user)) => {
                        let before = users.erred[user];
                        users.erred[user] |= fails;
                        before
                    }
                    _ => false,
                };
                // The length of the burst has a geometric distribution with mean `burst`. Each error is a request.
                let length = match fails {
                    true if self.burst > 1.0 => {
                        1 + (random.share().ln() / (1.0 - 1.0 / self.burst).ln()) as u64
                    }
                    true => 1,
                    false => 0,
                };
                count(counts, unit, has_erred, length);
            }
            if stop(&look) {
                return Some(number);
            }
        }
        None
    }
}

/// Counts a successful request, or a burst of errors.
fn count(counts: &mut Counts, unit: Unit, has_erred: bool, errors: u64) {
    match unit {
        Unit::RiskSet if has_erred => {}
        Unit::RiskSet => {
            counts.requests += 1;
            counts.errors += errors.min(1);
        }
        Unit::Requests => {
            counts.requests += errors.max(1);
            counts.errors += errors;
        }
        Unit::OneError => {
            counts.requests += errors.max(1);
            counts.errors += if has_erred { 0 } else { errors.min(1) };
        }
    }
}
