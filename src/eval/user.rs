//! Users: keys and attributes.

use std::fmt;

use smallvec::SmallVec;

use super::value::AttributeValue;

/// A user: a key, and perhaps attributes.
///
/// Strings, byte strings and integers are users. [`User`] adds attributes to a key. Implement this trait for your
/// session or account type, and a check copies nothing.
///
/// # Example
///
/// ```
/// use stagegate::{AsUser, AttributeValue, UserKey};
///
/// struct Account { id: u64, seats: u32, roles: Vec<String> }
///
/// impl AsUser for Account {
///     fn key(&self) -> UserKey<'_> {
///         self.id.into()
///     }
///
///     fn attribute(&self, name: &str) -> Option<AttributeValue<'_>> {
///         (name == "seats").then(|| self.seats.into())
///     }
///
///     // Only for attributes with several values.
///     fn any_value(&self, name: &str, test: &mut dyn FnMut(AttributeValue<'_>) -> bool) -> bool {
///         match name {
///             "role" => self.roles.iter().any(|role| test(role.into())),
///             _ => self.attribute(name).is_some_and(test),
///         }
///     }
/// }
///
/// let account = Account { id: 42, seats: 100, roles: vec!["admin".to_owned(), "beta".to_owned()] };
/// assert_eq!(account.key().as_bytes(), b"42");
/// assert_eq!(account.attribute("seats"), Some("100".into()));
/// assert!(account.any_value("role", &mut |role| role == "beta".into()));
/// ```
pub trait AsUser {
    /// Returns the user's key. Users keep their flags only if their keys are the same in every process, and never
    /// change.
    fn key(&self) -> UserKey<'_>;

    /// Returns the value of an attribute, if the user has the attribute.
    fn attribute(&self, name: &str) -> Option<AttributeValue<'_>> {
        let _ = name;
        None
    }

    /// Calls `test` with each value of an attribute, until it returns true. Returns whether it did.
    ///
    /// Groups and percentages read attributes by this method. Implement it for attributes with several values, such as
    /// roles.
    fn any_value(&self, name: &str, test: &mut dyn FnMut(AttributeValue<'_>) -> bool) -> bool {
        self.attribute(name).is_some_and(test)
    }
}

impl<T: AsUser + ?Sized> AsUser for &T {
    #[inline]
    fn key(&self) -> UserKey<'_> {
        (**self).key()
    }

    #[inline]
    fn attribute(&self, name: &str) -> Option<AttributeValue<'_>> {
        (**self).attribute(name)
    }

    #[inline]
    fn any_value(&self, name: &str, test: &mut dyn FnMut(AttributeValue<'_>) -> bool) -> bool {
        (**self).any_value(name, test)
    }
}

/// A user key: any bytes, usually text. An integer counts as its decimal text, so `42` and `"42"` are the same user.
///
/// # Example
///
/// ```
/// use stagegate::UserKey;
///
/// assert_eq!(UserKey::from(-7_i64).as_bytes(), b"-7");
/// assert_eq!(UserKey::from("-7").as_bytes(), b"-7");
/// ```
#[derive(Clone, Copy)]
pub struct UserKey<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Bytes(&'a [u8]),
    /// The text begins at `start` and ends with the buffer.
    Decimal {
        buffer: [u8; MAX_DIGITS],
        start: u8,
    },
}

/// The length of the longest integer, `i128::MIN`.
const MAX_DIGITS: usize = MAX_DIGITS_U8 as usize;
const MAX_DIGITS_U8: u8 = 40;

const DIGITS: [u8; 10] = *b"0123456789";

impl UserKey<'_> {
    /// Returns the bytes that are hashed.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Bytes(bytes) => bytes,
            Repr::Decimal { buffer, start } => {
                buffer.get(usize::from(*start)..).unwrap_or_default()
            }
        }
    }

    /// Creates the decimal text of an integer.
    fn decimal(mut magnitude: u128, negative: bool) -> UserKey<'static> {
        let mut buffer = [b'-'; MAX_DIGITS];
        let mut start = MAX_DIGITS_U8;
        for byte in buffer.iter_mut().rev() {
            start -= 1;
            // Nearly every number fits into 64 bits, which divide several times as fast.
            let (rest, digit) = match u64::try_from(magnitude) {
                Ok(small) => (u128::from(small / 10), (small % 10) as usize),
                Err(_) => (magnitude / 10, (magnitude % 10) as usize),
            };
            *byte = DIGITS[digit];
            magnitude = rest;
            if magnitude == 0 {
                break;
            }
        }
        // The buffer is filled with `-`, so the byte before the digits is already a sign.
        UserKey(Repr::Decimal { buffer, start: start - u8::from(negative) })
    }
}

/// Prints the length of the key, because a user key is personal data. Use [`as_bytes`](UserKey::as_bytes) to log the
/// key itself.
impl fmt::Debug for UserKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({} bytes)", self.as_bytes().len())
    }
}

impl<'a> From<&'a [u8]> for UserKey<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        UserKey(Repr::Bytes(bytes))
    }
}

impl<'a> From<&'a str> for UserKey<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        UserKey(Repr::Bytes(text.as_bytes()))
    }
}

impl<'a> From<&'a String> for UserKey<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

macro_rules! bytes_are_users {
    ($($bytes:ty),*) => {$(
        impl AsUser for $bytes {
            #[inline]
            fn key(&self) -> UserKey<'_> {
                let bytes: &[u8] = self.as_ref();
                bytes.into()
            }
        }
    )*};
}

bytes_are_users!(str, String, [u8], Vec<u8>);

macro_rules! integers_are_users {
    ($($unsigned:ty, $signed:ty);*) => {$(
        impl From<$unsigned> for UserKey<'_> {
            fn from(number: $unsigned) -> Self {
                UserKey::decimal(number as u128, false)
            }
        }

        impl From<$signed> for UserKey<'_> {
            fn from(number: $signed) -> Self {
                UserKey::decimal(number.unsigned_abs() as u128, number < 0)
            }
        }

        impl AsUser for $unsigned {
            fn key(&self) -> UserKey<'_> {
                (*self).into()
            }
        }

        impl AsUser for $signed {
            fn key(&self) -> UserKey<'_> {
                (*self).into()
            }
        }
    )*};
}

integers_are_users!(u8, i8; u16, i16; u32, i32; u64, i64; u128, i128; usize, isize);

/// A user key with attributes, for groups that match attributes (`where`) and percentages of their values (`by`).
///
/// Keys and attributes are borrowed. The value has room for eight attributes; more are allocated. An attribute that is
/// added twice has both values.
///
/// # Example
///
/// ```
/// use stagegate::{AsUser, User};
///
/// let user = User::new("42").attribute("region", "eu-west").attribute("seats", 100);
/// assert_eq!(AsUser::attribute(&user, "region"), Some("eu-west".into()));
/// assert_eq!(AsUser::attribute(&user, "team"), None);
///
/// let user = user.attribute("role", "admin").attribute("role", "beta");
/// assert!(user.any_value("role", &mut |role| role == "beta".into()));
/// ```
#[derive(Clone)]
pub struct User<'a> {
    key: UserKey<'a>,
    attributes: SmallVec<[(&'a str, AttributeValue<'a>); 8]>,
}

impl<'a> User<'a> {
    /// Creates a user without attributes.
    #[inline]
    #[must_use]
    pub fn new(key: impl Into<UserKey<'a>>) -> User<'a> {
        User { key: key.into(), attributes: SmallVec::new() }
    }

    /// Adds a value of an attribute: a text, an integer, an `f64` or a `bool`.
    #[inline]
    #[must_use]
    pub fn attribute(mut self, name: &'a str, value: impl Into<AttributeValue<'a>>) -> User<'a> {
        self.attributes.push((name, value.into()));
        self
    }
}

/// Prints the length of the key and the names of the attributes. The key and the values are personal data.
impl fmt::Debug for User<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = Names(&self.attributes);
        f.debug_struct("User").field("key", &self.key).field("attributes", &attributes).finish()
    }
}

struct Names<'n>(&'n [(&'n str, AttributeValue<'n>)]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl AsUser for User<'_> {
    #[inline]
    fn key(&self) -> UserKey<'_> {
        self.key
    }

    #[inline]
    fn attribute(&self, name: &str) -> Option<AttributeValue<'_>> {
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    #[inline]
    fn any_value(&self, name: &str, test: &mut dyn FnMut(AttributeValue<'_>) -> bool) -> bool {
        self.attributes.iter().any(|(key, value)| *key == name && test(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_their_decimal_text() {
        fn text(key: UserKey<'_>) -> String {
            String::from_utf8(key.as_bytes().to_vec()).expect("ASCII")
        }
        assert_eq!(text(0_u8.into()), "0");
        assert_eq!(text(u128::MAX.into()), u128::MAX.to_string());
        assert_eq!(text(i128::MIN.into()), i128::MIN.to_string());
        assert_eq!(text(i64::MIN.into()), i64::MIN.to_string());
        for number in [-1000, -10, -1, 1, 9, 10, 99, 100, 101, i32::MAX] {
            assert_eq!(text(number.into()), number.to_string());
        }
    }

    #[test]
    fn nine_attributes_are_all_kept() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let user = names.iter().fold(User::new("u"), |user, name| user.attribute(name, name));
        for name in names {
            assert_eq!(AsUser::attribute(&user, name), Some(name.into()));
        }
    }
}
