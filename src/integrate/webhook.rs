//! Notifications to a server.

use std::time::Duration;

use crate::http::{BadEndpoint, Client, Endpoint};
use crate::rollout::{Delivery, DeliveryError, Notification};

/// A [`Delivery`] that posts each [`Notification`] as JSON (`content-type: application/json`) to a server, such as a
/// chat, a pager or your own service.
///
/// Status 200 to 299 means delivered. The body of the answer is not read. Status 408, 425, 429, 500 and above, and no
/// answer within the deadline, are temporary failures. Any other status is permanent. The deadline is 10 seconds unless the
/// [`Endpoint`] has its own. [`Endpoint`] also lists the rules for URLs, certificates and redirects.
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

const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

impl Webhook {
    /// Creates a delivery that posts to an endpoint or URL. Does not connect yet.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`] if the endpoint is invalid.
    pub fn new(endpoint: impl Into<Endpoint>) -> Result<Webhook, BadEndpoint> {
        Ok(Webhook { client: Client::new(&endpoint.into(), DEFAULT_DEADLINE)? })
    }
}

impl Delivery for Webhook {
    /// # Errors
    ///
    /// Any status other than 200 to 299, or no answer within the deadline. Errors contain only the scheme and host of
    /// the URL.
    fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
        let server = self.client.server();
        let answer = self.client.post("application/json", &notification.to_json());
        let answer = answer
            .map_err(|why| DeliveryError::temporary(format!("cannot notify `{server}`: {why}")))?;
        match answer.status.as_u16() {
            200..=299 => Ok(()),
            status @ (408 | 425 | 429 | 500..) => {
                Err(DeliveryError::temporary(format!("`{server}` answers {status}")))
            }
            status @ 300..=399 => Err(DeliveryError::permanent(format!(
                "`{server}` answers {status}, a redirect, which is not followed"
            ))),
            status => Err(DeliveryError::permanent(format!("`{server}` answers {status}"))),
        }
    }
}
