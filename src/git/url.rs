//! [`RepoUrl`]: where a repository is, parsed once; nothing that reaches it is ever an option, a command or a secret.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::secret::Secret;

/// Where a repository is.
///
/// `Display` and `Debug` leave out whatever stood before the `@`; equality, order and hash are those of the
/// [normal form](RepoUrl::normal), so that two spellings of one repository share one mirror.
#[derive(Clone)]
pub struct RepoUrl(Arc<Parts>);

struct Parts {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    path: String,
    user: Option<String>,
    password: Option<Secret>,
    normal: String,
}

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://`, or `user@host:path`
    Ssh,
    /// `file://`, or an absolute path
    File,
}

impl Scheme {
    /// As it is written before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
            Scheme::File => "file",
        }
    }

    /// The port that is meant when none is written.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Https => Some(443),
            Scheme::Http => Some(80),
            Scheme::Ssh => Some(22),
            Scheme::File => None,
        }
    }
}

/// Scheme, host and port: what credentials are bound to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The scheme.
    pub scheme: Scheme,
    /// The host, in lower case; empty for files.
    pub host: String,
    /// The port, the scheme's own if none was written; 0 for files.
    pub port: u16,
}

/// Why a text is not the address of a repository. The text itself is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing was given.
    #[error("the repository's address is empty")]
    Empty,
    /// It would be read as an option.
    #[error("a repository's address must not begin with `-`")]
    LeadingDash,
    /// Control characters or spaces inside.
    #[error("a repository's address must not hold control characters or spaces")]
    Control,
    /// Neither of the four schemes.
    #[error("`{scheme}` is not a scheme that repositories are read from (https, http, ssh, file)")]
    Scheme {
        /// What was written before `://`.
        scheme: String,
    },
    /// git's `<helper>::<address>` form, which runs a command.
    #[error("addresses of the form `helper::address` are not supported")]
    RemoteHelper,
    /// A relative path, or a word.
    #[error("the repository's address is neither a URL nor an absolute path")]
    NoScheme,
    /// No host, or one that no host can have.
    #[error("the repository's address has no valid host")]
    Host,
    /// Not a number up to 65535.
    #[error("the repository's address has no valid port")]
    Port,
    /// Nothing after the host.
    #[error("the repository's address has no path")]
    Path,
    /// A `?query` or `#fragment`.
    #[error("a repository's address must not have a query or a fragment")]
    Query,
}

impl RepoUrl {
    /// Reads an address: `https://`, `http://`, `ssh://`, `file://`, `user@host:path`, or an absolute path.
    ///
    /// # Errors
    /// When it is something else; the error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.starts_with('-') {
            return Err(UrlError::LeadingDash);
        }
        let is_path = text.starts_with('/');
        if text.chars().any(|c| c.is_control() || (c == ' ' && !is_path)) {
            return Err(UrlError::Control);
        }
        if is_path {
            return RepoUrl::local(text);
        }
        if let Some((scheme, rest)) = text.split_once("://")
            && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
        {
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "https" => Scheme::Https,
                "http" => Scheme::Http,
                "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
                "file" => return RepoUrl::local(rest.strip_prefix("localhost").unwrap_or(rest)),
                other => return Err(UrlError::Scheme { scheme: other.into() }),
            };
            let (authority, path) = rest.split_once('/').ok_or(UrlError::Path)?;
            return RepoUrl::remote(scheme, authority, &format!("/{path}"));
        }
        if text.contains("::") {
            return Err(UrlError::RemoteHelper);
        }
        // `host:path`, as scp writes it: the colon comes before any slash.
        match text.split_once(':') {
            Some((authority, path)) if !authority.contains('/') => {
                if path.is_empty() {
                    return Err(UrlError::Path);
                }
                RepoUrl::remote(Scheme::Ssh, authority, path)
            }
            _ => Err(UrlError::NoScheme),
        }
    }

    fn local(path: &str) -> Result<Self, UrlError> {
        if !path.starts_with('/') {
            return Err(UrlError::NoScheme);
        }
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if path.is_empty() {
            return Err(UrlError::Path);
        }
        Ok(RepoUrl(Arc::new(Parts {
            scheme: Scheme::File,
            host: String::new(),
            port: None,
            path: path.into(),
            user: None,
            password: None,
            normal: format!("file://{path}"),
        })))
    }

    fn remote(scheme: Scheme, authority: &str, path: &str) -> Result<Self, UrlError> {
        if path.contains(['?', '#']) || authority.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (host, port) = split_port(host)?;
        let host = host.to_ascii_lowercase();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if name.is_empty() || name.starts_with('-') || !name.chars().all(valid) {
            return Err(UrlError::Host);
        }
        let (user, password) = match userinfo.map(|userinfo| userinfo.split_once(':').unwrap_or((userinfo, ""))) {
            None => (None, None),
            Some((user, password)) => (
                Some(decode_percent(user)).filter(|user| !user.is_empty()),
                Some(decode_percent(password)).filter(|password| !password.is_empty()),
            ),
        };
        // ssh takes the user as an argument of its own protocol; a leading dash is an option in some servers' hands.
        if user.as_deref().is_some_and(|user| user.starts_with('-') || user.chars().any(char::is_control)) {
            return Err(UrlError::LeadingDash);
        }
        let trimmed = path.trim_end_matches('/');
        let bare = trimmed.strip_suffix(".git").unwrap_or(trimmed).trim_start_matches('/');
        if bare.is_empty() {
            return Err(UrlError::Path);
        }
        if path.trim_start_matches('/').starts_with('-') {
            return Err(UrlError::LeadingDash);
        }
        let port = port.filter(|port| Some(*port) != scheme.default_port());
        let written_port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let normal = format!("{}://{host}{written_port}/{bare}", scheme.as_str());
        Ok(RepoUrl(Arc::new(Parts {
            scheme,
            host,
            port,
            path: trimmed.into(),
            user,
            password: password.map(|password| Secret::new(password.into_bytes())),
            normal,
        })))
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The host, in lower case; empty for files.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// What credentials for it are bound to.
    pub fn endpoint(&self) -> Endpoint {
        let port = self.0.port.or(self.0.scheme.default_port()).unwrap_or(0);
        Endpoint { scheme: self.0.scheme, host: self.0.host.clone(), port }
    }

    /// The directory of a local repository; `None` for all others.
    pub fn local_path(&self) -> Option<&Path> {
        (self.0.scheme == Scheme::File).then(|| Path::new(&self.0.path))
    }

    /// Scheme, host in lower case, port unless it is the scheme's own, and path, without user, `.git` and trailing
    /// slash: what a repository is known by.
    pub fn normal(&self) -> &str {
        &self.0.normal
    }

    /// True when both name the same repository, as Argo CD matches webhooks: host and path, whatever the scheme, port,
    /// user and case; `.git` is optional.
    pub fn is_same_repository(&self, other: &RepoUrl) -> bool {
        if self.0.scheme == Scheme::File || other.0.scheme == Scheme::File {
            return self.0.normal == other.0.normal;
        }
        self.0.host == other.0.host && self.bare_path().eq_ignore_ascii_case(other.bare_path())
    }

    fn bare_path(&self) -> &str {
        self.0.path.strip_suffix(".git").unwrap_or(&self.0.path).trim_start_matches('/')
    }

    /// The path as it was written, for the server.
    pub(super) fn path(&self) -> &str {
        &self.0.path
    }

    /// The user before the `@`.
    pub(super) fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The password before the `@`, which people should rather keep in a Secret.
    pub(super) fn password(&self) -> Option<&Secret> {
        self.0.password.as_ref()
    }

    /// The address without user and password, for requests.
    pub(super) fn http(&self) -> String {
        let port = self.0.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.0.scheme.as_str(), self.0.host, self.0.path)
    }

    /// A name for the directory of its mirror: the repository's own name, for people, and a hash.
    pub(super) fn directory(&self) -> PathBuf {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(self.0.normal.as_bytes());
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let name = self.0.normal.rsplit('/').next().unwrap_or_default();
        let name: String =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(40).collect();
        PathBuf::from(if name.is_empty() { hash } else { format!("{name}-{hash}") })
    }
}

/// `host:8080`, `[::1]:8080`, `host`.
fn split_port(host: &str) -> Result<(&str, Option<u16>), UrlError> {
    let end = host.rfind(']').map_or(0, |bracket| bracket + 1);
    if host.starts_with('[') && end == 0 {
        return Err(UrlError::Host);
    }
    match host[end..].find(':') {
        None => Ok((host, None)),
        Some(colon) => {
            let (name, port) = (&host[..end + colon], &host[end + colon + 1..]);
            if port.is_empty() {
                return Ok((name, None));
            }
            if !port.bytes().all(|c| c.is_ascii_digit()) {
                return Err(UrlError::Port);
            }
            let port = port.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?;
            Ok((name, Some(port)))
        }
    }
}

/// `%40` → `@`; what is no such escape stays as it is.
fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = 0;
    while rest < bytes.len() {
        let escape = (bytes[rest] == b'%').then(|| bytes.get(rest + 1..rest + 3)).flatten();
        let value = escape.and_then(|digits| std::str::from_utf8(digits).ok());
        match value.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                rest += 3;
            }
            None => {
                decoded.push(bytes[rest]);
                rest += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

impl FromStr for RepoUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        RepoUrl::parse(text)
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.0.scheme {
            Scheme::File => f.write_str(&self.0.path),
            // What scp writes has a path that is relative to the user's home.
            Scheme::Ssh if !self.0.path.starts_with('/') => write!(f, "{}{port}:{}", self.0.host, self.0.path),
            scheme => write!(f, "{}://{}{port}{}", scheme.as_str(), self.0.host, self.0.path),
        }
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUrl({self})")
    }
}

impl PartialEq for RepoUrl {
    fn eq(&self, other: &Self) -> bool {
        self.0.normal == other.0.normal
    }
}

impl Eq for RepoUrl {}

impl PartialOrd for RepoUrl {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepoUrl {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.normal.cmp(&other.0.normal)
    }
}

impl Hash for RepoUrl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.normal.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_normal_form_and_show_no_secret() {
        let cases = [
            // written                                       shown                              normal form
            ("https://Git.Example.com/a/B.git", "https://git.example.com/a/B.git", "https://git.example.com/a/B"),
            ("https://u:s3cret@h:443/a/", "https://h/a", "https://h/a"),
            ("http://h:3000/a", "http://h:3000/a", "http://h:3000/a"),
            ("ssh://git@h:22/a.git", "ssh://h/a.git", "ssh://h/a"),
            ("git@h:team/a.git", "h:team/a.git", "ssh://h/team/a"),
            ("h:a", "h:a", "ssh://h/a"),
            ("ssh://git@[::1]:2222/a", "ssh://[::1]:2222/a", "ssh://[::1]:2222/a"),
            ("/srv/git/a b.git/", "/srv/git/a b.git", "file:///srv/git/a b.git"),
            ("file:///srv/a", "/srv/a", "file:///srv/a"),
            ("file://localhost/srv/a", "/srv/a", "file:///srv/a"),
        ];
        for (written, shown, normal) in cases {
            let url = RepoUrl::parse(written).unwrap();
            assert_eq!(url.to_string(), shown, "{written}");
            assert_eq!(url.normal(), normal, "{written}");
            assert!(!format!("{url:?}").contains("s3cret"), "{written}");
        }
    }

    #[test]
    fn what_is_no_repository_is_refused() {
        let cases = [
            ("", UrlError::Empty),
            ("--upload-pack=touch x", UrlError::LeadingDash),
            ("https://h/a\nb", UrlError::Control),
            ("https://h/a b", UrlError::Control),
            ("ext::sh -c true", UrlError::Control),
            ("ext::sh", UrlError::RemoteHelper),
            ("ftp://h/a", UrlError::Scheme { scheme: "ftp".into() }),
            ("git://h/a", UrlError::Scheme { scheme: "git".into() }),
            ("a/b", UrlError::NoScheme),
            ("./a", UrlError::NoScheme),
            ("file://a/b", UrlError::NoScheme),
            ("https://h", UrlError::Path),
            ("https://h/", UrlError::Path),
            ("https:///a", UrlError::Host),
            ("https://-oProxyCommand=x/a", UrlError::Host),
            ("ssh://-oProxyCommand=x/a", UrlError::Host),
            ("-oProxyCommand=x:a", UrlError::LeadingDash),
            ("ssh://-o@h/a", UrlError::LeadingDash),
            ("ssh://h/-a", UrlError::LeadingDash),
            ("https://h:0/a", UrlError::Port),
            ("https://h:99999/a", UrlError::Port),
            ("https://h:x/a", UrlError::Port),
            ("https://h/a?sig=s3cret", UrlError::Query),
            ("https://h/a#b", UrlError::Query),
        ];
        for (written, expected) in cases {
            assert_eq!(RepoUrl::parse(written).unwrap_err(), expected, "{written}");
        }
    }

    #[test]
    fn one_repository_has_many_addresses() {
        let cases = [
            ("https://h/a/b.git", "git@h:a/b", true),
            ("https://h/a/b", "http://h:3000/A/B.git", true),
            ("https://h/a/b", "https://user:pw@H:8443/A/b/", true),
            ("h:a/b", "ssh://git@h:2222/a/b", true),
            ("http://[::1]:3000/a/b", "ssh://git@[::1]/a/b.git", true),
            ("https://h/a/b", "https://h/a/bc", false),
            ("https://h/a/b", "https://i/a/b", false),
            ("/srv/a", "file:///srv/a", true),
            ("/srv/a.git", "file:///srv/a.git", true),
            ("/srv/a", "/srv/A", false),
            ("/srv/a", "https://h/srv/a", false),
        ];
        for (one, other, same) in cases {
            let (left, right) = (RepoUrl::parse(one).unwrap(), RepoUrl::parse(other).unwrap());
            assert_eq!(left.is_same_repository(&right), same, "{one} and {other}");
            assert_eq!(right.is_same_repository(&left), same, "{other} and {one}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic_and_no_address_an_option(text in "(https://|ssh://|file://|/|git@|)[ -~\\x00-\\x1fäé:/@%.\\[\\]-]{0,40}") {
            let Ok(url) = RepoUrl::parse(&text) else { return Ok(()) };
            proptest::prop_assert!(!url.to_string().starts_with('-') && !url.host().starts_with('-'));
            proptest::prop_assert!(!url.to_string().contains(char::is_control));
            // Display leaves out a secret, and nothing that makes the repository another one.
            let shown = RepoUrl::parse(&url.to_string());
            proptest::prop_assert_eq!(shown.as_ref().map(RepoUrl::normal), Ok(url.normal()));
            let secret = text.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
            if let Some((secret, _)) = secret.filter(|(secret, _)| secret.len() > 3 && url.scheme() != Scheme::File) {
                let shows = url.to_string().contains(&format!("{secret}@"));
                proptest::prop_assert!(!shows);
            }
        }
    }
}
