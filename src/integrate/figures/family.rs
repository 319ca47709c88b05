//! The names, after Prometheus' conventions: base units, `_total` for what is counted up.

/// All series of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::integrate) struct Family {
    /// First, so that families are printed in the order of their names.
    pub(in crate::integrate) name: &'static str,
    pub(in crate::integrate) kind: Kind,
    /// A sentence without backslash or line end: it is printed as it is.
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

        /// Every one that there is.
        #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "for `Metrics`"))]
        pub(in crate::integrate) const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    FLAG_ENTERED = gauge("stagegate_flag_entered_timestamp_seconds", "When the flag came into its stage.");
    FLAG_INCIDENT = gauge("stagegate_flag_incident_open", "1 while an incident of the flag is open.");
    FLAG_OVERDUE = gauge("stagegate_flag_overdue", "How much of the flag's plan is overdue.");
    FLAG_POSITION = gauge("stagegate_flag_position", "The place of the stage that answers in the flag's plan, 0 for off.");
    FLAG_STAGE = gauge("stagegate_flag_stage", "1 for the stage by which questions are answered.");
    FLAG_STANDING = gauge("stagegate_flag_standing", "1 for where the flag's rollout stands.");
    FLAG_UNEVEN = gauge("stagegate_flag_uneven", "1 while users are split otherwise than the stage says.");
    FLAG_UNMET = gauge("stagegate_flag_unmet_conditions", "How much is in the way of the next promotion.");
    FLAG_USERS = gauge("stagegate_flag_users_ratio", "The share of users that the flag's stage lets in by bucket.");
    JOURNAL_RECORDS = gauge("stagegate_journal_records", "The number of the last record.");
    JOURNAL_WRITTEN = gauge("stagegate_journal_written_timestamp_seconds", "When the last record was written.");
    LEADS = gauge("stagegate_leads", "1 while this process has the lead among the controllers of its store.");
    METRIC_RATIO = gauge("stagegate_metric_ratio", "What a metric that is a share has come to.");
    METRIC_READ = gauge("stagegate_metric_read_timestamp_seconds", "When a metric was read last, with or without data.");
    METRIC_SAMPLES = gauge("stagegate_metric_samples", "Of how many samples a metric is.");
    METRIC_SECONDS = gauge("stagegate_metric_seconds", "What a metric that is a time has come to.");
    METRIC_VALUE = gauge("stagegate_metric_value", "What a metric that is a count or a number has come to.");
    OUTBOX_DELIVERED = counter("stagegate_outbox_delivered_total", "Notifications that have arrived.");
    OUTBOX_LOST = counter("stagegate_outbox_lost_total", "Notifications that never will arrive.");
    OUTBOX_WAITING = gauge("stagegate_outbox_waiting", "Notifications that wait.");
    STORE_UP = gauge("stagegate_store_up", "0 while the store fails.");
    TRIGGER_VERDICT = gauge("stagegate_trigger_verdict", "1 for what the guard says of a trigger.");
    UNRECORDED = gauge("stagegate_unrecorded_rollbacks", "Roll-backs in force that are not in the journal yet.");
    VERSION = gauge("stagegate_version", "The version of the gate.");
}
