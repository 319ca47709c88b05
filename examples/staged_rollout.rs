//! The built-in plan from the first promotion to the end of the watch, on a manual clock: a refused promotion, a hold over a
//! weekend, an automatic rollback and its incident, four stages, the watch, and the journal.
//!
//! ```sh
//! cargo run --example staged_rollout --features rollout
//! ```

use std::error::Error;
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::model::{FlagPlan, Quantity};
use stagegate::rollout::{Event, Fact, Reading, Rollout};
use stagegate::store::Memory;

const FLAG: &str = "new-checkout";
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A flag without stages or a plan follows the built-in plan.
const DOCUMENT: &str = "schema = 1\n[flags.new-checkout]\nowner = \"checkout\"";

fn main() -> Result<(), Box<dyn Error>> {
    // Monday 2026-01-05, 09:00 in UTC.
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600));
    let rollout = Rollout::start(Memory::new(), clock.clone(), DOCUMENT, "ana")?;
    let world = World { rollout, clock };

    println!("== Monday: promoted to the team. The next promotion at once is refused:\n");
    world.rollout.by("ana").promote(FLAG)?;
    match world.rollout.by("ana").promote(FLAG) {
        Err(error) if error.is_refused() => println!("{error}\n"),
        other => return Err(format!("expected a refusal, found: {other:?}").into()),
    }

    world.pass(DAY, "0.4%")?;
    world.sign_and_promote()?;

    println!("== Friday: the pilot goes well, but nothing may change over the weekend: held\n");
    world.pass(3 * DAY, "0.3%")?;
    world.rollout.by("ben").hold(FLAG, "not before the weekend")?;
    world.pass(3 * DAY, "0.4%")?;
    world.rollout.by("ben").resume(FLAG, Some("it is Monday"))?;

    println!("== Tuesday: the pilot has lasted a week\n");
    world.pass(DAY, "0.4%")?;
    world.sign_and_promote()?;

    println!("== At 25% of users, errors rise, and the plan's trigger rolls the flag back:\n");
    world.pass(DAY, "0.5%")?;
    let reading = world.percent("6.2%")?;
    let outcome =
        world.rollout.by("monitor").measure(FLAG, "error_rate", Some(reading), Some(2_000))?;
    for alert in &outcome.alerts {
        let who = alert.responsible.as_deref().unwrap_or("the person on call");
        println!("tell {who}: {}", alert.text);
    }
    println!("user-42 has it: {}\n", world.rollout.gate().is_enabled("user-42", FLAG));

    println!("== The incident: verified by measurements, communicated, investigated, closed\n");
    world.clock.advance(5 * HOUR / 60);
    world.measure("error_rate", "0.3%")?;
    world.rollout.tick();
    world.rollout.by("ana").step(FLAG, Some("support and the client know"))?;
    world.clock.advance(20 * HOUR);
    world.rollout.by("ana").close(FLAG, "an index was missing; there is one now")?;

    println!("== From the start again, through every stage\n");
    world.rollout.by("ana").promote(FLAG)?;
    for days in [1, 7, 7] {
        world.pass(days * DAY, "0.4%")?;
        world.sign_and_promote()?;
    }

    println!("== All users have it. The two-day watch begins, and one check is missed:\n");
    world.pass(20 * HOUR + HOUR / 4, "0.3%")?;
    world.clock.advance(2 * HOUR);
    for (flag, alert) in world.rollout.tick().alerts {
        println!("{flag}: {}\n", alert.text);
    }
    world.pass(52 * HOUR, "0.3%")?;
    world.sign_and_promote()?;

    println!("== The journal, without the readings\n");
    let records = world.rollout.records(1)?;
    let told = records.iter().filter(|it| !matches!(it.fact, Fact::Measured { .. }));
    told.for_each(|record| println!("{record}"));
    let readings = records.iter().filter(|it| matches!(it.fact, Fact::Measured { .. })).count();
    println!(
        "... and {readings} readings; record {} has hash {}",
        records.len(),
        world.rollout.status().head.1
    );
    Ok(())
}

/// A rollout, its clock, and a healthy service.
struct World {
    rollout: Rollout,
    clock: ManualClock,
}

impl World {
    /// Advances the clock while every metric is read and the rollout ticks.
    fn pass(&self, time: Duration, error_rate: &str) -> Result<(), Box<dyn Error>> {
        const STEP: Duration = Duration::from_secs(9 * 60);
        let mut passed = Duration::ZERO;
        while passed < time {
            for (metric, value) in [("error_rate", error_rate), ("latency_p95", "1200ms")] {
                self.measure(metric, value)?;
            }
            for (metric, value) in [
                ("cpu", "40%"),
                ("memory", "55%"),
                ("complaints", "1"),
                ("support_tickets", "2"),
                ("nps", "9"),
            ] {
                self.measure(metric, value)?;
            }
            self.rollout.tick();
            self.clock.advance(STEP);
            passed += STEP;
        }
        Ok(())
    }

    fn measure(&self, metric: &str, value: &str) -> Result<(), Box<dyn Error>> {
        let plan = self.rollout.plan();
        let flag = plan.flag(FLAG).ok_or("the document has the flag")?;
        let Some(metric) = flag.tracked_metrics().find(|known| *known.name == *metric) else {
            return Ok(());
        };
        let reading = Reading::Value(Quantity::parse(value, metric.unit)?);
        let metric = metric.name.to_string();
        let event = Event::Measure { metric, reading, control: None, samples: Some(1_000) };
        match self.rollout.by("monitor").act(FLAG, &event) {
            // Not every stage tracks every metric.
            Err(error) if error.is_refused() => Ok(()),
            other => Ok(other.map(|_| ())?),
        }
    }

    fn percent(&self, text: &str) -> Result<Quantity, Box<dyn Error>> {
        Ok(Quantity::parse(text, stagegate::model::Unit::Percent)?)
    }

    /// Signs every item of the current stage and promotes the flag.
    fn sign_and_promote(&self) -> Result<(), Box<dyn Error>> {
        let plan = self.rollout.plan();
        let flag = plan.flag(FLAG).ok_or("the document has the flag")?;
        for id in to_sign(flag, &self.rollout.report(FLAG)?.state.stage) {
            self.rollout.by("ana").sign(FLAG, &id, None)?;
        }
        let outcome = self.rollout.by("ana").promote(FLAG)?;
        if let Some(record) = outcome.records.last() {
            println!("{record}\n");
        }
        Ok(())
    }
}

/// Returns the ids of the items that people sign in a stage.
fn to_sign(flag: FlagPlan<'_>, stage: &str) -> Vec<String> {
    use stagegate::model::Criterion;
    let stage = flag.stages().find(|known| *known.name() == *stage);
    let Some(details) = stage.map(|stage| stage.details()) else { return Vec::new() };
    let manual = details.conditions().filter_map(|condition| match condition {
        Criterion::Manual { id, .. } => Some(id.to_string()),
        _ => None,
    });
    manual.collect()
}
