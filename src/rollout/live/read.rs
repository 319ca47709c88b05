//! Reading metrics where they are kept.

use std::collections::BTreeMap;

use super::Rollout;
use crate::plan::model::Metric;
use crate::rollout::stamp::AHEAD;
use crate::rollout::{
    Event, MetricReader, Outcome, ReadError, Reading, RolloutError, Sample, machine,
};

/// What reading the metrics came to.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ReadReport {
    /// What was done about each value.
    pub read: Vec<MetricRead>,
    /// The metrics without a value, and why. Their last reading counts until it is too old.
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
    /// What became of it.
    pub outcome: Result<Outcome, RolloutError>,
}

impl Rollout {
    /// The metrics of which a reading counts now, because some flag's stage or triggers name them: each once.
    #[must_use]
    pub fn wanted_metrics(&self) -> Vec<Metric> {
        self.wanted().into_iter().map(|(metric, _)| metric).collect()
    }

    /// Reads every metric that some flag's stage or triggers name and that this reader knows, each once, and has what
    /// was read count as [`measure`](super::Actor::measure) does.
    ///
    /// What cannot be read, is no number, or is older than the metric's `stale_after`, is no reading: the last
    /// one counts until it is too old, and then what the trigger's `no_data` says.
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
        for (metric, flags) in self.wanted() {
            let sample = match reader.read(&metric) {
                Ok(None) => continue,
                Ok(Some(sample)) => self.fresh(&metric, sample),
                Err(error) => Err(error),
            };
            match sample {
                Ok(Sample { value, .. }) => {
                    let (name, reading) = (metric.name.to_string(), Reading::Value(value));
                    let event =
                        Event::Measure { metric: name, reading, control: None, samples: None };
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

    /// Each metric that a flag's stage or triggers ask for now, and which flags those are.
    fn wanted(&self) -> Vec<(Metric, Vec<Box<str>>)> {
        let front = self.shared.front();
        let mut wanted: BTreeMap<&str, (&Metric, Vec<Box<str>>)> = BTreeMap::new();
        for (key, state) in front.state.flags() {
            let Some(plan) = front.state.plan.flag(key) else { continue };
            for metric in machine::wanted(&plan, state) {
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
                Err(ReadError::new(format!("`{}` is of {old} seconds ago", metric.name)))
            }
            Err(ahead) if ahead.duration() > AHEAD => {
                let ahead = ahead.duration().as_secs();
                let found = format!("`{}` is of a moment {ahead} seconds from now", metric.name);
                Err(ReadError::new(found))
            }
            _ => Ok(sample),
        }
    }
}
