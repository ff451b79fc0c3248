//! What a person writes as a revision, and which ref or tag it means.

use super::error::Error;
use super::oid::Oid;
use crate::version::Range;

/// A revision as a person wrote it, understood as far as that goes without the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Revision {
    /// Nothing, or `HEAD`: the remote's default branch.
    Default,
    /// A full commit id.
    Commit(Oid),
    /// A branch, a tag, or the first digits of a commit.
    Name(String),
    /// A range of versions, of which the newest tag is meant.
    Range(Range),
}

/// Looks at a revision without its repository.
///
/// # Errors
/// Why no repository can have it.
pub fn check_revision(text: &str) -> Result<(), &'static str> {
    match Revision::parse(text) {
        Err(Error::BadRevision { reason, .. }) => Err(reason),
        _ => Ok(()),
    }
}

impl Revision {
    /// Reads a revision.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let bad = |reason| Error::BadRevision { revision: text.into(), reason };
        if text.is_empty() || text == "HEAD" {
            return Ok(Revision::Default);
        }
        if text.starts_with('-') {
            return Err(bad("it begins with `-`"));
        }
        if text.len() == 40
            && let Ok(id) = text.parse()
        {
            return Ok(Revision::Commit(id));
        }
        if let Some(range) = Range::parse(text) {
            return Ok(Revision::Range(range));
        }
        let full = if text.starts_with("refs/") { text.to_owned() } else { format!("refs/heads/{text}") };
        if !git2::Reference::is_valid_name(&full) {
            return Err(bad("git does not allow such a name"));
        }
        Ok(Revision::Name(text.into()))
    }

    /// The refs that it can mean, the preferred first; a range can mean any tag.
    pub(super) fn refs(&self) -> Vec<String> {
        match self {
            Revision::Default => vec!["HEAD".into()],
            Revision::Commit(_) => vec![],
            // A branch can be called `1.x`; it is meant when no tag is in the range.
            Revision::Range(range) if git2::Reference::is_valid_name(&format!("refs/heads/{}", range.as_str())) => {
                vec!["refs/tags/".into(), format!("refs/heads/{}", range.as_str())]
            }
            Revision::Range(_) => vec!["refs/tags/".into()],
            Revision::Name(name) if name.starts_with("refs/") => vec![name.clone()],
            Revision::Name(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
        }
    }

    /// The digits, if it can be the beginning of a commit's id.
    pub(super) fn digits(&self) -> Option<&str> {
        match self {
            Revision::Name(name) => {
                let plausible = (7..40).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_hexdigit());
                plausible.then_some(name)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_understood_by_its_form() {
        let id = "0123456789012345678901234567890123456789";
        let name = |name: &str| Ok(Revision::Name(name.into()));
        let cases = [
            ("", Ok(Revision::Default)),
            ("HEAD", Ok(Revision::Default)),
            (id, Ok(Revision::Commit(id.parse().unwrap()))),
            ("main", name("main")),
            ("env/dev", name("env/dev")),
            ("refs/heads/env/dev", name("refs/heads/env/dev")),
            ("v1.2.3", name("v1.2.3")),
            ("1.2", name("1.2")),
            ("abc1234", name("abc1234")),
            ("fix-x", name("fix-x")),
            ("release-1.x", name("release-1.x")),
            ("--upload-pack=sh", Err("it begins with `-`")),
            ("a..b", Err("git does not allow such a name")),
            ("a b", Err("git does not allow such a name")),
            ("a\nb", Err("git does not allow such a name")),
            ("a~1", Err("git does not allow such a name")),
            ("x.lock", Err("git does not allow such a name")),
        ];
        for (text, expected) in cases {
            let expected = expected.map_err(|reason| Error::BadRevision { revision: text.into(), reason });
            assert_eq!(Revision::parse(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[ -~äé\\x00-\\x1f]{0,20}|[<>=^~!|x*., 0-9v+-]{0,20}") {
            if let Ok(revision) = Revision::parse(&text) {
                for name in revision.refs() {
                    proptest::prop_assert!(name == "HEAD" || name.starts_with("refs/"), "{}", name);
                    proptest::prop_assert!(name.ends_with('/') || name == "HEAD" || git2::Reference::is_valid_name(&name));
                }
            }
        }
    }
}
