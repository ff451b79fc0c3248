//! `vars`: `$(NAME)` in certain fields stands for the value of a field of some object.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::path;
use crate::kustomize::entry::{FieldSpec, Var};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::patch::json::MERGE;
use crate::kustomize::place::{Make, Place, is_untyped, plain_type};
use crate::kustomize::resource::{Id, written_text};
use crate::kustomize::set::Set;
use crate::yaml::{Node, Plain, Resolve, ScalarStyle, float_text};

/// The variables of a layer and of those below it.
pub(in crate::kustomize) type Variables = BTreeMap<SmolStr, Var>;

/// Adds the variables of a kustomization, and notes in the objects that they are about which ones these are.
///
/// # Errors
/// When a name is taken, or several objects could be meant.
pub(in crate::kustomize) fn define(set: &mut Set, known: &mut Variables, incoming: &[Var]) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    for var in incoming {
        let wanted = Id { gvk: var.gvk.clone(), name: var.object.clone(), namespace: var.namespace.clone() };
        let exact = !wanted.namespace.is_empty() || wanted.is_cluster_scoped();
        let is_meant = |id: &Id| {
            if exact { *id == wanted } else { id.name == wanted.name && id.gvk == wanted.gvk }
        };
        let found: Vec<usize> = set
            .iter()
            .enumerate()
            .filter(|(_, resource)| resource.ids().any(|id| is_meant(&id)))
            .map(|(at, _)| at)
            .collect();
        match found.as_slice() {
            [] => {}
            [at] => {
                if let Some(resource) = set.body_mut(*at) {
                    resource.variables.push(var.name.clone());
                }
            }
            several => {
                let names = several.iter().filter_map(|at| set.get(*at));
                let candidates = names.map(|resource| resource.id().to_string()).collect();
                errors.push(Error::at(&var.at, Problem::ManyVariableSources { name: var.name.clone(), candidates }));
            }
        }
        errors.extend(add(known, var).err());
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Adds the variables of a base.
///
/// # Errors
/// When a name is taken.
pub(in crate::kustomize) fn merge(known: &mut Variables, base: &Variables) -> Result<(), Vec<Error>> {
    let errors: Vec<Error> = base.values().filter_map(|var| add(known, var).err()).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn add(known: &mut Variables, var: &Var) -> Result<(), Error> {
    if known.insert(var.name.clone(), var.clone()).is_some() {
        return Err(Error::at(&var.at, Problem::RepeatedVariable { name: var.name.clone() }));
    }
    Ok(())
}

/// A variable's value: text or a number or a bool, which it stays where nothing stands beside it.
#[derive(Clone, Debug)]
struct Value {
    text: SmolStr,
    is_string: bool,
    /// What it is amid other text.
    amid: SmolStr,
}

impl Value {
    fn string(text: impl Into<SmolStr>) -> Self {
        let text = text.into();
        Value { amid: text.clone(), text, is_string: true }
    }

    fn of_type(text: impl Into<SmolStr>) -> Self {
        Value { is_string: false, ..Value::string(text) }
    }
}

/// The values by their names, and which of them have been asked for.
#[derive(Default)]
struct Values {
    known: BTreeMap<SmolStr, Option<Value>>,
    used: BTreeSet<SmolStr>,
    /// How many bytes of text have been made of them.
    made: usize,
}

/// What all texts with variables in them may come to: each of a few bytes can stand for megabytes.
const MAX_MADE: usize = 64 << 20;

impl Values {
    fn value(&mut self, name: &str) -> Option<&Value> {
        let (name, value) = self.known.get_key_value(name)?;
        self.used.insert(name.clone());
        value.as_ref()
    }
}

/// Puts the values in. Gives a warning for each variable that stands nowhere.
///
/// # Errors
/// When a variable's object or field does not exist.
pub(in crate::kustomize) fn resolve(
    set: &mut Set,
    known: &Variables,
    specs: &[FieldSpec],
) -> Result<Vec<Error>, Vec<Error>> {
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let mut errors = Vec::new();
    let mut values = Values::default();
    for var in known.values() {
        match value(set, var) {
            Ok(value) => drop(values.known.insert(var.name.clone(), value)),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let places = Place::all(specs);
    for resource in set.all_mut() {
        for place in &places {
            // Each place anew: a variable may stand in the kind itself.
            if resource.gvk().is_selected_by(&place.spec.gvk) {
                let changed = place.visit(&mut resource.node, Make::Nothing, &mut |node| expand_in(node, &mut values));
                // What a transformer has written stands in no file.
                errors.extend(changed.err().map(|error| match error.origin {
                    Some(_) => error,
                    None => Error::at(&resource.node, *error.problem),
                }));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let unused = known.values().filter(|var| !values.used.contains(&var.name));
    Ok(unused.map(|var| Error::at(&var.at, Problem::UnusedVariable { name: var.name.clone() })).collect())
}

/// `None` for what can't stand in a text: a mapping or a list.
fn value(set: &Set, var: &Var) -> Result<Option<Value>, Error> {
    let missing = || Error::at(&var.at, Problem::NoVariableSource { name: var.name.clone() });
    let resource = set.iter().find(|resource| resource.variables.contains(&var.name)).ok_or_else(missing)?;
    let steps = variable_path(&var.field_path);
    let no_field = || {
        let problem = Problem::NoField { path: var.field_path.to_string(), of: resource.id().to_string() };
        Error::at(&var.at, problem)
    };
    let node = field(&resource.node, &steps).ok_or_else(no_field)?;
    if node.is_null() || is_untyped(node) {
        return Ok(Some(Value::string(written_text(node))));
    }
    let Some(scalar) = node.as_scalar() else { return Ok(None) };
    // The text is read once more, as Go reads numbers: not all that are numbers in YAML are some there.
    let text = scalar.text.as_str();
    let found = match plain_type(node)? {
        Some(Plain::Bool(_)) => match text {
            "true" | "True" | "TRUE" => Some(Value::of_type("true")),
            "false" | "False" | "FALSE" => Some(Value::of_type("false")),
            _ => None,
        },
        Some(Plain::Int(_) | Plain::Uint(_)) => {
            text.parse::<i64>().ok().map(|number| Value::of_type(number.to_string()))
        }
        Some(Plain::Float(_)) => {
            go_float(text).map(|number| Value { amid: float_text(number).into(), ..Value::of_type(number.to_string()) })
        }
        _ => Some(Value::string(text)),
    };
    found.map(Some).ok_or_else(|| {
        let problem = Problem::VariableNumber { name: var.name.clone(), text: scalar.text.clone() };
        Error::at(node, problem)
    })
}

/// A number with a point or an exponent as Go reads it: underscores stand between digits.
fn go_float(text: &str) -> Option<f64> {
    let is_digit = |part: Option<char>| part.is_some_and(|letter| letter.is_ascii_digit());
    let mut parts = text.split('_').peekable();
    while let Some(part) = parts.next() {
        if let Some(next) = parts.peek()
            && !(is_digit(part.chars().next_back()) && is_digit(next.chars().next()))
        {
            return None;
        }
    }
    text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The field at the end of a path, which may be null.
fn field<'a>(node: &'a Node, steps: &[SmolStr]) -> Option<&'a Node> {
    let (last, above) = steps.split_last()?;
    let null = || path::look_up(node, above)?.get(last).filter(|found| found.is_null());
    path::look_up(node, steps).or_else(null)
}

/// `spec.ports[0].port` is as good as `spec.ports.0.port`.
fn variable_path(text: &str) -> Vec<SmolStr> {
    let numbered = |part: &SmolStr| -> Option<[SmolStr; 2]> {
        let (name, number) = part.strip_suffix(']')?.rsplit_once('[')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| [name.into(), number.into()])
    };
    let parts = path::split_source(text).flat_map(|part| numbered(&part).map_or_else(|| vec![part], Vec::from));
    parts.filter(|part| !part.is_empty()).collect()
}

fn expand_in(node: &mut Node, values: &mut Values) -> Result<(), Error> {
    if let Some(entries) = node.as_mapping_mut() {
        return entries
            .iter_mut()
            .filter(|entry| is_text(&entry.value))
            .try_for_each(|entry| expand(&mut entry.value, values));
    }
    if let Some(items) = node.as_sequence_mut() {
        for item in items {
            if !is_text(item) {
                let problem = Problem::FieldKind {
                    field: "an item".into(),
                    of: "a list that may hold variables".into(),
                    found: item.describe(),
                    expected: "a string",
                };
                return Err(Error::at(item, problem));
            }
            expand(item, values)?;
        }
        return Ok(());
    }
    if is_text(node) { expand(node, values) } else { Ok(()) }
}

fn is_text(node: &Node) -> bool {
    is_untyped(node) || (node.tag() != Some(MERGE) && matches!(node.resolve(Resolve::V3), Ok(Some(Plain::Text))))
}

/// # Errors
/// When too much text is made.
fn expand(node: &mut Node, values: &mut Values) -> Result<(), Error> {
    // All that may hold variables is written again, as a string, and folded no more.
    if is_untyped(node) || node.as_scalar().is_some_and(|scalar| scalar.style == ScalarStyle::Folded) {
        *node = Node::string(node.as_str().unwrap_or_default()).at_place_of(node);
    }
    let Some(text) = node.as_str().filter(|text| text.contains('$')) else { return Ok(()) };
    let whole = text.strip_prefix("$(").and_then(|text| text.strip_suffix(')')).filter(|name| !name.contains(')'));
    if let Some(value) = whole.and_then(|name| values.value(name)) {
        let style = if value.is_string { ScalarStyle::DoubleQuoted } else { ScalarStyle::Plain };
        *node = Node::scalar(value.text.clone(), style).at_place_of(node);
        return Ok(());
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            match values.value(name) {
                Some(value) => expanded.push_str(&value.amid),
                _ => expanded.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            expanded.push('$');
        }
        if values.made + expanded.len() > MAX_MADE {
            return Err(Error::at(node, Problem::TooMuchText { limit: MAX_MADE }));
        }
    }
    expanded.push_str(rest);
    values.made += expanded.len();
    *node = Node::string(expanded).at_place_of(node);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_kubernetes_does() {
        let text = |text: &str| Some(Value::string(text));
        let number = Some(Value::of_type("80"));
        let known = BTreeMap::from([("A".into(), text("x")), ("N".into(), number)]);
        let mut values = Values { known, ..Values::default() };
        let cases = [
            // text, expanded, still a string
            ("$(A)", "x", true),
            ("$(N)", "80", false),
            ("p$(N)$(A)", "p80x", true),
            ("$$(A)", "$(A)", true),
            ("$(NOPE)", "$(NOPE)", true),
            ("$(A", "$(A", true),
            ("cost $5", "cost $5", true),
        ];
        for (text, expected, is_string) in cases {
            let mut node = Node::string(text);
            expand(&mut node, &mut values).unwrap();
            assert_eq!(node.as_str(), Some(expected), "{text}");
            assert_eq!(is_text(&node), is_string, "{text}");
        }
    }
}
