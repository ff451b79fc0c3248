//! A base in another repository, as a kustomization names it: `https://github.com/org/repo//path?ref=v1`.
//!
//! Nothing of it ever becomes an argument of a command: it is read into a typed address and a revision, or refused.

use std::fmt;

use super::TreePath;
use crate::git::{RepoUrl, UrlError, check_revision};

/// A repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remote {
    /// Where it is.
    pub url: RepoUrl,
    /// Branch, tag or commit; `HEAD` where none is named.
    pub revision: String,
}

impl Remote {
    /// The directory of a combined tree in which its files stand: what messages call them by.
    pub fn mount_point(&self) -> TreePath {
        // Neither the address nor the revision may add a level or end the other's part.
        let escaped = |text: &str| text.replace('%', "%25").replace('@', "%40");
        let name = format!("{}@{}", escaped(self.url.normal()), escaped(&self.revision).replace('/', "%2f"));
        // An address has no `..`, and the name is not empty.
        TreePath::new(&name).unwrap_or_default()
    }
}

/// A path of a combined tree as a person writes it: below a mount point, the repository's address with its `//`.
pub fn shown(path: &str) -> Option<String> {
    const SCHEMES: [(&str, &str); 4] =
        [("https:/", "https://"), ("http:/", "http://"), ("ssh:/", "ssh://"), ("file:/", "file:///")];
    SCHEMES.into_iter().find_map(|(start, written)| Some(format!("{written}{}", path.strip_prefix(start)?)))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.url, self.revision)
    }
}

/// A directory of a repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBase {
    /// The repository.
    pub remote: Remote,
    /// The directory in it.
    pub directory: TreePath,
}

/// Why a text names no base in another repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRemote {
    /// The address.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The revision.
    #[error("`{revision}` is no branch, tag or commit: {reason}")]
    Revision {
        /// As it is written.
        revision: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The directory climbs out of the repository.
    #[error("`{path}` lies outside of its repository")]
    Escapes {
        /// As it is written.
        path: String,
    },
    /// A single file is served there, not a repository.
    #[error("it is the address of a file, and only repositories are read")]
    File,
}

/// True for what kustomize would take for a repository or an address once no file has that name.
pub fn is_remote(entry: &str) -> bool {
    entry.contains("://")
        || entry.contains("?ref=")
        || entry.contains("_git/")
        || entry.contains(".git/")
        || entry.ends_with(".git")
        || ["git@", "git::", "gh:", "github.com:"].iter().any(|start| entry.starts_with(start))
        || HOSTS.iter().any(|host| entry.starts_with(host))
}

/// Hosts that kustomize's users write without a scheme.
const HOSTS: [&str; 3] = ["github.com/", "gitlab.com/", "bitbucket.org/"];

impl RemoteBase {
    /// Reads an entry that names a base in another repository.
    ///
    /// # Errors
    /// When its address, its revision or its directory is none.
    pub fn parse(entry: &str) -> Result<Self, NotRemote> {
        let (place, query) = entry.split_once('?').unwrap_or((entry, ""));
        let place = place.strip_prefix("git::").unwrap_or(place);
        let place = match (place.strip_prefix("gh:"), place.strip_prefix("github.com:")) {
            (Some(rest), _) | (_, Some(rest)) => format!("https://github.com/{rest}"),
            _ if HOSTS.iter().any(|host| place.starts_with(host)) => format!("https://{place}"),
            _ => place.to_owned(),
        };
        let (repository, directory) = split(&place);
        if is_file(directory) || (directory.is_empty() && is_file(repository)) {
            return Err(NotRemote::File);
        }
        let mut named = query.split('&').filter_map(|part| part.split_once('='));
        let of = |wanted: &str, parts: &mut dyn Iterator<Item = (&str, &str)>| {
            parts.filter(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned()).next()
        };
        let revision = of("ref", &mut named.clone()).or_else(|| of("version", &mut named));
        let revision = revision.filter(|revision| !revision.is_empty()).unwrap_or_else(|| "HEAD".into());
        check_revision(&revision).map_err(|reason| NotRemote::Revision { revision: revision.clone(), reason })?;
        let url = RepoUrl::parse(repository)?;
        let directory = TreePath::new(directory).map_err(|_| NotRemote::Escapes { path: directory.to_owned() })?;
        Ok(RemoteBase { remote: Remote { url, revision }, directory })
    }
}

/// The repository's address and the directory in it.
fn split(place: &str) -> (&str, &str) {
    let after_scheme = place.find("://").map_or(0, |at| at + "://".len());
    let cut = |at: usize, skipped: usize| {
        let (repository, rest) = place.split_at(at);
        (repository, rest.get(skipped..).unwrap_or_default().trim_start_matches('/'))
    };
    let rest = place.get(after_scheme..).unwrap_or_default();
    if let Some(at) = rest.find("//") {
        return cut(after_scheme + at, 2);
    }
    if let Some(at) = rest.find("_git/") {
        let name = after_scheme + at + "_git/".len();
        let end = place.get(name..).and_then(|rest| rest.find('/')).map_or(place.len(), |at| name + at);
        return cut(end, 0);
    }
    if let Some(at) = rest.find(".git/") {
        return cut(after_scheme + at + ".git".len(), 0);
    }
    // Of this host it is known that a repository has two parts.
    let is_github = rest.split_once('/').is_some_and(|(host, _)| host.rsplit('@').next() == Some("github.com"));
    match rest.match_indices('/').nth(2) {
        Some((at, _)) if is_github => cut(after_scheme + at, 0),
        _ => (place, ""),
    }
}

fn is_file(path: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_kustomize_reads_them() {
        let cases = [
            // entry, repository, revision, directory
            ("https://github.com/o/r", Some(("https://github.com/o/r", "HEAD", ""))),
            ("https://github.com/o/r/a/b?ref=v1.2", Some(("https://github.com/o/r", "v1.2", "a/b"))),
            ("github.com/o/r/a?ref=main", Some(("https://github.com/o/r", "main", "a"))),
            ("gitlab.com/o/r.git//a", Some(("https://gitlab.com/o/r", "HEAD", "a"))),
            ("gh:o/r", Some(("https://github.com/o/r", "HEAD", ""))),
            (
                "https://git.example.com/x/y/z//deep/er?version=1",
                Some(("https://git.example.com/x/y/z", "1", "deep/er")),
            ),
            ("git::https://git.example.com/x/r.git/a", Some(("https://git.example.com/x/r", "HEAD", "a"))),
            (
                "https://dev.azure.com/o/p/_git/r/a/b?ref=x&timeout=9s",
                Some(("https://dev.azure.com/o/p/_git/r", "x", "a/b")),
            ),
            ("git@github.com:o/r.git//a?ref=feature/x", Some(("ssh://github.com/o/r", "feature/x", "a"))),
            ("ssh://git@example.com:2222/r.git", Some(("ssh://example.com:2222/r", "HEAD", ""))),
            ("file:///srv/r//a", Some(("file:///srv/r", "HEAD", "a"))),
            ("https://github.com/o/r?ref=--upload-pack=touch%20x", None),
            ("https://github.com/o/r?ref=a%0ab", Some(("https://github.com/o/r", "a%0ab", ""))),
            ("https://github.com/o/r//../../x", None),
            ("https://raw.githubusercontent.com/o/r/main/a.yaml", None),
            ("ext::sh -c touch%20x", None),
            ("--upload-pack=x://y", None),
        ];
        for (entry, expected) in cases {
            let found = RemoteBase::parse(entry);
            let found = found.as_ref().ok().map(|base| {
                (
                    base.remote.url.normal().trim_end_matches(".git"),
                    base.remote.revision.as_str(),
                    base.directory.as_str(),
                )
            });
            assert_eq!(found, expected, "{entry}");
        }
    }

    #[test]
    fn no_two_repositories_stand_in_one_place() {
        let point = |url: &str, revision: &str| {
            let remote = Remote { url: RepoUrl::parse(url).unwrap(), revision: revision.into() };
            remote.mount_point().to_string()
        };
        assert_eq!(point("https://github.com/o/r.git", "v1"), point("https://github.com/o/r", "v1"));
        assert_eq!(point("https://github.com/o/r", "a/b"), "https:/github.com/o/r@a%2fb");
        assert_ne!(point("https://x.org/r@a", "b"), point("https://x.org/r", "a@b"));
    }
}
