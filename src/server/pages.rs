//! Finished pages, kept compressed under names that nobody can guess: who has the link may read.
//!
//! **In:** documents. **Out:** answers to `GET /preview/<name>`. **May not:** keep more than [`MOST`] bytes, list what there
//! is, or let a browser keep or leak a link.

use std::io::{self, Read as _, Write as _};
use std::str::FromStr;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hmac::{Hmac, KeyInit as _, Mac as _};
use indexmap::IndexMap;
use parking_lot::Mutex;
use sha2::Sha256;
use smol_str::SmolStr;

use super::ui;

/// Bytes of all pages together; the oldest goes for a new one.
const MOST: usize = 32 << 20;

/// What names are made with; the same after a restart.
pub struct NameKey([u8; 32]);

impl NameKey {
    /// Of secret random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        NameKey(secret)
    }

    /// The name of the page about these words: always the same, and a guess for whoever has not the key.
    pub fn name(&self, about: &[&str]) -> SmolStr {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return SmolStr::default() };
        for word in about {
            mac.update(&(word.len() as u64).to_le_bytes());
            mac.update(word.as_bytes());
        }
        let digits = mac.finalize().into_bytes();
        let name: String = digits.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        name.into()
    }
}

impl std::fmt::Debug for NameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NameKey(…)")
    }
}

/// Where people reach this daemon: `https://leeboard.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Not an address of a web server.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no address such as https://leeboard.example")]
pub struct NotABaseUrl(String);

impl FromStr for BaseUrl {
    type Err = NotABaseUrl;

    fn from_str(text: &str) -> Result<Self, NotABaseUrl> {
        let refused = || NotABaseUrl(text.to_owned());
        let uri: http::Uri = text.parse().map_err(|_| refused())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        // Of a fragment nothing is left in what was read.
        if !is_web || has_user || uri.query().is_some() || text.contains('#') {
            return Err(refused());
        }
        Ok(BaseUrl(text.trim_end_matches('/').to_owned()))
    }
}

impl BaseUrl {
    /// The link to a page.
    pub fn preview(&self, name: &str) -> String {
        format!("{}/preview/{name}", self.0)
    }
}

/// Pages by name, in the order in which they came.
#[derive(Default)]
pub struct Pages(Mutex<IndexMap<SmolStr, Bytes>>);

impl Pages {
    /// Keeps a page, in place of an older one of this name.
    ///
    /// # Errors
    /// None that is known: it is compressed in memory.
    pub fn put(&self, name: SmolStr, html: &str) -> io::Result<()> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(html.as_bytes())?;
        let packed = Bytes::from(packer.finish()?);
        let mut pages = self.0.lock();
        pages.shift_remove(&name);
        if packed.len() <= MOST {
            pages.insert(name, packed);
        }
        while pages.values().map(Bytes::len).sum::<usize>() > MOST {
            pages.shift_remove_index(0);
        }
        Ok(())
    }

    /// Answers a browser.
    pub(super) fn answer(&self, name: &str, headers: &HeaderMap) -> Response {
        let Some(packed) = self.0.lock().get(name).cloned() else {
            let sentence = "There is no such page, or not any more: `/leeboard preview` in a comment makes it anew.\n";
            return (StatusCode::NOT_FOUND, sentence).into_response();
        };
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let common = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, ui::POLICY.as_str()),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "private, no-store"),
            (header::VARY, "accept-encoding"),
        ];
        if accepted.split(',').any(|one| one.split(';').next().is_some_and(|name| name.trim() == "gzip")) {
            return (common, [(header::CONTENT_ENCODING, "gzip")], packed).into_response();
        }
        let mut html = Vec::new();
        match GzDecoder::new(packed.as_ref()).read_to_end(&mut html) {
            Ok(_) => (common, html).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_every_word_and_on_the_key() {
        let key = NameKey::new([7; 32]);
        let name = key.name(&["github.com/acme/shop", "482"]);
        assert_eq!(name.len(), 32);
        assert_eq!(name, key.name(&["github.com/acme/shop", "482"]));
        for other in [&["github.com/acme/shop", "483"][..], &["github.com/acme/shop482", ""], &["482"]] {
            assert_ne!(name, key.name(other));
        }
        assert_ne!(name, NameKey::new([8; 32]).name(&["github.com/acme/shop", "482"]));
    }

    #[test]
    fn the_oldest_page_goes_first() {
        let pages = Pages::default();
        // What does not compress: 3 bytes of four stay.
        let noise = |seed: u64| -> String {
            (0..1_000_000).map(|at| format!("{:016x}", xxhash_rust::xxh3::xxh3_64_with_seed(&[0], seed + at))).collect()
        };
        for seed in 0..6 {
            pages.put(format!("{seed}").into(), &noise(seed * 1_000_000)).unwrap();
        }
        let kept: Vec<SmolStr> = pages.0.lock().keys().cloned().collect();
        assert!(kept.len() < 6 && kept.last().is_some_and(|last| last == "5"), "{kept:?}");
        assert!(pages.0.lock().values().map(Bytes::len).sum::<usize>() <= MOST);
    }

    #[test]
    fn only_addresses_of_web_servers_are_taken() {
        let cases = [
            // address, link
            ("https://leeboard.example/", Some("https://leeboard.example/preview/x")),
            ("http://127.0.0.1:8080/lee", Some("http://127.0.0.1:8080/lee/preview/x")),
            ("ftp://leeboard.example", None),
            ("https://user@leeboard.example", None),
            ("https://leeboard.example?a=b", None),
            ("https://leeboard.example/#top", None),
            ("leeboard.example", None),
            ("", None),
        ];
        for (address, link) in cases {
            let read = address.parse::<BaseUrl>().ok().map(|url| url.preview("x"));
            assert_eq!(read.as_deref(), link, "{address}");
        }
    }
}
