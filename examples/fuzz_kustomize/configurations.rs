//! `configurations`, `crds` and `openapi`: files that tell kustomize about more fields.

use serde_json::{Map, Value, json};

use super::layer::{Layer, Maker};
use super::random::Random;
use super::style::Taste;

pub(crate) fn add(maker: &mut Maker, layer: &mut Layer) {
    if maker.wants(7) {
        maker.feature("configurations");
        let file = configuration(&mut maker.random);
        let path = maker.documents(&layer.directory, "configuration.yaml", &[file], Taste::Exact);
        layer.push("configurations", path.into());
    }
    if maker.wants(4) {
        maker.feature("crds");
        let file = definitions(&mut maker.random);
        let path = match maker.random.chance(50) {
            true => maker.file(&layer.directory, "crds.json", format!("{file:#}")),
            false => maker.documents(&layer.directory, "crds.yaml", &[file], Taste::Exact),
        };
        layer.push("crds", path.into());
    }
    if maker.wants(2) {
        maker.feature("openapi");
        let value = if maker.random.chance(80) {
            let path = maker.file(&layer.directory, "schema.json", format!("{:#}", schema()));
            json!({"path": path})
        } else {
            json!({"version": "v1.21.2"})
        };
        layer.fields.insert("openapi".into(), value);
    }
}

fn configuration(random: &mut Random) -> Value {
    let sections: [(&str, Value); 13] = [
        ("namePrefix", json!([{"path": "spec/prefixed", "kind": "Widget"}, {"path": "metadata/name"}])),
        ("nameSuffix", json!([{"path": "spec/suffixed", "kind": "Widget"}, {"path": "metadata/name"}])),
        ("namespace", json!([{"path": "spec/space", "kind": "Widget", "create": true}])),
        (
            "commonLabels",
            json!([{"path": "spec/selector", "kind": "Widget", "create": true}, {"path": "spec/deep/er/labels", "group": "example.com"}]),
        ),
        ("labels", json!([{"path": "spec/marks", "kind": "Widget", "create": true}])),
        ("templateLabels", json!([{"path": "spec/template/marks", "kind": "Deployment", "create": true}])),
        (
            "volumeClaimTemplateLabels",
            json!([{"path": "spec/claims[]/metadata/labels", "kind": "Widget", "create": true}]),
        ),
        ("commonAnnotations", json!([{"path": "spec/remarks", "kind": "Widget", "create": true}])),
        (
            "images",
            json!([{"path": "spec/image", "kind": "Widget"}, {"path": "spec/deep/er/list/value", "kind": "Widget"}]),
        ),
        ("replicas", json!([{"path": "spec/size", "kind": "Widget", "create": true}])),
        (
            "varReference",
            json!([{"path": "spec/deep/er/note", "kind": "Widget"}, {"path": "metadata/annotations"}, {"path": "data", "kind": "ConfigMap"}]),
        ),
        (
            "nameReference",
            json!([{"kind": "Service", "version": "v1", "fieldSpecs": [{"path": "spec/serviceRef/name", "kind": "Widget"}]}, {"kind": "Deployment", "fieldSpecs": [{"path": "spec/selector/app", "kind": "Service"}]}]),
        ),
        (
            "nameReference",
            json!([{"kind": "Widget", "group": "example.com", "fieldSpecs": [{"path": "spec/widget", "kind": "Widget"}, {"path": "metadata/labels/app"}]}]),
        ),
    ];
    let mut file = Map::new();
    for _ in 0..random.between(1, 3) {
        let (section, specs) = random.pick(&sections).clone();
        file.insert(section.into(), specs);
    }
    file.into()
}

fn definitions(random: &mut Random) -> Value {
    let name = "example.com/v1.Widget";
    let mut properties = json!({
        "serviceRef": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Service"},
        "notes": {"x-kubernetes-annotation": ""},
        "marks": {"x-kubernetes-label-selector": ""},
        "prefixed": {"x-kubernetes-identity": ""},
        "secret": {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Secret", "x-kubernetes-object-ref-name-key": "color"},
    });
    if random.chance(30) {
        properties["deep"] = json!({"$ref": "example.com/v1.Deep"});
    }
    json!({
        name: {"Schema": {"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}, "spec": {"$ref": "example.com/v1.WidgetSpec"}}}},
        "example.com/v1.WidgetSpec": {"Schema": {"properties": properties}},
        "example.com/v1.Deep": {"Schema": {"properties": {"er": {"type": "object"}}}}
    })
}

fn schema() -> Value {
    json!({"definitions": {
        "v1.Widget": {
            "properties": {"spec": {"$ref": "#/definitions/v1.WidgetSpec"}},
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Widget", "version": "v1"}]
        },
        "v1.WidgetSpec": {"type": "object", "properties": {
            "deep": {"type": "object", "properties": {"er": {"type": "object", "properties": {
                "list": {"type": "array", "items": {"$ref": "#/definitions/v1.Entry"}, "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"},
                "words": {"type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": "merge"}
            }}}},
            "containers": {"type": "array", "items": {"$ref": "#/definitions/v1.Entry"}, "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}
        }},
        "v1.Entry": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}
    }})
}
