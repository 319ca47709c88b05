//! Bare lines: lines of a segment without the fields that follow from the line before. An archive keeps these lines.

use jiff::Timestamp;

use super::line::{END, HASH_KEY, named_hash};
use super::{Hash, lines};

/// The numbers of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Numbers {
    seq: u64,
    /// Milliseconds since 1970.
    at: i64,
    up: u64,
    time: u64,
}

/// The lines before a line, from which its numbers may follow.
#[derive(Clone, Copy)]
struct Before {
    last: Numbers,
    /// The milliseconds by which `at` is ahead of `up`.
    offset: i64,
}

/// A line without its hash and end. A bare line may lack the numbers.
#[derive(Clone, Copy)]
struct Body<'l> {
    seq: Option<u64>,
    at: i64,
    /// The fields `at` and `boot`, as bytes of the line.
    at_and_boot: &'l [u8],
    up: Option<u64>,
    time: Option<u64>,
    rest: &'l [u8],
}

const SEQ: &[u8] = b"\"seq\":";
const AT: &[u8] = b"\"at\":\"";
/// The bytes between the moment and the name of the boot.
const BOOT: &[u8] = b"\",\"boot\":\"";
const UP: &[u8] = b"\"up\":";
const TIME: &[u8] = b"\"time\":";

/// The length of a moment: `2026-01-05T09:00:00.000Z`.
const AT_BYTES: usize = 24;

/// Linux counts uptime in hundredths of a second, so it stands still for ten milliseconds of the wall clock.
const UP_STEP: u64 = 10;

/// Returns the lines of a segment as bare lines. The last line stays whole. Its hash is the check of all lines.
pub(crate) fn to_bare_lines(segment: &[u8]) -> Vec<u8> {
    let (mut bare, mut before) = (Vec::with_capacity(segment.len() / 2), None);
    let mut segment = lines(segment).peekable();
    while let Some(line) = segment.next() {
        let whole = split_hash(line).and_then(|(body, _)| whole_body(body));
        match whole.filter(|_| segment.peek().is_some()) {
            Some((body, _)) => {
                body.without_what_follows(before).write(&mut bare);
                bare.push(b'}');
            }
            None => bare.extend_from_slice(line),
        }
        bare.push(b'\n');
        before = whole.and_then(|(_, numbers)| Before::after(before, numbers));
    }
    bare
}

/// Returns the lines of the segment that begins with line `begin`, from its bare lines. Some or all may be whole.
///
/// # Errors
///
/// The problem, as text.
///
/// # Complexity
///
/// Linear in the length of the segment. Most of the time goes to the hashes.
pub(crate) fn from_bare_lines(bare: &[u8], begin: u64) -> Result<Vec<u8>, String> {
    if !bare.ends_with(b"\n") {
        return Err("it ends within a line".to_owned());
    }
    let mut segment = Vec::with_capacity(bare.len().saturating_mul(2));
    let (mut before, mut hash, mut is_whole) = (None, Hash::ZERO, false);
    for (line, number) in lines(bare).zip(begin..) {
        if number == begin && begin > 1 {
            let named = named_hash(line);
            hash = named.ok_or("its first line does not begin a segment of the journal")?;
        }
        let (start, found) = (segment.len(), split_hash(line));
        if let Some((body, _)) = found {
            segment.extend_from_slice(body);
            let numbers = whole_body(body).map(|(_, numbers)| numbers);
            before = numbers.and_then(|numbers| Before::after(before, numbers));
        } else {
            let body = line.strip_suffix(b"}").and_then(Body::parse);
            let numbers = body.and_then(|body| body.numbers(before));
            let (Some(body), Some(numbers)) = (body, numbers) else {
                return Err(format!("line {number} is incomplete"));
            };
            let Numbers { seq, up, time, .. } = numbers;
            let whole = Body { seq: Some(seq), up: Some(up), time: Some(time), ..body };
            whole.write(&mut segment);
            before = Before::after(before, numbers);
        }
        hash = hash.chain(segment.get(start..).unwrap_or_default());
        if found.is_some_and(|(_, digits)| Hash::parse(digits) != Some(hash)) {
            return Err(format!(
                "the hash of line {number} does not fit: that line, or a line before it, was changed"
            ));
        }
        is_whole = found.is_some();
        segment.extend_from_slice(HASH_KEY);
        segment.extend_from_slice(hash.to_string().as_bytes());
        segment.extend_from_slice(END);
        segment.push(b'\n');
    }
    match is_whole {
        true => Ok(segment),
        false => Err("its last line has no hash".to_owned()),
    }
}

/// Splits a whole line into its body and the digits of its hash.
fn split_hash(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_suffix(END)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    Some((rest.strip_suffix(HASH_KEY)?, digits))
}

/// Parses the body of a whole line. Returns `None` if its fields have another form, as in a line that someone edited.
fn whole_body(body: &[u8]) -> Option<(Body<'_>, Numbers)> {
    let body = Body::parse(body)?;
    Some((body, body.numbers(None)?))
}

impl<'l> Body<'l> {
    fn parse(body: &'l [u8]) -> Option<Body<'l>> {
        let (seq, fields) = take_number(body.strip_prefix(b"{")?, SEQ);
        let (at, rest) = fields.strip_prefix(AT)?.split_at_checked(AT_BYTES)?;
        let at: Timestamp = std::str::from_utf8(at).ok()?.parse().ok()?;
        let rest = after_text(rest.strip_prefix(BOOT)?)?.strip_prefix(b",")?;
        let at_and_boot = fields.get(..fields.len() - rest.len())?;
        let (up, rest) = take_number(rest, UP);
        let (time, rest) = take_number(rest, TIME);
        Some(Body { seq, at: at.as_millisecond(), at_and_boot, up, time, rest })
    }

    /// Returns the numbers of the line. A missing number follows from the lines before.
    fn numbers(&self, before: Option<Before>) -> Option<Numbers> {
        let Body { at, .. } = *self;
        let seq = self.seq.or_else(|| before?.last.seq.checked_add(1))?;
        let up = self.up.or_else(|| before?.up_at(at))?;
        let time = self.time.or_else(|| before?.time_at(up))?;
        Some(Numbers { seq, at, up, time })
    }

    /// Removes each number that follows from the lines before.
    fn without_what_follows(mut self, before: Option<Before>) -> Body<'l> {
        let numbers = self.numbers(None);
        let less: [fn(&mut Body<'_>); 3] =
            [|it| it.seq = None, |it| it.up = None, |it| it.time = None];
        for remove in less {
            let mut less = self;
            remove(&mut less);
            if less.numbers(before) == numbers {
                self = less;
            }
        }
        self
    }

    fn write(&self, line: &mut Vec<u8>) {
        line.push(b'{');
        push_number(line, SEQ, self.seq);
        line.extend_from_slice(self.at_and_boot);
        push_number(line, UP, self.up);
        push_number(line, TIME, self.time);
        line.extend_from_slice(self.rest);
    }
}

impl Before {
    /// Moves past a line. The offset moves as little as possible to agree with the line.
    fn after(before: Option<Before>, last: Numbers) -> Option<Before> {
        let offset = last.at.checked_sub(i64::try_from(last.up).ok()?)?;
        let least = offset.checked_sub_unsigned(UP_STEP - 1)?;
        let offset = before.map_or(offset, |before| before.offset.clamp(least, offset));
        Some(Before { last, offset })
    }

    /// Returns the uptime of a line that was written at this moment, if neither clock was set in between.
    fn up_at(&self, at: i64) -> Option<u64> {
        let up = u64::try_from(at.checked_sub(self.offset)?).ok()?;
        let is_in_steps = self.last.up.is_multiple_of(UP_STEP);
        Some(if is_in_steps { up - up % UP_STEP } else { up })
    }

    /// Returns the `time` of a line with this uptime, if the line is of the same boot.
    fn time_at(&self, up: u64) -> Option<u64> {
        self.last.time.checked_add(up)?.checked_sub(self.last.up)
    }
}

/// Takes a number and the comma after it from the beginning of some fields, if the first field has this key.
fn take_number<'l>(fields: &'l [u8], key: &[u8]) -> (Option<u64>, &'l [u8]) {
    let taken = || {
        let value = fields.strip_prefix(key)?;
        let (digits, rest) = value.split_at_checked(memchr::memchr(b',', value)?)?;
        let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        // `parse` accepts a sign and leading zeros, too. JSON has neither.
        let is_json = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
        is_json.then_some((Some(number), rest.strip_prefix(b",")?))
    };
    taken().unwrap_or((None, fields))
}

fn push_number(line: &mut Vec<u8>, key: &[u8], number: Option<u64>) {
    if let Some(number) = number {
        line.extend_from_slice(key);
        line.extend_from_slice(number.to_string().as_bytes());
        line.push(b',');
    }
}

/// Returns the bytes after the quote that ends a text.
fn after_text(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        match text.get(memchr::memchr2(b'"', b'\\', text)?..)? {
            [b'"', rest @ ..] => return Some(rest),
            [_, _, rest @ ..] => text = rest,
            _ => return None,
        }
    }
}
