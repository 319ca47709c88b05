//! Requests to a cluster, answered by the first available server.

use std::fmt;
use std::time::Duration;

use serde_derive::Serialize;

use super::wire::{ErrorResponse, Response, Token};
use crate::http::{BadEndpoint, Client, Endpoint, Lines, RequestError};
use crate::rollout::StoreError;

/// The servers of a cluster, and the credentials.
#[derive(Clone)]
pub(super) struct Gateway {
    servers: Vec<Client>,
    user: Option<User>,
    /// The user's token. etcd forgets it after some minutes, or at a restart.
    token: Option<String>,
    /// The index of the server that answered last.
    current: usize,
    /// The id of the cluster that answered first. Answers of other clusters are errors.
    cluster: Option<String>,
}

#[derive(Clone, Serialize)]
struct User {
    name: String,
    password: String,
}

/// The reason why a request failed.
pub(super) enum Failure {
    /// No server answered. The request may or may not have taken effect.
    Unknown(StoreError),
    /// The request was refused and had no effect.
    Refused(StoreError),
}

/// The reason why a request to one server failed.
enum ServerError {
    Unavailable(String),
    BadToken(String),
    Refused(String),
}

/// The deadline for one server, if its endpoint sets none.
const DEADLINE: Duration = Duration::from_secs(2);

/// The largest answer.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// The largest error response.
const MAX_ERROR_BYTES: u64 = 1 << 20;

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
        let hiding = |server: Client| server.with_secret(password);
        self.servers = self.servers.into_iter().map(hiding).collect();
        self.user = Some(User { name: name.to_owned(), password: password.to_owned() });
        self
    }

    pub(super) fn servers(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(Client::server)
    }

    /// Sends a request and checks which cluster answered.
    pub(super) fn request<T: Response>(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, Failure> {
        // Serializing these types cannot fail.
        let body = serde_json::to_string(body).unwrap_or_default();
        let (answer, server) = self.try_each(
            |server| {
                let answer = server.post("application/json", &body).map_err(|e| unavailable(&e))?;
                server
                    .read(check_status(server, answer)?, MAX_ANSWER_BYTES)
                    .map_err(|e| unavailable(&e))
            },
            path,
        )?;
        let answer: T = serde_json::from_slice(&answer).map_err(|error| {
            Failure::Unknown(StoreError::io(format!(
                "`{server}` does not answer like etcd: {error}"
            )))
        })?;
        self.check_cluster(&answer.header().cluster_id).map_err(Failure::Refused)?;
        Ok(answer)
    }

    /// Opens a stream that ends after `time`.
    pub(super) fn stream(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
        time: Duration,
    ) -> Result<Lines, StoreError> {
        let body = serde_json::to_string(body).unwrap_or_default();
        let (lines, _) = self.try_each(
            |server| {
                let server = server.clone().with_deadline(time);
                let answer = server.post_streaming(&body).map_err(|error| unavailable(&error))?;
                Ok(server.lines(check_status(&server, answer)?))
            },
            path,
        )?;
        Ok(lines)
    }

    /// Drops the token, so that the next request asks for a new one.
    pub(super) fn forget_token(&mut self) {
        self.token = None;
    }

    /// Fails if another cluster answered than before.
    pub(super) fn check_cluster(&mut self, cluster: &str) -> Result<(), StoreError> {
        match &self.cluster {
            _ if cluster.is_empty() => Ok(()),
            None => {
                self.cluster = Some(cluster.to_owned());
                Ok(())
            }
            Some(known) if known == cluster => Ok(()),
            Some(_) => Err(StoreError::damaged(format!(
                "`{}` belongs to another cluster than the one that answered before. Name servers of one cluster only",
                self.servers().nth(self.current).unwrap_or_default(),
            ))),
        }
    }

    /// Tries the servers one after the other, starting with the one that answered last.
    fn try_each<T>(
        &mut self,
        mut act: impl FnMut(&Client) -> Result<T, ServerError>,
        path: &str,
    ) -> Result<(T, String), Failure> {
        let (count, mut errors) = (self.servers.len(), Vec::new());
        for offset in 0..count {
            let place = (self.current + offset) % count;
            let Some(server) = self.servers.get(place).cloned() else { continue };
            let name = server.server().to_owned();
            let done = match self.authenticated(&server, path, &mut act) {
                // The token has expired.
                Err(ServerError::BadToken(_)) if self.user.is_some() => {
                    self.token = None;
                    self.authenticated(&server, path, &mut act)
                }
                done => done,
            };
            match done {
                Ok(done) => {
                    self.current = place;
                    return Ok((done, name));
                }
                Err(ServerError::Unavailable(why)) => {
                    errors.push(format!("`{name}` does not answer: {why}"));
                }
                Err(ServerError::BadToken(why) | ServerError::Refused(why)) => {
                    return Err(Failure::Refused(StoreError::io(format!(
                        "`{name}` refuses: {why}"
                    ))));
                }
            }
        }
        // Start the next call with another server.
        self.current = (self.current + 1) % count.max(1);
        Err(Failure::Unknown(StoreError::io(errors.join("; "))))
    }

    fn authenticated<T>(
        &mut self,
        server: &Client,
        path: &str,
        act: &mut impl FnMut(&Client) -> Result<T, ServerError>,
    ) -> Result<T, ServerError> {
        let below = |path| {
            server.clone().with_subpath(path).map_err(|bad| ServerError::Refused(bad.to_string()))
        };
        let mut client = below(path)?;
        if let Some(user) = &self.user {
            let token = match self.token.take() {
                Some(token) => token,
                None => authenticate(&below("/v3/auth/authenticate")?, user)?,
            };
            client = client.with_token(&token).map_err(|error| unavailable(&error))?;
            self.token = Some(token);
        }
        act(&client)
    }
}

fn authenticate(server: &Client, user: &User) -> Result<String, ServerError> {
    let body = serde_json::to_string(user).unwrap_or_default();
    let answer = server.post("application/json", &body).map_err(|error| unavailable(&error))?;
    let answer = match check_status(server, answer) {
        // A wrong password stays wrong, so do not retry.
        Err(ServerError::BadToken(why)) => return Err(ServerError::Refused(why)),
        answer => answer?,
    };
    let answer = server.read(answer, MAX_ERROR_BYTES).map_err(|error| unavailable(&error))?;
    let token: Result<Token, _> = serde_json::from_slice(&answer);
    // The error must not quote the answer, which may contain the token.
    token
        .map(|token| token.token)
        .map_err(|_| ServerError::Refused("it returned no token".to_owned()))
}

fn unavailable(error: &RequestError) -> ServerError {
    ServerError::Unavailable(error.to_string())
}

/// Returns the response if its status is a success, else the error that it describes.
fn check_status(
    server: &Client,
    answer: crate::http::Response,
) -> Result<crate::http::Response, ServerError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer);
    }
    let body = server.read(answer, MAX_ERROR_BYTES).map_err(|error| unavailable(&error))?;
    let refusal: ErrorResponse = serde_json::from_slice(&body).unwrap_or_default();
    let why = match refusal.message.is_empty() {
        true => format!("{} {}", status.as_str(), server.redacted(&String::from_utf8_lossy(&body))),
        false => server.redacted(&refusal.message),
    };
    Err(match refusal.code {
        // Unauthenticated. etcd 3.4 uses these texts for a missing token, or one from before a change of its users.
        16 => ServerError::BadToken(why),
        _ if why.contains("auth store is old") || why.contains("user name is empty") => {
            ServerError::BadToken(why)
        }
        // Cancelled, deadline exceeded, unavailable. Perhaps this server knows no leader, but another one does.
        1 | 4 | 14 => ServerError::Unavailable(why),
        _ if status.is_server_error() => ServerError::Unavailable(why),
        _ => ServerError::Refused(why),
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
