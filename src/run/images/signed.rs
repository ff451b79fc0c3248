//! What registries keep beside an image that may be a signature of it.
//!
//! **In:** an image, its digest. **Out:** documents, of which nothing is believed yet. **May not:** say what they are worth; or read
//! more, or larger ones, than somebody who signs has a reason to write.

use super::Images;
use crate::object::image::split;
use crate::promote::signature::{Document, bundle, document, payload};
use crate::registry::{Descriptor, Digest, Error, Keychain, Manifest, Registries, Repository, Tag};

/// Documents of each form that are looked at. What is beyond may be anybody's who may push.
const MOST: usize = 50;

/// Where documents are looked for.
struct Place<'a> {
    registries: &'a Registries,
    keychain: &'a Keychain,
    repository: Repository,
    digest: Digest,
}

impl Images {
    /// The payloads of the tag `sha256-….sig`.
    ///
    /// # Errors
    /// When the registry does not tell; in a sentence.
    pub(in crate::run) async fn payloads(&self, image: &str, digest: &str) -> Result<Vec<Document>, String> {
        let keychain = self.keychain();
        let place = self.place(image, digest, &keychain).await?;
        place.payloads().await.map_err(|error| error.to_string())
    }

    /// The bundles that refer to it.
    ///
    /// # Errors
    /// When the registry does not tell; in a sentence.
    pub(in crate::run) async fn bundles(&self, image: &str, digest: &str) -> Result<Vec<Document>, String> {
        let keychain = self.keychain();
        let place = self.place(image, digest, &keychain).await?;
        place.bundles().await.map_err(|error| error.to_string())
    }

    async fn place<'a>(&'a self, image: &str, digest: &str, keychain: &'a Keychain) -> Result<Place<'a>, String> {
        let repository = Repository::parse(split(image).0).map_err(|error| error.to_string())?;
        let digest = Digest::new(digest).map_err(|error| error.to_string())?;
        let registries = self.registries().await.map_err(|error| error.to_string())?;
        Ok(Place { registries, keychain, repository, digest })
    }
}

impl Place<'_> {
    async fn payloads(&self) -> Result<Vec<Document>, Error> {
        // Of SHA-512 it would be longer than tags are: nobody can have written it.
        let Ok(tag) = Tag::new(&format!("{}.sig", self.digest.as_str().replacen(':', "-", 1))) else {
            return Ok(Vec::new());
        };
        let manifest = self.registries.tagged(&self.repository, &tag, self.keychain).await?;
        let mut found = Vec::new();
        for layer in layers(manifest.as_ref(), payload::MEDIA_TYPE).take(MOST) {
            let Some(signature) = layer.annotations.get(payload::SIGNATURE) else { continue };
            let signature = signature.clone();
            found.push(self.document(layer, |bytes| Document::Payload { bytes, signature }).await?);
        }
        Ok(found)
    }

    async fn bundles(&self) -> Result<Vec<Document>, Error> {
        let kind = Some(bundle::MEDIA_TYPE);
        let referrers = self.registries.referrers(&self.repository, &self.digest, kind, self.keychain).await?;
        // Lists of parts are large, and say themselves that they are no signatures.
        let may_sign = |referrer: &Descriptor| {
            referrer.annotations.get(bundle::PREDICATE).is_none_or(|predicate| predicate == bundle::SIGNED)
        };
        let mut found = Vec::new();
        for referrer in referrers.iter().filter(|referrer| may_sign(referrer)).take(MOST) {
            let manifest = self.registries.manifest(&self.repository, &referrer.digest, self.keychain).await;
            let manifest = match manifest {
                Ok(manifest) => manifest,
                Err(error) => {
                    found.push(lost(error)?);
                    continue;
                }
            };
            for layer in layers(Some(&manifest), bundle::MEDIA_TYPE).take(1) {
                found.push(self.document(layer, Document::Bundle).await?);
            }
        }
        Ok(found)
    }

    async fn document(&self, layer: &Descriptor, read: impl FnOnce(Vec<u8>) -> Document) -> Result<Document, Error> {
        match self.registries.blob(&self.repository, &layer.digest, document::LARGEST, self.keychain).await {
            Ok(bytes) => Ok(read(bytes)),
            Err(error) => lost(error),
        }
    }
}

/// The layers of a kind.
fn layers<'a>(manifest: Option<&'a Manifest>, media_type: &'a str) -> impl Iterator<Item = &'a Descriptor> {
    let layers = match manifest {
        Some(Manifest::Image { layers, .. }) => layers.as_slice(),
        _ => &[],
    };
    layers.iter().filter(move |layer| layer.media_type == media_type)
}

/// One document that nobody can read keeps no other from counting.
///
/// # Errors
/// What says nothing of the document, but of the registry.
fn lost(error: Error) -> Result<Document, Error> {
    match error {
        Error::NotFound { .. } | Error::TooLarge { .. } | Error::Mismatch { .. } => {
            Ok(Document::Lost(error.to_string()))
        }
        error => Err(error),
    }
}
