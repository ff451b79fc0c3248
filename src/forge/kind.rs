//! [`Kind`]: which forge it is, where its API begins, and how it names a repository.

use std::fmt;

use reqwest::Url;

use crate::git::{RepoUrl, Scheme};

/// Which forge it is: one per API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// github.com and GitHub Enterprise.
    GitHub,
    /// gitlab.com and GitLab of one's own.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// bitbucket.org.
    BitbucketCloud,
    /// Bitbucket Data Center, called Server before.
    BitbucketServer,
}

impl Kind {
    /// Every forge.
    pub const ALL: [Kind; 5] = [Kind::GitHub, Kind::GitLab, Kind::Gitea, Kind::BitbucketCloud, Kind::BitbucketServer];

    /// A word for logs, metrics and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::GitHub => "github",
            Kind::GitLab => "gitlab",
            Kind::Gitea => "gitea",
            Kind::BitbucketCloud => "bitbucket",
            Kind::BitbucketServer => "bitbucketserver",
        }
    }

    /// The forge that this word means in a configuration.
    pub fn from_word(word: &str) -> Option<Kind> {
        match word {
            "forgejo" => Some(Kind::Gitea),
            "bitbucket-server" | "bitbucket-data-center" => Some(Kind::BitbucketServer),
            "bitbucket-cloud" => Some(Kind::BitbucketCloud),
            _ => Kind::ALL.into_iter().find(|kind| kind.as_str() == word),
        }
    }

    /// The forge of a host that everybody knows. Of all others a person has to say it, or the host is asked.
    pub fn of_host(host: &str) -> Option<Kind> {
        match host {
            "github.com" | "ssh.github.com" => Some(Kind::GitHub),
            "gitlab.com" | "altssh.gitlab.com" => Some(Kind::GitLab),
            "bitbucket.org" | "altssh.bitbucket.org" => Some(Kind::BitbucketCloud),
            "codeberg.org" | "gitea.com" => Some(Kind::Gitea),
            // GitHub's own, with the data in a country of one's choice.
            _ if host.ends_with(".ghe.com") => Some(Kind::GitHub),
            _ => None,
        }
    }

    /// The name by which a head can be fetched from the repository that the pull request is for. `None`: only from the
    /// repository that it comes from.
    pub fn head_reference(self, pull: u64) -> Option<String> {
        match self {
            Kind::GitHub | Kind::Gitea => Some(format!("refs/pull/{pull}/head")),
            Kind::GitLab => Some(format!("refs/merge-requests/{pull}/head")),
            // Data Center has one that is refreshed only when somebody looks at the pull request.
            Kind::BitbucketCloud | Kind::BitbucketServer => None,
        }
    }

    /// Where the API begins, below the address at which people find the forge.
    pub(super) fn api(self, site: &Url) -> Url {
        let mut api = site.clone();
        let host = site.host_str().unwrap_or_default();
        let elsewhere = match (self, host) {
            (Kind::GitHub, host) if host.ends_with(".ghe.com") => Some(format!("https://api.{host}/")),
            (Kind::GitHub, host) if Kind::of_host(host).is_some() => Some("https://api.github.com/".to_owned()),
            (Kind::BitbucketCloud, host) if Kind::of_host(host).is_some() => {
                Some("https://api.bitbucket.org/2.0/".to_owned())
            }
            _ => None,
        };
        if let Some(api) = elsewhere.and_then(|api| Url::parse(&api).ok()) {
            return api;
        }
        let below = match self {
            Kind::GitHub => "api/v3",
            Kind::GitLab => "api/v4",
            Kind::Gitea => "api/v1",
            Kind::BitbucketCloud => "2.0",
            Kind::BitbucketServer => "rest",
        };
        api.set_path(&format!("{}/{below}/", site.path().trim_end_matches('/')));
        api
    }

    /// The repository that an address means, on a forge whose own address has the path `root`.
    pub(super) fn repository(self, url: &RepoUrl, root: &str) -> Option<RepoName> {
        let normal = url.normal();
        let path = normal.split_once("://")?.1.split_once('/')?.1;
        let root = root.trim_matches('/');
        // Only http has the forge's own path in front: ssh goes to the repositories straight.
        let path = match url.scheme() {
            Scheme::Https | Scheme::Http if !root.is_empty() => path.strip_prefix(root)?.strip_prefix('/')?,
            Scheme::File => return None,
            _ => path,
        };
        let path = match (self, url.scheme()) {
            (Kind::BitbucketServer, Scheme::Https | Scheme::Http) => path.strip_prefix("scm/").unwrap_or(path),
            _ => path,
        };
        RepoName::parse(self, path)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::GitHub => "GitHub",
            Kind::GitLab => "GitLab",
            Kind::Gitea => "Gitea",
            Kind::BitbucketCloud => "Bitbucket Cloud",
            Kind::BitbucketServer => "Bitbucket Data Center",
        })
    }
}

/// A repository as its forge names it: `platform/shop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoName {
    owner: String,
    name: String,
}

impl RepoName {
    /// Reads `owner/name`; on GitLab the owner may be a group in a group.
    pub(super) fn parse(kind: Kind, path: &str) -> Option<RepoName> {
        let (owner, name) = path.rsplit_once('/')?;
        let is_plain = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(|c: char| c.is_control() || c == '\\')
        };
        let depth = owner.split('/').count();
        let is_good = owner.split('/').all(is_plain) && is_plain(name) && (depth == 1 || kind == Kind::GitLab);
        is_good.then(|| RepoName { owner: owner.into(), name: name.into() })
    }

    /// A user, an organisation, a workspace, a project's key, or a group with those around it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its name without the owner.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_found_below_the_forges_address() {
        let cases = [
            (Kind::GitHub, "https://github.com", "https://api.github.com/"),
            (Kind::GitHub, "https://ghe.example.com/", "https://ghe.example.com/api/v3/"),
            (Kind::GitHub, "https://octo.ghe.com", "https://api.octo.ghe.com/"),
            (Kind::GitLab, "https://gitlab.com", "https://gitlab.com/api/v4/"),
            (Kind::GitLab, "https://example.com/gitlab/", "https://example.com/gitlab/api/v4/"),
            (Kind::Gitea, "http://127.0.0.1:3000", "http://127.0.0.1:3000/api/v1/"),
            (Kind::BitbucketCloud, "https://bitbucket.org", "https://api.bitbucket.org/2.0/"),
            (Kind::BitbucketServer, "https://example.com/stash", "https://example.com/stash/rest/"),
        ];
        for (kind, site, api) in cases {
            assert_eq!(kind.api(&Url::parse(site).unwrap()).as_str(), api, "{kind} {site}");
        }
    }

    #[test]
    fn an_address_names_a_repository_whatever_way_leads_to_it() {
        let cases = [
            // forge            its path    address                                       name
            (Kind::GitHub, "", "https://github.com/platform/shop.git", Some("platform/shop")),
            (Kind::GitHub, "", "git@github.com:platform/shop", Some("platform/shop")),
            (Kind::GitHub, "", "https://github.com/platform/team/shop", None),
            (Kind::GitLab, "", "https://gitlab.com/a/b/c.git", Some("a/b/c")),
            (Kind::GitLab, "/gitlab", "https://example.com/gitlab/a/b", Some("a/b")),
            (Kind::GitLab, "/gitlab", "https://example.com/gitlabs/a/b", None),
            (Kind::GitLab, "/gitlab", "git@example.com:a/b", Some("a/b")),
            (Kind::Gitea, "", "ssh://git@h:2222/a/b.git", Some("a/b")),
            (Kind::Gitea, "", "https://h/a", None),
            (Kind::Gitea, "", "/srv/a/b", None),
            (Kind::Gitea, "", "https://h/../b", None),
            (Kind::BitbucketServer, "", "https://h/scm/PRJ/shop.git", Some("PRJ/shop")),
            (Kind::BitbucketServer, "/stash", "https://h/stash/scm/~jane/shop", Some("~jane/shop")),
            (Kind::BitbucketServer, "", "ssh://git@h:7999/prj/shop.git", Some("prj/shop")),
        ];
        for (kind, root, url, expected) in cases {
            let found = kind.repository(&RepoUrl::parse(url).unwrap(), root).map(|name| name.to_string());
            assert_eq!(found.as_deref(), expected, "{kind} {url}");
        }
    }

    #[test]
    fn every_forge_has_a_word() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::from_word("forgejo"), Some(Kind::Gitea));
        assert_eq!(Kind::from_word("svn"), None);
    }
}
