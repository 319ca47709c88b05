//! The exact texts of a judge's verdicts.

use std::time::Duration;

use stagegate::Plan;
use stagegate::guard::{Counts, Judge, LatencyLimit, Look};
use stagegate::model::Quantity;

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a judge of these triggers, in the stage `pilot` (10%) or `ga` (100%).
fn judge(triggers: &str, stage: &str) -> Judge {
    let document = format!(
        "schema = 1\n[metrics.orders]\nunit = \"count\"\nbetter = \"more\"\nsource = \"application\"\n[flags.a]\nstages = [\
         {{ name = \"pilot\", percent = 10 }}, {{ name = \"ga\", percent = 100 }}]\ntriggers = [{triggers}]"
    );
    let plan = Plan::parse(document).unwrap();
    Judge::new(&plan.flag("a").unwrap(), stage).unwrap()
}

fn trigger(text: &str) -> String {
    format!("{{ {text}, no_data = \"hold\", action = \"rollback\" }}")
}

fn counts(requests: u64, errors: u64, slow: u64) -> Counts {
    Counts { requests, errors, slow: vec![(slow, requests)], ..Counts::default() }
}

/// Returns a look in this minute.
fn look(minute: u32, treatment: Counts, control: Counts) -> Look {
    let mut look = Look::new(MINUTE * minute);
    (look.treatment, look.control) = (treatment, control);
    look
}

/// Returns the name and the text of the only trigger's verdict.
fn verdict_text(judge: &mut Judge, look: &Look) -> String {
    let findings = judge.look(look);
    assert_eq!(findings.len(), 1);
    format!("{}: {}", findings[0].verdict.name(), findings[0].verdict)
}

#[test]
fn missing_and_stale_data_are_reported() {
    let mut judge = judge(&trigger("metric = \"error_rate\", above = \"5%\""), "pilot");
    let nothing = |minute| look(minute, counts(0, 0, 0), counts(0, 0, 0));
    assert_eq!(verdict_text(&mut judge, &nothing(1)), "no_data: no data");
    // Requests without the flag are no data about the flag.
    assert_eq!(
        verdict_text(&mut judge, &look(2, counts(0, 0, 0), counts(900, 9, 0))),
        "no_data: no data"
    );
    let some = look(3, counts(100, 1, 0), counts(900, 9, 0));
    assert_eq!(verdict_text(&mut judge, &some), "pass: no evidence against it");
    assert_eq!(verdict_text(&mut judge, &nothing(13)), "pass: no evidence against it");
    assert_eq!(verdict_text(&mut judge, &nothing(14)), "stale: no data for 11m");
}

#[test]
fn insufficient_data_is_reported_and_decides_nothing() {
    let sample = "metric = \"error_rate\", above = \"5%\", minimum_sample = 500";
    let mut judge_of = judge(&trigger(sample), "pilot");
    let all_fail =
        |minute, requests| look(minute, counts(requests, requests, 0), counts(900, 9, 0));
    let text = verdict_text(&mut judge_of, &all_fail(1, 400));
    assert_eq!(text, "insufficient: 100 more requests are needed");
    assert!(
        verdict_text(&mut judge_of, &all_fail(2, 100))
            .starts_with("breach: 100.000% (500 of 500) with the flag")
    );

    // Even the largest score has a number in its text.
    let mut judge_of = judge(&trigger("metric = \"error_rate\", above = \"5%\""), "pilot");
    let text = verdict_text(&mut judge_of, &all_fail(1, u64::MAX));
    assert!(
        text.ends_with("with the flag; over 1e100 times as likely beyond the limit as not"),
        "{text}"
    );

    // Three errors in three requests have a score of 1/α, but a breach needs four errors.
    let above = trigger("metric = \"error_rate\", above = \"0.1%\"");
    let mut judge_of = judge(&above, "pilot").with_alpha(0.05);
    let text = verdict_text(&mut judge_of, &all_fail(1, 3));
    assert_eq!(text, "insufficient: too few errors, slow or marked requests: 1 more needed");
    assert!(verdict_text(&mut judge_of, &all_fail(2, 1)).starts_with("breach: "));
}

#[test]
fn a_comparison_without_control_is_insufficient() {
    let worse = trigger("metric = \"error_rate\", worse_than_control_by = \"50%\"");
    let mut alone = judge(&worse, "ga");
    let bad = |minute| look(minute, counts(1_000, 60, 0), counts(0, 0, 0));
    assert_eq!(
        verdict_text(&mut alone, &bad(1)),
        "insufficient: there is no control group to compare with"
    );
    // With control's counts of the stage before, the judge can compare.
    let mut before = judge(&worse, "ga").with_control_before(&counts(50_000, 500, 0));
    let fine = look(1, counts(1_000, 14, 0), counts(0, 0, 0));
    assert_eq!(verdict_text(&mut before, &fine), "pass: no evidence against it");
    let text = (2..60)
        .map(|minute| verdict_text(&mut before, &bad(minute)))
        .find(|text| text.starts_with("breach"));
    assert!(text.unwrap().contains(" with the flag, 1.000% (500 of 50000) without, for "));
}

/// Listed users are not a random sample, so they count for limits, but not for comparisons.
#[test]
fn listed_users_count_only_for_limits() {
    let mut bad_listed = look(1, counts(1_000, 10, 0), counts(9_000, 90, 0));
    bad_listed.listed = counts(1_000, 500, 0);
    let mut above = judge(&trigger("metric = \"error_rate\", above = \"5%\""), "pilot");
    assert!(
        verdict_text(&mut above, &bad_listed)
            .starts_with("breach: 25.500% (510 of 2000) with the flag")
    );
    let mut worse =
        judge(&trigger("metric = \"error_rate\", worse_than_control_by = \"50%\""), "pilot");
    assert_eq!(verdict_text(&mut worse, &bad_listed), "pass: no evidence against it");
}

/// `latency_p95` is above a limit if more than a twentieth of the requests are slower.
#[test]
fn latencies_are_shares_of_slow_requests() {
    let mut above = judge(&trigger("metric = \"latency_p95\", above = \"3s\""), "pilot");
    assert_eq!(above.latencies(), [LatencyLimit::Fixed(Duration::from_secs(3))]);
    let share = |minute, slow| look(minute, counts(1_000, 0, slow), counts(9_000, 0, 300));
    assert_eq!(verdict_text(&mut above, &share(1, 50)), "pass: no evidence against it");
    assert!(
        verdict_text(&mut above, &share(2, 120))
            .starts_with("breach: 12.000% (120 of 1000) with the flag")
    );
    let mut worse =
        judge(&trigger("metric = \"latency_p95\", worse_than_control_by = \"50%\""), "pilot");
    assert_eq!(verdict_text(&mut worse, &share(1, 50)), "pass: no evidence against it");
    assert!(verdict_text(&mut worse, &share(2, 120)).contains("3.333% (300 of 9000) without"));
    // Without measured times there is no data.
    let mut unmeasured = look(1, counts(1_000, 0, 0), counts(9_000, 0, 0));
    unmeasured.treatment.slow.clear();
    assert_eq!(
        verdict_text(
            &mut judge(&trigger("metric = \"latency_p95\", above = \"3s\""), "pilot"),
            &unmeasured
        ),
        "no_data: no data"
    );
}

#[test]
fn a_breach_for_an_hour_needs_every_window_of_the_hour() {
    let an_hour = trigger("metric = \"error_rate\", above = \"2%\", for = \"1h\"");
    let minute = |number, errors| look(number, counts(200, errors, 0), counts(0, 0, 0));
    let mut judge_of = judge(&an_hour, "pilot");
    let texts: Vec<String> =
        (0..=60).map(|number| verdict_text(&mut judge_of, &minute(number, 8))).collect();
    assert_eq!(texts[1], "insufficient: 59m more is needed");
    assert_eq!(texts[59], "insufficient: 1m more is needed");
    assert_eq!(
        texts[60],
        "breach: 4.000% (488 of 12200) with the flag, beyond the limit in each of 12 windows"
    );
    // With ten good minutes in it, the hour is no breach.
    let mut judge_of = judge(&an_hour, "pilot");
    let errors = |number| if (30..40).contains(&number) { 0 } else { 8 };
    let last =
        (0..=80).map(|number| verdict_text(&mut judge_of, &minute(number, errors(number)))).last();
    assert_eq!(last.unwrap(), "pass: no evidence against it");
    // With no request for more than a quarter of the hour, the verdict is insufficient.
    let mut judge_of = judge(&an_hour, "pilot");
    let requests = |number| if (30..50).contains(&number) { 0 } else { 200 };
    let last = (0..=62)
        .map(|number| {
            verdict_text(
                &mut judge_of,
                &look(number, counts(requests(number), 8, 0), counts(0, 0, 0)),
            )
        })
        .last();
    assert_eq!(last.unwrap(), "insufficient: 25m more is needed");
    // All windows together are too small for a verdict.
    let mut judge_of = judge(&an_hour, "pilot");
    let few = |number| look(number, counts(10, u64::from(number % 2 == 0), 0), counts(0, 0, 0));
    let last = (0..=60).map(|number| verdict_text(&mut judge_of, &few(number))).last();
    assert_eq!(last.unwrap(), "insufficient: 190 more requests are needed");
}

#[test]
fn readings_are_compared_with_their_limit() {
    let two_hours = "metric = \"orders\", below = 10, for = \"5m\"";
    let mut judge_of = judge(&trigger(two_hours), "pilot");
    let mut read = |minute, value: Option<u64>| {
        let mut look = Look::new(MINUTE * minute);
        if let Some(value) = value {
            look.readings.insert("orders".into(), (Quantity::Count(value), None));
        }
        verdict_text(&mut judge_of, &look)
    };
    assert_eq!(read(0, None), "no_data: no data");
    assert_eq!(read(1, Some(12)), "pass: no evidence against it");
    assert_eq!(read(2, Some(9)), "insufficient: 5m more is needed");
    assert_eq!(read(6, Some(8)), "insufficient: 1m more is needed");
    assert_eq!(read(7, None), "breach: 8, beyond the limit for 5m");
    assert_eq!(read(17, None), "stale: no data for 11m");
    // After a gap, the time starts over.
    assert_eq!(read(18, Some(8)), "insufficient: 5m more is needed");
    assert_eq!(read(19, Some(10)), "pass: no evidence against it");
}

#[test]
fn an_uneven_split_is_detected() {
    let incident = "{ incident = \"security\", action = \"rollback\" }";
    let uneven = |treated: u64, others: u64| {
        let mut judge_of = judge(incident, "pilot");
        (1..=100).any(|minute| {
            let mut look = Look::new(MINUTE * minute);
            look.users = (treated, others);
            assert_eq!(verdict_text(&mut judge_of, &look), "reported: fires when it is reported");
            judge_of.is_uneven()
        })
    };
    assert!(!uneven(100, 900));
    assert!(uneven(115, 885), "11.5% of users have the flag instead of 10%");
    assert!(uneven(85, 915), "8.5% of users have the flag instead of 10%");
    assert!(uneven(0, 1_000));
}

#[test]
fn triggers_share_alpha() {
    // A single trigger calls this error rate a breach. One of five triggers does not, because each has a fifth of α.
    let one = trigger("metric = \"error_rate\", above = \"1%\"");
    let others: String = (2..=5)
        .map(|limit| trigger(&format!(", metric = \"error_rate\", above = \"{limit}%\"")[2..]))
        .collect::<Vec<_>>()
        .join(",");
    let look = look(1, counts(1_000, 25, 0), counts(0, 0, 0));
    let alone = judge(&one, "pilot").look(&look)[0].verdict.is_breach();
    let among = judge(&format!("{one},{others}"), "pilot").look(&look)[0].verdict.is_breach();
    assert!(alone && !among);
    assert!(
        judge(&format!("{one},{others}"), "pilot").with_alpha(0.05).look(&look)[0]
            .verdict
            .is_breach()
    );
}
