//! Arguments of `run` and `publish`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use stagegate::http::Endpoint;
use stagegate::model::{Quantity, Unit};

use crate::notifications::NotificationArgs;
use crate::rollout_args::{KeyArgs, StoreArgs};

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 0 at SIGTERM or SIGINT. Other processes can act meanwhile. One of several processes \
leads and ticks; the others follow.

Examples:
  stagegate run --store /var/lib/shop/rollout --prometheus http://localhost:9090 --listen 127.0.0.1:9464
  stagegate run --store etcd://127.0.0.1:2379/shop/rollout --lease 15s")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) notifications: NotificationArgs,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    /// Set the time between two ticks.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub(crate) every: Duration,
    /// Read metrics that have a query from this server.
    ///
    /// After each tick of the leader.
    #[arg(long, env = "STAGEGATE_PROMETHEUS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) prometheus: Option<Endpoint>,
    /// Serve `GET /health` and `GET /metrics` on this address.
    ///
    /// It must be a loopback address.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    pub(crate) listen: Option<SocketAddr>,
    /// Set how soon another process replaces a dead leader.
    ///
    /// For etcd only. A whole number of seconds, at least 2.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    pub(crate) lease: Duration,
    /// Publish the document to FILE at each change.
    ///
    /// The same as the verb `publish`, at the start and at each change. Give each process its own file.
    #[arg(long, value_name = "FILE")]
    pub(crate) publish: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  stagegate publish --store etcd://127.0.0.1:2379/shop/rollout --out /srv/www/rollout.toml")]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Write the document to FILE.
    ///
    /// FILE is replaced in one step, and only if its content changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    match Quantity::parse(text, Unit::Duration) {
        Ok(Quantity::Duration(time)) => Ok(time),
        Ok(_) => Err("not a duration; write for example 30s".to_owned()),
        Err(error) => Err(format!("{error}; write for example 30s")),
    }
}

/// Parses a lease time. etcd leases last whole seconds, 2 at least.
fn lease(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time.subsec_nanos() == 0 && time >= Duration::from_secs(2) => Ok(time),
        _ => Err("an etcd lease lasts whole seconds, at least 2; write for example 15s".to_owned()),
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "not an address and a port; write for example 127.0.0.1:9464".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("not a loopback address, so other machines could connect; write for example 127.0.0.1:9464"
        .to_owned())
}
