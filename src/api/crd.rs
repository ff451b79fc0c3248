//! The CustomResourceDefinitions of all kinds, made from their types.
//!
//! Argo CD's kinds keep every field that a client may write, also those that no type here names, and refuse nothing
//! that Argo CD's own definitions take. Leeboard's own kind says at once what cannot be right, and how to write it.

mod flagger;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::argo::{AppProjectSpec, AppProjectStatus, ApplicationSpec, ApplicationStatus, Operation};
use super::leeboard::promotion::{PromotionSpec, PromotionStatus};
use super::leeboard::{EnvironmentSpec, EnvironmentStatus};
use super::{ARGO_GROUP, LEEBOARD_GROUP, VERSION};

/// All definitions, in the order in which `leeboard crds` prints them.
pub fn crds() -> Vec<Value> {
    let [canary, metric_template, alert_provider] = flagger::definitions();
    vec![application(), app_project(), environment(), promotion(), canary, metric_template, alert_provider]
}

/// The file of a definition under `deploy/crds`: `applications.argoproj.io.yaml`.
pub fn file_name(definition: &Value) -> String {
    format!("{}.yaml", definition["metadata"]["name"].as_str().unwrap_or_default())
}

fn application() -> Value {
    let mut spec = schema::<ApplicationSpec>();
    let mut status = schema::<ApplicationStatus>();
    let mut operation = schema::<Operation>();
    require(&mut spec, "", &["destination"]);
    require(&mut spec, "ignoreDifferences[]", &["kind"]);
    require(&mut spec, "info[]", &["name", "value"]);
    require(&mut spec, "sourceHydrator", &["drySource", "syncSource"]);
    require(&mut operation, "info[]", &["name", "value"]);
    require(&mut operation, "sync.resources[]", &["kind", "name"]);
    for schema in [&mut spec, &mut operation] {
        require_repo_url(schema);
    }
    leave_items_open(&mut status);
    for schema in [&mut spec, &mut status, &mut operation] {
        open(schema);
    }
    validate(
        &mut spec,
        "",
        "has(self.source) || has(self.sourceHydrator) || (has(self.sources) && size(self.sources) > 0)",
        "say where the files are, for example `source: {repoURL: https://git.example.com/shop.git, path: apps/web}`",
    );
    definition(&Kind {
        group: ARGO_GROUP,
        version: VERSION,
        name: "Application",
        plural: "applications",
        short_names: &["app", "apps"],
        categories: &[],
        columns: vec![
            Column::new("Sync Status", "string", ".status.sync.status"),
            Column::new("Health Status", "string", ".status.health.status"),
            Column::new("Revision", "string", ".status.sync.revision").wide(),
            Column::new("Project", "string", ".spec.project").wide(),
        ],
        // Clients write status by ordinary patches, together with `operation`.
        subresources: None,
        fields: vec![("spec", spec), ("status", status), ("operation", operation)],
        description: "A set of objects from git, and the cluster and namespace in which they belong.",
    })
}

fn app_project() -> Value {
    let mut spec = schema::<AppProjectSpec>();
    let mut status = schema::<AppProjectStatus>();
    for list in ["clusterResourceWhitelist", "clusterResourceBlacklist"] {
        require(&mut spec, &format!("{list}[]"), &["group", "kind"]);
    }
    for list in ["namespaceResourceWhitelist", "namespaceResourceBlacklist"] {
        require(&mut spec, &format!("{list}[]"), &["group", "kind"]);
    }
    require(&mut spec, "roles[]", &["name"]);
    require(&mut spec, "destinationServiceAccounts[]", &["server", "defaultServiceAccount"]);
    at(&mut spec, "description").insert("maxLength".into(), 255.into());
    open(&mut spec);
    open(&mut status);
    definition(&Kind {
        group: ARGO_GROUP,
        version: VERSION,
        name: "AppProject",
        plural: "appprojects",
        short_names: &["appproj", "appprojs"],
        categories: &[],
        columns: vec![
            Column::new("Description", "string", ".spec.description").wide(),
            Column::new("Age", "date", ".metadata.creationTimestamp"),
        ],
        subresources: None,
        fields: vec![("spec", spec), ("status", status)],
        description: "What a group of applications may take from where, and put where.",
    })
}

fn environment() -> Value {
    let mut spec = schema::<EnvironmentSpec>();
    let mut status = schema::<EnvironmentStatus>();
    let conditions = at(&mut status, "conditions");
    conditions.insert("x-kubernetes-list-type".into(), "map".into());
    conditions.insert("x-kubernetes-list-map-keys".into(), json!(["type"]));
    require(&mut spec, "", &["repoURL"]);
    // The lengths bound what the rules below may cost the API server.
    for (field, length) in [("repoURL", 1024), ("branch", 250), ("path", 1024), ("project", 253), ("interval", 20)] {
        at(&mut spec, field).insert("maxLength".into(), length.into());
    }
    for (field, length) in [("destination.server", 1024), ("destination.name", 253), ("destination.namespace", 63)] {
        at(&mut spec, field).insert("maxLength".into(), length.into());
    }
    for (field, length) in [("previews.forge.type", 40), ("previews.forge.url", 1024), ("previews.interval", 20)] {
        at(&mut spec, field).insert("maxLength".into(), length.into());
    }
    at(&mut spec, "previews.fail").insert("maxItems".into(), 64.into());
    at(&mut spec, "previews.fail[]").insert("maxLength".into(), 20.into());
    require(&mut spec, "previews.forge.userMap[]", &["user"]);
    at(&mut spec, "previews.forge.userMap").insert("maxItems".into(), 512.into());
    at(&mut spec, "previews.forge.userMap[].user").insert("minLength".into(), 1.into());
    for (field, length) in PROMOTION_LENGTHS {
        at(&mut spec, field).insert("maxLength".into(), (*length).into());
    }
    for (field, items) in [("from", 16), ("gates", 32), ("after", 32), ("windows", 32)] {
        at(&mut spec, &format!("promotion.{field}")).insert("maxItems".into(), items.into());
    }
    require(&mut spec, "promotion.windows[]", &["kind", "schedule", "duration"]);
    require(&mut spec, "promotion.rejected[]", &["commit", "reason"]);
    require(&mut spec, "promotion.locked", &["reason"]);
    require(&mut spec, "promotion.hold", &["reason"]);
    for gates in ["promotion.gates[]", "promotion.after[]"] {
        require(&mut spec, &format!("{gates}.soak"), &["duration"]);
        require(&mut spec, &format!("{gates}.job"), &["template"]);
        require(&mut spec, &format!("{gates}.webhook"), &["url"]);
        require(&mut spec, &format!("{gates}.metric"), &["templateRef", "thresholdRange"]);
        require(&mut spec, &format!("{gates}.metric.templateRef"), &["name"]);
        require(&mut spec, &format!("{gates}.alarms.alertmanager"), &["url", "matchers"]);
        require(&mut spec, &format!("{gates}.alarms.pagerduty"), &["serviceIDs", "secretName"]);
        signature(&mut spec, &format!("{gates}.signature"));
        validate(
            &mut spec,
            gates,
            "[has(self.soak), has(self.approval), has(self.job), has(self.checks), has(self.webhook), has(self.metric), \
             has(self.alarms), has(self.vulnerabilities), has(self.signature)].filter(kind, kind).size() == 1",
            "write exactly one kind: soak, approval, job, checks, webhook, metric, alarms, vulnerabilities or signature",
        );
    }
    validate(
        &mut spec,
        "promotion.after[]",
        "!has(self.soak) && !has(self.approval) && !has(self.vulnerabilities) && !has(self.signature)",
        "write soak, approval, vulnerabilities and signature in `gates`: they are about what is not deployed yet",
    );
    for (field, rule, message) in ENVIRONMENT_RULES {
        validate(&mut spec, field, rule, message);
    }
    definition(&Kind {
        group: LEEBOARD_GROUP,
        version: VERSION,
        name: "Environment",
        plural: "environments",
        short_names: &["env", "envs"],
        categories: &[],
        columns: vec![
            Column::new("Branch", "string", ".spec.branch"),
            Column::new("Commit", "string", ".status.commit"),
            Column::new("Sync", "string", ".status.sync"),
            Column::new("Health", "string", ".status.health.status"),
            Column::new("Age", "date", ".metadata.creationTimestamp"),
            Column::new("Path", "string", ".spec.path").wide(),
            Column::new("Project", "string", ".spec.project").wide(),
            Column::new("Subject", "string", ".status.subject").wide(),
            Column::new("Message", "string", ".status.conditions[?(@.type==\"Ready\")].message").wide(),
        ],
        subresources: Some(json!({"status": {}})),
        fields: vec![("spec", spec), ("status", status)],
        description: "An environment branch, a cluster directory in it, and the cluster that it is for.",
    })
}

/// Who has to have signed images. What cosign calls keyless has a name here for one reason: who writes it is told that it does
/// not count, instead of having it dropped.
fn signature(spec: &mut Value, path: &str) {
    require(spec, path, &["keys"]);
    for (field, items) in [("images", 64), ("keys", 16)] {
        at(spec, &format!("{path}.{field}")).insert("maxItems".into(), items.into());
    }
    at(spec, &format!("{path}.keys")).insert("minItems".into(), 1.into());
    for (field, length) in [("images[]", 1024), ("keys[].pem", 8192), ("keys[].secretName", 253), ("keys[].key", 253)] {
        at(spec, &format!("{path}.{field}")).insert("maxLength".into(), length.into());
    }
    validate(
        spec,
        &format!("{path}.keys[]"),
        "has(self.pem) != has(self.secretName) && (!has(self.key) || has(self.secretName))",
        "write either `pem`, or `secretName` and perhaps `key`",
    );
    if let Some(Value::Object(fields)) = at(spec, path).get_mut("properties") {
        for field in ["identity", "issuer"] {
            let text = json!({"description": "Refused: signatures without a key are not verified.", "type": "string"});
            fields.insert(field.into(), text);
        }
    }
    validate(
        spec,
        path,
        "!has(self.identity) && !has(self.issuer)",
        "signatures without a key (keyless) are not verified: name public keys in `keys`",
    );
}

/// Field, what must hold, and how to write it.
const ENVIRONMENT_RULES: &[(&str, &str, &str)] = &[
    (
        "repoURL",
        r"self.matches('^(https?|ssh|git|file)://[^ ]+$') || self.matches('^[A-Za-z0-9._-]+@[^ :/]+:[^ ]+$')",
        "write the URL of a git repository: https://host/path.git, ssh://git@host/path.git, git@host:path.git or \
         file:///path",
    ),
    (
        "repoURL",
        "!self.matches('^https?://[^/]*:[^/]*@')",
        "keep the password out of the URL: put it into a Secret labelled argocd.argoproj.io/secret-type: repository",
    ),
    ("branch", "!self.startsWith('refs/')", "write the branch's name alone, for example env/dev, without refs/heads/"),
    (
        "branch",
        r"self.matches('^[^ ~^:?*\\[\\\\]*$') && !self.contains('..') && !self.contains('//') && !self.contains('@{') && !self.startsWith('-') && !self.startsWith('/') && !self.endsWith('/') && !self.endsWith('.') && !self.endsWith('.lock')",
        "write the name of one branch as git takes it, for example env/dev",
    ),
    ("path", "!self.startsWith('/')", "write the path from the repository's root, for example clusters/dev"),
    (
        "path",
        r"!self.split('/').exists(part, part == '..') && !self.contains('\\')",
        "the cluster directory lies inside the repository: write its path without .. and with / between its parts, for \
         example clusters/dev",
    ),
    (
        "destination",
        "has(self.server) != has(self.name)",
        "write either `name` (in-cluster is the cluster that Leeboard runs in) or `server` (the URL of its API), \
         not both",
    ),
    (
        "destination.server",
        r"self.matches('^https?://[^ ]+$')",
        "write the URL of the cluster's API, for example https://10.0.0.1:6443",
    ),
    (
        "interval",
        r"self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('10s')",
        "write a duration of at least 10s, for example 30s, 5m or 1h30m",
    ),
    (
        "",
        "!has(self.canary) || !has(self.canary.rollback) || self.canary.rollback == 'none' || has(self.branch)",
        "write the branch: a commit can be taken back only on a branch that is named",
    ),
    (
        "promotion.from[]",
        "has(self.environment) != has(self.branch)",
        "write either `environment` or `branch`, not both",
    ),
    (
        "promotion.from[].branch",
        "!self.startsWith('refs/') && !self.contains(' ')",
        "write the branch's name alone, for example main",
    ),
    (
        "",
        "!has(self.promotion) || has(self.branch)",
        "write the branch: commits can be promoted only to a branch that is named",
    ),
    (
        "promotion.timeout",
        r"self == '0' || self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$')",
        "write a duration, for example 30m or 24h, or 0 for none",
    ),
    (
        "promotion.windows[].duration",
        r"self.matches('^([0-9]+([.][0-9]+)?(s|m|h))+$')",
        "write a duration, for example 30m or 8h",
    ),
    (
        "promotion.windows[].schedule",
        r"self.matches('^ *([^ ]+ +){4}[^ ]+ *$')",
        "write five fields as cron has them: minute, hour, day of the month, month, day of the week",
    ),
    (
        "previews.interval",
        r"self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') && duration(self) >= duration('10s')",
        "write a duration of at least 10s, for example 30s, 5m or 1h30m",
    ),
    (
        "previews.fail[]",
        "self in ['red', 'yellow', 'plainSecret'] || self.matches('^R([1-9]|[12][0-9]|3[0-4])$')",
        "write a severity (`red`, `yellow`) or the number of a rule (`R11`)",
    ),
    (
        "previews.forge.userMap[]",
        "has(self.id) || has(self.login)",
        "write the account of the forge: its `login`, or better its `id`, which no other account ever gets",
    ),
    (
        "previews.forge.type",
        "self in ['github', 'gitlab', 'gitea', 'forgejo', 'bitbucket', 'bitbucketserver']",
        "write github, gitlab, gitea, forgejo, bitbucket or bitbucketserver",
    ),
];

/// The lengths bound what the rules may cost the API server.
const PROMOTION_LENGTHS: &[(&str, u32)] = &[
    ("promotion.from[].environment", 253),
    ("promotion.from[].branch", 250),
    ("promotion.timeout", 20),
    ("promotion.windows[].schedule", 100),
    ("promotion.windows[].duration", 20),
    ("promotion.windows[].timeZone", 100),
    ("promotion.gates[].name", 63),
    ("promotion.gates[].timeout", 20),
    ("promotion.after[].name", 63),
    ("promotion.after[].timeout", 20),
];

fn promotion() -> Value {
    let mut spec = schema::<PromotionSpec>();
    let status = schema::<PromotionStatus>();
    require(&mut spec, "", &["environment", "commit"]);
    require(&mut spec, "overrides[]", &["gate", "reason"]);
    require(&mut spec, "approvals[]", &["user", "verdict", "planHash"]);
    for (field, length) in [
        ("environment", 253),
        ("commit", 64),
        ("from", 260),
        ("reason", 1024),
        ("requestedBy", 512),
        ("via", 2048),
        ("overrides[].gate", 63),
        ("overrides[].reason", 1024),
        ("approvals[].user", 512),
        ("approvals[].planHash", 64),
        ("approvals[].comment", 1024),
        ("approvals[].account", 256),
        ("approvals[].via", 2048),
        ("abort.reason", 1024),
    ] {
        at(&mut spec, field).insert("maxLength".into(), length.into());
    }
    for (field, items) in [("overrides", 32), ("approvals", 64)] {
        at(&mut spec, field).insert("maxItems".into(), items.into());
    }
    at(&mut spec, "approvals[].groups").insert("maxItems".into(), 256.into());
    at(&mut spec, "approvals[].groups[]").insert("maxLength".into(), 512.into());
    for (field, rule, message) in PROMOTION_RULES {
        validate(&mut spec, field, rule, message);
    }
    definition(&Kind {
        group: LEEBOARD_GROUP,
        version: VERSION,
        name: "Promotion",
        plural: "promotions",
        short_names: &["promo", "promos"],
        categories: &[],
        columns: vec![
            Column::new("Env", "string", ".spec.environment"),
            Column::new("Commit", "string", ".spec.commit").wide(),
            Column::new("Phase", "string", ".status.phase"),
            Column::new("Message", "string", ".status.message"),
            Column::new("By", "string", ".spec.requestedBy"),
            Column::new("Age", "date", ".metadata.creationTimestamp"),
        ],
        subresources: Some(json!({"status": {}})),
        fields: vec![("spec", spec), ("status", status)],
        description: "One run of carrying one commit into one environment, with what proved it.",
    })
}

/// Field, what must hold, and how to write it.
const PROMOTION_RULES: &[(&str, &str, &str)] = &[
    ("commit", "self.matches('^[0-9a-f]{40}$')", "write the commit in full: 40 hexadecimal digits"),
    (
        "",
        "self.environment == oldSelf.environment && self.commit == oldSelf.commit",
        "a promotion is of one commit into one environment: make another one",
    ),
    (
        "",
        "has(self.type) == has(oldSelf.type) && (!has(self.type) || self.type == oldSelf.type) && \
         has(self.from) == has(oldSelf.from) && (!has(self.from) || self.from == oldSelf.from) && \
         has(self.reason) == has(oldSelf.reason) && (!has(self.reason) || self.reason == oldSelf.reason) && \
         has(self.requestedBy) == has(oldSelf.requestedBy) && \
         (!has(self.requestedBy) || self.requestedBy == oldSelf.requestedBy) && \
         has(self.via) == has(oldSelf.via) && (!has(self.via) || self.via == oldSelf.via) && \
         has(self.overrides) == has(oldSelf.overrides) && (!has(self.overrides) || self.overrides == oldSelf.overrides)",
        "only `approvals` and `abort` change after a promotion was made: it is a record",
    ),
    (
        "",
        "!has(oldSelf.approvals) || (has(self.approvals) && self.approvals.size() >= oldSelf.approvals.size() && \
         oldSelf.approvals.all(word, word in self.approvals))",
        "what people said stays: add to `approvals`, and change nothing of what is there",
    ),
];

struct Kind {
    group: &'static str,
    version: &'static str,
    name: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    /// Of which commands such as `kubectl get all` know it.
    categories: &'static [&'static str],
    columns: Vec<Column>,
    subresources: Option<Value>,
    fields: Vec<(&'static str, Value)>,
    description: &'static str,
}

struct Column {
    name: &'static str,
    kind: &'static str,
    path: &'static str,
    is_wide: bool,
}

impl Column {
    const fn new(name: &'static str, kind: &'static str, path: &'static str) -> Self {
        Column { name, kind, path, is_wide: false }
    }

    /// Shown with `-o wide` only.
    const fn wide(mut self) -> Self {
        self.is_wide = true;
        self
    }

    fn to_json(&self) -> Value {
        let mut column = json!({"name": self.name, "type": self.kind, "jsonPath": self.path});
        if self.is_wide {
            column["priority"] = 1.into();
        }
        column
    }
}

fn definition(kind: &Kind) -> Value {
    let mut properties = Map::from_iter([
        ("apiVersion".to_owned(), json!({"type": "string"})),
        ("kind".to_owned(), json!({"type": "string"})),
        ("metadata".to_owned(), json!({"type": "object"})),
    ]);
    properties.extend(kind.fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
    let mut version = json!({
        "name": kind.version,
        "served": true,
        "storage": true,
        "additionalPrinterColumns": kind.columns.iter().map(Column::to_json).collect::<Vec<_>>(),
        "schema": {"openAPIV3Schema": {
            "description": kind.description,
            "type": "object",
            "required": ["metadata", "spec"],
            "properties": properties,
        }},
    });
    if let Some(subresources) = &kind.subresources {
        version["subresources"] = subresources.clone();
    }
    let name = format!("{}.{}", kind.plural, kind.group);
    let mut definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "leeboard"},
        },
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.name,
                "listKind": format!("{}List", kind.name),
                "plural": kind.plural,
                "singular": kind.name.to_lowercase(),
                "shortNames": kind.short_names,
                "categories": kind.categories,
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    });
    for list in ["shortNames", "categories"] {
        if definition["spec"]["names"][list] == json!([])
            && let Some(names) = definition["spec"]["names"].as_object_mut()
        {
            names.shift_remove(list);
        }
    }
    definition
}

/// The structural schema of a type.
fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    make_structural(&mut schema);
    schema
}

/// From JSON Schema to the dialect of CustomResourceDefinitions: no unions with `null`, enums as lists of words,
/// no defaults (the API server would write them into objects), text without rustdoc's links.
fn make_structural(schema: &mut Value) {
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
    let Value::Object(map) = schema else { return };
    for key in ["title", "default", "$schema", "minimum"] {
        map.remove(key);
    }
    if let Some(Value::Array(alternatives)) = map.remove("anyOf") {
        for alternative in alternatives {
            if let Value::Object(fields) = alternative
                && fields.get("type") != Some(&json!("null"))
            {
                // A field's own text wins over its type's.
                for (key, value) in fields {
                    map.entry(key).or_insert(value);
                }
            }
        }
    }
    if let Some(Value::Array(variants)) = map.remove("oneOf") {
        let words: Vec<Value> = variants.iter().filter_map(|variant| variant.get("const").cloned()).collect();
        map.insert("type".into(), "string".into());
        map.insert("enum".into(), words.into());
    }
    if let Some(Value::Array(types)) = map.get("type") {
        let not_null = types.iter().find(|name| *name != "null").cloned();
        map.insert("type".into(), not_null.unwrap_or_else(|| "object".into()));
    }
    if let Some(Value::Array(words)) = map.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::String(text)) = map.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(make_structural);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            make_structural(inner);
        }
    }
    // A mapping of anything: JSON whose shape is not ours to know.
    if map.get("additionalProperties") == Some(&json!({})) {
        map.remove("additionalProperties");
        map.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
}

/// Keeps what a client of Argo CD may write: fields that no type here names, and words that no enum here lists.
fn open(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.remove("enum");
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(open);
        map.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(key) {
            open(inner);
        }
    }
}

/// Says of a list's items only that they are objects. The API server checks all of a status at each write of it, and the
/// reports about ten objects cost it as much as all else of the Application.
fn leave_items_open(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(leave_items_open);
    }
    if let Some(Value::Object(items)) = map.get_mut("items")
        && items.remove("properties").is_some()
    {
        items.insert("x-kubernetes-preserve-unknown-fields".into(), true.into());
        items.remove("required");
    }
}

/// Every source names its repository, wherever it stands.
fn require_repo_url(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(require_repo_url);
        if properties.contains_key("repoURL") && properties.contains_key("chart") {
            map.insert("required".into(), json!(["repoURL"]));
        }
    }
    if let Some(items) = map.get_mut("items") {
        require_repo_url(items);
    }
}

fn require(schema: &mut Value, path: &str, fields: &[&str]) {
    at(schema, path).insert("required".into(), json!(fields));
}

fn validate(schema: &mut Value, path: &str, rule: &str, message: &str) {
    let rules = at(schema, path).entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(rules) = rules {
        rules.push(json!({"rule": rule, "message": message}));
    }
}

/// The schema of a field: `sync.resources[]` is that of the list's items.
#[expect(clippy::expect_used, reason = "the paths are constants; any wrong one fails the test that makes the files")]
fn at<'a>(schema: &'a mut Value, path: &str) -> &'a mut Map<String, Value> {
    // The paths are constants: any wrong one fails the test that makes the files.
    find(schema, path).expect("a field of the schema")
}

fn find<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut found = schema;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, is_list) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        found = found.get_mut("properties")?.get_mut(name)?;
        if is_list {
            found = found.get_mut("items")?;
        }
    }
    found.as_object_mut()
}
