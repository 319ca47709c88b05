//! The leader lease: a key that etcd deletes when its lease ends.

use std::time::Duration;

use serde_derive::Serialize;

use super::gateway::{Failure, Gateway};
use super::layout::Layout;
use super::wire::{Compare, LeaseResponse, Op, StreamMessage, Txn, TxnResponse};
use crate::rollout::{LeaderLease, StoreError};

/// The leader lease of a prefix, which at most one controller holds.
#[derive(Debug)]
pub(super) struct EtcdLease {
    pub(super) gateway: Gateway,
    pub(super) layout: Layout,
    /// The name of this process, for people who look at the key.
    pub(super) name: String,
    /// The lease time in seconds, at least 2.
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

impl LeaderLease for EtcdLease {
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError> {
        if let Some(lease) = self.lease {
            if self.keep_alive(lease)? && self.holder()? == Some(lease) {
                return Ok(Some(self.safe_duration()));
            }
            self.lease = None;
        }
        if self.holder()?.is_some() {
            return Ok(None);
        }
        let grant = Grant { ttl: self.ttl.to_string() };
        let granted: LeaseResponse = self.gateway.request("/v3/lease/grant", &grant)?;
        let lease = granted.id();
        if lease == 0 {
            return Err(StoreError::io("etcd granted no lease"));
        }
        let key = self.layout.leader();
        let txn = Txn {
            compare: vec![Compare::absent(&key)],
            success: vec![Op::put_leased(&key, self.name.as_bytes(), lease)],
            failure: vec![Op::get(&key)],
        };
        let taken: Result<TxnResponse, Failure> = self.gateway.request("/v3/kv/txn", &txn);
        // Without an answer, the key may be ours. The next call asks for its holder.
        self.lease = Some(lease);
        let mut taken = taken?;
        let holder = taken.ranges().flat_map(|range| range.kvs).map(|kv| kv.lease()).next();
        if taken.succeeded || holder == Some(lease) {
            return Ok(Some(self.safe_duration()));
        }
        self.release();
        Ok(None)
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            let lease = Lease { id: lease.to_string() };
            // If this fails, the lease ends by timeout.
            let _: Result<LeaseResponse, Failure> =
                self.gateway.request("/v3/lease/revoke", &lease);
        }
    }
}

impl EtcdLease {
    /// Returns how long the lease certainly lasts. etcd's clock may run a little faster than ours.
    fn safe_duration(&self) -> Duration {
        Duration::from_secs(self.ttl) / 10 * 9
    }

    /// Renews the lease. Returns whether it still exists.
    fn keep_alive(&mut self, lease: u64) -> Result<bool, StoreError> {
        let lease = Lease { id: lease.to_string() };
        let kept: StreamMessage<LeaseResponse> =
            self.gateway.request("/v3/lease/keepalive", &lease)?;
        Ok(kept.result.is_some_and(|kept| kept.ttl() > 0))
    }

    /// Returns the lease of the current leader. 0 if its key has no lease, and so never expires.
    fn holder(&mut self) -> Result<Option<u64>, StoreError> {
        let success = vec![Op::get(&self.layout.leader())];
        let txn = Txn { success, ..Txn::default() };
        let mut answer: TxnResponse = self.gateway.request("/v3/kv/txn", &txn)?;
        Ok(answer.ranges().flat_map(|range| range.kvs).map(|kv| kv.lease()).next())
    }
}
