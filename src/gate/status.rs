//! The state of a gate, for people and programs to inspect.

use super::error::UpdateError;
use crate::eval::{Flag, Snapshot, StageName};
use crate::percent::Percent;

/// The state of a gate's flags in one version.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
///
/// let gate = Gate::from_document("schema = 1\n[flags.a]\nowner = \"checkout\"\nstage = \"pilot\"")?;
/// gate.roll_back("a")?;
/// let status = gate.status();
/// assert_eq!(status.version, 2);
/// let flag = &status.flags[0];
/// assert_eq!((&*flag.key, &*flag.stage, &*flag.declared), ("a", "off", "pilot"));
/// assert_eq!(flag.owner.as_deref(), Some("checkout"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The version in force.
    pub version: u64,
    /// Every flag, in order of their keys.
    pub flags: Vec<FlagStatus>,
    /// The error of the last refused update, if any. Later updates may have been applied.
    pub last_refused: Option<UpdateError>,
}

/// The state of one flag.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlagStatus {
    /// The flag's key.
    pub key: String,
    /// The owner, from the document.
    pub owner: Option<String>,
    /// The description, from the document.
    pub description: Option<String>,
    /// The current stage.
    pub stage: StageName,
    /// The flag's `stage` in the document. Differs from the current stage if a call or a rollout has moved the flag.
    pub declared: StageName,
    /// The percentage of the current stage.
    pub percent: Percent,
    /// Every stage of the flag's plan with its percentage, in order.
    pub stages: Vec<(StageName, Percent)>,
}

impl Status {
    pub(super) fn new(snapshot: &Snapshot, last_refused: Option<UpdateError>) -> Status {
        let flags = snapshot.flags().iter().map(FlagStatus::new).collect();
        Status { version: snapshot.version(), flags, last_refused }
    }
}

impl FlagStatus {
    fn new(flag: &Flag) -> FlagStatus {
        let definition = flag.definition();
        let name = |position| definition.stage_name(position).unwrap_or(StageName::OFF);
        FlagStatus {
            key: definition.key.as_str().to_owned(),
            owner: definition.owner.as_deref().map(str::to_owned),
            description: definition.description().map(str::to_owned),
            stage: name(flag.position()),
            declared: name(flag.declared()),
            percent: definition.stage(flag.position()).map_or(Percent::NONE, |stage| stage.percent),
            stages: definition.stages.iter().map(|stage| (*stage.name(), stage.percent)).collect(),
        }
    }
}
