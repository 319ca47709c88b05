//! Confirmation: describing an action's effect and asking before it.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal, Write};

use stagegate::rollout::{FlagReport, Rollout};
use stagegate::{Percent, StageName};

use crate::failure::Failure;
use crate::rollout_args::ConfirmArgs;
use crate::terminal::quoted;
use crate::users::{self, UserLine};

/// Describes what a flag's move to another stage means for users.
pub(super) fn describe_move(
    rollout: &Rollout,
    report: &FlagReport,
    to: StageName,
    confirm: &ConfirmArgs,
) -> Result<String, Failure> {
    let from = report.state.stage;
    let plan = rollout.plan();
    let Some(plan) = plan.flag(&report.flag) else { return Ok(format!("{from} -> {to}")) };
    let stage_at = |name: StageName| plan.stages().find(|stage| stage.name() == name);
    let percent = |name| stage_at(name).map_or(Percent::NONE, |stage| stage.percent());
    let (before, after) = (percent(from), percent(to));
    let within = |name| stage_at(name).into_iter().flat_map(|stage| stage.within()).collect();
    let (old, new): (Vec<&str>, Vec<&str>) = (within(from), within(to));
    let of = |within: &[&str]| match within {
        [] => "users".to_owned(),
        groups => quoted(groups.iter().copied()),
    };
    let of_before = match before {
        Percent::NONE => String::new(),
        _ if old == new => String::new(),
        _ => format!(" of {}", of(&old)),
    };
    let (key, of_after) = (plan.key(), of(&new));
    let mut text =
        format!("{key}: {from} -> {to}, from {before}%{of_before} to {after}% of {of_after}");
    // The stages that the flag enters or leaves. Position 0 is `off`.
    let position =
        |name| plan.stages().position(|stage| stage.name() == name).map_or(0, |at| at + 1);
    let (low, high) = (position(from).min(position(to)), position(from).max(position(to)));
    let between = plan.stages().skip(low).take(high - low);
    let groups: Vec<&str> = between.flat_map(|stage| stage.groups()).collect();
    if !groups.is_empty() {
        let what = if position(to) > low { "with" } else { "without" };
        let noun = if groups.len() == 1 { "group" } else { "groups" };
        text += &format!(", {what} {noun} {}", groups.join(", "));
    }
    // The traffic does not say how many users are in a group.
    let is_of_users = old.is_empty() && new.is_empty();
    // A users file gives an exact count, so the document's estimate is not needed.
    let declared = plan.traffic().filter(|_| confirm.users.is_none() && is_of_users);
    if let Some(users) = confirm.traffic.or(declared.and_then(|traffic| traffic.users)) {
        let (before, after) = (u128::from(before.ppm()), u128::from(after.ppm()));
        let about = u128::from(users) * before.abs_diff(after) / u128::from(Percent::ALL.ppm());
        let what = if after < before { "lose" } else { "gain" };
        text += &format!("; about {about} of {users} users {what} the flag");
    }
    if let Some(file) = &confirm.users {
        let (mut gain, mut lose, mut all) = (0_u64, 0_u64, 0_u64);
        let flags = rollout.status().flags;
        let stages: HashMap<&str, StageName> =
            flags.iter().map(|flag| (&*flag.flag, flag.state.stage)).collect();
        // A required flag stays at its stage.
        let has = |stage: StageName, line: &UserLine<'_>| {
            let stage_of = |key: &str| match *key == *report.flag {
                true => Some(stage),
                false => stages.get(key).copied(),
            };
            plan.explain_with(stage_of, &line.user).evaluation.enabled
        };
        users::read(file, |line| {
            let (before, after) = (has(report.state.stage, line), has(to, line));
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
