//! Values of attributes.

use std::fmt::{self, Write as _};

use super::user::UserKey;

/// The value of an attribute: a text, an integer, a decimal or a truth value.
///
/// A value is compared as its text. The integer 100 and the text `"100"` are the same value, and so are `true` and
/// `"true"`. A decimal has the shortest text that reads back as the same number: 1.5 is `"1.5"`, and 2.0 is `"2"`.
///
/// # Example
///
/// ```
/// use stagegate::AttributeValue;
///
/// let seats = AttributeValue::from(100_u32);
/// assert_eq!(seats.to_string(), "100");
/// assert_eq!(seats, AttributeValue::from("100"));
/// assert_eq!(AttributeValue::from(true), AttributeValue::from("true"));
/// ```
#[derive(Clone, Copy)]
pub struct AttributeValue<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Text(&'a str),
    Signed(i64),
    Unsigned(u64),
    Decimal(f64),
    Bool(bool),
}

impl AttributeValue<'_> {
    /// Calls `read` with the text of the value. Allocates nothing.
    #[inline]
    pub(crate) fn with_text<T>(self, read: impl FnOnce(&str) -> T) -> T {
        match self.0 {
            Repr::Text(text) => read(text),
            Repr::Bool(true) => read("true"),
            Repr::Bool(false) => read("false"),
            Repr::Signed(number) => read(digits(&number.into())),
            Repr::Unsigned(number) => read(digits(&number.into())),
            Repr::Decimal(number) => read(Decimal::new(number).as_str()),
        }
    }
}

fn digits<'k>(key: &'k UserKey<'_>) -> &'k str {
    std::str::from_utf8(key.as_bytes()).unwrap_or_default()
}

/// The text of a decimal.
struct Decimal {
    buffer: [u8; Decimal::LONGEST],
    len: usize,
}

impl Decimal {
    /// The smallest numbers have the longest texts: a sign, a point, 324 digits before the first that counts, and 17
    /// that count.
    const LONGEST: usize = 352;

    fn new(number: f64) -> Decimal {
        let mut text = Decimal { buffer: [0; Decimal::LONGEST], len: 0 };
        // Fails only for a text that is longer than the longest.
        let _ = write!(text, "{number}");
        text
    }

    fn as_str(&self) -> &str {
        let text = self.buffer.get(..self.len).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Write for Decimal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.buffer.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl PartialEq for AttributeValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.with_text(|one| other.with_text(|other| one == other))
    }
}

impl Eq for AttributeValue<'_> {}

/// Prints the text of the value.
impl fmt::Display for AttributeValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

/// Prints the type and the length of the text, because a value may be personal data.
impl fmt::Debug for AttributeValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Repr::Text(text) => return write!(f, "AttributeValue(text of {} bytes)", text.len()),
            Repr::Signed(_) | Repr::Unsigned(_) => "integer",
            Repr::Decimal(_) => "decimal",
            Repr::Bool(_) => "bool",
        };
        write!(f, "AttributeValue({kind})")
    }
}

impl<'a> From<&'a str> for AttributeValue<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        AttributeValue(Repr::Text(text))
    }
}

impl<'a> From<&'a String> for AttributeValue<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl<'a> From<&&'a str> for AttributeValue<'a> {
    #[inline]
    fn from(text: &&'a str) -> Self {
        (*text).into()
    }
}

macro_rules! values {
    ($($variant:ident: $($from:ty),*;)*) => {$($(
        impl From<$from> for AttributeValue<'_> {
            #[inline]
            fn from(value: $from) -> Self {
                AttributeValue(Repr::$variant(value.into()))
            }
        }
    )*)*};
}

values! {
    Signed: i8, i16, i32, i64;
    Unsigned: u8, u16, u32, u64;
    Decimal: f64;
    Bool: bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decimal_has_room_for_its_text() {
        let tiny = f64::from_bits(1);
        let numbers = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, tiny, -tiny, f64::EPSILON, -0.0];
        for number in numbers.into_iter().chain([f64::NAN, f64::INFINITY, 1.0 / 3.0, -2.2e-308]) {
            assert_eq!(AttributeValue::from(number).to_string(), number.to_string());
        }
    }

    #[test]
    fn a_typed_value_is_its_text() {
        let texts = [
            (AttributeValue::from(-7_i8), "-7"),
            (AttributeValue::from(u64::MAX), "18446744073709551615"),
            (AttributeValue::from(i64::MIN), "-9223372036854775808"),
            (AttributeValue::from(1.5), "1.5"),
            (AttributeValue::from(2.0), "2"),
            (AttributeValue::from(false), "false"),
            (AttributeValue::from(""), ""),
        ];
        for (value, text) in texts {
            assert_eq!(value.to_string(), text);
            assert_eq!(value, AttributeValue::from(text));
        }
    }
}
