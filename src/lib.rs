//! Feature flags that never deploy 0 → 100: percentage gates and staged rollouts from one reviewed
//! document, answered in nanoseconds, swapped in one atomic step.
//!
//! # Why stages and not a switch?
//!
//! A switch takes a feature from nobody to everybody, and a fault in it with it. A staged rollout
//! lets it grow: to the team, to a tenth, to a quarter, to all, each step decided on what the step
//! before has shown, and back to nobody in one call. The plan for that (who, how many, in which
//! order) is a document that a team reviews; this crate is what executes it.
//!
//! # Example
//!
//! ```
//! use stagegate::Gate;
//!
//! let gate = Gate::from_document(r#"
//!     schema = 1
//!     [groups.team]
//!     users = ["ana", "ben"]
//!     [flags.new-checkout]
//!     stage = "internal"
//!     stages = [
//!         { name = "internal", groups = ["team"] },
//!         { name = "pilot", percent = 10 },
//!         { name = "ga", percent = 100 },
//!     ]
//! "#)?;
//!
//! // Any thread, any time: no lock, no allocation, no failure.
//! assert!(gate.is_enabled("ana", "new-checkout"));
//! assert!(!gate.is_enabled("user-42", "new-checkout"));
//!
//! // One stage at a time; skipping one needs a reason.
//! assert!(gate.set_stage("new-checkout", "ga").is_err());
//! gate.set_stage("new-checkout", "pilot")?;
//! gate.set_stage("new-checkout", "ga")?;
//! assert!(gate.is_enabled("user-42", "new-checkout"));
//!
//! // And back, at once, for everybody.
//! gate.roll_back("new-checkout")?;
//! assert!(!gate.is_enabled("ana", "new-checkout"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! * [`Gate`] is what an application holds; [`FlagHandle`] asks about one flag, fastest;
//!   [`Pinned`] asks several questions of one version.
//! * [`AsUser`] says who can be asked about: strings, integers, [`User`] with attributes, types of
//!   your own.
//! * [`Document`] is a plan's text and [`Plan`] what it says; [`PlanError`] lists what is wrong
//!   with one, [`UpdateError`] why a change was refused.
//! * [`Plan::flag`] gives all that a plan says of a flag, as the types of [`model`]: what a stage
//!   asks, what takes the flag back, who is responsible, messages, dates.
//! * With feature `rollout`, `rollout::Rollout` executes the plan: it promotes by its criteria, takes
//!   back by its triggers, and keeps a journal in a `store::Directory`, or for a
//!   fleet in a `store::Etcd`.
//! * With feature `guard`, `guard::Guard` counts outcomes where requests are served, and judges triggers by
//!   them as often as one likes.
//! * With feature `follow`, `source::Follower` follows a document: a `source::File`, with `http` a `source::Http`.
//! * `integrate` connects a rollout: `JsonLines`, `Command` and `Webhook` tell what happens, `Prometheus` reads
//!   metrics; `Figures`, `Metrics` and `Tracing` let it be observed.
//! * The command line `stagegate` (package `stagegate-cli`) checks, prints, schedules, explains and
//!   executes documents.
//! * Chapters: the [plan document](_docs::plans), [bucketing](_docs::bucketing), [performance](_docs::performance), the
//!   [design](_docs::design), the [promises](_docs::promises) and their tests; with features
//!   `rollout`, `guard` and `follow` also rollouts, the format of their journal, telling, observing, fleets, guards, and following.
//!
//! # When not to use it
//!
//! For secrets and permissions: whoever can choose a user key can aim for a bucket. For values
//! other than on and off, and for experiments with more than two arms. Where people who are not
//! developers must change targeting by hand in a web page, a flag service serves better.
//!
//! # Panics
//!
//! Nothing in this crate panics, whatever a document holds or a caller passes. Observers may: their
//! panics are caught, see [`Gate::observe`].
//!
//! # Features
//!
//! All are additive, and none changes a decision.
//!
//! * `toml` (default): documents in TOML. Costs the parser of the `toml` crate.
//! * `json` (default): documents in JSON. Costs `serde` and `serde_json`.
//! * `guard`: module `guard`. No dependency.
//! * `tower`: `guard::GuardLayer`, which counts in a `tower` service. Costs `tower-layer`, `tower-service` and
//!   `pin-project-lite`.
//! * `rollout`: modules `rollout`, `store`, `integrate` and `clock`. Costs `serde`, `serde_json`, `sha2` and
//!   `memchr`.
//! * `follow`: modules `source` and `clock`. Costs `notify`, `serde` and `serde_json`, 11 packages in all.
//! * `http`: `integrate::Webhook`, module `http`; with `follow` also `source::Http`. Costs `ureq` with `rustls`, 23 packages in all, and a C compiler for `ring`.
//! * `prometheus`: `integrate::Prometheus`. Costs the same, once.
//! * `etcd`: `store::Etcd`, plan and journal of a fleet. Costs the same, once.
//! * `metrics`: `integrate::Metrics`, counters and gauges through the facade of the `metrics` crate. Costs that and
//!   `rapidhash`.
//! * `tracing`: `integrate::Tracing`, events of the `tracing` crate. Costs that, `tracing-core`, `once_cell` and
//!   `pin-project-lite`.
//! * `schema`: `model::json_schema`, the JSON Schema of documents for editors. Costs `schemars`.
//!
//! Without `toml` and `json` there is [`Salt`] and [`Percent`], and no way to load a plan.
//!
//! # In other words
//!
//! A flag is a toggle, a feature switch or a feature gate; a group is a segment; a stage is a step
//! or ring of a canary release, a gradual, phased or progressive delivery; a roll-back is a kill
//! switch.

#![forbid(unsafe_code)]

pub mod _docs;
#[cfg(any(feature = "follow", feature = "rollout", feature = "tower"))]
pub mod clock;
mod eval;
mod gate;
#[cfg(feature = "guard")]
pub mod guard;
#[cfg(feature = "_http")]
pub mod http;
#[cfg(feature = "rollout")]
pub mod integrate;
mod key;
mod percent;
mod plan;
#[cfg(feature = "rollout")]
pub mod rollout;
#[cfg(feature = "follow")]
pub mod source;
#[cfg(feature = "rollout")]
pub mod store;
#[cfg(any(feature = "rollout", feature = "_http"))]
mod text;
#[cfg(any(feature = "rollout", feature = "follow"))]
mod trust;

pub use eval::{AsUser, Evaluation, Reason, Salt, StageName, User, UserKey};
pub use gate::{
    AudienceChange, Change, FlagHandle, FlagStatus, Gate, Observer, Pinned, Status, Update,
    UpdateError,
};
pub use percent::{ParsePercentError, Percent};
pub use plan::{Document, Format, Plan, PlanError, Problem, limits, model};
