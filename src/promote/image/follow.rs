//! [`Follow`]: an image of an environment that follows its registry, as its Environment says it.

use smol_str::SmolStr;

use super::target::Target;
use super::{BadPolicy, Decision, Policy};
use crate::api::leeboard::{FollowedImage, ImagePolicy};
use crate::promote::edit::{FieldPath, Found, Image, NotAPath};
use crate::registry::{NotAReference, Repository, Tag, Tagged, Version};
use crate::source;

/// An image that follows its registry.
#[derive(Clone, Debug)]
pub struct Follow {
    name: SmolStr,
    new_name: Option<SmolStr>,
    policy: Policy,
    target: Target,
}

/// Why an image can't be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("image `{name}`: {problem}")]
pub struct Unfollowed {
    /// The image.
    pub name: SmolStr,
    /// Why.
    pub problem: Problem,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// None of the four, or more than one.
    #[error("write one of `semver`, `regex`, `newest` and `digest`")]
    NotOnePolicy,
    /// Not a range or pattern.
    #[error(transparent)]
    Policy(#[from] BadPolicy),
    /// Not a name or a tag.
    #[error(transparent)]
    Reference(#[from] NotAReference),
    /// Not a field.
    #[error(transparent)]
    Field(#[from] NotAPath),
    /// A field without the file that has it.
    #[error("`field` needs a `file`")]
    NoFile,
    /// A path that leads out of the repository.
    #[error(transparent)]
    Path(#[from] source::Error),
}

impl Follow {
    /// Reads what an Environment says, whose cluster directory is `directory`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(written: &FollowedImage, directory: &str) -> Result<Self, Unfollowed> {
        let name = SmolStr::new(&written.name);
        read(written, directory).map_err(|problem| Unfollowed { name, problem })
    }

    /// What manifests call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its version is chosen.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where its version is written.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The repository that it follows, where the file says this of it.
    ///
    /// # Errors
    /// When the file has a name that no registry would have.
    pub fn repository(&self, found: Option<&Found>) -> Result<Repository, Unfollowed> {
        let said = found.and_then(|found| found.new_name.as_ref());
        let name = self.new_name.as_ref().or(said).unwrap_or(&self.name);
        Repository::parse(name).map_err(|error| Unfollowed { name: self.name.clone(), problem: error.into() })
    }

    /// The version that it is to get, with the reason; `None` when it stays as it is.
    pub fn choose(&self, found: Option<&Found>, tags: &[Tagged]) -> Option<(Image, String)> {
        let current = found.and_then(Found::version);
        match self.policy.choose(current.as_ref(), tags) {
            Decision::Take { version, why } => self.image(version).ok().map(|image| (image, why)),
            Decision::Keep { .. } => None,
        }
    }

    fn image(&self, version: Version) -> Result<Image, NotAReference> {
        let image = Image::new(&self.name, version)?;
        match &self.new_name {
            Some(new_name) => image.renamed(new_name),
            None => Ok(image),
        }
    }
}

fn read(written: &FollowedImage, directory: &str) -> Result<Follow, Problem> {
    Repository::parse(&written.name)?;
    written.new_name.as_deref().map(Repository::parse).transpose()?;
    let policy = policy(&written.policy)?;
    let field = written.field.as_deref().map(str::parse::<FieldPath>).transpose()?;
    let target = Target::kustomization(directory)?;
    let target = match (&written.file, field) {
        (Some(file), field) => target.in_file(file, field)?,
        (None, Some(_)) => return Err(Problem::NoFile),
        (None, None) => target,
    };
    let new_name = written.new_name.as_deref().map(SmolStr::new);
    Ok(Follow { name: SmolStr::new(&written.name), new_name, policy, target })
}

fn policy(written: &ImagePolicy) -> Result<Policy, Problem> {
    let ImagePolicy { semver, regex, newest, digest, allow_tags } = written;
    let policy = match (semver, regex, newest, digest) {
        (Some(range), None, false, None) => Policy::semver(range)?,
        (None, Some(pattern), false, None) => Policy::regex(pattern)?,
        (None, None, true, None) => Policy::newest(),
        (None, None, false, Some(tag)) => Policy::digest(Tag::new(tag)?),
        _ => return Err(Problem::NotOnePolicy),
    };
    match allow_tags {
        Some(pattern) => Ok(policy.of_tags(pattern)?),
        None => Ok(policy),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn follow(written: &Value) -> Result<Follow, Unfollowed> {
        Follow::read(&serde_json::from_value(written.clone()).unwrap(), "clusters/dev")
    }

    #[test]
    fn an_image_follows_the_name_that_takes_its_place() {
        let policy = json!({"semver": "^1"});
        let plain = follow(&json!({"name": "web", "policy": policy})).unwrap();
        let renamed = follow(&json!({"name": "web", "newName": "ghcr.io/org/web", "policy": policy})).unwrap();
        let said = Found { new_name: Some("h.x/said".into()), ..Found::default() };
        let cases = [
            (&plain, None, "docker.io/library/web"),
            (&plain, Some(&said), "h.x/said"),
            (&renamed, None, "ghcr.io/org/web"),
            (&renamed, Some(&said), "ghcr.io/org/web"),
        ];
        for (follow, found, expected) in cases {
            assert_eq!(follow.repository(found).unwrap().to_string(), expected);
        }
        let tags = [Tagged { tag: Tag::new("1.5.0").unwrap(), built: None, digest: None }];
        let (image, why) = renamed.choose(None, &tags).unwrap();
        assert_eq!((image.new_name(), image.version().as_str()), (Some("ghcr.io/org/web"), "1.5.0"));
        assert_eq!(why, "1.5.0 is the highest version in `^1`");
        let there = Found { tag: Some(Tag::new("1.5.0").unwrap()), ..Found::default() };
        assert_eq!(plain.choose(Some(&there), &tags), None);
    }

    #[test]
    fn what_cannot_be_followed_says_why() {
        let cases = [
            (json!({"name": "web"}), "image `web`: write one of `semver`, `regex`, `newest` and `digest`"),
            (
                json!({"name": "web", "policy": {"semver": "1.x", "newest": true}}),
                "image `web`: write one of `semver`, `regex`, `newest` and `digest`",
            ),
            (json!({"name": "web", "policy": {"semver": "new"}}), "image `web`: `new` is not a range of versions"),
            (json!({"name": "Web", "policy": {"newest": true}}), "image `Web`: `Web` is not the name of an image"),
            (json!({"name": "web", "policy": {"digest": "a b"}}), "image `web`: `a b` is not a tag"),
            (json!({"name": "web", "policy": {"newest": true}, "field": "a"}), "image `web`: `field` needs a `file`"),
            (
                json!({"name": "web", "policy": {"newest": true}, "file": "../../../x"}),
                "image `web`: `../../../x` lies outside the repository",
            ),
        ];
        for (written, expected) in cases {
            let error = follow(&written).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{written}: {error}");
        }
    }
}
