//! The gate `signature`: keys and what registries keep beside images are brought together, and judged.
//!
//! **In:** what a promotion would bring, public keys, registries. **Out:** an [`Answer`]. **May not:** judge; or take what could not
//! be read for nothing.

use std::collections::BTreeSet;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::super::canaries::find_secret;
use super::ask::About;
use super::scans::pinned;
use crate::api::leeboard::signatures::{KeySource, SignatureGate};
use crate::api::leeboard::vulnerabilities::MissingRule;
use crate::promote::gate::Answer;
use crate::promote::signature::{Key, Objection, Scope, judge};
use crate::promote::vulnerability::Image;

/// Before a registry or a Secret is asked again.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// How long a yes is one: a tag may mean another image by then, and a key may have been taken back.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);
/// So many images are told of.
const TOLD: usize = 10;

/// What is wrong with a key, and whether the Environment says it.
enum NoKeys {
    /// What is written cannot be right.
    Written(String),
    /// It is elsewhere, and may be there later.
    Elsewhere(String),
}

impl About<'_> {
    pub(super) async fn signature(&self, gate: &SignatureGate) -> Answer {
        let later = self.subject.now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
        let Some(planned) = self.planned.filter(|planned| planned.files.is_some()) else {
            return Answer::wait("there is no plan whose images could be looked at").again(later);
        };
        let scope = match Scope::new(&gate.images) {
            Ok(scope) => scope,
            Err((pattern, why)) => return Answer::fail(format!("`{pattern}` is no pattern of images: {why}")),
        };
        let keys = match self.keys(gate).await {
            Ok(keys) => keys,
            Err(NoKeys::Written(why)) => return Answer::fail(why),
            Err(NoKeys::Elsewhere(why)) => return Answer::error(why).again(later),
        };
        let all = planned.images.wanted.iter().map(|name| Image::new(name));
        let mut images: Vec<Image> = all.filter(|image| scope.has(image)).collect();
        if let Err(why) = self.resolve(&mut images).await {
            return Answer::error(why).again(later);
        }
        let found = join_all(images.iter().map(|image| self.signer(image, &keys))).await;
        let found: Vec<Result<&Key, Objection>> = match found.into_iter().collect() {
            Ok(found) => found,
            Err(why) => return Answer::error(why).again(later),
        };
        let objections: Vec<String> =
            found.iter().filter_map(|one| one.as_ref().err()).map(ToString::to_string).collect();
        let signers: BTreeSet<String> = found.iter().flatten().map(ToString::to_string).collect();
        let answer = match (objections.len(), gate.missing) {
            (0, _) => {
                let until = self.subject.now.checked_add(GOOD_FOR).unwrap_or(Timestamp::MAX);
                Answer::pass(signed(images.len(), planned.images.wanted.len())).again(until)
            }
            (_, Some(MissingRule::Wait)) => Answer::wait(some(&objections)).again(later),
            (_, Some(MissingRule::Refuse) | None) => Answer::fail(some(&objections)),
        };
        answer.with("images", pinned(&images)).with("keys", signers.into_iter().collect::<Vec<_>>().join(" "))
    }

    /// Who has signed an image.
    ///
    /// # Errors
    /// When its registry does not tell.
    async fn signer<'a>(&self, image: &Image, keys: &'a [Key]) -> Result<Result<&'a Key, Objection>, String> {
        let registries = &self.subject.daemon.images;
        let unknown = |why: String| format!("{}: its signatures are not known: {why}", image.name);
        let Some(digest) = &image.digest else { return Ok(judge(image, &[], keys)) };
        let mut documents = registries.payloads(&image.name, digest.as_str()).await.map_err(unknown)?;
        // Most images have signatures of one form alone.
        if let Ok(key) = judge(image, &documents, keys) {
            return Ok(Ok(key));
        }
        documents.extend(registries.bundles(&image.name, digest.as_str()).await.map_err(unknown)?);
        Ok(judge(image, &documents, keys))
    }

    async fn keys(&self, gate: &SignatureGate) -> Result<Vec<Key>, NoKeys> {
        let mut keys = Vec::new();
        for (at, source) in gate.keys.iter().enumerate() {
            let wrong = |why: String| format!("`keys[{at}]`: {why}");
            keys.push(match source {
                KeySource { pem: Some(pem), secret_name: None, .. } => {
                    Key::parse(pem.as_bytes()).map_err(|why| NoKeys::Written(wrong(why.to_string())))?
                }
                KeySource { pem: None, secret_name: Some(name), .. } => {
                    self.key_of(name, source.key()).await.map_err(|why| NoKeys::Elsewhere(wrong(why)))?
                }
                _ => return Err(NoKeys::Written(wrong("write either `pem` or `secretName`".into()))),
            });
        }
        if keys.is_empty() {
            let why = "`keys` is empty: name a public key, for example `keys: [{secretName: cosign}]`";
            return Err(NoKeys::Written(why.into()));
        }
        Ok(keys)
    }

    async fn key_of(&self, name: &str, key: &str) -> Result<Key, String> {
        let found = find_secret(self.subject.daemon, name, Some(self.promotion.namespace())).await;
        let found = found.map_err(|error| error.to_string())?.ok_or_else(|| format!("there is no Secret `{name}`"))?;
        let pem = found.get(key).ok_or_else(|| format!("the Secret `{name}` has no `{key}`"))?;
        Key::parse(pem.expose()).map_err(|why| format!("`{key}` of the Secret `{name}`: {why}"))
    }
}

/// How many images are signed, of those that there are.
fn signed(signed: usize, all: usize) -> String {
    match (signed, all) {
        (_, 0) => "there are no images".into(),
        (0, all) => format!("none of {all} images has to be signed"),
        (1, 1) => "1 image is signed".into(),
        (signed, all) if signed == all => format!("{signed} images are signed"),
        (signed, all) => format!("{signed} of {all} images have to be signed, and are"),
    }
}

/// Sentences in one message: not all of a thousand.
fn some(sentences: &[String]) -> String {
    let told = sentences.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
    match sentences.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}
