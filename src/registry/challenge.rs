//! What a registry says when it wants to know who asks: the header `WWW-Authenticate` (RFC 9110, 11.3; the distribution
//! specification's token authentication).

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, which another server gives.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The one that is taken up: a token when it is offered.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<Challenge> = texts.filter_map(parse).collect();
        let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
        bearer.or_else(|| all.first()).cloned()
    }
}

/// One challenge: registries put one into a header.
fn parse(text: &str) -> Option<Challenge> {
    let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service, mut scope) = (None, None, None);
    let mut rest = rest.trim_start();
    while let Some((name, behind)) = rest.split_once('=') {
        let (value, behind) = value(behind.trim_start());
        match name.trim().to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "service" => service = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
        rest = behind.trim_start_matches([',', ' ']);
    }
    Some(Challenge::Bearer { realm: realm?, service, scope })
}

/// A value, quoted or not, and what stands behind it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return (value.trim_end().to_owned(), behind);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            _ => value.push(character),
        }
    }
    (value, "")
}

/// Where a token is asked for.
pub(super) fn token_url(realm: &str, service: Option<&str>, scope: &str) -> Option<Url> {
    let mut url = Url::parse(realm).ok()?;
    // What stands in it for signing in would be another's.
    if !url.username().is_empty() || url.password().is_some() || url.host_str().is_none() {
        return None;
    }
    url.set_fragment(None);
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", scope);
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:library/web:pull\"";
        let cases = [
            (
                vec![hub],
                bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:library/web:pull")),
            ),
            (
                vec!["bearer realm=https://h/t , service=\"a, \\\"b\\\"\""],
                bearer("https://h/t", Some("a, \"b\""), None),
            ),
            (vec!["Basic realm=\"x\""], Some(Challenge::Basic)),
            (vec!["basic"], Some(Challenge::Basic)),
            (vec!["Basic realm=\"x\"", "Bearer realm=\"https://h/t\""], bearer("https://h/t", None, None)),
            (vec!["Bearer service=\"x\""], None),
            (vec!["Negotiate"], None),
            (vec!["Bearer realm=\"https://h/t"], bearer("https://h/t", None, None)),
            (vec![], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            assert_eq!(Challenge::of(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn a_token_is_asked_for_by_service_and_scope() {
        let url = token_url("https://h/t?a=1", Some("a b"), "repository:x:pull").unwrap();
        assert_eq!(url.as_str(), "https://h/t?a=1&service=a+b&scope=repository%3Ax%3Apull");
        for realm in ["/token", "https://user:pass@h/t", "data:x"] {
            assert_eq!(token_url(realm, None, ""), None, "{realm}");
        }
    }
}
