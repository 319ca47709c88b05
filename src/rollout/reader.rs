//! Metrics that are kept elsewhere.

use std::time::SystemTime;

use thiserror::Error;

use crate::plan::model::{Metric, Quantity};

/// Reads metrics where they are kept: a monitoring system.
///
/// An implementation has a deadline of its own, a few seconds, and
/// answers for the metrics it knows.
pub trait MetricReader: Send {
    /// What a metric is now; `None` where this reader does not know the metric at all.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when there is no value: no answer in time, no data, not a number, more than one. No
    /// secret stands in its text.
    fn read(&mut self, metric: &Metric) -> Result<Option<Sample>, ReadError>;

    /// By whom records say that it was read: `prometheus`.
    fn name(&self) -> &str;
}

/// A value, and when it was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The value, in the metric's unit.
    pub value: Quantity,
    /// When, by the clock of where it is kept.
    pub at: SystemTime,
}

/// Why a metric has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ReadError {
    message: String,
}

impl Sample {
    /// A value of a moment.
    #[must_use]
    pub fn new(value: Quantity, at: SystemTime) -> Sample {
        Sample { value, at }
    }
}

impl ReadError {
    /// What is wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> ReadError {
        ReadError { message: message.into() }
    }
}
