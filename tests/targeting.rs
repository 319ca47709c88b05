//! Who has a flag: the plan of a team with business customers, and cases from the field.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use stagegate::model::Finding;
use stagegate::{Document, Gate, Plan, Reason, User};

/// A user of the story: attributes, and the first stage at which the user has the editor.
struct Person {
    name: &'static str,
    attributes: &'static [(&'static str, &'static str)],
    first: Option<&'static str>,
}

const WEB: (&str, &str) = ("platform", "web");

/// A company of the first tenth, and one that is in no tenth.
const EARLY: &str = "tyrell";
const LATE: &str = "wayne";

const PEOPLE: &[Person] = &[
    Person {
        name: "an employee in the US",
        attributes: &[("email", "jo@acme.example"), ("region", "us-east"), WEB],
        first: Some("internal"),
    },
    Person {
        name: "an employee in the EU",
        attributes: &[("email", "eva@acme.example"), ("region", "eu-west"), WEB],
        first: Some("internal"),
    },
    Person {
        name: "a stranger with a similar domain",
        attributes: &[
            ("email", "x@acme.example.evil"),
            ("organisation", LATE),
            ("region", "us-west"),
            WEB,
        ],
        first: Some("ga"),
    },
    Person {
        name: "a user of a partner",
        attributes: &[("organisation", "globex"), ("region", "us-east"), WEB],
        first: Some("partners"),
    },
    Person {
        name: "a user of an early company in the EU",
        attributes: &[("organisation", EARLY), ("region", "eu-north"), WEB],
        first: Some("eu-pilot"),
    },
    Person {
        name: "a user of a late company in the EU",
        attributes: &[("organisation", LATE), ("region", "eu-north"), WEB],
        first: Some("eu"),
    },
    Person {
        name: "a user of an early company in the US",
        attributes: &[("organisation", EARLY), ("region", "us-east"), WEB],
        first: Some("us-pilot"),
    },
    Person {
        name: "a user of a late company in the US",
        attributes: &[("organisation", LATE), ("region", "us-east"), WEB],
        first: Some("ga"),
    },
    Person {
        name: "a user without a region",
        attributes: &[("organisation", EARLY), WEB],
        first: Some("ga"),
    },
    Person {
        name: "a user without a company",
        attributes: &[("region", "eu-west"), WEB],
        first: None,
    },
    Person {
        name: "an employee with an old app",
        attributes: &[("email", "al@acme.example"), ("platform", "ios"), ("app_version", "4.1.9")],
        first: None,
    },
    Person {
        name: "an employee with a pre-release of the new app",
        attributes: &[
            ("email", "al@acme.example"),
            ("platform", "ios"),
            ("app_version", "4.2.0-rc.1"),
        ],
        first: None,
    },
    Person {
        name: "an employee with the new app",
        attributes: &[("email", "al@acme.example"), ("platform", "ios"), ("app_version", "4.10.0")],
        first: Some("internal"),
    },
    Person {
        name: "a user of a partner on Android, whose app is new enough for iOS only",
        attributes: &[
            ("organisation", "globex"),
            ("platform", "android"),
            ("app_version", "4.2.0"),
        ],
        first: None,
    },
    Person {
        name: "a user of a company under contract",
        attributes: &[("organisation", "hooli"), ("region", "eu-west"), WEB],
        first: None,
    },
];

fn user(person: &Person) -> User<'static> {
    let attributes = person.attributes.iter();
    attributes.fold(User::new("someone"), |user, (name, value)| user.attribute(name, *value))
}

#[test]
fn the_story_of_a_rollout_for_business_customers() {
    let plan = Plan::parse(Document::read("examples/plans/b2b.toml").unwrap()).unwrap();
    assert_eq!(
        plan.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
        <[String; 0]>::default()
    );
    let gate = Gate::from_path("examples/plans/b2b.toml").unwrap();
    let stages: Vec<String> =
        plan.flag("new-editor").unwrap().stages().map(|stage| stage.name().to_string()).collect();
    // The editor needs the new API: before it, nobody has the editor.
    gate.set_stage("new-editor", "internal").unwrap();
    for person in PEOPLE {
        let answer = gate.evaluate(user(person), "new-editor");
        assert_eq!(
            (answer.enabled, answer.reason),
            (false, Reason::Prerequisite),
            "{}",
            person.name
        );
    }
    for stage in ["internal", "ga"] {
        gate.set_stage("new-api", stage).unwrap();
    }
    for stage in &stages {
        gate.set_stage("new-editor", stage).unwrap();
        let here = stages.iter().position(|other| other == stage).unwrap();
        for person in PEOPLE {
            let first = person.first.map(|first| stages.iter().position(|s| s == first).unwrap());
            let answer = gate.evaluate(user(person), "new-editor");
            let expected = first.is_some_and(|first| first <= here);
            assert_eq!(answer.enabled, expected, "{} at {stage}: {answer:?}", person.name);
            assert_eq!(answer.cohort.map(|stage| stage.to_string()).as_deref(), person.first);
            assert_eq!(gate.is_enabled(user(person), "new-editor"), expected);
            let explained = plan.flag("new-editor").unwrap();
            let all_on = |key: &str| plan.flag(key)?.stages().last().map(|stage| stage.name());
            let at = |key: &str| match key {
                "new-editor" => plan.flag(key)?.stages().nth(here).map(|stage| stage.name()),
                _ => all_on(key),
            };
            let explained = explained.explain_with(at, user(person));
            let version = answer.version;
            assert_eq!(stagegate_with(explained.evaluation, version), format!("{answer:?}"));
        }
    }
    // A rollback of the API takes the editor along, in the same swap.
    let before = gate.version();
    gate.roll_back("new-api").unwrap();
    assert_eq!(gate.version(), before + 1);
    let status = gate.status();
    assert!(status.flags.iter().all(|flag| flag.stage == "off"), "{status:?}");
}

/// Returns the evaluation as text, with another version.
fn stagegate_with(mut evaluation: stagegate::Evaluation, version: u64) -> String {
    evaluation.version = version;
    format!("{evaluation:?}")
}

#[test]
fn an_explanation_names_the_attribute_that_is_missing_or_unreadable() {
    let plan = Plan::parse(Document::read("examples/plans/b2b.toml").unwrap()).unwrap();
    let flag = plan.flag("new-editor").unwrap();
    let finding = |user: User<'_>| {
        let explanation = flag.explain(user);
        let group = explanation.groups.iter().find(|group| group.group == "new-app").unwrap();
        let of_ios = &group.alternatives[1];
        of_ios.iter().map(|it| (it.condition.attribute(), it.finding)).collect::<Vec<_>>()
    };
    let ios = || User::new("al").attribute("platform", "ios");
    assert_eq!(finding(ios())[1].1, Finding::Missing);
    let Finding::Unreadable { needs, .. } = finding(ios().attribute("app_version", "banana"))[1].1
    else {
        panic!("a banana is no version")
    };
    assert_eq!(needs, "version");
    assert_eq!(finding(ios().attribute("app_version", "4.1.0"))[1].1, Finding::Differs);
    assert_eq!(
        finding(ios().attribute("app_version", "v4.2")),
        [("platform", Finding::Matches), ("app_version", Finding::Matches)]
    );
}

/// Returns a gate with one flag, `f`, at its stage `p`.
fn gate(document: &str) -> Gate {
    Gate::from_document(format!("schema = 1\n{document}").as_str()).unwrap()
}

fn in_group(condition: &str, user: User<'_>) -> bool {
    let document = format!(
        "[groups.g]\nwhere = {{ {condition} }}\n[flags.f]\nstage = \"p\"\n\
         stages = [{{ name = \"p\", groups = [\"g\"] }}]"
    );
    gate(&document).is_enabled(user, "f")
}

/// Numbers are not compared as texts (PostHog/posthog#14497, growthbook/growthbook#3710).
#[test]
fn a_hundred_seats_are_more_than_ninety_nine() {
    let seats = |seats: &'static str| {
        in_group("seats = \">= 100\"", User::new("u").attribute("seats", seats))
    };
    for (value, expected) in [
        ("99", false),
        ("100", true),
        ("1000", true),
        ("1e3", false),
        ("100.0", true),
        (" 100", false),
        ("", false),
    ] {
        assert_eq!(seats(value), expected, "{value:?}");
    }
    let typed = |user| in_group("seats = \">= 100\"", user);
    assert!(
        typed(User::new("u").attribute("seats", 100))
            && typed(User::new("u").attribute("seats", 100.5))
    );
    assert!(
        !typed(User::new("u").attribute("seats", 99_u64))
            && !typed(User::new("u").attribute("seats", f64::NAN))
    );
    assert!(!typed(User::new("u")) && !typed(User::new("u").attribute("seats", true)));
}

/// Roles (szymanskir/featureflag#30, microsoft/FeatureManagement-Dotnet#282).
#[test]
fn the_order_of_roles_does_not_matter() {
    let user = |one, other| User::new("u").attribute("role", one).attribute("role", other);
    for (one, other) in [("admin", "beta"), ("beta", "admin")] {
        assert!(in_group("role = [\"admin\"]", user(one, other)));
        assert!(!in_group("role = { not_in = [\"admin\"] }", user(one, other)));
    }
    assert!(in_group("role = { not_in = [\"admin\"] }", user("beta", "dev")));
    assert!(!in_group("role = { not_in = [\"admin\"] }", User::new("u")), "missing is no match");
}

/// Exclusion by law or contract (Flagsmith/flagsmith#382).
#[test]
fn never_holds_at_a_hundred_percent() {
    let gate = gate(
        "[groups.germany]\nwhere = { country = [\"de\"] }\n[flags.f]\nstage = \"ga\"\n\
         hold_back = { germany = \"never\" }\nstages = [{ name = \"p\", percent = 10 }, { name = \"ga\", percent = 100 }]",
    );
    let of = |country| gate.evaluate(User::new("u").attribute("country", country), "f");
    assert_eq!(
        (of("de").enabled, of("de").reason, of("de").cohort),
        (false, Reason::HeldBack, None)
    );
    assert!(of("fr").enabled);
}

/// An exception of a hold-back: employees do not wait with their region.
#[test]
fn an_exception_does_not_wait() {
    let gate = gate(
        "[groups.us]\nwhere = { region = [\"us\"] }\n[groups.staff]\nusers = [\"e1\"]\n[flags.f]\nstage = \"p\"\n\
         hold_back = { us = { until = \"ga\", except = [\"staff\"] } }\n\
         stages = [{ name = \"p\", percent = 99.9999, groups = [\"staff\"] }, { name = \"ga\", percent = 100 }]",
    );
    let us = |key| gate.is_enabled(User::new(key).attribute("region", "us"), "f");
    assert!(us("e1") && !us("c1") && gate.is_enabled("c1", "f"));
}
