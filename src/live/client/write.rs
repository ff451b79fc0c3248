//! Changes to objects: applied, made, replaced, patched, deleted.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::kinds::DISCOVERY_PAUSE_AFTER_CHANGE;
use super::path::{list_path, object_path, with_query};
use super::request::{Call, JSON, RawAnswer, decode};
use super::{Cluster, Error, FIELD_MANAGER, Verb};
use crate::live::discovery::Known;
use crate::live::record::Record;
use crate::object::{Object, ObjectKey};

/// How an object is applied.
#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    /// Ask what would be, change nothing.
    pub dry_run: bool,
    /// Take fields from other managers.
    pub force: bool,
    /// Under which name; `None`: [`FIELD_MANAGER`].
    pub manager: Option<SmolStr>,
    /// Hand back the whole object.
    pub want_body: bool,
}

/// What the API server made of a write.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The object as it is now.
    pub record: Record,
    /// All of it, when it was asked for.
    pub body: Option<Value>,
    /// What the API server warns of: deprecated versions, fields that do nothing. May repeat names, not values.
    pub warnings: Vec<String>,
}

/// Who deletes what an object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// The object stays until all that it owns is gone.
    #[default]
    Foreground,
    /// The object goes at once, what it owns later.
    Background,
    /// What it owns stays.
    Orphan,
}

/// How an object is deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Only if it is this very object; another one of that name answers [`Error::Conflict`].
    pub uid: Option<SmolStr>,
    /// What becomes of the objects it owns.
    pub propagation: Propagation,
    /// Ask whether it would be allowed, change nothing.
    pub dry_run: bool,
}

/// What a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The object is gone.
    Gone,
    /// It goes once its finalizers, or what it owns, are gone.
    Terminating,
}

/// A part of an object that is written by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The object.
    #[default]
    Whole,
    /// Its subresource `status`.
    Status,
}

impl Cluster {
    /// Server-side apply: one request, whose answer says what our fields are now.
    ///
    /// # Errors
    /// [`Error::SchemaRefused`], [`Error::Invalid`], [`Error::NamespaceMissing`] … by what to do about it.
    pub async fn apply(&self, object: &Object, options: &ApplyOptions) -> Result<Applied, Error> {
        let resource = self.resource(&object.key.group_kind(), &object.version).await?;
        let path = object_path(&object.key, &object.version, &resource, Part::Whole);
        let manager = options.manager.as_deref().unwrap_or(FIELD_MANAGER);
        let mut query = vec![("fieldManager", manager)];
        if options.force {
            query.push(("force", "true"));
        }
        if options.dry_run {
            query.push(("dryRun", "All"));
        }
        let verb = if options.dry_run { Verb::DryRun } else { Verb::Apply };
        let call = Call::new(verb, Method::PATCH, &resource.plural, with_query(&path, &query))
            .sending("application/apply-patch+yaml", &object.body);
        match self.call(&call).await {
            Ok(answer) => self.applied(answer, options.want_body),
            Err(error) => Err(self.unserved(error, object).await),
        }
    }

    /// Makes an object that must not be there yet; its name may be left to the API server (`generateName`).
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] and all others.
    pub async fn create(&self, object: &Object) -> Result<Applied, Error> {
        let resource = self.resource(&object.key.group_kind(), &object.version).await?;
        let path = list_path(&object.key.group, &object.version, object.key.namespace.as_deref(), &resource);
        let call = Call::new(Verb::Create, Method::POST, &resource.plural, with_query(&path, &[MANAGER]))
            .sending(JSON, &object.body);
        match self.call(&call).await {
            Ok(answer) => self.applied(answer, true),
            Err(error) => Err(self.unserved(error, object).await),
        }
    }

    /// Who we are to the API server: the user's name, and their groups.
    ///
    /// # Errors
    /// When it does not answer, or does not say.
    pub async fn user(&self) -> Result<(String, Vec<String>), Error> {
        #[derive(Deserialize)]
        struct Review {
            status: Status,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status {
            user_info: User,
        }
        #[derive(Deserialize)]
        struct User {
            username: String,
            #[serde(default)]
            groups: Vec<String>,
        }
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews".to_owned();
        let call = Call::new(Verb::Create, Method::POST, "selfsubjectreviews", path).sending(JSON, &body);
        let review: Review = decode(&self.call(&call).await?.body)?;
        Ok((review.status.user_info.username, review.status.user_info.groups))
    }

    /// Whether somebody may do this with a Leeboard object of a namespace, by its name: the API server's own answer.
    ///
    /// # Errors
    /// When it does not answer, or does not say.
    pub async fn may(&self, who: (&str, &[String]), verb: &str, object: &ObjectKey) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Review {
            status: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            allowed: bool,
        }
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let resource = format!("{}s", object.kind.to_ascii_lowercase());
        let body = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": namespace},
            "spec": {
                "user": who.0,
                "groups": who.1,
                "resourceAttributes": {
                    "namespace": namespace,
                    "verb": verb,
                    "group": object.group,
                    "version": "*",
                    "resource": resource,
                    "name": object.name,
                },
            },
        });
        let path = format!("/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews");
        let call = Call::new(Verb::Create, Method::POST, "localsubjectaccessreviews", path).sending(JSON, &body);
        let review: Review = decode(&self.call(&call).await?.body)?;
        Ok(review.status.allowed)
    }

    /// Where an object would be made, only its kind can be missing: not served any more, or not yet.
    async fn unserved(&self, error: Error, object: &Object) -> Error {
        let Error::NotFound(_) = error else { return error };
        let kind = object.key.group_kind();
        match self.rediscover(DISCOVERY_PAUSE_AFTER_CHANGE).await {
            Ok(discovery) if discovery.kind(&kind, &object.version) == Known::NotServed => {
                Error::NoKind { kind, version: object.version.clone() }
            }
            Ok(_) => Error::KindUnknown { kind },
            Err(error) => error,
        }
    }

    /// Puts a whole object in place of the one that is there. With `metadata.resourceVersion` it must be that one.
    ///
    /// # Errors
    /// [`Error::Conflict`] and all others.
    pub async fn replace(&self, object: &Object, part: Part) -> Result<Applied, Error> {
        let resource = self.resource(&object.key.group_kind(), &object.version).await?;
        let path = object_path(&object.key, &object.version, &resource, part);
        let call = Call::new(Verb::Update, Method::PUT, &resource.plural, with_query(&path, &[MANAGER]))
            .sending(JSON, &object.body);
        self.applied(self.call(&call).await?, true)
    }

    /// Merges fields into an object (RFC 7386). Never for Secrets: a refusal repeats the whole object.
    ///
    /// # Errors
    /// All of them.
    pub async fn merge_patch(
        &self,
        key: &ObjectKey,
        version: &str,
        part: Part,
        patch: &Value,
    ) -> Result<Applied, Error> {
        self.patch(key, version, part, "application/merge-patch+json", patch).await
    }

    /// Changes an object step by step (RFC 6902); a failed `test` answers [`Error::Invalid`].
    ///
    /// # Errors
    /// All of them.
    pub async fn json_patch(
        &self,
        key: &ObjectKey,
        version: &str,
        part: Part,
        patch: &Value,
    ) -> Result<Applied, Error> {
        self.patch(key, version, part, "application/json-patch+json", patch).await
    }

    async fn patch(
        &self,
        key: &ObjectKey,
        version: &str,
        part: Part,
        content_type: &'static str,
        patch: &Value,
    ) -> Result<Applied, Error> {
        let resource = self.resource(&key.group_kind(), version).await?;
        let path = object_path(key, version, &resource, part);
        let call = Call::new(Verb::Patch, Method::PATCH, &resource.plural, with_query(&path, &[MANAGER]))
            .sending(content_type, patch);
        self.applied(self.call(&call).await?, true)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone already, [`Error::Conflict`] when it is another one.
    pub async fn delete(&self, key: &ObjectKey, version: &str, options: &DeleteOptions) -> Result<Deleted, Error> {
        let resource = self.resource(&key.group_kind(), version).await?;
        let path = object_path(key, version, &resource, Part::Whole);
        let propagation = match options.propagation {
            Propagation::Foreground => "Foreground",
            Propagation::Background => "Background",
            Propagation::Orphan => "Orphan",
        };
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation});
        if let Some(uid) = &options.uid {
            body["preconditions"] = json!({"uid": uid});
        }
        if options.dry_run {
            body["dryRun"] = json!(["All"]);
        }
        let call = Call::new(Verb::Delete, Method::DELETE, &resource.plural, path).sending(JSON, &body);
        let answer = self.call(&call).await?;
        let kind: KindOnly = decode(&answer.body)?;
        Ok(if kind.kind == "Status" { Deleted::Gone } else { Deleted::Terminating })
    }

    fn applied(&self, answer: RawAnswer, want_body: bool) -> Result<Applied, Error> {
        let text = std::str::from_utf8(&answer.body).map_err(|error| Error::Decode(serde::de::Error::custom(error)))?;
        let record = self.shared.reader.read(text).map_err(Error::Decode)?.record;
        self.note_kinds_of(&record.key);
        let body = if want_body { Some(decode(&answer.body)?) } else { None };
        Ok(Applied { record, body, warnings: answer.warnings })
    }
}

const MANAGER: (&str, &str) = ("fieldManager", FIELD_MANAGER);

#[derive(Deserialize)]
struct KindOnly {
    kind: SmolStr,
}
