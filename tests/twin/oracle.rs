//! The twin: a slow evaluator that follows `docs/targeting.md` sentence by sentence.

use std::cmp::Ordering;

use stagegate::{AsUser, AttributeValue, Evaluation, Reason, User, UserKey};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::model::{Condition, Doc, Flag, Member, NEVER, Stage, Test};

/// A user of the tests.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) key: Vec<u8>,
    /// A name that occurs twice has both values.
    pub(crate) attributes: Vec<(String, Value)>,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Decimal(f64),
    Bool(bool),
}

impl Value {
    pub(crate) fn text(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Signed(number) => number.to_string(),
            Value::Unsigned(number) => number.to_string(),
            Value::Decimal(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
        }
    }

    fn given(&self) -> AttributeValue<'_> {
        match self {
            Value::Text(text) => text.into(),
            Value::Signed(number) => (*number).into(),
            Value::Unsigned(number) => (*number).into(),
            Value::Decimal(number) => (*number).into(),
            Value::Bool(value) => (*value).into(),
        }
    }
}

impl Person {
    /// Returns the texts of all values of an attribute.
    fn values(&self, name: &str) -> Vec<String> {
        let named = self.attributes.iter().filter(|(attribute, _)| attribute == name);
        named.map(|(_, value)| value.text()).collect()
    }

    pub(crate) fn as_user(&self) -> User<'_> {
        let attributes = self.attributes.iter();
        attributes.fold(User::new(&self.key[..]), |user, (name, value)| {
            user.attribute(name, value.given())
        })
    }
}

impl AsUser for Person {
    fn key(&self) -> UserKey<'_> {
        self.key[..].into()
    }

    fn attribute(&self, name: &str) -> Option<AttributeValue<'_>> {
        let mut named = self.attributes.iter().filter(|(attribute, _)| attribute == name);
        named.next().map(|(_, value)| value.given())
    }

    fn any_value(&self, name: &str, test: &mut dyn FnMut(AttributeValue<'_>) -> bool) -> bool {
        let mut named = self.attributes.iter().filter(|(attribute, _)| attribute == name);
        named.any(|(_, value)| test(value.given()))
    }
}

/// An expected answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) enabled: bool,
    pub(crate) reason: Reason,
    pub(crate) stage: Option<String>,
    pub(crate) cohort: Option<String>,
    pub(crate) bucket: Option<u64>,
}

impl From<Evaluation> for Answer {
    fn from(evaluation: Evaluation) -> Answer {
        Answer {
            enabled: evaluation.enabled,
            reason: evaluation.reason,
            stage: evaluation.stage.map(|stage| stage.to_string()),
            cohort: evaluation.cohort.map(|stage| stage.to_string()),
            bucket: evaluation.bucket,
        }
    }
}

impl Condition {
    /// One value must pass the tests. For `not_in`, no value may be in the list.
    fn matches(&self, person: &Person) -> bool {
        let values = person.values(&self.attribute);
        let passes = |value: &String| self.tests.iter().all(|test| test.passes(value));
        let is_barred = |value: &String| {
            self.tests.iter().any(|test| matches!(test, Test::NotIn(list) if list.contains(value)))
        };
        values.iter().any(passes) && !values.iter().any(is_barred)
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Test::In(values) => values.iter().any(|one| one == value),
            Test::NotIn(values) => values.iter().all(|one| one != value),
            Test::Prefix(text) => value.as_bytes().starts_with(text.as_bytes()),
            Test::Suffix(text) => value.as_bytes().ends_with(text.as_bytes()),
            Test::Contains(text) => value.match_indices(text.as_str()).next().is_some(),
            Test::Present => true,
            Test::Bounds(kind, bounds) => bounds.iter().all(|(sign, limit)| {
                let order = match *kind {
                    "number" => compare_numbers(value, limit),
                    "version" => compare_versions(value, limit),
                    _ => compare_dates(value, limit),
                };
                order.is_some_and(|order| match *sign {
                    ">=" => order != Ordering::Less,
                    ">" => order == Ordering::Greater,
                    "<=" => order != Ordering::Greater,
                    "<" => order == Ordering::Less,
                    _ => order == Ordering::Equal,
                })
            }),
        }
    }
}

/// Compares the digits of both numbers, after filling them up with zeros to the same length.
fn compare_numbers(value: &str, limit: &str) -> Option<Ordering> {
    let (value, limit) = (Decimal::parse(value)?, Decimal::parse(limit)?);
    let whole = value.whole.len().max(limit.whole.len());
    let fraction = value.fraction.len().max(limit.fraction.len());
    // A negative number has negative digits, so zero has one form.
    let digits = |number: &Decimal| -> Vec<i32> {
        let text = format!("{:0>whole$}{:0<fraction$}", number.whole, number.fraction);
        let sign = if number.is_negative { -1 } else { 1 };
        text.bytes().map(|digit| sign * i32::from(digit - b'0')).collect()
    };
    Some(digits(&value).cmp(&digits(&limit)))
}

struct Decimal {
    is_negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    fn parse(text: &str) -> Option<Decimal> {
        let (is_negative, rest) = match text.chars().next()? {
            '-' => (true, &text[1..]),
            _ => (false, text),
        };
        let parts: Vec<&str> = rest.split('.').collect();
        let are_digits = parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()));
        let (whole, fraction) = match *parts.as_slice() {
            [whole] => (whole, ""),
            [whole, fraction] => (whole, fraction),
            _ => return None,
        };
        let (whole, fraction) = (whole.to_owned(), fraction.to_owned());
        are_digits.then_some(Decimal { is_negative, whole, fraction })
    }
}

fn compare_versions(value: &str, limit: &str) -> Option<Ordering> {
    Some(version(value)?.cmp_precedence(&version(limit)?))
}

/// Reads a version with the crate `semver`, which knows no missing numbers, no zeros before a number, and no number of
/// more than 64 bits.
fn version(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) => number.to_string(),
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            u64::MAX.to_string()
        }
        Err(_) => text.to_owned(),
    };
    let mut numbers: Vec<String> = numbers.split('.').map(number).collect();
    while numbers.len() < 3 {
        numbers.push("0".to_owned());
    }
    semver::Version::parse(&format!("{}{rest}", numbers.join("."))).ok()
}

fn compare_dates(value: &str, limit: &str) -> Option<Ordering> {
    let (value, limit_at) = (moment(value)?, moment(limit)?);
    if limit.len() > 10 {
        return Some(value.cmp(&limit_at));
    }
    // A bound that is a day means the whole day in UTC.
    let next_day = limit_at.checked_add(jiff::SignedDuration::from_hours(24)).unwrap();
    Some(match value {
        value if value < limit_at => Ordering::Less,
        value if value < next_day => Ordering::Equal,
        _ => Ordering::Greater,
    })
}

/// Returns the moment, or the beginning of the day in UTC.
fn moment(text: &str) -> Option<jiff::Timestamp> {
    let day = text.get(..10)?.parse::<jiff::civil::Date>().ok()?;
    match text.len() {
        10 => Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()),
        _ => text.parse().ok(),
    }
}

impl Doc {
    pub(crate) fn flag(&self, key: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.key == key)
    }

    /// Returns whether one part of the group contains the person.
    pub(crate) fn contains(&self, name: &str, person: &Person) -> bool {
        let group = self.groups.iter().find(|group| group.name == name).unwrap();
        let matches = |rules: &[Condition]| rules.iter().all(|rule| rule.matches(person));
        let is_listed = match &group.values_of {
            None => group.users.iter().any(|user| user.as_bytes() == person.key),
            Some(attribute) => {
                person.values(attribute).iter().any(|value| group.users.contains(value))
            }
        };
        is_listed
            || (!group.rules.is_empty() && matches(&group.rules))
            || group.any.iter().any(|member| match member {
                Member::Group(name) => self.contains(name, person),
                Member::Table(rules) => matches(rules),
            })
    }

    fn contains_any(&self, names: &[String], person: &Person) -> bool {
        names.iter().any(|name| self.contains(name, person))
    }

    /// Returns the answer for a flag, with every flag at its position.
    pub(crate) fn answer(&self, key: &str, person: &Person) -> Answer {
        self.flag(key)
            .map_or_else(Answer::not_found, |flag| self.answer_at(flag, flag.position, person))
    }

    /// Returns the answer for a flag at a position, with every other flag at its own position.
    pub(crate) fn answer_at(&self, flag: &Flag, position: usize, person: &Person) -> Answer {
        let stages = flag.stages();
        let bucket = bucket(flag, person);
        let refers_to =
            |stage: &Stage| stage.within.is_empty() || self.contains_any(&stage.within, person);
        let is_in_share = |stage: &Stage| {
            let ppm = stage.ppm.unwrap_or(0);
            refers_to(stage) && bucket.is_some_and(|bucket| is_in_percent(bucket, ppm))
        };
        let admits = |stage: &Stage| is_in_share(stage) || self.contains_any(&stage.groups, person);
        // A stage keeps what the stages before it admit.
        let natural = stages.iter().position(admits).map(|index| index + 1);
        let held = self.held_until(flag, person);
        let is_excluded = !flag.only.is_empty() && !self.contains_any(&flag.only, person);
        let cohort = natural.map(|natural| natural.max(held));
        let cohort = cohort.filter(|cohort| !is_excluded && *cohort != NEVER);
        let lacks_required = self.lacks_required(flag, person);
        let enabled =
            position > 0 && !lacks_required && cohort.is_some_and(|cohort| cohort <= position);

        let reached = &stages[..position];
        let any = |test: &dyn Fn(&Stage) -> bool| reached.iter().any(test);
        // The first reason that applies, in the documented order.
        let reason = if position == 0 {
            Reason::Off
        } else if lacks_required {
            Reason::Prerequisite
        } else if is_excluded {
            Reason::Excluded
        } else if held > position {
            Reason::HeldBack
        } else if any(&|stage| is_in_share(stage)) {
            let whole = |stage: &&Stage| stage.ppm == Some(1_000_000) && refers_to(stage);
            match reached.iter().rev().find(whole) {
                Some(stage) if stage.within.is_empty() => Reason::Static,
                Some(_) => Reason::TargetingMatch,
                None => Reason::Split,
            }
        } else if enabled {
            Reason::TargetingMatch
        } else if any(&|stage| stage.ppm > Some(0) && refers_to(stage)) {
            if bucket.is_some() { Reason::Split } else { Reason::NoUnit }
        } else {
            Reason::Default
        };
        Answer {
            enabled,
            reason,
            stage: Some(flag.stage_name(position)),
            cohort: cohort.map(|cohort| flag.stage_name(cohort)),
            bucket,
        }
    }

    /// Moves a flag. If it moves down, the flags that now lack it are off, too.
    pub(crate) fn move_flag(&mut self, key: &str, position: usize) {
        let goes_down = position < self.flag(key).unwrap().position;
        let lacks = |flag: &Flag| {
            goes_down && self.all_required(flag).iter().any(|(k, p)| *k == key && *p > position)
        };
        let off: Vec<bool> = self.flags.iter().map(lacks).collect();
        for (flag, is_off) in self.flags.iter_mut().zip(off) {
            if flag.key == key {
                flag.position = position;
            } else if is_off {
                flag.position = 0;
            }
        }
    }

    /// Returns the flags that a flag requires, also through others. A flag may come more than once.
    fn all_required<'d>(&'d self, flag: &'d Flag) -> Vec<(&'d str, usize)> {
        let direct = flag.requires.iter().map(|(key, position)| (&**key, *position));
        let others = flag.requires.iter().map(|(key, _)| self.flag(key).unwrap());
        direct.chain(others.flat_map(|other| self.all_required(other))).collect()
    }

    /// Returns whether a required flag has not reached its stage, or the person does not have it.
    pub(crate) fn lacks_required(&self, flag: &Flag, person: &Person) -> bool {
        flag.requires.iter().any(|(key, position)| {
            let required = self.flag(key).unwrap();
            required.position < *position || !self.answer(key, person).enabled
        })
    }

    /// Returns the latest position until which a group of the person is held back. 0 if there is none.
    pub(crate) fn held_until(&self, flag: &Flag, person: &Person) -> usize {
        let holds = flag.hold_back.iter().filter(|hold| {
            self.contains(&hold.group, person) && !self.contains_any(&hold.except, person)
        });
        holds.map(|hold| hold.until).max().unwrap_or(0)
    }
}

impl Answer {
    fn not_found() -> Answer {
        let reason = Reason::FlagNotFound;
        Answer { enabled: false, reason, stage: None, cohort: None, bucket: None }
    }
}

/// Returns the bucket of the key or, with `by`, the lowest bucket of the values.
fn bucket(flag: &Flag, person: &Person) -> Option<u64> {
    let salt = flag.salt.as_ref().unwrap_or(&flag.key);
    let of = |key: &[u8]| xxh3_64_with_seed(key, xxh3_64(salt.as_bytes()));
    match &flag.by {
        None => Some(of(&person.key)),
        Some(attribute) => {
            let values = person.values(attribute).into_iter().filter(|value| !value.is_empty());
            values.map(|value| of(value.as_bytes())).min()
        }
    }
}

fn is_in_percent(bucket: u64, ppm: u32) -> bool {
    ((u128::from(bucket) * 1_000_000) >> 64) < u128::from(ppm)
}
