//! Approvals: the people who must agree to a promotion besides the promoter.

use std::collections::BTreeSet;

use super::conditions::{Condition, signed};
use super::flag_view::{FlagView, position_of};
use super::refusal::Unmet;
use crate::eval::StageName;
use crate::plan::model::FlagPlan;

/// The item for a second person, if the plan has `four_eyes`. Keys have no space, so no item of a plan has this id.
pub(super) const FOUR_EYES: &str = "four eyes";

/// An approval: an item that one person signs before the promotion.
pub(super) struct Approval<'p> {
    /// The id of the item. No item of a plan has it, because keys have no space.
    pub(super) item: String,
    /// The promotion that needs it.
    promotion: String,
    role: Option<&'p str>,
}

/// Returns the approvals of the promotion from a stage to the next stage.
pub(super) fn of_next<'p>(plan: &FlagPlan<'p>, stage: StageName) -> Vec<Approval<'p>> {
    let above = position_of(plan, stage).unwrap_or(0);
    let Some(next) = plan.stages().nth(above) else { return Vec::new() };
    let roles = plan.approvals(&next.name()).iter();
    let approval = |role: &'p str| Approval {
        item: format!("approval: {role}"),
        promotion: format!("promotion to `{}`", next.name()),
        role: Some(role),
    };
    roles.map(|role| approval(role)).collect()
}

/// Returns the approvals of a forced promotion: one for each person that the plan asks for.
pub(super) fn of_force<'p>(plan: &FlagPlan<'p>) -> Vec<Approval<'p>> {
    let approval = |number| Approval {
        item: format!("force approval {number}"),
        promotion: "forced promotion".to_owned(),
        role: None,
    };
    (1..=plan.force_approvals()).map(approval).collect()
}

/// Returns the ids of all approvals that can be signed in a stage.
pub(super) fn items(plan: &FlagPlan<'_>, stage: StageName) -> impl Iterator<Item = String> {
    let all = of_next(plan, stage).into_iter().chain(of_force(plan));
    all.map(|approval| approval.item).chain(plan.four_eyes().then(|| FOUR_EYES.to_owned()))
}

/// Checks the approvals of one promotion. Each needs another person.
pub(super) fn check(flag: &FlagView<'_, '_>, approvals: &[Approval<'_>]) -> Vec<Condition> {
    let check = |(index, Approval { item, promotion, role }): (usize, &Approval<'_>)| {
        let signer = || Some(&flag.state.signatures.get(&**item)?.by);
        let by = |by| approvals.iter().take(index).find(|it| is_by(flag, it, by));
        match signer().and_then(|signer| Some((signer, by(signer)?))) {
            Some((signer, earlier)) => Err(signed_twice(signer, &earlier.item, item)),
            None => signed(flag, "approval", item, promotion, *role, None),
        }
    };
    approvals.iter().enumerate().map(check).collect()
}

/// Refuses a person's approval of a promotion that the person has approved already, under another item.
pub(super) fn check_signer(flag: &FlagView<'_, '_>, item: &str) -> Result<(), Unmet> {
    let Some(by) = flag.by else { return Ok(()) };
    for approvals in [of_next(flag.plan, flag.state.stage), of_force(flag.plan)] {
        let mut others = approvals.iter().filter(|it| it.item != item);
        if approvals.iter().any(|it| it.item == item)
            && let Some(other) = others.find(|it| is_by(flag, it, by))
        {
            return Err(signed_twice(by, &other.item, item));
        }
    }
    Ok(())
}

fn is_by(flag: &FlagView<'_, '_>, approval: &Approval<'_>, by: &str) -> bool {
    flag.state.signatures.get(&*approval.item).is_some_and(|signature| *signature.by == *by)
}

fn signed_twice(by: &str, item: &str, other: &str) -> Unmet {
    let found = format!("`{by}` has signed `{item}`, and each approval needs another person");
    Unmet::new("approval", found, format!("have `{other}` signed by another person"))
}

/// Returns why the promoter is not enough, if the plan asks for four eyes and no other person has signed in this stage.
pub(super) fn four_eyes(flag: &FlagView<'_, '_>) -> Option<Unmet> {
    let mut signatures = flag.state.signatures.values();
    let is_other = |by: &str| flag.by != Some(by);
    if !flag.plan.four_eyes() || signatures.any(|signature| is_other(&signature.by)) {
        return None;
    }
    let stage = flag.state.stage;
    let other = flag.by.map(|by| format!(" but `{by}`")).unwrap_or_default();
    let found = format!("no person{other} has signed an item in stage `{stage}`");
    let hint = format!("have another person sign an item or `{FOUR_EYES}`");
    Some(Unmet::new("four_eyes", found, hint))
}

/// Returns how an update changes the permissions, as text.
pub(super) fn changes(old: &FlagPlan<'_>, new: &FlagPlan<'_>) -> Vec<Box<str>> {
    let mut changes: Vec<Box<str>> = Vec::new();
    let stages: BTreeSet<String> =
        old.stages().chain(new.stages()).map(|it| it.name().to_string()).collect();
    for stage in stages {
        let (before, after) = (old.approvals(&stage), new.approvals(&stage));
        let mut add = |from: &[Box<str>], except: &[Box<str>], what: &str| {
            let differing = from.iter().filter(|role| !except.contains(role));
            changes.extend(differing.map(|role| format!("{stage} {what} by {role}").into()));
        };
        add(before, after, "needs no approval");
        add(after, before, "needs approval");
    }
    let (before, after) = (old.force_approvals(), new.force_approvals());
    if before != after {
        changes.push(match after {
            0 => "force needs no approval".into(),
            1 => "force needs 1 approval".into(),
            _ => format!("force needs {after} approvals").into(),
        });
    }
    if old.four_eyes() != new.four_eyes() {
        let state = if new.four_eyes() { "on" } else { "off" };
        changes.push(format!("four_eyes is {state}").into());
    }
    changes
}
