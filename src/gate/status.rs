//! What is in force, for people and programs to look at.

use super::error::UpdateError;
use crate::eval::{Flag, Snapshot, StageName};
use crate::percent::Percent;

/// A gate's flags as they stand, of one version.
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
    /// The last update that was refused, if ever one was; later ones may have been applied.
    pub last_refused: Option<UpdateError>,
}

/// One flag as it stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlagStatus {
    /// Its key.
    pub key: String,
    /// Who answers for it, as the document says.
    pub owner: Option<String>,
    /// What it is for, as the document says.
    pub description: Option<String>,
    /// Where it is.
    pub stage: StageName,
    /// Where the document puts it; differs from `stage` when a call has moved the flag since.
    pub declared: StageName,
    /// The share of users that its stage lets in by bucket.
    pub percent: Percent,
    /// Its plan: every stage with its percentage, in order.
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
