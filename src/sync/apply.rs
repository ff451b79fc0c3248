//! One object, applied: what client-side apply took and server-side apply refuses is made acceptable on the way.
//!
//! **In:** a rendered object, a cluster. **Out:** what the API server made of it, and what a person should know.
//! **May not:** decide whether it is applied. The rules are [`super::repair`]'s; this sends what comes out of them.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::repair::{self, FieldPath, Problem};
use crate::live::client::{Applied, ApplyOptions, Cluster, Error, FIELD_MANAGER, Part};
use crate::object::{Object, fields};

/// An apply that went through.
#[derive(Debug)]
pub struct Done {
    /// What the API server answered.
    pub applied: Applied,
    /// What was left out because the schema does not know it.
    pub dropped: Vec<FieldPath>,
}

/// How often an object is made more acceptable before its refusal counts. Each round drops all named fields.
const ROUNDS: usize = 5;

/// Applies an object.
///
/// # Errors
/// The API server's refusal, when no repair helps.
pub async fn apply(cluster: &Cluster, object: &Object, options: &ApplyOptions) -> Result<Done, Error> {
    let mut object = Cow::Borrowed(object);
    let mut dropped = Vec::new();
    for _ in 0..ROUNDS {
        let error = match cluster.apply(&object, options).await {
            Ok(applied) => return Ok(Done { applied, dropped }),
            Err(error) => error,
        };
        match &error {
            Error::SchemaRefused(answer) => {
                let refusals = repair::refusals(answer.message());
                let undeclared = refusals.iter().filter(|(_, problem)| *problem == Problem::NotDeclared);
                let mut body = object.body.clone();
                let before = dropped.len();
                dropped.extend(
                    undeclared.filter(|(path, _)| repair::remove(&mut body, path)).map(|(path, _)| path.clone()),
                );
                if dropped.len() == before || refusals.iter().any(|(_, problem)| *problem != Problem::NotDeclared) {
                    return Err(error);
                }
                object.to_mut().body = body;
            }
            Error::Invalid { answer, .. }
                if !options.dry_run && repair::needs_recreate_patch(&object, answer.message()) =>
            {
                let patch = json!({"spec": {"strategy": {"rollingUpdate": null, "type": "Recreate"}}});
                cluster.merge_patch(&object.key, &object.version, Part::Whole, &patch).await?;
            }
            _ => return Err(error),
        }
    }
    cluster.apply(&object, options).await.map(|applied| Done { applied, dropped })
}

/// Managers under which `kubectl apply` and Argo CD's client-side apply own fields: what git no longer has would stay
/// theirs, and so in the cluster, for ever.
const CLIENT_SIDE: [&str; 2] = ["kubectl-client-side-apply", "argocd-controller"];

/// The patch that makes the fields of client-side appliers ours; `None` when there are none. The object's version is
/// part of it, so that it fails when somebody else was faster.
pub fn migration(live: &Value, api_version: &str) -> Option<Value> {
    let managed = fields::adopt(live, &CLIENT_SIDE, FIELD_MANAGER, api_version)?;
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": live.pointer("/metadata/resourceVersion")?},
        {"op": "replace", "path": "/metadata/managedFields", "value": managed},
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_client_side_apply_become_ours() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:old": {}}}},
            {"manager": "leeboard", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:new": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:mine": {}}}},
        ]}});
        let patch = migration(&live, "v1").unwrap();
        let fields = patch[1]["value"].as_array().unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!((&fields[0]["manager"], &fields[0]["operation"]), (&json!("leeboard"), &json!("Apply")));
        assert_eq!(fields[0]["fieldsV1"], json!({"f:data": {"f:old": {}, "f:new": {}}}));
        assert_eq!(fields[1]["manager"], "kubectl-edit");
        assert_eq!(patch[0]["value"], "7");
    }

    #[test]
    fn without_client_side_apply_nothing_is_migrated() {
        let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
            {"manager": "leeboard", "operation": "Apply", "fieldsV1": {}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {}},
        ]}});
        assert_eq!(migration(&live, "v1"), None);
    }
}
