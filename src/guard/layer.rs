//! A `tower` layer that checks a flag and counts requests.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{GuardedFlag, Outcome};
use crate::clock::monotonic;
use crate::eval::{AsUser, Placement};

/// A `tower` layer that evaluates a flag for each request, passes the answer along, and counts outcome and latency.
///
/// A request counts as an error if its service returns an error or if `fails` returns true for the response. A
/// request that is dropped before there is a response, because the client gave up, is an error too. The latency is
/// the time until the response's head.
///
/// # Example
///
/// ```
/// use axum::extract::Request;
/// use axum::http::StatusCode;
/// use axum::response::Response;
/// use axum::{Extension, Router, routing::get};
/// use stagegate::guard::{Guard, GuardLayer};
/// use stagegate::{Gate, Plan};
///
/// #[derive(Clone, Copy)]
/// struct NewCheckout(bool);
///
/// let plan = Plan::parse("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
/// let gate = Gate::from_plan(&plan);
/// let guard = Guard::new(&gate, plan);
/// let layer = GuardLayer::new(
///     guard.flag("new-checkout"),
///     |request: &Request| Some(request.headers().get("user")?.to_str().ok()?.to_owned()),
///     |request: &mut Request, enabled| drop(request.extensions_mut().insert(NewCheckout(enabled))),
///     |response: &Response| response.status().is_server_error(),
/// );
/// let page = |flag: Option<Extension<NewCheckout>>| async move {
///     if flag.is_some_and(|flag| flag.0.0) { "one page" } else { "four steps" }
/// };
/// let service: Router = Router::new().route("/checkout", get(page)).layer(layer);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone)]
pub struct GuardLayer<U, T, F> {
    flag: GuardedFlag,
    user: U,
    set_answer: T,
    fails: F,
    timer: fn() -> Duration,
}

impl<U, T, F> GuardLayer<U, T, F> {
    /// Returns a layer for a flag.
    ///
    /// `user` returns the user of a request. Without a user, the flag is off and the request is not counted.
    /// `set_answer` stores the flag's answer in the request. `fails` returns whether a response is an error.
    pub fn new(flag: GuardedFlag, user: U, set_answer: T, fails: F) -> GuardLayer<U, T, F> {
        GuardLayer { flag, user, set_answer, fails, timer: monotonic }
    }

    /// Uses another monotonic clock to time requests.
    #[must_use]
    pub fn timed_by(self, timer: fn() -> Duration) -> GuardLayer<U, T, F> {
        GuardLayer { timer, ..self }
    }
}

impl<S, U: Clone, T: Clone, F: Clone> Layer<S> for GuardLayer<U, T, F> {
    type Service = GuardService<S, U, T, F>;

    fn layer(&self, service: S) -> GuardService<S, U, T, F> {
        GuardService { service, layer: self.clone() }
    }
}

/// A service that checks the flag and counts requests. [`GuardLayer`] makes it.
#[derive(Clone)]
pub struct GuardService<S, U, T, F> {
    service: S,
    layer: GuardLayer<U, T, F>,
}

impl<S, R, K, U, T, F> Service<R> for GuardService<S, U, T, F>
where
    S: Service<R>,
    K: AsUser,
    U: Fn(&R) -> Option<K>,
    T: Fn(&mut R, bool),
    F: Fn(&S::Response) -> bool + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GuardFuture<S::Future, F>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: R) -> GuardFuture<S::Future, F> {
        let GuardLayer { flag, user, set_answer, fails, timer } = &self.layer;
        let placed = user(&request).and_then(|user| flag.place(&user));
        set_answer(&mut request, placed.is_some_and(|placed| placed.enabled));
        let counted = placed.map(|placed| Counted {
            flag: flag.clone(),
            placed,
            timer: *timer,
            begin: timer(),
            is_counted: false,
        });
        GuardFuture { inner: self.service.call(request), counted, fails: fails.clone() }
    }
}

pin_project! {
    /// The future of a request that is counted when it ends.
    pub struct GuardFuture<I, F> {
        #[pin]
        inner: I,
        counted: Option<Counted>,
        fails: F,
    }
}

impl<I, F, A, E> Future for GuardFuture<I, F>
where
    I: Future<Output = Result<A, E>>,
    F: Fn(&A) -> bool,
{
    type Output = Result<A, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<A, E>> {
        let this = self.project();
        let result = ready!(this.inner.poll(context));
        if let Some(counted) = this.counted.take() {
            let failed = result.as_ref().map_or(true, |response| (this.fails)(response));
            counted.finish(failed);
        }
        Poll::Ready(result)
    }
}

/// Counts one request when it ends. A dropped request counts as an error.
struct Counted {
    flag: GuardedFlag,
    placed: Placement,
    timer: fn() -> Duration,
    begin: Duration,
    is_counted: bool,
}

impl Counted {
    fn finish(mut self, failed: bool) {
        self.record(failed);
    }

    fn record(&mut self, failed: bool) {
        if !std::mem::replace(&mut self.is_counted, true) {
            let outcome = if failed { Outcome::error() } else { Outcome::ok() };
            let took = (self.timer)().saturating_sub(self.begin);
            self.flag.count(self.placed, outcome.took(took));
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.record(true);
    }
}

impl<U, T, F> fmt::Debug for GuardLayer<U, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer").field("flag", &self.flag).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, U, T, F> fmt::Debug for GuardService<S, U, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardService")
            .field("service", &self.service)
            .field("layer", &self.layer)
            .finish()
    }
}

impl<I, F> fmt::Debug for GuardFuture<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use std::future::{Pending, Ready, pending, ready};
    use std::task::Waker;

    use super::*;
    use crate::gate::Gate;
    use crate::guard::Guard;
    use crate::plan::Plan;

    /// How the service answers a request.
    #[derive(Clone, Copy)]
    enum Wish {
        Answer(u16),
        Error,
        Nothing,
    }

    #[derive(Clone, Debug)]
    struct Shop;

    enum Served {
        Now(Ready<Result<u16, &'static str>>),
        Never(Pending<Result<u16, &'static str>>),
    }

    impl Future for Served {
        type Output = Result<u16, &'static str>;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            match self.get_mut() {
                Served::Now(future) => Pin::new(future).poll(context),
                Served::Never(future) => Pin::new(future).poll(context),
            }
        }
    }

    type Request = (u64, Wish, Option<bool>);

    impl Service<Request> for Shop {
        type Response = u16;
        type Error = &'static str;
        type Future = Served;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (_, wish, answer): Request) -> Served {
            assert_eq!(answer, Some(true), "the answer comes with the request");
            match wish {
                Wish::Answer(code) => Served::Now(ready(Ok(code))),
                Wish::Error => Served::Now(ready(Err("broken"))),
                Wish::Nothing => Served::Never(pending()),
            }
        }
    }

    /// A clock that stands still, so that every latency is zero.
    fn still() -> Duration {
        Duration::ZERO
    }

    #[test]
    fn each_request_is_counted_once_however_it_ends() {
        let plan = Plan::parse(
            "schema = 1\n[flags.a]\nstage = \"all\"\nstages = [{ name = \"all\", percent = 100 }]\n\
             triggers = [{ metric = \"error_rate\", above = \"1%\", no_data = \"hold\", action = \"rollback\" }]",
        )
        .expect("a plan");
        let guard = Guard::new(&Gate::from_plan(&plan), plan);
        guard.look(Duration::ZERO);
        let layer = GuardLayer::new(
            guard.flag("a"),
            |request: &Request| Some(request.0),
            |request: &mut Request, enabled| request.2 = Some(enabled),
            |code: &u16| *code >= 500,
        );
        let mut service = layer.timed_by(still).layer(Shop);
        let mut context = Context::from_waker(Waker::noop());
        let wishes =
            [Wish::Answer(200), Wish::Answer(404), Wish::Answer(503), Wish::Error, Wish::Nothing];
        for (user, wish) in (0..50).zip(wishes.into_iter().cycle()) {
            let mut served = service.call((user, wish, None));
            let _ = Pin::new(&mut served).poll(&mut context);
        }
        // 200 and 404 are successes. A response that never came is an error.
        let verdict = guard.look(Duration::from_secs(1)).remove(0).findings.remove(0).verdict;
        assert!(verdict.to_string().starts_with("60.000% (30 of 50) with the flag"), "{verdict}");
    }
}
