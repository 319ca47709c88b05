//! The lead, by a key that is gone with its lease.

use std::time::Duration;

use serde_derive::Serialize;

use super::gateway::{Failure, Gateway};
use super::layout::Layout;
use super::wire::{Compare, LeaseAnswer, Op, Streamed, Txn, TxnAnswer};
use crate::rollout::{Lead, StoreError};

/// The lead among those who act on the same prefix.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) gateway: Gateway,
    pub(super) layout: Layout,
    /// Who this is, for people who look at the key.
    pub(super) name: String,
    /// In seconds, one at least.
    pub(super) ttl: u64,
    pub(super) lease: Option<u64>,
}

#[derive(Serialize)]
struct Grant {
    #[serde(rename = "TTL")]
    ttl: String,
}

#[derive(Serialize)]
struct Lease {
    #[serde(rename = "ID")]
    id: String,
}

impl Lead for Leading {
    fn hold(&mut self) -> Result<Option<Duration>, StoreError> {
        if let Some(lease) = self.lease {
            if self.keep_alive(lease)? && self.holder()? == Some(lease) {
                return Ok(Some(self.time()));
            }
            self.lease = None;
        }
        if self.holder()?.is_some() {
            return Ok(None);
        }
        let grant = Grant { ttl: self.ttl.to_string() };
        let granted: LeaseAnswer = self.gateway.ask("/v3/lease/grant", &grant)?;
        let lease = granted.id();
        if lease == 0 {
            return Err(StoreError::io("etcd grants no lease"));
        }
        let key = self.layout.leader();
        let txn = Txn {
            compare: vec![Compare::absent(&key)],
            success: vec![Op::put_leased(&key, self.name.as_bytes(), lease)],
            failure: vec![Op::get(&key)],
        };
        let taken: Result<TxnAnswer, Failure> = self.gateway.ask("/v3/kv/txn", &txn);
        // Without an answer it may be ours: the next call asks who has it.
        self.lease = Some(lease);
        let mut taken = taken?;
        let holder = taken.ranges().flat_map(|range| range.kvs).map(|kv| kv.lease()).next();
        if taken.succeeded || holder == Some(lease) {
            return Ok(Some(self.time()));
        }
        self.give_up();
        Ok(None)
    }

    fn give_up(&mut self) {
        if let Some(lease) = self.lease.take() {
            let lease = Lease { id: lease.to_string() };
            // It is lost by itself, a little later.
            let _: Result<LeaseAnswer, Failure> = self.gateway.ask("/v3/lease/revoke", &lease);
        }
    }
}

impl Leading {
    /// How long a lease is sure to last. etcd measures it by clocks of its own, which may be a little faster.
    fn time(&self) -> Duration {
        Duration::from_secs(self.ttl) / 10 * 9
    }

    /// Whether there is such a lease still, which lasts anew.
    fn keep_alive(&mut self, lease: u64) -> Result<bool, StoreError> {
        let lease = Lease { id: lease.to_string() };
        let kept: Streamed<LeaseAnswer> = self.gateway.ask("/v3/lease/keepalive", &lease)?;
        Ok(kept.result.is_some_and(|kept| kept.ttl() > 0))
    }

    /// By which lease somebody has the lead. 0: by none, so for ever.
    fn holder(&mut self) -> Result<Option<u64>, StoreError> {
        let success = vec![Op::get(&self.layout.leader())];
        let txn = Txn { success, ..Txn::default() };
        let mut answer: TxnAnswer = self.gateway.ask("/v3/kv/txn", &txn)?;
        Ok(answer.ranges().flat_map(|range| range.kvs).map(|kv| kv.lease()).next())
    }
}
