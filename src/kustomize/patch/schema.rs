//! Which lists are merged by key, and by which: what a strategic merge patch has to know about a kind.

use std::sync::LazyLock;

use hashbrown::HashMap;
use smol_str::SmolStr;

use crate::kustomize::resource::Gvk;
use crate::yaml::Node;

/// The schemas of all kinds that are known to a build.
#[derive(Debug, Default)]
pub(in crate::kustomize) struct Schemas {
    types: Vec<HashMap<SmolStr, Field>>,
    kinds: HashMap<Gvk, usize>,
}

#[derive(Clone, Debug, Default)]
struct Field {
    /// Set for lists that merge; empty when their elements are scalars.
    keys: Option<Vec<SmolStr>>,
    holds: Option<usize>,
}

/// What is known about one place in an object.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::kustomize) struct Schema<'a> {
    schemas: Option<&'a Schemas>,
    keys: Option<&'a [SmolStr]>,
    holds: Option<usize>,
}

impl<'a> Schema<'a> {
    /// What is known about a field of this place.
    pub(super) fn field(self, name: &str) -> Self {
        let found = self.schemas.and_then(|schemas| schemas.types.get(self.holds?)?.get(name));
        Schema {
            schemas: self.schemas,
            keys: found.and_then(|field| field.keys.as_deref()),
            holds: found.and_then(|field| field.holds),
        }
    }

    /// What is known about the elements of this list.
    pub(super) fn elements(self) -> Self {
        self.field("*")
    }

    /// This, or where nothing is known, what is known about the first of these that is an object itself: custom
    /// resources may hold whole objects, and the patch may name another kind than the object that it is for.
    pub(super) fn or_of_object(self, nodes: [Option<&Node>; 2]) -> Self {
        let Some(schemas) = self.schemas.filter(|_| self.holds.is_none() && self.keys.is_none()) else { return self };
        let of_object = |node: &Node| {
            let is_filled = |field| node.get(field).and_then(Node::as_str).is_some_and(|text| !text.is_empty());
            let found = (is_filled("apiVersion") && is_filled("kind")).then(|| schemas.of(&Gvk::of(node)))?;
            found.holds.map(|_| found)
        };
        nodes.into_iter().flatten().find_map(of_object).unwrap_or(self)
    }

    /// The keys by which this list is merged; `None` when it is replaced as a whole.
    pub(super) fn merge_keys(self) -> Option<&'a [SmolStr]> {
        self.keys
    }
}

impl Schemas {
    /// The only version of Kubernetes whose schema is built in.
    pub(in crate::kustomize) const BUILT_IN_VERSION: &str = "v1.21.2";

    /// What kustomize has built in.
    pub(in crate::kustomize) fn built_in() -> &'static Schemas {
        static BUILT_IN: LazyLock<Schemas> = LazyLock::new(|| Schemas::parse(include_str!("schema.txt")));
        &BUILT_IN
    }

    /// What is known about a kind.
    pub(in crate::kustomize) fn of(&self, gvk: &Gvk) -> Schema<'_> {
        Schema { schemas: Some(self), keys: None, holds: self.kinds.get(gvk).copied() }
    }

    fn parse(table: &str) -> Self {
        let mut schemas = Schemas::default();
        let mut lines = table.lines().skip_while(|line| line.starts_with('#'));
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            schemas.types.push(line.split(' ').map(field).collect());
        }
        for line in lines {
            let Some((number, kinds)) = line.split_once(' ') else { continue };
            for kind in kinds.split(' ') {
                let mut parts = kind.rsplitn(3, '/');
                let (kind, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let gvk = Gvk::new(parts.next().unwrap_or_default(), version, kind);
                schemas.kinds.insert(gvk, number.parse().unwrap_or_default());
            }
        }
        schemas
    }

    /// True for the kinds that are built in.
    pub(in crate::kustomize) fn is_known(&self, gvk: &Gvk) -> bool {
        self.kinds.contains_key(gvk)
    }

    /// The kinds of an OpenAPI document, instead of those that are built in or beside them; `None` when it is none.
    pub(in crate::kustomize) fn from_openapi(document: &Node, built_in: BuiltIn) -> Option<Self> {
        let definitions = document.get("definitions")?.as_mapping()?;
        let mut schemas = Schemas::default();
        let mut known = HashMap::new();
        if built_in == BuiltIn::Kept {
            let built_in = Schemas::built_in();
            (schemas.types, schemas.kinds) = (built_in.types.clone(), built_in.kinds.clone());
            known.extend(DEFINITIONS.into_iter().filter_map(|(name, (group, version, kind), path)| {
                let place = path.split('/').fold(built_in.of(&Gvk::new(group, version, kind)), Schema::field);
                Some((name, place.holds?))
            }));
            known.retain(|name: &&str, _| !definitions.iter().any(|definition| definition.name() == Some(name)));
        }
        let mut reader = OpenApi { document, schemas, known };
        let mut kinds = Vec::new();
        for definition in definitions {
            let Some(name) = definition.name() else { continue };
            let gvks = definition.value.get("x-kubernetes-group-version-kind").and_then(Node::as_sequence);
            for gvk in gvks.unwrap_or_default() {
                let text = |field| gvk.get(field).and_then(Node::as_str).unwrap_or_default();
                kinds.push((Gvk::new(text("group"), text("version"), text("kind")), name));
            }
        }
        for (gvk, name) in kinds {
            if let Some(holds) = reader.definition(name) {
                reader.schemas.kinds.insert(gvk, holds);
            }
        }
        Some(reader.schemas)
    }
}

/// What becomes of the built-in kinds when a build brings a schema of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kustomize) enum BuiltIn {
    /// They are forgotten.
    Replaced,
    /// They stay known beside the new ones.
    Kept,
}

/// The definitions that schemas of custom resources refer to, and where in a built-in kind they are used.
const DEFINITIONS: [(&str, (&str, &str, &str), &str); 10] = [
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", ("", "v1", "Pod"), "metadata"),
    ("io.k8s.api.core.v1.PodTemplateSpec", ("apps", "v1", "Deployment"), "spec/template"),
    ("io.k8s.api.core.v1.PodSpec", ("", "v1", "Pod"), "spec"),
    ("io.k8s.api.core.v1.Container", ("", "v1", "Pod"), "spec/containers/*"),
    ("io.k8s.api.core.v1.EphemeralContainer", ("", "v1", "Pod"), "spec/ephemeralContainers/*"),
    ("io.k8s.api.core.v1.Volume", ("", "v1", "Pod"), "spec/volumes/*"),
    ("io.k8s.api.core.v1.ServiceSpec", ("", "v1", "Service"), "spec"),
    ("io.k8s.api.apps.v1.DeploymentSpec", ("apps", "v1", "Deployment"), "spec"),
    ("io.k8s.api.batch.v1.JobSpec", ("batch", "v1", "Job"), "spec"),
    ("io.k8s.api.batch.v1.JobTemplateSpec", ("batch", "v1", "CronJob"), "spec/jobTemplate"),
];

/// `name`, `name>7`, `name[key,key]>7`
fn field(text: &str) -> (SmolStr, Field) {
    let (text, holds) = match text.split_once('>') {
        Some((text, number)) => (text, number.parse().ok()),
        None => (text, None),
    };
    let (name, keys) = match text.split_once('[') {
        Some((name, keys)) => {
            let keys = keys.trim_end_matches(']').split(',').filter(|key| !key.is_empty()).map(SmolStr::new).collect();
            (name, Some(keys))
        }
        None => (text, None),
    };
    (name.into(), Field { keys, holds })
}

/// Turns the definitions of an OpenAPI document into types. A definition that holds itself becomes a type that does.
struct OpenApi<'a> {
    document: &'a Node,
    schemas: Schemas,
    known: HashMap<&'a str, usize>,
}

impl<'a> OpenApi<'a> {
    fn definition(&mut self, name: &'a str) -> Option<usize> {
        if let Some(known) = self.known.get(name) {
            return Some(*known);
        }
        let schema = self.document.get("definitions")?.get(name)?;
        let holds = self.schemas.types.len();
        self.schemas.types.push(HashMap::new());
        self.known.insert(name, holds);
        let fields = self.fields(schema);
        if let Some(place) = self.schemas.types.get_mut(holds) {
            *place = fields;
        }
        Some(holds)
    }

    fn fields(&mut self, schema: &'a Node) -> HashMap<SmolStr, Field> {
        let mut fields = HashMap::new();
        for property in schema.get("properties").and_then(Node::as_mapping).unwrap_or_default() {
            if let Some(name) = property.name() {
                fields.insert(SmolStr::new(name), self.field(&property.value));
            }
        }
        if let Some(items) = schema.get("items") {
            fields.insert("*".into(), self.field(items));
        }
        fields
    }

    fn field(&mut self, schema: &'a Node) -> Field {
        if let Some(reference) = schema.get("$ref").and_then(Node::as_str) {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return Field { keys: merge_keys(schema), holds: self.definition(name) };
        }
        let fields = self.fields(schema);
        let holds = (!fields.is_empty()).then(|| {
            self.schemas.types.push(fields);
            self.schemas.types.len() - 1
        });
        Field { keys: merge_keys(schema), holds }
    }
}

fn merge_keys(schema: &Node) -> Option<Vec<SmolStr>> {
    let strategy = schema.get("x-kubernetes-patch-strategy").and_then(Node::as_str)?;
    if !strategy.split(',').any(|word| word == "merge") {
        return None;
    }
    let keys = match schema.get("x-kubernetes-list-map-keys").and_then(Node::as_sequence) {
        Some(keys) => keys.iter().filter_map(Node::as_str).map(SmolStr::new).collect(),
        None => {
            schema.get("x-kubernetes-patch-merge-key").and_then(Node::as_str).map(SmolStr::new).into_iter().collect()
        }
    };
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_known_kinds_have_their_merge_keys() {
        let cases = [
            // group, version, kind, path, keys
            (("apps", "v1", "Deployment"), "spec/template/spec/containers", Some("name")),
            (("apps", "v1", "Deployment"), "spec/template/spec/containers/*/ports", Some("containerPort,protocol")),
            (("", "v1", "Service"), "spec/ports", Some("port,protocol")),
            (("", "v1", "Service"), "metadata/finalizers", Some("")),
            (("apps", "v1", "Deployment"), "spec/template/spec/tolerations", None),
            (("example.com", "v1", "Custom"), "spec/containers", None),
        ];
        for ((group, version, kind), path, expected) in cases {
            let schema = Schemas::built_in().of(&Gvk::new(group, version, kind));
            let found = path.split('/').fold(schema, Schema::field).merge_keys();
            let found = found.map(|keys| keys.iter().map(SmolStr::as_str).collect::<Vec<&str>>().join(","));
            assert_eq!(found.as_deref(), expected, "{kind} {path}");
        }
    }
}
