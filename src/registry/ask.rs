//! The questions that registries are asked.

use futures::StreamExt as _;
use futures::stream;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Digest as _;

use super::client::{Answer, Question, Registries};
use super::error::Error;
use super::keychain::Keychain;
use super::manifest::{ACCEPTED, Descriptor, Manifest, built};
use super::reference::{Digest, Repository, Tag, Tagged};

/// Names of tags in one page, as far as a registry follows that.
const PAGE: usize = 1000;
/// The longest list of tags.
const MOST_TAGS: usize = 100_000;
const MOST_PAGES: usize = 1000;
/// Bytes of one page of tags.
const LARGEST_PAGE: usize = 4 << 20;
/// Bytes of a manifest: registries refuse larger ones.
const LARGEST_MANIFEST: usize = 4 << 20;
/// Bytes of an image's configuration.
const LARGEST_CONFIG: usize = 4 << 20;
/// Tags whose images are looked at.
const MOST_IMAGES: usize = 500;
const AT_ONCE: usize = 8;
/// Images whose time is remembered.
const MOST_TIMES: usize = 50_000;

impl Registries {
    /// The names of a repository's tags, in the order of the registry; what is no tag by the rules is left out.
    ///
    /// # Errors
    /// When the registry does not tell, or has too many.
    pub async fn tags(&self, repository: &Repository, keychain: &Keychain) -> Result<Vec<Tag>, Error> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut query = format!("n={PAGE}");
        for _ in 0..MOST_PAGES {
            let question = Question {
                method: Method::GET,
                path: format!("tags/list?{query}"),
                accept: "application/json",
                may_lead_elsewhere: false,
                limit: LARGEST_PAGE,
                what: "the list of tags".into(),
                repository,
                keychain,
            };
            let answer = self.ask(&question).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(Error::NotFound { repository: repository.clone(), what: "image".into() });
            }
            let page: Page =
                serde_json::from_slice(&answer.body).map_err(|_| odd(repository, "its tags are no list"))?;
            tags.extend(page.tags.into_iter().flatten().filter_map(|tag| Tag::new(&tag).ok()));
            if tags.len() > MOST_TAGS {
                break;
            }
            match next_page(&answer.headers) {
                Some(next) if next != query => query = next,
                _ => return Ok(tags),
            }
        }
        Err(Error::TooMany { repository: repository.clone(), limit: MOST_TAGS })
    }

    /// What a tag means at the moment; `None` when there is no such tag.
    ///
    /// # Errors
    /// When the registry does not tell.
    pub async fn digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        keychain: &Keychain,
    ) -> Result<Option<Digest>, Error> {
        let question = of_manifest(repository, keychain, Method::HEAD, tag.as_str(), format!("tag {tag}"));
        let answer = self.ask(&question).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        match told_digest(&answer.headers) {
            Some(digest) => Ok(Some(digest)),
            // Old registries tell it by the manifest alone.
            None => Ok(self
                .fetch(repository, tag.as_str(), format!("tag {tag}"), keychain)
                .await?
                .map(|(_, digest)| digest)),
        }
    }

    /// What a tag stands for at the moment; `None` when there is no such tag.
    ///
    /// # Errors
    /// When the registry does not tell.
    pub async fn tagged(
        &self,
        repository: &Repository,
        tag: &Tag,
        keychain: &Keychain,
    ) -> Result<Option<Manifest>, Error> {
        let found = self.fetch(repository, tag.as_str(), format!("tag {tag}"), keychain).await?;
        Ok(found.map(|(manifest, _)| manifest))
    }

    /// What a digest stands for.
    ///
    /// # Errors
    /// When there is no such manifest, or the registry does not give it.
    pub async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        keychain: &Keychain,
    ) -> Result<Manifest, Error> {
        let what = format!("manifest {}", digest.short());
        let found = self.fetch(repository, digest.as_str(), what.clone(), keychain).await?;
        let (manifest, _) = found.ok_or_else(|| Error::NotFound { repository: repository.clone(), what })?;
        Ok(manifest)
    }

    /// A blob of at most so many bytes, which are those of the digest.
    ///
    /// # Errors
    /// When there is no such blob, it is larger, or other bytes come.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
        keychain: &Keychain,
    ) -> Result<Vec<u8>, Error> {
        let what = format!("blob {}", digest.short());
        let question = Question {
            method: Method::GET,
            path: format!("blobs/{digest}"),
            accept: "*/*",
            may_lead_elsewhere: true,
            limit,
            what: what.clone(),
            repository,
            keychain,
        };
        let answer = self.ask(&question).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(Error::NotFound { repository: repository.clone(), what });
        }
        is_of(repository, &answer.body, digest)?;
        Ok(answer.body)
    }

    /// What refers to a manifest: signatures, reports, lists of parts. From the API for it, or from the tag by which clients note
    /// the same where a registry has no such API.
    ///
    /// # Errors
    /// When the registry does not tell.
    pub async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        artifact_type: Option<&str>,
        keychain: &Keychain,
    ) -> Result<Vec<Descriptor>, Error> {
        let question = Question {
            method: Method::GET,
            path: format!("referrers/{digest}"),
            accept: "application/vnd.oci.image.index.v1+json",
            may_lead_elsewhere: false,
            limit: LARGEST_MANIFEST,
            what: format!("the list of what refers to {}", digest.short()),
            repository,
            keychain,
        };
        let answer = self.ask(&question).await?;
        let index = match answer.status {
            StatusCode::NOT_FOUND => {
                let tag = digest.as_str().replacen(':', "-", 1);
                let what = format!("tag {tag}");
                self.fetch(repository, &tag, what, keychain).await?.map(|(manifest, _)| manifest)
            }
            _ => Some(Manifest::parse(&answer.body).map_err(|why| odd(repository, &why))?),
        };
        let Some(Manifest::Index { manifests, .. }) = index else { return Ok(Vec::new()) };
        // The API may leave the choice to whoever asks.
        let is_wanted =
            |descriptor: &Descriptor| artifact_type.is_none() || descriptor.artifact_type.as_deref() == artifact_type;
        Ok(manifests.into_iter().filter(is_wanted).collect())
    }

    /// When the image of a tag was built, with what the tag means; asked once for each digest.
    ///
    /// # Errors
    /// When the registry does not tell.
    pub async fn image(&self, repository: &Repository, tag: &Tag, keychain: &Keychain) -> Result<Tagged, Error> {
        let digest = self.digest(repository, tag, keychain).await?;
        let Some(digest) = digest else { return Ok(Tagged { tag: tag.clone(), built: None, digest: None }) };
        let known = self.times.lock().get(&digest).copied();
        let built = match known {
            Some(built) => built,
            None => {
                let built = self.built(repository, &digest, keychain).await?;
                let mut times = self.times.lock();
                if times.len() >= MOST_TIMES {
                    times.clear();
                }
                times.insert(digest.clone(), built);
                built
            }
        };
        Ok(Tagged { tag: tag.clone(), built, digest: Some(digest) })
    }

    /// The same of several tags, in their order.
    ///
    /// # Errors
    /// [`Error::TooMany`]; the first thing that the registry does not tell.
    pub async fn images(
        &self,
        repository: &Repository,
        tags: &[Tag],
        keychain: &Keychain,
    ) -> Result<Vec<Tagged>, Error> {
        if tags.len() > MOST_IMAGES {
            return Err(Error::TooMany { repository: repository.clone(), limit: MOST_IMAGES });
        }
        let asked = stream::iter(tags.to_vec());
        let images =
            asked.map(|tag: Tag| async move { self.image(repository, &tag, keychain).await }).buffered(AT_ONCE);
        let images: Vec<Result<Tagged, Error>> = images.collect().await;
        images.into_iter().collect()
    }

    async fn built(
        &self,
        repository: &Repository,
        digest: &Digest,
        keychain: &Keychain,
    ) -> Result<Option<Timestamp>, Error> {
        let mut manifest = self.manifest(repository, digest, keychain).await?;
        let noted = manifest.noted_time();
        if let Manifest::Index { .. } = manifest {
            let Some(of_platform) = manifest.representative().map(|descriptor| descriptor.digest.clone()) else {
                return Ok(noted);
            };
            manifest = self.manifest(repository, &of_platform, keychain).await?;
        }
        let noted = manifest.noted_time().or(noted);
        let Manifest::Image { config, .. } = &manifest else { return Ok(noted) };
        // The configuration of what is no image, a chart for instance, says nothing of a time.
        let config = self.blob(repository, &config.digest, LARGEST_CONFIG, keychain).await?;
        Ok(built(&config).or(noted))
    }

    /// A manifest with the digest of its bytes; `None` when there is none.
    async fn fetch(
        &self,
        repository: &Repository,
        reference: &str,
        what: String,
        keychain: &Keychain,
    ) -> Result<Option<(Manifest, Digest)>, Error> {
        let question = of_manifest(repository, keychain, Method::GET, reference, what);
        let Answer { status, body, .. } = self.ask(&question).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let digest = match Digest::new(reference) {
            Ok(digest) => {
                is_of(repository, &body, &digest)?;
                digest
            }
            Err(_) => sha256(&body),
        };
        let manifest = Manifest::parse(&body).map_err(|why| odd(repository, &why))?;
        Ok(Some((manifest, digest)))
    }
}

fn of_manifest<'a>(
    repository: &'a Repository,
    keychain: &'a Keychain,
    method: Method,
    reference: &str,
    what: String,
) -> Question<'a> {
    Question {
        path: format!("manifests/{reference}"),
        accept: ACCEPTED,
        may_lead_elsewhere: false,
        limit: LARGEST_MANIFEST,
        method,
        what,
        repository,
        keychain,
    }
}

fn odd(repository: &Repository, why: &str) -> Error {
    Error::Odd { registry: repository.host().to_owned(), why: why.to_owned() }
}

fn told_digest(headers: &HeaderMap) -> Option<Digest> {
    Digest::new(headers.get("docker-content-digest")?.to_str().ok()?).ok()
}

fn sha256(bytes: &[u8]) -> Digest {
    let hash: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::of_sha256(&hash)
}

/// # Errors
/// When the bytes are not those of the digest.
fn is_of(repository: &Repository, bytes: &[u8], digest: &Digest) -> Result<(), Error> {
    let is_same = match digest.as_str().split_once(':') {
        Some(("sha512", wanted)) => {
            let hash: String = sha2::Sha512::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            hash == wanted
        }
        _ => sha256(bytes) == *digest,
    };
    match is_same {
        true => Ok(()),
        false => Err(Error::Mismatch { repository: repository.clone(), digest: digest.to_string() }),
    }
}

/// The query of the next page (RFC 8288): the rest of the address is what it was, whatever the header says.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all("link").iter().filter_map(|link| link.to_str().ok());
    let next = links.flat_map(|links| links.split(',')).find(|link| {
        let rel = link.split(';').skip(1).map(|parameter| parameter.trim().replace('"', ""));
        rel.into_iter().any(|parameter| parameter.eq_ignore_ascii_case("rel=next"))
    })?;
    let target = next.split_once('<')?.1.split_once('>')?.0;
    let query = target.split_once('?')?.1.split('#').next()?;
    (!query.is_empty() && query.bytes().all(|byte| byte.is_ascii_graphic())).then(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_differs_by_its_query_alone() {
        let cases = [
            ("</v2/web/tags/list?last=b&n=2>; rel=\"next\"", Some("last=b&n=2")),
            ("<https://evil.example/v2/x/tags/list?last=b>; rel=next", Some("last=b")),
            ("</a?x=1>; rel=prev, </b?y=2>; rel=\"next\"", Some("y=2")),
            ("</v2/web/tags/list?last=b>; rel=\"prev\"", None),
            ("</v2/web/tags/list>; rel=\"next\"", None),
            ("nonsense", None),
        ];
        for (link, expected) in cases {
            let headers = HeaderMap::from_iter([(http::header::LINK, link.parse().unwrap())]);
            assert_eq!(next_page(&headers).as_deref(), expected, "{link}");
        }
    }

    #[test]
    fn bytes_are_those_of_their_digest() {
        let repository = Repository::parse("web").unwrap();
        let sha512: String = sha2::Sha512::digest(b"a").iter().map(|byte| format!("{byte:02x}")).collect();
        for digest in [sha256(b"a"), Digest::new(&format!("sha512:{sha512}")).unwrap()] {
            assert_eq!(is_of(&repository, b"a", &digest), Ok(()));
            assert!(matches!(is_of(&repository, b"b", &digest), Err(Error::Mismatch { .. })));
        }
    }
}
