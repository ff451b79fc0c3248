//! What an expression says.

mod repeat;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::expression::{Expression, Node, Unreadable};
use super::functions;
use super::pattern::Patterns;
use super::value::{Key, Value};

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The API server would say so too.
    Error(String),
    /// It depends on what is not known here.
    Unknown(String),
    /// It takes more steps than it may.
    Exhausted,
}

impl Fault {
    pub(super) fn error<T>(text: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::Error(text.into()))
    }

    pub(super) fn unknown<T>(text: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::Unknown(text.into()))
    }
}

pub(super) const NO_OVERLOAD: &str = "no such overload";

/// The steps that are left.
///
/// They stand for the time: a clock would say another thing each time.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// So many steps.
    pub fn of(steps: u64) -> Self {
        Budget { left: steps }
    }

    /// What is left, but not more than this.
    pub fn at_most(self, steps: u64) -> Self {
        Budget { left: self.left.min(steps) }
    }

    /// Takes away what a part of it has used.
    pub fn settle(&mut self, given: Budget, rest: Budget) {
        self.left = self.left.saturating_sub(given.left - rest.left.min(given.left));
    }

    /// Takes steps.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn spend(&mut self, steps: u64) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Fault::Exhausted)
            }
        }
    }

    /// Pays for looking at all of a value. What is shared in it counts each time that it is met.
    pub(super) fn weigh(&mut self, value: &Value) -> Result<(), Fault> {
        self.spend(1)?;
        match value {
            Value::String(text) => self.spend(text.len() as u64 / 8),
            Value::Bytes(bytes) => self.spend(bytes.len() as u64 / 8),
            Value::List(items) => items.iter().try_for_each(|item| self.weigh(item)),
            Value::Map(entries) => entries.values().try_for_each(|value| self.weigh(value)),
            Value::Optional(Some(value)) => self.weigh(value),
            _ => Ok(()),
        }
    }
}

/// A name for an expression, which is evaluated once it is asked for.
#[derive(Clone, Debug)]
pub struct Variable {
    /// `variables.name`
    pub name: String,
    /// What it stands for.
    pub means: Result<Expression, Unreadable>,
}

/// Evaluates expressions over the same values.
pub struct Run<'a> {
    /// Values by their names.
    globals: BTreeMap<&'static str, Value>,
    variables: &'a [Variable],
    found: Vec<Option<Result<Value, Fault>>>,
    /// Those that may be asked for: each only knows those before it.
    visible: usize,
    /// The name of the object that lacks what an API server adds to it.
    partial: Option<&'static str>,
    locals: Vec<(&'a str, Result<Value, Fault>)>,
    depth: usize,
    budget: Budget,
    patterns: Patterns,
}

/// Variables of variables of variables: each is as deep as an expression may be.
const DEEPEST: usize = 600;

impl<'a> Run<'a> {
    /// Over these values.
    pub fn new(globals: BTreeMap<&'static str, Value>, variables: &'a [Variable]) -> Self {
        Run {
            globals,
            found: vec![None; variables.len()],
            visible: variables.len(),
            variables,
            partial: None,
            locals: Vec::new(),
            depth: 0,
            budget: Budget::of(0),
            patterns: Patterns::default(),
        }
    }

    /// What this one lacks outside its metadata may still be set by the API server.
    pub fn partial(mut self, name: &'static str) -> Self {
        self.partial = Some(name);
        self
    }

    /// What an expression says.
    ///
    /// # Errors
    /// When it has no value, or more steps than there are.
    pub fn evaluate(&mut self, expression: &'a Expression, budget: &mut Budget) -> Result<Value, Fault> {
        self.budget = *budget;
        let result = self.node(&expression.root);
        *budget = self.budget;
        match result? {
            Value::Unknown(why) => Fault::unknown(why),
            value => Ok(value),
        }
    }

    fn node(&mut self, node: &'a Node) -> Result<Value, Fault> {
        self.budget.spend(1)?;
        if self.depth >= DEEPEST {
            return Err(Fault::Exhausted);
        }
        self.depth += 1;
        let result = self.shallow(node);
        self.depth -= 1;
        result
    }

    fn shallow(&mut self, node: &'a Node) -> Result<Value, Fault> {
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => self.name(name),
            Node::Select { of, field } => self.select(of, field),
            Node::Has { of, field } => self.has(of, field),
            Node::MaybeSelect { of, key } => self.maybe(of, key),
            Node::Index { of, key } => self.index(of, key),
            Node::Not(of) => match self.known(of)? {
                Value::Bool(bool) => Ok(Value::Bool(!bool)),
                _ => Fault::error(NO_OVERLOAD),
            },
            Node::And(all) => self.decided(all, false),
            Node::Or(all) => self.decided(all, true),
            Node::If(three) => {
                let [condition, yes, no] = &**three;
                match self.known(condition)? {
                    Value::Bool(true) => self.node(yes),
                    Value::Bool(false) => self.node(no),
                    _ => Fault::error(NO_OVERLOAD),
                }
            }
            Node::NotFalse(of) => match self.node(of) {
                Err(Fault::Exhausted) => Err(Fault::Exhausted),
                result => Ok(Value::Bool(!matches!(result, Ok(Value::Bool(false))))),
            },
            Node::Call { name, of, arguments } => self.call(name, of.as_deref(), arguments),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Fold(fold) => self.fold(fold),
            Node::Bind { of, name, body, is_flat } => match self.known(of)? {
                Value::Optional(None) => Ok(Value::NONE),
                Value::Optional(Some(value)) => {
                    self.locals.push((name, Ok(value.as_ref().clone())));
                    let result = self.node(body);
                    self.locals.pop();
                    if *is_flat { result } else { result.map(Value::some) }
                }
                _ => Fault::error(NO_OVERLOAD),
            },
        }
    }

    /// A value that something is done with.
    fn known(&mut self, node: &'a Node) -> Result<Value, Fault> {
        match self.node(node)? {
            Value::Unknown(why) => Fault::unknown(why),
            value => Ok(value),
        }
    }

    fn name(&self, name: &str) -> Result<Value, Fault> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(known, _)| *known == name) {
            return value.clone();
        }
        if let Some(value) = self.globals.get(name) {
            return Ok(value.clone());
        }
        match functions::type_named(name) {
            Some(name) => Ok(Value::Type(name)),
            None => Fault::unknown(format!("`{name}` is not known here")),
        }
    }

    fn is_variables(&self, node: &Node) -> bool {
        matches!(node, Node::Name(name) if name == "variables")
            && !self.locals.iter().any(|(known, _)| *known == "variables")
    }

    fn variable(&mut self, name: &str) -> Result<Value, Fault> {
        let variables = self.variables;
        let Some(at) = variables[..self.visible].iter().position(|variable| variable.name == name) else {
            return Fault::error(format!("no such key: {name}"));
        };
        if let Some(found) = &self.found[at] {
            return found.clone();
        }
        let found = match &variables[at].means {
            Err(unreadable) => Fault::unknown(format!("`variables.{name}`: {unreadable}")),
            Ok(expression) => {
                // It knows nothing of the loop that asks for it.
                let locals = std::mem::take(&mut self.locals);
                let visible = std::mem::replace(&mut self.visible, at);
                let found = self.node(&expression.root);
                (self.locals, self.visible) = (locals, visible);
                found
            }
        };
        let found = found.map_err(|fault| match fault {
            Fault::Error(text) => Fault::Error(format!("composited variable \"{name}\" fails to evaluate: {text}")),
            fault => fault,
        });
        self.found[at] = Some(found.clone());
        found
    }

    fn select(&mut self, of: &'a Node, field: &Arc<str>) -> Result<Value, Fault> {
        if self.is_variables(of) {
            return self.variable(field);
        }
        match self.known(of)? {
            Value::Map(entries) => match entries.get(&Key::String(field.clone())) {
                Some(value) => Ok(value.clone()),
                None => self.missing(of, field),
            },
            // What begins with an optional stays one.
            Value::Optional(None) => Ok(Value::NONE),
            Value::Optional(Some(value)) => {
                Ok(found(&value, &Value::String(field.clone())).map_or(Value::NONE, Value::some))
            }
            _ => Fault::error(format!("no such key: {field}")),
        }
    }

    fn has(&mut self, of: &'a Node, field: &Arc<str>) -> Result<Value, Fault> {
        if self.is_variables(of) {
            let is_there = self.variables[..self.visible].iter().any(|variable| *variable.name == **field);
            return Ok(Value::Bool(is_there));
        }
        let value = match self.known(of)? {
            Value::Optional(Some(value)) => value.as_ref().clone(),
            value => value,
        };
        match found(&value, &Value::String(field.clone())) {
            Some(Value::Unknown(why)) => Fault::unknown(why),
            found => Ok(Value::Bool(found.is_some())),
        }
    }

    fn maybe(&mut self, of: &'a Node, key: &'a Node) -> Result<Value, Fault> {
        let value = match self.known(of)? {
            Value::Optional(None) => return Ok(Value::NONE),
            Value::Optional(Some(value)) => value.as_ref().clone(),
            value => value,
        };
        let key = self.known(key)?;
        match found(&value, &key) {
            Some(Value::Unknown(why)) => Fault::unknown(why),
            found => Ok(found.map_or(Value::NONE, Value::some)),
        }
    }

    fn index(&mut self, of: &'a Node, key: &'a Node) -> Result<Value, Fault> {
        let value = self.known(of)?;
        let key = self.known(key)?;
        if let Value::Optional(value) = &value {
            let found = value.as_ref().and_then(|value| found(value, &key));
            return Ok(found.map_or(Value::NONE, Value::some));
        }
        if let Some(value) = found(&value, &key) {
            return Ok(value);
        }
        let written = super::value::written(&key).unwrap_or_default();
        match &value {
            Value::Map(_) => self.missing(of, &written),
            Value::List(_) if matches!(key, Value::Int(_) | Value::Uint(_)) => {
                Fault::error(format!("index out of bounds: {written}"))
            }
            _ => Fault::error(NO_OVERLOAD),
        }
    }

    /// What becomes of a field that is not there.
    fn missing(&self, of: &Node, field: &str) -> Result<Value, Fault> {
        if let Some(partial) = self.partial
            && self.may_be_added(of, field, partial)
        {
            return Fault::unknown(format!("`{field}` is not written, and the API server may set it"));
        }
        Fault::error(format!("no such key: {field}"))
    }

    /// Whether what is missing belongs to the object that lacks what an API server adds; of metadata it adds nothing that
    /// policies ask for.
    fn may_be_added(&self, of: &Node, field: &str, partial: &str) -> bool {
        let (mut of, mut first) = (of, field);
        loop {
            match of {
                Node::Select { of: inner, field } => (of, first) = (inner, field),
                Node::Index { of: inner, .. } => of = inner,
                Node::Name(name) if self.globals.contains_key(name.as_str()) => {
                    return name == partial && first != "metadata";
                }
                // An element of a loop, a variable: of what, nobody knows.
                _ => return true,
            }
        }
    }

    /// `&&` and `||`: what decides counts, wherever it stands; what has no value only counts when nothing decides.
    fn decided(&mut self, all: &'a [Node], by: bool) -> Result<Value, Fault> {
        let mut fault: Option<Fault> = None;
        for one in all {
            let found = match self.known(one) {
                Ok(Value::Bool(bool)) if bool == by => return Ok(Value::Bool(by)),
                Ok(Value::Bool(_)) => continue,
                Ok(_) => Fault::Error(NO_OVERLOAD.into()),
                Err(Fault::Exhausted) => return Err(Fault::Exhausted),
                Err(found) => found,
            };
            fault = match fault {
                Some(Fault::Error(_)) if matches!(found, Fault::Unknown(_)) => Some(found),
                None => Some(found),
                fault => fault,
            };
        }
        fault.map_or(Ok(Value::Bool(!by)), Err)
    }

    fn call(&mut self, name: &str, of: Option<&'a Node>, arguments: &'a [Node]) -> Result<Value, Fault> {
        let of = of.map(|of| self.known(of)).transpose()?;
        // Of an optional's replacement only what is needed is asked for.
        if let (Some(Value::Optional(value)), "or" | "orValue", [other]) = (&of, name, arguments) {
            return match value {
                Some(value) if name == "orValue" => Ok(value.as_ref().clone()),
                Some(_) => Ok(of.clone().unwrap_or(Value::NONE)),
                None => self.known(other),
            };
        }
        let arguments = arguments.iter().map(|one| self.known(one)).collect::<Result<Vec<Value>, Fault>>()?;
        functions::call(name, of.as_ref(), &arguments, &mut self.budget, &mut self.patterns)
    }

    fn list(&mut self, items: &'a [(Node, bool)]) -> Result<Value, Fault> {
        let mut list = Vec::with_capacity(items.len());
        for (item, is_optional) in items {
            match (self.known(item)?, is_optional) {
                (Value::Optional(value), true) => list.extend(value.map(|value| value.as_ref().clone())),
                (_, true) => return Fault::error(NO_OVERLOAD),
                (value, false) => list.push(value),
            }
        }
        Ok(Value::list(list))
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Result<Value, Fault> {
        let mut map = BTreeMap::new();
        for (key, value, is_optional) in entries {
            let key = self.known(key)?;
            let value = match (self.known(value)?, is_optional) {
                (Value::Optional(None), true) => continue,
                (Value::Optional(Some(value)), true) => value.as_ref().clone(),
                (value, _) => value,
            };
            let Some(key) = Key::of(&key) else { return Fault::error("unsupported key type") };
            if map.insert(key, value).is_some() {
                return Fault::error("Failed with repeated key");
            }
        }
        Ok(Value::Map(Arc::new(map)))
    }
}

/// What is in a map or a list at a key.
fn found(value: &Value, key: &Value) -> Option<Value> {
    match value {
        Value::Map(entries) => entries.get(&Key::of(key)?).cloned(),
        Value::List(items) => match Key::of(key)? {
            Key::Int(at) => items.get(usize::try_from(at).ok()?).cloned(),
            _ => None,
        },
        _ => None,
    }
}
