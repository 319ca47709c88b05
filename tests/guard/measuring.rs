//! The figures that the guard measures for people and criteria. It does not judge by them.

use std::sync::Arc;
use std::time::Duration;

use stagegate::guard::{Guard, Measurement, Outcome, Verdict};
use stagegate::model::Quantity;
use stagegate::{Gate, Plan};

const HEAD: &str = r#"
schema = 1
[groups.team]
users = ["ana"]
[metrics.declined]
unit = "percent"
better = "less"
source = "application"
[flags.plain]
stage = "all"
stages = [{ name = "all", percent = 100 }]
"#;

/// The metrics of a flag's pilot stage.
const METRICS: &str = "metrics = { error_rate = { target = \"< 1%\" }, latency_p90 = { target = \"< 1s\" }, \
    declined = { target = \"< 5%\" } }";

/// Returns the text of a flag at its pilot stage, with these metrics and a trigger on one metric.
fn flag(key: &str, metrics: &str, trigger: Option<&str>) -> String {
    let trigger = trigger.map_or(String::new(), |metric| {
        format!(
            "[[flags.{key}.triggers]]\nmetric = \"{metric}\"\nabove = \"20%\"\nno_data = \"hold\"\naction = \"rollback\"\n"
        )
    });
    format!(
        "[flags.{key}]\nstage = \"pilot\"\n\
         [[flags.{key}.stages]]\nname = \"pilot\"\ngroups = [\"team\"]\npercent = 50\n{metrics}\n\
         [[flags.{key}.stages]]\nname = \"ga\"\npercent = 100\n{trigger}"
    )
}

/// Returns a document with one measured flag, and a trigger on this metric.
fn document(trigger: Option<&str>) -> String {
    format!("{HEAD}{}", flag("pay", METRICS, trigger))
}

const MINUTE: Duration = Duration::from_secs(60);

fn guarded(document: &str) -> (Gate, Guard) {
    let plan = Arc::new(Plan::parse(document).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    guard.look(Duration::ZERO);
    (gate, guard)
}

fn of<'m>(measured: &'m [Measurement], metric: &str) -> &'m Measurement {
    measured.iter().find(|it| *it.metric == *metric).unwrap()
}

fn percent(ppm: u32) -> Quantity {
    Quantity::Percent(stagegate::Percent::from_ppm(ppm).unwrap())
}

fn millis(quantity: Quantity) -> u64 {
    let Quantity::Duration(time) = quantity else { panic!("{quantity}") };
    u64::try_from(time.as_millis()).unwrap()
}

/// Users count after their first error, too: a user who always fails stays in the figures.
#[test]
fn all_requests_with_the_flag_are_measured() {
    let (gate, guard) = guarded(&document(None));
    let (pay, declined) = (guard.flag("pay"), guard.mark("declined"));
    let (with, without): (Vec<u64>, Vec<u64>) =
        (0..400).partition(|user| gate.is_enabled(*user, "pay"));
    for round in 0..10 {
        for (place, user) in with.iter().enumerate() {
            let mut outcome = if place < 4 { Outcome::error() } else { Outcome::ok() };
            if place % 10 == 0 {
                outcome = outcome.marked(declined);
            }
            pay.record(*user, outcome.took(Duration::from_millis(100 * (1 + round))));
        }
        for user in &without {
            pay.record(*user, Outcome::ok().took(Duration::from_millis(50)));
        }
        pay.record("ana", Outcome::error());
    }
    let judgement = guard.look(MINUTE).pop().unwrap();
    assert_eq!(judgement.findings, [], "there are no triggers");
    let measured = &judgement.measured;
    let requests = with.len() * 10 + 10;
    let errors = of(measured, "error_rate");
    assert_eq!(errors.samples, requests as u64);
    assert_eq!(errors.value, percent((50 * 1_000_000_usize).div_ceil(requests) as u32));
    assert_eq!(errors.control, Some(percent(0)));
    let (low, high) = errors.interval;
    let ppm = |it| if let Quantity::Percent(it) = it { it.ppm() } else { panic!("{it}") };
    assert!(ppm(low) < ppm(errors.value) && ppm(errors.value) < ppm(high));
    let marked = with.len().div_ceil(10) * 10;
    let expected = percent((marked * 1_000_000).div_ceil(requests) as u32);
    assert_eq!(of(measured, "declined").value, expected);
    let p90 = of(measured, "latency_p90");
    assert!((900..=957).contains(&millis(p90.value)), "{}", p90.value);
    assert!((800..=957).contains(&millis(p90.interval.0)) && millis(p90.interval.1) >= 900);
    assert!((50..=54).contains(&millis(p90.control.unwrap())));
    assert_eq!(
        p90.samples,
        with.len() as u64 * 10,
        "a request without a measured time counts for the latency"
    );
}

#[test]
fn figures_need_enough_requests_and_include_older_ones() {
    let (_, guard) = guarded(&document(None));
    let pay = guard.flag("pay");
    let measured = |hour: u32, users: u64, fails: bool| {
        (0..users).for_each(|user| {
            pay.record(user, if fails { Outcome::error() } else { Outcome::ok() });
        });
        let judgement = guard.look(MINUTE * 60 * hour).pop()?;
        judgement.measured.iter().find(|it| *it.metric == *"error_rate").cloned()
    };
    assert_eq!(measured(1, 100, false), None, "50 requests are enough for a figure");
    let some = measured(2, 200, false).unwrap();
    assert!(some.samples > 100 && some.value == percent(0));
    // Requests of three hours ago still count, because few have come since.
    let more = measured(5, 20, true).unwrap();
    assert!(more.samples > 100 && more.value != percent(0), "{more:?}");
    // They no longer count once the last hour has enough requests.
    assert!(measured(6, 1_000, true).is_some());
    let last = measured(8, 1_000, true).unwrap();
    assert_eq!(last.value, percent(1_000_000), "{last:?}");
    // No request came, so there is no current figure.
    assert_eq!(measured(9, 0, true), None);
}

#[test]
fn a_flag_without_metrics_and_triggers_is_not_counted() {
    let (gate, guard) = guarded(&document(None));
    let plain = guard.flag("plain");
    (0..1_000).for_each(|user| plain.record(user, Outcome::error()));
    assert!(guard.look(MINUTE).is_empty());
    assert!(gate.is_enabled(1, "plain"));
}

/// While a flag is off, the figures cover everybody. They show whether the fault is over.
#[test]
fn a_flag_that_is_off_is_measured_for_everybody() {
    let (gate, guard) = guarded(&document(None));
    gate.roll_back("pay").unwrap();
    assert!(guard.look(MINUTE).is_empty());
    let pay = guard.flag("pay");
    (0..200).for_each(|user| {
        let outcome = if user < 20 { Outcome::error() } else { Outcome::ok() };
        pay.record(user, outcome.took(Duration::from_millis(10)));
    });
    let judgement = guard.look(MINUTE * 2).pop().unwrap();
    assert_eq!((&*judgement.stage, judgement.findings.len()), ("off", 0));
    let errors = of(&judgement.measured, "error_rate");
    assert_eq!((errors.value, errors.control, errors.samples), (percent(100_000), None, 200));
    assert_eq!(of(&judgement.measured, "latency_p90").samples, 200);
}

/// The guard judges a marked share like the error rate: it ignores a user after the first mark.
#[test]
fn custom_metrics_are_judged() {
    let (gate, guard) = guarded(&document(Some("declined")));
    let (pay, declined, other) = (guard.flag("pay"), guard.mark("declined"), guard.mark("other"));
    let with: Vec<u64> = (0..2_000).filter(|user| gate.is_enabled(*user, "pay")).collect();
    for user in &with {
        pay.record(*user, Outcome::ok().marked(other));
    }
    // The retries of one user count once.
    (0..500).for_each(|_| pay.record(with[0], Outcome::error().marked(declined)));
    let judgement = guard.look(MINUTE).pop().unwrap();
    assert_eq!(judgement.findings[0].verdict, Verdict::Pass);
    for (place, user) in with.iter().enumerate().skip(1) {
        let outcome = Outcome::ok();
        pay.record(*user, if place % 2 == 0 { outcome.marked(declined) } else { outcome });
    }
    let judgement = guard.look(MINUTE * 2).pop().unwrap();
    assert_eq!((&judgement.breached[..], &judgement.changed[..]), (&[0][..], &[0][..]));
    // An outcome has bits for 64 marks. Further marks are ignored.
    let marks: Vec<_> = (0..100).map(|number| guard.mark(&format!("m{number}"))).collect();
    let all = marks.iter().fold(Outcome::ok(), |outcome, mark| outcome.marked(*mark));
    pay.record(1, all);
}

/// A handle keeps working when an update changes which metrics are counted, or starts to count a flag.
#[test]
fn handles_keep_counting_across_updates() {
    let (gate, guard) = guarded(&format!("{HEAD}{}", flag("pay", "", None)));
    let (pay, unknown) = (guard.flag("pay"), guard.flag("new"));
    let declined = guard.mark("declined");
    assert!(!unknown.is_enabled(1));
    let record = |handle: &stagegate::guard::GuardedFlag| {
        for user in 0..1_000 {
            let outcome =
                if user % 2 == 0 { Outcome::ok().marked(declined) } else { Outcome::ok() };
            handle.record(user, outcome);
        }
    };
    record(&pay);
    assert!(guard.look(MINUTE).is_empty());
    let both =
        format!("{}{}", document(Some("error_rate")), flag("new", METRICS, Some("declined")));
    let documents =
        [document(None), document(Some("declined")), document(Some("error_rate")), both];
    for (number, document) in (1..).zip(documents) {
        let plan = Plan::parse(&*document).unwrap();
        gate.update(&*document).unwrap();
        guard.update(plan);
        guard.look(MINUTE * 2 * number);
        record(&pay);
        record(&unknown);
        let judgements = guard.look(MINUTE * (2 * number + 1));
        for judgement in &judgements {
            // The last update does not change this flag, so the earlier counts remain.
            let goes_on = if (number, &*judgement.flag) == (4, "pay") { 2 } else { 1 };
            let samples = of(&judgement.measured, "declined").samples;
            assert!((450..550).contains(&(samples / goes_on)), "{number}: {samples}");
        }
        assert_eq!(judgements.len(), if number == 4 { 2 } else { 1 });
    }
    // Counting ends when the flag is removed.
    let all_may_go = HEAD.replacen("schema = 1", "schema = 1\nlimits.per_update = 100", 1);
    gate.update(all_may_go).unwrap();
    guard.update(Plan::parse(HEAD).unwrap());
    record(&pay);
    assert!(guard.look(MINUTE * 20).is_empty());
    assert_eq!(guard.bytes(), 0);
}
