//! Metric names, after Prometheus' conventions: base units, and `_total` for counters.

/// A metric family: all series with one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::integrate) struct Family {
    /// First field, so that families sort and print in the order of their names.
    pub(in crate::integrate) name: &'static str,
    pub(in crate::integrate) kind: Kind,
    /// A sentence without backslashes or line breaks, because `Display` does not escape it.
    pub(in crate::integrate) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::integrate) enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

macro_rules! families {
    ($($(#[$attribute:meta])* $constant:ident = $kind:ident($name:literal, $help:literal);)*) => {
        $($(#[$attribute])* pub(in crate::integrate) const $constant: Family = $kind($name, $help);)*

        /// All families.
        #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "for `Metrics`"))]
        pub(in crate::integrate) const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    FLAG_ENTERED = gauge("stagegate_flag_entered_timestamp_seconds", "When the flag entered its stage.");
    FLAG_INCIDENT = gauge("stagegate_flag_incident_open", "1 while an incident of the flag is open.");
    FLAG_OVERDUE = gauge("stagegate_flag_overdue", "Number of overdue items in the flag's plan.");
    FLAG_POSITION = gauge("stagegate_flag_position", "Position of the flag's stage in its plan, from 1; 0 for off.");
    FLAG_STAGE = gauge("stagegate_flag_stage", "1 for the stage that answers evaluations, 0 for every other.");
    FLAG_STANDING = gauge("stagegate_flag_standing", "1 for the state of the flag's rollout, 0 for every other.");
    FLAG_UNEVEN = gauge("stagegate_flag_uneven", "1 while the split of users differs from the stage's percentage.");
    FLAG_UNMET = gauge("stagegate_flag_unmet_conditions", "Number of conditions that bar the next promotion.");
    FLAG_USERS = gauge("stagegate_flag_users_ratio", "Percentage of the flag's stage, as a ratio.");
    FROZEN = gauge("stagegate_frozen", "1 while all flags are held, else 0.");
    JOURNAL_RECORDS = gauge("stagegate_journal_records", "The number of the last record.");
    JOURNAL_WRITTEN = gauge("stagegate_journal_written_timestamp_seconds", "When the last record was written.");
    LEADS = gauge("stagegate_leads", "1 while this process leads the controllers of its store.");
    METRIC_RATIO = gauge("stagegate_metric_ratio", "Value of a metric in percent, as a ratio.");
    METRIC_READ = gauge("stagegate_metric_read_timestamp_seconds", "When the metric was last read, with or without data.");
    METRIC_SAMPLES = gauge("stagegate_metric_samples", "Sample count of the metric.");
    METRIC_SECONDS = gauge("stagegate_metric_seconds", "Value of a metric that is a duration.");
    METRIC_VALUE = gauge("stagegate_metric_value", "Value of a metric that is a count or a number.");
    OUTBOX_DELIVERED = counter("stagegate_outbox_delivered_total", "Delivered notifications.");
    OUTBOX_LOST = counter("stagegate_outbox_lost_total", "Notifications that will never arrive.");
    OUTBOX_WAITING = gauge("stagegate_outbox_waiting", "Notifications that wait for delivery.");
    STORE_UP = gauge("stagegate_store_up", "0 while the store fails, else 1.");
    TRIGGER_VERDICT = gauge("stagegate_trigger_verdict", "1 for the guard's verdict on the trigger, 0 for every other.");
    UNRECORDED = gauge("stagegate_unrecorded_rollbacks", "Flags that were rolled back, not yet in the journal.");
    VERSION = gauge("stagegate_version", "The version of the gate.");
}
