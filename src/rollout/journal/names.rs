//! Serialization of names and values in a record.

/// A phase of an incident by its name: `verify`.
pub(in crate::rollout) mod phase {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::plan::model::Phase;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        phase: &Phase,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(phase)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Phase, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Phase::of_name(&text).ok_or_else(|| serde::de::Error::custom("not a phase of an incident"))
    }
}

/// A stage by its name.
pub(in crate::rollout) mod stage {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::eval::StageName;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        stage: &StageName,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(stage)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<StageName, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        StageName::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A stage by its name, or `null`.
pub(in crate::rollout) mod maybe_stage {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::eval::StageName;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        stage: &Option<StageName>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        match stage {
            Some(stage) => out.serialize_str(stage),
            None => out.serialize_none(),
        }
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<StageName>, D::Error> {
        let text = <Option<std::borrow::Cow<'de, str>>>::deserialize(from)?;
        let stage = text.map(|text| StageName::parse(&text).map_err(serde::de::Error::custom));
        stage.transpose()
    }
}

/// A time of a message, as documents write it: `-3d`.
pub(in crate::rollout) mod when {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::plan::model::When;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        when: &When,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(when)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<When, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Messages that were sent: their stage, time and occurrence number.
pub(in crate::rollout) mod sent {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::eval::StageName;
    use crate::plan::model::When;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        sent: &[(StageName, When, u32)],
        out: S,
    ) -> Result<S::Ok, S::Error> {
        let texts = sent.iter().map(|(stage, when, number)| (&**stage, when.to_string(), number));
        out.collect_seq(texts)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(StageName, When, u32)>, D::Error> {
        let texts = <Vec<(String, String, u32)>>::deserialize(from)?.into_iter();
        let parsed = texts.map(|(stage, when, number)| {
            let stage = StageName::parse(&stage).map_err(D::Error::custom)?;
            Ok((stage, when.parse().map_err(D::Error::custom)?, number))
        });
        parsed.collect()
    }
}

/// A moment in milliseconds since 1970.
pub(in crate::rollout) mod maybe_moment {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::rollout::journal::{millis_of_moment, moment_of_millis};

    pub(in crate::rollout) fn serialize<S: Serializer>(
        at: &Option<SystemTime>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(millis_of_moment).serialize(out)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        Ok(<Option<u64>>::deserialize(from)?.map(moment_of_millis))
    }
}

/// A boot by its name.
pub(in crate::rollout) mod boot {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Boot;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        boot: &Boot,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_str(boot.as_str())
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Boot, D::Error> {
        String::deserialize(from).map(Boot::new)
    }
}

/// A value of a metric with its unit: `["percent", "0.3%"]`.
pub(in crate::rollout) mod quantity {
    use std::borrow::Cow;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::plan::model::{Quantity, Unit};

    pub(in crate::rollout) fn serialize<S: Serializer>(
        value: &Option<Quantity>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|value| (value.unit().to_string(), value.to_string())).serialize(out)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Quantity>, D::Error> {
        let Some((unit, text)) = <Option<(Cow<'de, str>, Cow<'de, str>)>>::deserialize(from)?
        else {
            return Ok(None);
        };
        let unit = Unit::of_name(&unit).ok_or_else(|| Error::custom("not a unit"))?;
        Quantity::parse(&text, unit).map(Some).map_err(Error::custom)
    }
}

/// A duration in milliseconds.
pub(in crate::rollout) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::rollout) fn serialize<S: Serializer>(
        time: &Duration,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A hash as 64 hexadecimal digits.
pub(in crate::rollout) mod hash {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::rollout::Hash;

    pub(in crate::rollout) fn serialize<S: Serializer>(
        hash: &Hash,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_str(hash)
    }

    pub(in crate::rollout) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Hash, D::Error> {
        let digits = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Hash::parse(digits.as_bytes()).ok_or_else(|| serde::de::Error::custom("not a hash"))
    }
}
