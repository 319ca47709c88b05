//! The arguments of `run` and `publish`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use stagegate::http::Endpoint;
use stagegate::model::{Quantity, Unit};

use crate::rollout_args::Store;
use crate::telling::Telling;

#[derive(Args, Debug)]
#[command(after_help = "\
Ends with 0 at SIGTERM or SIGINT. Between two ticks it lets go of a directory, so that others may act. Of several on
one etcd the one that leads ticks, the others follow.

Examples:
  stagegate run --store /var/lib/shop/rollout --prometheus http://localhost:9090 --listen 127.0.0.1:9464
  stagegate run --store etcd://127.0.0.1:2379/shop/rollout --lease 15s")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) store: Store,
    #[command(flatten)]
    pub(crate) telling: Telling,
    /// How long from one tick to the next.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration)]
    pub(crate) every: Duration,
    /// Where metrics are read whose source is a query, before each tick.
    #[arg(long, env = "STAGEGATE_PROMETHEUS_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) prometheus: Option<Endpoint>,
    /// Answer `GET /health` and `GET /metrics` here, on an address of this machine alone.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    pub(crate) listen: Option<SocketAddr>,
    /// On an etcd: how long after the leader's death another one leads.
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    pub(crate) lease: Duration,
    /// Write the document with each flag's present stage in it here, whenever it is another: as `publish` does.
    #[arg(long, value_name = "FILE")]
    pub(crate) publish: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  stagegate publish --store etcd://127.0.0.1:2379/shop/rollout --out /srv/www/rollout.toml")]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) store: Store,
    /// The file: replaced in one step, and only by what is another.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    match Quantity::parse(text, Unit::Duration) {
        Ok(Quantity::Duration(time)) => Ok(time),
        Ok(_) => Err("no duration".to_owned()),
        Err(error) => Err(format!("{error}; write for example 30s")),
    }
}

/// etcd counts in seconds, and gives no shorter one.
fn lease(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        time if time.subsec_nanos() == 0 && time >= Duration::from_secs(2) => Ok(time),
        _ => Err("etcd has leases of whole seconds, 2 at least; write for example 15s".to_owned()),
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "not an address and a port; write for example 127.0.0.1:9464".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("others would see it: write an address of this machine alone, such as 127.0.0.1:9464"
        .to_owned())
}
