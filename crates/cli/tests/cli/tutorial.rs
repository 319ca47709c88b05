//! The tutorial's commands print what the tutorial shows. The pictures of the README come from the same commands.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::{env, fs};

use super::harness::{root, stagegate};

/// Runs the commands of the tutorial in order, in a directory of their own. Returns the text with their real output.
fn run(tutorial: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let plans = directory.path().join("examples/plans");
    fs::create_dir_all(&plans).unwrap();
    fs::copy(root().join("examples/plans/search.toml"), plans.join("search.toml")).unwrap();
    let mut variables: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut found, mut is_console) = (String::new(), false);
    for line in tutorial.lines() {
        is_console = if is_console { line != "```" } else { line == "```console" };
        let command = line.strip_prefix("$ ").filter(|_| is_console);
        // The output of the commands is written again.
        if !is_console || line == "```console" || command.is_some() {
            found += &format!("{line}\n");
        }
        if let Some(assignments) = command.and_then(|command| command.strip_prefix("export ")) {
            variables.extend(assignments.split(' ').map(|it| it.split_once('=').unwrap()));
        } else if let Some(arguments) = command.and_then(|it| it.strip_prefix("stagegate ")) {
            let ran = Command::new("sh")
                .arg("-c")
                .arg(format!("'{}' {arguments} 2>&1", env!("CARGO_BIN_EXE_stagegate")))
                .current_dir(directory.path())
                .env_remove("CLICOLOR_FORCE")
                .envs(&variables)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            for line in String::from_utf8(ran.stdout).unwrap().lines() {
                found += &format!("{}\n", line.trim_end());
            }
        }
    }
    found
}

#[test]
fn the_tutorial_shows_what_its_commands_print() {
    let file = root().join("docs/tutorial.md");
    let expected = fs::read_to_string(&file).unwrap();
    let found = run(&expected);
    if env::var_os("STAGEGATE_BLESS").is_some() {
        fs::write(&file, &found).unwrap();
    }
    assert!(found == expected, "docs/tutorial.md differs; found:\n{found}");
    assert!(expected.matches("$ stagegate ").count() > 25);
}

/// Compares a picture with its file. `STAGEGATE_BLESS=1` writes the file.
#[track_caller]
fn assert_picture(name: &str, found: &str) {
    let file = root().join("docs/pictures").join(name);
    if env::var_os("STAGEGATE_BLESS").is_some() {
        fs::write(&file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "docs/pictures/{name} differs; found:\n{found}");
}

#[test]
fn the_picture_of_a_timeline_is_what_the_command_draws() {
    let plan = "examples/plans/staged-rollout.toml";
    let at = ["--flag", "new-checkout", "--start", "2026-01-05", "--format", "svg"];
    let drawn = stagegate(&[&["timeline", plan][..], &at].concat()).ends(0);
    assert_picture("timeline.svg", &drawn.stdout);
}

/// The commands of the tutorial that the picture of a terminal shows.
const SHOWN: [&str; 5] = [
    "stagegate start ",
    "stagegate promote new-search --yes",
    "stagegate promote new-search --yes",
    "stagegate metric set new-search failed_searches 6.2%",
    "stagegate verify",
];

#[test]
fn the_picture_of_a_terminal_shows_real_output() {
    let tutorial = fs::read_to_string(root().join("docs/tutorial.md")).unwrap();
    let mut lines = tutorial.lines().peekable();
    let mut shown = Vec::new();
    for command in SHOWN {
        let is_wanted =
            |line: &&str| line.strip_prefix("$ ").is_some_and(|it| it.starts_with(command));
        shown.push(lines.find(is_wanted).unwrap());
        while let Some(line) = lines.next_if(|line| *line != "```" && !line.starts_with("$ ")) {
            shown.push(line);
        }
    }
    assert_picture("terminal.svg", &draw_terminal(&shown));
}

/// Draws lines as a terminal shows them, one after the other where the reader's system allows motion.
fn draw_terminal(lines: &[&str]) -> String {
    let (width, height) = (900, lines.len() * 20 + 60);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">A terminal: a promotion, a refusal, and an automatic rollback</title>\n\
         <style>\n\
         text {{ font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d0d7de; white-space: pre }}\n\
         .command {{ fill: #7ee787 }}\n\
         .notice {{ fill: #ffa657 }}\n\
         @media (prefers-reduced-motion: no-preference) {{\n\
         text {{ opacity: 0; animation: show 0.1s forwards }}\n\
         @keyframes show {{ to {{ opacity: 1 }} }}\n\
         }}\n\
         </style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (x, colour) in [(20, "#ff5f56"), (38, "#ffbd2e"), (56, "#27c93f")] {
        svg += &format!("<circle cx=\"{x}\" cy=\"20\" r=\"6\" fill=\"{colour}\"/>\n");
    }
    let (mut tenths, mut y) = (0, 54);
    for line in lines {
        let class = match line.as_bytes() {
            [b'$', ..] => " class=\"command\"",
            [b'!', ..] => " class=\"notice\"",
            _ => "",
        };
        // A reader needs time before the next command.
        tenths += if line.starts_with("$ ") { 12 } else { 1 };
        let text = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let delay = format!("{}.{}s", tenths / 10, tenths % 10);
        svg += &format!(
            "<text x=\"20\" y=\"{y}\"{class} style=\"animation-delay: {delay}\">{text}</text>\n"
        );
        y += 20;
    }
    svg + "</svg>\n"
}
