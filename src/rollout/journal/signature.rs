//! Signatures of records.

use std::fmt;

use super::{Hash, parse_hex, write_hex};

/// The bytes between the signed part of a line and its signature.
const KEY: &[u8] = b",\"sig\":\"";

/// The number of hexadecimal digits of a signature.
const DIGITS: usize = 128;

/// What precedes the digest in the message that is signed. So a signature for another purpose is none of a record.
const CONTEXT: &[u8; 17] = b"stagegate-record:";

/// An Ed25519 signature of a record.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RecordSignature {
    signature: [u8; 64],
    digest: Hash,
}

/// Signs the records of one person or program, for example with a `SigningKey` (feature `sign`).
///
/// # Example
///
/// A real signer computes the signature, or asks the hardware module that holds the key.
///
/// ```
/// use stagegate::clock::SystemClock;
/// use stagegate::rollout::{Rollout, RolloutOptions, Signer};
/// use stagegate::store::Memory;
///
/// #[derive(Debug)]
/// struct Zeros;
///
/// impl Signer for Zeros {
///     fn name(&self) -> &str {
///         "ana"
///     }
///
///     fn sign(&self, message: &[u8]) -> [u8; 64] {
///         assert!(message.starts_with(b"stagegate-record:"));
///         [0; 64]
///     }
/// }
///
/// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
/// let options = RolloutOptions::new().sign_with(Zeros);
/// let rollout = Rollout::start_with(Memory::new(), SystemClock::new(), document, "ana", &options)?;
/// let signature = rollout.records(1)?.remove(0).signature.unwrap();
/// assert_eq!(signature.to_bytes(), [0; 64]);
/// assert_eq!(signature.message().len(), 17 + 32);
/// # Ok::<(), stagegate::rollout::RolloutError>(())
/// ```
pub trait Signer: Send + Sync + fmt::Debug {
    /// Returns the name of the person or program. The key signs the records by this name.
    fn name(&self) -> &str;

    /// Returns the Ed25519 signature of a message.
    ///
    /// It must not wait for a network or a person, because rollbacks are signed, too.
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

impl RecordSignature {
    /// Signs a record, given the hash that it has without a signature.
    pub(super) fn new(digest: Hash, signer: &dyn Signer) -> RecordSignature {
        RecordSignature { signature: signer.sign(&message(digest)), digest }
    }

    /// Parses the signature at the end of a line, given without its hash. `hash` returns the hash of a line.
    pub(super) fn parse(
        body: &[u8],
        hash: impl FnOnce(&[u8]) -> Hash,
    ) -> Result<RecordSignature, String> {
        let split = body.strip_suffix(b"\"").and_then(|rest| rest.split_last_chunk::<DIGITS>());
        let parsed = split.and_then(|(rest, digits)| {
            Some(RecordSignature {
                signature: parse_hex(digits)?,
                digest: hash(rest.strip_suffix(KEY)?),
            })
        });
        parsed.ok_or_else(|| "its `sig` is not 128 hexadecimal digits before its hash".to_owned())
    }

    /// Appends the signature to a line.
    pub(super) fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(KEY);
        line.extend_from_slice(self.to_string().as_bytes());
        line.push(b'"');
    }

    /// Returns the 64 bytes of the signature.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        self.signature
    }

    /// Returns the signed message: `stagegate-record:`, and the hash that the record would have without its signature.
    /// So a signature is about the record and all records before it.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        message(self.digest)
    }
}

fn message(digest: Hash) -> Vec<u8> {
    [CONTEXT, &digest.0[..]].concat()
}

/// Shows 128 hexadecimal digits, as the journal does.
impl fmt::Display for RecordSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.signature, f)
    }
}

impl fmt::Debug for RecordSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
