//! A metric with `better = "more"` gets the same verdicts as its mirror image with `better = "less"`.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use stagegate::guard::{Counts, Guard, Judge, Look, Outcome, Verdict};
use stagegate::model::{Number, Quantity};
use stagegate::{Gate, Plan};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a judge of one trigger on the metric `m`, in a stage with half of all users.
fn judge(metric: &str, trigger: &str) -> Judge {
    let document = format!(
        "schema = 1\n[metrics.m]\n{metric}\nsource = \"application\"\n[flags.a]\n\
         stages = [{{ name = \"half\", percent = 50 }}, {{ name = \"ga\", percent = 100 }}]\n\
         triggers = [{{ metric = \"m\", {trigger}, no_data = \"hold\", action = \"rollback\" }}]"
    );
    let plan = Plan::parse(document).unwrap();
    Judge::new(&plan.flag("a").unwrap(), "half").unwrap()
}

fn number(millionths: i64) -> Quantity {
    Quantity::Number(Number::from_millionths(millionths).unwrap())
}

/// Returns the names of the verdicts on these values, one per minute.
fn of_values(better: &str, trigger: &str, values: &[(i64, i64)], sign: i64) -> Vec<&'static str> {
    let mut judge = judge(&format!("unit = \"number\"\nbetter = \"{better}\""), trigger);
    let looks = (0..).zip(values).map(|(minute, (value, control))| {
        let mut look = Look::new(MINUTE * minute);
        let value = (number(sign * value), Some(number(sign * control)));
        look.readings.insert("m".into(), value);
        judge.look(&look)[0].verdict.name()
    });
    looks.collect()
}

type Arms = [(u64, u64); 2];

/// Returns the verdicts on these looks, one per minute.
fn of_counts(
    better: &str,
    trigger: &str,
    looks: &[Arms],
    counts: impl Fn(&Arms) -> [Counts; 2],
) -> Vec<Verdict> {
    let mut judge = judge(&format!("unit = \"percent\"\nbetter = \"{better}\""), trigger);
    let looks = (1..).zip(looks).map(|(minute, arms)| {
        let mut look = Look::new(MINUTE * minute);
        [look.treatment, look.control] = counts(arms);
        judge.look(&look)[0].verdict.clone()
    });
    looks.collect()
}

fn names(verdicts: &[Verdict]) -> Vec<&'static str> {
    verdicts.iter().map(Verdict::name).collect()
}

fn marked(marked: (u64, u64)) -> Counts {
    Counts { requests: marked.1, marked: vec![marked], ..Counts::default() }
}

fn unmarked(unmarked: (u64, u64)) -> Counts {
    Counts { requests: unmarked.1, unmarked: vec![unmarked], ..Counts::default() }
}

/// Generates looks of a service. Each arm has a random share of hits.
fn looks() -> impl Strategy<Value = Vec<Arms>> {
    let arm = |share: u64| {
        (0..=20_u64, 100..=400_u64)
            .prop_map(move |(more, of)| ((of * share / 100 + more).min(of), of))
    };
    (0..60_u64, 0..60_u64).prop_flat_map(move |(with, without)| {
        prop::collection::vec((arm(with), arm(without)).prop_map(|(a, b)| [a, b]), 1..20)
    })
}

proptest! {
    /// Inverting the sign of every value and the direction gives the same verdicts.
    #[test]
    fn mirrored_values_get_the_same_verdicts(
        limit in -20_000_000..20_000_000_i64,
        values in prop::collection::vec((-30_000_000..30_000_000_i64, -30_000_000..30_000_000_i64), 1..20),
        by in 1..300_u32,
    ) {
        for lasts in ["", ", for = \"5m\""] {
            let above = format!("above = \"{}\"{lasts}", number(limit));
            let below = format!("below = \"{}\"{lasts}", number(-limit));
            prop_assert_eq!(
                of_values("less", &above, &values, 1),
                of_values("more", &below, &values, -1)
            );
            let worse = format!("worse_than_control_by = \"{by}%\"{lasts}");
            prop_assert_eq!(
                of_values("less", &worse, &values, 1),
                of_values("more", &worse, &values, -1)
            );
        }
    }

    /// A limit for marked requests gives the same verdicts as the limit 100% - x for requests without the mark.
    #[test]
    fn mirrored_shares_and_limits_get_the_same_verdicts(looks in looks(), limit in 1..100_u32) {
        for lasts in ["", ", for = \"5m\""] {
            let above = format!("above = \"{limit}%\"{lasts}");
            let below = format!("below = \"{}%\"{lasts}", 100 - limit);
            let less = of_counts("less", &above, &looks, |arms| arms.map(marked));
            let more = of_counts("more", &below, &looks, |arms| arms.map(unmarked));
            prop_assert_eq!(names(&less), names(&more));
        }
    }

    /// "Half of control" gives the same verdicts as "twice control" with the arms exchanged.
    #[test]
    fn mirrored_comparisons_with_control_get_the_same_verdicts(looks in looks()) {
        let twice = "worse_than_control_by = \"100%\"";
        let half = "worse_than_control_by = \"50%\"";
        let less = of_counts("less", twice, &looks, |arms| arms.map(marked));
        let traded = |[with, without]: &Arms| [marked(*without), marked(*with)];
        let more = of_counts("more", half, &looks, traded);
        prop_assert_eq!(names(&less), names(&more));
    }
}

/// The rate is too low in every window of an hour. The text has both arms.
#[test]
fn an_hour_of_fewer_orders_is_a_breach() {
    let trigger = "worse_than_control_by = \"20%\", for = \"1h\"";
    let last = |with: u64| {
        let looks = vec![[(with, 200), (80, 200)]; 62];
        let verdicts = of_counts("more", trigger, &looks, |arms| arms.map(marked));
        assert_eq!(verdicts[10].name(), "insufficient");
        let verdict = verdicts.last().unwrap();
        format!("{}: {verdict}", verdict.name())
    };
    assert_eq!(last(70), "pass: no evidence against it");
    assert_eq!(last(120), "pass: no evidence against it");
    assert_eq!(
        last(60),
        "breach: 30.000% (3420 of 11400) with the flag, 40.000% (4560 of 11400) without, \
         beyond the limit in each of 12 windows"
    );
}

#[test]
fn verdicts_on_readings_name_the_value_of_control() {
    let metric = "unit = \"number\"\nbetter = \"more\"";
    let mut judge = judge(metric, "worse_than_control_by = \"20%\"");
    let mut told = |minute, value, control| {
        let mut look = Look::new(MINUTE * minute);
        look.readings.insert("m".into(), (number(value), Some(number(control))));
        let finding = judge.look(&look).remove(0);
        format!("{}: {}", finding.verdict.name(), finding.verdict)
    };
    assert_eq!(told(1, 8_000_000, 10_000_000), "pass: no evidence against it");
    assert_eq!(told(2, 7_500_000, 10_000_000), "breach: 7.5 with the flag, 10 without");
    assert_eq!(
        told(4, -13_000_000, -10_000_000),
        "breach: -13 with the flag, -10 without, beyond the limit for 2m"
    );
    assert_eq!(told(5, -12_000_000, -10_000_000), "pass: no evidence against it");
}

/// Returns the verdict on a flag whose users place orders: `with` percent of the users with the flag, 40% of the
/// others.
fn conversions(trigger: &str, with: u64) -> String {
    let document = format!(
        "schema = 1\n[metrics.conversion]\nunit = \"percent\"\nbetter = \"more\"\nsource = \"application\"\n\
         [flags.pay]\nstage = \"half\"\n\
         stages = [{{ name = \"half\", percent = 50 }}, {{ name = \"ga\", percent = 100 }}]\n\
         triggers = [{{ metric = \"conversion\", {trigger}, no_data = \"hold\", action = \"rollback\" }}]"
    );
    let plan = Arc::new(Plan::parse(document).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    guard.look(Duration::ZERO);
    let (pay, conversion) = (guard.flag("pay"), guard.mark("conversion"));
    let mut seen = [0_u64; 2];
    for user in 0..4_000_u64 {
        let is_enabled = gate.is_enabled(user, "pay");
        let place = &mut seen[usize::from(is_enabled)];
        *place += 1;
        let orders = *place * 37 % 100 < if is_enabled { with } else { 40 };
        let outcome = if orders { Outcome::ok().marked(conversion) } else { Outcome::ok() };
        pay.record(user, outcome);
    }
    let judgement = guard.look(MINUTE).pop().unwrap();
    let verdict = &judgement.findings[0].verdict;
    format!("{}: {verdict}", verdict.name())
}

#[test]
fn a_lower_conversion_rate_is_a_breach() {
    let (worse, below) = ("worse_than_control_by = \"20%\"", "below = \"30%\"");
    for trigger in [worse, below] {
        assert_eq!(conversions(trigger, 40), "pass: no evidence against it");
        assert_eq!(conversions(trigger, 60), "pass: no evidence against it");
    }
    let text = conversions(worse, 20);
    let both =
        "breach: 20.114% (388 of 1929) with the flag, 40.049% (815 of 2035) without, for 1m; ";
    assert!(text.starts_with(both), "{text}");
    let text = conversions(below, 20);
    assert!(text.starts_with("breach: ") && text.contains("% ("), "{text}");
    // No user with the flag orders: control's orders are the evidence.
    let text = conversions(worse, 0);
    assert!(text.starts_with("breach: 0.000% (0 of "), "{text}");
}

/// A guard counts 64 marks. For further metrics it reports no data, and does not count the missing marks.
#[test]
fn metrics_beyond_64_marks_have_no_data() {
    let mut document = "schema = 1\n[flags.a]\nstage = \"all\"\n\
         stages = [{ name = \"all\", percent = 100 }]\n"
        .to_owned();
    for metric in 0..66 {
        document += &format!(
            "[[flags.a.triggers]]\nmetric = \"m{metric:02}\"\nbelow = \"50%\"\nno_data = \"hold\"\n\
             action = \"decide\"\n[metrics.m{metric:02}]\nunit = \"percent\"\nbetter = \"more\"\n\
             source = \"application\"\n"
        );
    }
    let plan = Arc::new(Plan::parse(document).unwrap());
    let guard = Guard::new(&Gate::from_plan(&plan), plan);
    guard.look(Duration::ZERO);
    let flag = guard.flag("a");
    (0..1_000_u64).for_each(|user| flag.record(user, Outcome::ok()));
    let judgement = guard.look(MINUTE).pop().unwrap();
    let verdicts: Vec<_> = judgement.findings.iter().map(|it| it.verdict.name()).collect();
    assert_eq!(verdicts[..64], ["breach"; 64]);
    assert_eq!(verdicts[64..], ["no_data"; 2]);
}
