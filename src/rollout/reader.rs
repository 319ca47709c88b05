//! Readers of metrics that a monitoring system keeps.

use std::time::SystemTime;

use thiserror::Error;

use crate::plan::model::{Metric, Quantity};

/// A reader of metrics that are kept elsewhere, such as in a monitoring system.
///
/// An implementation needs a deadline of its own, a few seconds. It reads only the metrics that it
/// knows.
pub trait MetricReader: Send {
    /// Returns the current value of a metric, or `None` if this reader does not know the metric.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if there is no value: no answer in time, no data, not a number, or several values.
    /// Its text must not contain a secret.
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError>;

    /// Returns the reader's name for the journal's records, such as `prometheus`.
    fn name(&self) -> &str;
}

/// A value of a metric at a moment.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::model::Quantity;
/// use stagegate::rollout::Sample;
///
/// let sample = Sample::new(Quantity::Count(3), SystemTime::UNIX_EPOCH);
/// assert_eq!(sample.samples, None);
/// assert_eq!(sample.with_samples(1200).samples, Some(1200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The value, in the metric's unit.
    pub value: Quantity,
    /// The time of the value, by the clock of the monitoring system.
    pub at: SystemTime,
    /// The number of samples that the value is computed from. `None`: unknown, which satisfies every `minimum_sample`.
    pub samples: Option<u64>,
}

/// The reason why a metric has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ReadError {
    message: String,
}

impl Sample {
    /// Creates a sample without a number of samples.
    #[must_use]
    pub fn new(value: Quantity, at: SystemTime) -> Sample {
        Sample { value, at, samples: None }
    }

    /// Sets the number of samples that the value is computed from.
    #[must_use]
    pub fn with_samples(self, samples: u64) -> Sample {
        Sample { samples: Some(samples), ..self }
    }
}

impl ReadError {
    /// Creates an error from a message that says what is wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> ReadError {
        ReadError { message: message.into() }
    }
}
