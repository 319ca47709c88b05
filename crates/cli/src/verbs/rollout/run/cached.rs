//! Samples that are read before the store is locked, so that a slow server does not hold the lock.

use std::collections::BTreeMap;

use stagegate::model::Metric;
use stagegate::rollout::{MetricReader, ReadError, Sample};

use crate::escape::terminal;

/// Samples by metric name.
pub(super) struct CachedSamples {
    by: String,
    samples: BTreeMap<Box<str>, Sample>,
}

impl CachedSamples {
    /// Reads these metrics now. Returns the samples, and an error text for each failed read.
    pub(super) fn read(
        reader: &mut dyn MetricReader,
        wanted: &[Metric],
    ) -> (CachedSamples, Vec<String>) {
        let (mut samples, mut failed) = (BTreeMap::new(), Vec::new());
        for metric in wanted {
            match reader.read(metric) {
                Ok(sample) => samples.extend(sample.map(|sample| (metric.name.clone(), sample))),
                Err(error) => failed.push(terminal(&format!("{}: {error}", metric.name))),
            }
        }
        (CachedSamples { by: reader.name().to_owned(), samples }, failed)
    }
}

impl MetricReader for CachedSamples {
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError> {
        Ok(self.samples.get(&metric.name).copied())
    }

    fn name(&self) -> &str {
        &self.by
    }
}
