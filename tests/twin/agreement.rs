//! The gate answers like the twin, through every API and for every notation of the document.

use proptest::prelude::*;
use stagegate::{Document, Evaluation, Format, Gate};

use super::model::{Doc, Flag};
use super::oracle::{Answer, Person};
use super::strategies::{asked_keys, doc, doc_and_shuffled, people};

proptest! {
    #[test]
    fn every_api_answers_like_the_twin((doc, shuffled) in doc_and_shuffled(), people in people()) {
        let toml = Gate::from_document(Document::new(doc.toml()).format(Format::Toml)).unwrap();
        let json = Gate::from_document(Document::new(doc.json()).format(Format::Json)).unwrap();
        let toml_shuffled = Gate::from_document(shuffled.toml()).unwrap();
        let json_shuffled = Gate::from_document(shuffled.json()).unwrap();
        // One more flag before all others, so that every flag has another index.
        let mut more = doc.clone();
        more.flags.push(Flag { key: "0".to_owned(), ..doc.flags[0].clone() });
        let elsewhere = Gate::from_document(more.json()).unwrap();
        for person in &people {
            for key in asked_keys() {
                let expected = doc.answer(key, person);
                for gate in [&toml, &json, &toml_shuffled, &json_shuffled] {
                    // A handle can evaluate pinned versions of another gate.
                    let answers = every_answer(gate, &elsewhere, key, person);
                    for (way, answer) in answers {
                        prop_assert_eq!(&answer, &expected, "{} of {} for {:?}", way, key, person);
                    }
                }
            }
            for gate in [&toml, &json, &toml_shuffled, &json_shuffled] {
                check_all_at_once(&doc, gate, person)?;
            }
        }
    }

    #[test]
    fn integer_keys_are_hashed_as_their_decimal_text(doc in doc(), small in any::<i8>(), large in any::<i128>()) {
        let gate = Gate::from_document(doc.toml()).unwrap();
        for flag in &doc.flags {
            let text = |number: i128| Person { key: number.to_string().into(), attributes: vec![] };
            // 42 and -7 are listed in groups.
            for number in [42, -7, small.into()] {
                let expected = doc.answer(&flag.key, &text(number));
                let number = i64::try_from(number).unwrap();
                prop_assert_eq!(&Answer::from(gate.evaluate(number, &flag.key)), &expected);
                prop_assert_eq!(gate.is_enabled(number, &flag.key), expected.enabled);
            }
            let expected = doc.answer(&flag.key, &text(large));
            prop_assert_eq!(Answer::from(gate.evaluate(large, &flag.key)), expected);
        }
    }

    #[test]
    fn no_user_is_in_0_percent_and_every_user_is_in_100(people in people(), between in 1..1_000_000_u32) {
        let document = format!(
            r#"{{"schema": 1, "groups": {{"empty": {{"users": []}}}},
                "plans": {{"p": {{"stages": [
                    {{"name": "nobody", "percent": 0, "groups": ["empty"]}},
                    {{"name": "some", "percent": {}.{:04}}}, {{"name": "everybody", "percent": 100}}]}}}},
                "flags": {{"off": {{"plan": "p"}}, "none": {{"plan": "p", "stage": "nobody"}},
                    "all": {{"plan": "p", "stage": "everybody"}}}}}}"#,
            between / 10_000, between % 10_000
        );
        let gate = Gate::from_document(document).unwrap();
        for person in &people {
            let enabled: Vec<_> = gate.evaluate_all(person).iter().map(|(_, e)| e.enabled).collect();
            // In order of the keys: all, none, off.
            prop_assert_eq!(enabled, [true, false, false]);
            prop_assert!(gate.is_enabled(person, "all"));
            prop_assert!(!gate.is_enabled(person, "none") && !gate.is_enabled(person, "off"));
        }
    }
}

/// Returns the answer of every API that evaluates one flag, with the name of the API.
fn every_answer(
    gate: &Gate,
    other: &Gate,
    key: &str,
    person: &Person,
) -> Vec<(&'static str, Answer)> {
    let as_user = person.as_user();
    let handle = gate.flag(key);
    let (pinned, pinned_elsewhere) = (gate.pin(), other.pin());
    let full = gate.evaluate(person, key);
    // Fields that an API does not return are taken from the full answer.
    let only_enabled = |enabled: bool| Answer { enabled, ..full.into() };
    let only_cohort = |cohort: Option<stagegate::StageName>| Answer {
        cohort: cohort.map(|c| c.to_string()),
        ..full.into()
    };
    vec![
        ("Gate::evaluate", full.into()),
        ("Gate::evaluate(User)", gate.evaluate(&as_user, key).into()),
        ("Gate::is_enabled", only_enabled(gate.is_enabled(person, key))),
        ("Gate::is_enabled(User)", only_enabled(gate.is_enabled(&as_user, key))),
        ("Gate::cohort", only_cohort(gate.cohort(person, key))),
        ("FlagHandle::evaluate", handle.evaluate(person).into()),
        ("FlagHandle::is_enabled", only_enabled(handle.is_enabled(person))),
        ("FlagHandle::cohort", only_cohort(handle.cohort(person))),
        ("FlagHandle::evaluate_in", handle.evaluate_in(&pinned, person).into()),
        ("FlagHandle::is_enabled_in", only_enabled(handle.is_enabled_in(&pinned, person))),
        ("FlagHandle::evaluate_in, other", handle.evaluate_in(&pinned_elsewhere, person).into()),
        ("FlagHandle::evaluate, after other", handle.evaluate(person).into()),
        ("Pinned::evaluate", pinned.evaluate(person, key).into()),
        ("Pinned::is_enabled", only_enabled(pinned.is_enabled(person, key))),
        ("Pinned::cohort", only_cohort(pinned.cohort(person, key))),
    ]
}

/// Asserts that `evaluate_all` returns every flag once, in order, with the twin's answers.
fn check_all_at_once(doc: &Doc, gate: &Gate, person: &Person) -> Result<(), TestCaseError> {
    let mut keys: Vec<_> = doc.flags.iter().map(|flag| flag.key.clone()).collect();
    keys.sort_unstable();
    let expected: Vec<_> = keys.iter().map(|key| doc.answer(key, person)).collect();
    let check = |found: Vec<(String, Evaluation)>| {
        let (found_keys, answers): (Vec<_>, Vec<_>) =
            found.into_iter().map(|(key, evaluation)| (key, Answer::from(evaluation))).unzip();
        prop_assert_eq!(&found_keys, &keys);
        prop_assert_eq!(&answers, &expected);
        Ok(())
    };
    check(gate.evaluate_all(person).into_iter().map(|(key, e)| (key.to_string(), e)).collect())?;
    check(gate.pin().evaluate_all(person).map(|(key, e)| (key.to_owned(), e)).collect())?;
    Ok(())
}
