//! Another document, while a flag is on its way.

use super::case::{position_of, stage_of};
use super::evidence;
use super::people;
use super::refusal::{Refusal, Unmet};
use super::state::FlagState;
use crate::eval::StageName;
use crate::plan::model::{FlagPlan, StageDetails};
use crate::plan::one_of;
use crate::rollout::Stamp;

/// What a flag has to show anew under another plan: `time`, `metric NAME`, `item ID`, `complete`.
///
/// # Errors
///
/// [`Refusal`] when the flag cannot stay where it is under the new plan.
pub(in crate::rollout) fn replan(
    old: &FlagPlan<'_>,
    new: &FlagPlan<'_>,
    state: &FlagState,
) -> Result<Vec<Box<str>>, Refusal> {
    let refuse = |kind, found, hint: String| {
        let unmet = vec![Unmet::new(kind, found, hint)];
        Err(Refusal { flag: new.key().into(), event: "update", unmet })
    };
    if state.stage == StageName::OFF {
        return Ok(resets(old, new, state));
    }
    let Some(after) = stage_of(new, state.stage) else {
        let names: Vec<_> = new.stages().map(|stage| stage.name()).collect();
        let found = format!("it is in stage `{}`, which the document does not have", state.stage);
        let known = one_of(&state.stage, names.iter().map(StageName::as_str));
        return refuse("stage", found, format!("keep the stage, or roll back first ({known})"));
    };
    let before = stage_of(old, state.stage).map(|stage| stage.percent());
    if let Some(before) = before.filter(|before| after.percent() > *before) {
        let found = format!(
            "it is in stage `{}` with {before}%, which the document makes {}%",
            state.stage,
            after.percent()
        );
        let hint = "add a stage for the larger share, and promote to it".to_owned();
        return refuse("percent", found, hint);
    }
    Ok(resets(old, new, state))
}

fn resets(old: &FlagPlan<'_>, new: &FlagPlan<'_>, state: &FlagState) -> Vec<Box<str>> {
    let mut resets: Vec<Box<str>> = Vec::new();
    let others = audience(old, state.stage) != audience(new, state.stage);
    if others && state.stage != StageName::OFF {
        resets.push("time".into());
    }
    let (before, after) = (evidence::tests(old, state), evidence::tests(new, state));
    for name in state.evidence.keys() {
        let conditions = |tests: &[evidence::Test]| tests.iter().map(|it| it.text()).collect();
        let of = |tests: Option<&(&_, Vec<evidence::Test>)>| {
            tests.map(|(metric, tests): &(&crate::plan::model::Metric, _)| {
                let texts: std::collections::BTreeSet<Box<str>> = conditions(tests);
                (metric.unit, metric.source.clone(), texts)
            })
        };
        if others || of(before.get(&**name)) != of(after.get(&**name)) {
            resets.push(format!("metric {name}").into());
        }
    }
    let text = |plan: &FlagPlan<'_>, id: &str| {
        stage_of(plan, state.stage).and_then(|stage| text_of(stage.details(), id))
    };
    for id in state.signatures.keys() {
        if text(old, id) != text(new, id) {
            resets.push(format!("item {id}").into());
        }
    }
    let goes_on = position_of(new, state.stage).is_some_and(|place| place < new.stages().len());
    if state.complete && goes_on {
        resets.push("complete".into());
    }
    resets
}

/// Whom a stage lets in, as far as a document says it.
fn audience(plan: &FlagPlan<'_>, name: StageName) -> impl PartialEq + use<> {
    let above = position_of(plan, name).unwrap_or(0);
    let stages: Vec<_> = plan
        .stages()
        .take(above)
        .map(|stage| stage.groups().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let holds: Vec<_> = plan.hold_back().map(|(group, until)| (group.to_owned(), until)).collect();
    (stage_of(plan, name).map(|stage| stage.percent()), stages, holds, plan.salt())
}

/// What is signed under an id.
fn text_of(details: &StageDetails, id: &str) -> Option<String> {
    use crate::plan::model::Criterion;
    let manual = details.criteria.iter().find_map(|criterion| match criterion {
        Criterion::Manual { id: known, text } if **known == *id => Some(text.to_string()),
        _ => None,
    });
    let item = details.checklist.iter().find(|item| *item.id == *id);
    let listed = people::items(details).contains(&id).then(String::new);
    manual.or_else(|| item.map(|item| item.text.to_string())).or(listed)
}

/// Makes the resets that `replan` listed, as a record has them.
pub(in crate::rollout) fn reset(state: &mut FlagState, resets: &[Box<str>], now: Stamp) {
    for reset in resets {
        match reset.split_once(' ') {
            Some(("metric", name)) => {
                state.evidence.remove(name);
            }
            Some(("item", id)) => {
                state.signatures.remove(id);
            }
            _ if **reset == *"time" => {
                state.since = now;
                state.watch_missed = 0;
                state.watch_done.clear();
            }
            _ if **reset == *"complete" => state.complete = false,
            _ => {}
        }
    }
}
