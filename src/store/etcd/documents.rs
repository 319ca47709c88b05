//! Documents and long records, in pieces: etcd takes no large value.

use super::Etcd;
use super::gateway::Failure;
use super::journal::MAX_VALUE_BYTES;
use super::wire::{Kv, Op, Txn, TxnAnswer};
use crate::rollout::StoreError;

/// Bytes of a document at most, with the files it names.
const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

impl Etcd {
    /// Its length is written last: what has one is whole.
    pub(super) fn keep_document(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        let bytes = document.len();
        if bytes as u64 > MAX_DOCUMENT_BYTES {
            let message = format!(
                "a document of {bytes} bytes with its lists of users, more than the {MAX_DOCUMENT_BYTES} that an etcd store keeps"
            );
            return Err(StoreError::io(message));
        }
        match self.read_document(hash) {
            Ok(kept) if kept == document => return Ok(()),
            // Another of that hash, or pieces of one: the whole takes its place.
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
            || StoreError::damaged(format!("document {hash} under `{prefix}` is not whole"));
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
        self.ask(&Txn { success: vec![Op::put(key, value)], ..Txn::default() }).map(drop)
    }

    fn get(&mut self, key: &str) -> Result<Option<Kv>, StoreError> {
        let mut answer = self.ask(&Txn { success: vec![Op::get(key)], ..Txn::default() })?;
        Ok(answer.ranges().flat_map(|range| range.kvs).next())
    }

    /// Asks once more where an answer was lost: of one piece among many, and to do it twice changes nothing.
    fn ask(&mut self, txn: &Txn) -> Result<TxnAnswer, StoreError> {
        match self.gateway.ask("/v3/kv/txn", txn) {
            Err(Failure::Unknown(_)) => Ok(self.gateway.ask("/v3/kv/txn", txn)?),
            answer => Ok(answer?),
        }
    }
}
