//! How traffic is shared between primary and canary.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share of traffic in percent; the constructor is the only place that checks the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

impl Weight {
    /// No traffic.
    pub const NONE: Weight = Weight(0);
    /// All traffic.
    pub const ALL: Weight = Weight(100);

    /// That many percent, when it can be.
    pub fn new(percent: i64) -> Option<Self> {
        u8::try_from(percent).ok().filter(|percent| *percent <= 100).map(Weight)
    }

    /// The number.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// What is left for the other one.
    pub fn rest(self) -> Self {
        Weight(100 - self.0)
    }

    /// More by a step, at most all.
    pub fn raised_by(self, step: Weight) -> Self {
        Weight((self.0 + step.0).min(100))
    }

    /// Less by a step, at least none.
    pub fn lowered_by(self, step: Weight) -> Self {
        Weight(self.0.saturating_sub(step.0))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<Weight> for u8 {
    fn from(weight: Weight) -> u8 {
        weight.0
    }
}

impl TryFrom<u8> for Weight {
    type Error = String;

    fn try_from(percent: u8) -> Result<Self, Self::Error> {
        Weight::new(percent.into()).ok_or_else(|| format!("{percent} is no weight: at most 100"))
    }
}

/// Where requests go. The weights are 100 together, by construction.
///
/// In an A/B run all of [`Split::canary`] is meant for the requests that match, and the others go to the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The canary's share.
    pub canary: Weight,
    /// The canary gets copies of the primary's requests; its answers are dropped.
    pub mirrored: Copies,
    /// Requests that match this one of `spec.analysis.steps` go to the canary, whatever its share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<usize>,
}

impl Split {
    /// The canary gets nothing.
    pub const PRIMARY_ONLY: Split = Split { canary: Weight::NONE, mirrored: Copies::None, header: None };
    /// The canary gets everything.
    pub const CANARY_ONLY: Split = Split { canary: Weight::ALL, ..Split::PRIMARY_ONLY };

    /// The canary gets that much.
    pub fn to_canary(canary: Weight) -> Self {
        Split { canary, ..Split::PRIMARY_ONLY }
    }

    /// The primary's share.
    pub fn primary(self) -> Weight {
        self.canary.rest()
    }

    /// True when the canary answers requests of clients.
    pub fn is_answered_by_canary(self) -> bool {
        self.canary > Weight::NONE || self.header.is_some()
    }
}

/// How many of the requests the canary gets copies of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Copies {
    /// None.
    #[default]
    None,
    /// As many as `spec.analysis.mirrorWeight` says.
    Configured,
    /// This share; never [`Weight::NONE`].
    Share(Weight),
}

impl Copies {
    /// That share of the requests.
    pub fn share(share: Weight) -> Self {
        if share == Weight::NONE { Copies::None } else { Copies::Share(share) }
    }
}

/// Copies as a record has them.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    /// Whether there are any, as the Canary says it.
    AreThere(bool),
    Share(Weight),
}

impl From<Written> for Copies {
    fn from(written: Written) -> Self {
        match written {
            Written::AreThere(false) => Copies::None,
            Written::AreThere(true) => Copies::Configured,
            Written::Share(share) => Copies::share(share),
        }
    }
}

impl From<Copies> for Written {
    fn from(copies: Copies) -> Self {
        match copies {
            Copies::None => Written::AreThere(false),
            Copies::Configured => Written::AreThere(true),
            Copies::Share(share) => Written::Share(share),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.primary(), self.canary)?;
        match self.mirrored {
            Copies::None => {}
            Copies::Configured => f.write_str(" mirrored")?,
            Copies::Share(share) => write!(f, " mirrored {share}%")?,
        }
        self.header.map_or(Ok(()), |step| write!(f, " by steps[{step}].header"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_stays_between_none_and_all() {
        for percent in [-1, 101, 256, i64::MAX] {
            assert_eq!(Weight::new(percent), None, "{percent}");
        }
        let weight = |percent| Weight::new(percent).unwrap();
        assert_eq!(weight(90).raised_by(weight(30)), Weight::ALL);
        assert_eq!(weight(10).lowered_by(weight(30)), Weight::NONE);
        assert!(serde_json::from_str::<Weight>("101").is_err());
    }

    #[test]
    fn a_split_is_always_everything() {
        for percent in 0..=100 {
            let split = Split::to_canary(Weight::new(percent).unwrap());
            assert_eq!(split.primary().percent() + split.canary.percent(), 100);
        }
    }

    #[test]
    fn a_split_is_written_as_it_is_read() {
        let share = Weight::new(20).unwrap();
        let cases = [
            // split, as a record has it, as people read it
            (Split::to_canary(share), r#"{"canary":20,"mirrored":false}"#, "80/20"),
            (
                Split { mirrored: Copies::Configured, ..Split::PRIMARY_ONLY },
                r#"{"canary":0,"mirrored":true}"#,
                "100/0 mirrored",
            ),
            (
                Split { mirrored: Copies::share(share), header: Some(1), ..Split::PRIMARY_ONLY },
                r#"{"canary":0,"mirrored":20,"header":1}"#,
                "100/0 mirrored 20% by steps[1].header",
            ),
        ];
        for (split, written, shown) in cases {
            assert_eq!(serde_json::to_string(&split).unwrap(), written);
            assert_eq!(serde_json::from_str::<Split>(written).unwrap(), split);
            assert_eq!(split.to_string(), shown);
        }
    }
}
