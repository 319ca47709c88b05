//! What was read before, for a rollout that must not wait.

use std::collections::BTreeMap;

use stagegate::model::Metric;
use stagegate::rollout::{MetricReader, ReadError, Sample};

use crate::escape::terminal;

/// Samples by the names of their metrics.
pub(super) struct Cached {
    by: String,
    samples: BTreeMap<Box<str>, Sample>,
}

impl Cached {
    /// What a reader has of these metrics now, and what it could not read.
    pub(super) fn read(reader: &mut dyn MetricReader, wanted: &[Metric]) -> (Cached, Vec<String>) {
        let (mut samples, mut failed) = (BTreeMap::new(), Vec::new());
        for metric in wanted {
            match reader.read(metric) {
                Ok(sample) => samples.extend(sample.map(|sample| (metric.name.clone(), sample))),
                Err(error) => failed.push(terminal(&format!("{}: {error}", metric.name))),
            }
        }
        (Cached { by: reader.name().to_owned(), samples }, failed)
    }
}

impl MetricReader for Cached {
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError> {
        Ok(self.samples.get(&metric.name).copied())
    }

    fn name(&self) -> &str {
        &self.by
    }
}
