//! Warnings about stages that are too short for their triggers at the declared traffic.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::Judge;
use super::power::{ErrorLimit, Traffic};
use crate::percent::Percent;
use crate::plan::limits::MAX_PROBLEMS;
use crate::plan::model::{FlagPlan, Quantity, Stage, StageDetails};
use crate::plan::{Plan, Problem, StageDoubt};

/// Returns warnings about triggers that find a fault too late, in document order. Show them with [`Plan::warnings`].
///
/// A stage has a minimum time: its `min_duration`, or its watch. The stage is too short for a trigger on errors if the
/// guard would not find twice what the trigger allows within that time, in four of five cases. [`Judge::power`] makes
/// the forecast.
///
/// This checks flags with declared [traffic](FlagPlan::traffic), in stages with a percentage and a minimum time. It
/// skips comparisons with control where every user has the flag. Flags with the same plan, triggers and traffic share
/// one warning.
///
/// Lists at most [`MAX_PROBLEMS`] warnings.
///
/// # Complexity
///
/// Microseconds for each trigger in each stage. If there are warnings, the document is read a second time.
///
/// # Example
///
/// ```
/// use stagegate::{Plan, guard};
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     traffic = { requests_per_minute = 300, error_rate = "1%" }
///     triggers = [{ metric = "error_rate", above = "5%", no_data = "hold", action = "rollback" }]
///     stages = [
///         { name = "pilot", percent = 1, min_duration = "10m" },
///         { name = "ga", percent = 100, min_duration = "10m" },
///     ]
/// "#)?;
/// let [warning] = &*guard::warnings(&plan) else { panic!() };
/// assert_eq!((warning.line(), warning.path()), (7, "flags.search.stages[0].min_duration"));
/// assert!(warning.hint().starts_with("write a `min_duration` of at least \"3h\", a larger `percent`"));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[must_use]
pub fn warnings(plan: &Plan) -> Vec<Problem> {
    let mut doubts = Vec::new();
    for equal in EqualFlags::all(plan) {
        for (index, stage) in equal.flag.stages().enumerate() {
            if doubts.len() < MAX_PROBLEMS {
                doubts.extend(equal.too_short(index, stage));
            }
        }
    }
    plan.warnings_of(&doubts)
}

/// A flag with declared traffic, and the number of other flags with the same plan, triggers and traffic.
struct EqualFlags<'p> {
    flag: FlagPlan<'p>,
    traffic: Traffic,
    others: usize,
}

impl<'p> EqualFlags<'p> {
    fn all(plan: &'p Plan) -> Vec<EqualFlags<'p>> {
        let (mut all, mut places) = (Vec::<EqualFlags<'p>>::new(), HashMap::new());
        for flag in plan.flags().filter_map(|key| plan.flag(key)) {
            let Some(traffic) = flag.traffic() else { continue };
            // Flags without triggers of their own share their plan's list, so its address identifies it.
            let shared = flag.plan().map(|name| (name, flag.triggers().as_ptr(), *traffic));
            let known = shared.map(|shared| *places.entry(shared).or_insert(all.len()));
            match known.and_then(|place| all.get_mut(place)) {
                Some(equal) => equal.others += 1,
                None => all.push(EqualFlags { flag, traffic: traffic.into(), others: 0 }),
            }
        }
        all
    }

    /// Returns a warning for each trigger that the stage is too short for.
    fn too_short(&self, index: usize, stage: Stage<'_>) -> Vec<StageDoubt<'p>> {
        let details = stage.details();
        let watch = details.watch.as_ref().map(|watch| watch.lasts);
        let Some(lasts) = watch.max(details.min_duration) else { return Vec::new() };
        let Some(judge) = Judge::new(&self.flag, &stage.name()) else { return Vec::new() };
        let field = if watch == Some(lasts) { WATCH } else { MIN_DURATION };
        let share = stage.percent();
        let limits = judge.limits().filter(|(_, limit)| is_testable(*limit, share));
        let doubts = limits.filter_map(|(trigger, limit)| {
            let after = judge.twice_after(limit, self.traffic);
            if after.is_some_and(|after| after <= *lasts) {
                return None;
            }
            let after = after.map(rounded_up);
            let cause = &self.flag.triggers().get(trigger)?.cause;
            let time = after.map(|after| Quantity::Duration(after).to_string());
            let message = format!(
                "found {}, too short for stage \"{}\" of {self}: at the declared traffic, the guard needs {} \
                 to find twice what `{cause}` allows in four of five cases",
                lasts,
                stage.name(),
                time.as_deref().unwrap_or("more than a year"),
            );
            let hint = hint(after.map(|after| longer_duration(field, after, details)), limit, share);
            Some(StageDoubt { flag: self.flag, stage: index, field, message, hint })
        });
        doubts.collect()
    }
}

/// Writes, for example, `flag "search" and 2 more`.
impl fmt::Display for EqualFlags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flag \"{}\"", self.flag.key())?;
        if self.others > 0 { write!(f, " and {} more", self.others) } else { Ok(()) }
    }
}

/// Returns whether the stage has the random users that the test needs: users with the flag because of their bucket,
/// and for a comparison also users without it.
fn is_testable(limit: ErrorLimit, share: Percent) -> bool {
    let has_control = match limit {
        ErrorLimit::Above(_) => true,
        ErrorLimit::Worse(_) => share < Percent::ALL,
    };
    share > Percent::NONE && has_control
}

/// Returns the text of the hint. `longer` names the durations to write, if a longer stage helps.
fn hint(longer: Option<String>, limit: ErrorLimit, share: Percent) -> String {
    let is_larger_better = match limit {
        ErrorLimit::Above(_) => share < Percent::ALL,
        // From half of the users on, control is the smaller arm.
        ErrorLimit::Worse(_) => share.ppm() < Percent::ALL.ppm() / 2,
    };
    let larger = is_larger_better.then(|| "a larger `percent`".to_owned());
    let ways: Vec<String> = longer.into_iter().chain(larger).collect();
    let or = if ways.is_empty() { "" } else { " or " };
    format!("write {}{or}a looser limit", ways.join(", "))
}

/// Returns the durations to write: that of `field`, and `max_duration` if it would be too short.
fn longer_duration(field: &[&str], after: Duration, details: &StageDetails) -> String {
    let bounds = details.max_duration.is_some_and(|max| *max < after) && field == MIN_DURATION;
    let and = if bounds { " and `max_duration`" } else { "" };
    format!("a `{}`{and} of at least \"{}\"", field.join("."), Quantity::Duration(after))
}

const MIN_DURATION: &[&str] = &["min_duration"];
const WATCH: &[&str] = &["watch", "for"];

/// Rounds an estimate up: to minutes, from an hour on to hours, from ten days on to days.
fn rounded_up(time: Duration) -> Duration {
    let unit = match time.as_secs() {
        0..3_600 => 60,
        3_600..864_000 => 3_600,
        _ => 86_400,
    };
    Duration::from_secs((time.as_secs() / unit + 1) * unit)
}
