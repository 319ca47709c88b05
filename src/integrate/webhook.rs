//! Notifications to a server.

use std::time::Duration;

use crate::http::{BadEndpoint, Client, Endpoint};
use crate::rollout::{Delivery, Notification, Undelivered};

/// Posts each [`Notification`] as JSON (`content-type: application/json`) to a server: a chat, a pager, a service
/// of one's own.
///
/// It has arrived when the server answers with a status of 200 to 299; what else it answers is not read. Statuses
/// that pass (408, 425, 429, 500 and above), and a server that is not reached or does not answer within the
/// deadline of 10 seconds, are failures for now; any other status is one for good. [`Endpoint`] says what is sent
/// where, and to whom it is never sent.
///
/// # Example
///
/// ```no_run
/// use stagegate::http::Endpoint;
/// use stagegate::integrate::Webhook;
/// use stagegate::rollout::Outbox;
///
/// let endpoint = Endpoint::new(std::env::var("CHAT_URL")?).with_bearer_token(&std::env::var("CHAT_TOKEN")?);
/// let outbox = Outbox::spawn("chat", Webhook::new(endpoint)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Webhook {
    client: Client,
}

const DEADLINE: Duration = Duration::from_secs(10);

impl Webhook {
    /// Posts to that endpoint, or URL. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`] when that cannot be asked.
    pub fn new(endpoint: impl Into<Endpoint>) -> Result<Webhook, BadEndpoint> {
        Ok(Webhook { client: Client::new(&endpoint.into(), DEADLINE)? })
    }
}

impl Delivery for Webhook {
    /// # Errors
    ///
    /// Any status but 200 to 299, and no answer within the deadline. Only scheme and host of the URL stand in them.
    fn deliver(&mut self, notification: &Notification) -> Result<(), Undelivered> {
        let server = self.client.server();
        let answer = self.client.post("application/json", &notification.to_json());
        let answer =
            answer.map_err(|why| Undelivered::for_now(format!("cannot tell `{server}`: {why}")))?;
        match answer.status.as_u16() {
            200..=299 => Ok(()),
            status @ (408 | 425 | 429 | 500..) => {
                Err(Undelivered::for_now(format!("`{server}` answers {status}")))
            }
            status @ 300..=399 => Err(Undelivered::for_ever(format!(
                "`{server}` answers {status}, a redirect, which is not followed"
            ))),
            status => Err(Undelivered::for_ever(format!("`{server}` answers {status}"))),
        }
    }
}
