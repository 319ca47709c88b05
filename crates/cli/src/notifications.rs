//! Notifications of a verb's actions to a file, a program or a URL.

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

/// The notification options.
#[derive(Args, Debug)]
pub(crate) struct NotificationArgs {
    /// Append notifications to FILE, one JSON object per line.
    #[arg(long, env = "STAGEGATE_TELL_FILE", value_name = "FILE", help_heading = HEADING)]
    pub(crate) tell_file: Option<PathBuf>,
    /// Run PROGRAM for each notification.
    ///
    /// It gets the JSON on standard input, and no arguments.
    #[arg(long, env = "STAGEGATE_TELL_COMMAND", value_name = "PROGRAM", help_heading = HEADING)]
    pub(crate) tell_command: Option<PathBuf>,
    /// Pass more environment variables to PROGRAM.
    ///
    /// Separate names by commas. PROGRAM always gets `PATH`, `HOME`, the locale, `TZ` and `TMPDIR`.
    #[arg(
        long,
        env = "STAGEGATE_TELL_ENV",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = HEADING
    )]
    pub(crate) tell_env: Vec<OsString>,
    /// Post notifications to URL, as JSON.
    ///
    /// Prefer the environment variable: other users can see a program's arguments.
    #[arg(
        long,
        env = "STAGEGATE_TELL_URL",
        value_name = "URL",
        hide_env_values = true,
        help_heading = HEADING
    )]
    pub(crate) tell_url: Option<Endpoint>,
}

const HEADING: &str = "Notification options";

/// How long a verb waits for delivery before it ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(15);

/// An outbox that waits for delivery when it is dropped.
#[derive(Debug)]
struct FlushedOutbox {
    name: &'static str,
    outbox: Outbox,
    flushed: Once,
}

/// The outboxes of the given options. When the last rollout that shares them is dropped, they wait for delivery.
#[derive(Clone)]
pub(crate) struct Sinks(Vec<Arc<FlushedOutbox>>);

impl Sinks {
    /// Adds how many notifications wait, were delivered and were lost.
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

    /// Waits for delivery now, even if a rollout still shares the outboxes.
    pub(crate) fn wait(&self) {
        self.0.iter().for_each(|sink| sink.wait());
    }
}

impl Sink for FlushedOutbox {
    fn tell(&self, notification: &Notification) {
        self.outbox.tell(notification);
    }
}

impl FlushedOutbox {
    /// Waits for delivery, once. A failure is printed; the action is done, so the exit code stays.
    fn wait(&self) {
        self.flushed.call_once(|| {
            let arrived = self.outbox.flush(FLUSH_TIMEOUT);
            let status = self.outbox.status();
            if !arrived || status.lost > 0 {
                let why = status.last_error.map(|error| format!(": {error}")).unwrap_or_default();
                anstream::eprintln!(
                    "stagegate: notifications were not delivered by --tell-{}{}",
                    self.name,
                    terminal(&why)
                );
            }
        });
    }
}

impl Drop for FlushedOutbox {
    fn drop(&mut self) {
        self.wait();
    }
}

impl NotificationArgs {
    /// Sends this rollout's notifications to all given options. Dropping the rollout waits for delivery.
    pub(crate) fn attach(&self, rollout: &Rollout) -> Result<(), Failure> {
        self.sinks()?.attach(rollout);
        Ok(())
    }

    /// Returns sinks that several rollouts can share.
    pub(crate) fn sinks(&self) -> Result<Sinks, Failure> {
        let flushed_outbox =
            |(name, outbox)| Arc::new(FlushedOutbox { name, outbox, flushed: Once::new() });
        Ok(Sinks(self.outboxes()?.into_iter().map(flushed_outbox).collect()))
    }

    /// Spawns an outbox for each given option.
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
    let outbox =
        outbox.map_err(|error| Failure::io("cannot start a thread for notifications", &error))?;
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
        notifications: NotificationArgs,
    }

    fn parse(arguments: &[&str]) -> NotificationArgs {
        Verb::parse_from(["verb"].iter().chain(arguments)).notifications
    }

    #[test]
    fn each_option_has_an_outbox() {
        assert_eq!(parse(&[]).outboxes().expect("sound").len(), 0);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let path = file.path().to_str().expect("text");
        let url = "https://example.com/canary";
        let all = parse(&["--tell-file", path, "--tell-command", "true", "--tell-url", url]);
        assert!(!format!("{all:?}").contains("canary"));
        let outboxes = all.outboxes().expect("sound");
        assert_eq!(outboxes.len(), 3);
        let now = SystemTime::UNIX_EPOCH;
        let notification =
            Notification::new("a", NotificationKind::Held, StageName::OFF, now, "held");
        for (_, outbox) in &outboxes[..2] {
            outbox.tell(&notification);
            assert!(outbox.flush(Duration::from_secs(30)));
            assert_eq!(outbox.status().delivered, 1);
        }
        assert_eq!(std::fs::read_to_string(path).expect("text"), notification.to_json() + "\n");
    }

    #[test]
    fn a_bad_url_is_a_usage_error_and_not_printed() {
        for url in ["canary", "http://example.com/canary", "https://canary@example.com"] {
            let failure = parse(&["--tell-url", url]).outboxes().expect_err("no URL");
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
