//! Was a version set by a person since the last promotion: then it is theirs, and is not overwritten without a word.

use std::sync::Arc;

use jiff::Timestamp;

use crate::registry::Version;

/// What a commit made of the version of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whether it was one of ours, and about this image.
    pub is_ours: bool,
    /// Whose it was.
    pub author: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// The version from then on.
    pub version: Option<Version>,
}

/// A version that a person has set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` was set to {version} by {author} on {}", at.strftime("%Y-%m-%d"))]
pub struct ByHand {
    /// The image.
    pub name: String,
    /// The version.
    pub version: String,
    /// Who has set it.
    pub author: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// Who has set the version that is there, when it was a person, after one of ours. `steps` are the commits that changed the
/// file, the newest first. Where none is ours nothing has been promoted yet, and the first time overwrites what people began with.
pub fn by_hand(name: &str, steps: &[Step]) -> Option<ByHand> {
    let current = &steps.first()?.version;
    let ours = steps.iter().position(|step| step.is_ours)?;
    let (after, last) = (steps.get(..ours)?, steps.get(ours)?);
    if last.version == *current {
        return None;
    }
    // The oldest of those since when it has been so.
    let setter = after.iter().take_while(|step| step.version == *current).last()?;
    let version = current.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    Some(ByHand { name: name.to_owned(), version, author: setter.author.clone(), at: setter.at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Tag;

    /// `Ada:1.4.1`, the newest first; `leeboard` is us.
    fn steps(text: &str) -> Vec<Step> {
        let step = |(number, text): (usize, &str)| {
            let (author, tag) = text.split_once(':').unwrap();
            Step {
                is_ours: author == "leeboard",
                author: author.into(),
                at: Timestamp::from_second(1_793_000_000 - 86_400 * i64::try_from(number).unwrap()).unwrap(),
                version: Tag::new(tag).ok().map(Version::Tag),
            }
        };
        text.split(' ').filter(|text| !text.is_empty()).enumerate().map(step).collect()
    }

    #[test]
    fn what_a_person_has_set_since_the_last_promotion_is_theirs() {
        let cases = [
            ("", None),
            ("Ada:1", None),
            ("leeboard:2 Ada:1", None),
            ("Ada:3 leeboard:2 Ada:1", Some("`web` was set to 3 by Ada on 2026-10-26")),
            // Others have changed the file since.
            ("Bob:3 Ada:3 leeboard:2", Some("`web` was set to 3 by Ada on 2026-10-25")),
            ("Bob:2 leeboard:2", None),
            // It was put back.
            ("Ada:2 Ada:3 leeboard:2", None),
            ("Ada:4 Bob:3 leeboard:2", Some("`web` was set to 4 by Ada on 2026-10-26")),
            ("Ada: leeboard:2", Some("`web` was set to nothing by Ada on 2026-10-26")),
        ];
        for (text, expected) in cases {
            let found = by_hand("web", &steps(text)).map(|by_hand| by_hand.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
