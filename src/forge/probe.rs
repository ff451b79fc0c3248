//! [`probe`]: which forge a host is, when neither a person nor its name says so.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::budget::Urgency;
use super::call::{Call, Unread};
use super::error::Error;
use super::http::Forge;
use super::kind::Kind;
use super::sign_in::Access;

/// Asks a host which forge it is; `None` when it is none that we know. Nothing secret is sent: it may be any host.
///
/// # Errors
/// When the host cannot be asked.
pub async fn probe(site: &str, access: &Access) -> Result<Option<Kind>, Error> {
    let nobody = Access { credential: None, ..access.clone() };
    for (kind, path) in QUESTIONS {
        let forge = Forge::new(kind, site, &nobody)?;
        let call = Call::get("find out which forge it is", path).reads(move |answer| {
            match is_forge(kind, answer.status, &answer.headers, &answer.body) {
                true => Ok(()),
                false => Err(Unread::Refused),
            }
        });
        let failure = match forge.send(&call, Urgency::Urgent).await {
            Ok(_) => return Ok(Some(kind)),
            Err(failure) => forge.told(failure, &call.action),
        };
        // Anything else is another forge, a sign-in page, a server in trouble with that path.
        if matches!(failure, Error::Unreachable { .. } | Error::Credential { .. }) {
            return Err(failure);
        }
    }
    Ok(None)
}

/// What each forge alone answers, below its API.
const QUESTIONS: [(Kind, &[&str]); 4] = [
    (Kind::Gitea, &["version"]),
    (Kind::GitLab, &["version"]),
    (Kind::GitHub, &["meta"]),
    (Kind::BitbucketServer, &["api", "1.0", "application-properties"]),
];

fn is_forge(kind: Kind, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match (kind, status.as_u16()) {
        (Kind::Gitea, 200) => body["version"].is_string(),
        (Kind::GitLab, 200) => body["version"].is_string() && body["revision"].is_string(),
        // GitLab tells its version to members only.
        (Kind::GitLab, 401) => body["message"] == "401 Unauthorized" || headers.contains_key("x-gitlab-meta"),
        (Kind::GitHub, 200) => body.get("verifiable_password_authentication").is_some(),
        (Kind::GitHub, 401) => headers.contains_key("x-github-request-id"),
        (Kind::BitbucketServer, 200) => body["displayName"].as_str().is_some_and(|name| name.contains("Bitbucket")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forge_has_an_answer_of_its_own() {
        let enterprise = r#"{"verifiable_password_authentication": true, "installed_version": "3.17.0"}"#;
        let cases: [(Kind, u16, &[&str], &str, bool); 9] = [
            // asked for, status, headers, body, is it
            (Kind::Gitea, 200, &[], r#"{"version": "1.26.0"}"#, true),
            (Kind::Gitea, 200, &[], "<html>", false),
            (Kind::Gitea, 404, &[], r#"{"version": "1.26.0"}"#, false),
            (Kind::GitLab, 200, &[], r#"{"version": "18.2.0", "revision": "6a1b2c3"}"#, true),
            (Kind::GitLab, 401, &[], r#"{"message": "401 Unauthorized"}"#, true),
            (Kind::GitLab, 401, &[], r#"{"message": "no"}"#, false),
            (Kind::GitHub, 200, &[], enterprise, true),
            (Kind::GitHub, 401, &["x-github-request-id"], "", true),
            (Kind::BitbucketServer, 200, &[], r#"{"version": "9.4.0", "displayName": "Bitbucket"}"#, true),
        ];
        for (kind, status, headers, body, expected) in cases {
            let headers = headers.iter().map(|name| (name.parse().unwrap(), "x".parse().unwrap())).collect();
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_forge(kind, status, &headers, body.as_bytes()), expected, "{kind} {status} {body}");
        }
    }
}
