//! No document breaks the gate: it is refused with problems, or every evaluation of its flags works.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use stagegate::{Document, Format, Gate, Plan};

use super::model::quoted;
use super::oracle::{Person, Value};
use super::strategies::{doc, people};

/// A text: mostly a name that other parts of the document use, so that documents are often valid.
fn text() -> impl Strategy<Value = String> {
    const STRANGE: &[&str] = &[
        "",
        " ",
        "off",
        "ga",
        "\u{feff}",
        "\u{202e}txt",
        "e\u{301}",
        "\u{0}",
        "-",
        "1",
        "nan",
        "\"",
        "\\",
        "users_file",
        "\r\n",
    ];
    prop_oneof![
        30 => select(&["a", "b", "c", "d"][..]).prop_map(str::to_owned),
        2 => select(STRANGE).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (1..6000_usize).prop_map(|length| "x".repeat(length)),
    ]
}

/// A text for a place that accepts any text: mostly unusual ones.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![2 => text(), 3 => any::<String>(), 1 => Just("\u{1f600}".repeat(100))]
}

fn number() -> impl Strategy<Value = String> {
    const STRANGE: &[&str] = &[
        "-0",
        "-1",
        "1e400",
        "1e1",
        "nan",
        "inf",
        "0x10",
        "1_0",
        "99999999999999999999",
        "0.00001",
        "100.0001",
        "100.0000000",
        "true",
        "null",
        "1979-05-27",
        "\"10\"",
        "[]",
        "{}",
    ];
    prop_oneof![
        8 => select(&["0", "0.0001", "10", "50", "99.9999", "100"][..]),
        1 => select(STRANGE),
    ]
    .prop_map(str::to_owned)
}

fn list(item: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(", ")))
}

/// Returns a table. `\u{1}` stands for the separator between a field and its value, which depends on the notation.
/// Names may occur twice.
fn table(fields: impl IntoIterator<Item = (String, String)>) -> String {
    let fields = fields.into_iter();
    let fields = fields.map(|(name, value)| format!("{}\u{1}{value}", quoted(&name)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

/// A table with a random subset of these fields, and sometimes an unknown field.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let optional = |(name, value): (&'static str, BoxedStrategy<String>)| {
        prop::option::weighted(0.7, value.prop_map(move |value| (name.to_owned(), value)))
    };
    let known = fields.into_iter().map(optional).collect::<Vec<_>>();
    let unknown = prop::option::weighted(0.02, (any_text(), number()));
    (known, unknown)
        .prop_map(|(known, unknown)| table(known.into_iter().chain([unknown]).flatten()))
        .boxed()
}

fn any_value() -> impl Strategy<Value = String> {
    any_text().prop_map(|text| quoted(&text))
}

/// One of these names, or sometimes any text.
fn mostly(names: &'static [&str]) -> impl Strategy<Value = String> + Clone {
    prop_oneof![30 => select(names).prop_map(str::to_owned), 1 => text()]
}

fn mostly_value(names: &'static [&str]) -> impl Strategy<Value = String> + Clone {
    mostly(names).prop_map(|text| quoted(&text))
}

fn stage(name: &'static [&str], percent: &'static str) -> impl Strategy<Value = String> {
    let percent = prop_oneof![30 => Just(percent.to_owned()), 1 => number()];
    let groups = list(mostly_value(&["a", "b", "c"]));
    let within = prop::option::weighted(0.2, vec(mostly_value(&["a", "b", "c"]), 1..3));
    let within = within.prop_map(|names| names.map(|names| format!("[{}]", names.join(", "))));
    (mostly_value(name), percent, groups, within).prop_map(|(name, percent, groups, within)| {
        let fields = [("name", name), ("percent", percent), ("groups", groups)];
        let fields = fields.into_iter().chain(within.map(|within| ("within", within)));
        table(fields.map(|(name, value)| (name.to_owned(), value)))
    })
}

/// A bound, mostly one of a number, a version or a date.
fn bound() -> impl Strategy<Value = String> {
    const USUAL: &[&str] = &[">= 18", "< 65.5, > -1", "= 4.2.0", "<= 2026-01-05", "> 1.0.0-rc.1"];
    let odd =
        prop_oneof![any::<String>(), "[<>=]{0,3} ?[0-9a-z.:TZ+-]{0,30}(, [<>=]{0,2}[0-9.]{0,9})?"];
    prop_oneof![8 => select(USUAL).prop_map(str::to_owned), 1 => odd]
}

/// Conditions of any kind, mostly of the attributes `p` and `q`.
fn conditions() -> impl Strategy<Value = String> {
    let value = || any_text().prop_map(|text| quoted(&text));
    let values = || vec(value(), 1..3).prop_map(|values| format!("[{}]", values.join(", ")));
    let bound = || bound().prop_map(|bound| quoted(&bound));
    let test = prop_oneof![
        values().prop_map(|it| ("in".to_owned(), it)),
        values().prop_map(|it| ("not_in".to_owned(), it)),
        (mostly(&["prefix", "suffix", "contains"]), value()),
        (mostly(&["number", "version", "date"]), bound()),
        Just(("present".to_owned(), "true".to_owned())),
    ];
    let condition = prop_oneof![
        4 => values(),
        3 => bound(),
        3 => vec(test, 1..3).prop_map(table),
        1 => list(any_value()),
    ];
    let name = prop_oneof![3 => mostly(&["p", "q"]), 1 => any_text()];
    vec((name, condition), 1..3).prop_map(table)
}

fn document() -> impl Strategy<Value = String> {
    let member = prop_oneof![1 => mostly_value(&["c"]), 2 => conditions()];
    let group =
        some_of(vec![("users", list(any_value()).boxed()), ("where", conditions().boxed())]);
    let more = some_of(vec![
        ("users", list(any_value()).boxed()),
        ("values_of", mostly_value(&["p", "q"]).boxed()),
        ("any", list(member).boxed()),
    ]);
    let group = prop_oneof![3 => group, 1 => more].boxed();
    let fitting = ["a", "b", "c"].map(|name| (Just(name.to_owned()), group.clone()));
    let others = vec((text(), group), 0..2);
    let groups = (fitting, prop::option::weighted(0.2, others)).prop_map(|(fitting, others)| {
        table(fitting.into_iter().chain(others.into_iter().flatten()))
    });

    let stages = (stage(&["x"], "0.0001"), stage(&["y"], "50"), stage(&["z"], "100"));
    let stages = stages.prop_map(|(x, y, z)| format!("[{x}, {y}, {z}]"));
    let until = || mostly_value(&["x", "y", "z", "never"]);
    let except = list(mostly_value(&["a", "b", "c"]));
    let long = (until(), except).prop_map(|(until, except)| {
        table([("until", until), ("except", except)].map(|(name, value)| (name.to_owned(), value)))
    });
    let held = (mostly(&["a", "b", "c"]), prop_oneof![2 => until().boxed(), 1 => long.boxed()]);
    let only = vec(mostly_value(&["a", "b", "c"]), 1..3);
    let only = only.prop_map(|names| format!("[{}]", names.join(", ")));
    let flag = some_of(vec![
        ("stage", mostly_value(&["off", "x", "y", "z"]).boxed()),
        ("salt", any_value().boxed()),
        ("owner", any_value().boxed()),
        ("hold_back", vec(held, 0..2).prop_map(table).boxed()),
    ]);
    let targeting =
        some_of(vec![("by", mostly_value(&["p", "q"]).boxed()), ("only", only.boxed())]);
    let targeting = prop_oneof![2 => Just("{}".to_owned()), 1 => targeting];
    let flag = (flag, targeting, stages).prop_map(|(flag, targeting, stages)| {
        let targeting = match targeting.trim_matches(['{', '}']) {
            "" => String::new(),
            _ => format!("{}, ", &targeting[1..targeting.len() - 1]),
        };
        let own = flag.replacen('{', &format!("{{\"stages\"\u{1}{stages}, {targeting}"), 1);
        own.replace(", }", "}")
    });
    let requires = prop::option::weighted(0.1, (mostly(&["f"]), mostly_value(&["x", "z"])));
    let requires = requires.prop_map(|requires| {
        let requires = requires?;
        Some(("g".to_owned(), table([("requires".to_owned(), table([requires]))])))
    });
    let flags = (vec((mostly(&["f"]), flag), 1..3), requires)
        .prop_map(|(flags, requires)| table(flags.into_iter().chain(requires)));
    let schema = prop_oneof![30 => Just("1".to_owned()), 1 => number()];
    (schema, groups, flags).prop_map(|(schema, groups, flags)| {
        let fields = [("schema", schema), ("groups", groups), ("flags", flags)];
        table(fields.map(|(name, value)| (name.to_owned(), value)))
    })
}

/// Returns the document as JSON and as TOML.
fn in_both_notations(document: &str) -> [Document; 2] {
    let json = document.replace('\u{1}', ": ");
    // TOML has no outer braces, and one line for each of the three fields.
    let toml = document.replace('\u{1}', " = ");
    let toml = toml[1..toml.len() - 1].replacen(", \"groups\"", "\n\"groups\"", 1).replacen(
        ", \"flags\"",
        "\n\"flags\"",
        1,
    );
    [Document::new(json).format(Format::Json), Document::new(toml).format(Format::Toml)]
}

/// Returns whether the document is a valid plan, and checks every evaluation or every problem.
fn check_document(
    document: Document,
    people: &[Person],
    words: &[String],
) -> Result<bool, TestCaseError> {
    let live = Gate::from_document("schema = 1\n[flags.live]\nstage = \"ga\"").unwrap();
    let updated = live.update(document.clone());
    prop_assert!(updated.is_ok() || (live.version() == 1 && live.is_enabled("", "live")));
    let plan = match Plan::parse(document) {
        Ok(plan) => plan,
        Err(error) => {
            prop_assert!(!error.problems().is_empty(), "refused without a problem");
            for problem in error.problems() {
                prop_assert!(problem.line() > 0 && problem.column() > 0);
                prop_assert!(!problem.message().is_empty() && !problem.hint().is_empty());
            }
            let controls =
                error.to_string().chars().filter(|c| c.is_control() && *c != '\n').count();
            prop_assert_eq!(controls, 0, "a message with control characters: {}", error);
            return Ok(false);
        }
    };
    let gate = Gate::from_plan(&plan);
    let flags: Vec<_> = plan.flags().map(str::to_owned).collect();
    for person in people {
        for key in flags.iter().chain(words) {
            let evaluation = gate.evaluate(person, key);
            prop_assert_eq!(evaluation.enabled, gate.is_enabled(person, key));
            prop_assert_eq!(evaluation.enabled, gate.flag(key).is_enabled(person));
            prop_assert_eq!(evaluation.stage.is_some(), flags.contains(key));
        }
        prop_assert_eq!(gate.pin().evaluate_all(person).count(), flags.len());
    }
    prop_assert_eq!(gate.status().flags.len(), flags.len());
    Ok(true)
}

/// People with arbitrary keys and attributes.
fn strangers() -> impl Strategy<Value = Vec<Person>> {
    let name = prop_oneof![2 => mostly(&["p", "q"]).boxed(), 1 => any_text().boxed()];
    let person = (vec(any::<u8>(), 0..20), vec((name, strange_value()), 0..12));
    vec(person.prop_map(|(key, attributes)| Person { key, attributes }), 1..4)
}

/// Values of every type: texts that look like numbers, versions or dates, any bits of a decimal.
fn strange_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        3 => any_text().boxed(),
        1 => "[-+]?[0-9]{0,30}[.eE]?[0-9]{0,30}".boxed(),
        1 => "v?[0-9]{0,25}(\\.[0-9]{0,3}){0,3}(-[0-9a-zA-Z.-]{0,20})?(\\+[0-9a-z.]{0,9})?".boxed(),
        2 => "[0-9]{0,5}-[0-9]{0,3}-[0-9]{0,3}([Tt ][0-9:.]{0,14}([Zz]|[+-][0-9:]{0,6})?)?".boxed(),
        1 => "[0-9]{4}-[0-1][0-9]-[0-3][0-9].{0,12}".boxed(),
    ];
    prop_oneof![
        4 => text.prop_map(Value::Text),
        1 => any::<i64>().prop_map(Value::Signed),
        1 => any::<u64>().prop_map(Value::Unsigned),
        2 => any::<u64>().prop_map(|bits| Value::Decimal(f64::from_bits(bits))),
        1 => any::<bool>().prop_map(Value::Bool),
    ]
}

/// A plan that looks at the attribute `p` in every possible way, with a flag for each.
const EVERY_WAY: &str = r#"
    schema = 1
    groups.one-of.where = { p = ["a", "100"] }
    groups.none-of.where = { p = { not_in = ["a", "100"] } }
    groups.prefix.where = { p = { prefix = "a" } }
    groups.suffix.where = { p = { suffix = "é" } }
    groups.contains.where = { p = { contains = "0" } }
    groups.number.where = { p = { number = ">= -1.5, < 18446744073709551616" } }
    groups.version.where = { p = { version = ">= 1.0.0-rc.1, <= 2026.1" } }
    groups.day.where = { p = { date = ">= 0000-01-01, <= 9999-12-31" } }
    groups.moment.where = { p = { date = "> 2026-01-05T23:59:59.5+01:00" } }
    groups.present.where = { p = { present = true } }
    groups.several.where = { p = { prefix = "1", suffix = "0", not_in = ["10"], number = "> 5" }, q = "< 4" }
    groups.all.any = ["number", "version", "day", { p = ["x"] }, { p = ">= 1", q = ">= 2026-01-05" }]
    groups.listed = { values_of = "p", users = ["a", "100", "true", "NaN"] }
    plans.by-group.stages = [{ name = "on", percent = 50, groups = ["all", "listed"] }]
    plans.within.stages = [{ name = "on", percent = 50, within = ["all", "several", "none-of"] }]
    [flags.by]
    by = "p"
    stage = "pilot"
    [flags.groups]
    plan = "by-group"
    stage = "on"
    [flags.within]
    plan = "within"
    by = "q"
    stage = "on"
    [flags.only]
    stage = "pilot"
    only = ["one-of", "prefix", "suffix", "contains", "number", "version", "day", "moment", "present"]
    requires = { groups = "on", by = "internal" }
    [flags.held]
    stage = "pilot"
    hold_back = { all = { until = "ga", except = ["several"] }, none-of = "never", listed = "expanded" }
"#;

#[test]
fn hostile_documents_are_refused_or_usable() {
    let accepted = AtomicU32::new(0);
    let config = Config { source_file: Some(file!()), ..Config::default() };
    let cases = config.cases;
    let input = (document(), strangers(), vec(any_text(), 1..4));
    let result = TestRunner::new(config).run(&input, |(document, people, words)| {
        let [json, toml] = in_both_notations(&document).map(|d| check_document(d, &people, &words));
        // Relaxed: read after the last case, on the same thread.
        accepted.fetch_add(u32::from(toml?) + u32::from(json?), Ordering::Relaxed);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    // Both outcomes must occur, otherwise the generator is useless.
    let accepted = accepted.into_inner();
    assert!(cases < 100 || (cases / 20..cases * 2).contains(&accepted), "{accepted} of {cases}");
}

proptest! {
    #[test]
    fn no_attribute_value_breaks_a_condition(people in strangers(), bound in bound()) {
        check_document(Document::new(EVERY_WAY), &people, &[])?;
        for kind in ["number", "version", "date"] {
            let document = format!(
                "{{\"schema\": 1, \"groups\": {{\"g\": {{\"where\": {{\"p\": {{\"{kind}\": {}}}}}}}}}, \"flags\": {{
                    \"f\": {{\"stage\": \"on\", \"stages\": [{{\"name\": \"on\", \"groups\": [\"g\"]}}]}}}}}}",
                quoted(&bound)
            );
            check_document(Document::new(document).format(Format::Json), &people, &[])?;
        }
    }

    #[test]
    fn damaged_plans_are_refused_or_usable(
        doc in doc(),
        people in people(),
        json in any::<bool>(),
        damage in vec((any::<Index>(), 0..4_usize, vec(any::<u8>(), 0..4)), 1..4),
    ) {
        let mut bytes = if json { doc.json() } else { doc.toml() }.into_bytes();
        for (at, removed, inserted) in damage {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
        }
        check_document(Document::new(bytes), &people, &[String::new()])?;
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_usable(bytes in vec(any::<u8>(), 0..200), text in any::<String>()) {
        for bytes in [bytes, text.into_bytes()] {
            for format in [Format::Toml, Format::Json] {
                check_document(Document::new(bytes.clone()).format(format), &[], &[])?;
            }
            check_document(Document::new(bytes), &[], &[])?;
        }
    }
}
