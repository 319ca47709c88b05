//! A tour of the library: load a plan, evaluate a few users, promote, roll back.
//!
//! Run it with `cargo run -p quickstart`.

use std::error::Error;
use std::process::ExitCode;

use stagegate::{Evaluation, Gate, Reason, Update, User};

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/rollout.toml");

/// User keys and regions.
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
    // An invalid document is rejected here, with every problem and its line.
    let gate = Gate::from_path(PLAN)?;
    gate.observe(print_update);

    println!("Loaded examples/plans/rollout.toml:\n");
    for flag in gate.status().flags {
        println!("    {:20}{:15}{}%", flag.key, flag.stage, flag.percent);
    }
    let internal = show(&gate, &[]);

    println!("\n> gate.set_stage(\"new-checkout\", \"ga\")");
    // The observer prints the error.
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

/// Prints each update. An application would log it.
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

/// Prints the answer for each user and marks those that changed since `before`.
fn show(gate: &Gate, before: &[Evaluation]) -> Vec<Evaluation> {
    let evaluate = |(key, region)| {
        // If you need only the answer: `gate.is_enabled(&user, "new-checkout")`.
        let user = User::new(key).attribute("region", region);
        gate.evaluate(&user, "new-checkout")
    };
    let answers: Vec<Evaluation> = USERS.into_iter().map(evaluate).collect();

    println!("\n    {:8}  {:8}  {:12}  reason", "user", "region", "new-checkout");
    for (index, ((key, region), answer)) in USERS.iter().zip(&answers).enumerate() {
        let mark = match before.get(index) {
            Some(before) if !before.enabled && answer.enabled => '+',
            Some(before) if before.enabled && !answer.enabled => '-',
            _ => ' ',
        };
        let enabled = if answer.enabled { "yes" } else { "no" };
        println!("  {mark} {key:8}  {region:8}  {enabled:12}  {}", explain(answer));
    }
    answers
}

fn explain(answer: &Evaluation) -> String {
    let later = answer.cohort.map_or("never".to_owned(), |stage| format!("gets it at `{stage}`"));
    match answer.reason {
        Reason::Off => "the flag is off".to_owned(),
        Reason::TargetingMatch => "in a group of this stage or an earlier one".to_owned(),
        Reason::Split if answer.enabled => "in the stage's percentage".to_owned(),
        Reason::Split => format!("not in the stage's percentage; {later}"),
        Reason::HeldBack => format!("in a group that is held back; {later}"),
        Reason::Default => format!("in no group yet; {later}"),
        // Other reasons, and those of later versions.
        other => other.to_string(),
    }
}
