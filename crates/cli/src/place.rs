//! Where a rollout is: in a directory, or in an etcd.

use std::path::PathBuf;
use std::{env, fs};

use stagegate::http::{BadEndpoint, Endpoint};
use stagegate::rollout::{Store, StoreError};
use stagegate::store::{Directory, Etcd};

use crate::escape::{terminal, terminal_lines};
use crate::failure::Failure;

/// What `--store` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Directory(PathBuf),
    Etcd { servers: Vec<String>, prefix: String },
}

/// What for: a directory is opened otherwise for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Start,
    Act,
    Look,
}

/// A directory is whatever does not begin as a URL of an etcd does.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("etcd", rest)) => ("http", rest),
        Some(("etcds", rest)) => ("https", rest),
        _ => return Ok(Place::Directory(PathBuf::from(text))),
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
    Ok(Place::Etcd { servers, prefix: prefix.to_owned() })
}

impl Place {
    pub(crate) fn open(&self, purpose: Purpose) -> Result<Box<dyn Store>, Failure> {
        let opened = match self {
            Place::Directory(path) => match purpose {
                Purpose::Start => Directory::create(path),
                Purpose::Act => Directory::open(path),
                Purpose::Look => Directory::read_only(path),
            },
            Place::Etcd { servers, prefix } => return Ok(Box::new(etcd(servers, prefix)?)),
        };
        opened.map(|store| Box::new(store) as Box<dyn Store>).map_err(|error| of_store(&error))
    }

    /// The etcd, where it is one.
    pub(crate) fn etcd(&self) -> Result<Option<Etcd>, Failure> {
        match self {
            Place::Directory(_) => Ok(None),
            Place::Etcd { servers, prefix } => etcd(servers, prefix).map(Some),
        }
    }
}

/// Names the file of the certificates that are trusted.
const CA: &str = "STAGEGATE_ETCD_CA";

/// What to do about a server whose certificate nobody who is trusted has signed.
pub(crate) fn hint(message: &str) -> String {
    match message.contains("invalid peer certificate: UnknownIssuer") {
        true => format!("; set {CA} to the PEM file of the authority that has signed it"),
        false => String::new(),
    }
}

/// Secrets come by the environment: arguments are shown to every user of the machine.
fn etcd(servers: &[String], prefix: &str) -> Result<Etcd, Failure> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let ca = set(CA);
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
    let store = Etcd::new(endpoints, prefix).map_err(|bad| match bad {
        BadEndpoint::Plain(server) => Failure::Usage(format!(
            "`{}` is another machine, and `etcd` hides nothing on the way: write `etcds`",
            terminal(&server)
        )),
        // Not where the argument is read: there it would be printed with what is wrong with it.
        BadEndpoint::Credentials => Failure::Usage(
            "a user name in the address, where it would be printed: set STAGEGATE_ETCD_USER and \
             STAGEGATE_ETCD_PASSWORD"
                .to_owned(),
        ),
        BadEndpoint::Certificates => Failure::Usage(format!(
            "{CA}: no certificate in `{}`: write the path of a PEM file",
            terminal(&ca.unwrap_or_default())
        )),
        bad => Failure::Usage(format!("--store: {bad}")),
    })?;
    Ok(match (set("STAGEGATE_ETCD_USER"), set("STAGEGATE_ETCD_PASSWORD")) {
        (Some(user), Some(password)) => store.with_user(&user, &password),
        (None, None) => store,
        _ => {
            return Err(Failure::Usage(
                "set both STAGEGATE_ETCD_USER and STAGEGATE_ETCD_PASSWORD, or neither".to_owned(),
            ));
        }
    })
}

/// A failure of a store.
pub(crate) fn of_store(error: &StoreError) -> Failure {
    let message = terminal_lines(&error.to_string());
    if error.is_damaged() {
        Failure::No(message)
    } else if error.is_locked() {
        Failure::Locked(message)
    } else {
        Failure::Io(message)
    }
}
