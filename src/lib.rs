//! **Never deploy 0 → 100.** Feature flags and staged rollouts for Rust services.
//!
//! Your team reviews one plan document: who gets a feature, in which stages. Your code calls [`Gate::is_enabled`] on
//! its hottest path: no lock, no allocation, no network, no failure. A rollout executes the plan, one stage at a time.
//! It promotes when the stage's conditions hold, and rolls back automatically when a metric passes its limit. A
//! journal records every step and survives crashes.
//!
//! stagegate is for teams that release features of a Rust service step by step, with a plan that they review. It is a
//! crate that you embed, not a service. Start with a gate. Add a rollout, a store and a guard when you need them.
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
//! // From any thread: no lock, no allocation, no failure.
//! assert!(gate.is_enabled("ana", "new-checkout"));
//! assert!(!gate.is_enabled("user-42", "new-checkout"));
//!
//! // One stage at a time. Skipping a stage needs a reason.
//! assert!(gate.set_stage("new-checkout", "ga").is_err());
//! gate.set_stage("new-checkout", "pilot")?;
//! gate.set_stage("new-checkout", "ga")?;
//! assert!(gate.is_enabled("user-42", "new-checkout"));
//!
//! // Back to off for everybody, at once.
//! gate.roll_back("new-checkout")?;
//! assert!(!gate.is_enabled("ana", "new-checkout"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A switch gives a feature, and every fault in it, to all users at once. Stages let it grow: to the team, to a tenth,
//! to a quarter, to all. Each step is decided on the results of the step before, and one call takes the feature back.
//!
//! # Modules
//!
//! | items | purpose |
//! | --- | --- |
//! | [`Gate`], [`FlagHandle`], [`Pinned`] | check flags: by name, one flag fastest, several checks on one version |
//! | [`User`], [`AsUser`] | users with attributes; strings, integers and types of your own as users |
//! | [`Evaluation`], [`Reason`] | a decision with its reason, stage, cohort and bucket |
//! | [`Document`], [`Plan`], [`PlanError`] | the text of a plan, the checked plan, and the problems found in the text |
//! | [`Update`], [`UpdateError`], [`Observer`] | an applied update, a refused update, and an observer of both |
//! | [`Status`], [`FlagStatus`] | the flags in force, with version and stage |
//! | [`Percent`], [`Salt`] | exact percentages, and the salt that spreads users over buckets |
//! | [`model`], [`limits`] | the sections of a plan as types ([`Plan::flag`]), and the largest sizes of a plan |
//! | `rollout` (feature `rollout`) | execute a plan: promotions, rollbacks, incidents, notifications, journal |
//! | `store` (feature `rollout`) | keep plan and journal: `Directory`, `Memory`, with feature `etcd` also `Etcd` |
//! | `guard` (feature `guard`) | count outcomes where requests are served, and judge triggers by these counts |
//! | `source` (feature `follow`) | follow a document: `File`, and `Http` (feature `http`) |
//! | `integrate` (feature `rollout`) | notify others, read metrics, and export metrics and events |
//! | `clock` (features `rollout`, `follow`, `tower`) | clocks of the system, and a manual clock for tests |
//! | `http` (features `http`, `prometheus`, `etcd`) | endpoints: address, deadline, certificates and secrets |
//!
//! The command line `stagegate` (package `stagegate-cli`) checks, prints, schedules, explains and executes plans.
//!
//! # Chapters
//!
//! | chapter | content |
//! | --- | --- |
//! | [`plans`](_docs::plans) | the plan document, field by field, and what an update may do |
//! | [`cli`](_docs::cli) | the command line, command by command |
//! | [`bucketing`](_docs::bucketing) | who is in the 10%: the formula |
//! | [`performance`](_docs::performance) | what a check costs, and why |
//! | [`design`](_docs::design) | why it is built this way |
//! | [`promises`](_docs::promises) | guarantees, each with the test that would fail |
//! | [`changelog`](_docs::changelog) | what changed for users |
//! | `rollout` (feature `rollout`) | running a plan: states, conditions, readings, rollback and incidents, time |
//! | `journal` (feature `rollout`) | the format of the journal |
//! | `telling` (feature `rollout`) | notifications: files, programs, webhooks, the plan's messages |
//! | `observing` (feature `rollout`) | metrics and events: names, labels, costs, personal data |
//! | `fleet` (feature `rollout`) | many processes on one etcd: guarantees, failures, costs |
//! | `guards` (feature `guard`) | how metrics are judged, how soon a fault shows, how often a verdict is wrong |
//! | `following` (feature `follow`) | reloading documents: files, `ConfigMap`s, servers, last known good |
//!
//! # When not to use it
//!
//! - For permissions or secrets. Anyone who can choose a user key can aim for a bucket.
//! - For values other than on and off, or experiments with more than two arms.
//! - If people who are not developers change targeting by hand in a web page. A flag service does that better.
//!
//! # Panics
//!
//! No function of this crate panics, for any document or argument. An observer of yours may panic: the gate catches it,
//! see [`Gate::observe`].
//!
//! # Features
//!
//! All features are additive. None changes a decision.
//!
//! * `toml` (default): documents in TOML. Costs the parser of the `toml` crate.
//! * `json` (default): documents in JSON. Costs `serde` and `serde_json`.
//! * `guard`: module `guard`. No dependency.
//! * `tower`: `guard::GuardLayer`, which checks a flag and counts in a `tower` service. Costs `tower-layer`,
//!   `tower-service` and `pin-project-lite`.
//! * `rollout`: modules `rollout`, `store`, `integrate` and `clock`. Costs `serde`, `serde_json`, `sha2` and `memchr`.
//! * `follow`: modules `source` and `clock`. Costs `notify`, `serde` and `serde_json`, 11 packages in all.
//! * `http`: module `http` and `integrate::Webhook`; with `follow` also `source::Http`. Costs `ureq` with `rustls`, 23
//!   packages in all, and a C compiler for `ring`.
//! * `prometheus`: `integrate::Prometheus`. Shares the cost of `http`.
//! * `etcd`: `store::Etcd`, plan and journal of a fleet. Shares the cost of `http`.
//! * `archive`: `store::Archive`, earlier segments of a journal as compressed files. Costs `flate2`, 5 packages in all.
//! * `sign`: `rollout::SigningKey` and `PublicKeys`, signed records. Costs `ed25519-dalek`, 8 packages in all.
//! * `metrics`: `integrate::Metrics`, counters and gauges for the `metrics` crate. Costs `metrics` and `rapidhash`.
//! * `tracing`: `integrate::Tracing`, events for the `tracing` crate. Costs `tracing`, `tracing-core`, `once_cell` and
//!   `pin-project-lite`.
//! * `schema`: `model::json_schema`, the JSON Schema of documents for editors. Costs `schemars`.
//!
//! Without `toml` and `json` there is no way to load a plan. [`Salt`] and [`Percent`] still work.
//!
//! # Words
//!
//! Other systems call a flag a toggle, a feature switch or a feature gate, and a group a segment. They call a stage a
//! step, a phase or a ring, of a canary release, a gradual, phased or progressive delivery. They call a rollback a
//! kill switch.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod _docs;
#[cfg(any(feature = "follow", feature = "rollout"))]
#[cfg_attr(
    not(all(feature = "follow", feature = "rollout")),
    allow(dead_code, reason = "each feature uses a part")
)]
mod background;
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

pub use eval::{AsUser, AttributeValue, Evaluation, Reason, Salt, StageName, User, UserKey};
pub use gate::{
    AudienceChange, Change, FlagHandle, FlagStatus, Gate, Observer, Pinned, Status, Update,
    UpdateError,
};
pub use percent::{ParsePercentError, Percent};
pub use plan::{Document, Format, Plan, PlanError, Problem, limits, model};
