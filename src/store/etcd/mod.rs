//! A store in etcd.

mod documents;
mod gateway;
mod journal;
mod layout;
mod lease;
mod watcher;
mod wire;

use std::fmt;
use std::time::Duration;

use crate::background::random;
use crate::http::{BadEndpoint, Endpoint};
use crate::rollout::{LeaderLease, Store, StoreError, Watcher};
use gateway::Gateway;
use journal::LastSeen;
use layout::Layout;
use lease::EtcdLease;
use watcher::EtcdWatcher;

/// A store in etcd (3.4 or later), through its JSON gateway. For a fleet: every process may act, and all see the
/// result.
///
/// The chapter on fleets describes the keys, the guarantees, and failures of servers.
///
/// # Concurrency
///
/// Appending a record is one transaction. It succeeds if the previous record is the one that was read, and the number
/// is not used yet. If two processes append at once, one is refused, whichever server they ask.
///
/// # Deadlines
///
/// If a server does not answer within two seconds, or the deadline of its [`Endpoint`], the next server is asked. So a
/// call takes at most that long for each server. An `append` may take twice that long, if an answer was lost and has to
/// be looked up.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use stagegate::clock::SystemClock;
/// use stagegate::rollout::{Controller, Rollout};
/// use stagegate::store::Etcd;
///
/// let servers = ["https://etcd-1.example.com:2379", "https://etcd-2.example.com:2379"];
/// let store = Etcd::new(servers, "/shop/rollout")?.with_user("shop", "s3cret");
/// let lease = store.leader_lease(Duration::from_secs(15));
///
/// let rollout = Rollout::open(store, SystemClock::new())?;
/// let follower = Controller::following(&rollout, Duration::from_secs(30), |_| {})?;
/// let leader = Controller::leading(&rollout, lease, Duration::from_secs(60), |_| {})?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Etcd {
    gateway: Gateway,
    layout: Layout,
    label: String,
    /// A random text in this handle's records. Tells them from identical records of other handles.
    mark: String,
    seen: LastSeen,
    /// The number of records in the next read.
    page: u64,
}

/// The longest lease that etcd grants, in seconds.
const MAX_TTL: u64 = 9_000_000_000;

impl Etcd {
    /// Returns the store under a prefix of keys, on the servers of one cluster. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// Returns a [`BadEndpoint`] if a URL is not valid or not allowed, or there is no server or no prefix.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::rollout::Store;
    /// use stagegate::store::Etcd;
    ///
    /// let store = Etcd::new(["http://127.0.0.1:2379"], "shop/rollout")?;
    /// assert_eq!(store.label(), "etcd://127.0.0.1:2379/shop/rollout");
    /// assert!(Etcd::new(["http://etcd.example.com:2379"], "shop/rollout").is_err());
    /// # Ok::<(), stagegate::http::BadEndpoint>(())
    /// ```
    pub fn new(
        servers: impl IntoIterator<Item = impl Into<Endpoint>>,
        prefix: &str,
    ) -> Result<Etcd, BadEndpoint> {
        let endpoints: Vec<Endpoint> = servers.into_iter().map(Into::into).collect();
        let gateway = Gateway::new(&endpoints)?;
        let layout = Layout::new(prefix).ok_or(BadEndpoint::NoPrefix)?;
        let servers: Vec<&str> = gateway.servers().collect();
        let is_plain = servers.iter().any(|server| server.starts_with("http:"));
        let hosts: Vec<&str> =
            servers.iter().filter_map(|server| Some(server.split_once("://")?.1)).collect();
        let scheme = if is_plain { "etcd" } else { "etcds" };
        let label = format!("{scheme}://{}{}", hosts.join(","), layout.0);
        let mark = format!("{:016x}", random());
        Ok(Etcd { gateway, layout, label, mark, seen: LastSeen::default(), page: journal::PAGE })
    }

    /// Authenticates as a user of the cluster. The password is sent only to the servers, and no error shows it.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Etcd {
        self.gateway = self.gateway.with_user(name, password);
        self
    }

    /// Returns the leader lease of this store, for [`Controller::leading`](crate::rollout::Controller::leading).
    ///
    /// If the leader dies, another controller leads after `ttl`. It counts in whole seconds, at least 2.
    #[must_use]
    pub fn leader_lease(&self, ttl: Duration) -> Box<dyn LeaderLease> {
        let ttl = ttl.as_secs().clamp(2, MAX_TTL);
        let (gateway, layout, name) =
            (self.gateway.clone(), self.layout.clone(), self.mark.clone());
        Box::new(EtcdLease { gateway, layout, name, ttl, lease: None })
    }
}

impl Store for Etcd {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.read_records(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.append_record(number, line, false)
    }

    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        self.find_segment(number)
    }

    fn begin_segment(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.append_record(number, line, true)
    }

    fn remove_segments_before(&mut self, number: u64) -> Result<(), StoreError> {
        self.delete_records_before(number)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.keep_document(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.read_document(hash)
    }

    fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        let (gateway, layout) = (self.gateway.clone(), self.layout.clone());
        Some(Box::new(EtcdWatcher::new(gateway, layout)))
    }

    fn label(&self) -> String {
        self.label.clone()
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("store", &self.label).finish_non_exhaustive()
    }
}
