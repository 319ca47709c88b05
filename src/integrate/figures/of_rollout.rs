//! Those of a rollout's status.

use super::family::{self, Family};
use super::{Figures, is, moment, ratio, whole};
use crate::eval::StageName;
use crate::plan::Plan;
use crate::rollout::{Evidence, FlagReport, RolloutStatus, Standing};

const STANDINGS: [&str; 5] = ["off", "running", "held", "rolled_back", "complete"];

pub(super) fn add(figures: &mut Figures, status: &RolloutStatus, plan: &Plan) {
    let written = status.age.and_then(|age| status.now.at.checked_sub(age)).and_then(moment);
    let of_all = [
        (family::JOURNAL_RECORDS, Some(whole(status.head.0))),
        (family::JOURNAL_WRITTEN, written),
        (family::STORE_UP, Some(is(status.last_error.is_none()))),
        (family::UNRECORDED, count(status.unrecorded.len())),
        (family::VERSION, Some(whole(status.version))),
    ];
    for (family, value) in of_all {
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
    let of_flag: [(Family, Option<f64>); 4] = [
        (family::FLAG_ENTERED, moment(report.state.since.at)),
        (family::FLAG_INCIDENT, Some(is(report.state.incident.is_some()))),
        (family::FLAG_OVERDUE, count(report.overdue.len())),
        (family::FLAG_UNMET, count(report.unmet.len())),
    ];
    for (family, value) in of_flag {
        figures.add(family, labels, value);
    }
    let standing = match report.standing {
        Standing::Off => "off",
        Standing::Running => "running",
        Standing::Held => "held",
        Standing::RolledBack => "rolled_back",
        Standing::Complete => "complete",
    };
    figures.add_state(family::FLAG_STANDING, &labels, "standing", (&STANDINGS, standing));
}

/// By the stage that answers: while a roll-back is not recorded the state knows nothing of it.
fn add_stages(figures: &mut Figures, report: &FlagReport, plan: &Plan) {
    let labels = [("flag", &*report.flag)];
    let Some(flag) = plan.flag(&report.flag) else { return };
    let stages = flag.stages().map(|stage| (stage.name(), ratio(stage.percent())));
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
    figures.add(family::METRIC_READ, labels, moment(evidence.read.at));
    figures.add(family::METRIC_SAMPLES, labels, evidence.samples.map(whole));
}

fn count(number: usize) -> Option<f64> {
    u64::try_from(number).ok().map(whole)
}
