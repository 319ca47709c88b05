//! A store in etcd.

mod documents;
mod gateway;
mod journal;
mod layout;
mod leading;
mod watching;
mod wire;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::http::{BadEndpoint, Endpoint};
use crate::rollout::{Lead, Store, StoreError, Watcher};
use gateway::Gateway;
use journal::Seen;
use layout::Layout;
use leading::Leading;
use watching::Watching;

/// A rollout's documents and its journal in an etcd (3.4 or later), through its JSON gateway: for a fleet, of which any
/// process may act, and all see it.
///
/// The chapter on fleets has the keys, what is guaranteed, and what becomes of it when servers fail.
///
/// # Concurrency
///
/// To append a record is one transaction: it is done if the record before it is the one that was read, and none has its
/// number. Of two processes that append at once one is refused, whichever server each asks.
///
/// # Deadlines
///
/// A server that has not answered after two seconds, or what its [`Endpoint`] says, is passed over. A call takes that
/// long for each server at most, and twice that where an answer to an `append` was lost and has to be looked for.
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
/// let lead = store.lead(Duration::from_secs(15));
///
/// let rollout = Rollout::open(store, SystemClock::new())?;
/// let follower = Controller::following(&rollout, Duration::from_secs(30), |_| {})?;
/// let leader = Controller::leading(&rollout, lead, Duration::from_secs(60), |_| {})?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Etcd {
    gateway: Gateway,
    layout: Layout,
    label: String,
    /// Tells the records of this handle from those of others, which may be the same to the letter.
    mark: String,
    seen: Seen,
    /// How many records are asked for at once.
    page: u64,
}

/// Seconds of a lease at most: etcd grants no longer one.
const MAX_TTL: u64 = 9_000_000_000;

impl Etcd {
    /// The store under a prefix of keys, on the servers of one cluster. Asks nobody yet.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`] when a URL is none or may not be used, or there is no server or no prefix.
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
        let mark = format!("{:016x}", RandomState::new().build_hasher().finish());
        Ok(Etcd { gateway, layout, label, mark, seen: Seen::default(), page: journal::PAGE })
    }

    /// The same as a user of the cluster. The password is given to the servers alone.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: &str) -> Etcd {
        self.gateway = self.gateway.with_user(name, password);
        self
    }

    /// The lead among the controllers of this store, for [`Controller::leading`](crate::rollout::Controller::leading).
    /// Who dies with it holds up the others for that long (in whole seconds, 2 at least).
    #[must_use]
    pub fn lead(&self, ttl: Duration) -> Box<dyn Lead> {
        let ttl = ttl.as_secs().clamp(2, MAX_TTL);
        let (gateway, layout, name) =
            (self.gateway.clone(), self.layout.clone(), self.mark.clone());
        Box::new(Leading { gateway, layout, name, ttl, lease: None })
    }
}

impl Store for Etcd {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.read_records(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.append_record(number, line)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.keep_document(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.read_document(hash)
    }

    fn watcher(&self) -> Option<Box<dyn Watcher>> {
        let (gateway, layout) = (self.gateway.clone(), self.layout.clone());
        Some(Box::new(Watching::new(gateway, layout)))
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
