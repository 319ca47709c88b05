//! Serialization of names in a record.

/// A phase of an incident by its name: `verify`.
pub(super) mod phase {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::plan::model::Phase;

    pub(in crate::rollout::journal) fn serialize<S: Serializer>(
        phase: &Phase,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(phase)
    }

    pub(in crate::rollout::journal) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Phase, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Phase::of_name(&text).ok_or_else(|| serde::de::Error::custom("not a phase of an incident"))
    }
}

/// A stage by its name.
pub(super) mod stage {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::eval::StageName;

    pub(in crate::rollout::journal) fn serialize<S: Serializer>(
        stage: &StageName,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(stage)
    }

    pub(in crate::rollout::journal) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<StageName, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        StageName::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A stage by its name, or `null`.
pub(super) mod maybe_stage {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::eval::StageName;

    pub(in crate::rollout::journal) fn serialize<S: Serializer>(
        stage: &Option<StageName>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match stage {
            Some(stage) => out.serialize_str(stage),
            None => out.serialize_none(),
        }
    }

    pub(in crate::rollout::journal) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<StageName>, D::Error> {
        let text = <Option<std::borrow::Cow<'de, str>>>::deserialize(from)?;
        let stage = text.map(|text| StageName::parse(&text).map_err(serde::de::Error::custom));
        stage.transpose()
    }
}
