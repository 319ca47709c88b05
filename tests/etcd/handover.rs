//! Two controllers in two processes. The one that leads stands still past its lease, and goes on.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stagegate::clock::SystemClock;
use stagegate::rollout::{Controller, Fact, Rollout};

use super::fleet::{self, role};
use super::real::Real;
use super::{LONG, until};

const TTL: Duration = Duration::from_secs(2);

/// Each flag goes through its stages by itself, as fast as somebody ticks.
fn document(flags: usize) -> String {
    let mut text = "schema = 1\n".to_owned();
    for flag in 0..flags {
        text += &format!("[flags.f{flag}]\nstages = [");
        for stage in 1..=9 {
            text += &format!(r#"{{ name = "s{stage}", percent = {stage}, advance = "auto" }}, "#,);
        }
        text += "{ name = \"all\", percent = 100, advance = \"auto\" }]\n";
    }
    text
}

#[test]
#[ignore = "what a controller runs"]
fn child() {
    let Some((name, store)) = role() else { return };
    let lead = store.lead(TTL);
    let rollout = Rollout::open(store, SystemClock::new()).unwrap();
    let every = Duration::from_millis(1);
    let controller = Controller::leading(&rollout, lead, every, move |report| {
        for record in &report.records {
            println!("{name} did {}", record.seq);
        }
    });
    let _ = std::io::stdin().lines().next();
    drop(controller);
}

/// What a child has done, line by line.
fn told(child: &mut Child) -> Receiver<String> {
    let (sender, told) = mpsc::channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok).filter(|line| line.contains(" did ")) {
            let _ = sender.send(line);
        }
    });
    told
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn hand_over(handovers: usize) {
    let Some(real) = Real::start("a leader that stands still") else { return };
    let document = document(handovers * 2 + 1);
    let rollout = Rollout::start(real.store(), SystemClock::new(), document, "ana").unwrap();
    let mut next = 0;
    let mut begin = || {
        let flag = format!("f{next}");
        until(&flag, || {
            let _ = rollout.refresh();
            rollout.by("ana").promote(&flag).is_ok()
        });
        next += 1;
    };
    let mut children = ["left", "right"].map(|name| fleet::spawn("handover", &real, name));
    let told = [told(&mut children[0]), told(&mut children[1])];
    begin();
    // Whoever does something leads.
    let mut leader = 0;
    until("somebody leads", || {
        leader = usize::from(told[1].try_recv().is_ok());
        leader == 1 || told[0].try_recv().is_ok()
    });
    for handover in 0..handovers {
        // In the midst of it, sooner or later each time.
        begin();
        let _ = told[leader].recv_timeout(LONG).unwrap();
        std::thread::sleep(Duration::from_micros(handover as u64 * 731 % 9_000));
        signal(&children[leader], Signal::SIGSTOP);
        let other = 1 - leader;
        while told[other].try_recv().is_ok() {}
        begin();
        let _ = told[other].recv_timeout(LONG).unwrap();
        signal(&children[leader], Signal::SIGCONT);
        leader = other;
    }
    until("every flag is through", || {
        let _ = rollout.refresh();
        let status = rollout.status();
        status.flags.iter().take(next).all(|flag| flag.state.complete || flag.state.stage == "off")
    });
    for child in &mut children {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    // Each flag went up one stage at a time, and each stage once.
    let records = rollout.records(1).unwrap();
    let mut promotions = 0;
    for flag in 0..next {
        let flag = format!("f{flag}");
        let of_flag = records.iter().filter(|record| record.flag.as_deref() == Some(&*flag));
        let up: Vec<String> = of_flag
            .filter(|record| matches!(record.fact, Fact::Promoted { .. }))
            .map(|record| format!("{} {}", record.from.unwrap(), record.to.unwrap()))
            .collect();
        let stages: Vec<String> = ["off".to_owned()]
            .into_iter()
            .chain((1..=9).map(|stage| format!("s{stage}")))
            .chain(["all".to_owned()])
            .collect();
        let expected: Vec<String> =
            stages.windows(2).map(|two| format!("{} {}", two[0], two[1])).collect();
        assert_eq!(up, expected, "{flag}");
        promotions += up.len();
    }
    println!("{handovers} handovers, {promotions} promotions, none of them twice");
}

#[test]
fn a_leader_that_stood_still_promotes_nothing_twice() {
    hand_over(6);
}

#[test]
#[ignore = "200 handovers of some seconds each"]
fn a_leader_that_stood_still_promotes_nothing_twice_in_the_long_run() {
    hand_over(200);
}
