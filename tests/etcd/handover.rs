//! Two controllers in two processes. The leader is paused until its lease has expired, and then continues.

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
use super::until;

const TTL: Duration = Duration::from_secs(2);

/// Returns a document whose flags advance automatically, one stage per tick.
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
#[ignore = "runs in the child processes of other tests"]
fn child() {
    let (name, store) = role();
    let lead = store.leader_lease(TTL);
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

/// Receives the numbers of the records that a child has appended, from its standard output.
fn told(child: &mut Child) -> Receiver<u64> {
    let (sender, told) = mpsc::channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // The test harness also prints lines.
            if let Some((_, seq)) = line.split_once(" did ") {
                let _ = sender.send(seq.parse().unwrap());
            }
        }
    });
    told
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn hand_over(handovers: usize) {
    let Some(real) = Real::start("a leader that stands still") else { return };
    let document = document(handovers * 2);
    let rollout = Rollout::start(real.store(), SystemClock::new(), document, "ana").unwrap();
    let mut next = 0;
    // Promotes the next flag by hand and returns the record's number. The leader appends the later records.
    let mut begin = || {
        let flag = format!("f{next}");
        let mut begun = 0;
        until(&flag, || {
            let _ = rollout.refresh();
            let done = rollout.by("ana").promote(&flag);
            done.is_ok_and(|done| {
                begun = done.records.last().unwrap().seq;
                true
            })
        });
        next += 1;
        begun
    };
    let mut children = ["left", "right"].map(|name| fleet::spawn("handover", &real, name));
    let told = [told(&mut children[0]), told(&mut children[1])];
    for handover in 0..handovers {
        // Find the leader each time: on a busy machine a lease may also expire without the pause.
        let begun = begin();
        let mut leader = 0;
        until("one child leads", || {
            let leads = |child: usize| told[child].try_iter().any(|seq| seq > begun);
            leader = usize::from(!leads(0));
            leader == 0 || leads(1)
        });
        // Pause the leader while it promotes, at another moment each time.
        std::thread::sleep(Duration::from_micros(handover as u64 * 731 % 9_000));
        signal(&children[leader], Signal::SIGSTOP);
        let begun = begin();
        let other = &told[1 - leader];
        until("the other one leads", || other.try_iter().any(|seq| seq > begun));
        signal(&children[leader], Signal::SIGCONT);
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
    // Each flag went up one stage at a time and reached each stage once.
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
fn a_paused_leader_promotes_nothing_twice() {
    hand_over(6);
}

#[test]
#[ignore = "200 handovers of some seconds each"]
fn a_paused_leader_promotes_nothing_twice_in_200_handovers() {
    hand_over(200);
}
