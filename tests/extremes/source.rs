//! Following: extreme intervals, and sources that request extreme waits.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::http::Endpoint;
use stagegate::source::{
    Fetched, File, FollowEvent, FollowOptions, Follower, Http, Nudge, Source, SourceError,
    WithoutDocument,
};
use stagegate::{Document, Gate};

use crate::calls::Calls;
use crate::values::{DURATIONS, texts, times};

pub(crate) fn call(calls: &mut Calls) {
    files(calls);
    let server = crate::integrate::server("{}");
    for every in DURATIONS {
        let http = calls.call("Http::new", || Http::new(Endpoint::new(&*server)).unwrap()).unwrap();
        let mut http = calls.call("Http::every", || http.every(every)).unwrap();
        calls.call("Http::every", || http.fetch().is_ok());
    }
    for interval in DURATIONS {
        for retry_after in DURATIONS {
            odd(calls, interval, retry_after);
        }
    }
}

fn files(calls: &mut Calls) {
    for text in texts() {
        let file = calls.call("File::new", || File::new(&*text)).unwrap();
        let mut file = calls.call("File::allowing", || file.allowing(&*text)).unwrap();
        calls.call("File::new", || file.fetch().is_ok());
        let options = calls.call("FollowOptions::new", FollowOptions::new).unwrap();
        let options =
            calls.call("FollowOptions::environment", || options.environment(&*text)).unwrap();
        let options = calls.call("FollowOptions::by_hand", || options.by_hand()).unwrap();
        let options = calls
            .call("FollowOptions::last_known_good", || options.last_known_good(&*text))
            .unwrap();
        let options = calls
            .call("FollowOptions::without_document", || {
                options.without_document(WithoutDocument::AllOff)
            })
            .unwrap();
        let options = calls.call("FollowOptions::observe", || {
            options.observe(|event: &FollowEvent| drop(format!("{event:?}")))
        });
        let started = calls
            .call("Follower::start", || Follower::start(File::new(&*text), options.unwrap()))
            .unwrap();
        if let Ok((_, follower)) = started {
            let error = calls
                .call("Follower::refresh_now", || follower.refresh_now())
                .unwrap()
                .unwrap_err();
            calls.call("FollowError::is_unreachable", || error.is_unreachable());
            calls.call("FollowError::refusal", || error.refusal().is_some());
        }
    }
    let path = crate::store::scratch("followed.toml");
    std::fs::write(&path, "schema = 1\n[flags.a]\n").unwrap();
    for time in DURATIONS {
        let file = calls.call("File::every", || File::new(&path).every(time)).unwrap();
        let file = calls.call("File::settle", || file.settle(time)).unwrap();
        let mut file = calls.call("File::ending_with", || file.ending_with("")).unwrap();
        calls.call("File::settle", || (0..3).map(|_| file.fetch().is_ok()).collect::<Vec<_>>());
    }
    std::fs::remove_file(path).unwrap();
}

/// A source with this polling interval that asks its follower to wait for `retry_after`.
struct Odd {
    interval: Duration,
    retry_after: Duration,
    asked: u32,
}

impl Source for Odd {
    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        self.asked += 1;
        match self.asked {
            1 => Ok(Fetched::Document(Document::new("schema = 1\n[flags.a]\n"))),
            2 => Ok(Fetched::Unsettled { again_after: self.retry_after }),
            3 => Err(SourceError::new("busy").with_retry_after(self.retry_after)),
            _ => Ok(Fetched::Unchanged),
        }
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn min_interval(&self) -> Duration {
        self.interval
    }

    fn watch(&mut self, nudge: Nudge) {
        nudge.nudge();
    }
}

fn odd(calls: &mut Calls, interval: Duration, retry_after: Duration) {
    let source = || Odd { interval, retry_after, asked: 0 };
    let error = calls.call("SourceError::new", || SourceError::new("\0")).unwrap();
    let error = calls
        .call("SourceError::with_retry_after", || error.with_retry_after(retry_after))
        .unwrap();
    calls.call("SourceError::retry_after", || error.retry_after());
    let clock = ManualClock::at(times()[0]);
    let options =
        calls.call("FollowOptions::clock", || FollowOptions::new().clock(clock.clone())).unwrap();
    let (gate, follower) =
        calls.call("Follower::start", || Follower::start(source(), options).unwrap()).unwrap();
    let mut changed = calls.call("Follower::changed", || follower.changed()).unwrap();
    for time in DURATIONS {
        clock.advance(time);
        calls.call("Follower::status", || format!("{:?}", follower.status()));
        calls.call("Follower::wait_ready", || follower.wait_ready(Duration::ZERO));
    }
    drop(follower);
    // The follower has ended, so `wait` returns at once.
    calls.call("Changed::wait", || DURATIONS.map(|time| changed.wait(time)));
    drop(gate);

    let gate = Gate::from_document("schema = 1\n[flags.a]\n").unwrap();
    let follower = calls
        .call("Gate::follow", || gate.follow(source(), FollowOptions::new().by_hand()).unwrap());
    let follower = follower.unwrap();
    // The second fetch finds an unsettled document, which could stay unsettled forever.
    calls.call("Follower::refresh_now", || follower.refresh_now().is_ok());
    drop(follower);
    let nudged = std::sync::mpsc::channel();
    let follower = gate.follow(Nudging(nudged.0), FollowOptions::new()).unwrap();
    let nudge = nudged.1.recv().unwrap();
    drop(follower);
    calls.call("Nudge::nudge", || nudge.nudge());
}

/// A source that passes its `Nudge` to the test.
struct Nudging(std::sync::mpsc::Sender<Nudge>);

impl Source for Nudging {
    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        Ok(Fetched::Unchanged)
    }

    fn interval(&self) -> Duration {
        Duration::MAX
    }

    fn watch(&mut self, nudge: Nudge) {
        let _ = self.0.send(nudge);
    }
}
