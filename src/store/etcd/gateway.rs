//! Asks whichever server of a cluster answers.

use std::fmt;
use std::time::Duration;

use serde_derive::Serialize;

use super::wire::{Answer, Refusal, Token};
use crate::http::{BadEndpoint, Client, Endpoint, Lines, NoAnswer};
use crate::rollout::StoreError;

/// The servers, and what lets one in.
#[derive(Clone)]
pub(super) struct Gateway {
    servers: Vec<Client>,
    user: Option<User>,
    /// Of the user. etcd forgets it after some minutes, or when it starts anew.
    token: Option<String>,
    /// The server that has answered last.
    current: usize,
    /// The cluster that has answered first: there is no other.
    cluster: Option<String>,
}

#[derive(Clone, Serialize)]
struct User {
    name: String,
    password: String,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// No server gives one: what was asked for may have been done or not.
    Unknown(StoreError),
    /// It was not done.
    Refused(StoreError),
}

/// Why one server gives none.
enum Trouble {
    Away(String),
    Token(String),
    Refused(String),
}

/// How long one server may take, where its endpoint does not say.
const DEADLINE: Duration = Duration::from_secs(2);

/// Bytes of an answer at most.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// Bytes of a refusal at most.
const MAX_REFUSAL_BYTES: u64 = 1 << 20;

impl Gateway {
    pub(super) fn new(endpoints: &[Endpoint]) -> Result<Gateway, BadEndpoint> {
        let servers = endpoints.iter().map(|endpoint| Client::new(endpoint, DEADLINE));
        let servers = servers.collect::<Result<Vec<Client>, _>>()?;
        if servers.is_empty() {
            return Err(BadEndpoint::NoServer);
        }
        Ok(Gateway { servers, user: None, token: None, current: 0, cluster: None })
    }

    pub(super) fn with_user(mut self, name: &str, password: &str) -> Gateway {
        let hiding = |server: Client| server.hiding(password);
        self.servers = self.servers.into_iter().map(hiding).collect();
        self.user = Some(User { name: name.to_owned(), password: password.to_owned() });
        self
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(Client::server)
    }

    /// Asks, and checks which cluster answers.
    pub(super) fn ask<T: Answer>(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, Failure> {
        // Nothing in it can fail to be JSON.
        let body = serde_json::to_string(body).unwrap_or_default();
        let (answer, server) = self.each(
            |server| {
                let answer = server.post("application/json", &body).map_err(|e| away(&e))?;
                server.read(checked(server, answer)?, MAX_ANSWER_BYTES).map_err(|e| away(&e))
            },
            path,
        )?;
        let answer: T = serde_json::from_slice(&answer).map_err(|error| {
            Failure::Unknown(StoreError::io(format!("`{server}` does not answer as etcd: {error}")))
        })?;
        self.is_known(&answer.header().cluster_id).map_err(Failure::Refused)?;
        Ok(answer)
    }

    /// Begins a stream, which lasts so long.
    pub(super) fn stream(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
        time: Duration,
    ) -> Result<Lines, StoreError> {
        let body = serde_json::to_string(body).unwrap_or_default();
        let (lines, _) = self.each(
            |server| {
                let server = server.clone().within(time);
                let answer = server.follow(&body).map_err(|error| away(&error))?;
                Ok(server.lines(checked(&server, answer)?))
            },
            path,
        )?;
        Ok(lines)
    }

    /// The token is asked for once more.
    pub(super) fn forget_token(&mut self) {
        self.token = None;
    }

    /// That it is the cluster which has answered before.
    pub(super) fn is_known(&mut self, cluster: &str) -> Result<(), StoreError> {
        match &self.cluster {
            _ if cluster.is_empty() => Ok(()),
            None => {
                self.cluster = Some(cluster.to_owned());
                Ok(())
            }
            Some(known) if known == cluster => Ok(()),
            Some(_) => Err(StoreError::damaged(format!(
                "`{}` is another cluster than before; what was decided by the one counts for nothing in the other",
                self.servers().nth(self.current).unwrap_or_default(),
            ))),
        }
    }

    /// Does something with one server after the other until it is done, beginning with the last that did.
    fn each<T>(
        &mut self,
        mut act: impl FnMut(&Client) -> Result<T, Trouble>,
        path: &str,
    ) -> Result<(T, String), Failure> {
        let (count, mut troubles) = (self.servers.len(), Vec::new());
        for offset in 0..count {
            let place = (self.current + offset) % count;
            let Some(server) = self.servers.get(place).cloned() else { continue };
            let name = server.server().to_owned();
            let done = match self.let_in(&server, path, &mut act) {
                // It knows the token no longer.
                Err(Trouble::Token(_)) if self.user.is_some() => {
                    self.token = None;
                    self.let_in(&server, path, &mut act)
                }
                done => done,
            };
            match done {
                Ok(done) => {
                    self.current = place;
                    return Ok((done, name));
                }
                Err(Trouble::Away(why)) => {
                    troubles.push(format!("`{name}` does not answer: {why}"));
                }
                Err(Trouble::Token(why) | Trouble::Refused(why)) => {
                    return Err(Failure::Refused(StoreError::io(format!(
                        "`{name}` refuses: {why}"
                    ))));
                }
            }
        }
        // The next call begins with another one.
        self.current = (self.current + 1) % count.max(1);
        Err(Failure::Unknown(StoreError::io(troubles.join("; "))))
    }

    fn let_in<T>(
        &mut self,
        server: &Client,
        path: &str,
        act: &mut impl FnMut(&Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let below =
            |path| server.clone().below(path).map_err(|bad| Trouble::Refused(bad.to_string()));
        let mut client = below(path)?;
        if let Some(user) = &self.user {
            let token = match self.token.take() {
                Some(token) => token,
                None => authenticate(&below("/v3/auth/authenticate")?, user)?,
            };
            client = client.bearing(&token).map_err(|error| away(&error))?;
            self.token = Some(token);
        }
        act(&client)
    }
}

fn authenticate(server: &Client, user: &User) -> Result<String, Trouble> {
    let body = serde_json::to_string(user).unwrap_or_default();
    let answer = server.post("application/json", &body).map_err(|error| away(&error))?;
    let answer = match checked(server, answer) {
        // Of a password that is wrong no other one is made.
        Err(Trouble::Token(why)) => return Err(Trouble::Refused(why)),
        answer => answer?,
    };
    let answer = server.read(answer, MAX_REFUSAL_BYTES).map_err(|error| away(&error))?;
    let token: Result<Token, _> = serde_json::from_slice(&answer);
    // What it says may be the token.
    token.map(|token| token.token).map_err(|_| Trouble::Refused("it gives no token".to_owned()))
}

fn away(error: &NoAnswer) -> Trouble {
    Trouble::Away(error.to_string())
}

/// The answer, unless it is a refusal.
fn checked(server: &Client, answer: crate::http::Answer) -> Result<crate::http::Answer, Trouble> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer);
    }
    let body = server.read(answer, MAX_REFUSAL_BYTES).map_err(|error| away(&error))?;
    let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
    let why = match refusal.message.is_empty() {
        true => format!("{} {}", status.as_str(), server.quoted(&String::from_utf8_lossy(&body))),
        false => server.quoted(&refusal.message),
    };
    Err(match refusal.code {
        // Unauthenticated; and what 3.4 says of a token from before its users were changed, or of none.
        16 => Trouble::Token(why),
        _ if why.contains("auth store is old") || why.contains("user name is empty") => {
            Trouble::Token(why)
        }
        // Cancelled, deadline exceeded, unavailable: no leader, perhaps. Another server may know one.
        1 | 4 | 14 => Trouble::Away(why),
        _ if status.is_server_error() => Trouble::Away(why),
        _ => Trouble::Refused(why),
    })
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        let (Failure::Unknown(error) | Failure::Refused(error)) = failure;
        error
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<&str> = self.servers().collect();
        f.debug_struct("Gateway").field("servers", &servers).finish_non_exhaustive()
    }
}
