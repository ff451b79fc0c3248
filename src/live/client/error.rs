//! Why a request did not do what was asked, by what the caller or a person does differently about it.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use smol_str::SmolStr;

use crate::object::GroupKind;

/// What the API server answered, or why it did not.
///
/// Messages of the API server repeat values, those of Secrets too, so neither `Display` nor `Debug` shows them:
/// [`Error::message`] hands them out to who masks them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig, or the pod's service account, gives no way to a cluster.
    #[error("cannot find out how to reach the cluster")]
    Config(#[source] kube::Error),
    /// The kubeconfig can't be read.
    #[error("cannot read the kubeconfig")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// The pod has no service account.
    #[error("not in a cluster: the pod has no service account")]
    InCluster(#[source] kube::config::InClusterError),

    /// Nobody knows this kind, and discovery was complete.
    #[error("the cluster has no kind {kind} in version {version}")]
    NoKind {
        /// The kind that was asked for.
        kind: GroupKind,
        /// The version that was asked for.
        version: SmolStr,
    },
    /// The group that would serve this kind did not answer, so nobody knows whether it exists.
    #[error("the API group of {kind} does not answer")]
    KindUnknown {
        /// The kind that was asked for.
        kind: GroupKind,
    },
    /// The object is not there.
    #[error("not found")]
    NotFound(Answer),
    /// The namespace is not there.
    #[error("namespace `{namespace}` does not exist")]
    NamespaceMissing {
        /// The namespace.
        namespace: SmolStr,
        /// What was answered.
        answer: Answer,
    },
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating(Answer),
    /// An object of that name is there already.
    #[error("already exists")]
    AlreadyExists(Answer),
    /// The object has changed meanwhile, is another one than was meant, or its fields are another manager's.
    #[error("conflicts with another change")]
    Conflict(Answer),
    /// The resource version is too old to list or watch from.
    #[error("the resource version is no longer kept")]
    Gone(Answer),
    /// Nobody knows who asks.
    #[error("the API server does not accept the credentials")]
    Unauthorized(Answer),
    /// RBAC denies it.
    #[error("not allowed")]
    Forbidden(Answer),
    /// The quota of the namespace is used up.
    #[error("the quota is exceeded")]
    QuotaExceeded(Answer),
    /// An admission webhook or policy refused it.
    #[error("admission by `{webhook}` refuses it")]
    AdmissionRefused {
        /// The webhook's or the policy's name.
        webhook: SmolStr,
        /// What was answered.
        answer: Answer,
    },
    /// An admission webhook that must be asked does not answer.
    #[error("admission webhook `{webhook}` does not answer")]
    AdmissionUnavailable {
        /// The webhook's name.
        webhook: SmolStr,
        /// What was answered.
        answer: Answer,
    },
    /// The object is not valid.
    #[error("{}", if *immutable { "changes a field that cannot be changed" } else { "not valid" })]
    Invalid {
        /// A field that cannot be changed was: only another object of that name can have the new value.
        immutable: bool,
        /// What was answered.
        answer: Answer,
    },
    /// The object does not fit the kind's schema: unknown field, wrong type, two items with one key.
    #[error("does not fit the schema of its kind")]
    SchemaRefused(Answer),
    /// The request as such was not understood.
    #[error("the API server refuses the request")]
    BadRequest(Answer),

    /// The API server asks for patience, for longer than we have it.
    #[error("the API server is busy")]
    TooManyRequests {
        /// How long it asked to wait.
        retry_after: Option<Duration>,
        /// What was answered.
        answer: Answer,
    },
    /// The API server, or a part of it, is not there.
    #[error("the API server is not available")]
    Unavailable(Answer),
    /// The API server's own storage fails: etcd is full, or has no leader.
    #[error("the storage of the API server fails")]
    Storage(Answer),
    /// Any other answer.
    #[error("the API server answers {}", answer.code)]
    Unexpected {
        /// What was answered.
        answer: Answer,
    },
    /// No connection, or it broke.
    #[error("cannot reach the API server")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("no answer from the API server within {} s", after.as_secs())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// The answer can't be read.
    #[error("cannot read the answer of the API server")]
    Decode(#[source] serde_json::Error),
}

impl Error {
    /// True when trying again can help without a new commit.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::KindUnknown { .. }
            | Error::NoKind { .. }
            | Error::NamespaceTerminating(_)
            | Error::NamespaceMissing { .. }
            | Error::Conflict(_)
            | Error::Gone(_)
            | Error::QuotaExceeded(_)
            | Error::AdmissionUnavailable { .. }
            | Error::TooManyRequests { .. }
            | Error::Unavailable(_)
            | Error::Storage(_)
            | Error::Transport(_)
            | Error::Timeout { .. } => true,
            Error::Unexpected { answer } => answer.code >= 500,
            Error::Config(_)
            | Error::Kubeconfig(_)
            | Error::InCluster(_)
            | Error::NotFound(_)
            | Error::AlreadyExists(_)
            | Error::Unauthorized(_)
            | Error::Forbidden(_)
            | Error::AdmissionRefused { .. }
            | Error::Invalid { .. }
            | Error::SchemaRefused(_)
            | Error::BadRequest(_)
            | Error::Decode(_) => false,
        }
    }

    /// True when the API server itself can't be reached or can't cope: nothing is known of the object.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Error::TooManyRequests { .. }
                | Error::Unavailable(_)
                | Error::Storage(_)
                | Error::Transport(_)
                | Error::Timeout { .. }
        )
    }

    /// What the API server answered, when it did.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Error::NotFound(answer)
            | Error::NamespaceTerminating(answer)
            | Error::AlreadyExists(answer)
            | Error::Conflict(answer)
            | Error::Gone(answer)
            | Error::Unauthorized(answer)
            | Error::Forbidden(answer)
            | Error::QuotaExceeded(answer)
            | Error::SchemaRefused(answer)
            | Error::BadRequest(answer)
            | Error::Unavailable(answer)
            | Error::Storage(answer)
            | Error::NamespaceMissing { answer, .. }
            | Error::AdmissionRefused { answer, .. }
            | Error::AdmissionUnavailable { answer, .. }
            | Error::Invalid { answer, .. }
            | Error::TooManyRequests { answer, .. }
            | Error::Unexpected { answer } => Some(answer),
            Error::Config(_)
            | Error::Kubeconfig(_)
            | Error::InCluster(_)
            | Error::NoKind { .. }
            | Error::KindUnknown { .. }
            | Error::Transport(_)
            | Error::Timeout { .. }
            | Error::Decode(_) => None,
        }
    }

    /// The API server's own words. They may repeat values of the object: mask them before they are shown or logged.
    pub fn message(&self) -> Option<&str> {
        self.answer().map(Answer::message)
    }
}

/// What the API server answered to a request that failed.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// In one word: `Invalid`; may be empty.
    pub reason: SmolStr,
    /// What is wrong in particular.
    pub causes: Vec<Cause>,
    message: Box<str>,
}

impl Answer {
    /// The API server's own words. They may repeat values of the object: mask them before they are shown or logged.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("code", &self.code).field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// One thing that is wrong with an object.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueForbidden`, `FieldManagerConflict` …
    pub reason: SmolStr,
    /// The path of the field, as the API server writes it. It may hold a map's key, never a value.
    pub field: Box<str>,
    message: Box<str>,
}

impl Cause {
    /// The API server's own words; the same warning as for [`Answer::message`].
    pub fn message(&self) -> &str {
        &self.message
    }

    /// True when it says that the field keeps the value it once got.
    ///
    /// The API server has no reason for it, so its sentences are read: those of the 1.36 sources and corpus.
    fn says_immutable(&self) -> bool {
        const SENTENCES: [&str; 9] = [
            "field is immutable",
            "is immutable after creation",
            "updates to statefulset spec for fields other than",
            "may not change once set",
            "may not be changed in an update",
            "pod updates may not change fields other than",
            "cannot change roleRef",
            "can only be modified in tandem",
            ": updates to ",
        ];
        let refused = matches!(self.reason.as_str(), "FieldValueInvalid" | "FieldValueForbidden");
        refused && SENTENCES.iter().any(|sentence| self.message.contains(sentence))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cause").field("reason", &self.reason).field("field", &self.field).finish_non_exhaustive()
    }
}

/// Kubernetes' `Status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    reason: SmolStr,
    message: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    name: SmolStr,
    kind: SmolStr,
    causes: Option<Vec<StatusCause>>,
    retry_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusCause {
    reason: SmolStr,
    message: String,
    field: String,
}

impl Error {
    /// Reads the answer to a request for an object of this plural (`namespaces`, `deployments`).
    pub(crate) fn from_answer(code: u16, body: &[u8], retry_after: Option<Duration>, plural: &str) -> Self {
        let status = serde_json::from_slice(body).unwrap_or_else(|_| Status {
            code,
            message: String::from_utf8_lossy(&body[..body.len().min(1000)]).trim().to_owned(),
            ..Status::default()
        });
        let Status { reason, message, details, .. } = status;
        let details = details.unwrap_or_default();
        let retry_after = retry_after.or(details.retry_after_seconds.map(Duration::from_secs));
        let causes = details.causes.unwrap_or_default().into_iter().map(|cause| Cause {
            reason: cause.reason,
            field: cause.field.into(),
            message: cause.message.into(),
        });
        let answer = Answer { code, reason, causes: causes.collect(), message: message.into() };
        let message = &*answer.message;

        // Where Kubernetes has no reason, its own fixed beginnings of sentences tell the cases apart.
        if let Some(webhook) = quoted_after(message, "admission webhook \"", '"') {
            return Error::AdmissionRefused { webhook, answer };
        }
        if let Some(policy) = quoted_after(message, "ValidatingAdmissionPolicy '", '\'') {
            return Error::AdmissionRefused { webhook: policy, answer };
        }
        if let Some(webhook) = quoted_after(message, "failed calling webhook \"", '"') {
            return Error::AdmissionUnavailable { webhook, answer };
        }
        if message.starts_with("etcdserver: ") {
            return Error::Storage(answer);
        }
        match (code, answer.reason.as_str()) {
            (_, "Expired" | "Gone") | (410, _) => Error::Gone(answer),
            (404, _) if details.kind == "namespaces" && plural != "namespaces" => {
                Error::NamespaceMissing { namespace: details.name, answer }
            }
            (404, _) => Error::NotFound(answer),
            (_, "AlreadyExists") => Error::AlreadyExists(answer),
            (409, _) => Error::Conflict(answer),
            (401, _) => Error::Unauthorized(answer),
            (403, _) if answer.causes.iter().any(|cause| cause.reason == "NamespaceTerminating") => {
                Error::NamespaceTerminating(answer)
            }
            (403, _) if message.contains(" exceeded quota: ") || message.contains(": failed quota: ") => {
                Error::QuotaExceeded(answer)
            }
            (403, _) => Error::Forbidden(answer),
            (422, _) => Error::Invalid { immutable: answer.causes.iter().any(Cause::says_immutable), answer },
            (429, _) => Error::TooManyRequests { retry_after, answer },
            // A 500 without a reason is how server-side apply tells a mistake in the object.
            (500, "") if SCHEMA.iter().any(|beginning| message.starts_with(beginning)) => Error::SchemaRefused(answer),
            (503 | 504, _) => Error::Unavailable(answer),
            (400 | 405 | 406 | 413 | 415, _) => Error::BadRequest(answer),
            _ => Error::Unexpected { answer },
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::TooManyRequests { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

const SCHEMA: [&str; 4] = [
    "failed to create typed patch object",
    "failed to convert new object",
    "failed to create typed live object",
    "failed to create manager for existing fields",
];

fn quoted_after(message: &str, opening: &str, closing: char) -> Option<SmolStr> {
    let (_, rest) = message.split_once(opening)?;
    rest.split_once(closing).map(|(name, _)| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(status: &Value, plural: &str) -> Error {
        let code = u16::try_from(status["code"].as_u64().unwrap()).unwrap();
        Error::from_answer(code, status.to_string().as_bytes(), None, plural)
    }

    fn named(error: &Error) -> String {
        let debug = format!("{error:?}");
        debug.split(['(', ' ']).next().unwrap().to_owned()
    }

    #[test]
    fn each_answer_becomes_the_error_that_it_is() {
        let status =
            |code: u16, reason: &str, message: &str| json!({"code": code, "reason": reason, "message": message});
        let with = |mut status: Value, details: Value| {
            status["details"] = details;
            status
        };
        let invalid = |reason: &str, message: &str| {
            let causes = json!({"causes": [{"reason": reason, "message": message, "field": "spec.x"}]});
            with(status(422, "Invalid", "X \"x\" is invalid: …"), causes)
        };
        #[rustfmt::skip]
        let cases = [
            // answer, variant, transient
            (status(404, "NotFound", "configmaps \"x\" not found"), "NotFound", false),
            (with(status(404, "NotFound", "namespaces \"n\" not found"), json!({"name": "n", "kind": "namespaces"})), "NamespaceMissing", true),
            (with(status(403, "Forbidden", "unable to create new content in namespace n because it is being terminated"),
                  json!({"causes": [{"reason": "NamespaceTerminating", "message": "namespace n is being terminated", "field": "metadata.namespace"}]})),
             "NamespaceTerminating", true),
            (status(403, "Forbidden", "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"), "QuotaExceeded", true),
            (status(403, "Forbidden", "pods \"x\" is forbidden: User \"u\" cannot patch resource"), "Forbidden", false),
            (status(401, "Unauthorized", "Unauthorized"), "Unauthorized", false),
            (status(409, "AlreadyExists", "configmaps \"x\" already exists"), "AlreadyExists", false),
            (status(409, "Conflict", "Apply failed with 1 conflict"), "Conflict", true),
            (status(410, "Expired", "too old resource version"), "Gone", true),
            (status(429, "TooManyRequests", "slow down"), "TooManyRequests", true),
            (status(503, "ServiceUnavailable", "x"), "Unavailable", true),
            (status(504, "Timeout", "x"), "Unavailable", true),
            (status(500, "", "etcdserver: mvcc: database space exceeded"), "Storage", true),
            (status(500, "", "etcdserver: request timed out"), "Storage", true),
            (status(500, "", "failed to create typed patch object (n/x; v1, Kind=X): .a: field not declared in schema"), "SchemaRefused", false),
            (status(500, "", "failed to convert new object (n/x; v1, Kind=X) to proper version: …"), "SchemaRefused", false),
            (status(500, "InternalError", "Internal error occurred: failed calling webhook \"w.example.com\": Post …"), "AdmissionUnavailable", true),
            (status(500, "InternalError", "Internal error occurred: x"), "Unexpected", true),
            (status(403, "Forbidden", "admission webhook \"w.example.com\" denied the request: no"), "AdmissionRefused", false),
            (status(400, "", "admission webhook \"w.example.com\" denied the request without explanation"), "AdmissionRefused", false),
            (status(422, "Invalid", "x \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"), "AdmissionRefused", false),
            (status(400, "BadRequest", "x"), "BadRequest", false),
            (invalid("FieldValueRequired", "Required value"), "Invalid", false),
        ];
        for (answer, variant, transient) in cases {
            let error = of(&answer, "configmaps");
            assert_eq!((named(&error).as_str(), error.is_transient()), (variant, transient), "{answer}");
            assert_eq!(error.message(), answer["message"].as_str());
        }
        for (reason, message, expected) in [
            ("FieldValueInvalid", "Invalid value: \"x\": field is immutable", true),
            (
                "FieldValueForbidden",
                "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
                true,
            ),
            ("FieldValueInvalid", "Invalid value: [\"None\"]: may not change once set", true),
            ("FieldValueInvalid", "Invalid value: \"x\": must be a DNS label", false),
            ("FieldValueRequired", "Required value", false),
        ] {
            let Error::Invalid { immutable, .. } = of(&invalid(reason, message), "x") else { panic!("{message}") };
            assert_eq!(immutable, expected, "{message}");
        }
    }

    #[test]
    fn a_namespace_that_is_not_found_itself_is_an_object() {
        let answer =
            json!({"code": 404, "reason": "NotFound", "message": "", "details": {"name": "n", "kind": "namespaces"}});
        assert!(matches!(of(&answer, "namespaces"), Error::NotFound(_)));
    }

    #[test]
    fn an_answer_that_is_no_status_keeps_its_code() {
        let error = Error::from_answer(404, b"404 page not found", None, "x");
        assert!(matches!(&error, Error::NotFound(answer) if answer.message() == "404 page not found"));
        assert!(matches!(Error::from_answer(502, b"<html>", None, "x"), Error::Unexpected { .. }));
    }

    #[test]
    fn what_the_api_server_repeats_is_not_printed_by_itself() {
        let answer = json!({"code": 422, "reason": "Invalid", "message": "Secret \"s\": PLANTED",
            "details": {"causes": [{"reason": "FieldValueInvalid", "message": "Invalid value: \"PLANTED\"", "field": "data"}]}});
        let error = of(&answer, "secrets");
        let shown = format!("{error} {error:?} {:?}", error.answer().unwrap().causes);
        assert!(!shown.contains("PLANTED"), "{shown}");
        assert!(error.message().unwrap().contains("PLANTED"));
    }
}
