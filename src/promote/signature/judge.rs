//! From images and documents to yes or no.

use super::super::vulnerability::{Image, quoted};
use super::document::{Document, Flaw};
use super::key::Key;
use crate::api::argo::glob::{Glob, Malformed, Separator};
use crate::registry::Repository;

/// Which images have to be signed.
#[derive(Clone, Debug)]
pub struct Scope(Vec<Glob>);

/// What is in the way of one image: `registry.example.com/shop/web@sha256:3f9a1c20b7e4…: no signature`
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{image}: {why}")]
pub struct Objection {
    image: String,
    why: String,
}

impl Scope {
    /// Those that one of the patterns matches; all when there is none.
    ///
    /// # Errors
    /// The first pattern that is none, and why.
    pub fn new(patterns: &[String]) -> Result<Self, (&str, Malformed)> {
        let globs = patterns.iter().map(|text| Glob::new(text, Separator::Slash).map_err(|why| (text.as_str(), why)));
        Ok(Scope(globs.collect::<Result<_, _>>()?))
    }

    /// True when this image has to be signed, by whichever of its names: `web` is `docker.io/library/web`, too.
    pub fn has(&self, image: &Image) -> bool {
        let full = Repository::parse(image.repository()).map(|repository| repository.to_string()).ok();
        self.0.is_empty() || image.names().chain(full).any(|name| self.0.iter().any(|glob| glob.matches(&name)))
    }
}

/// The key that has signed an image, by what its registry keeps beside it.
///
/// # Errors
/// What is in the way; also when nobody could say which image it is.
pub fn judge<'a>(image: &Image, documents: &[Document], keys: &'a [Key]) -> Result<&'a Key, Objection> {
    let objection = |why: String| Objection { image: image.to_string(), why };
    let Some(digest) = &image.digest else {
        return Err(objection("its digest is not known, so no signature can be said to be of it".into()));
    };
    let mut flaws = Vec::new();
    for document in documents {
        match document.signer(digest, keys) {
            Ok(key) => return Ok(key),
            Err(flaw) => flaws.push(flaw),
        }
    }
    Err(objection(flaws.iter().min().map_or_else(|| "no signature".into(), |nearest| told(nearest, flaws.len()))))
}

/// What is nearest to a signature of so many.
fn told(nearest: &Flaw, all: usize) -> String {
    match (nearest, all) {
        (Flaw::OtherImage(named), _) => format!("the signature is of another image, {}", quoted(named)),
        (Flaw::OtherPurpose(said), _) => format!("what is signed is no signature of an image, but {}", quoted(said)),
        (Flaw::Keyless, _) => "it is signed without a key (keyless), which does not count".into(),
        (Flaw::OtherKey, 1) => "its signature is by none of the keys".into(),
        (Flaw::OtherKey, all) => format!("none of its {all} signatures is by one of the keys"),
        (Flaw::Malformed(why), _) => format!("its signature cannot be read: {}", quoted(why)),
    }
}
