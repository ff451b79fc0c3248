//! Kubernetes objects that refer to each other.

use serde_json::{Map, Value, json};

use super::random::Random;
use super::scalars::{scalar, text, word};

/// An object that some layer has, as it was before that layer's transformers.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// As it was written; upper layers may have changed it since.
    pub(crate) body: Value,
}

impl Known {
    pub(crate) fn group(&self) -> &str {
        self.api_version.rsplit_once('/').map_or("", |(group, _)| group)
    }

    pub(crate) fn version(&self) -> &str {
        self.api_version.rsplit_once('/').map_or(&self.api_version, |(_, version)| version)
    }

    /// What identifies it, as the head of a patch.
    pub(crate) fn head(&self) -> Map<String, Value> {
        let mut head = Map::new();
        head.insert("apiVersion".into(), self.api_version.clone().into());
        head.insert("kind".into(), self.kind.clone().into());
        let mut metadata = json!({"name": self.name});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = namespace.clone().into();
        }
        head.insert("metadata".into(), metadata);
        head
    }

    /// True when both are found by the same selector.
    pub(crate) fn is_like(&self, other: &Known) -> bool {
        self.kind == other.kind && self.name == other.name
    }
}

/// Kind, apiVersion; those whose names no prefix changes, or that are unlike their copies, stand at the end.
const KINDS: [(&str, &str); 36] = [
    ("Deployment", "apps/v1"),
    ("Deployment", "apps/v1"),
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("ReplicaSet", "apps/v1"),
    ("ReplicationController", "v1"),
    ("Job", "batch/v1"),
    ("CronJob", "batch/v1"),
    ("Pod", "v1"),
    ("Service", "v1"),
    ("Service", "v1"),
    ("ConfigMap", "v1"),
    ("ConfigMap", "v1"),
    ("Secret", "v1"),
    ("ServiceAccount", "v1"),
    ("Role", "rbac.authorization.k8s.io/v1"),
    ("RoleBinding", "rbac.authorization.k8s.io/v1"),
    ("ClusterRole", "rbac.authorization.k8s.io/v1"),
    ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1"),
    ("Ingress", "networking.k8s.io/v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("PersistentVolumeClaim", "v1"),
    ("PersistentVolume", "v1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
    ("PodDisruptionBudget", "policy/v1"),
    ("StorageClass", "storage.k8s.io/v1"),
    ("PriorityClass", "scheduling.k8s.io/v1"),
    ("LimitRange", "v1"),
    ("Widget", "example.com/v1"),
    ("Widget", "example.com/v1"),
    ("MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1"),
    ("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1"),
    ("Namespace", "v1"),
    ("CustomResourceDefinition", "apiextensions.k8s.io/v1"),
    ("APIService", "apiregistration.k8s.io/v1"),
];

/// Of [`KINDS`], those that may be there several times under different prefixes.
const COPIED: usize = 33;

const CLUSTER_SCOPED: [&str; 11] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "PersistentVolume",
    "StorageClass",
    "PriorityClass",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "Namespace",
    "CustomResourceDefinition",
    "APIService",
    "Gadget",
];

const NAMES: [&str; 9] = ["web", "api", "db", "cache", "jobs", "web-2", "default", "a.b.c", "settings"];
pub(crate) const IMAGES: [&str; 9] = [
    "nginx",
    "nginx:1.25",
    "registry.io:5000/team/app:v1",
    "busybox@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "docker.io/library/redis:7-alpine",
    "app",
    "app:2@sha256:aaaa",
    "postgres:16.1",
    "ghcr.io/x/y",
];
pub(crate) const NAMESPACES: [&str; 4] = ["shop", "default", "kube-system", "team-a"];

/// Makes objects with names that are not taken.
pub(crate) struct Objects {
    /// Kind, name and namespace of all there are.
    made: Vec<(String, String, Option<String>)>,
    has_namespaces: bool,
}

/// Whether there may be a second copy of an object, under another name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    None,
    Prefixed,
}

impl Objects {
    pub(crate) fn new(random: &mut Random) -> Self {
        Objects { made: Vec::new(), has_namespaces: random.chance(25) }
    }

    /// A name for an object of this kind that no other one has; an old one now and then, which prefixes must part.
    fn fresh(&mut self, random: &mut Random, kind: &str, namespace: &Option<String>) -> String {
        for _ in 0..8 {
            let name = random.word(&NAMES);
            let taken = self.made.iter().any(|(known, other, space)| {
                let same_space = space.as_deref().unwrap_or("default") == namespace.as_deref().unwrap_or("default");
                known == kind && *other == name && same_space
            });
            if !taken {
                self.made.push((kind.to_owned(), name.clone(), namespace.clone()));
                return name;
            }
        }
        let name = format!("{}-{}", random.pick(&NAMES), self.made.len());
        self.made.push((kind.to_owned(), name.clone(), namespace.clone()));
        name
    }

    /// A name for what a generator makes.
    pub(crate) fn fresh_generated(&mut self, random: &mut Random, kind: &str, namespace: &Option<String>) -> String {
        self.fresh(random, kind, namespace)
    }

    /// The name of an object of this kind, most often one that there is.
    pub(crate) fn name_of(&self, random: &mut Random, kind: &str) -> String {
        let names: Vec<&String> =
            self.made.iter().filter(|(known, ..)| known == kind).map(|(_, name, _)| name).collect();
        match names.is_empty() || random.chance(15) {
            true => random.word(&NAMES),
            false => (*random.pick(&names)).clone(),
        }
    }

    pub(crate) fn make(&mut self, random: &mut Random, copies: Copies) -> Known {
        let end = if copies == Copies::Prefixed { COPIED } else { KINDS.len() };
        let (kind, api_version) = KINDS[random.below(end)];
        let is_scoped = !CLUSTER_SCOPED.contains(&kind);
        let namespace = (is_scoped && self.has_namespaces && random.chance(40)).then(|| random.word(&NAMESPACES));
        let name = self.fresh(random, kind, &namespace);
        let mut body = Map::new();
        body.insert("apiVersion".into(), api_version.into());
        body.insert("kind".into(), kind.into());
        body.insert("metadata".into(), metadata(random, &name, namespace.as_deref()));
        if let Value::Object(fields) = self.fields(random, kind, &name) {
            body.extend(fields);
        }
        if kind == "CustomResourceDefinition" {
            body["metadata"]["name"] = format!("{name}.example.com").into();
        }
        if random.chance(10) {
            let mut entries: Vec<(String, Value)> = body.into_iter().collect();
            random.shuffle(&mut entries);
            body = entries.into_iter().collect();
        }
        let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Known { api_version: api_version.into(), kind: kind.into(), name, namespace, body: body.into() }
    }

    /// What an object of this kind has besides its head.
    fn fields(&mut self, random: &mut Random, kind: &str, name: &str) -> Value {
        match kind {
            "Deployment" | "DaemonSet" | "ReplicaSet" => {
                let mut spec =
                    json!({"selector": {"matchLabels": {"app": name}}, "template": self.template(random, name)});
                if kind != "DaemonSet" && random.chance(70) {
                    spec["replicas"] = random.below(5).into();
                }
                if kind == "Deployment" && random.chance(20) {
                    spec["strategy"] =
                        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}});
                }
                json!({"spec": spec})
            }
            "StatefulSet" => {
                let mut spec = json!({"serviceName": self.name_of(random, "Service"), "selector": {"matchLabels": {"app": name}}, "template": self.template(random, name)});
                if random.chance(50) {
                    spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": self.name_of(random, "StorageClass"), "resources": {"requests": {"storage": "1Gi"}}}}]);
                }
                json!({"spec": spec})
            }
            "ReplicationController" => {
                json!({"spec": {"replicas": 2, "selector": {"app": name}, "template": self.template(random, name)}})
            }
            "Job" => json!({"spec": {"backoffLimit": 3, "template": self.template(random, name)}}),
            "CronJob" => {
                json!({"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": self.template(random, name)}}}})
            }
            "Pod" => json!({"spec": self.pod(random)}),
            "Service" => {
                let mut spec = json!({"selector": {"app": self.name_of(random, "Deployment")}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]});
                if random.chance(40) {
                    spec["ports"] = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]);
                }
                if random.chance(15) {
                    spec["type"] = "ExternalName".into();
                    spec["externalName"] = format!("{name}.example.com").into();
                }
                json!({"spec": spec})
            }
            "ConfigMap" => {
                let mut data = Map::new();
                for _ in 0..random.below(4) {
                    data.insert(key(random), text(random).into());
                }
                if random.chance(10) {
                    data.insert("odd".into(), scalar(random));
                }
                if random.chance(20) {
                    data.insert(
                        "config.json".into(),
                        "{\"host\": \"web\", \"port\": 80, \"list\": [{\"name\": \"a\", \"v\": 1.5}]}".into(),
                    );
                }
                if random.chance(20) {
                    data.insert(
                        "config.yaml".into(),
                        "# settings\nhost: web\nport: 80\nlist:\n- name: a\n  v: 'x'\n".into(),
                    );
                }
                json!({"data": data})
            }
            "Secret" => {
                json!({"type": "Opaque", "data": {"password": "aHVudGVyMg==", "user": "YWRtaW4="}, "stringData": {"plain": text(random)}})
            }
            "ServiceAccount" => {
                json!({"secrets": [{"name": self.name_of(random, "Secret")}], "imagePullSecrets": [{"name": self.name_of(random, "Secret")}]})
            }
            "Role" | "ClusterRole" => {
                json!({"rules": [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "resourceNames": [self.name_of(random, "ConfigMap"), self.name_of(random, "Secret")], "verbs": ["get", "list"]}, {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["*"]}]})
            }
            "RoleBinding" | "ClusterRoleBinding" => {
                let role = if kind == "ClusterRoleBinding" || random.chance(30) { "ClusterRole" } else { "Role" };
                let mut subjects = vec![
                    json!({"kind": "ServiceAccount", "name": self.name_of(random, "ServiceAccount"), "namespace": random.pick(&NAMESPACES)}),
                ];
                if random.chance(30) {
                    subjects.push(json!({"kind": "ServiceAccount", "name": "default"}));
                }
                if random.chance(20) {
                    subjects.push(json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": random.pick(&["default", "ann"])}));
                }
                json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": self.name_of(random, role)}, "subjects": subjects})
            }
            "Ingress" => {
                let backend = json!({"service": {"name": self.name_of(random, "Service"), "port": {"number": 80}}});
                json!({"spec": {"ingressClassName": "nginx", "tls": [{"hosts": ["a.example.com"], "secretName": self.name_of(random, "Secret")}], "defaultBackend": backend, "rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}, {"path": "/api", "pathType": "Prefix", "backend": {"service": {"name": self.name_of(random, "Service"), "port": {"name": "http"}}}}]}}]}})
            }
            "NetworkPolicy" => {
                json!({"spec": {"podSelector": {"matchLabels": {"app": name}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}, {"namespaceSelector": {}}]}], "egress": [{"to": [{"podSelector": {}}]}], "policyTypes": ["Ingress"]}})
            }
            "PersistentVolumeClaim" => {
                json!({"spec": {"storageClassName": self.name_of(random, "StorageClass"), "volumeName": self.name_of(random, "PersistentVolume"), "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
            }
            "PersistentVolume" => {
                json!({"spec": {"storageClassName": self.name_of(random, "StorageClass"), "capacity": {"storage": "5Gi"}, "claimRef": {"name": self.name_of(random, "PersistentVolumeClaim"), "namespace": "default"}}})
            }
            "HorizontalPodAutoscaler" => {
                let target = random.word(&["Deployment", "StatefulSet", "ReplicaSet"]);
                json!({"spec": {"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": target, "name": self.name_of(random, &target)}}})
            }
            "PodDisruptionBudget" => {
                json!({"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": name}}}})
            }
            "StorageClass" => json!({"provisioner": "example.com/disk", "parameters": {"type": "ssd"}}),
            "PriorityClass" => json!({"value": 1_000_000, "globalDefault": false}),
            "LimitRange" => {
                json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": 0.5, "memory": "64Mi"}}]}})
            }
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
                json!({"webhooks": [{"name": "a.example.com", "clientConfig": {"service": {"name": self.name_of(random, "Service"), "namespace": random.pick(&NAMESPACES), "path": "/x"}}}, {"name": "b.example.com", "clientConfig": {"service": {"name": self.name_of(random, "Service")}}}]})
            }
            "CustomResourceDefinition" => {
                json!({"spec": {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "scope": "Namespaced", "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}], "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"service": {"name": self.name_of(random, "Service"), "namespace": "default"}}}}}})
            }
            "APIService" => {
                json!({"spec": {"group": "example.com", "version": "v1", "service": {"name": self.name_of(random, "Service"), "namespace": "default"}}})
            }
            "Namespace" => json!({}),
            _ => self.widget(random),
        }
    }

    /// A custom resource: anything goes.
    fn widget(&mut self, random: &mut Random) -> Value {
        let mut spec = Map::new();
        for _ in 0..random.between(1, 6) {
            spec.insert(key(random), scalar(random));
        }
        if random.chance(5) {
            // Elsewhere kustomize loses the quotes of such a key, and refuses it then.
            spec.insert(random.word(&["null", "true", "~", "12"]), scalar(random));
        }
        spec.insert("serviceRef".into(), json!({"name": self.name_of(random, "Service")}));
        if random.chance(50) {
            spec.insert("image".into(), random.pick(&IMAGES).to_string().into());
            spec.insert("size".into(), random.below(9).into());
        }
        if random.chance(30) {
            spec.insert("containers".into(), json!([{"name": "c", "image": random.pick(&IMAGES), "weight": 1.5}, {"name": "d", "image": random.pick(&IMAGES)}]));
        }
        if random.chance(40) {
            spec.insert("matrix".into(), json!([["a", "b"], [], [[1, 2.5], {"k": "v"}], scalar(random)]));
        }
        if random.chance(40) {
            spec.insert("deep".into(), json!({"er": {"list": [{"name": "one", "value": scalar(random)}, {"name": "two", "value": "x"}], "words": ["a", "b", "c"], "note": text(random)}}));
        }
        json!({"spec": spec})
    }

    fn template(&mut self, random: &mut Random, app: &str) -> Value {
        let mut template = json!({"metadata": {"labels": {"app": app}}, "spec": self.pod(random)});
        if random.chance(15) {
            template["metadata"]["annotations"] = json!({"checksum": text(random)});
        }
        if random.chance(5) {
            template["metadata"] = Value::Null;
        }
        template
    }

    fn pod(&mut self, random: &mut Random) -> Value {
        let mut containers = vec![self.container(random, "main")];
        if random.chance(30) {
            containers.push(self.container(random, "side"));
        }
        let mut pod = json!({"containers": containers});
        if random.chance(20) {
            pod["initContainers"] = json!([self.container(random, "init")]);
        }
        if random.chance(35) {
            pod["serviceAccountName"] = self.name_of(random, "ServiceAccount").into();
        }
        if random.chance(15) {
            pod["imagePullSecrets"] = json!([{"name": self.name_of(random, "Secret")}]);
        }
        if random.chance(10) {
            pod["priorityClassName"] = self.name_of(random, "PriorityClass").into();
        }
        if random.chance(45) {
            let mut volumes = Vec::new();
            for at in 0..random.between(1, 3) {
                let source = match random.below(6) {
                    0 => {
                        json!({"configMap": {"name": self.name_of(random, "ConfigMap"), "items": [{"key": "a", "path": "b"}]}})
                    }
                    1 => json!({"secret": {"secretName": self.name_of(random, "Secret")}}),
                    2 => json!({"persistentVolumeClaim": {"claimName": self.name_of(random, "PersistentVolumeClaim")}}),
                    3 => {
                        json!({"projected": {"sources": [{"configMap": {"name": self.name_of(random, "ConfigMap")}}, {"secret": {"name": self.name_of(random, "Secret")}}]}})
                    }
                    4 => json!({"emptyDir": {}}),
                    _ => json!({"image": {"reference": random.pick(&IMAGES)}}),
                };
                let mut volume = json!({"name": format!("v{at}")});
                if let (Some(volume), Value::Object(source)) = (volume.as_object_mut(), source) {
                    volume.extend(source);
                }
                volumes.push(volume);
            }
            pod["volumes"] = volumes.into();
        }
        if random.chance(10) {
            pod["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "host"}], "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone"}}]}});
        }
        if random.chance(10) {
            pod["topologySpreadConstraints"] = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "x"}}}]);
        }
        if random.chance(10) {
            pod["tolerations"] = json!([{"key": "a", "operator": "Exists"}, {"key": "b", "value": "true"}]);
            pod["hostAliases"] = json!([{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]);
        }
        pod
    }

    fn container(&mut self, random: &mut Random, name: &str) -> Value {
        let mut container = json!({"name": name, "image": random.pick(&IMAGES)});
        if random.chance(50) {
            let mut env = vec![json!({"name": "MODE", "value": env_value(random)})];
            if random.chance(50) {
                env.push(json!({"name": "LEVEL", "value": env_value(random)}));
            }
            if random.chance(30) {
                env.push(json!({"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": self.name_of(random, "Secret"), "key": "password"}}}));
            }
            if random.chance(30) {
                env.push(json!({"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": self.name_of(random, "ConfigMap"), "key": "color"}}}));
            }
            container["env"] = env.into();
        }
        if random.chance(25) {
            container["envFrom"] = json!([{"configMapRef": {"name": self.name_of(random, "ConfigMap")}}, {"secretRef": {"name": self.name_of(random, "Secret")}}]);
        }
        if random.chance(40) {
            container["ports"] = match random.below(3) {
                0 => json!([{"containerPort": 80}]),
                1 => {
                    json!([{"containerPort": 80, "name": "http"}, {"containerPort": 443, "name": "https", "protocol": "TCP"}])
                }
                _ => {
                    json!([{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 80, "protocol": "TCP"}])
                }
            };
        }
        if random.chance(30) {
            container["args"] = json!(["--mode=$(MODE)", env_value(random), text(random), "-v"]);
            container["command"] = json!(["/bin/sh", "-c", text(random)]);
        }
        if random.chance(30) {
            container["volumeMounts"] =
                json!([{"name": "v0", "mountPath": "/a"}, {"name": "v1", "mountPath": "/b", "readOnly": true}]);
        }
        if random.chance(30) {
            container["resources"] =
                json!({"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": 0.1, "memory": 1e3}});
        }
        container
    }
}

fn metadata(random: &mut Random, name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    if random.chance(40) {
        metadata["labels"] = json!({"app": name, "tier": random.pick(&["front", "back"])});
    }
    if random.chance(30) {
        let mut annotations = Map::new();
        annotations.insert("team".into(), word(random).into());
        for _ in 0..random.below(3) {
            annotations.insert(key(random), text(random).into());
        }
        metadata["annotations"] = annotations.into();
    }
    if random.chance(3) {
        let (field, value) = random
            .pick(&[
                ("labels", Value::Null),
                ("labels", json!({})),
                ("annotations", Value::Null),
                ("annotations", json!({})),
            ])
            .clone();
        metadata[field] = value;
    }
    if random.chance(2) {
        metadata["annotations"] = json!({"config.kubernetes.io/local-config": random.pick(&["true", "false"])});
    }
    metadata
}

/// A key of a map that may hold anything. The digits in it are few, as the natural order of others isn't one.
pub(crate) fn key(random: &mut Random) -> String {
    const KEYS: &[&str] = &[
        "a",
        "b",
        "c",
        "A",
        "B",
        "a-b",
        "a.b",
        "a_b",
        "aB",
        "ab",
        "v1",
        "v2",
        "v10",
        "v1alpha1",
        "v1beta1",
        "_x",
        "color",
        "level",
        "a/b",
        "é",
        "key with space",
        "on",
        "yes",
        "a:b",
        "it's",
        "example.com/x",
        "x#y",
        "UPPER_CASE",
    ];
    random.word(KEYS)
}

fn env_value(random: &mut Random) -> String {
    match random.below(6) {
        0 => "$(V0)".into(),
        1 => "pre-$(V1)-$(V0)-post $(NOPE) $$(V0)".into(),
        2 => "debug".into(),
        3 => "a-b-c".into(),
        _ => text(random),
    }
}
