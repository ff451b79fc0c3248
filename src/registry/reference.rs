//! [`Reference`]: the name of an image, and which version of it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use smol_str::{SmolStr, format_smolstr};

/// Where Docker's own images are asked for; `docker.io` itself is a web site.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// An image as people write it: `web`, `ghcr.io/org/web:1.4.2`, `host:5000/web@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As it is written, without tag and digest.
    pub name: SmolStr,
    /// The tag, if there is one.
    pub tag: Option<Tag>,
    /// The digest, if there is one.
    pub digest: Option<Digest>,
}

/// Which version of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// What a registry calls so at the moment.
    Tag(Tag),
    /// These bytes and no others.
    Digest(Digest),
}

/// A name that a registry gives to a manifest, and may give to another one later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(SmolStr);

/// The hash of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(SmolStr);

/// One tag of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its name.
    pub tag: Tag,
    /// When its image was built, as far as that was asked and is told.
    pub built: Option<Timestamp>,
    /// What it means, as far as that was asked.
    pub digest: Option<Digest>,
}

/// A repository of a registry, however it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: SmolStr,
    path: SmolStr,
}

/// Why a text is no image, or no part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReference {
    /// Not a tag.
    #[error("`{0}` is not a tag: at most 128 letters, digits, `_`, `.` and `-`, the first one neither `.` nor `-`")]
    Tag(String),
    /// Not a digest.
    #[error("`{0}` is not a digest: `sha256:` and 64 of the digits 0-9a-f, or `sha512:` and 128")]
    Digest(String),
    /// Not an image with one version.
    #[error("`{0}` says no version, or two: write NAME=TAG or NAME@DIGEST")]
    Version(String),
    /// Not a name.
    #[error("`{0}` is not the name of an image: lower-case words with slashes between, perhaps behind a host")]
    Name(String),
}

impl Tag {
    /// A tag.
    ///
    /// # Errors
    /// When no registry would have one like it.
    pub fn new(text: &str) -> Result<Self, NotAReference> {
        let is_first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        match is_first && text.len() <= 128 && text.bytes().all(is_part) {
            true => Ok(Tag(text.into())),
            false => Err(NotAReference::Tag(shown(text))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Digest {
    /// A digest.
    ///
    /// # Errors
    /// When it is of another form, or of a hash that is not taken.
    pub fn new(text: &str) -> Result<Self, NotAReference> {
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_digest = match text.split_once(':') {
            Some(("sha256", hash)) => hash.len() == 64 && is_hex(hash),
            Some(("sha512", hash)) => hash.len() == 128 && is_hex(hash),
            _ => false,
        };
        if is_digest { Ok(Digest(text.into())) } else { Err(NotAReference::Digest(shown(text))) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest with these hexadecimal digits of SHA-256.
    pub(super) fn of_sha256(hash: &str) -> Self {
        Digest(format_smolstr!("sha256:{hash}"))
    }

    /// The first digits, for people.
    pub fn short(&self) -> &str {
        let end = self.0.find(':').map_or(0, |at| at + 13);
        self.0.get(..end).unwrap_or(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Digest::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Version {
    /// The text of the tag or the digest.
    pub fn as_str(&self) -> &str {
        match self {
            Version::Tag(tag) => tag.as_str(),
            Version::Digest(digest) => digest.as_str(),
        }
    }
}

impl Repository {
    /// The repository that a name means.
    ///
    /// # Errors
    /// When no registry would have one of that name.
    pub fn parse(name: &str) -> Result<Self, NotAReference> {
        let wrong = || NotAReference::Name(shown(name));
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if looks_like_host(host) => (host.to_ascii_lowercase(), path),
            _ => ("docker.io".to_owned(), name),
        };
        let is_hub = matches!(host.as_str(), "docker.io" | "index.docker.io" | DOCKER_HUB);
        if !is_path(path) || !is_host(&host) {
            return Err(wrong());
        }
        if !is_hub {
            return Ok(Repository { host: host.into(), path: path.into() });
        }
        let path = if path.contains('/') { path.into() } else { format!("library/{path}").into() };
        Ok(Repository { host: "docker.io".into(), path })
    }

    /// The registry as people call it, with its port: what credentials are for.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host that answers for it.
    pub fn server(&self) -> &str {
        if self.host == "docker.io" { DOCKER_HUB } else { &self.host }
    }

    /// The name within the registry.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Reference {
    /// Reads an image with tag, digest, both or neither.
    ///
    /// # Errors
    /// Which part of it is none.
    pub fn parse(text: &str) -> Result<Self, NotAReference> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::new(digest)?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest.get(last..).and_then(|last| last.find(':')) {
            Some(colon) => {
                let (name, tag) = rest.split_at(last + colon);
                (name, Some(Tag::new(tag.get(1..).unwrap_or_default())?))
            }
            None => (rest, None),
        };
        Repository::parse(name)?;
        Ok(Reference { name: name.into(), tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn looks_like_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        // Of an address in brackets the colons are no port's.
        Some((_, port)) if port.ends_with(']') => (text, None),
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(|label| {
            let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty() && label.bytes().all(is_part) && !label.starts_with('-') && !label.ends_with('-')
        }),
    };
    is_name && port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// Lower-case words, separated by a dot, one or two `_` or any number of `-`; slashes between such names.
fn is_path(text: &str) -> bool {
    let is_component = |component: &str| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let edges = [component.bytes().next(), component.bytes().next_back()];
        let separators =
            component.split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit());
        edges.iter().all(|edge| edge.is_some_and(is_word))
            && separators
                .into_iter()
                .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
    };
    text.len() <= 255 && text.split('/').all(is_component)
}

/// What is wrong may be of any length.
fn shown(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn names_are_those_of_registries() {
        let cases = [
            // as it is written        the registry           who answers for it        the repository
            ("web", "docker.io", "registry-1.docker.io", "library/web"),
            ("org/web", "docker.io", "registry-1.docker.io", "org/web"),
            ("docker.io/web", "docker.io", "registry-1.docker.io", "library/web"),
            ("index.docker.io/org/web", "docker.io", "registry-1.docker.io", "org/web"),
            ("ghcr.io/org/team/web", "ghcr.io", "ghcr.io", "org/team/web"),
            ("localhost/web", "localhost", "localhost", "web"),
            ("Registry.Example/a__b/c--d.e", "registry.example", "registry.example", "a__b/c--d.e"),
            ("127.0.0.1:5000/web", "127.0.0.1:5000", "127.0.0.1:5000", "web"),
            ("[::1]:5000/web", "[::1]:5000", "[::1]:5000", "web"),
        ];
        for (name, host, server, path) in cases {
            let repository = Repository::parse(name).unwrap();
            assert_eq!((repository.host(), repository.server(), repository.path()), (host, server, path), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(256);
        let cases =
            ["", "/", "Web", "web/", "a//b", "a/../b", "a b", "a_-b", "a..b", "-a", "h.x:port/a", "h.x:99999/a", &long];
        for name in cases {
            assert!(matches!(Repository::parse(name), Err(NotAReference::Name(_))), "{name}");
        }
        assert!(matches!(Repository::parse("evil.example#/web"), Err(NotAReference::Name(_))));
        assert!(matches!(Repository::parse("user@h.x/web"), Err(NotAReference::Name(_))));
    }

    #[test]
    fn references_have_tag_digest_both_or_neither() {
        let with = |name: &str, tag: Option<&str>, digest: Option<&str>| Reference {
            name: name.into(),
            tag: tag.map(|tag| Tag::new(tag).unwrap()),
            digest: digest.map(|digest| Digest::new(digest).unwrap()),
        };
        let cases = [
            ("web".to_owned(), with("web", None, None)),
            ("h.x:5000/web".to_owned(), with("h.x:5000/web", None, None)),
            ("h.x:5000/web:1.4_a-b".to_owned(), with("h.x:5000/web", Some("1.4_a-b"), None)),
            (format!("web@{HASH}"), with("web", None, Some(HASH))),
            (format!("web:1@{HASH}"), with("web", Some("1"), Some(HASH))),
        ];
        for (text, expected) in cases {
            assert_eq!(Reference::parse(&text), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn tags_and_digests_of_another_form_are_refused() {
        for tag in ["", ".1", "-1", "a/b", "a b", "a:b", "a\n", &"a".repeat(129)] {
            assert!(Tag::new(tag).is_err(), "{tag}");
        }
        let upper = HASH.to_uppercase();
        for digest in ["", "sha256:", "sha256:ab", "md5:0123", &upper, &HASH.replace("sha256", "sha512"), &HASH[..70]] {
            assert!(Digest::new(digest).is_err(), "{digest}");
        }
        assert_eq!(Digest::new(HASH).unwrap().short(), "sha256:0123456789ab");
    }
}
