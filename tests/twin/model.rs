//! A document as plain data that can be written as TOML and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A whole document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doc {
    pub(crate) groups: Vec<Group>,
    pub(crate) flags: Vec<Flag>,
    /// `limits.per_update`, in percent.
    pub(crate) per_update: Option<u32>,
}

/// Users by key, by attributes, or both.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) users: Vec<String>,
    /// Attributes with their matching values. Empty if the group has no `where`.
    pub(crate) rules: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(crate) key: String,
    pub(crate) salt: Option<String>,
    /// 0 is off, 1 the first stage.
    pub(crate) position: usize,
    pub(crate) plan: StagesOf,
    /// Groups with the position until which each is held back.
    pub(crate) hold_back: Vec<(String, usize)>,
    pub(crate) skip_reason: Option<String>,
}

/// The place where a flag's stages are written.
#[derive(Clone, Debug)]
pub(crate) enum StagesOf {
    BuiltIn,
    Own(Vec<Stage>),
    /// In a plan with the flag's name.
    Shared(Vec<Stage>),
}

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// `None` if it is omitted, which means the percentage of the stage before.
    pub(crate) ppm: Option<u32>,
    pub(crate) groups: Vec<String>,
}

impl Flag {
    /// Returns the stages, each with an explicit percentage.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let written = match &self.plan {
            StagesOf::BuiltIn => {
                let built_in =
                    [("internal", 0), ("pilot", 10), ("expanded", 25), ("ga", 100)].into_iter();
                return built_in
                    .map(|(name, percent)| Stage {
                        name: name.to_owned(),
                        ppm: Some(percent * 10_000),
                        groups: Vec::new(),
                    })
                    .collect();
            }
            StagesOf::Own(stages) | StagesOf::Shared(stages) => stages,
        };
        let mut before = 0;
        let mut stages = written.clone();
        for stage in &mut stages {
            before = stage.ppm.unwrap_or(before);
            stage.ppm = Some(before);
        }
        stages
    }

    /// Returns the positions of the written stages that let in no new users.
    fn idle(&self) -> Vec<usize> {
        let (mut before, mut known) = (0, BTreeSet::new());
        let mut idle = Vec::new();
        let written =
            if matches!(self.plan, StagesOf::BuiltIn) { Vec::new() } else { self.stages() };
        for (stage, position) in written.into_iter().zip(1..) {
            let ppm = stage.ppm.unwrap_or(before);
            let is_new = stage.groups.iter().any(|group| !known.contains(group));
            let held = position > 1 && self.hold_back.iter().any(|(_, until)| *until == position);
            if ppm == before && (!is_new || before == 1_000_000) && !held {
                idle.push(position);
            }
            before = ppm;
            known.extend(stage.groups);
        }
        idle
    }

    pub(crate) fn stage_name(&self, position: usize) -> String {
        let index = position.checked_sub(1);
        index.map_or_else(|| "off".to_owned(), |index| self.stages()[index].name.clone())
    }
}

impl Doc {
    pub(crate) fn toml(&self) -> String {
        let doc = self.with_every_stage_reached();
        let mut out = "schema = 1\n".to_owned();
        if let Some(per_update) = doc.per_update {
            writeln!(out, "[limits]\nper_update = {per_update}").unwrap();
        }
        for group in &doc.groups {
            writeln!(out, "[groups.{}]", quoted(&group.name)).unwrap();
            // A group needs `where`, `users`, or both.
            if !group.users.is_empty() || group.rules.is_empty() {
                writeln!(out, "users = {}", list(&group.users)).unwrap();
            }
            if !group.rules.is_empty() {
                let rules = group.rules.iter().map(|(a, values)| (a, list(values)));
                writeln!(out, "where = {{ {} }}", pairs(rules, " = ")).unwrap();
            }
        }
        for flag in &doc.flags {
            let key = quoted(&flag.key);
            writeln!(out, "[flags.{key}]\nstage = {}", quoted(&flag.stage_name(flag.position)))
                .unwrap();
            for (field, text) in [("salt", &flag.salt), ("skip_reason", &flag.skip_reason)] {
                if let Some(text) = text {
                    writeln!(out, "{field} = {}", quoted(text)).unwrap();
                }
            }
            if !flag.hold_back.is_empty() {
                writeln!(out, "hold_back = {{ {} }}", pairs(holds(flag), " = ")).unwrap();
            }
            let (table, stages) = match &flag.plan {
                StagesOf::BuiltIn => continue,
                StagesOf::Own(stages) => ("flags", stages),
                StagesOf::Shared(stages) => {
                    writeln!(out, "plan = {key}").unwrap();
                    ("plans", stages)
                }
            };
            for stage in stages {
                writeln!(out, "[[{table}.{key}.stages]]\nname = {}", quoted(&stage.name)).unwrap();
                if let Some(ppm) = stage.ppm {
                    writeln!(out, "percent = {}.{:04}", ppm / 10_000, ppm % 10_000).unwrap();
                }
                if !stage.groups.is_empty() {
                    writeln!(out, "groups = {}", list(&stage.groups)).unwrap();
                }
            }
        }
        out
    }

    pub(crate) fn json(&self) -> String {
        let doc = self.with_every_stage_reached();
        let groups = doc.groups.iter().map(|group| {
            let mut fields = Vec::new();
            if !group.users.is_empty() || group.rules.is_empty() {
                fields.push(("users", list(&group.users)));
            }
            if !group.rules.is_empty() {
                let rules = group.rules.iter().map(|(a, values)| (a, list(values)));
                fields.push(("where", object(rules)));
            }
            (&group.name, object(fields))
        });
        let mut plans = Vec::new();
        let flags = doc.flags.iter().map(|flag| {
            let mut fields = vec![("stage", quoted(&flag.stage_name(flag.position)))];
            fields.extend(flag.salt.as_deref().map(|salt| ("salt", quoted(salt))));
            fields.extend(flag.skip_reason.as_deref().map(|text| ("skip_reason", quoted(text))));
            if !flag.hold_back.is_empty() {
                fields.push(("hold_back", object(holds(flag))));
            }
            match &flag.plan {
                StagesOf::BuiltIn => {}
                StagesOf::Own(stages) => fields.push(("stages", json_stages(stages))),
                StagesOf::Shared(stages) => {
                    fields.push(("plan", quoted(&flag.key)));
                    plans.push((&flag.key, object([("stages", json_stages(stages))])));
                }
            }
            (&flag.key, object(fields))
        });
        let (groups, flags) = (object(groups), object(flags));
        let plans = object(plans);
        // The order of the tables has no meaning. Here the flags come first.
        let mut fields = vec![
            ("flags", flags),
            ("plans", plans),
            ("groups", groups),
            ("schema", "1".to_owned()),
        ];
        if let Some(per_update) = doc.per_update {
            fields.push(("limits", object([("per_update", per_update.to_string())])));
        }
        object(fields)
    }

    /// Returns a valid document with the same answers. A stage that lets in no new users is refused unless a group is
    /// held back until that stage. So this adds empty groups, which change no answer.
    fn with_every_stage_reached(&self) -> Doc {
        let mut doc = self.clone();
        for flag in &mut doc.flags {
            for position in flag.idle() {
                let nobody = format!("nobody-until-{position}");
                match &mut flag.plan {
                    StagesOf::Own(stages) | StagesOf::Shared(stages) if position == 1 => {
                        stages[0].groups.push(nobody.clone());
                    }
                    _ => flag.hold_back.push((nobody.clone(), position)),
                }
                if doc.groups.iter().all(|group| group.name != nobody) {
                    let group = Group { name: nobody, users: Vec::new(), rules: Vec::new() };
                    doc.groups.push(group);
                }
            }
        }
        doc
    }
}

fn holds(flag: &Flag) -> impl Iterator<Item = (&String, String)> {
    flag.hold_back.iter().map(|(group, until)| (group, quoted(&flag.stage_name(*until))))
}

fn json_stages(stages: &[Stage]) -> String {
    let stages = stages.iter().map(|stage| {
        let mut fields = vec![("name", quoted(&stage.name)), ("groups", list(&stage.groups))];
        if let Some(ppm) = stage.ppm {
            let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
            // JSON gets the shortest form, TOML all four digits.
            let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
            fields.push(("percent", text));
        }
        object(fields)
    });
    format!("[{}]", stages.collect::<Vec<_>>().join(", "))
}

fn list(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn object(fields: impl IntoIterator<Item = (impl AsRef<str>, String)>) -> String {
    format!("{{{}}}", pairs(fields, ": "))
}

fn pairs(fields: impl IntoIterator<Item = (impl AsRef<str>, String)>, between: &str) -> String {
    let fields = fields.into_iter();
    let fields = fields.map(|(name, value)| format!("{}{between}{value}", quoted(name.as_ref())));
    fields.collect::<Vec<_>>().join(", ")
}

/// Quotes a text. JSON and TOML use the same form.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // All control characters are below U+10000, so four digits are enough.
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
