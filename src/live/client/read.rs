//! Objects as they are: one, or all of a kind page by page.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::path::{api_version, list_path, object_path, with_query};
use super::request::{Call, JSON, decode};
use super::{Cluster, Error, Part, Verb};
use crate::object::{GroupKind, ObjectKey};

/// Objects in one piece of a list.
const PAGE: usize = 500;

/// Which objects are listed.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// `None`: of all namespaces.
    pub namespace: Option<SmolStr>,
    /// `app=web,tier`.
    pub labels: Option<String>,
    /// `metadata.name=web`.
    pub fields: Option<String>,
}

impl ListOptions {
    /// As parameters of a request.
    pub(in crate::live) fn selectors(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.labels.as_deref().map(|labels| ("labelSelector", labels));
        let fields = self.fields.as_deref().map(|fields| ("fieldSelector", fields));
        labels.into_iter().chain(fields)
    }
}

impl Cluster {
    /// Reads one object.
    ///
    /// # Errors
    /// [`Error::NotFound`] and all others.
    pub async fn get(&self, key: &ObjectKey, version: &str) -> Result<Value, Error> {
        self.get_as(key, version).await
    }

    /// Reads one object into a type of ours.
    ///
    /// # Errors
    /// [`Error::Decode`] when it does not fit the type, and all others.
    pub async fn get_as<T: DeserializeOwned>(&self, key: &ObjectKey, version: &str) -> Result<T, Error> {
        let resource = self.resource(&key.group_kind(), version).await?;
        let path = object_path(key, version, &resource, Part::Whole);
        let answer = self.call(&Call::new(Verb::Get, Method::GET, &resource.plural, path)).await?;
        decode(&answer.body)
    }

    /// Reads one object; `None` when it is not there.
    ///
    /// # Errors
    /// All but [`Error::NotFound`].
    pub async fn find(&self, key: &ObjectKey, version: &str) -> Result<Option<Value>, Error> {
        match self.get(key, version).await {
            Ok(body) => Ok(Some(body)),
            Err(Error::NotFound(_) | Error::NamespaceMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all objects of a kind, piece by piece. Complete, or an error.
    ///
    /// # Errors
    /// All of them.
    pub async fn list(&self, kind: &GroupKind, version: &str, options: &ListOptions) -> Result<Vec<Value>, Error> {
        let api_version = api_version(&kind.group, version);
        let mut items = Vec::new();
        let mut failure = None;
        self.list_pages(kind, version, options, Shape::Whole, |page| {
            for text in page {
                match serde_json::from_str::<Value>(text) {
                    Ok(mut item) => {
                        // Items of a list don't say what they are.
                        if let Value::Object(map) = &mut item {
                            map.entry("kind").or_insert_with(|| kind.kind.as_str().into());
                            map.entry("apiVersion").or_insert_with(|| api_version.as_str().into());
                        }
                        items.push(item);
                    }
                    Err(error) => failure = Some(error),
                }
            }
        })
        .await?;
        failure.map_or(Ok(items), |error| Err(Error::Decode(error)))
    }

    /// How many objects of a kind there are; nothing of them but one's metadata is read.
    ///
    /// # Errors
    /// All of them.
    pub async fn number_of(&self, kind: &GroupKind, version: &str) -> Result<u64, Error> {
        let resource = self.resource(kind, version).await?;
        let path = with_query(&list_path(&kind.group, version, None, &resource), &[("limit", "1")]);
        let call = Call::new(Verb::List, Method::GET, &resource.plural, path);
        let answer = self.call(&call.accepting(Shape::Metadata.of_lists())).await?;
        let list: List<'_> = serde_json::from_slice(&answer.body).map_err(Error::Decode)?;
        let here = list.items.map_or(0, |items| items.len() as u64);
        Ok(here + list.metadata.remaining_item_count.unwrap_or(0))
    }

    /// Hands the texts of all objects of a kind on, page by page; the answer is the version of the list.
    pub(in crate::live) async fn list_pages(
        &self,
        kind: &GroupKind,
        version: &str,
        options: &ListOptions,
        shape: Shape,
        mut each: impl FnMut(&[&str]),
    ) -> Result<String, Error> {
        let resource = self.resource(kind, version).await?;
        let path = list_path(&kind.group, version, options.namespace.as_deref(), &resource);
        let page = PAGE.to_string();
        let mut next = String::new();
        loop {
            let mut query = vec![("limit", page.as_str())];
            query.extend(options.selectors());
            if !next.is_empty() {
                query.push(("continue", &next));
            }
            let call = Call::new(Verb::List, Method::GET, &resource.plural, with_query(&path, &query));
            let answer = self.call(&call.accepting(shape.of_lists())).await?;
            let list: List<'_> = serde_json::from_slice(&answer.body).map_err(Error::Decode)?;
            let items: Vec<&str> = list.items.unwrap_or_default().into_iter().map(RawValue::get).collect();
            each(&items);
            match list.metadata.next {
                Some(token) if !token.is_empty() => next = token,
                _ => return Ok(list.metadata.resource_version),
            }
        }
    }

    /// The answer to a GET of this path, query string included: of what is no object, as metrics.
    ///
    /// # Errors
    /// Whatever a request can fail with.
    pub async fn get_path(&self, path: &str) -> Result<Bytes, Error> {
        let answer = self.call(&Call::new(Verb::Get, Method::GET, "", path.to_owned())).await?;
        Ok(answer.body)
    }

    /// The API server's version, as it says it: `v1.36.3`.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn server_version(&self) -> Result<String, Error> {
        let answer = self.call(&Call::new(Verb::Get, Method::GET, "", "/version".into())).await?;
        decode::<Version>(&answer.body).map(|version| version.git_version)
    }
}

/// How much of each object the API server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) enum Shape {
    /// All of it.
    Whole,
    /// What kind, its metadata.
    Metadata,
}

impl Shape {
    fn of_lists(self) -> &'static str {
        match self {
            Shape::Whole => JSON,
            Shape::Metadata => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        }
    }

    pub(in crate::live) fn of_watches(self) -> &'static str {
        match self {
            Shape::Whole => JSON,
            Shape::Metadata => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
    /// Told of a list that ends before its end.
    #[serde(default)]
    remaining_item_count: Option<u64>,
}
