//! Would a server-side apply of the one change the other: from the fields that are owned and what is known of the
//! built-in kinds.
//!
//! An apply sets what the manifest says and removes what is ours and no longer said. All else, defaults and other
//! managers' fields, it leaves.

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::ignore::Ignored;
use super::owned::{Owned, Shape};
use crate::object::{Object, annotation, quantity, secret};
use crate::sync::repair;

/// Fields below which every value is a quantity, in built-in kinds.
const QUANTITIES: [&str; 10] = [
    "requests",
    "limits",
    "hard",
    "capacity",
    "default",
    "defaultRequest",
    "max",
    "min",
    "maxLimitRequestRatio",
    "overhead",
];
/// Fields that are quantities themselves.
const QUANTITY: [&str; 3] = ["sizeLimit", "averageValue", "divisor"];
/// Annotations that no manifest has.
const BOOKKEEPING: [&str; 2] = [annotation::TRACKING_ID, LAST_APPLIED];
/// Where `kubectl apply` keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// True when an apply of `desired` would change `live`.
///
/// # Errors
/// When the API server would refuse the manifest; the field is named.
pub(super) fn differs(live: &Object, desired: &Object, ignored: &Ignored) -> anyhow::Result<bool> {
    refuse(desired)?;
    let desired = repair::acceptable(desired.clone());
    let (mut before, mut after) = (live.body.clone(), desired.body.clone());
    encode_owned(&mut before);
    forget_defaults(&mut before);
    if live.annotation(annotation::TRACKING_ID).is_none()
        && let Some(Value::Object(annotations)) = after.pointer_mut("/metadata/annotations")
    {
        // It comes with the first apply, and is no difference before.
        annotations.shift_remove(annotation::TRACKING_ID);
    }
    for body in [&mut before, &mut after] {
        if body.get("aggregationRule").is_some_and(|rule| !rule.is_null())
            && let Value::Object(map) = body
        {
            // The controller fills them.
            map.shift_remove("rules");
        }
    }
    let fields = before.clone();
    ignored.take_out(&mut before);
    ignored.take_out(&mut after);
    let walk = Walk { is_builtin: is_builtin(&live.key.group), is_secret: secret::is_secret(&live.key) };
    Ok(walk.object(&before, &after, &Owned::of(&fields, &ignored.managers)))
}

/// Kinds whose every field the API server knows: it drops what is empty, and knows quantities.
fn is_builtin(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// What no API server takes.
fn refuse(desired: &Object) -> anyhow::Result<()> {
    let texts = |pointer: &str| -> anyhow::Result<()> {
        let map = desired.body.pointer(pointer).and_then(Value::as_object);
        let wrong = map.into_iter().flatten().find(|(_, value)| !value.is_string() && !value.is_null());
        match wrong {
            Some((name, _)) => {
                let field = pointer.trim_start_matches('/').replace('/', ".");
                Err(anyhow!("{}: `{field}.{name}` is no text: put it in quotes", desired.key))
            }
            None => Ok(()),
        }
    };
    texts("/metadata/annotations")?;
    texts("/metadata/labels")?;
    if desired.key.group.is_empty() && desired.key.kind == "ConfigMap" {
        texts("/data")?;
    }
    for place in ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
        for list in ["containers", "initContainers"] {
            let containers = desired.body.pointer(&format!("{place}/{list}")).and_then(Value::as_array);
            for container in containers.into_iter().flatten() {
                refuse_env(desired, container)?;
            }
        }
    }
    Ok(())
}

fn refuse_env(desired: &Object, container: &Value) -> anyhow::Result<()> {
    let mut seen = Vec::new();
    for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
        let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
        if variable.get("value").is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(anyhow!("{}: the value of `env` `{name}` is no text: put it in quotes", desired.key));
        }
        if seen.contains(&name) {
            return Err(anyhow!("{}: `env` has `{name}` twice", desired.key));
        }
        seen.push(name);
    }
    Ok(())
}

/// What was applied as `stringData` is owned as that, and lives in `data`.
fn encode_owned(live: &mut Value) {
    let entries = live.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        let Some(Value::Object(fields)) = entry.get_mut("fieldsV1") else { continue };
        let Some(Value::Object(written)) = fields.shift_remove("f:stringData") else { continue };
        let data = fields.entry("f:data").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(data) = data {
            data.extend(written);
        }
    }
}

/// `kubectl apply` owns the defaults too that came with what it wrote; its own record says what that was.
fn forget_defaults(live: &mut Value) {
    let annotations = live.pointer("/metadata/annotations");
    let text = annotations.and_then(|annotations| annotations.get(LAST_APPLIED)).and_then(Value::as_str);
    let Some(applied) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return };
    let entries = live.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if entry.get("manager").and_then(Value::as_str) == Some("kubectl-client-side-apply")
            && let Some(fields) = entry.get_mut("fieldsV1")
        {
            keep_written(fields, &applied);
        }
    }
}

fn keep_written(fields: &mut Value, written: &Value) {
    let Value::Object(map) = fields else { return };
    map.retain(|key, below| {
        let found = match (key.strip_prefix("f:"), key.strip_prefix("k:")) {
            (Some(name), _) => written.get(name),
            (_, Some(keys)) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let mut items = written.as_array().into_iter().flatten();
                items.find(|item| keys.iter().all(|(name, value)| item.get(name).is_none_or(|found| found == value)))
            }
            _ => Some(written),
        };
        found.is_some_and(|found| {
            keep_written(below, found);
            true
        })
    });
}

struct Walk {
    is_builtin: bool,
    is_secret: bool,
}

impl Walk {
    fn object(&self, live: &Value, desired: &Value, owned: &Owned<'_>) -> bool {
        let empty = Map::new();
        let (live, desired) = (live.as_object().unwrap_or(&empty), desired.as_object().unwrap_or(&empty));
        let names = desired.keys().map(String::as_str).chain(owned.our_fields());
        let mut names: Vec<&str> =
            names.filter(|name| !matches!(*name, "apiVersion" | "kind" | "status" | "metadata")).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().any(|name| self.field(name, live.get(name), desired.get(name), &owned.field(name)))
            || self.metadata(live.get("metadata"), desired.get("metadata"), &owned.field("metadata"))
    }

    fn metadata(&self, live: Option<&Value>, desired: Option<&Value>, owned: &Owned<'_>) -> bool {
        let get = |side: Option<&Value>, name: &str| side.and_then(|side| side.get(name)).cloned();
        ["labels", "annotations", "finalizers", "ownerReferences"].into_iter().any(|name| {
            let (mut live, desired) = (get(live, name), get(desired, name));
            if let Some(Value::Object(map)) = &mut live {
                let said =
                    |bookkeeping: &str| desired.as_ref().is_some_and(|desired| desired.get(bookkeeping).is_some());
                let unsaid = BOOKKEEPING.iter().chain(&[annotation::PART_OF]).filter(|name| !said(name));
                unsaid.for_each(|name| drop(map.shift_remove(*name)));
            }
            self.field(name, live.as_ref(), desired.as_ref(), &owned.field(name))
        })
    }

    /// One field, said or not said, live or not.
    fn field(&self, name: &str, live: Option<&Value>, desired: Option<&Value>, owned: &Owned<'_>) -> bool {
        let live = live.filter(|live| !live.is_null());
        let desired = desired.filter(|desired| !desired.is_null());
        match (live, desired) {
            (None, None) => false,
            // It goes if it is ours alone; of a mapping, what of it is ours.
            (Some(live), None) => owned.is_ours() && self.goes(live, owned),
            (None, Some(desired)) => !self.is_dropped(desired) && !owned.is_trusted(),
            (Some(live), Some(desired)) => self.value(name, live, desired, owned),
        }
    }

    /// True when an apply that no longer says this removes something of it.
    fn goes(&self, live: &Value, owned: &Owned<'_>) -> bool {
        let below = owned.our_fields();
        match live {
            // An empty mapping says what no mapping says.
            Value::Object(map) if map.is_empty() => false,
            Value::Object(map) if !below.is_empty() => {
                below.into_iter().any(|name| map.get(name).is_some_and(|live| self.goes(live, &owned.field(name))))
            }
            _ => !owned.is_shared() && !owned.is_trusted(),
        }
    }

    fn value(&self, name: &str, live: &Value, desired: &Value, owned: &Owned<'_>) -> bool {
        match (live, desired) {
            (Value::Object(before), Value::Object(after)) => {
                if self.is_builtin && QUANTITIES.contains(&name) && after.values().all(is_quantity_like) {
                    return self.quantities(before, after, owned);
                }
                if owned.is_leaf() && !self.is_builtin && before.keys().any(|name| !after.contains_key(name)) {
                    return !owned.is_trusted();
                }
                let mut names: Vec<&str> = after.keys().map(String::as_str).chain(owned.our_fields()).collect();
                names.sort_unstable();
                names.dedup();
                names.into_iter().any(|name| self.field(name, before.get(name), after.get(name), &owned.field(name)))
            }
            (Value::Array(before), Value::Array(after)) => match owned.shape() {
                Shape::Keyed(keys) => self.keyed(before, after, &keys, owned),
                Shape::Set => self.set(before, after, owned),
                Shape::Atomic => self.atomic(before, after, owned),
            },
            (live, desired) => !self.is_same(name, live, desired) && !owned.is_trusted(),
        }
    }

    fn quantities(&self, live: &Map<String, Value>, desired: &Map<String, Value>, owned: &Owned<'_>) -> bool {
        let changed = desired.iter().any(|(name, amount)| {
            let is_same = live.get(name).is_some_and(|live| live == amount || quantity::same(live, amount));
            !is_same && !owned.field(name).is_trusted()
        });
        let gone =
            owned.our_fields().into_iter().filter(|name| !desired.contains_key(*name) && live.contains_key(*name));
        changed || gone.into_iter().any(|name| !owned.field(name).is_shared())
    }

    fn keyed(&self, live: &[Value], desired: &[Value], keys: &[String], owned: &Owned<'_>) -> bool {
        let is_same = |live: &Value, desired: &Value| {
            keys.iter().all(|key| match desired.get(key).cloned().or_else(|| default_key(key)) {
                Some(wanted) => live.get(key) == Some(&wanted),
                None => true,
            })
        };
        let mut places = Vec::new();
        for desired in desired {
            let mut at = live.iter().enumerate().filter(|(_, live)| is_same(live, desired));
            let Some((index, found)) = at.next() else { return true };
            // Twice in the cluster, once in git.
            if at.next().is_some() || self.value("", found, desired, &owned.item(found)) {
                return true;
            }
            places.push(index);
        }
        let removed = live.iter().enumerate().filter(|(index, _)| !places.contains(index)).any(|(_, item)| {
            let owned = owned.item(item);
            owned.is_ours() && !owned.is_shared()
        });
        removed || !places.is_sorted()
    }

    fn set(&self, live: &[Value], desired: &[Value], owned: &Owned<'_>) -> bool {
        let removed = live.iter().filter(|item| !desired.contains(item)).any(|item| {
            let owned = owned.item(item);
            owned.is_ours() && !owned.is_shared()
        });
        removed || desired.iter().any(|item| !live.contains(item))
    }

    /// One value as a whole; of its items, the API server has filled in defaults.
    fn atomic(&self, live: &[Value], desired: &[Value], owned: &Owned<'_>) -> bool {
        let differs = |(live, desired): (&Value, &Value)| match (live, desired) {
            // In a kind of somebody's own only its schema could tell a default from a change.
            (Value::Object(before), Value::Object(after)) if !self.is_builtin && before.len() != after.len() => true,
            (live, desired) => self.value("", live, desired, &Owned::default()),
        };
        let changed = live.len() != desired.len() || live.iter().zip(desired).any(differs);
        changed && !owned.is_trusted()
    }

    /// True when the API server does not keep such a value.
    fn is_dropped(&self, desired: &Value) -> bool {
        self.is_builtin
            && match desired {
                Value::Null => true,
                Value::Bool(value) => !value,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(map) => map.values().all(|value| self.is_dropped(value)),
            }
    }

    fn is_same(&self, name: &str, live: &Value, desired: &Value) -> bool {
        match (live, desired) {
            (Value::Number(a), Value::Number(b)) => {
                let integers = (a.as_i128(), b.as_i128());
                a == b || matches!(integers, (None, _) | (_, None)) && a.as_f64() == b.as_f64()
            }
            (Value::String(a), Value::String(b)) if self.is_secret && a != b => {
                let decoded = |text: &str| {
                    let compact: String = text.split_ascii_whitespace().collect();
                    STANDARD.decode(compact).ok()
                };
                decoded(a).is_some_and(|a| Some(a) == decoded(b))
            }
            _ if live == desired => true,
            _ => self.is_builtin && QUANTITY.contains(&name) && quantity::same(live, desired),
        }
    }
}

fn is_quantity_like(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// What the API server takes for a key that is left out.
fn default_key(key: &str) -> Option<Value> {
    (key == "protocol").then(|| "TCP".into())
}
