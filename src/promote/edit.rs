//! A file of YAML with another version of an image in it, every other byte as it was.
//!
//! **In:** the bytes of a file, which image, which version, and where the file says it. **Out:** the bytes with that version.
//! **May not:** write a file anew, or change what it was not asked to: the result is read again and compared with what was
//! there, and a file that is written in a way in which that can't be done is refused.
//!
//! `kustomization` knows the `images` of a kustomization, `field` what any file holds at a [`FieldPath`]. Both find out which bytes
//! are to be replaced (`text`); `unchanged` checks what came of it.

mod error;
mod field;
mod kustomization;
mod path;
mod text;
mod unchanged;

use std::str::FromStr;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::registry::{Digest, NotAReference, Reference, Repository, Tag, Version};
use crate::yaml::{self, Document, Node};

pub use error::{Error, Problem};
pub use path::{FieldPath, NotAPath};

/// One image that gets another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    name: SmolStr,
    new_name: Option<SmolStr>,
    version: Version,
}

/// Where a file says which version an image has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the `images` of a kustomization.
    Kustomization,
    /// In a field: a tag, a digest or a whole reference; or a list of references, as an Application's
    /// `spec.source.kustomize.images`.
    Field(FieldPath),
}

/// What a file says of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The name that takes the place of the image's.
    pub new_name: Option<SmolStr>,
    /// The tag, if one is said.
    pub tag: Option<Tag>,
    /// The digest, if one is said.
    pub digest: Option<Digest>,
}

impl Image {
    /// The image that manifests call `name`.
    ///
    /// # Errors
    /// When no image has such a name.
    pub fn new(name: &str, version: Version) -> Result<Self, NotAReference> {
        Repository::parse(name)?;
        Ok(Image { name: name.into(), new_name: None, version })
    }

    /// The same, taken from another repository.
    ///
    /// # Errors
    /// When no image has such a name.
    pub fn renamed(self, new_name: &str) -> Result<Self, NotAReference> {
        Repository::parse(new_name)?;
        Ok(Image { new_name: Some(new_name.into()), ..self })
    }

    /// What manifests call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that takes the place of it, where it gets one.
    pub fn new_name(&self) -> Option<&str> {
        self.new_name.as_deref()
    }

    /// The version that it gets.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl FromStr for Image {
    type Err = NotAReference;

    /// `web=1.4.2`, `web@sha256:…`, and where it comes from another repository `web=ghcr.io/org/web:1.4.2`.
    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let none = || NotAReference::Version(text.to_owned());
        let Some((name, wanted)) = text.split_once('=') else {
            let (name, digest) = text.split_once('@').ok_or_else(none)?;
            return Image::new(name, Version::Digest(Digest::new(digest)?));
        };
        if let Ok(digest) = Digest::new(wanted) {
            return Image::new(name, Version::Digest(digest));
        }
        if !wanted.contains([':', '@', '/']) {
            return Image::new(name, Version::Tag(Tag::new(wanted)?));
        }
        let reference = Reference::parse(wanted)?;
        let version = match (reference.tag, reference.digest) {
            (Some(tag), None) => Version::Tag(tag),
            (None, Some(digest)) => Version::Digest(digest),
            _ => return Err(none()),
        };
        Image::new(name, version)?.renamed(&reference.name)
    }
}

/// The file with this version of the image; the same bytes when it says so already.
///
/// # Errors
/// When the file can't be read, or is written in a way in which nothing else would stay as it was: with the place.
pub fn edit(file: &Arc<str>, bytes: &[u8], place: &Place, image: &Image) -> Result<Vec<u8>, Error> {
    let before = read(file, bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|_| Error::of_file(Problem::NotUtf8, file))?;
    let text = text::Lines::new(text);
    let replacements = match place {
        Place::Kustomization => kustomization::replacements(&text, kustomization::root(file, &before)?, image)?,
        Place::Field(path) => field::replacements(&text, field::find(file, &before, path)?, path, image)?,
    };
    if replacements.is_empty() {
        return Ok(bytes.to_vec());
    }
    let edited = text.with(replacements).into_bytes();
    let unsure = |node: &Node| Error::at(Problem::Unsure { image: image.name.to_string() }, node);
    // It has a document: something was found in it.
    let first = before.first().map_or_else(|| Node::null().place(), |document| document.root.place());
    let after = yaml::parse(file, &edited).map_err(|_| unsure(&first))?;
    if let Some(changed) = unchanged::first_difference(&before, &after, place, image) {
        let problem = Problem::Elsewhere { image: image.name.to_string() };
        return Err(Error::at(problem, &changed));
    }
    match find_in(file, &after, place, &image.name) {
        Ok(Some(found)) if found.is(image) => Ok(edited),
        _ => Err(unsure(&first)),
    }
}

/// What a file says of an image; `None` when it does not name it.
///
/// # Errors
/// As [`edit`], of what is read.
pub fn find(file: &Arc<str>, bytes: &[u8], place: &Place, name: &str) -> Result<Option<Found>, Error> {
    find_in(file, &read(file, bytes)?, place, name)
}

fn find_in(file: &Arc<str>, documents: &[Document], place: &Place, name: &str) -> Result<Option<Found>, Error> {
    match place {
        Place::Kustomization => kustomization::found(kustomization::root(file, documents)?, name),
        Place::Field(path) => field::found(field::find(file, documents, path)?, path, name),
    }
}

fn read(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Document>, Error> {
    let documents = yaml::parse(file, bytes)?;
    let mut duplicates = documents.iter().flat_map(|document| document.root.duplicate_keys());
    match duplicates.next().map(|duplicate| duplicate.error()) {
        Some(error) => Err(error.into()),
        None => Ok(documents),
    }
}

impl Found {
    /// The version: where both are said, the digest is what counts.
    pub fn version(&self) -> Option<Version> {
        let digest = self.digest.clone().map(Version::Digest);
        digest.or_else(|| self.tag.clone().map(Version::Tag))
    }

    /// True when it says what is wished.
    pub fn is(&self, image: &Image) -> bool {
        let is_version = match &image.version {
            Version::Tag(tag) => self.tag.as_ref() == Some(tag) && self.digest.is_none(),
            // A field that holds nothing but a digest has its tag elsewhere.
            Version::Digest(digest) => self.digest.as_ref() == Some(digest) && self.tag.is_none(),
        };
        is_version && image.new_name.as_ref().is_none_or(|name| self.new_name.as_ref().unwrap_or(&image.name) == name)
    }
}

#[cfg(test)]
mod tests;
