//! AWS Signature Version 4: what makes a request of CloudWatch one of an account.
//!
//! Documentation: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>; its
//! example is the test.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Credentials, Request, To};
use crate::object::secret::Masked;

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// The other one.
    pub secret: Masked,
    /// Of credentials that end by themselves.
    pub session_token: Option<Masked>,
}

/// The same request, signed; a request that asks for no such signature is as it was.
pub fn signed(mut request: Request, key: &AccessKey, now: Timestamp) -> Request {
    let (Credentials::AwsSignature { region, service }, To::Url(url)) = (&request.credentials, &request.to) else {
        return request;
    };
    let (region, service) = (region.clone(), *service);
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let (host, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let path = if path.is_empty() { "/" } else { path };
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();

    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    let mut added = vec![("X-Amz-Date".to_owned(), Masked::new(&time))];
    added.extend(key.session_token.clone().map(|token| ("X-Amz-Security-Token".to_owned(), token)));
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    headers.insert("host".into(), host.to_owned());
    for (name, value) in request.headers.iter().chain(&added) {
        headers.insert(name.to_ascii_lowercase(), value.expose_text().unwrap_or_default().trim().to_owned());
    }
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = hex(&Sha256::digest(request.body.as_bytes()));
    let canonical = format!("{}\n{path}\n{}\n{lines}\n{names}\n{body}", request.method, query.join("&"));

    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut derived = [b"AWS4", key.secret.expose()].concat();
    for part in [date, &region, service, "aws4_request"] {
        derived = hmac(&derived, part);
    }
    let signature = hex(&hmac(&derived, &text));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", key.id);
    request.headers.extend(added);
    request.headers.push(("Authorization".to_owned(), Masked::new(authorization)));
    request.credentials = Credentials::None;
    request
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_documentation_has_its_signature() {
        let url = "https://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers".to_owned();
        let credentials = Credentials::AwsSignature { region: "us-east-1".into(), service: "iam" };
        let request = Request { credentials, ..Request::get(url) };
        let request = request.with_header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
        let key = AccessKey {
            id: "AKIDEXAMPLE".into(),
            secret: Masked::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let signed = signed(request, &key, "2015-08-30T12:36:00Z".parse().unwrap());
        let (name, value) = signed.headers.last().unwrap();
        assert_eq!(name, "Authorization");
        assert_eq!(
            value.expose_text().unwrap(),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
        assert_eq!(signed.credentials, Credentials::None);
    }
}
