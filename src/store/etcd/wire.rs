//! What etcd's JSON gateway is sent, and answers: 64-bit numbers as strings, bytes in base64, zeros left out.
//! <https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/>

use serde_derive::{Deserialize, Serialize};

use crate::http::base64;

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
    #[serde(rename = "request_range")]
    Range { key: String, range_end: String, limit: String },
}

impl Compare {
    /// There is no such key.
    pub(super) fn absent(key: &str) -> Compare {
        Compare::version(key, "EQUAL")
    }

    /// There is such a key.
    pub(super) fn present(key: &str) -> Compare {
        Compare::version(key, "GREATER")
    }

    fn version(key: &str, result: &'static str) -> Compare {
        let (key, version) = (base64::encode(key.as_bytes()), Some("0".to_owned()));
        Compare { key, target: "VERSION", result, version, mod_revision: None }
    }

    /// The key was last written at that revision.
    pub(super) fn written_at(key: &str, revision: u64) -> Compare {
        let (key, mod_revision) = (base64::encode(key.as_bytes()), Some(revision.to_string()));
        Compare { key, target: "MOD", result: "EQUAL", version: None, mod_revision }
    }
}

impl Op {
    pub(super) fn get(key: &str) -> Op {
        Op::range(key, "", 0)
    }

    /// At most so many keys from one on, before another one. 0: all.
    pub(super) fn range(key: &str, end: &str, limit: u64) -> Op {
        let (key, range_end) = (base64::encode(key.as_bytes()), base64::encode(end.as_bytes()));
        Op::Range { key, range_end, limit: limit.to_string() }
    }

    pub(super) fn put(key: &str, value: &[u8]) -> Op {
        Op::put_leased(key, value, 0)
    }

    /// Gone with the lease. 0: with none.
    pub(super) fn put_leased(key: &str, value: &[u8], lease: u64) -> Op {
        let (key, value) = (base64::encode(key.as_bytes()), base64::encode(value));
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

/// An answer that says which cluster it comes from.
pub(super) trait Answer: for<'a> serde::Deserialize<'a> {
    fn header(&self) -> &Header;
}

#[derive(Debug, Deserialize)]
pub(super) struct TxnAnswer {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    responses: Vec<OpAnswer>,
}

#[derive(Debug, Deserialize)]
struct OpAnswer {
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

/// Of a grant, a keep-alive or a revocation.
#[derive(Debug, Deserialize)]
pub(super) struct LeaseAnswer {
    header: Header,
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "TTL", default)]
    ttl: String,
}

/// One message of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Streamed<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Watched {
    pub(super) header: Header,
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    compact_revision: String,
    #[serde(default)]
    pub(super) cancel_reason: String,
    #[serde(default)]
    pub(super) events: Vec<Happened>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Happened {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    pub(super) kv: Kv,
}

#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub(super) token: String,
}

/// Why there is no answer. The code is that of gRPC, which streams call otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub(super) message: String,
    #[serde(alias = "grpc_code")]
    pub(super) code: u32,
}

impl Answer for TxnAnswer {
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Answer for LeaseAnswer {
    fn header(&self) -> &Header {
        &self.header
    }
}

impl<T: Answer> Answer for Streamed<T> {
    fn header(&self) -> &Header {
        const NONE: &Header = &Header { cluster_id: String::new(), revision: String::new() };
        self.result.as_ref().map_or(NONE, Answer::header)
    }
}

/// What is left out is 0, and what is none is no revision that was ever seen.
fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

impl Header {
    pub(super) fn revision(&self) -> u64 {
        number(&self.revision)
    }
}

impl TxnAnswer {
    /// What the ranges found, in their order.
    pub(super) fn ranges(&mut self) -> impl Iterator<Item = Range> {
        self.responses.drain(..).map(|answer| answer.response_range.unwrap_or_default())
    }
}

impl Kv {
    pub(super) fn key(&self) -> Option<String> {
        String::from_utf8(base64::decode(&self.key)?).ok()
    }

    pub(super) fn value(&self) -> Option<Vec<u8>> {
        base64::decode(&self.value)
    }

    /// A number, as the head is one.
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

impl LeaseAnswer {
    pub(super) fn id(&self) -> u64 {
        number(&self.id)
    }

    /// In seconds; 0: there is no such lease.
    pub(super) fn ttl(&self) -> u64 {
        number(&self.ttl)
    }
}

impl Watched {
    pub(super) fn is_compacted(&self) -> bool {
        number(&self.compact_revision) > 0
    }
}

impl Happened {
    pub(super) fn is_deletion(&self) -> bool {
        self.kind == "DELETE"
    }
}
