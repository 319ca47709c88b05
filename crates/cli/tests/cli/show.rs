//! `show` in every format. The Markdown must contain everything that the document contains.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::harness::{assert_golden, root, stagegate, stagegate_with_stdin};

const COMPLETE: &str = "examples/plans/staged-rollout.toml";
const HOSTILE: &str = include_str!("../data/hostile.toml");

/// The sections of every flag, in the template's order. The last two are not in the template.
const SECTIONS: [&str; 8] = [
    "Overview",
    "Rollout Stages",
    "Rollback Plan",
    "Communication Plan",
    "Timeline",
    "Risk Mitigation",
    "Groups",
    "Metrics",
];

/// Texts that a Markdown parser could take for markup.
const ATTACKS: [&str; 8] = [
    " | cut | in | cells |",
    " `code` ``two`` ```",
    " <script>alert(1)</script> <!-- x --> &lt; &#60;",
    " **bold** *it* _it_ __b__ ~~gone~~ $x$",
    " [a](http://b) ![c](d) <http://e> [f]",
    r" \ \| \\",
    " \\u001b[31mred\\u0007\\u202eltr",
    " {{ flag }}",
];

#[test]
fn the_summary_matches_its_golden_file() {
    let run = stagegate(&["show", COMPLETE, "--flag", "new-checkout"]).ends(0);
    assert_golden("show/new-checkout.txt", &run.stdout);
    let run = stagegate(&["show", COMPLETE]).ends(0);
    assert_golden("show/flags.txt", &run.stdout);
}

#[test]
fn the_markdown_matches_its_golden_file() {
    let run = stagegate(&["show", COMPLETE, "--format", "markdown"]).ends(0);
    assert_golden("show/staged-rollout.md", &run.stdout);
}

#[test]
fn the_json_matches_its_golden_file() {
    let run = stagegate(&["show", COMPLETE, "--format", "json"]).ends(0);
    assert_eq!(run.json()["verb"], "show");
    assert_golden("show/staged-rollout.json", &run.stdout);
}

#[test]
fn markdown_has_the_sections_in_order() {
    let document = stagegate(&["init"]).ends(0).stdout;
    for document in [document, std::fs::read_to_string(root().join(COMPLETE)).unwrap()] {
        let document = document.replace("users_file = \"power-users.txt\"", "users = [\"x\"]");
        let document = document.replace("may_be_empty = false", "");
        let run = stagegate_with_stdin(&["show", "--format", "markdown", "-"], document).ends(0);
        let (mut sections, mut plans) = (Vec::new(), 0);
        for (level, heading) in headings(&run.stdout) {
            match level {
                HeadingLevel::H1 => plans += 1,
                HeadingLevel::H2 => sections.push(heading),
                _ => {}
            }
        }
        let is_template =
            |name: &&String| !name.contains("Warnings") && !name.starts_with("Stage ");
        let sections: Vec<_> = sections.iter().filter(is_template).collect();
        assert_eq!(sections, SECTIONS.repeat(plans).iter().collect::<Vec<_>>());
        for section in run.stdout.split("\n## ").skip(1) {
            let (heading, content) = section.split_once('\n').unwrap();
            assert!(content.trim().len() > 10, "nothing below {heading}");
        }
    }
}

/// A team that knows the template reads the built-in plan in this form.
#[test]
fn the_built_in_plan_matches_its_golden_file() {
    let document = stagegate(&["init"]).ends(0).stdout;
    let run = stagegate_with_stdin(&["show", "--format", "markdown", "-"], document).ends(0);
    assert_golden("show/built-in.md", &run.stdout);
}

#[test]
fn a_variable_is_filled_in_or_named_and_never_shown_as_a_tag() {
    let document = "schema = 1\n[flags.search]\nvariables = { team = \"the shop\" }\nmessages = [\n\
        { audience = \"user\", stage = \"pilot\", when = \"start\", subject = \"{{ flag }} at {{percent}}%\", template = \"{{ team }}, {{ starts }}\" },\n\
        { audience = \"user\", when = \"rollback\", template = \"{{ stage }}: {{ reason }}, {{ contact }}\" }]\n";
    let run = stagegate_with_stdin(&["show", "--format", "markdown", "-"], document).ends(0);
    for text in
        ["**search at 10%**", r"> the shop, \[starts\]", r"> \[stage\]: \[reason\], \[contact\]"]
    {
        assert!(run.stdout.contains(text), "{text} is not in {}", run.stdout);
    }
    assert!(!run.stdout.contains("{{"), "{}", run.stdout);
}

#[test]
fn markdown_contains_everything_in_the_document() {
    let text = std::fs::read_to_string(root().join(COMPLETE)).unwrap();
    let document: toml::Table = text.parse().unwrap();
    let flags = document["flags"].as_table().unwrap();
    for (key, flag) in flags {
        let run = stagegate(&["show", COMPLETE, "--format", "markdown", "--flag", key]).ends(0);
        let shown = squeezed(&plain(&run.stdout));
        let flag = flag.as_table().unwrap();
        let mut said = vec![key.clone()];
        for (field, value) in flag {
            collect(field, value, &mut said);
        }
        let plan = flag.get("plan").map(|plan| &document["plans"][plan.as_str().unwrap()]);
        for (field, value) in plan.into_iter().flat_map(|plan| plan.as_table().unwrap()) {
            if !flag.contains_key(field) || field == "variables" {
                collect(field, value, &mut said);
            }
        }
        assert!(said.len() > 10, "{key}");
        for (name, metric) in document["metrics"].as_table().unwrap() {
            if said.contains(name) {
                collect("metric", metric, &mut said);
            }
        }
        for (name, group) in document["groups"].as_table().unwrap() {
            if said.contains(name) {
                // The Markdown counts the listed users.
                let group = group.as_table().unwrap().iter();
                let shown =
                    group.filter(|(field, _)| matches!(&***field, "where" | "any" | "values_of"));
                shown.for_each(|(field, value)| collect(field, value, &mut said));
            }
        }
        for text in said {
            // A flag's own variable replaces its plan's.
            if text == "the new version" {
                continue;
            }
            // Variables of messages are filled in.
            let parts = text.split("{{").map(|part| part.split_once("}}").map_or(part, |it| it.1));
            for part in parts {
                assert!(shown.contains(&squeezed(part)), "{key}: not shown: {text}");
            }
        }
    }
}

#[test]
fn hostile_texts_change_nothing_but_the_text() {
    let shown = |attack: &str| {
        let document = HOSTILE.replace('@', &attack.replace('\\', "\\\\").replace("\\\\u", "\\u"));
        let run = stagegate_with_stdin(&["show", "--format", "markdown", "-"], &document).ends(0);
        (document, run.stdout)
    };
    let (_, benign) = shown("");
    for attack in ATTACKS {
        let (_, markdown) = shown(attack);
        assert_eq!(structure(&markdown), structure(&benign), "{attack}");
        let text = squeezed(&plain(&markdown));
        let expected = squeezed(&attack.replace("\\u001b", "\\u{1b}").replace("\\u0007", "\\u{7}"));
        let expected = expected.replace("\\u202e", "\\u{202e}");
        let count = text.matches(&expected).count();
        // In a subject and a template, `{{ flag }}` is filled in.
        let filled = if attack.contains("{{") { 2 } else { 0 };
        // Each text appears at least once; an owner appears in several places.
        let least = HOSTILE.matches('@').count() - 1 - filled;
        assert!(count >= least, "{attack}: {count} of them in {text}");
    }
}

#[test]
fn a_hostile_text_of_several_lines_stays_one_text() {
    let attack = r"\n# no heading\n\n- no item\n1. no item\n> no quote\n```\n    no code\n---";
    let shown = |attack: &str| {
        let document = HOSTILE.replace('@', attack);
        stagegate_with_stdin(&["show", "--format", "markdown", "-"], document).ends(0).stdout
    };
    let (benign, attacked) = (shown(""), shown(attack));
    assert_eq!(headings(&benign), headings(&attacked));
    let lists = |text: &str| structure(text).iter().filter(|tag| tag.contains("Item")).count();
    assert_eq!(lists(&benign), lists(&attacked));
    let run = stagegate_with_stdin(&["show", "-"], HOSTILE.replace('@', r"\u001b[2J\r\n")).ends(0);
    assert!(!run.stdout.contains(|c: char| c.is_control() && c != '\n'), "{}", run.stdout);
}

#[test]
fn missing_flags_and_files_are_reported() {
    let run = stagegate(&["show", COMPLETE, "--flag", "nobody"]).ends(2);
    assert_eq!(
        run.stderr,
        "stagegate: the document has no flag `nobody`; it has: invoices, new-checkout, retry-payments\n"
    );
    assert_eq!(run.stdout, "");
    let run =
        stagegate_with_stdin(&["show", "-"], "schema = 1\n[flags.a]\nstage = \"pilto\"").ends(1);
    assert!(run.stderr.contains("not a stage of this flag"), "{}", run.stderr);
    let run = stagegate_with_stdin(&["show", "--format", "json", "-"], "schema = 2").ends(1);
    assert!(run.json()["problems"].as_array().is_some_and(|problems| !problems.is_empty()));
    stagegate(&["show", "no/such/file.toml"]).ends(3);
    for bytes in [&b"\xff\xfe\x00"[..], b"[[[[", b"{\"schema\": 1", b"\0\0\0\0"] {
        stagegate_with_stdin(&["show", "-"], bytes).ends(1);
    }
}

#[test]
fn warnings_are_shown_with_their_flag() {
    let run = stagegate(&["show", COMPLETE, "--format", "json"]).ends(0);
    let flags = run.json()["flags"].as_array().unwrap().clone();
    for flag in flags {
        for warning in flag["warnings"].as_array().unwrap() {
            let path = warning["path"].as_str().unwrap();
            let (key, plan) = (flag["key"].as_str().unwrap(), flag["plan"].as_str());
            let own = path.starts_with(&format!("flags.{key}"));
            assert!(own || plan.is_some_and(|plan| path.starts_with(&format!("plans.{plan}"))));
        }
    }
}

/// Collects the texts, names, numbers and days of a value, as they are printed.
fn collect(field: &str, value: &toml::Value, said: &mut Vec<String>) {
    /// The tables whose keys are names.
    const NAMES: [&str; 7] =
        ["metrics", "hold_back", "owners", "variables", "requires", "where", "any"];
    match value {
        // The section of a trigger shows its action.
        toml::Value::String(_) if matches!(field, "action") => {}
        toml::Value::String(text) if field == "phase" => said.push(text.to_uppercase()),
        toml::Value::String(text) if matches!(&**text, "internal" | "client" | "user") => {
            // An audience is a heading; a stage is a name.
            if field != "audience" {
                said.push(text.clone());
            }
        }
        toml::Value::String(text) => said.push(as_printed(text).to_owned()),
        toml::Value::Integer(number) => said.push(number.to_string()),
        toml::Value::Float(number) => said.push(number.to_string()),
        toml::Value::Datetime(date) => said.push(date.to_string()),
        toml::Value::Boolean(is) => {
            let shown = match field {
                "four_eyes" => "Four eyes",
                "present" => field,
                _ => panic!("{field} = {is}"),
            };
            said.extend(is.then(|| shown.to_owned()));
        }
        toml::Value::Array(items) => items.iter().for_each(|item| collect(field, item, said)),
        toml::Value::Table(table) => {
            for (key, value) in table {
                if NAMES.contains(&field) {
                    said.push(key.clone());
                }
                collect(key, value, said);
            }
        }
    }
}

/// Returns the printed form of a text: `as_needed` becomes words, and any other text stays.
fn as_printed(text: &str) -> &str {
    if text == "as_needed" { "as needed" } else { text }
}

fn parse(markdown: &str) -> Parser<'_> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    Parser::new_ext(markdown, options | Options::ENABLE_MATH)
}

/// Returns the text of Markdown without its markup.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    for event in parse(markdown) {
        match event {
            Event::Text(part) | Event::Code(part) => text += &part,
            Event::SoftBreak | Event::HardBreak | Event::InlineHtml(_) => text += "\n",
            Event::End(_) => text += "\n",
            _ => {}
        }
    }
    text
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Returns the markup of Markdown without its text.
fn structure(markdown: &str) -> Vec<String> {
    let events = parse(markdown);
    let tags = events.filter_map(|event| match event {
        Event::Text(_) | Event::SoftBreak => None,
        event => Some(format!("{event:?}")),
    });
    tags.collect()
}

fn headings(markdown: &str) -> Vec<(HeadingLevel, String)> {
    let mut headings: Vec<(HeadingLevel, String)> = Vec::new();
    let mut within = false;
    for event in parse(markdown) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                headings.push((level, String::new()));
                within = true;
            }
            Event::End(TagEnd::Heading(_)) => within = false,
            Event::Text(text) | Event::Code(text) if within => {
                headings.last_mut().unwrap().1 += &text;
            }
            _ => {}
        }
    }
    headings
}

/// A table of many flags is cheap. Their whole plans would take gigabytes.
#[test]
fn a_document_of_many_flags() {
    let flags: String = (0..20_000).map(|flag| format!("[flags.f{flag}]\n")).collect();
    let document = format!("schema = 1\n{flags}");
    let run = stagegate_with_stdin(&["show", "-"], &document).ends(0);
    assert_eq!(run.stdout.lines().count(), 20_000 + 3);
    for format in ["markdown", "json"] {
        let run = stagegate_with_stdin(&["show", "-", "--format", format], &document).ends(2);
        assert_eq!(
            run.stderr,
            "stagegate: the document has 20000 flags, but at most 1000 whole plans are shown at once. \
             Choose a flag with `--flag`\n",
        );
        stagegate_with_stdin(&["show", "-", "--format", format, "--flag", "f7"], &document).ends(0);
    }
}
