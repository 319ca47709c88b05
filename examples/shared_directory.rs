//! Three processes of one machine share a directory. A service serves the flag, an operator promotes it, and a controller
//! rolls it back when a metric is bad. Each prints what it sees.
//!
//! ```sh
//! cargo run --release --example shared_directory --features rollout
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use stagegate::clock::SystemClock;
use stagegate::model::Quantity;
use stagegate::rollout::{Controller, Event, Reading, Rollout};
use stagegate::store::Directory;

const FLAG: &str = "new-checkout";

const DOCUMENT: &str = r#"
schema = 1
[flags.new-checkout]
stages = [{ name = "pilot", percent = 10 }, { name = "ga", percent = 100 }]
triggers = [{ metric = "complaints", above = 20, no_data = "hold", action = "rollback" }]
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [role, store] if role == "service" => serve(Path::new(store)),
        [role, store] if role == "controller" => control(Path::new(store)),
        [] => operate(),
        _ => Err("usage: shared_directory".into()),
    }
}

/// Calls `act` now and after each change of the directory.
fn follow(
    store: &Path,
    mut act: impl FnMut(&Rollout) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let rollout = Rollout::open(Directory::open(store)?, SystemClock::new())?;
    let (changed, changes) = mpsc::channel();
    let _follower = Controller::following(&rollout, Duration::from_secs(5), move |_| {
        let _ = changed.send(());
    })?;
    changes.into_iter().try_for_each(|()| act(&rollout))
}

/// The service. It prints how many users have the flag whenever the number changes.
fn serve(store: &Path) -> Result<(), Box<dyn Error>> {
    let mut last = None;
    follow(store, |rollout| {
        let on = (0..1_000).filter(|user| rollout.gate().is_enabled(*user, FLAG)).count();
        if last.replace(on) != Some(on) {
            println!("service, process {}: {on} of 1000 users have it", process::id());
        }
        Ok(())
    })
}

/// The controller. It records 3 complaints at `pilot` and 30 at `ga`, which is too many.
fn control(store: &Path) -> Result<(), Box<dyn Error>> {
    follow(store, |rollout| {
        let complaints = match &*rollout.report(FLAG)?.state.stage {
            "pilot" => 3,
            "ga" => 30,
            _ => return Ok(()),
        };
        let reading = Reading::Value(Quantity::Count(complaints));
        let metric = "complaints".to_owned();
        let event = Event::Measure { metric, reading, control: None, samples: None };
        for record in rollout.by("controller").act(FLAG, &event)?.records {
            println!("controller, process {}: recorded {}", process::id(), record.fact);
        }
        Ok(())
    })
}

/// The operator, who starts the other processes, promotes twice, and prints the journal.
fn operate() -> Result<(), Box<dyn Error>> {
    let store = Store(env::temp_dir().join(format!("stagegate-shared-{}", process::id())));
    let rollout =
        Rollout::start(Directory::create(&store.0)?, SystemClock::new(), DOCUMENT, "ana")?;
    let service = Process::start("service", &store.0)?;
    let controller = Process::start("controller", &store.0)?;
    service.expect(": 0 of 1000", Instant::now())?;

    println!("\n== ana promotes it to pilot");
    let begin = Instant::now();
    rollout.by("ana").promote_to(FLAG, "pilot")?;
    service.expect("of 1000", begin)?;
    controller.expect("complaints", begin)?;

    println!("\n== ana promotes it to ga, and the controller sees complaints");
    // Learns of the controller's reading. A process that acts often follows the directory instead.
    rollout.refresh()?;
    let begin = Instant::now();
    rollout.by("ana").promote_to(FLAG, "ga")?;
    while service.next(begin)?.contains("1000 of 1000") {}

    println!("\n== One journal");
    rollout.refresh()?;
    rollout.records(1)?.iter().for_each(|record| println!("{record}"));
    match rollout.gate().is_enabled("user-42", FLAG) {
        true => Err("the flag is still on".into()),
        false => Ok(()),
    }
}

/// A temporary directory.
struct Store(PathBuf);

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Another process of this program, and its output.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(role: &str, store: &Path) -> Result<Process, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        let mut child = command.arg(role).arg(store).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no pipe for standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines();
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Process { child, lines })
    }

    /// Prints the next line and its latency.
    fn next(&self, begin: Instant) -> Result<String, Box<dyn Error>> {
        let line = self.lines.recv_timeout(Duration::from_secs(60))?;
        println!("{line}, after {} ms", begin.elapsed().as_millis());
        Ok(line)
    }

    fn expect(&self, expected: &str, begin: Instant) -> Result<(), Box<dyn Error>> {
        let line = self.next(begin)?;
        match line.contains(expected) {
            true => Ok(()),
            false => Err(format!("expected `{expected}`, found `{line}`").into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
