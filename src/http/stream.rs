//! Streaming responses.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use ureq::http::HeaderValue;
use ureq::{Body, BodyReader, Error};

use super::client::{Client, LONGEST, RequestError, Response};

/// The lines of a streaming response.
pub(crate) struct Lines {
    client: Client,
    reader: BufReader<BodyReader<'static>>,
}

/// The longest line.
const MAX_LINE_BYTES: u64 = 1 << 20;

impl Client {
    /// Sets the token in the `Authorization` header, and hides it in texts.
    pub(crate) fn with_token(mut self, token: &str) -> Result<Client, RequestError> {
        let bad =
            |_| RequestError("the token has a character that HTTP headers do not allow".to_owned());
        let mut value = HeaderValue::try_from(token).map_err(bad)?;
        value.set_sensitive(true);
        self.headers.push((ureq::http::header::AUTHORIZATION, value));
        self.secrets.push(token.to_owned());
        Ok(self)
    }

    /// Hides one more secret in texts.
    pub(crate) fn with_secret(mut self, secret: &str) -> Client {
        if !secret.is_empty() {
            self.secrets.push(secret.to_owned());
        }
        self
    }

    /// Sets the deadline of a streaming request.
    pub(crate) fn with_deadline(mut self, deadline: Duration) -> Client {
        self.deadline = deadline.min(LONGEST);
        self
    }

    /// Sends a `POST` request whose response may last until the [deadline](Client::with_deadline).
    pub(crate) fn post_streaming(&self, body: &str) -> Result<Response, RequestError> {
        let request = self.agent.configure_request(self.request("application/json", body)?);
        let request = request.timeout_global(Some(self.deadline)).build();
        let response = self.agent.run(request).map_err(|error| self.failed(&error))?;
        Ok(Response { status: response.status(), inner: response })
    }

    /// Returns the lines of a response.
    pub(crate) fn lines(&self, response: Response) -> Lines {
        let body: Body = response.inner.into_body();
        Lines { client: self.clone(), reader: BufReader::new(body.into_reader()) }
    }
}

impl Lines {
    /// Waits for the next line. Returns `None` at the deadline.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, RequestError> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => Ok(Some(line)),
            Ok(read) if read as u64 == MAX_LINE_BYTES => {
                Err(RequestError(format!("a line of more than {MAX_LINE_BYTES} bytes")))
            }
            Ok(_) => Err(RequestError("the stream ended".to_owned())),
            Err(error) => match Error::from(error) {
                Error::Timeout(_) => Ok(None),
                Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
                error => Err(self.client.failed(&error)),
            },
        }
    }
}
