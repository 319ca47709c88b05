//! The chapters of the documentation, from `docs/`.

#[doc = include_str!("../docs/tutorial.md")]
pub mod tutorial {}

#[doc = include_str!("../docs/comparison.md")]
pub mod comparison {}

#[doc = include_str!("../docs/plans.md")]
pub mod plans {}

#[doc = include_str!("../docs/targeting.md")]
pub mod targeting {}

#[cfg(feature = "rollout")]
#[doc = include_str!("../docs/rollout.md")]
pub mod rollout {}

#[cfg(feature = "rollout")]
#[doc = include_str!("../docs/journal.md")]
pub mod journal {}

#[cfg(feature = "rollout")]
#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[cfg(feature = "rollout")]
#[doc = include_str!("../docs/telling.md")]
pub mod telling {}

#[cfg(feature = "rollout")]
#[doc = include_str!("../docs/observing.md")]
pub mod observing {}

#[cfg(feature = "rollout")]
#[doc = include_str!("../docs/fleet.md")]
pub mod fleet {}

#[cfg(feature = "follow")]
#[doc = include_str!("../docs/following.md")]
pub mod following {}

#[cfg(feature = "guard")]
#[doc = include_str!("../docs/guards.md")]
pub mod guards {}

#[doc = include_str!("../docs/cli.md")]
pub mod cli {}

#[doc = include_str!("../docs/bucketing.md")]
pub mod bucketing {}

#[doc = include_str!("../docs/performance.md")]
pub mod performance {}

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../docs/design.md")]
pub mod design {}

#[doc = include_str!("../docs/promises.md")]
pub mod promises {}

#[doc = include_str!("../CHANGELOG.md")]
pub mod changelog {}

#[cfg(all(doctest, feature = "toml"))]
#[doc = include_str!("../README.md")]
pub mod readme {}
