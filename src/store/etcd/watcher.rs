//! Waiting for records of other processes.

use std::fmt;
use std::time::Duration;

use serde_derive::Serialize;

use super::gateway::Gateway;
use super::layout::Layout;
use super::wire::{Op, StreamMessage, Txn, TxnResponse, WatchResponse, encode};
use crate::http::Lines;
use crate::rollout::{StoreError, Watcher};

/// A watch of the head key, from the last seen revision on.
pub(super) struct EtcdWatcher {
    gateway: Gateway,
    layout: Layout,
    /// The last seen revision. `None` after an error, and before the first wait.
    revision: Option<u64>,
    /// The highest record number that the open watch has reported.
    newest: u64,
    /// The stream of an earlier wait. A new watch that starts in the past would be late by up to 100 ms, because etcd
    /// serves such watches only that often (`syncWatchersLoop`).
    lines: Option<Lines>,
}

#[derive(Serialize)]
struct WatchRequest {
    create_request: CreateRequest,
}

#[derive(Serialize)]
struct CreateRequest {
    key: String,
    start_revision: String,
}

/// The result of reading a watch.
enum WatchResult {
    /// There is a new record, or the key was deleted.
    Changed,
    Timeout,
    /// etcd no longer keeps the revisions since the last seen one.
    Compacted,
}

impl Watcher for EtcdWatcher {
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
            if self.lines.is_some() && self.newest > beyond {
                return Ok(true);
            }
            let mut lines = match self.lines.take() {
                Some(lines) => lines,
                None => self.open(revision.saturating_add(1), time)?,
            };
            match self.read(&mut lines, beyond) {
                Ok(WatchResult::Changed) => {
                    self.lines = Some(lines);
                    return Ok(true);
                }
                Ok(WatchResult::Timeout) => return Ok(false),
                Ok(WatchResult::Compacted) => self.revision = None,
                Err(error) => {
                    // Start again from the head next time.
                    self.revision = None;
                    return Err(error);
                }
            }
        }
    }
}

impl EtcdWatcher {
    pub(super) fn new(gateway: Gateway, layout: Layout) -> EtcdWatcher {
        EtcdWatcher { gateway, layout, revision: None, newest: 0, lines: None }
    }

    /// Reads the number of the last record, and the revision of the answer.
    fn head(&mut self) -> Result<(Option<u64>, u64), StoreError> {
        let success = vec![Op::get(&self.layout.head())];
        let txn = Txn { success, ..Txn::default() };
        let mut answer: TxnResponse = self.gateway.request("/v3/kv/txn", &txn)?;
        let revision = answer.header.revision();
        let head = answer.ranges().flat_map(|range| range.kvs).next();
        Ok((head.and_then(|kv| kv.number()), revision))
    }

    fn open(&mut self, from: u64, time: Duration) -> Result<Lines, StoreError> {
        let key = encode(self.layout.head());
        let create_request = CreateRequest { key, start_revision: from.to_string() };
        let lines = self.gateway.stream("/v3/watch", &WatchRequest { create_request }, time);
        self.newest = 0;
        if lines.is_err() {
            self.revision = None;
        }
        lines
    }

    /// Reads until a record beyond `beyond` is reported, or the deadline.
    fn read(&mut self, lines: &mut Lines, beyond: u64) -> Result<WatchResult, StoreError> {
        loop {
            let Some(watched) = next(lines)? else { return Ok(WatchResult::Timeout) };
            self.gateway.check_cluster(&watched.header.cluster_id)?;
            if watched.is_compacted() {
                return Ok(WatchResult::Compacted);
            }
            if watched.canceled {
                // An expired token is a possible reason.
                self.gateway.forget_token();
                let why = crate::text::beginning_of(&watched.cancel_reason);
                return Err(StoreError::io(format!("etcd ended the watch: {why}")));
            }
            let mut is_gone = false;
            for event in watched.events {
                self.revision = self.revision.max(Some(event.kv.revision()));
                match event.kv.number() {
                    Some(head) if !event.is_deletion() => self.newest = self.newest.max(head),
                    _ => is_gone = true,
                }
            }
            if is_gone || self.newest > beyond {
                return Ok(WatchResult::Changed);
            }
        }
    }
}

impl fmt::Debug for EtcdWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdWatcher").field("revision", &self.revision).finish_non_exhaustive()
    }
}

fn next(lines: &mut Lines) -> Result<Option<WatchResponse>, StoreError> {
    let failed = |why: String| StoreError::io(format!("the watch failed: {why}"));
    let Some(line) = lines.next().map_err(|error| failed(error.to_string()))? else {
        return Ok(None);
    };
    let line: StreamMessage<WatchResponse> =
        serde_json::from_slice(&line).map_err(|error| failed(error.to_string()))?;
    match (line.result, line.error) {
        (Some(watched), _) => Ok(Some(watched)),
        (None, error) => {
            let why = error.unwrap_or_default().message;
            Err(failed(crate::text::beginning_of(&why)))
        }
    }
}
