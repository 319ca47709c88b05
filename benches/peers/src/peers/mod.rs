//! The peers. Each has a file and a cargo feature, so that a peer that does not build does not stop the others.

use crate::scenario::Peer;

#[cfg(feature = "configcat")]
mod configcat;
#[cfg(feature = "eppo")]
mod eppo;
#[cfg(feature = "feature-flag")]
mod feature_flag;
#[cfg(feature = "flagd")]
mod flagd;
#[cfg(feature = "flagsmith")]
mod flagsmith;
#[cfg(feature = "forty-lines")]
mod forty_lines;
#[cfg(feature = "growthbook")]
mod growthbook;
#[cfg(feature = "launchdarkly")]
mod launchdarkly;
#[cfg(feature = "launchdarkly-client")]
mod launchdarkly_client;
#[cfg(any(feature = "launchdarkly", feature = "launchdarkly-client"))]
mod launchdarkly_flag;
#[cfg(feature = "optimizely")]
mod optimizely;
#[cfg(feature = "posthog")]
mod posthog;
mod raw_hash;
#[cfg(feature = "stagegate")]
mod stagegate;
#[cfg(feature = "statsig")]
mod statsig;
#[cfg(feature = "unleash-client")]
mod unleash_client;
#[cfg(any(feature = "unleash-client", feature = "yggdrasil"))]
mod unleash_document;
#[cfg(feature = "yggdrasil")]
mod yggdrasil;

pub use raw_hash::RawHash;

/// An action to run for each peer.
pub trait Visitor {
    fn visit<P: Peer>(&mut self);
}

macro_rules! visit {
    ($($feature:literal: $($peer:path),+;)+) => {
        /// Runs the visitor for each peer in this program.
        #[allow(unused_variables, reason = "a program without peers")]
        pub fn visit(visitor: &mut impl Visitor) {
            $(
                #[cfg(feature = $feature)]
                {
                    $(visitor.visit::<$peer>();)+
                }
            )+
        }
    };
}

visit! {
    "raw-hash": RawHash;
    "forty-lines": forty_lines::WithArcSwap, forty_lines::WithRwLock;
    "stagegate": stagegate::Pinned, stagegate::ByHandle, stagegate::ByName;
    "feature-flag": feature_flag::FeatureFlag, feature_flag::WithSubject;
    "yggdrasil": yggdrasil::Yggdrasil;
    "unleash-client": unleash_client::UnleashClient, unleash_client::WithContext;
    "eppo": eppo::Eppo;
    "launchdarkly": launchdarkly::LaunchDarkly, launchdarkly::WithContext;
    "launchdarkly-client": launchdarkly_client::LaunchDarkly, launchdarkly_client::WithContext;
    "optimizely": optimizely::Optimizely;
    "configcat": configcat::ConfigCat;
    "growthbook": growthbook::GrowthBook;
    "posthog": posthog::PostHog;
    "statsig": statsig::Statsig, statsig::WithUser;
    "flagsmith": flagsmith::Flagsmith;
    "flagd": flagd::Flagd;
}
