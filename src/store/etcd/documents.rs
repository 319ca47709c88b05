//! Documents and long records, split into pieces because etcd accepts no large values.

use super::Etcd;
use super::gateway::Failure;
use super::journal::MAX_VALUE_BYTES;
use super::wire::{Kv, Op, Txn, TxnResponse};
use crate::rollout::StoreError;

/// The largest document, with the files it names.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

impl Etcd {
    /// Writes the pieces of a document, then its length. A document with a length is complete.
    pub(super) fn keep_document(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        let bytes = document.len();
        if bytes as u64 > MAX_DOCUMENT_BYTES {
            let message = format!(
                "the document has {bytes} bytes with its lists of users. An etcd store accepts {MAX_DOCUMENT_BYTES} bytes \
                 at most. Match users by `where`, or use a store in a directory"
            );
            return Err(StoreError::io(message));
        }
        match self.read_document(hash) {
            Ok(kept) if kept == document => return Ok(()),
            // A damaged or incomplete copy is replaced.
            Ok(_) => {}
            Err(error) if error.is_missing() || error.is_damaged() => {}
            Err(error) => return Err(error),
        }
        for (number, piece) in document.chunks(MAX_VALUE_BYTES).enumerate() {
            let key = self.layout.piece(hash, number);
            self.put(&key, piece)?;
        }
        let key = self.layout.document(hash);
        self.put(&key, document.len().to_string().as_bytes())
    }

    pub(super) fn read_document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        let (key, prefix) = (self.layout.document(hash), self.layout.0.clone());
        let missing =
            || StoreError::missing(format!("there is no document {hash} under `{prefix}`"));
        let len = self.get(&key)?.ok_or_else(missing)?;
        let broken =
            || StoreError::damaged(format!("document {hash} under `{prefix}` is incomplete"));
        let len = len.number().filter(|len| *len <= MAX_DOCUMENT_BYTES).ok_or_else(broken)?;
        let mut document = Vec::new();
        for number in 0.. {
            if document.len() as u64 >= len {
                break;
            }
            let key = self.layout.piece(hash, number);
            let piece = self.get(&key)?.and_then(|kv| kv.value()).ok_or_else(broken)?;
            if piece.is_empty() {
                return Err(broken());
            }
            document.extend(piece);
        }
        if document.len() as u64 == len { Ok(document) } else { Err(broken()) }
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.request(&Txn { success: vec![Op::put(key, value)], ..Txn::default() }).map(drop)
    }

    fn get(&mut self, key: &str) -> Result<Option<Kv>, StoreError> {
        let mut answer = self.request(&Txn { success: vec![Op::get(key)], ..Txn::default() })?;
        Ok(answer.ranges().flat_map(|range| range.kvs).next())
    }

    /// Sends a request, and once more if no answer came. Repeating it changes nothing.
    pub(super) fn request(&mut self, txn: &Txn) -> Result<TxnResponse, StoreError> {
        match self.gateway.request("/v3/kv/txn", txn) {
            Err(Failure::Unknown(_)) => Ok(self.gateway.request("/v3/kv/txn", txn)?),
            answer => Ok(answer?),
        }
    }
}
