//! The older form: a layer of the tag `sha256-….sig` says which image is meant (cosign's `specs/SIGNATURE_SPEC.md`), a note on
//! it has the signature of its bytes.

use serde::Deserialize;

use super::super::vulnerability::Digest;
use super::document::{Flaw, malformed};

/// The media type of the layer.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation with the signature.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// What it says it is.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// # Errors
/// When the payload is none, or that of another image.
pub(super) fn is_of(bytes: &[u8], image: &Digest) -> Result<(), Flaw> {
    let payload: Payload =
        serde_json::from_slice(bytes).map_err(|_| malformed("the payload does not name an image as cosign does"))?;
    if payload.critical.kind != KIND {
        return Err(Flaw::OtherPurpose(payload.critical.kind));
    }
    let named = payload.critical.image.digest;
    if named == image.as_str() { Ok(()) } else { Err(Flaw::OtherImage(named)) }
}
