//! Counts allocations of a check: a row for each peer, its name and a count for each work, or one
//! where all are equal. A program of its own, since counting takes time.

#![forbid(unsafe_code)]

use stagegate_peers::peers::{Visitor, visit};
use stagegate_peers::work::{Asking, Peer, Turn, Work};

const QUESTIONS: usize = 1000;

struct Counting;

impl Visitor for Counting {
    fn visit<P: Peer>(&mut self) {
        let counts = Work::ALL.map(count::<P>);
        let all_equal = counts.iter().all(|count| *count == counts[0]);
        let counts = if all_equal { &counts[..1] } else { &counts[..] };
        println!("{}\t{}", P::NAME, counts.join(", "));
    }
}

/// Of this thread, when all is warm.
fn count<P: Peer>(work: Work) -> String {
    let asking = Asking::<P>::new(work);
    let mut turn = Turn::default();
    asking.ask(&mut turn, QUESTIONS);
    let counted = allocation_counter::measure(|| asking.ask(&mut turn, QUESTIONS));
    let mean = format!("{:.1}", counted.count_total as f64 / QUESTIONS as f64);
    mean.strip_suffix(".0").unwrap_or(&mean).to_owned()
}

fn main() {
    visit(&mut Counting);
}
