//! Reading metrics that are kept elsewhere.

use std::collections::BTreeMap;

use super::Rollout;
use crate::plan::model::Metric;
use crate::rollout::stamp::MAX_CLOCK_SKEW;
use crate::rollout::{
    Event, MetricReader, Outcome, ReadError, Reading, RolloutError, Sample, machine,
};

/// The result of reading the metrics.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ReadReport {
    /// The values that were read, with the action on each.
    pub read: Vec<MetricRead>,
    /// The metrics without a value, and why. The last reading of each counts until it is too old.
    pub failed: Vec<(Box<str>, ReadError)>,
}

/// A value that was read for a flag.
#[derive(Debug)]
#[non_exhaustive]
pub struct MetricRead {
    /// The flag.
    pub flag: Box<str>,
    /// The metric.
    pub metric: Box<str>,
    /// The rollout's reaction to the value.
    pub outcome: Result<Outcome, RolloutError>,
}

impl Rollout {
    /// Returns the metrics that a flag's stage or triggers need now, each once.
    #[must_use]
    pub fn metrics_to_read(&self) -> Vec<Metric> {
        self.metrics_with_flags().into_iter().map(|(metric, _)| metric).collect()
    }

    /// Reads every metric that a flag's stage or triggers need and that the reader knows, each once. Each value counts
    /// like a call of [`measure`](super::Actor::measure).
    ///
    /// A failed read, a value that is not a number, or a value older than the metric's `stale_after` is not a reading.
    /// The last reading counts until it is too old. Then the trigger's `no_data` decides.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::model::{Metric, Quantity};
    /// use stagegate::rollout::{MetricReader, ReadError, Rollout, Sample};
    /// use stagegate::store::Memory;
    ///
    /// struct Shop;
    ///
    /// impl MetricReader for Shop {
    ///     fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError> {
    ///         let is_known = *metric.name == *"complaints";
    ///         Ok(is_known.then(|| Sample::new(Quantity::Count(30), SystemTime::UNIX_EPOCH)))
    ///     }
    ///
    ///     fn name(&self) -> &str {
    ///         "shop"
    ///     }
    /// }
    ///
    /// let document = r#"
    ///     schema = 1
    ///     [flags.search]
    ///     stage = "ga"
    ///     triggers = [{ metric = "complaints", above = 20, no_data = "hold", action = "rollback" }]
    /// "#;
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
    /// assert!(rollout.read(&mut Shop).failed.is_empty());
    /// assert!(!rollout.gate().is_enabled("user-42", "search"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, reader: &mut dyn MetricReader) -> ReadReport {
        let mut report = ReadReport::default();
        let by = reader.name().to_owned();
        for (metric, flags) in self.metrics_with_flags() {
            let sample = match reader.read(&metric) {
                Ok(None) => continue,
                Ok(Some(sample)) => self.fresh(&metric, sample),
                Err(error) => Err(error),
            };
            match sample {
                Ok(Sample { value, samples, .. }) => {
                    let (name, reading) = (metric.name.to_string(), Reading::Value(value));
                    let event = Event::Measure { metric: name, reading, control: None, samples };
                    for flag in flags {
                        let outcome = self.by(&by).act(&flag, &event);
                        let metric = metric.name.clone();
                        report.read.push(MetricRead { flag, metric, outcome });
                    }
                }
                Err(error) => report.failed.push((metric.name.clone(), error)),
            }
        }
        report
    }

    /// Returns each metric that is needed now, with the flags that need it.
    fn metrics_with_flags(&self) -> Vec<(Metric, Vec<Box<str>>)> {
        let live = self.shared.lock_live();
        let mut wanted: BTreeMap<&str, (&Metric, Vec<Box<str>>)> = BTreeMap::new();
        for (key, state) in live.state.flags() {
            let Some(plan) = live.state.plan.flag(key) else { continue };
            for metric in machine::metrics_to_read(&plan, state) {
                let entry = wanted.entry(&metric.name).or_insert_with(|| (metric, Vec::new()));
                entry.1.push(key.clone());
            }
        }
        wanted.into_values().map(|(metric, flags)| (metric.clone(), flags)).collect()
    }

    fn fresh(&self, metric: &Metric, sample: Sample) -> Result<Sample, ReadError> {
        let now = self.shared.moment().wall;
        match now.duration_since(sample.at) {
            Ok(age) if age > *metric.stale_after => {
                let old = age.as_secs();
                Err(ReadError::new(format!("the value of `{}` is {old} seconds old", metric.name)))
            }
            Err(ahead) if ahead.duration() > MAX_CLOCK_SKEW => {
                let ahead = ahead.duration().as_secs();
                let found =
                    format!("the value of `{}` is from {ahead} seconds in the future", metric.name);
                Err(ReadError::new(found))
            }
            _ => Ok(sample),
        }
    }
}
