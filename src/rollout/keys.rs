//! Ed25519 keys, which sign records and verify signatures.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use thiserror::Error;

use super::journal::{parse_hex, write_hex};
use super::{Record, Signer};

/// The key of a person or program, which signs their records.
///
/// As text, it is one line: `ed25519-secret:`, 64 hexadecimal digits, a space, and the name. `stagegate key new` writes
/// such a file. Keep it secret.
///
/// # Example
///
/// ```
/// use stagegate::clock::SystemClock;
/// use stagegate::rollout::{Proof, PublicKeys, Rollout, RolloutOptions, SigningKey};
/// use stagegate::store::Memory;
///
/// let key = SigningKey::new("ana", &[7; 32]); // in a program: 32 random bytes
/// let keys = PublicKeys::parse(&key.public_key())?;
///
/// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
/// let options = RolloutOptions::new().sign_with(key);
/// let rollout = Rollout::start_with(Memory::new(), SystemClock::new(), document, "ana", &options)?;
/// rollout.by("ana").hold("a", "wait for legal")?;
/// rollout.by("ben").resume("a", None)?;
///
/// let proofs: Vec<Proof> = rollout.records(1)?.iter().map(|record| keys.check(record)).collect();
/// assert_eq!(proofs, [Proof::Signed, Proof::Signed, Proof::NoKey]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    name: Box<str>,
    key: ed25519_dalek::SigningKey,
}

/// The public keys of people and programs, each with the records for which it counts.
///
/// As text, each key is a line: `ed25519:`, 64 hexadecimal digits, perhaps a range of records, and the name. A line that
/// begins with `#` is a comment. A name may have several keys, such as an old and a new one.
///
/// ```text
/// # KEY       RECORDS  NAME
/// ed25519:d04a…  ..119  ana
/// ed25519:8f3b…  120..  ana
/// ed25519:77c0…         release owner
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct PublicKey {
    name: Box<str>,
    key: VerifyingKey,
    /// The first and the last record for which the key counts.
    records: (u64, u64),
}

/// What a signature proves about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// The holder of the actor's key wrote the record, after exactly these earlier records.
    Signed,
    /// The actor has a key, but the record has no signature.
    Unsigned,
    /// The signature is by no key of the actor, or by a key that does not count for this record.
    Invalid,
    /// The actor has no key.
    NoKey,
}

/// A key that cannot be read. It quotes no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
#[non_exhaustive]
pub struct KeyError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The problem, and what to write.
    pub what: String,
}

const SECRET: &str = "ed25519-secret:";
const PUBLIC: &str = "ed25519:";

impl SigningKey {
    /// Returns the key with this secret, which signs the records by this name. The secret is 32 random bytes.
    #[must_use]
    pub fn new(name: &str, secret: &[u8; 32]) -> SigningKey {
        SigningKey { name: name.trim().into(), key: ed25519_dalek::SigningKey::from_bytes(secret) }
    }

    /// Parses a secret key as text.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text is not one line with a secret key and a name.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::rollout::SigningKey;
    ///
    /// let key = SigningKey::new("ana", &[7; 32]);
    /// assert_eq!(SigningKey::parse(&key.to_secret_text())?.public_key(), key.public_key());
    /// assert_eq!(
    ///     SigningKey::parse("ed25519:00 ana").unwrap_err().to_string(),
    ///     "line 1: not a secret key. Write `ed25519-secret:`, 64 hexadecimal digits, a space and a name",
    /// );
    /// # Ok::<(), stagegate::rollout::KeyError>(())
    /// ```
    pub fn parse(text: &str) -> Result<SigningKey, KeyError> {
        let mut lines = lines(text);
        let (line, text) = lines.next().unwrap_or((1, ""));
        let parse = || {
            let (key, name) = text.strip_prefix(SECRET)?.split_once(char::is_whitespace)?;
            let secret = parse_hex(key.as_bytes())?;
            Some(SigningKey::new(name, &secret)).filter(|key| !key.name.is_empty())
        };
        let key = parse().ok_or_else(|| KeyError {
            line,
            what: format!(
                "not a secret key. Write `{SECRET}`, 64 hexadecimal digits, a space and a name"
            ),
        })?;
        match lines.next() {
            None => Ok(key),
            Some((line, _)) => {
                Err(KeyError { line, what: "a file has one secret key. Remove this line".into() })
            }
        }
    }

    /// Returns the secret key as text. Show it to nobody.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        format!("{SECRET}{} {}\n", Hex(&self.key.to_bytes()), self.name)
    }

    /// Returns the public key as a line for [`PublicKeys::parse`].
    #[must_use]
    pub fn public_key(&self) -> String {
        format!("{PUBLIC}{} {}\n", Hex(self.key.verifying_key().as_bytes()), self.name)
    }
}

impl Signer for SigningKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

/// Shows the public key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({PUBLIC}{})", Hex(self.key.verifying_key().as_bytes()))
    }
}

impl PublicKeys {
    /// Parses public keys, one a line.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with the first line that is not a public key.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::rollout::PublicKeys;
    ///
    /// assert_eq!(
    ///     PublicKeys::parse("# keys\nana ed25519:00").unwrap_err().to_string(),
    ///     "line 2: `ana ed25519:00` is not a public key. Write `ed25519:`, 64 hexadecimal digits, a space and a name",
    /// );
    /// ```
    pub fn parse(text: &str) -> Result<PublicKeys, KeyError> {
        let keys = lines(text).map(|(line, text)| {
            PublicKey::parse(text).ok_or_else(|| KeyError {
                line,
                what: format!(
                    "`{}` is not a public key. Write `{PUBLIC}`, 64 hexadecimal digits, a space and a name",
                    text.escape_debug()
                ),
            })
        });
        keys.collect::<Result<_, _>>().map(PublicKeys)
    }

    /// Returns what the signature of a record proves. The record must come from a journal that was verified.
    ///
    /// # Complexity
    ///
    /// A signature takes some 50 microseconds. A record without one takes a comparison for each key.
    #[must_use]
    pub fn check(&self, record: &Record) -> Proof {
        let mut keys = self.0.iter().filter(|key| key.name == record.by).peekable();
        if keys.peek().is_none() {
            return Proof::NoKey;
        }
        let mut keys =
            keys.filter(|key| (key.records.0..=key.records.1).contains(&record.seq)).peekable();
        match &record.signature {
            None if keys.peek().is_none() => Proof::NoKey,
            None => Proof::Unsigned,
            Some(signature) => {
                let (message, signature) =
                    (signature.message(), Signature::from_bytes(&signature.to_bytes()));
                match keys.any(|key| key.key.verify_strict(&message, &signature).is_ok()) {
                    true => Proof::Signed,
                    false => Proof::Invalid,
                }
            }
        }
    }
}

impl PublicKey {
    fn parse(text: &str) -> Option<PublicKey> {
        let (key, rest) = text.strip_prefix(PUBLIC)?.split_once(char::is_whitespace)?;
        let key = VerifyingKey::from_bytes(&parse_hex(key.as_bytes())?).ok()?;
        let (first, name) = rest.trim().split_once(char::is_whitespace).unwrap_or(("", rest));
        let (records, name) = match range(first) {
            Some(records) => (records, name),
            None => ((1, u64::MAX), rest),
        };
        let name = name.trim();
        (!name.is_empty() && !key.is_weak()).then(|| PublicKey { name: name.into(), key, records })
    }
}

/// Parses `120..`, `..119` or `120..300`. Both ends count.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once("..")?;
    let or = |text: &str, other| if text.is_empty() { Some(other) } else { text.parse().ok() };
    Some((or(first, 1)?, or(last, u64::MAX)?))
}

/// Returns the lines that are neither empty nor comments, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.0, f)
    }
}
