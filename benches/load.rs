//! The cost of a new plan: reading and compiling a document, moving one flag, and replacing the whole document.

mod support;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use stagegate::{Document, Gate};

/// Builds a gate from text, as at the start of a process. Dropping the gate is not measured.
fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    for flags in [10, 1_000, 100_000] {
        let notations =
            [("TOML", support::many_flags(flags)), ("JSON", support::many_flags_json(flags))];
        for (notation, text) in notations {
            let load = || Gate::from_document(text.as_str());
            assert!(load().is_ok_and(|gate| gate.status().flags.len() == flags), "{notation}");
            group.bench_function(format!("{flags} flags, {notation}"), |bencher| {
                bencher.iter_with_large_drop(load);
            });
        }
    }
}

/// Builds a gate with a list of ten million users, including reading the file.
fn list(criterion: &mut Criterion) {
    const USERS: usize = 10_000_000;
    let document = support::listed_in_file(USERS);
    let mut group = criterion.benchmark_group("list");
    group.bench_function(format!("{USERS} listed users"), |bencher| {
        bencher.iter_with_large_drop(|| Gate::from_document(&document));
    });
}

/// Changes a gate of 100,000 flags. Dropping the previous snapshot is measured, because the updating thread does it.
fn change(criterion: &mut Criterion) {
    const FLAGS: usize = 100_000;
    let document = support::many_flags(FLAGS);
    let gate = support::gate(document.as_str());
    let key = support::flag_key(FLAGS / 2);
    let mut group = criterion.benchmark_group("change");

    let mut stages = ["internal", "pilot"].into_iter().cycle();
    group.bench_function("set_stage, 1 of 100000 flags", |bencher| {
        bencher.iter(|| stages.next().map(|stage| gate.set_stage(&key, stage).is_ok()));
    });

    let moved = document.replace("stage = \"pilot\"", "stage = \"internal\"");
    let documents = [Document::new(moved), Document::new(document)];
    let mut documents = documents.iter().cycle();
    group.bench_function("update, 100000 of 100000 flags", |bencher| {
        bencher.iter(|| documents.next().map(|document| gate.update(document).is_ok()));
    });
}

criterion_group! {
    name = benches;
    // The slowest takes a quarter of a second, so ten samples are enough waiting.
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500));
    targets = load, list, change
}
criterion_main!(benches);
