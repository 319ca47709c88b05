//! The location of a store: a directory or etcd.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use stagegate::http::{BadEndpoint, Endpoint};
use stagegate::rollout::{LeaderLease, Store, StoreError};
use stagegate::store::{Directory, Etcd};

use crate::escape::{terminal, terminal_lines};
use crate::failure::Failure;

/// The value of `--store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreLocation {
    Directory(PathBuf),
    Etcd { servers: Vec<String>, prefix: String },
}

pub(crate) type StoreAndLease = (Box<dyn Store>, Box<dyn LeaderLease>);

/// How to open a directory. etcd needs no such mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Create,
    Write,
    Read,
}

/// Parses `etcd://…` and `etcds://…`. Any other text is the path of a directory.
pub(crate) fn parse_location(text: &str) -> Result<StoreLocation, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("etcd", rest)) => ("http", rest),
        Some(("etcds", rest)) => ("https", rest),
        _ => return Ok(StoreLocation::Directory(PathBuf::from(text))),
    };
    let hint = "write etcd://HOST:PORT/PREFIX, or etcds:// for TLS";
    let (hosts, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if prefix.trim_matches('/').is_empty() {
        return Err(format!("no prefix; {hint}"));
    }
    if hosts.split(',').any(str::is_empty) {
        return Err(format!("no host; {hint}"));
    }
    let servers = hosts.split(',').map(|host| format!("{scheme}://{host}")).collect();
    Ok(StoreLocation::Etcd { servers, prefix: prefix.to_owned() })
}

impl StoreLocation {
    /// Returns the user who writes to the store: etcd's user, or else the user of the operating system.
    pub(crate) fn user(&self) -> Option<String> {
        match self {
            StoreLocation::Etcd { .. } => variable(USER).or_else(system_user),
            StoreLocation::Directory(_) => system_user(),
        }
    }

    /// Opens the store.
    pub(crate) fn open(&self, access: Access) -> Result<Box<dyn Store>, Failure> {
        let opened = match self {
            StoreLocation::Directory(path) => match access {
                Access::Create => Directory::create(path),
                Access::Write => Directory::open(path),
                Access::Read => Directory::read_only(path),
            },
            StoreLocation::Etcd { servers, prefix } => return Ok(Box::new(etcd(servers, prefix)?)),
        };
        opened.map(|store| Box::new(store) as Box<dyn Store>).map_err(|error| store_failure(&error))
    }

    /// Opens the store with its leader lease. On etcd, another process leads `ttl` after the leader has died.
    pub(crate) fn open_to_lead(&self, ttl: Duration) -> Result<StoreAndLease, Failure> {
        match self {
            StoreLocation::Directory(path) => {
                let mut store = Directory::open(path).map_err(|error| store_failure(&error))?;
                let lead = store.leader_lease().map_err(|error| store_failure(&error))?;
                Ok((Box::new(store), lead))
            }
            StoreLocation::Etcd { servers, prefix } => {
                let store = etcd(servers, prefix)?;
                let lead = store.leader_lease(ttl);
                Ok((Box::new(store), lead))
            }
        }
    }
}

/// The variable with the path of the trusted certificates.
const CA: &str = "STAGEGATE_ETCD_CA";

/// The variable with the name of etcd's user.
const USER: &str = "STAGEGATE_ETCD_USER";

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the user as the operating system knows them. The variable `USER` may be missing or wrong, as in a container or
/// after `su`.
#[cfg(unix)]
fn system_user() -> Option<String> {
    use nix::unistd::{Uid, User};
    User::from_uid(Uid::current()).ok().flatten().map(|user| user.name)
}

#[cfg(not(unix))]
fn system_user() -> Option<String> {
    variable("USERNAME")
}

/// Returns a hint to append to the error of a server whose certificate is not trusted.
pub(crate) fn certificate_hint(message: &str) -> String {
    match message.contains("invalid peer certificate: UnknownIssuer") {
        true => {
            format!("; set {CA} to the PEM file of the authority that signed the certificate")
        }
        false => String::new(),
    }
}

/// Opens etcd. Secrets come from the environment, because every user of the machine can see arguments.
fn etcd(servers: &[String], prefix: &str) -> Result<Etcd, Failure> {
    let ca = variable(CA);
    let roots = match &ca {
        Some(path) => {
            let failed = |error| Failure::io(&format!("{CA}: {}", terminal(path)), &error);
            Some(fs::read(path).map_err(failed)?)
        }
        None => None,
    };
    let endpoints = servers.iter().map(|server| {
        let endpoint = Endpoint::new(server.as_str());
        match &roots {
            Some(roots) => endpoint.with_root_certificates(roots.clone()),
            None => endpoint,
        }
    });
    let store = Etcd::new(endpoints, prefix).map_err(|bad| {
        match bad {
        BadEndpoint::Plain(server) => Failure::Usage(format!(
            "`{}` is another machine, and `etcd://` is not encrypted. Write `etcds://`",
            terminal(&server)
        )),
        // Checked here, not in the parser of the argument: clap would print the password with the error.
        BadEndpoint::Credentials => Failure::Usage(
            "the address contains a user name, which would be printed. Set STAGEGATE_ETCD_USER and \
             STAGEGATE_ETCD_PASSWORD instead"
                .to_owned(),
        ),
        BadEndpoint::Certificates => Failure::Usage(format!(
            "{CA}: no certificate in `{}`. Write the path of a PEM file",
            terminal(&ca.unwrap_or_default())
        )),
        bad => Failure::Usage(format!("--store: {bad}")),
    }
    })?;
    Ok(match (variable(USER), variable("STAGEGATE_ETCD_PASSWORD")) {
        (Some(user), Some(password)) => store.with_user(&user, &password),
        (None, None) => store,
        _ => {
            return Err(Failure::Usage(
                "set both STAGEGATE_ETCD_USER and STAGEGATE_ETCD_PASSWORD, or neither".to_owned(),
            ));
        }
    })
}

/// Converts a store's error to a failure with its exit code.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    let message = terminal_lines(&error.to_string());
    if error.is_damaged() {
        Failure::No(message)
    } else if error.is_locked() {
        Failure::Locked(message)
    } else {
        Failure::Io(message)
    }
}
