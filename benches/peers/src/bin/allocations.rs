//! Counts the allocations of a check. Prints a row for each peer: its name and the count of each scenario, or one count if
//! all are equal. A separate program, because counting takes time.

#![forbid(unsafe_code)]

use stagegate_peers::peers::{Visitor, visit};
use stagegate_peers::scenario::{Cursor, Peer, Scenario, Setup};

const CHECKS: usize = 1000;

struct Counting;

impl Visitor for Counting {
    fn visit<P: Peer>(&mut self) {
        let counts = Scenario::ALL.map(count::<P>);
        let all_equal = counts.iter().all(|count| *count == counts[0]);
        let counts = if all_equal { &counts[..1] } else { &counts[..] };
        println!("{}\t{}", P::NAME, counts.join(", "));
    }
}

/// Returns the mean allocations of this thread per check, after a warm-up.
fn count<P: Peer>(scenario: Scenario) -> String {
    let setup = Setup::<P>::new(scenario);
    let mut cursor = Cursor::default();
    setup.run(&mut cursor, CHECKS);
    let counted = allocation_counter::measure(|| setup.run(&mut cursor, CHECKS));
    let mean = format!("{:.1}", counted.count_total as f64 / CHECKS as f64);
    mean.strip_suffix(".0").unwrap_or(&mean).to_owned()
}

fn main() {
    visit(&mut Counting);
}
