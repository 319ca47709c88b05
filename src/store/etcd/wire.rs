//! The messages of etcd's JSON gateway. It writes 64-bit integers as strings, bytes in base64, and leaves out zeros.
//! <https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/>

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_derive::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize)]
pub(super) struct Txn {
    pub(super) compare: Vec<Compare>,
    pub(super) success: Vec<Op>,
    pub(super) failure: Vec<Op>,
}

#[derive(Debug, Serialize)]
pub(super) struct Compare {
    key: String,
    target: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mod_revision: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) enum Op {
    #[serde(rename = "request_put")]
    Put { key: String, value: String, lease: String },
    #[serde(rename = "request_delete_range")]
    Delete { key: String, range_end: String },
    #[serde(rename = "request_range")]
    Range { key: String, range_end: String, limit: String },
}

impl Compare {
    /// The key does not exist.
    pub(super) fn absent(key: &str) -> Compare {
        Compare::version(key, "EQUAL")
    }

    /// The key exists.
    pub(super) fn present(key: &str) -> Compare {
        Compare::version(key, "GREATER")
    }

    fn version(key: &str, result: &'static str) -> Compare {
        let (key, version) = (encode(key), Some("0".to_owned()));
        Compare { key, target: "VERSION", result, version, mod_revision: None }
    }

    /// The key was last written at this revision.
    pub(super) fn written_at(key: &str, revision: u64) -> Compare {
        let (key, mod_revision) = (encode(key), Some(revision.to_string()));
        Compare { key, target: "MOD", result: "EQUAL", version: None, mod_revision }
    }
}

impl Op {
    pub(super) fn get(key: &str) -> Op {
        Op::range(key, "", 0)
    }

    /// Reads the keys from `key` up to, but not including, `end`: at most `limit`, or all if it is 0.
    pub(super) fn range(key: &str, end: &str, limit: u64) -> Op {
        let (key, range_end) = (encode(key), encode(end));
        Op::Range { key, range_end, limit: limit.to_string() }
    }

    pub(super) fn put(key: &str, value: &[u8]) -> Op {
        Op::put_leased(key, value, 0)
    }

    /// Deletes the keys from `key` up to, but not including, `end`.
    pub(super) fn delete(key: &str, end: &str) -> Op {
        Op::Delete { key: encode(key), range_end: encode(end) }
    }

    /// Writes a key that is deleted when the lease ends. 0 is no lease.
    pub(super) fn put_leased(key: &str, value: &[u8], lease: u64) -> Op {
        let (key, value) = (encode(key), encode(value));
        Op::Put { key, value, lease: lease.to_string() }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    pub(super) cluster_id: String,
    #[serde(default)]
    revision: String,
}

/// A response with a header, which names the cluster.
pub(super) trait Response: for<'a> serde::Deserialize<'a> {
    fn header(&self) -> &Header;
}

#[derive(Debug, Deserialize)]
pub(super) struct TxnResponse {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    responses: Vec<OpResponse>,
}

#[derive(Debug, Deserialize)]
struct OpResponse {
    response_range: Option<Range>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Range {
    #[serde(default)]
    pub(super) kvs: Vec<Kv>,
    #[serde(default)]
    pub(super) more: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Kv {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    mod_revision: String,
    #[serde(default)]
    lease: String,
}

/// The response to a grant, a keep-alive or a revocation.
#[derive(Debug, Deserialize)]
pub(super) struct LeaseResponse {
    header: Header,
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "TTL", default)]
    ttl: String,
}

/// One message of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct StreamMessage<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<ErrorResponse>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WatchResponse {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    compact_revision: String,
    #[serde(default)]
    pub(super) cancel_reason: String,
    #[serde(default)]
    pub(super) events: Vec<WatchEvent>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WatchEvent {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    pub(super) kv: Kv,
}

#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub(super) token: String,
}

/// An error with its gRPC code. Streams use another name for the code.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorResponse {
    pub(super) message: String,
    #[serde(alias = "grpc_code")]
    pub(super) code: u32,
}

impl Response for TxnResponse {
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Response for LeaseResponse {
    fn header(&self) -> &Header {
        &self.header
    }
}

impl<T: Response> Response for StreamMessage<T> {
    fn header(&self) -> &Header {
        const NONE: &Header = &Header { cluster_id: String::new(), revision: String::new() };
        self.result.as_ref().map_or(NONE, Response::header)
    }
}

/// Encodes bytes in base64, as the gateway expects them.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Parses an integer. A missing or invalid one is 0, which is no valid revision.
fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

impl Header {
    pub(super) fn revision(&self) -> u64 {
        number(&self.revision)
    }
}

impl TxnResponse {
    /// Takes the results of the range requests, in their order.
    pub(super) fn ranges(&mut self) -> impl Iterator<Item = Range> {
        self.responses.drain(..).map(|answer| answer.response_range.unwrap_or_default())
    }
}

impl Kv {
    pub(super) fn key(&self) -> Option<String> {
        String::from_utf8(decode(&self.key)?).ok()
    }

    pub(super) fn value(&self) -> Option<Vec<u8>> {
        decode(&self.value)
    }

    /// Returns the value as a number, as the head has it.
    pub(super) fn number(&self) -> Option<u64> {
        String::from_utf8(self.value()?).ok()?.parse().ok()
    }

    pub(super) fn revision(&self) -> u64 {
        number(&self.mod_revision)
    }

    pub(super) fn lease(&self) -> u64 {
        number(&self.lease)
    }
}

impl LeaseResponse {
    pub(super) fn id(&self) -> u64 {
        number(&self.id)
    }

    /// Returns the remaining time in seconds, or 0 if the lease does not exist.
    pub(super) fn ttl(&self) -> u64 {
        number(&self.ttl)
    }
}

impl WatchResponse {
    pub(super) fn is_compacted(&self) -> bool {
        number(&self.compact_revision) > 0
    }
}

impl WatchEvent {
    pub(super) fn is_deletion(&self) -> bool {
        self.kind == "DELETE"
    }
}
