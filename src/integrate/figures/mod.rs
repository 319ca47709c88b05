//! A rollout's current state as labelled numbers.

pub(super) mod family;
#[cfg(feature = "guard")]
mod judgements;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use self::family::Family;
use crate::percent::Percent;
use crate::plan::Plan;
use crate::plan::model::{Number, Quantity};
use crate::rollout::{OutboxStatus, RolloutStatus};

/// A rollout's state at one moment, as labelled numbers: the stage of each flag, open incidents, metric values.
/// `Display` prints Prometheus' text format, version 0.0.4.
///
/// The chapter on observing lists every name. The number of series depends on flags, stages, triggers and metrics. No
/// label has a user's key.
///
/// # Complexity
///
/// About 15 series for each flag, and one for each of its stages. Build them for each scrape, not for each request.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::clock::ManualClock;
/// use stagegate::integrate::Figures;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::Memory;
///
/// let document = "schema = 1\n[flags.search]\nstages = [{ name = \"pilot\", percent = 12.5 }, { name = \"ga\", percent = 100 }]";
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
/// rollout.by("ana").promote("search")?;
///
/// let text = Figures::of(&rollout.status(), &rollout.plan()).to_string();
/// assert!(text.contains("# TYPE stagegate_flag_users_ratio gauge\nstagegate_flag_users_ratio{flag=\"search\"} 0.125\n"));
/// assert!(text.contains("stagegate_flag_stage{flag=\"search\",stage=\"pilot\"} 1\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub(super) series: BTreeMap<Family, BTreeMap<Labels, f64>>,
}

/// Names and values of labels, in the order in which they are printed.
pub(super) type Labels = Vec<(&'static str, Box<str>)>;

impl Figures {
    /// `Content-Type` of the printed form. Prometheus accepts no other.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Returns the figures of a rollout from its [status](crate::rollout::Rollout::status) and its
    /// [plan](crate::rollout::Rollout::plan). A flag that is no longer in the plan has no figures about stages.
    #[must_use]
    pub fn of(status: &RolloutStatus, plan: &Plan) -> Figures {
        let mut figures = Figures::default();
        status::add(&mut figures, status, plan);
        figures
    }

    /// Adds the figures of an outbox, labelled `outbox="NAME"`.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::integrate::Figures;
    /// use stagegate::rollout::OutboxStatus;
    ///
    /// let figures = Figures::default().with_outbox("chat", &OutboxStatus::default());
    /// assert!(figures.to_string().contains("stagegate_outbox_lost_total{outbox=\"chat\"} 0\n"));
    /// ```
    #[must_use]
    pub fn with_outbox(mut self, name: &str, outbox: &OutboxStatus) -> Figures {
        let labels = [("outbox", name)];
        self.add(family::OUTBOX_WAITING, labels, u64::try_from(outbox.waiting).ok().map(from_u64));
        self.add(family::OUTBOX_DELIVERED, labels, from_u64(outbox.delivered));
        self.add(family::OUTBOX_LOST, labels, from_u64(outbox.lost));
        self
    }

    /// Sets whether the store can be reached. Use it if your program knows more than the rollout's last status, such as
    /// after a failure to open the store.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::integrate::Figures;
    ///
    /// assert!(Figures::default().with_store(false).to_string().contains("stagegate_store_up 0\n"));
    /// ```
    #[must_use]
    pub fn with_store(mut self, is_up: bool) -> Figures {
        self.add(family::STORE_UP, [], from_bool(is_up));
        self
    }

    /// Sets whether this process leads the controllers of its store.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::integrate::Figures;
    ///
    /// assert!(Figures::default().with_lead(true).to_string().contains("stagegate_leads 1\n"));
    /// ```
    #[must_use]
    pub fn with_lead(mut self, leads: bool) -> Figures {
        self.add(family::LEADS, [], from_bool(leads));
        self
    }

    /// Sets the value of a series, and replaces an earlier value with the same labels.
    fn add<'l>(
        &mut self,
        family: Family,
        labels: impl IntoIterator<Item = (&'static str, &'l str)>,
        value: impl Into<Option<f64>>,
    ) {
        let Some(value) = value.into() else { return };
        let labels = labels.into_iter().map(|(name, value)| (name, value.into())).collect();
        self.series.entry(family).or_default().insert(labels, value);
    }

    /// Sets a metric's value in the family of its unit.
    fn add_measured(&mut self, flag: &str, metric: &str, arm: &str, quantity: Option<Quantity>) {
        let (family, value) = match quantity {
            Some(Quantity::Percent(percent)) => (family::METRIC_RATIO, from_percent(percent)),
            Some(Quantity::Duration(time)) => (family::METRIC_SECONDS, time.as_secs_f64()),
            Some(Quantity::Count(count)) => (family::METRIC_VALUE, from_u64(count)),
            Some(Quantity::Number(number)) => (family::METRIC_VALUE, from_number(number)),
            None => return,
        };
        self.add(family, [("flag", flag), ("metric", metric), ("arm", arm)], value);
    }

    /// Sets one series for each state: 1 for the current one, 0 for every other.
    fn add_state(
        &mut self,
        family: Family,
        labels: &[(&'static str, &str)],
        label: &'static str,
        (states, current): (&[&str], &str),
    ) {
        for state in states {
            let labels = labels.iter().copied().chain([(label, *state)]);
            self.add(family, labels, from_bool(*state == current));
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (family, series) in &self.series {
            writeln!(f, "# HELP {} {}", family.name, family.help)?;
            writeln!(f, "# TYPE {} {}", family.name, family.kind.name())?;
            for (labels, value) in series {
                f.write_str(family.name)?;
                for (index, (name, value)) in labels.iter().enumerate() {
                    let before = if index == 0 { '{' } else { ',' };
                    write!(f, "{before}{name}=\"{}\"", Escaped(value))?;
                }
                writeln!(f, "{} {value}", if labels.is_empty() { "" } else { "}" })?;
            }
        }
        Ok(())
    }
}

/// A label's value, escaped for the text format.
struct Escaped<'v>(&'v str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => write!(f, "{c}"),
        })
    }
}

/// Rounds to the nearest float beyond 2^53, because the format's numbers are floats.
fn from_u64(number: u64) -> f64 {
    number as f64
}

/// Rounds to the nearest float, because the format's numbers are floats.
#[expect(clippy::float_arithmetic, reason = "only printed; no evaluation depends on it")]
fn from_number(number: Number) -> f64 {
    number.millionths() as f64 / 1e6
}

#[expect(clippy::float_arithmetic, reason = "only printed; no evaluation depends on it")]
fn from_percent(percent: Percent) -> f64 {
    f64::from(percent.ppm()) / 1e6
}

fn from_bool(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Returns the seconds since 1970, or `None` for an earlier moment.
fn unix_seconds(at: SystemTime) -> Option<f64> {
    at.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}
