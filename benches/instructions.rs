//! Instructions of one check, counted by callgrind: exact, the same run after run, on a noisy
//! machine too. Each bench asks once for every one of the 1,024 users.

#![allow(missing_docs, unused_qualifications, reason = "of what the macros write")]

mod support;

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use stagegate::{Evaluation, FlagHandle, Gate, Pinned, Reason};
use support::{FLAG, FortyLines, Users};
use xxhash_rust::xxh3::xxh3_64;

/// What is asked, and who for. Benches hand it back, so that dropping it is not counted.
struct Asked<T> {
    what: T,
    users: Users,
}

impl<T> Asked<T> {
    /// Asks once before the counting: what only a thread's first question does is left out.
    fn new<A>(what: T, question: impl Fn(&T, &str) -> A) -> Asked<T> {
        black_box(question(&what, "anybody"));
        Asked { what, users: Users::new() }
    }

    #[inline(always)]
    fn everybody<A>(self, question: impl Fn(&T, &str) -> A) -> Asked<T> {
        for user in self.users.all() {
            // Where it is: an answer with its reason has 96 bytes, which would be moved otherwise.
            black_box(&question(&self.what, black_box(user)));
        }
        self
    }
}

fn nothing() -> Asked<()> {
    Asked::new((), |(), _| ())
}

fn gate() -> Asked<Gate> {
    let gate = support::gate(&support::one_flag("pilot"));
    Asked::new(gate, |gate, user| gate.is_enabled(user, FLAG))
}

fn flag_handle() -> Asked<FlagHandle> {
    Asked::new(gate().what.flag(FLAG), |handle, user| handle.is_enabled(user))
}

fn pin() -> Asked<(Pinned, FlagHandle)> {
    let gate = gate().what;
    Asked::new((gate.pin(), gate.flag(FLAG)), |(pinned, handle), user| {
        handle.is_enabled_in(pinned, user)
    })
}

/// Of the users only one is listed.
fn listed(users: usize) -> Asked<FlagHandle> {
    let gate = support::gate(&support::with_group(&support::listed(users)));
    Asked::new(gate.flag(FLAG), |handle, user| handle.is_enabled(user))
}

fn why(answer: &Evaluation) -> (bool, Reason) {
    (answer.enabled, answer.reason)
}

fn handwritten() -> Asked<FortyLines> {
    Asked::new(FortyLines::new(&[FLAG], 10), |gate, user| gate.is_enabled(user, FLAG))
}

// The loop that all the others contain.
#[library_benchmark]
#[bench::each(nothing())]
fn no_question(asked: Asked<()>) -> Asked<()> {
    asked.everybody(|(), user| user.len())
}

#[library_benchmark]
#[bench::each(nothing())]
fn raw_hash(asked: Asked<()>) -> Asked<()> {
    asked.everybody(|(), user| xxh3_64(user.as_bytes()))
}

#[library_benchmark]
#[bench::each(flag_handle())]
fn handle(asked: Asked<FlagHandle>) -> Asked<FlagHandle> {
    asked.everybody(|handle, user| handle.is_enabled(user))
}

#[library_benchmark]
#[bench::each(gate())]
fn by_name(asked: Asked<Gate>) -> Asked<Gate> {
    asked.everybody(|gate, user| gate.is_enabled(user, FLAG))
}

#[library_benchmark]
#[bench::each(pin())]
fn pinned_handle(asked: Asked<(Pinned, FlagHandle)>) -> Asked<(Pinned, FlagHandle)> {
    asked.everybody(|(pinned, handle), user| handle.is_enabled_in(pinned, user))
}

#[library_benchmark]
#[bench::each(pin())]
fn pinned_by_name(asked: Asked<(Pinned, FlagHandle)>) -> Asked<(Pinned, FlagHandle)> {
    asked.everybody(|(pinned, _), user| pinned.is_enabled(user, FLAG))
}

#[library_benchmark]
#[bench::each(gate())]
fn unknown_flag(asked: Asked<Gate>) -> Asked<Gate> {
    asked.everybody(|gate, user| gate.is_enabled(user, "no-such-flag"))
}

#[library_benchmark]
#[bench::each(flag_handle())]
fn evaluate_handle(asked: Asked<FlagHandle>) -> Asked<FlagHandle> {
    asked.everybody(|handle, user| handle.evaluate(user))
}

#[library_benchmark]
#[bench::each(gate())]
fn evaluate_by_name(asked: Asked<Gate>) -> Asked<Gate> {
    asked.everybody(|gate, user| gate.evaluate(user, FLAG))
}

// What nobody looks at is not made.
#[library_benchmark]
#[bench::each(flag_handle())]
fn reason_handle(asked: Asked<FlagHandle>) -> Asked<FlagHandle> {
    asked.everybody(|handle, user| why(&handle.evaluate(user)))
}

#[library_benchmark]
#[bench::each(gate())]
fn reason_by_name(asked: Asked<Gate>) -> Asked<Gate> {
    asked.everybody(|gate, user| why(&gate.evaluate(user, FLAG)))
}

#[library_benchmark]
#[bench::of_3(listed(3))]
#[bench::of_100000(listed(100_000))]
fn group(asked: Asked<FlagHandle>) -> Asked<FlagHandle> {
    asked.everybody(|handle, user| handle.is_enabled(user))
}

#[library_benchmark]
#[bench::each(handwritten())]
fn forty_lines(asked: Asked<FortyLines>) -> Asked<FortyLines> {
    asked.everybody(|gate, user| gate.is_enabled(user, FLAG))
}

library_benchmark_group!(
    name = check,
    benchmarks = [
        no_question,
        raw_hash,
        handle,
        by_name,
        pinned_handle,
        pinned_by_name,
        unknown_flag,
        evaluate_handle,
        evaluate_by_name,
        reason_handle,
        reason_by_name,
        group,
        forty_lines
    ]
);
main!(library_benchmark_groups = check);
