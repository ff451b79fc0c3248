//! Who the daemon is to AWS: the keys with which requests to CloudWatch, SNS and SQS are signed.
//!
//! In the order in which AWS's own clients look: what the user names, the environment, and what EKS or ECS gives to a
//! pod over HTTP. Documentation: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::{Daemon, web};
use crate::canary::metric::aws::AccessKey;
use crate::object::secret::Masked;

const ID: &str = "AWS_ACCESS_KEY_ID";
const KEY: &str = "AWS_SECRET_ACCESS_KEY";
const TOKEN: &str = "AWS_SESSION_TOKEN";
/// Where ECS listens for the paths that it gives to containers.
const CONTAINERS: &str = "http://169.254.170.2";
const PATIENCE: Duration = Duration::from_secs(5);

/// What a pod's identity is given as.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

/// The keys to sign with.
///
/// # Errors
/// When there are none, in a sentence; or whoever should give them does not.
pub(super) async fn access_key(daemon: &Daemon, secret: &BTreeMap<String, Masked>) -> Result<AccessKey, String> {
    let named = |name: &str| secret.get(name).and_then(Masked::expose_text).map(|text| text.trim().to_owned());
    let environment = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(key) = of(named)? {
        return Ok(key);
    }
    if let Some(key) = of(environment)? {
        return Ok(key);
    }
    let path = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url =
        environment("AWS_CONTAINER_CREDENTIALS_FULL_URI").or_else(|| path.map(|path| format!("{CONTAINERS}{path}")));
    let Some(url) = url else {
        return Err(format!(
            "no AWS credentials: neither the secret nor the environment has {ID}, and no pod identity is set"
        ));
    };
    let mut call = daemon.web.trusted(Method::GET, &url).timeout(PATIENCE);
    if let Some(token) = authorization(environment)? {
        call = call.header("Authorization", token);
    }
    let failed = |error: &reqwest::Error| format!("no AWS credentials from the pod's identity: {}", web::cause(error));
    let answer = call.send().await.and_then(reqwest::Response::error_for_status).map_err(|error| failed(&error))?;
    let given: Given = answer.json().await.map_err(|error| failed(&error))?;
    let Given { access_key_id: id, secret_access_key, token } = given;
    Ok(AccessKey { id, secret: Masked::new(secret_access_key), session_token: token.map(Masked::new) })
}

/// Keys by their usual names; nothing when there is no first one.
fn of(find: impl Fn(&str) -> Option<String>) -> Result<Option<AccessKey>, String> {
    let Some(id) = find(ID) else { return Ok(None) };
    let secret = find(KEY).ok_or_else(|| format!("{ID} is set and {KEY} is not"))?;
    Ok(Some(AccessKey { id, secret: Masked::new(secret), session_token: find(TOKEN).map(Masked::new) }))
}

/// What proves to EKS which pod asks.
fn authorization(find: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    if let Some(path) = find("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        let token = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        return Ok(Some(token.trim().to_owned()));
    }
    Ok(find("AWS_CONTAINER_AUTHORIZATION_TOKEN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_their_usual_names() {
        let read = |pairs: &[(&str, &str)]| {
            let map: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            of(|name| map.get(name).cloned())
        };
        let key = AccessKey { id: "a".into(), secret: Masked::new("b"), session_token: None };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(ID, "a"), (KEY, "b")]), Ok(Some(key.clone())));
        let token = Some(Masked::new("c"));
        assert_eq!(read(&[(ID, "a"), (KEY, "b"), (TOKEN, "c")]), Ok(Some(AccessKey { session_token: token, ..key })));
        assert_eq!(read(&[(ID, "a")]), Err("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not".into()));
    }
}
