//! What there is to see of a rollout, as numbers with names.

pub(super) mod family;
#[cfg(feature = "guard")]
mod judged;
mod of_rollout;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use self::family::Family;
use crate::percent::Percent;
use crate::plan::Plan;
use crate::plan::model::{Number, Quantity};
use crate::rollout::{OutboxStatus, RolloutStatus};

/// What a rollout comes to at a moment, as numbers with names and labels: where each flag is, what is open, what its
/// metrics have come to. Printed, it is Prometheus' text format, version 0.0.4.
///
/// The chapter on observing lists every name. There are as many series as flags, stages, triggers and metrics ask for,
/// and none has the key of a user.
///
/// # Complexity
///
/// Some 15 series a flag, and one more for each of its stages; a look at a server for metrics, not at each request.
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

/// Names and values, in the order in which they are printed.
pub(super) type Labels = Vec<(&'static str, Box<str>)>;

impl Figures {
    /// What HTTP calls the printed form. Prometheus reads nothing that is called otherwise.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Those of a rollout: its [status](crate::rollout::Rollout::status), and its [plan](crate::rollout::Rollout::plan)
    /// for the stages. A flag that the plan does not have any more has no place and no share.
    #[must_use]
    pub fn of(status: &RolloutStatus, plan: &Plan) -> Figures {
        let mut figures = Figures::default();
        of_rollout::add(&mut figures, status, plan);
        figures
    }

    /// With those of an outbox of that name.
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
        self.add(family::OUTBOX_WAITING, labels, u64::try_from(outbox.waiting).ok().map(whole));
        self.add(family::OUTBOX_DELIVERED, labels, whole(outbox.delivered));
        self.add(family::OUTBOX_LOST, labels, whole(outbox.lost));
        self
    }

    /// With whether the store can be reached, where the program knows better than the rollout's last status: it cannot
    /// open the store, say.
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
        self.add(family::STORE_UP, [], is(is_up));
        self
    }

    /// With whether this process has the lead: of several controllers on one store, one does.
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
        self.add(family::LEADS, [], is(leads));
        self
    }

    /// A value takes the place of another one with the same labels: no series comes twice.
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

    /// A value of a metric, in the family of its unit.
    fn add_measured(&mut self, flag: &str, metric: &str, arm: &str, quantity: Option<Quantity>) {
        let (family, value) = match quantity {
            Some(Quantity::Percent(percent)) => (family::METRIC_RATIO, ratio(percent)),
            Some(Quantity::Duration(time)) => (family::METRIC_SECONDS, time.as_secs_f64()),
            Some(Quantity::Count(count)) => (family::METRIC_VALUE, whole(count)),
            Some(Quantity::Number(number)) => (family::METRIC_VALUE, decimal(number)),
            None => return,
        };
        self.add(family, [("flag", flag), ("metric", metric), ("arm", arm)], value);
    }

    /// 1 for that of several states which it is, 0 for the others.
    fn add_state(
        &mut self,
        family: Family,
        labels: &[(&'static str, &str)],
        label: &'static str,
        (states, state): (&[&str], &str),
    ) {
        for one in states {
            let labels = labels.iter().copied().chain([(label, *one)]);
            self.add(family, labels, is(*one == state));
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

/// The value of a label, as the format has it.
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

/// Beyond 2^53 it is the nearest that there is: all numbers of the format are floats.
fn whole(number: u64) -> f64 {
    number as f64
}

/// The nearest float: all numbers of the format are floats.
#[expect(clippy::float_arithmetic, reason = "to be looked at; no answer depends on it")]
fn decimal(number: Number) -> f64 {
    number.millionths() as f64 / 1e6
}

#[expect(clippy::float_arithmetic, reason = "to be looked at; no answer depends on it")]
fn ratio(percent: Percent) -> f64 {
    f64::from(percent.ppm()) / 1e6
}

fn is(it: bool) -> f64 {
    f64::from(u8::from(it))
}

/// Seconds since 1970; `None` of a moment before.
fn moment(at: SystemTime) -> Option<f64> {
    at.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}
