//! GitHub, and Gitea, Forgejo and Gogs, whose body is the same: JSON, or a form with the JSON in `payload`.
//!
//! GitHub: `X-GitHub-Event: push`, HMAC in `X-Hub-Signature-256`
//! (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#push>).
//! Gitea: `X-Gitea-Event: push`, HMAC in `X-Gitea-Signature` (<https://docs.gitea.com/usage/webhooks>).

use std::borrow::Cow;

use serde::Deserialize;

use super::{Push, Rejection, parsed};

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: String,
    after: Option<String>,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    clone_url: Option<String>,
    ssh_url: Option<String>,
    html_url: Option<String>,
}

pub(super) fn pushes(body: &[u8]) -> Result<Vec<Push>, Rejection> {
    let body = match body.strip_prefix(b"payload=") {
        Some(form) => Cow::Owned(form_value(form)),
        None => Cow::Borrowed(body),
    };
    let payload: Payload = parsed(&body)?;
    let Repository { clone_url, ssh_url, html_url } = payload.repository;
    let repositories = vec![clone_url, ssh_url, html_url];
    Ok(vec![Push { repositories, reference: payload.reference, after: payload.after }])
}

/// The first value of a form, decoded. What is no escape stays as it is: the JSON parser will tell.
fn form_value(form: &[u8]) -> Vec<u8> {
    let value = form.split(|byte| *byte == b'&').next().unwrap_or_default();
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.iter().copied();
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high << 4 | low));
                rest = ahead;
            }
            (b'+', ..) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    decoded
}
