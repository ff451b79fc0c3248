//! What is known before a merge, and what is not. What the API server says to the same is in `tests/policies`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cel::Budget;
use super::judge::{operation, with_room};
use super::{Form, Policies, Request, Says, Surroundings, Trust, Verdict};
use crate::object::Object;

fn object(body: Value) -> Object {
    Object::from_value(body, None).unwrap()
}

/// A policy over all that is created or changed, and its binding.
fn policies(spec: &Value, binding: &Value, trust: Trust) -> Policies {
    let mut policies = Policies::default();
    let mut policy = json!({"matchConstraints": {"resourceRules": [
        {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["*"]}]}});
    let mut bound = json!({"policyName": "p", "validationActions": ["Deny"]});
    for (into, from) in [(&mut policy, spec), (&mut bound, binding)] {
        from.as_object().unwrap().iter().for_each(|(field, value)| into[field] = value.clone());
    }
    for (kind, name, spec) in
        [("ValidatingAdmissionPolicy", "p", policy), ("ValidatingAdmissionPolicyBinding", "b", bound)]
    {
        let body = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec});
        policies.put(&object(body.clone()).key, &body, trust);
    }
    policies
}

fn web() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "web:1"}]}}}})
}

fn judge(policies: &Policies, body: &Value, form: Form, around: &Surroundings) -> Vec<Verdict> {
    let by = |trust| judge_by(trust, policies, body, form, around);
    [by(Trust::Here), by(Trust::Stranger)].concat()
}

fn judge_by(trust: Trust, policies: &Policies, body: &Value, form: Form, around: &Surroundings) -> Vec<Verdict> {
    let (key, version) = (object(body.clone()).key, object(body.clone()).version);
    let plural = super::kinds::plural(&key.group_kind(), []);
    let operation = operation(None, Some(body));
    let request =
        Request { operation, key: &key, version: &version, plural: &plural, object: Some(body), old: None, form };
    with_room(|| policies.judge(trust, &request, around, &mut Budget::of(100_000))).unwrap()
}

/// What is said first, and why.
fn first(verdicts: &[Verdict]) -> (Option<Says>, &str) {
    verdicts.first().map_or((None, ""), |verdict| (Some(verdict.says), verdict.message.as_str()))
}

#[test]
fn what_is_not_known_is_never_a_pass() {
    let pulls = "object.spec.template.spec.containers.all(c, c.imagePullPolicy == 'Always')";
    let set = "`imagePullPolicy` is not written, and the API server may set it";
    let endless = "[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, \
                   [1,2,3,4,5,6,7,8].all(d, [1,2,3,4,5,6,7,8].all(e, [1,2,3,4,5,6,7,8].all(f, true))))))";
    let cases = [
        // expression, form, what follows, why
        ("object.spec.replicas == 1", Form::Written, None, ""),
        (pulls, Form::Written, Some(Says::Unknown), set),
        (pulls, Form::Complete, Some(Says::Denies), "no such key: imagePullPolicy"),
        ("object.metadata.labels.team == 'a'", Form::Written, Some(Says::Denies), "no such key: labels"),
        (
            "authorizer.group('apps').resource('deployments').check('create').allowed()",
            Form::Complete,
            Some(Says::Unknown),
            "what an authorizer would say is not known before the merge",
        ),
        ("request.userInfo.username == 'jane'", Form::Complete, Some(Says::Unknown), "who will sync it is not known"),
        ("request.userInfo.username == 'jane' || true", Form::Complete, None, ""),
        ("request.userInfo.username == 'jane' && false", Form::Complete, Some(Says::Denies), "failed expression"),
        ("object.unheardOf('x')", Form::Complete, Some(Says::Unknown), "the function `unheardOf` is not known here"),
        ("object.spec. == 1", Form::Complete, Some(Says::Unknown), "expected identifier"),
        ("namespaceObject.metadata.name == 'shop'", Form::Complete, Some(Says::Unknown), "the namespace is not known"),
        (endless, Form::Complete, Some(Says::Unknown), "more steps than a preview may spend"),
        ("object.spec.replicas", Form::Complete, Some(Says::Unknown), "neither true nor false"),
    ];
    for (expression, form, says, why) in cases {
        let policies = policies(&json!({"validations": [{"expression": expression}]}), &json!({}), Trust::Here);
        let verdicts = judge(&policies, &web(), form, &Surroundings::default());
        let (found, message) = first(&verdicts);
        assert_eq!(found, says, "{expression}: {message}");
        assert!(message.contains(why), "{expression}: {message}");
    }
}

#[test]
fn whether_a_policy_is_meant_may_not_be_known_either() {
    let rules = |versions: &str, policy: &str| {
        json!({"matchPolicy": policy, "resourceRules": [{"apiGroups": ["apps"], "apiVersions": [versions],
            "operations": ["*"], "resources": ["deployments"]}]})
    };
    let mut selected = rules("v1", "Equivalent");
    selected["namespaceSelector"] = json!({"matchLabels": {"tier": "gold"}});
    let mut elsewhere = selected.clone();
    elsewhere["resourceRules"][0]["resources"] = json!(["pods"]);
    let cases = [
        (rules("v1", "Equivalent"), Some(Says::Denies)),
        (rules("v1beta1", "Equivalent"), Some(Says::Unknown)),
        (rules("v1beta1", "Exact"), None),
        (selected, Some(Says::Unknown)),
        (elsewhere, None),
    ];
    for (constraints, says) in cases {
        let spec = json!({"matchConstraints": constraints, "validations": [{"expression": "false"}]});
        let verdicts =
            judge(&policies(&spec, &json!({}), Trust::Here), &web(), Form::Complete, &Surroundings::default());
        assert_eq!(first(&verdicts).0, says, "{constraints}");
    }
}

#[test]
fn a_strangers_policy_learns_nothing_of_the_cluster() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"tier": "gold"}, "annotations": {"note": "hush"}}});
    let limits = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "limits", "namespace": "shop"}, "data": {"note": "hush"}});
    let asks = [
        (json!({}), json!({}), "namespaceObject.metadata.annotations.note"),
        (
            json!({"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}),
            json!({"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}}),
            "params.data.note",
        ),
    ];
    for (mut spec, binding, note) in asks {
        spec["validations"] = json!([{"expression": format!("{note} == ''"), "messageExpression": note}]);
        let ask = |trust: Trust, is_rendered: bool| {
            let policies = policies(&spec, &binding, trust);
            let mut around = Surroundings::default();
            around.namespaces.insert("shop".into(), namespace.clone());
            for wanted in policies.wanted(&["shop".into()].into(), &Default::default()) {
                around.found.insert(wanted, vec![limits.clone()]);
            }
            if is_rendered {
                around.rendered = vec![Arc::new(object(namespace.clone())), Arc::new(object(limits.clone()))];
            }
            let verdicts = judge(&policies, &web(), Form::Complete, &around);
            let (says, message) = first(&verdicts);
            (says, message == "hush")
        };
        assert_eq!(ask(Trust::Here, false), (Some(Says::Denies), true), "{note}");
        assert_eq!(ask(Trust::Stranger, false), (Some(Says::Unknown), false), "{note}");
        // What is in the repository is nothing new to them.
        assert_eq!(ask(Trust::Stranger, true), (Some(Says::Denies), true), "{note}");
    }
}

#[test]
fn a_policy_is_in_force_with_a_binding_and_until_it_goes() {
    let mut policies = policies(&json!({"validations": [{"expression": "false"}]}), &json!({}), Trust::Here);
    let around = Surroundings::default();
    assert_eq!(judge(&policies, &web(), Form::Complete, &around).len(), 1);

    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "p"}});
    assert_eq!(judge(&policies, &policy, Form::Complete, &around), [], "policies are not asked about policies");
    policies.remove(&object(policy).key);
    assert!(policies.is_empty());
    assert_eq!(judge(&policies, &web(), Form::Complete, &around), []);
}

#[test]
fn what_strangers_write_is_read_up_to_a_limit() {
    let validation = json!({"expression": format!("object != null || '{}' == ''", "a".repeat(10_000))});
    let spec = json!({"validations": vec![validation; 30]});
    for (trust, says) in [(Trust::Here, None), (Trust::Stranger, Some(Says::Unknown))] {
        let verdicts = judge(&policies(&spec, &json!({}), trust), &web(), Form::Complete, &Surroundings::default());
        assert_eq!(first(&verdicts).0, says, "{verdicts:?}");
    }
}

#[test]
fn when_the_steps_are_spent_nobody_knows() {
    let policies = policies(&json!({"validations": [{"expression": "true"}]}), &json!({}), Trust::Here);
    let (body, around) = (web(), Surroundings::default());
    let (key, object) = (object(body.clone()).key, Some(&body));
    let request = Request {
        operation: super::Operation::Create,
        key: &key,
        version: "v1",
        plural: "deployments",
        object,
        old: None,
        form: Form::Complete,
    };
    let verdicts = policies.judge(Trust::Here, &request, &around, &mut Budget::of(10));
    assert_eq!(first(&verdicts), (Some(Says::Unknown), "it takes more steps than a preview may spend on it"));
}
