//! What happens, and what it comes to, through the facade of the `metrics` crate.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Label, counter, describe_counter, describe_gauge, gauge};

use super::figures::family::{self, Family, Kind};
use super::figures::{Figures, Labels};
use crate::gate::{Observer, Update};
use crate::rollout::{Notification, Sink};

/// Gives numbers to the recorder of the `metrics` crate: as a [`Sink`] it counts notifications, as an [`Observer`]
/// updates and what they move, and [`publish`](Metrics::publish) gives it [`Figures`].
///
/// Which recorder that is, the application decides; without one nothing is counted, at the price of looking for it.
/// The chapter on observing lists every name. No label has the key of a user. Clones share what they have published.
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
    /// The gauges that were published last.
    published: Arc<Mutex<BTreeSet<(Family, Labels)>>>,
}

const NOTIFICATIONS: &str = "stagegate_notifications_total";
const TRANSITIONS: &str = "stagegate_transitions_total";
const UPDATES: &str = "stagegate_updates_total";

impl Metrics {
    /// Describes every name to the recorder, which therefore has to be there already.
    #[must_use]
    pub fn new() -> Metrics {
        describe_counter!(NOTIFICATIONS, "What was told of a flag, by its kind.");
        describe_counter!(TRANSITIONS, "How often a flag has come into a stage.");
        describe_counter!(UPDATES, "Updates of the gate, applied and refused.");
        for family in family::ALL {
            match family.kind {
                Kind::Counter => describe_counter!(family.name, family.help),
                Kind::Gauge => describe_gauge!(family.name, family.help),
            }
        }
        Metrics { published: Arc::default() }
    }

    /// Gives all of these to the recorder. A recorder forgets nothing by itself: a gauge that was there the last time
    /// and is not any more (of a flag that is gone, of a metric that has no data) becomes NaN, so that nobody takes an old
    /// number for a new one. So all that there is has to be published together.
    ///
    /// # Concurrency
    ///
    /// One at a time; others wait.
    pub fn publish(&self, figures: &Figures) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gauges = BTreeSet::new();
        for (family, series) in &figures.series {
            for (labels, value) in series {
                match family.kind {
                    Kind::Counter => {
                        counter!(family.name, labels_of(labels)).absolute(whole(*value));
                    }
                    Kind::Gauge => {
                        gauge!(family.name, labels_of(labels)).set(*value);
                        gauges.insert((*family, labels.clone()));
                    }
                }
            }
        }
        let before = mem::replace(&mut *published, gauges);
        for (family, labels) in before.difference(&published) {
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
                    changes.iter().filter_map(|it| Some((it.flag.to_string(), it.to?)))
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

/// Of what is counted up in whole numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was a whole number, and none is negative"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
