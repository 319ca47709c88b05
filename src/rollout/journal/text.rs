//! Records as text for people.

use std::fmt::{self, Display, Formatter, Write};
use std::time::SystemTime;

use jiff::Timestamp;

use super::moment_of_millis;
use super::record::{Fact, FlagChange, FlagRollback, Record};

/// One line: `#5 2026-01-05T09:00:00Z ana: new-checkout: promoted, internal -> pilot`.
impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} ", self.seq, ToSecond(self.at))?;
        write!(OneLine(f), "{}: ", self.by)?;
        if let Some(flag) = &self.flag {
            write!(OneLine(f), "{flag}: ")?;
        }
        write!(f, "{}", self.fact)?;
        match (self.from, self.to) {
            (Some(from), Some(to)) if from != to => write!(f, ", {from} -> {to}"),
            _ => Ok(()),
        }
    }
}

/// A moment in UTC, to the second: `2026-01-05T09:00:00Z`.
pub(in crate::rollout) struct ToSecond(pub(in crate::rollout) SystemTime);

impl Display for ToSecond {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bound = if self.0 < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        write!(f, "{:.0}", Timestamp::try_from(self.0).unwrap_or(bound))
    }
}

/// A few words, such as `promoted`.
impl Display for Fact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_text(&mut OneLine(f))
    }
}

impl Fact {
    fn write_text(&self, f: &mut OneLine<'_, '_>) -> fmt::Result {
        match self {
            Fact::Opened { flags, .. } => {
                write!(f, "began, with {}", Count(flags.len() as u64, "flag"))
            }
            Fact::Continued { state, .. } => {
                write!(f, "began a segment, with {}", Count(state.flags.len() as u64, "flag"))
            }
            Fact::Restored { from, records } => {
                write!(f, "restored from {from}, which had {}", Count(*records, "record"))
            }
            Fact::Updated { flags } if flags.is_empty() => {
                f.write_str("document updated, no flag changed")
            }
            Fact::Updated { flags } => {
                f.write_str("document updated: ")?;
                flags.iter().enumerate().try_for_each(|(index, change)| {
                    write!(f, "{}{change}", if index > 0 { "; " } else { "" })
                })
            }
            Fact::Seen {} => f.write_str("noted this machine's clock"),
            Fact::Unknown { name, .. } => {
                write!(f, "`{name}`, which a newer version of stagegate has written")
            }
            Fact::Promoted { forced: None, .. } => f.write_str("promoted"),
            Fact::Promoted { forced: Some(reason), .. } => write!(f, "forced ({reason})"),
            Fact::Completed { forced: None, .. } => f.write_str("complete"),
            Fact::Completed { forced: Some(reason), .. } => {
                write!(f, "complete, forced ({reason})")
            }
            Fact::Held { why } => write!(f, "held ({why})"),
            Fact::Resumed { why } => write!(f, "resumed{}", Parenthesised(why)),
            Fact::RolledBack { cause, .. } => write!(f, "rolled back ({cause})"),
            Fact::RolledBackAll { cause, flags, .. } => {
                write!(f, "rolled back {} ({cause}): ", Count(flags.len() as u64, "flag"))?;
                flags.iter().enumerate().try_for_each(|(index, back)| {
                    let FlagRollback { flag, from, to } = back;
                    write!(f, "{}{flag} {from} -> {to}", if index > 0 { "; " } else { "" })
                })
            }
            Fact::HeldAll { why, until_ms } => {
                f.write_str("all flags held")?;
                if let Some(until) = until_ms.map(moment_of_millis) {
                    write!(f, " until {}", ToSecond(until))?;
                }
                write!(f, " ({why})")
            }
            Fact::ResumedAll { why } => write!(f, "all flags resumed{}", Parenthesised(why)),
            Fact::Signed { item, evidence } => {
                write!(f, "signed {item}{}", Parenthesised(evidence))
            }
            Fact::Unsigned { item, why } => {
                write!(f, "signature of {item} taken back{}", Parenthesised(why))
            }
            Fact::Expired { item } => write!(f, "signature of {item} expired"),
            Fact::Reported { kind, note } => {
                write!(f, "incident {kind} reported{}", Parenthesised(note))
            }
            Fact::Asked { trigger, evidence } => {
                write!(f, "asks whether to roll back: {trigger} ({evidence})")
            }
            Fact::Stepped { phase, note, overridden } => {
                write!(f, "incident: {phase} done{}", Parenthesised(note))?;
                overridden.as_ref().map_or(Ok(()), |why| write!(f, ", overridden ({why})"))
            }
            Fact::Escalated { to, why } => write!(f, "escalated to {to} ({why})"),
            Fact::Closed { note } => write!(f, "incident closed ({note})"),
            Fact::Measured { metric, value, control, samples, .. } => {
                write!(f, "{metric} is {}", value.as_deref().unwrap_or("unknown: no data"))?;
                if let Some(control) = control {
                    write!(f, ", {control} without the flag")?;
                }
                samples.map_or(Ok(()), |count| write!(f, ", of {}", Count(count, "sample")))
            }
            Fact::Messaged { stage, when, number, to } => {
                write!(f, "messages of {stage}.{when}")?;
                if *number > 1 {
                    write!(f, " {number}")?;
                }
                write!(f, ": {}", to.join(", "))
            }
            Fact::WatchMissed { first, last } if first == last => {
                write!(f, "check {first} of the watch missed")
            }
            Fact::WatchMissed { first, last } => {
                write!(f, "checks {first} to {last} of the watch missed")
            }
        }
    }
}

/// A few words, such as `search: team: +994 users`.
impl Display for FlagChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let flag = &self.flag;
        match self.stage {
            None => write!(f, "{flag} is gone"),
            Some(stage) if self.back => write!(f, "{flag} is back, at {stage}"),
            Some(stage) if self.new => write!(f, "{flag} is new, at {stage}"),
            Some(_) => {
                let changes: Vec<&str> =
                    self.audience.iter().chain(&self.permissions).map(|text| &**text).collect();
                let changes = changes.join(", ");
                let reset = match self.reset.is_empty() {
                    true => String::new(),
                    false => format!("starts over: {}", self.reset.join(", ")),
                };
                match (changes.is_empty(), reset.is_empty()) {
                    (false, false) => write!(f, "{flag}: {changes}; {reset}"),
                    (false, true) => write!(f, "{flag}: {changes}"),
                    _ => write!(f, "{flag} {reset}"),
                }
            }
        }?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// Escapes line ends and other control characters, which people's texts may contain.
struct OneLine<'a, 'f>(&'a mut Formatter<'f>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c.is_control() {
            true => write!(self.0, "{}", c.escape_debug()),
            false => self.0.write_char(c),
        })
    }
}

struct Parenthesised<'a>(&'a Option<Box<str>>);

impl Display for Parenthesised<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

struct Count(u64, &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}
