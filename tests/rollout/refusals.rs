//! The exact texts of refusals.

use stagegate::rollout::Event;

use super::{DAY, HOUR, count, in_pilot, percent, start_rollout};

#[test]
fn refusals_name_what_was_found_and_what_to_do() {
    let (rollout, clock, _) = in_pilot();
    let ana = rollout.by("ana");
    let mut texts = Vec::new();
    let mut note = |result: Result<_, stagegate::rollout::RolloutError>| {
        let error: stagegate::rollout::RolloutError =
            Result::<stagegate::rollout::Outcome, _>::unwrap_err(result);
        texts.push(error.to_string());
    };
    note(ana.promote("search"));
    ana.measure("search", "complaints", count("4"), None).unwrap();
    ana.measure("search", "error_rate", percent("1.5%"), None).unwrap();
    clock.advance(25 * HOUR);
    ana.measure("search", "error_rate", None, None).unwrap();
    ana.hold("search", "a doubt").unwrap();
    clock.advance(2 * DAY);
    note(ana.promote("search"));
    note(ana.hold("search", ""));
    note(ana.measure("search", "latency", None, None));
    note(ana.measure("search", "complaints", percent("1%"), None));
    note(ana.sign("search", "feedbak", None));
    note(ana.unsign("search", "feedback", None));
    note(ana.report("search", " ", None));
    note(ana.report("search", "securty", None));
    note(ana.step("search", None));
    note(ana.act("search", &Event::Breach { trigger: 9, evidence: "x".to_owned() }));
    note(ana.roll_back_to("search", "ga", "x"));
    note(ana.force_to("search", "internal", " "));
    note(ana.promote("serach"));
    note(ana.roll_back_to("search", "moon", "x"));
    let (rollout, _, _) = start_rollout();
    note(rollout.by("ana").measure("search", "error_rate", None, None));
    note(rollout.by("ana").sign("search", "load-test", None));
    let found = texts.join("\n\n") + "\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/refusals.txt");
    if std::env::var_os("STAGEGATE_BLESS").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(found == expected, "differs from the golden file; found:\n{found}");
}
