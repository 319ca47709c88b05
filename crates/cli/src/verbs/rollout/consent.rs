//! Saying what will change, and asking whether it is meant.

use std::io::{BufRead, IsTerminal, Write};

use stagegate::rollout::{FlagReport, Rollout};
use stagegate::{Percent, StageName};

use crate::failure::Failure;
use crate::rollout_args::Consent;
use crate::users;

/// What moving a flag from a stage to another means for users.
pub(super) fn of_move(
    rollout: &Rollout,
    report: &FlagReport,
    to: StageName,
    consent: &Consent,
) -> Result<String, Failure> {
    let (from, to) = (report.state.stage.as_str(), to.as_str());
    let plan = rollout.plan();
    let Some(plan) = plan.flag(&report.flag) else { return Ok(format!("{from} -> {to}")) };
    let percent = |name: &str| {
        let stage = plan.stages().find(|stage| *stage.name() == *name);
        stage.map_or(Percent::NONE, |stage| stage.percent())
    };
    let (before, after) = (percent(from), percent(to));
    let mut text = format!("{}: {from} -> {to}, from {before}% to {after}% of users", plan.key());
    // The stages that lie between, or whose end it is.
    let place =
        |name: &str| plan.stages().position(|it| *it.name() == *name).map_or(0, |at| at + 1);
    let (low, high) = (place(from).min(place(to)), place(from).max(place(to)));
    let between = plan.stages().skip(low).take(high - low);
    let groups: Vec<&str> = between.flat_map(|stage| stage.groups()).collect();
    if !groups.is_empty() {
        let what = if place(to) > low { "with" } else { "without" };
        text += &format!(", {what} {}", groups.join(", "));
    }
    // A file says more exactly who they are than the document says how many.
    let declared = plan.traffic().filter(|_| consent.users.is_none());
    if let Some(users) = consent.traffic.or(declared.and_then(|traffic| traffic.users)) {
        let (before, after) = (u128::from(before.ppm()), u128::from(after.ppm()));
        let about = u128::from(users) * before.abs_diff(after) / u128::from(Percent::ALL.ppm());
        let what = if after < before { "lose" } else { "gain" };
        text += &format!("; about {about} of {users} {what} it");
    }
    if let Some(file) = &consent.users {
        let (mut gain, mut lose, mut all) = (0_u64, 0_u64, 0_u64);
        users::read(file, |line| {
            let has =
                |stage| plan.explain_at(stage, &line.user).is_some_and(|it| it.evaluation.enabled);
            let (before, after) = (has(from), has(to));
            all += 1;
            gain += u64::from(after && !before);
            lose += u64::from(before && !after);
        })?;
        text += &format!("; of {all} users {gain} gain and {lose} lose it");
    }
    Ok(text)
}

/// Asks.
pub(super) fn ask(what: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{what}\nsay `--yes` if that is meant")));
    }
    let _ = write!(anstream::stderr(), "{what}\ndo it? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::Usage("nothing was done".to_owned())),
    }
}
