//! Figures of a rollout's status.

use super::family::{self, Family};
use super::{Figures, from_bool, from_percent, from_u64, unix_seconds};
use crate::eval::StageName;
use crate::plan::Plan;
use crate::rollout::{Evidence, FlagReport, Progress, RolloutStatus};

const STANDINGS: [&str; 5] = ["off", "running", "held", "rolled_back", "complete"];

pub(super) fn add(figures: &mut Figures, status: &RolloutStatus, plan: &Plan) {
    let written = status.age.and_then(|age| status.now.at.checked_sub(age)).and_then(unix_seconds);
    let values = [
        (family::FROZEN, Some(from_bool(status.freeze.is_some()))),
        (family::JOURNAL_RECORDS, Some(from_u64(status.head.0))),
        (family::JOURNAL_WRITTEN, written),
        (family::STORE_UP, Some(from_bool(status.last_error.is_none()))),
        (family::UNRECORDED, count(status.unrecorded.len())),
        (family::VERSION, Some(from_u64(status.version))),
    ];
    for (family, value) in values {
        figures.add(family, [], value);
    }
    for report in &status.flags {
        add_flag(figures, report);
        add_stages(figures, report, plan);
        for (metric, evidence) in &report.state.evidence {
            add_evidence(figures, &report.flag, metric, evidence);
        }
    }
}

fn add_flag(figures: &mut Figures, report: &FlagReport) {
    let labels = [("flag", &*report.flag)];
    let values: [(Family, Option<f64>); 4] = [
        (family::FLAG_ENTERED, unix_seconds(report.state.since.at)),
        (family::FLAG_INCIDENT, Some(from_bool(report.state.incident.is_some()))),
        (family::FLAG_OVERDUE, count(report.overdue.len())),
        (family::FLAG_UNMET, count(report.unmet.len())),
    ];
    for (family, value) in values {
        figures.add(family, labels, value);
    }
    let standing = match report.progress {
        Progress::Off => "off",
        Progress::Running => "running",
        Progress::Held => "held",
        Progress::RolledBack => "rolled_back",
        Progress::Complete => "complete",
    };
    figures.add_state(family::FLAG_STANDING, &labels, "standing", (&STANDINGS, standing));
}

/// Adds the figures about stages, from the stage that the gate serves. An unrecorded rollback is not in the state yet.
fn add_stages(figures: &mut Figures, report: &FlagReport, plan: &Plan) {
    let labels = [("flag", &*report.flag)];
    let Some(flag) = plan.flag(&report.flag) else { return };
    let stages = flag.stages().map(|stage| (stage.name(), from_percent(stage.percent())));
    let stages: Vec<(StageName, f64)> = [(StageName::OFF, 0.0)].into_iter().chain(stages).collect();
    let names: Vec<&str> = stages.iter().map(|(name, _)| name.as_str()).collect();
    figures.add_state(family::FLAG_STAGE, &labels, "stage", (&names, report.serving.as_str()));
    let position = stages.iter().position(|(name, _)| *name == report.serving);
    figures.add(family::FLAG_POSITION, labels, position.and_then(count));
    let users = position.and_then(|position| stages.get(position)).map(|(_, users)| *users);
    figures.add(family::FLAG_USERS, labels, users);
}

fn add_evidence(figures: &mut Figures, flag: &str, metric: &str, evidence: &Evidence) {
    let labels = [("flag", flag), ("metric", metric)];
    figures.add_measured(flag, metric, "treatment", evidence.value);
    figures.add_measured(flag, metric, "control", evidence.control);
    figures.add(family::METRIC_READ, labels, unix_seconds(evidence.read_at.at));
    figures.add(family::METRIC_SAMPLES, labels, evidence.samples.map(from_u64));
}

fn count(number: usize) -> Option<f64> {
    u64::try_from(number).ok().map(from_u64)
}
