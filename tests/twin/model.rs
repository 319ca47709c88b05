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

/// Users by key, by values of an attribute, by conditions, and by other groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) users: Vec<String>,
    /// The attribute whose values `users` lists.
    pub(crate) values_of: Option<String>,
    /// The conditions of `where`. Empty if the group has no `where`.
    pub(crate) rules: Vec<Condition>,
    pub(crate) any: Vec<Member>,
}

/// An item of `any`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Member {
    Group(String),
    Table(Vec<Condition>),
}

/// An attribute and its tests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) attribute: String,
    /// At least one, and of each kind at most one.
    pub(crate) tests: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Prefix(String),
    Suffix(String),
    Contains(String),
    /// `number`, `version` or `date`, with bounds such as `>= 18`.
    Bounds(&'static str, Vec<(&'static str, String)>),
    Present,
}

/// The position of `never`, and of users whom no stage admits.
pub(crate) const NEVER: usize = usize::MAX;

/// An entry of `hold_back`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hold {
    pub(crate) group: String,
    /// The position that ends the wait, or `NEVER`.
    pub(crate) until: usize,
    pub(crate) except: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Flag {
    pub(crate) key: String,
    pub(crate) salt: Option<String>,
    /// 0 is off, 1 the first stage.
    pub(crate) position: usize,
    pub(crate) plan: StagesOf,
    pub(crate) hold_back: Vec<Hold>,
    pub(crate) skip_reason: Option<String>,
    /// The attribute whose values the percentages refer to.
    pub(crate) by: Option<String>,
    pub(crate) only: Vec<String>,
    /// The keys of required flags, each with the position that it must have reached.
    pub(crate) requires: Vec<(String, usize)>,
}

/// The place where a flag's stages are written.
#[derive(Clone, Debug, Default)]
pub(crate) enum StagesOf {
    #[default]
    BuiltIn,
    Own(Vec<Stage>),
    /// In a plan with the flag's name.
    Shared(Vec<Stage>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// `None` if it is omitted, which means the share of the stage before.
    pub(crate) ppm: Option<u32>,
    pub(crate) groups: Vec<String>,
    /// The groups whose users the percentage refers to. Empty: all users.
    pub(crate) within: Vec<String>,
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
                        ..Stage::default()
                    })
                    .collect();
            }
            StagesOf::Own(stages) | StagesOf::Shared(stages) => stages,
        };
        let mut before = (0, Vec::new());
        let mut stages = written.clone();
        for stage in &mut stages {
            if let Some(ppm) = stage.ppm {
                before = (ppm, stage.within.clone());
            }
            (stage.ppm, stage.within) = (Some(before.0), before.1.clone());
        }
        stages
    }

    /// Returns the positions of the written stages that let in no new users.
    fn idle(&self) -> Vec<usize> {
        let mut known = BTreeSet::new();
        let mut idle = Vec::new();
        let written =
            if matches!(self.plan, StagesOf::BuiltIn) { Vec::new() } else { self.stages() };
        for (index, stage) in written.iter().enumerate() {
            let (position, before) = (index + 1, &written[..index]);
            let is_new = stage.groups.iter().any(|group| !known.contains(group));
            let held = position > 1 && self.hold_back.iter().any(|hold| hold.until == position);
            let everybody_is_in =
                before.iter().any(|it| it.ppm == Some(1_000_000) && it.within.is_empty());
            // An earlier share covers this one if it refers to all of the same users, and is no smaller.
            let is_covered = before.iter().any(|earlier| {
                let is_wide = earlier.within.is_empty()
                    || (!stage.within.is_empty()
                        && stage.within.iter().all(|group| earlier.within.contains(group)));
                is_wide && earlier.ppm >= stage.ppm
            });
            let adds_share = stage.ppm > Some(0) && !is_covered;
            if (everybody_is_in || (!adds_share && !is_new)) && !held {
                idle.push(position);
            }
            known.extend(&stage.groups);
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
            for (field, value) in group.fields(Notation::Toml) {
                writeln!(out, "{field} = {value}").unwrap();
            }
        }
        for flag in &doc.flags {
            let key = quoted(&flag.key);
            writeln!(out, "[flags.{key}]\nstage = {}", quoted(&flag.stage_name(flag.position)))
                .unwrap();
            for (field, value) in doc.fields(flag, Notation::Toml) {
                writeln!(out, "{field} = {value}").unwrap();
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
                for (field, groups) in [("groups", &stage.groups), ("within", &stage.within)] {
                    if !groups.is_empty() {
                        writeln!(out, "{field} = {}", list(groups)).unwrap();
                    }
                }
            }
        }
        out
    }

    pub(crate) fn json(&self) -> String {
        let doc = self.with_every_stage_reached();
        let groups = doc.groups.iter();
        let groups = groups.map(|group| (&group.name, object(group.fields(Notation::Json))));
        let mut plans = Vec::new();
        let flags = doc.flags.iter().map(|flag| {
            let mut fields = vec![("stage", quoted(&flag.stage_name(flag.position)))];
            fields.extend(doc.fields(flag, Notation::Json));
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
                    _ => {
                        let (group, except) = (nobody.clone(), Vec::new());
                        flag.hold_back.push(Hold { group, until: position, except });
                    }
                }
                if doc.groups.iter().all(|group| group.name != nobody) {
                    doc.groups.push(Group { name: nobody, ..Group::default() });
                }
            }
        }
        doc
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Notation {
    /// With the short forms of conditions.
    Toml,
    /// With the long forms.
    Json,
}

impl Notation {
    fn table(self, fields: impl IntoIterator<Item = (impl AsRef<str>, String)>) -> String {
        match self {
            Notation::Toml => format!("{{ {} }}", pairs(fields, " = ")),
            Notation::Json => object(fields),
        }
    }
}

impl Group {
    fn fields(&self, notation: Notation) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        // A group needs one of its parts, and `values_of` needs a list.
        let has_other_part = !self.rules.is_empty() || !self.any.is_empty();
        if !self.users.is_empty() || !has_other_part || self.values_of.is_some() {
            fields.push(("users", list(&self.users)));
        }
        fields.extend(self.values_of.as_ref().map(|attribute| ("values_of", quoted(attribute))));
        if !self.rules.is_empty() {
            fields.push(("where", conditions(&self.rules, notation)));
        }
        if !self.any.is_empty() {
            let members = self.any.iter().map(|member| match member {
                Member::Group(name) => quoted(name),
                Member::Table(rules) => conditions(rules, notation),
            });
            fields.push(("any", format!("[{}]", members.collect::<Vec<_>>().join(", "))));
        }
        fields
    }
}

fn conditions(rules: &[Condition], notation: Notation) -> String {
    notation.table(rules.iter().map(|rule| (&rule.attribute, rule.value(notation))))
}

impl Condition {
    fn value(&self, notation: Notation) -> String {
        match &*self.tests {
            [Test::In(values)] if notation == Notation::Toml => return list(values),
            // A limit with a letter or with two points is no number, and a date has two hyphens.
            [Test::Bounds(kind, bounds)] if notation == Notation::Toml => {
                let fits = bounds.iter().all(|(_, limit)| match *kind {
                    "number" => true,
                    "version" => limit.matches('.').count() > 1,
                    _ => limit.matches('-').count() > 1,
                });
                if fits {
                    return bounds_text(bounds);
                }
            }
            _ => {}
        }
        notation.table(self.tests.iter().map(|test| match test {
            Test::In(values) => ("in", list(values)),
            Test::NotIn(values) => ("not_in", list(values)),
            Test::Prefix(text) => ("prefix", quoted(text)),
            Test::Suffix(text) => ("suffix", quoted(text)),
            Test::Contains(text) => ("contains", quoted(text)),
            Test::Bounds(kind, bounds) => (*kind, bounds_text(bounds)),
            Test::Present => ("present", "true".to_owned()),
        }))
    }
}

fn bounds_text(bounds: &[(&str, String)]) -> String {
    let bounds = bounds.iter().map(|(sign, limit)| format!("{sign} {limit}"));
    quoted(&bounds.collect::<Vec<_>>().join(", "))
}

impl Doc {
    /// Returns the optional fields of a flag, without its stages.
    fn fields(&self, flag: &Flag, notation: Notation) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        let texts = [("salt", &flag.salt), ("skip_reason", &flag.skip_reason), ("by", &flag.by)];
        fields.extend(
            texts.into_iter().filter_map(|(name, text)| Some((name, quoted(text.as_ref()?)))),
        );
        if !flag.only.is_empty() {
            fields.push(("only", list(&flag.only)));
        }
        if !flag.hold_back.is_empty() {
            let holds = flag.hold_back.iter().map(|hold| {
                let until = match hold.until {
                    NEVER => quoted("never"),
                    until => quoted(&flag.stage_name(until)),
                };
                let value = match &*hold.except {
                    [] if notation == Notation::Toml => until,
                    except => notation.table([("until", until), ("except", list(except))]),
                };
                (&hold.group, value)
            });
            fields.push(("hold_back", notation.table(holds)));
        }
        if !flag.requires.is_empty() {
            let requires = flag.requires.iter().map(|(key, position)| {
                (key, quoted(&self.flag(key).unwrap().stage_name(*position)))
            });
            fields.push(("requires", notation.table(requires)));
        }
        fields
    }
}

fn json_stages(stages: &[Stage]) -> String {
    let stages = stages.iter().map(|stage| {
        let mut fields = vec![("name", quoted(&stage.name)), ("groups", list(&stage.groups))];
        if !stage.within.is_empty() {
            fields.push(("within", list(&stage.within)));
        }
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
