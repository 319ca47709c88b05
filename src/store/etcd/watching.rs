//! Waiting for what others append.

use std::fmt;
use std::time::Duration;

use serde_derive::Serialize;

use super::gateway::Gateway;
use super::layout::Layout;
use super::wire::{Op, Streamed, Txn, TxnAnswer, Watched};
use crate::http::{Lines, base64};
use crate::rollout::{StoreError, Watcher};

/// A watch of the head, which goes on behind the revision that was seen last.
pub(super) struct Watching {
    gateway: Gateway,
    layout: Layout,
    /// Everything up to here was seen. `None`: nobody knows.
    revision: Option<u64>,
    /// The last record that the open watch has told of.
    told: u64,
    /// What a wait before this one has left open: a watch that begins in the past is behind for up to 100 ms, as etcd
    /// looks after those so often only (`syncWatchersLoop`), and a change that follows another would meet that.
    open: Option<Lines>,
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
            if self.open.is_some() && self.told > beyond {
                return Ok(true);
            }
            let mut lines = match self.open.take() {
                Some(lines) => lines,
                None => self.watch(revision.saturating_add(1), time)?,
            };
            match self.read(&mut lines, beyond) {
                Ok(Seen::News) => {
                    self.open = Some(lines);
                    return Ok(true);
                }
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
    pub(super) fn new(gateway: Gateway, layout: Layout) -> Watching {
        Watching { gateway, layout, revision: None, told: 0, open: None }
    }

    /// The number of the last record; and the revision at which that is so.
    fn head(&mut self) -> Result<(Option<u64>, u64), StoreError> {
        let success = vec![Op::get(&self.layout.head())];
        let txn = Txn { success, ..Txn::default() };
        let mut answer: TxnAnswer = self.gateway.ask("/v3/kv/txn", &txn)?;
        let revision = answer.header.revision();
        let head = answer.ranges().flat_map(|range| range.kvs).next();
        Ok((head.and_then(|kv| kv.number()), revision))
    }

    fn watch(&mut self, from: u64, time: Duration) -> Result<Lines, StoreError> {
        let key = base64::encode(self.layout.head().as_bytes());
        let create_request = Create { key, start_revision: from.to_string() };
        let lines = self.gateway.stream("/v3/watch", &Watch { create_request }, time);
        self.told = 0;
        if lines.is_err() {
            self.revision = None;
        }
        lines
    }

    /// Up to what is beyond, or the end of the watch's time.
    fn read(&mut self, lines: &mut Lines, beyond: u64) -> Result<Seen, StoreError> {
        loop {
            let Some(watched) = next(lines)? else { return Ok(Seen::Nothing) };
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
            let mut is_gone = false;
            for event in watched.events {
                self.revision = self.revision.max(Some(event.kv.revision()));
                match event.kv.number() {
                    Some(head) if !event.is_deletion() => self.told = self.told.max(head),
                    _ => is_gone = true,
                }
            }
            if is_gone || self.told > beyond {
                return Ok(Seen::News);
            }
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("revision", &self.revision).finish_non_exhaustive()
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
