//! What a plan's triggers would find too late, at the traffic that it declares.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::Judge;
use super::power::{Limit, Traffic};
use crate::percent::Percent;
use crate::plan::limits::MAX_PROBLEMS;
use crate::plan::model::{FlagPlan, Quantity, Stage, StageDetails};
use crate::plan::{Plan, Problem, StageDoubt};

/// What is accepted but hardly meant of a plan's triggers, in order of place: to be told beside
/// [`Plan::warnings`].
///
/// A stage is too short for a trigger on errors (of those that [`Judge::power`] foretells) if twice what the
/// trigger allows is not found in four of five cases within the time that the stage lasts at least: its
/// `min_duration`, or its watch. Only flags whose document declares [traffic](FlagPlan::traffic) are
/// looked at, and of their stages those that last any time and let in users by their bucket; a comparison
/// with control has to have some. Flags of one plan that differ in nothing of this are told once.
///
/// At most [`MAX_PROBLEMS`] are listed.
///
/// # Complexity
///
/// Microseconds for each trigger in each stage. If there is anything to tell, the document is read a second time.
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
    for alike in Alike::all(plan) {
        for (index, stage) in alike.flag.stages().enumerate() {
            if doubts.len() < MAX_PROBLEMS {
                doubts.extend(alike.too_short(index, stage));
            }
        }
    }
    plan.warnings_of(&doubts)
}

/// A flag with traffic, and how many more have the same plan, triggers and traffic.
struct Alike<'p> {
    flag: FlagPlan<'p>,
    traffic: Traffic,
    others: usize,
}

impl<'p> Alike<'p> {
    fn all(plan: &'p Plan) -> Vec<Alike<'p>> {
        let (mut all, mut places) = (Vec::<Alike<'p>>::new(), HashMap::new());
        for flag in plan.flags().filter_map(|key| plan.flag(key)) {
            let Some(traffic) = flag.traffic() else { continue };
            // Flags without triggers of their own share their plan's, which are one list in memory.
            let shared = flag.plan().map(|name| (name, flag.triggers().as_ptr(), *traffic));
            let known = shared.map(|shared| *places.entry(shared).or_insert(all.len()));
            match known.and_then(|place| all.get_mut(place)) {
                Some(alike) => alike.others += 1,
                None => all.push(Alike { flag, traffic: traffic.into(), others: 0 }),
            }
        }
        all
    }

    /// What of a stage is too short.
    fn too_short(&self, index: usize, stage: Stage<'_>) -> Vec<StageDoubt<'p>> {
        let details = stage.details();
        let watch = details.watch.as_ref().map(|watch| watch.lasts);
        let Some(lasts) = watch.max(details.min_duration) else { return Vec::new() };
        let Some(judge) = Judge::new(&self.flag, &stage.name()) else { return Vec::new() };
        let field = if watch == Some(lasts) { WATCH } else { MIN_DURATION };
        let share = stage.percent();
        let limits = judge.limits().filter(|(_, limit)| is_tested(*limit, share));
        let doubts = limits.filter_map(|(trigger, limit)| {
            let after = judge.twice_after(limit, self.traffic);
            if after.is_some_and(|after| after <= *lasts) {
                return None;
            }
            let after = after.map(rounded_up);
            let cause = &self.flag.triggers().get(trigger)?.cause;
            let time = after.map(|after| Quantity::Duration(after).to_string());
            let message = format!(
                "found {} at least for stage \"{}\" of {self}: at the declared traffic it takes {} until \
                 twice what `{cause}` allows is found, in four of five cases",
                lasts,
                stage.name(),
                time.as_deref().unwrap_or("more than a year"),
            );
            let hint = hint(after.map(|after| longer(field, after, details)), limit, share);
            Some(StageDoubt { flag: self.flag, stage: index, field, message, hint })
        });
        doubts.collect()
    }
}

/// As `flag "search" and 2 more`.
impl fmt::Display for Alike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flag \"{}\"", self.flag.key())?;
        if self.others > 0 { write!(f, " and {} more", self.others) } else { Ok(()) }
    }
}

/// Whether there are users to test by: a list is no random sample, and of everybody nobody is left to
/// compare with.
fn is_tested(limit: Limit, share: Percent) -> bool {
    let has_control = match limit {
        Limit::Above(_) => true,
        Limit::Worse(_) => share < Percent::ALL,
    };
    share > Percent::NONE && has_control
}

/// What to write instead; `longer`: for how long the stage would have to last.
fn hint(longer: Option<String>, limit: Limit, share: Percent) -> String {
    let is_larger_better = match limit {
        Limit::Above(_) => share < Percent::ALL,
        // From a half on it is control that is small.
        Limit::Worse(_) => share.ppm() < Percent::ALL.ppm() / 2,
    };
    let larger = is_larger_better.then(|| "a larger `percent`".to_owned());
    let ways: Vec<String> = longer.into_iter().chain(larger).collect();
    let or = if ways.is_empty() { "" } else { " or " };
    format!("write {}{or}a looser limit", ways.join(", "))
}

/// A time of that field, and of what may not be less.
fn longer(field: &[&str], after: Duration, details: &StageDetails) -> String {
    let bounds = details.max_duration.is_some_and(|max| *max < after) && field == MIN_DURATION;
    let and = if bounds { " and `max_duration`" } else { "" };
    format!("a `{}`{and} of at least \"{}\"", field.join("."), Quantity::Duration(after))
}

const MIN_DURATION: &[&str] = &["min_duration"];
const WATCH: &[&str] = &["watch", "for"];

/// In whole minutes, from an hour on in hours, from ten days on in days: it is an estimate.
fn rounded_up(time: Duration) -> Duration {
    let unit = match time.as_secs() {
        0..3_600 => 60,
        3_600..864_000 => 3_600,
        _ => 86_400,
    };
    Duration::from_secs((time.as_secs() / unit + 1) * unit)
}
