//! Lists a set of objects, then follows its changes for as long as it is wanted.
//!
//! **In:** a [`Target`]. **Out:** calls to a [`Sink`], in order. **May not:** end before it is cancelled, whatever the
//! API server does; or ask for anything again that it need not.
//!
//! Kubernetes' rules: a streaming list (KEP-3157) where it is served, else a list in pages; then a watch from the
//! resource version reached, resumed there when it breaks; `410 Gone` starts over. [`State`] is where it stands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::live::client::{Call, Cluster, Error, ListOptions, Shape, Verb, list_path, with_query};
use crate::live::pace::jittered;
use crate::live::record::KindVersion;
use crate::object::{GroupKind, ObjectKey};

/// How long the API server keeps one watch open.
const WATCH: Duration = Duration::from_secs(600);
/// It may close late; then the connection is taken for dead.
const GRACE: Duration = Duration::from_secs(60);
/// An answer begins within this time, also when the API server has much to list.
const BEGIN: Duration = Duration::from_secs(60);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// As long as requests wait: after an outage the view is whole again when they get through.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A kind that is not served is looked for at this pace, unless its definition shows up before.
const UNSERVED: Duration = Duration::from_secs(60);
/// Where a definition has just changed, it will be served in a moment.
const SOON_SERVED: Duration = Duration::from_millis(500);
/// No object is larger: the API server takes 3 MiB, etcd half of it.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// Which objects are followed.
#[derive(Clone, Debug)]
pub struct Target {
    /// In which version.
    pub kind: KindVersion,
    /// Where, and which of them.
    pub options: ListOptions,
}

/// What is done with what is seen.
pub(super) trait Sink: Send {
    /// How much it needs of each object.
    const SHAPE: Shape = Shape::Whole;
    /// A list begins; what it will not hold is gone.
    fn begin(&mut self);
    /// An object is there, or has changed.
    fn seen(&mut self, object: &Shown<'_>);
    /// An object is gone, or is no longer selected.
    fn removed(&mut self, object: &Shown<'_>);
    /// The list is complete at this version.
    fn listed(&mut self, version: &str);
    /// All is seen up to this version.
    fn passed(&mut self, version: &str);
    /// It does not get on. It is tried again.
    fn failed(&mut self, error: &Error);
    /// The cluster has no such kind, so no such objects.
    fn unserved(&mut self);
}

/// An object as a list or a watch shows it: which one and which state of it; all else is in its text.
pub(super) struct Shown<'a> {
    pub(super) text: &'a str,
    identity: Identity<'a>,
}

impl<'a> Shown<'a> {
    fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let Named { metadata } = serde_json::from_str(text)?;
        Ok(Shown { text, identity: metadata })
    }

    /// Its key, as one of this kind.
    pub(super) fn key(&self, kind: &GroupKind) -> ObjectKey {
        ObjectKey {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: self.identity.namespace.as_deref().filter(|namespace| !namespace.is_empty()).map(SmolStr::new),
            name: SmolStr::new(&self.identity.name),
        }
    }

    /// `metadata.uid`.
    pub(super) fn uid(&self) -> &str {
        &self.identity.uid
    }

    /// `metadata.resourceVersion`.
    pub(super) fn version(&self) -> &str {
        &self.identity.resource_version
    }
}

/// Where following stands.
enum State {
    /// Nothing is known, or too long ago.
    Start,
    /// All is known up to this version.
    At(String),
}

/// Follows until it is cancelled.
pub(super) async fn follow(cluster: &Cluster, target: &Target, sink: &mut impl Sink, cancel: &CancellationToken) {
    let mut state = State::Start;
    let mut backoff = FIRST_BACKOFF;
    let mut failures = 0u32;
    loop {
        let began = Instant::now();
        let step = tokio::select! {
            () = cancel.cancelled() => return,
            step = advance(cluster, target, sink, &mut state) => step,
        };
        let wait = match step {
            // The API server has closed the watch, as it does from time to time.
            Ok(()) if began.elapsed() > FIRST_BACKOFF => {
                (backoff, failures) = (FIRST_BACKOFF, 0);
                continue;
            }
            Ok(()) => FIRST_BACKOFF,
            Err(Error::Gone(_)) => {
                debug!(kind = %target.kind, "Watch too old, listing again");
                state = State::Start;
                jittered(FIRST_BACKOFF)
            }
            Err(Error::NoKind { .. }) => {
                state = State::Start;
                sink.unserved();
                if cluster.kinds_changed_lately() { jittered(SOON_SERVED) } else { jittered(UNSERVED) }
            }
            Err(error) => {
                if began.elapsed() > LONGEST_BACKOFF {
                    (backoff, failures) = (FIRST_BACKOFF, 0);
                }
                debug!(kind = %target.kind, %error, "Watch broke");
                failures += 1;
                // A watch breaks whenever an API server restarts; only one that stays broken is told.
                if failures > 1 || !error.is_transient() || matches!(state, State::Start) {
                    sink.failed(&error);
                }
                if let Error::NotFound(_) = error {
                    // The path is gone: so may be the kind.
                    state = State::Start;
                    let _ = cluster.rediscover(Duration::from_secs(1)).await;
                }
                let wait = jittered(backoff);
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
                wait
            }
        };
        let kinds_changed = cluster.kinds_changed();
        tokio::select! {
            () = cancel.cancelled() => return,
            () = sleep(wait) => {}
            () = kinds_changed => {}
        }
    }
}

/// One request: a streaming list that goes on as a watch, a list, or a watch.
async fn advance(cluster: &Cluster, target: &Target, sink: &mut impl Sink, state: &mut State) -> Result<(), Error> {
    match state {
        State::At(version) => {
            let resume = version.clone();
            watch(cluster, target, sink, state, &[("resourceVersion", &resume)]).await
        }
        State::Start if cluster.streams_lists() => {
            let initial = [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")];
            match watch(cluster, target, sink, state, &initial).await {
                Err(Error::Invalid { .. } | Error::BadRequest(_)) if matches!(state, State::Start) => {
                    cluster.note_no_streaming_lists();
                    Ok(())
                }
                other => other,
            }
        }
        State::Start => list(cluster, target, sink, state).await,
    }
}

async fn list<S: Sink>(cluster: &Cluster, target: &Target, sink: &mut S, state: &mut State) -> Result<(), Error> {
    sink.begin();
    let version = cluster
        .list_pages(&target.kind.kind, &target.kind.version, &target.options, S::SHAPE, |page| {
            for item in page {
                match Shown::read(item) {
                    Ok(object) => sink.seen(&object),
                    Err(error) => unreadable(target, &error),
                }
            }
        })
        .await?;
    sink.listed(&version);
    *state = State::At(version);
    Ok(())
}

async fn watch<S: Sink>(
    cluster: &Cluster,
    target: &Target,
    sink: &mut S,
    state: &mut State,
    start: &[(&str, &str)],
) -> Result<(), Error> {
    let KindVersion { kind, version } = &target.kind;
    let resource = cluster.resource(kind, version).await?;
    let path = list_path(&kind.group, version, target.options.namespace.as_deref(), &resource);
    let seconds = jittered(WATCH).as_secs();
    let timeout_seconds = seconds.to_string();
    let mut query =
        vec![("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", timeout_seconds.as_str())];
    query.extend_from_slice(start);
    query.extend(target.options.selectors());
    let call = Call::new(Verb::Watch, Method::GET, &resource.plural, with_query(&path, &query));
    let call = call.accepting(S::SHAPE.of_watches());

    let (response, _share) = match timeout(BEGIN, cluster.begin_watch(&call)).await {
        Ok(begun) => begun?,
        Err(_) => return Err(Error::Timeout { after: BEGIN }),
    };
    let mut body = response.into_body();
    let mut lines = Lines::default();
    let deadline = Instant::now() + Duration::from_secs(seconds) + GRACE;
    let mut listing = matches!(state, State::Start);
    match state {
        State::Start => sink.begin(),
        State::At(version) => sink.passed(version),
    }
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(Some(frame)) => frame.map_err(|error| Error::Transport(error.into()))?,
            // A list that breaks off is no list.
            Ok(None) if listing => return Err(Error::Transport("the list broke off".into())),
            Ok(None) => return Ok(()),
            Err(_) => return Err(Error::Timeout { after: deadline - Instant::now() + GRACE }),
        };
        let Ok(data) = frame.into_data() else { continue };
        lines.push(&data)?;
        while let Some(line) = lines.next() {
            let line = std::str::from_utf8(&line).map_err(|error| decode_error(&error))?;
            if line.trim().is_empty() {
                continue;
            }
            let Event { kind, object } = serde_json::from_str(line).map_err(Error::Decode)?;
            let text = object.get();
            match &*kind {
                "ADDED" | "MODIFIED" | "DELETED" => match Shown::read(text) {
                    Ok(object) => {
                        if kind == "DELETED" {
                            sink.removed(&object)
                        } else {
                            sink.seen(&object)
                        }
                        if !listing {
                            *state = State::At(object.version().to_owned());
                        }
                    }
                    Err(error) => unreadable(target, &error),
                },
                "BOOKMARK" => {
                    let Bookmark { metadata } = serde_json::from_str(text).map_err(Error::Decode)?;
                    if metadata.annotations.get("k8s.io/initial-events-end").is_some_and(|end| end == "true") {
                        sink.listed(&metadata.resource_version);
                        listing = false;
                    } else if !listing {
                        sink.passed(&metadata.resource_version);
                    }
                    if !listing {
                        *state = State::At(metadata.resource_version.into_owned());
                    }
                }
                "ERROR" => {
                    let Code { code } = serde_json::from_str(text).map_err(Error::Decode)?;
                    return Err(Error::from_answer(code, text.as_bytes(), None, &resource.plural));
                }
                _ => {}
            }
        }
    }
}

/// The API server has sent what is no object: it stays as it was, and the next event, of a later version, goes on.
fn unreadable(target: &Target, error: &serde_json::Error) {
    warn!(kind = %target.kind, %error, "Object cannot be read");
}

fn decode_error(error: &dyn std::fmt::Display) -> Error {
    Error::Decode(serde::de::Error::custom(error))
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    metadata: Identity<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Bookmark<'a> {
    #[serde(borrow)]
    metadata: BookmarkMetadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata<'a> {
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    annotations: BTreeMap<SmolStr, SmolStr>,
}

#[derive(Deserialize)]
struct Code {
    code: u16,
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// Up to here there is no line break.
    searched: usize,
}

impl Lines {
    fn push(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.buffer.len() + data.len() > LONGEST_LINE {
            return Err(decode_error(&"an event of the watch is too long"));
        }
        self.buffer.extend_from_slice(data);
        Ok(())
    }

    fn next(&mut self) -> Option<BytesMut> {
        match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let mut line = self.buffer.split_to(self.searched + end + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                if self.buffer.is_empty() {
                    // At rest no buffer of the largest object that ever came stays behind.
                    self.buffer = BytesMut::new();
                }
                Some(line)
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_the_pieces_end() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in ["a", "b\nc", "", "\n\nd", "e\n", "f"] {
            lines.push(piece.as_bytes()).unwrap();
            while let Some(line) = lines.next() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
        }
        assert_eq!(found, ["ab", "c", "", "de"]);
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; LONGEST_LINE];
        lines.push(&piece).unwrap();
        assert!(lines.push(b"x").is_err());
    }
}
