//! Confirmation: describing an action's effect and asking before it.

use std::io::{BufRead, IsTerminal, Write};

use stagegate::rollout::{FlagReport, Rollout};
use stagegate::{Percent, StageName};

use crate::failure::Failure;
use crate::rollout_args::ConfirmArgs;
use crate::users;

/// Describes what a flag's move to another stage means for users.
pub(super) fn describe_move(
    rollout: &Rollout,
    report: &FlagReport,
    to: StageName,
    confirm: &ConfirmArgs,
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
    // The stages that the flag enters or leaves. Position 0 is `off`.
    let position =
        |name: &str| plan.stages().position(|it| *it.name() == *name).map_or(0, |at| at + 1);
    let (low, high) = (position(from).min(position(to)), position(from).max(position(to)));
    let between = plan.stages().skip(low).take(high - low);
    let groups: Vec<&str> = between.flat_map(|stage| stage.groups()).collect();
    if !groups.is_empty() {
        let what = if position(to) > low { "with" } else { "without" };
        let noun = if groups.len() == 1 { "group" } else { "groups" };
        text += &format!(", {what} {noun} {}", groups.join(", "));
    }
    // A users file gives an exact count, so the document's estimate is not needed.
    let declared = plan.traffic().filter(|_| confirm.users.is_none());
    if let Some(users) = confirm.traffic.or(declared.and_then(|traffic| traffic.users)) {
        let (before, after) = (u128::from(before.ppm()), u128::from(after.ppm()));
        let about = u128::from(users) * before.abs_diff(after) / u128::from(Percent::ALL.ppm());
        let what = if after < before { "lose" } else { "gain" };
        text += &format!("; about {about} of {users} users {what} the flag");
    }
    if let Some(file) = &confirm.users {
        let (mut gain, mut lose, mut all) = (0_u64, 0_u64, 0_u64);
        users::read(file, |line| {
            let has =
                |stage| plan.explain_at(stage, &line.user).is_some_and(|it| it.evaluation.enabled);
            let (before, after) = (has(from), has(to));
            all += 1;
            gain += u64::from(after && !before);
            lose += u64::from(before && !after);
        })?;
        text += &format!("; of {all} users, {gain} gain and {lose} lose the flag");
    }
    Ok(text)
}

/// Asks on the terminal. Without a terminal, fails and names `--yes`.
pub(super) fn ask(what: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{what}\npass `--yes` to confirm")));
    }
    let _ = write!(anstream::stderr(), "{what}\nconfirm? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::Usage("nothing was done".to_owned())),
    }
}
