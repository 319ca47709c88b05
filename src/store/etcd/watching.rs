//! Waiting for what others append.

use std::time::Duration;

use serde_derive::Serialize;

use super::gateway::Gateway;
use super::layout::Layout;
use super::wire::{Op, Streamed, Txn, TxnAnswer, Watched};
use crate::http::{Lines, base64};
use crate::rollout::{StoreError, Watcher};

/// A watch of the head: a request for each wait, which goes on behind the revision that was seen last.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) gateway: Gateway,
    pub(super) layout: Layout,
    /// Everything up to here was seen. `None`: nobody knows.
    pub(super) revision: Option<u64>,
}

#[derive(Serialize)]
struct Watch {
    create_request: Create,
}

#[derive(Serialize)]
struct Create {
    key: String,
    start_revision: String,
}

/// What a watch came to.
enum Seen {
    /// There is one beyond, or a key is gone.
    News,
    Nothing,
    /// What happened in between is no longer kept.
    Compacted,
}

impl Watcher for Watching {
    fn wait(&mut self, beyond: u64, time: Duration) -> Result<bool, StoreError> {
        loop {
            let revision = match self.revision {
                Some(revision) => revision,
                None => {
                    let (head, revision) = self.head()?;
                    self.revision = Some(revision);
                    if head.is_none_or(|head| head > beyond) {
                        return Ok(true);
                    }
                    revision
                }
            };
            let watched = self.watch(beyond, revision + 1, time);
            match watched {
                Ok(Seen::News) => return Ok(true),
                Ok(Seen::Nothing) => return Ok(false),
                Ok(Seen::Compacted) => self.revision = None,
                Err(error) => {
                    // Whatever it was, the head says what has become of it.
                    self.revision = None;
                    return Err(error);
                }
            }
        }
    }
}

impl Watching {
    /// The number of the last record; and the revision at which that is so.
    fn head(&mut self) -> Result<(Option<u64>, u64), StoreError> {
        let success = vec![Op::get(&self.layout.head())];
        let txn = Txn { success, ..Txn::default() };
        let mut answer: TxnAnswer = self.gateway.ask("/v3/kv/txn", &txn)?;
        let revision = answer.header.revision();
        let head = answer.ranges().flat_map(|range| range.kvs).next();
        Ok((head.and_then(|kv| kv.number()), revision))
    }

    fn watch(&mut self, beyond: u64, from: u64, time: Duration) -> Result<Seen, StoreError> {
        let key = base64::encode(self.layout.head().as_bytes());
        let create_request = Create { key, start_revision: from.to_string() };
        let mut lines = self.gateway.stream("/v3/watch", &Watch { create_request }, time)?;
        loop {
            let Some(watched) = next(&mut lines)? else { return Ok(Seen::Nothing) };
            self.gateway.is_known(&watched.header.cluster_id)?;
            if watched.is_compacted() {
                return Ok(Seen::Compacted);
            }
            if watched.canceled {
                // So it is with a token that is known no longer.
                self.gateway.forget_token();
                let why = crate::text::beginning_of(&watched.cancel_reason);
                return Err(StoreError::io(format!("the watch was ended: {why}")));
            }
            for event in watched.events {
                self.revision = self.revision.max(Some(event.kv.revision()));
                if event.is_deletion() || event.kv.number().is_none_or(|head| head > beyond) {
                    return Ok(Seen::News);
                }
            }
        }
    }
}

fn next(lines: &mut Lines) -> Result<Option<Watched>, StoreError> {
    let failed = |why: String| StoreError::io(format!("the watch failed: {why}"));
    let Some(line) = lines.next().map_err(|error| failed(error.to_string()))? else {
        return Ok(None);
    };
    let line: Streamed<Watched> =
        serde_json::from_slice(&line).map_err(|error| failed(error.to_string()))?;
    match (line.result, line.error) {
        (Some(watched), _) => Ok(Some(watched)),
        (None, error) => {
            let why = error.unwrap_or_default().message;
            Err(failed(crate::text::beginning_of(&why)))
        }
    }
}
