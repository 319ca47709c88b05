//! The library in one look: loads a plan, asks about a few users, promotes, rolls back.
//!
//! Run it with `cargo run --example quickstart`.

use std::error::Error;
use std::process::ExitCode;

use stagegate::{Evaluation, Gate, Reason, Update, User};

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plans/rollout.toml");

/// Key, and the region that the application knows.
const USERS: [(&str, &str); 6] = [
    ("ana", "us-east"),
    ("noor", "us-east"),
    ("maria", "eu-north"),
    ("user-42", "us-east"),
    ("user-9", "us-east"),
    ("ops-20", "us-east"),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // Validated whole: a document with a mistake is refused here, with every problem and its line.
    let gate = Gate::from_path(PLAN)?;
    gate.observe(print_update);

    println!("Loaded examples/plans/rollout.toml:\n");
    for flag in gate.status().flags {
        println!("    {:20}{:15}{}%", flag.key, flag.stage, flag.percent);
    }
    let internal = show(&gate, &[]);

    println!("\n> gate.set_stage(\"new-checkout\", \"ga\")");
    // The error is printed by the observer.
    if gate.set_stage("new-checkout", "ga").is_ok() {
        return Err("a stage was skipped".into());
    }

    println!("\n> gate.set_stage(\"new-checkout\", \"pilot\")");
    gate.set_stage("new-checkout", "pilot")?;
    let pilot = show(&gate, &internal);

    println!("\n> gate.roll_back(\"new-checkout\")");
    gate.roll_back("new-checkout")?;
    show(&gate, &pilot);
    Ok(())
}

/// Called after every update: what an application would log.
fn print_update(update: &Update<'_>) {
    match update {
        Update::Applied { version, changes, .. } => {
            let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
            println!("  version {version}: {}", changes.join(", "));
        }
        Update::Refused { error, .. } => println!("  refused: {error}"),
        _ => {}
    }
}

/// Prints everybody's answer, with a mark where it is not what it was before.
fn show(gate: &Gate, before: &[Evaluation]) -> Vec<Evaluation> {
    let ask = |(key, region)| {
        // Where nothing but the answer counts: `gate.is_enabled(&user, "new-checkout")`.
        let user = User::new(key).attribute("region", region);
        gate.evaluate(&user, "new-checkout")
    };
    let answers: Vec<Evaluation> = USERS.into_iter().map(ask).collect();

    println!("\n    {:8}  {:8}  {:12}  because", "user", "region", "new-checkout");
    for (index, ((key, region), answer)) in USERS.iter().zip(&answers).enumerate() {
        let mark = match before.get(index) {
            Some(before) if !before.enabled && answer.enabled => '+',
            Some(before) if before.enabled && !answer.enabled => '-',
            _ => ' ',
        };
        let enabled = if answer.enabled { "yes" } else { "no" };
        println!("  {mark} {key:8}  {region:8}  {enabled:12}  {}", because(answer));
    }
    answers
}

fn because(answer: &Evaluation) -> String {
    let later = answer.cohort.map_or("never".to_owned(), |stage| format!("gets it at `{stage}`"));
    match answer.reason {
        Reason::Off => "the flag is off".to_owned(),
        Reason::TargetingMatch => "in a group of the stage, or of one before".to_owned(),
        Reason::Split if answer.enabled => "in the stage's percentage".to_owned(),
        Reason::Split => format!("not in the stage's percentage; {later}"),
        Reason::HeldBack => format!("in a group that is held back; {later}"),
        Reason::Default => format!("in no group so far; {later}"),
        // Everybody, no such flag, and what later versions may add.
        other => other.to_string(),
    }
}
