//! Policies, as we evaluate them and as a real API server does: each row is asked of both.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

#[path = "../harness/mod.rs"]
mod harness;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leeboard::live::client::{ApplyOptions, Cluster, DeleteOptions, Error, ListOptions, Options};
use leeboard::object::{GroupKind, Object, ObjectKey};
use leeboard::policy::cel::Budget;
use leeboard::policy::judge::{operation, with_room};
use leeboard::policy::{Form, Policies, Request, Says, Surroundings, Trust, Verdict};
use serde_json::{Value, json};

use harness::eventually;
use rows::{ROWS, Row};

/// Until the API server has read all policies.
const A_WHILE: Duration = Duration::from_secs(60);

/// What is said to one object.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    Refused(String),
}

/// One API server, all rows' policies in force in it, and a namespace where none is.
struct Stage {
    cluster: Cluster,
    /// A namespace of which no policy knows.
    free: String,
    suffix: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_says_is_what_the_api_server_says() {
    let stage = Stage::start().await;
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for row in ROWS {
        match stage.put(row).await {
            Ok(()) => rows.push(row),
            Err(error) => wrong.push(format!("{} is no policy: {error}", row.name)),
        }
    }
    stage.in_force().await;
    let mut asked = 0;
    for row in rows {
        for (at, [old, new]) in row.requests.iter().enumerate() {
            let theirs = stage.theirs(row, at, old, new).await;
            let ours = stage.ours(row, at, old, new).await;
            asked += 1;
            let expected = row.says.get(at).copied().unwrap_or_default();
            let is_expected = match &theirs {
                Answer::Taken => expected.is_empty(),
                Answer::Refused(message) => !expected.is_empty() && message.contains(expected),
            };
            if ours != theirs || !is_expected {
                wrong
                    .push(format!("{} {at}:\n  theirs {theirs:?}\n  ours   {ours:?}\n  wanted {expected:?}", row.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked >= 80, "the table has lost rows: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_no_refusal() {
    let stage = Stage::start().await;
    let row = Row {
        name: "warns",
        policy: "validations: [{expression: \"object.data.color == 'red'\", message: 'red is the color'}]",
        binding: "validationActions: [Warn, Audit]",
        parameters: "",
        requests: &[],
        says: &[],
    };
    stage.put(&row).await.unwrap();
    stage.in_force().await;
    let blue = config("c", "color: blue");
    let verdicts = stage.verdicts(&row, None, Some(&stage.object(&row, &blue))).await;
    let [Verdict { says: Says::Warns, message, .. }] = verdicts.as_slice() else { panic!("{verdicts:?}") };

    let cluster = harness::Cluster::shared().await;
    let namespace = cluster.existing_namespace(&stage.namespace(&row)).name().to_owned();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &blue).unwrap();
    let arguments = ["--namespace", &namespace, "create", "--dry-run=server", "--warnings-as-errors", "--filename"];
    let arguments = arguments.into_iter().chain([file.path().to_str().unwrap()]);
    let said = cluster.kubectl(arguments).await.unwrap_err();
    assert!(said.contains(&format!("with binding '{}': {message}", stage.policy(&row))), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_the_cluster_that_it_is_told() {
    let stage = Stage::start().await;
    let row = Row {
        name: "command",
        policy: "{paramKind: {apiVersion: v1, kind: ConfigMap}, validations: [{expression: \"object.spec.replicas <= int(params.data.most)\", messageExpression: \"'at most ' + params.data.most\"}]}",
        binding: "{paramRef: {name: limits, parameterNotFoundAction: Deny}}",
        parameters: "{apiVersion: v1, kind: ConfigMap, metadata: {name: limits}, data: {most: '3'}}",
        requests: &[],
        says: &[],
    };
    stage.put(&row).await.unwrap();
    let web = |replicas: u8| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web, namespace: {}}}, spec: {{replicas: {replicas}}}}}\n",
            stage.namespace(&row)
        )
    };
    let repo = harness::Repo::new();
    repo.commit("main", &[("clusters/dev/web.yaml", &web(2))]);
    repo.git(&["branch", "feature", "main"]);
    repo.commit("feature", &[("clusters/dev/web.yaml", &web(5))]);
    let kubeconfig = harness::Cluster::shared().await.kubeconfig();
    let preview = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_leeboard"));
        command.args(["preview", "--head", "feature", "--fail", "R33"]).args(arguments).current_dir(repo.clone_path());
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout) + &text(output.stderr), output.status.code())
    };
    let (said, exit) = preview(&["--kubeconfig", kubeconfig.to_str().unwrap()]).await;
    let name = stage.policy(&row);
    let refused = format!("would be refused by policy `{name}` (binding `{name}`): `at most 3`");
    assert!(exit == Some(3) && said.contains(&refused), "{said}");
    let (said, exit) = preview(&[]).await;
    assert!(exit == Some(2) && !said.contains("policy"), "nobody is asked unless it is said whom: {said}");
}

/// A ConfigMap with this in it.
fn config(name: &str, data: &str) -> String {
    format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{{data}}}}}")
}

/// What of a refusal is the word of a policy.
fn refused(error: &Error) -> Answer {
    let message = error.message().unwrap_or_default();
    let at = message.find("ValidatingAdmissionPolicy '").unwrap_or_else(|| panic!("{error:?}: {message}"));
    Answer::Refused(message[at..].to_owned())
}

fn yaml(text: &str) -> Value {
    if text.is_empty() {
        json!({})
    } else {
        serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
    }
}

impl Stage {
    async fn start() -> Stage {
        let kubeconfig = harness::Cluster::shared().await.kubeconfig();
        let options = Options { kubeconfig: Some(kubeconfig), ..Options::default() };
        let cluster = Cluster::connect(options).await.unwrap();
        let suffix = harness::random_suffix();
        let stage = Stage { cluster, free: format!("free-{suffix}"), suffix };
        let free = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.free}});
        stage.apply(&free).await.unwrap();
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": stage.free}});
        stage.apply(&account).await.unwrap();
        stage
    }

    async fn apply(&self, body: &Value) -> Result<Value, Error> {
        self.apply_with(body, false).await
    }

    async fn apply_with(&self, body: &Value, dry_run: bool) -> Result<Value, Error> {
        let object = Object::from_value(body.clone(), None).unwrap();
        let options = ApplyOptions { force: true, dry_run, want_body: true, ..ApplyOptions::default() };
        self.cluster.apply(&object, &options).await.map(|applied| applied.body.unwrap())
    }

    fn policy(&self, row: &Row) -> String {
        format!("{}-{}", row.name, self.suffix)
    }

    fn namespace(&self, row: &Row) -> String {
        self.policy(row)
    }

    /// The row's policy and binding.
    fn objects(&self, row: &Row) -> [Value; 2] {
        let name = self.policy(row);
        let mut policy = yaml(&row.policy.replace("NAMESPACE", &name));
        if policy.get("matchConstraints").is_none() {
            policy["matchConstraints"] = json!({"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"], "resources": ["configmaps", "deployments", "services"]}]});
        }
        let mut binding = yaml(&row.binding.replace("NAMESPACE", &name));
        binding["policyName"] = name.as_str().into();
        if binding.get("validationActions").is_none() {
            binding["validationActions"] = json!(["Deny"]);
        }
        if binding.get("matchResources").is_none() {
            binding["matchResources"] =
                json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}});
        }
        let object = |kind: &str, spec: Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        [object("ValidatingAdmissionPolicy", policy), object("ValidatingAdmissionPolicyBinding", binding)]
    }

    /// Puts a row's namespace, parameters and policy into the cluster.
    async fn put(&self, row: &Row) -> Result<(), String> {
        let name = self.namespace(row);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"tier": "gold"}, "annotations": {"owner": "jane"}}});
        self.apply(&namespace).await.unwrap();
        for text in row.parameters.split("---").filter(|text| !text.trim().is_empty()) {
            let mut body = yaml(text);
            body["metadata"]["namespace"] = name.as_str().into();
            self.apply(&body).await.unwrap();
        }
        // What exists already is made before there is a policy against it.
        for (at, [old, _]) in row.requests.iter().enumerate().filter(|(_, [old, _])| !old.is_empty()) {
            self.apply(&self.numbered(row, at, old)).await.unwrap();
        }
        for object in self.objects(row) {
            self.apply(&object).await.map_err(|error| error.message().unwrap_or_default().to_owned())?;
        }
        Ok(())
    }

    /// Waits until the API server has read what was put.
    async fn in_force(&self) {
        let last = Row {
            name: "zz-last",
            policy: "validations: [{expression: 'false', message: it is in force}]",
            binding: "",
            parameters: "",
            requests: &[],
            says: &[],
        };
        self.put(&last).await.unwrap();
        let probe = self.object(&last, &config("probe", ""));
        eventually("the policies are in force", A_WHILE, async || match self.answer(&probe).await {
            Answer::Refused(message) if message.contains("it is in force") => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await;
    }

    /// An object in the row's namespace.
    fn object(&self, row: &Row, text: &str) -> Value {
        let name = self.namespace(row);
        let mut body = yaml(&text.replace("NAMESPACE", &name));
        if body["kind"] != "ClusterRole" {
            body["metadata"]["namespace"] = name.into();
        }
        body
    }

    /// The same; requests of a row are about different objects.
    fn numbered(&self, row: &Row, at: usize, text: &str) -> Value {
        let mut body = self.object(row, text);
        if body["metadata"]["name"] == "it" {
            body["metadata"]["name"] = format!("it{at}").into();
        }
        body
    }

    /// As the API server would make it, where no policy minds.
    async fn complete(&self, body: &Value) -> Value {
        if body["metadata"]["namespace"].is_null() {
            return body.clone();
        }
        let mut elsewhere = body.clone();
        elsewhere["metadata"]["namespace"] = self.free.as_str().into();
        let mut complete =
            self.apply_with(&elsewhere, true).await.unwrap_or_else(|error| panic!("{:?}", error.message()));
        complete["metadata"]["namespace"] = body["metadata"]["namespace"].clone();
        complete
    }

    async fn answer(&self, body: &Value) -> Answer {
        match self.apply_with(body, true).await {
            Ok(_) => Answer::Taken,
            Err(error) => refused(&error),
        }
    }

    async fn theirs(&self, row: &Row, at: usize, old: &str, new: &str) -> Answer {
        if new.is_empty() {
            let object = Object::from_value(self.numbered(row, at, old), None).unwrap();
            let options = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
            let answer = self.cluster.delete(&object.key, &object.version, &options).await;
            return answer.map_or_else(|error| refused(&error), |_| Answer::Taken);
        }
        self.answer(&self.numbered(row, at, new)).await
    }

    async fn ours(&self, row: &Row, at: usize, old: &str, new: &str) -> Answer {
        let new = match new.is_empty() {
            true => None,
            false => Some(self.complete(&self.numbered(row, at, new)).await),
        };
        let old = match old.is_empty() {
            true => None,
            false => {
                let object = Object::from_value(self.numbered(row, at, old), None).unwrap();
                Some(self.cluster.get(&object.key, &object.version).await.unwrap())
            }
        };
        let verdicts = self.verdicts(row, old.as_ref(), new.as_ref()).await;
        assert!(verdicts.iter().all(|verdict| verdict.says != Says::Unknown), "{}: {verdicts:?}", row.name);
        match verdicts.iter().find(|verdict| verdict.says == Says::Denies) {
            None => Answer::Taken,
            Some(Verdict { policy, binding, message, .. }) => Answer::Refused(format!(
                "ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {message}"
            )),
        }
    }

    async fn verdicts(&self, row: &Row, old: Option<&Value>, new: Option<&Value>) -> Vec<Verdict> {
        let mut policies = Policies::default();
        for body in self.objects(row) {
            let object = Object::from_value(body.clone(), None).unwrap();
            policies.put(&object.key, &body, Trust::Here);
        }
        let object = Object::from_value(new.or(old).unwrap().clone(), None).unwrap();
        let resource = self.cluster.resource(&object.key.group_kind(), &object.version).await.unwrap();
        let around = self.around(&policies, &object.key).await;
        let request = Request {
            operation: operation(old, new),
            key: &object.key,
            version: &object.version,
            plural: &resource.plural,
            object: new,
            old,
            form: Form::Complete,
        };
        with_room(|| policies.judge(Trust::Here, &request, &around, &mut Budget::of(10_000_000))).unwrap()
    }

    async fn around(&self, policies: &Policies, key: &ObjectKey) -> Surroundings {
        let mut around = Surroundings::default();
        let Some(namespace) = &key.namespace else { return around };
        let own = ObjectKey { group: "".into(), kind: "Namespace".into(), namespace: None, name: namespace.clone() };
        around.namespaces.insert(namespace.clone(), self.cluster.get(&own, "v1").await.unwrap());
        let wanted = policies.wanted(&BTreeSet::from([namespace.clone()]), &BTreeSet::new());
        let mut found = BTreeMap::new();
        for one in wanted {
            let options = ListOptions { namespace: one.namespace.clone(), labels: None, fields: None };
            let kind = GroupKind::new(one.kind.group.clone(), one.kind.kind.clone());
            found.insert(one.clone(), self.cluster.list(&kind, &one.version, &options).await.unwrap());
        }
        around.found = found;
        around
    }
}
