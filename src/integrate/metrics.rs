//! Counters and gauges through the facade of the `metrics` crate.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Label, counter, describe_counter, describe_gauge, gauge};

use super::figures::family::{self, Family, Kind};
use super::figures::{Figures, Labels};
use crate::gate::{Observer, Update};
use crate::rollout::{Notification, Sink};

/// An exporter to the application's recorder of the `metrics` crate. As a [`Sink`] it counts notifications, and as an
/// [`Observer`] updates and moved flags. [`publish`](Metrics::publish) sets gauges from [`Figures`].
///
/// Without an installed recorder, it counts nothing. The chapter on observing lists every name. No label has a user's
/// key. Clones share the set of published gauges.
///
/// # Example
///
/// ```
/// use stagegate::clock::SystemClock;
/// use stagegate::integrate::{Figures, Metrics};
/// use stagegate::rollout::Rollout;
/// use stagegate::store::Memory;
///
/// let document = "schema = 1\n[flags.search]\nstages = [{ name = \"all\", percent = 100 }]";
/// let rollout = Rollout::start(Memory::new(), SystemClock::new(), document, "ana")?;
/// let metrics = Metrics::new();
/// rollout.tell(metrics.clone());
/// rollout.gate().observe(metrics.clone());
/// rollout.by("ana").promote("search")?;
///
/// // Now and then, with a `Controller`'s tick, say.
/// metrics.publish(&Figures::of(&rollout.status(), &rollout.plan()));
/// assert_eq!(rollout.gate().version(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Gauges of the last call of `publish`.
    published: Arc<Mutex<BTreeSet<(Family, Labels)>>>,
}

const NOTIFICATIONS: &str = "stagegate_notifications_total";
const TRANSITIONS: &str = "stagegate_transitions_total";
const UPDATES: &str = "stagegate_updates_total";

impl Metrics {
    /// Creates an exporter and describes every name to the recorder. Install the recorder first.
    #[must_use]
    pub fn new() -> Metrics {
        describe_counter!(NOTIFICATIONS, "Notifications, by flag and kind.");
        describe_counter!(TRANSITIONS, "How often a flag entered a stage.");
        describe_counter!(UPDATES, "Updates of the gate, applied and refused.");
        for family in family::ALL {
            match family.kind {
                Kind::Counter => describe_counter!(family.name, family.help),
                Kind::Gauge => describe_gauge!(family.name, family.help),
            }
        }
        Metrics { published: Arc::default() }
    }

    /// Sets the recorder's gauges and counters to `figures`.
    ///
    /// A gauge that is no longer in `figures` becomes NaN, such as a gauge of a removed flag or of a metric without data.
    /// Recorders keep old values, which would look current. So publish all figures in one call.
    ///
    /// # Concurrency
    ///
    /// Concurrent calls run one after the other.
    pub fn publish(&self, figures: &Figures) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gauges = BTreeSet::new();
        for (family, series) in &figures.series {
            for (labels, value) in series {
                match family.kind {
                    Kind::Counter => {
                        counter!(family.name, labels_of(labels)).absolute(to_u64(*value));
                    }
                    Kind::Gauge => {
                        gauge!(family.name, labels_of(labels)).set(*value);
                        gauges.insert((*family, labels.clone()));
                    }
                }
            }
        }
        let previous = mem::replace(&mut *published, gauges);
        for (family, labels) in previous.difference(&published) {
            gauge!(family.name, labels_of(labels)).set(f64::NAN);
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Sink for Metrics {
    fn tell(&self, notification: &Notification) {
        let flag = notification.flag.to_string();
        counter!(NOTIFICATIONS, "flag" => flag, "kind" => notification.kind.name()).increment(1);
    }
}

impl Observer for Metrics {
    fn on_update(&self, update: &Update<'_>) {
        match update {
            Update::Applied { changes, .. } => {
                counter!(UPDATES, "result" => "applied").increment(1);
                for (flag, to) in
                    changes.iter().filter_map(|change| Some((change.flag.to_string(), change.to?)))
                {
                    counter!(TRANSITIONS, "flag" => flag, "stage" => to.to_string()).increment(1);
                }
            }
            Update::Refused { .. } => counter!(UPDATES, "result" => "refused").increment(1),
        }
    }
}

fn labels_of(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label::new(*name, value.to_string())).collect()
}

/// Converts a counter's value, which was made from a `u64`, back to a `u64`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the float was converted from a u64"
)]
fn to_u64(value: f64) -> u64 {
    value as u64
}
