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
    pub mirrored: bool,
}

impl Split {
    /// The canary gets nothing.
    pub const PRIMARY_ONLY: Split = Split { canary: Weight::NONE, mirrored: false };
    /// The canary gets everything.
    pub const CANARY_ONLY: Split = Split { canary: Weight::ALL, mirrored: false };

    /// The canary gets that much.
    pub fn to_canary(canary: Weight) -> Self {
        Split { canary, mirrored: false }
    }

    /// The primary's share.
    pub fn primary(self) -> Weight {
        self.canary.rest()
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.primary(), self.canary, if self.mirrored { " mirrored" } else { "" })
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
}
