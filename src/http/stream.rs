//! An answer that goes on for as long as somebody reads it.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use ureq::http::HeaderValue;
use ureq::{Body, BodyReader, Error};

use super::client::{Answer, Client, LONGEST, NoAnswer};

/// The lines of an answer, as they come.
pub(crate) struct Lines {
    client: Client,
    reader: BufReader<BodyReader<'static>>,
}

/// Bytes of a line at most.
const MAX_LINE_BYTES: u64 = 1 << 20;

impl Client {
    /// The same with a token, which is a secret.
    pub(crate) fn bearing(mut self, token: &str) -> Result<Client, NoAnswer> {
        let bad = |_| NoAnswer("a token that no header can carry".to_owned());
        let mut value = HeaderValue::try_from(token).map_err(bad)?;
        value.set_sensitive(true);
        self.headers.push((ureq::http::header::AUTHORIZATION, value));
        self.secrets.push(token.to_owned());
        Ok(self)
    }

    /// The same that hides one more thing.
    pub(crate) fn hiding(mut self, secret: &str) -> Client {
        if !secret.is_empty() {
            self.secrets.push(secret.to_owned());
        }
        self
    }

    /// The same with that long for a request.
    pub(crate) fn within(mut self, deadline: Duration) -> Client {
        self.deadline = deadline.min(LONGEST);
        self
    }

    /// Sends a body; the answer may take as long as [`within`](Client::within) says.
    pub(crate) fn follow(&self, body: &str) -> Result<Answer, NoAnswer> {
        let request = self.agent.configure_request(self.request("application/json", body)?);
        let request = request.timeout_global(Some(self.deadline)).build();
        let response = self.agent.run(request).map_err(|error| self.failed(&error))?;
        Ok(Answer { status: response.status(), response })
    }

    /// The answer's lines.
    pub(crate) fn lines(&self, answer: Answer) -> Lines {
        let body: Body = answer.response.into_body();
        Lines { client: self.clone(), reader: BufReader::new(body.into_reader()) }
    }
}

impl Lines {
    /// The next one; `None` when the time is over.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, NoAnswer> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => Ok(Some(line)),
            Ok(read) if read as u64 == MAX_LINE_BYTES => {
                Err(NoAnswer(format!("a line of more than {MAX_LINE_BYTES} bytes")))
            }
            Ok(_) => Err(NoAnswer("the answer ended".to_owned())),
            Err(error) => match Error::from(error) {
                Error::Timeout(_) => Ok(None),
                Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
                error => Err(self.client.failed(&error)),
            },
        }
    }
}
