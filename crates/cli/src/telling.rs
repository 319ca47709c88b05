//! Who else is told of what a verb does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::Duration;

use clap::Args;
use stagegate::http::Endpoint;
use stagegate::integrate::{Command, Figures, JsonLines, Webhook};
use stagegate::rollout::{Delivery, Notification, Outbox, Rollout, Sink};

use crate::escape::terminal;
use crate::failure::Failure;

/// Where news of the rollout goes.
#[derive(Args, Debug)]
pub(crate) struct Telling {
    /// Append what happens to this file, a line of JSON each.
    #[arg(long, env = "STAGEGATE_TELL_FILE", value_name = "FILE")]
    pub(crate) tell_file: Option<PathBuf>,
    /// Run this program for each thing that happens, with its JSON on the standard input and no arguments.
    #[arg(long, env = "STAGEGATE_TELL_COMMAND", value_name = "PROGRAM")]
    pub(crate) tell_command: Option<PathBuf>,
    /// Pass these variables of the environment to that program too; it gets `PATH`, `HOME`, the locale, `TZ` and `TMPDIR`
    #[arg(long, env = "STAGEGATE_TELL_ENV", value_name = "NAME", value_delimiter = ',')]
    pub(crate) tell_env: Vec<OsString>,
    /// Post what happens to this URL, as JSON. Rather by the environment: others see the arguments of a program.
    #[arg(long, env = "STAGEGATE_TELL_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) tell_url: Option<Endpoint>,
}

/// How long a verb waits for news to arrive before it ends.
const PATIENCE: Duration = Duration::from_secs(15);

/// An outbox that is waited for when the rollout is let go.
#[derive(Debug)]
struct Patient {
    name: &'static str,
    outbox: Outbox,
    waited: Once,
}

/// Outboxes that are waited for when the last rollout that has them, and this, are let go.
#[derive(Clone)]
pub(crate) struct Sinks(Vec<Arc<Patient>>);

impl Sinks {
    /// What has become of their notifications.
    pub(crate) fn add_to(&self, figures: Figures) -> Figures {
        let outboxes = self.0.iter();
        outboxes
            .fold(figures, |figures, sink| figures.with_outbox(sink.name, &sink.outbox.status()))
    }

    pub(crate) fn attach(&self, rollout: &Rollout) {
        for sink in &self.0 {
            rollout.tell(Arc::clone(sink));
        }
    }

    /// Waits now, whoever has the rollout still.
    pub(crate) fn wait(&self) {
        self.0.iter().for_each(|sink| sink.wait());
    }
}

impl Sink for Patient {
    fn tell(&self, notification: &Notification) {
        self.outbox.tell(notification);
    }
}

impl Patient {
    /// What was done is done, so it changes no exit code that somebody could not be told.
    fn wait(&self) {
        self.waited.call_once(|| {
            let arrived = self.outbox.flush(PATIENCE);
            let status = self.outbox.status();
            if !arrived || status.lost > 0 {
                let why = status.last_error.map(|error| format!(": {error}")).unwrap_or_default();
                anstream::eprintln!(
                    "stagegate: not told by --tell-{}{}",
                    self.name,
                    terminal(&why)
                );
            }
        });
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        self.wait();
    }
}

impl Telling {
    /// Has all that were asked for told of what this rollout does. When it is let go, they are waited for.
    pub(crate) fn attach(&self, rollout: &Rollout) -> Result<(), Failure> {
        self.sinks()?.attach(rollout);
        Ok(())
    }

    /// Those that were asked for, for more than one rollout.
    pub(crate) fn sinks(&self) -> Result<Sinks, Failure> {
        let patient = |(name, outbox)| Arc::new(Patient { name, outbox, waited: Once::new() });
        Ok(Sinks(self.outboxes()?.into_iter().map(patient).collect()))
    }

    /// An outbox for each that was asked for.
    fn outboxes(&self) -> Result<Vec<(&'static str, Outbox)>, Failure> {
        let mut outboxes = Vec::new();
        if let Some(path) = &self.tell_file {
            outboxes.push(outbox("file", JsonLines::new(path))?);
        }
        if let Some(program) = &self.tell_command {
            let command = Command::new(program);
            let command = self.tell_env.iter().fold(command, Command::passing);
            outboxes.push(outbox("command", command)?);
        }
        if let Some(endpoint) = &self.tell_url {
            let webhook = Webhook::new(endpoint.clone());
            let webhook =
                webhook.map_err(|error| Failure::Usage(format!("--tell-url: {error}")))?;
            outboxes.push(outbox("url", webhook)?);
        }
        Ok(outboxes)
    }
}

fn outbox(
    name: &'static str,
    delivery: impl Delivery + 'static,
) -> Result<(&'static str, Outbox), Failure> {
    let outbox = Outbox::spawn(name, delivery);
    let outbox = outbox.map_err(|error| Failure::io("a thread for telling", &error))?;
    Ok((name, outbox))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use clap::{CommandFactory, Parser};
    use stagegate::StageName;
    use stagegate::rollout::NotificationKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Verb {
        #[command(flatten)]
        telling: Telling,
    }

    fn telling(arguments: &[&str]) -> Telling {
        Verb::parse_from(["verb"].iter().chain(arguments)).telling
    }

    #[test]
    fn each_that_is_asked_for_has_an_outbox() {
        assert_eq!(telling(&[]).outboxes().expect("sound").len(), 0);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("text");
        let url = "https://example.com/canary";
        let all = telling(&["--tell-file", path, "--tell-command", "true", "--tell-url", url]);
        assert!(!format!("{all:?}").contains("canary"));
        let outboxes = all.outboxes().expect("sound");
        assert_eq!(outboxes.len(), 3);
        let now = SystemTime::UNIX_EPOCH;
        let news = Notification::new("a", NotificationKind::Held, StageName::OFF, now, "held");
        for (_, outbox) in &outboxes[..2] {
            outbox.tell(&news);
            assert!(outbox.flush(Duration::from_secs(30)));
            assert_eq!(outbox.status().delivered, 1);
        }
        assert_eq!(std::fs::read_to_string(path).expect("text"), news.to_json() + "\n");
    }

    #[test]
    fn a_bad_url_is_a_matter_of_usage_and_not_printed() {
        for url in ["canary", "http://example.com/canary", "https://canary@example.com"] {
            let failure = telling(&["--tell-url", url]).outboxes().expect_err("no URL");
            let Failure::Usage(message) = failure else { panic!("{failure:?}") };
            assert!(
                message.starts_with("--tell-url: ") && !message.contains("canary"),
                "{message}"
            );
        }
        let mut verb = Verb::command();
        let argument = verb.render_long_help().to_string();
        assert!(argument.contains("[env: STAGEGATE_TELL_URL]"), "{argument}");
    }
}
