//! Plan documents and random edits of them.

use std::fmt::Write;

use stagegate::{Gate, User};

use super::random::Random;

/// The number of users that the tests evaluate. Every other user is in `eu`.
pub(crate) const USERS: usize = 120;

/// Documents list some of the users `u0` to `u29`.
const LISTED: usize = 30;

const STAGES: [&str; 5] = ["one", "two", "three", "four", "five"];
const PERCENTS: [u32; 6] = [0, 1, 10, 50, 50, 100];

/// The flags that a document can have.
pub(crate) const FLAGS: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doc {
    /// The number of users in the group `team`: the first ones.
    pub(crate) team: usize,
    /// The values that the group `here` matches.
    regions: Vec<&'static str>,
    may_shrink: bool,
    pub(crate) flags: Vec<Flag>,
    /// A random number, so that no two documents are equal.
    pub(crate) edition: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flag {
    pub(crate) key: &'static str,
    stage: &'static str,
    pub(crate) reason: Option<String>,
    salt: Option<&'static str>,
    pub(crate) stages: Vec<Stage>,
    /// `Some` if a trigger watches the error rate; `true` if missing data rolls the flag back.
    pub(crate) watched: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    percent: u32,
    groups: Vec<&'static str>,
    /// The minimum time in minutes.
    pub(crate) min: u64,
    auto: bool,
}

pub(crate) fn region(user: usize) -> &'static str {
    if user.is_multiple_of(2) { "eu" } else { "us" }
}

/// Returns for each user whether the gate enables the flag.
pub(crate) fn enabled(gate: &Gate, flag: &str) -> Vec<bool> {
    let has = |user: usize| {
        let key = format!("u{user}");
        gate.is_enabled(User::new(&*key).attribute("region", region(user)), flag)
    };
    (0..USERS).map(has).collect()
}

impl Doc {
    pub(crate) fn random(random: &mut Random) -> Doc {
        let flags = FLAGS.iter().map(|key| Flag::random(random, key)).collect();
        let (team, edition) = (1 + random.below(LISTED - 1), random.next() >> 12);
        Doc { team, regions: vec!["eu"], may_shrink: true, flags, edition }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.key == key)
    }

    pub(crate) fn text(&self) -> String {
        self.text_with(None)
    }

    /// Returns the document's text, with one flag at another stage if `placed` is given.
    fn text_with(&self, placed: Option<(&str, &str)>) -> String {
        let mut text = format!("# {}\nschema = 1\n", self.edition);
        if self.may_shrink {
            text.push_str("[limits]\nper_update = 100\n");
        }
        let users: Vec<String> = (0..self.team).map(|user| format!("\"u{user}\"")).collect();
        writeln!(text, "[groups.team]\nusers = [{}]", users.join(", ")).unwrap();
        writeln!(text, "[groups.here]\nwhere = {{ region = {:?} }}", self.regions).unwrap();
        for flag in &self.flags {
            let stage = placed.filter(|(key, _)| *key == flag.key).map(|(_, stage)| stage);
            flag.write(&mut text, stage.unwrap_or(flag.stage));
        }
        text
    }

    /// Returns for each user whether a stage of this document enables the flag.
    pub(crate) fn admits(&self, key: &str, stage: &str) -> Vec<bool> {
        let gate = Gate::from_document(self.text_with(Some((key, stage)))).unwrap();
        enabled(&gate, key)
    }

    /// Returns whether a group of this stage or of an earlier stage lists the user by name.
    pub(crate) fn lists(&self, key: &str, stage: &str, user: usize) -> bool {
        let Some(place) = self.flag(key).and_then(|flag| flag.position(stage)) else {
            return false;
        };
        let stages = self.flag(key).unwrap().stages.iter().take(place);
        user < self.team && stages.flat_map(|stage| &stage.groups).any(|group| *group == "team")
    }

    /// Returns a similar document. It may be invalid.
    pub(crate) fn edited(&self, random: &mut Random) -> Doc {
        let mut doc = Doc { edition: random.next() >> 12, ..self.clone() };
        for _ in 0..=random.below(2) {
            doc.edit(random);
        }
        // A reason counts once, so each new reason has a new text.
        if random.percent(20) && !doc.flags.is_empty() {
            let place = random.below(doc.flags.len());
            doc.flags[place].reason = Some(format!("reason {}", doc.edition));
        }
        doc
    }

    fn edit(&mut self, random: &mut Random) {
        match random.below(10) {
            0 => self.team = (self.team + random.below(LISTED)).min(LISTED),
            1 => self.team = 1 + random.below(LISTED),
            2 => self.regions = random.pick(&[vec!["eu"], vec!["us"], vec!["eu", "us"]]),
            3 => self.may_shrink = !self.may_shrink,
            4 if !self.flags.is_empty() => {
                let place = random.below(self.flags.len());
                self.flags.remove(place);
            }
            4 | 5 => {
                let missing: Vec<&str> =
                    FLAGS.into_iter().filter(|key| self.flag(key).is_none()).collect();
                if let Some(key) = missing.first() {
                    self.flags.push(Flag::random(random, key));
                }
            }
            _ if !self.flags.is_empty() => {
                let place = random.below(self.flags.len());
                self.flags[place].edit(random);
            }
            _ => {}
        }
    }
}

impl Flag {
    fn random(random: &mut Random, key: &'static str) -> Flag {
        let mut percent = 0;
        let mut stages: Vec<Stage> = (0..2 + random.below(3))
            .map(|place| {
                let mut stage = Stage::random(random, STAGES[place]);
                stage.percent = stage.percent.max(percent);
                percent = stage.percent;
                stage
            })
            .collect();
        stages.dedup_by(|stage, before| stage.percent == before.percent && stage.groups.is_empty());
        if stages[0].percent == 0 && stages[0].groups.is_empty() {
            stages[0].groups.push("team");
        }
        let stage = if random.percent(80) { "off" } else { stages[0].name };
        let watched = random.pick(&[None, None, Some(false), Some(true)]);
        Flag { key, stage, reason: None, salt: None, stages, watched }
    }

    fn edit(&mut self, random: &mut Random) {
        let place = random.below(self.stages.len());
        match random.below(9) {
            0 => {
                let free = STAGES.iter().filter(|name| self.position(name).is_none());
                if let Some(name) = free.copied().next() {
                    self.stages.insert(place, Stage::random(random, name));
                }
            }
            1 if self.stages.len() > 1 => drop(self.stages.remove(place)),
            2 => self.stages[place].name = random.pick(&STAGES),
            3 => {
                let other = random.below(self.stages.len());
                self.stages.swap(place, other);
            }
            4 => self.stages[place].percent = random.pick(&PERCENTS),
            5 => self.stages[place].groups = random.pick(&[vec![], vec!["team"], vec!["here"]]),
            6 => self.salt = random.pick(&[None, Some("other")]),
            7 => self.stage = random.pick(&["off", self.stages[place].name]),
            _ => self.watched = random.pick(&[None, Some(false), Some(true)]),
        }
    }

    /// Returns the position of a stage. Off is 0.
    pub(crate) fn position(&self, stage: &str) -> Option<usize> {
        let names = std::iter::once("off").chain(self.stages.iter().map(|stage| stage.name));
        names.into_iter().position(|name| name == stage)
    }

    /// Returns the name of the next stage, or of the last stage.
    pub(crate) fn next(&self, stage: &str) -> Option<&'static str> {
        let place = self.position(stage)?;
        self.stages.get(place.min(self.stages.len() - 1)).map(|stage| stage.name)
    }

    fn write(&self, text: &mut String, stage: &str) {
        let Flag { key, reason, salt, stages, watched, .. } = self;
        writeln!(text, "[flags.{key}]\nstage = \"{stage}\"").unwrap();
        if let Some(reason) = reason {
            writeln!(text, "skip_reason = \"{reason}\"").unwrap();
        }
        if let Some(salt) = salt {
            writeln!(text, "salt = \"{salt}\"").unwrap();
        }
        for Stage { name, percent, groups, min, auto } in stages {
            writeln!(text, "[[flags.{key}.stages]]\nname = \"{name}\"\npercent = {percent}")
                .unwrap();
            writeln!(text, "groups = {groups:?}\nmin_duration = \"{min}m\"").unwrap();
            text.push_str(if *auto { "advance = \"auto\"\n" } else { "" });
        }
        if let Some(takes_back) = watched {
            let no_data = if *takes_back { "rollback" } else { "hold" };
            writeln!(text, "[[flags.{key}.triggers]]\nmetric = \"error_rate\"\nabove = \"5%\"")
                .unwrap();
            writeln!(text, "action = \"rollback\"\nno_data = \"{no_data}\"").unwrap();
        }
    }
}

impl Stage {
    fn random(random: &mut Random, name: &'static str) -> Stage {
        let groups = random.pick(&[vec![], vec![], vec!["team"], vec!["here"]]);
        let (percent, min) = (random.pick(&PERCENTS), random.pick(&[0, 1, 30, 600]));
        Stage { name, percent, groups, min, auto: random.percent(30) }
    }
}
