//! One request: made, counted, tried again where waiting can help, and its answer read.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smol_str::SmolStr;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::{Cluster, Error, Verb};
use crate::live::pace::{Queue, Repeat};

/// How long one try may take.
const DEADLINE: Duration = Duration::from_secs(30);
pub(super) const JSON: &str = "application/json";

impl Cluster {
    /// Makes a request, and makes it again for as long as that can help.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<RawAnswer, Error> {
        let queue = match call.verb {
            Verb::Apply | Verb::DryRun | Verb::Delete => Queue::Bulk,
            _ => Queue::Single,
        };
        let repeat = if call.verb == Verb::Create { Repeat::Unsafe } else { Repeat::Safe };
        self.shared.pace.run(queue, repeat, self.patience, || self.attempt(call)).await
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<RawAnswer, Error> {
        let changes_something = call.method != Method::GET && call.plural != "leases";
        if changes_something && self.shared.holds_writes.load(Ordering::Relaxed) {
            return Err(Error::Transport("the lease is not renewed, another daemon may lead".into()));
        }
        let request = self.request(call)?;
        let result = match timeout(DEADLINE, exchange(&self.shared.requests, request, &call.plural)).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { after: DEADLINE }),
        };
        self.count(call.verb, &result);
        result
    }

    fn count<T>(&self, verb: Verb, result: &Result<T, Error>) {
        let code = match result {
            Ok(_) => 200,
            Err(error) => error.answer().map_or(0, |answer| answer.code),
        };
        let counts = &self.shared.counts;
        counts.made[verb as usize].fetch_add(1, Ordering::Relaxed);
        if code != 200 {
            counts.failed[verb as usize].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.requested(verb.as_str(), code);
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Body>, Error> {
        let mut request = Request::builder().method(call.method.clone()).uri(&call.uri).header(ACCEPT, call.accept);
        for (name, value) in &*self.impersonated {
            request = request.header(name, value);
        }
        let body = match call.body {
            Some((content_type, value)) => {
                request = request.header(CONTENT_TYPE, content_type);
                Body::from(serde_json::to_vec(value).map_err(Error::Decode)?)
            }
            None => Body::empty(),
        };
        request.body(body).map_err(|error| Error::Transport(error.into()))
    }

    /// Lets no write leave, but to the lease itself, until it is told otherwise: who can't renew its lease must not
    /// write any more by the time another one may.
    pub(crate) fn hold_writes(&self, holds: bool) {
        self.shared.holds_writes.store(holds, Ordering::Relaxed);
    }

    pub(in crate::live) fn streams_lists(&self) -> bool {
        self.shared.streams_lists.load(Ordering::Relaxed)
    }

    pub(in crate::live) fn note_no_streaming_lists(&self) {
        self.shared.streams_lists.store(false, Ordering::Relaxed);
    }

    /// Opens a watch. It has its share of a connection for as long as the permit lives.
    pub(in crate::live) async fn begin_watch(
        &self,
        call: &Call<'_>,
    ) -> Result<(http::Response<Body>, OwnedSemaphorePermit), Error> {
        let (client, share) = self.shared.watches.client()?;
        let request = self.request(call)?;
        let result = match client.send(request).await {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => match read(response, &call.plural).await {
                Ok(_) => Err(Error::Transport("the answer to a watch is no stream".into())),
                Err(error) => Err(error),
            },
            Err(error) => Err(Error::Transport(error.into())),
        };
        self.count(call.verb, &result);
        result.map(|response| (response, share))
    }
}

/// A request that can be made again.
pub(in crate::live) struct Call<'a> {
    verb: Verb,
    method: Method,
    plural: SmolStr,
    uri: String,
    accept: &'static str,
    /// Written out for each attempt: hundreds may wait for their turn.
    body: Option<(&'static str, &'a Value)>,
}

impl<'a> Call<'a> {
    pub(in crate::live) fn new(verb: Verb, method: Method, plural: &str, uri: String) -> Self {
        Call { verb, method, plural: plural.into(), uri, accept: JSON, body: None }
    }

    /// The answer is wanted in another form than plain JSON.
    pub(in crate::live) fn accepting(self, accept: &'static str) -> Self {
        Call { accept, ..self }
    }

    pub(super) fn sending(self, content_type: &'static str, body: &'a Value) -> Self {
        Call { body: Some((content_type, body)), ..self }
    }
}

pub(super) struct RawAnswer {
    pub(super) body: Bytes,
    pub(super) warnings: Vec<String>,
}

async fn exchange(client: &kube::Client, request: Request<Body>, plural: &str) -> Result<RawAnswer, Error> {
    let response = client.send(request).await.map_err(|error| Error::Transport(error.into()))?;
    read(response, plural).await
}

async fn read(response: http::Response<Body>, plural: &str) -> Result<RawAnswer, Error> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| Error::Transport(error.into()))?.to_bytes();
    if !parts.status.is_success() {
        let retry_after = parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Err(Error::from_answer(parts.status.as_u16(), &body, retry_after.map(Duration::from_secs), plural));
    }
    let warnings = parts.headers.get_all(http::header::WARNING).iter().filter_map(warning).collect();
    Ok(RawAnswer { body, warnings })
}

/// `299 - "text"`, as RFC 7234 writes it.
fn warning(value: &HeaderValue) -> Option<String> {
    let (_, text) = value.to_str().ok()?.split_once('"')?;
    Some(text.strip_suffix('"').unwrap_or(text).replace("\\\"", "\"").replace("\\\\", "\\"))
}

pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(Error::Decode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_from_their_header() {
        let value = HeaderValue::from_static(r#"299 - "hides previous definition of \"P\"""#);
        assert_eq!(warning(&value).unwrap(), r#"hides previous definition of "P""#);
    }
}
