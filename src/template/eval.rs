//! A tree and values become text.

use std::cell::Cell;

use jiff::Timestamp;

use super::Flaw;
use super::function::{ANY, Arguments, Function, LONGEST, Run, spend};
use super::parse::{Command, Node, Nodes, Operand, Parsed, Pipe};
use super::value::{Value, method};

/// What one rendering may cost: a node, a call, a piece of a value each count.
const BUDGET: usize = 1_000_000;
/// Templates that call templates, and blocks within them.
const DEPTH: usize = 100;

/// Renders the main template.
pub(super) fn render(parsed: &Parsed, data: &Value, now: Timestamp) -> Result<String, Flaw> {
    let budget = Cell::new(BUDGET);
    let mut eval = Eval {
        parsed,
        now,
        budget: &budget,
        variables: vec![(String::new(), data.clone())],
        out: String::new(),
        depth: 0,
    };
    eval.nodes(&parsed.main, data)?;
    Ok(eval.out)
}

/// How a list of nodes came to its end.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Eval<'a> {
    parsed: &'a Parsed,
    now: Timestamp,
    budget: &'a Cell<usize>,
    /// By name, the innermost last; `$` is the one without a name.
    variables: Vec<(String, Value)>,
    out: String,
    depth: usize,
}

impl Eval<'_> {
    fn spend(&self, at: usize, cost: usize) -> Result<(), Flaw> {
        spend(self.budget, cost).map_err(|message| Flaw::new(at, message))
    }

    fn print(&mut self, at: usize, text: &str) -> Result<(), Flaw> {
        if self.out.len() + text.len() > LONGEST {
            return Err(Flaw::new(at, format!("the text grows longer than {} KiB", LONGEST >> 10)));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Nodes in a scope of their own.
    fn nodes(&mut self, nodes: &Nodes, dot: &Value) -> Result<Flow, Flaw> {
        let known = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(known);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Flaw> {
        match node {
            Node::Text(text) => {
                self.spend(0, 1 + text.len() / 32)?;
                self.print(0, text)?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = match value {
                        Value::Nil => "<no value>".to_owned(),
                        Value::Function(_) => {
                            return Err(Flaw::new(pipe.at, "can't print a function: it is called by `call`"));
                        }
                        value => value.to_string(),
                    };
                    self.print(pipe.at, &text)?;
                }
            }
            Node::If { at, branches, otherwise } => return self.branches(*at, branches, otherwise, dot, Dot::Stays),
            Node::With { at, branches, otherwise } => return self.branches(*at, branches, otherwise, dot, Dot::Moves),
            Node::Range { at, over, body, otherwise } => return self.range(*at, over, body, otherwise, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Template { at, name, data } => self.template(*at, name, data.as_ref(), dot)?,
        }
        Ok(Flow::On)
    }

    fn branches(
        &mut self,
        at: usize,
        branches: &[(Pipe, Nodes)],
        otherwise: &Nodes,
        dot: &Value,
        moves: Dot,
    ) -> Result<Flow, Flaw> {
        let known = self.variables.len();
        let flow = self.deeper(at, |this| {
            for (condition, body) in branches {
                let value = this.pipe(condition, dot)?;
                if value.is_true() {
                    return this.nodes(body, if moves == Dot::Moves { &value } else { dot });
                }
            }
            this.nodes(otherwise, dot)
        });
        self.variables.truncate(known);
        flow
    }

    fn deeper<T>(&mut self, at: usize, work: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.depth >= DEPTH {
            return Err(Flaw::new(at, format!("more than {DEPTH} levels deep")));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn range(&mut self, at: usize, over: &Pipe, body: &Nodes, otherwise: &Nodes, dot: &Value) -> Result<Flow, Flaw> {
        let known = self.variables.len();
        let value = self.pipe(over, dot)?;
        let mut names = over.variables.iter();
        let (first, second) = (names.next(), names.next());
        let mut is_empty = true;
        let mut one = |this: &mut Self, key: Value, element: Value| {
            is_empty = false;
            this.spend(at, 1)?;
            let mark = this.variables.len();
            let pairs = match (first, second) {
                (Some(key_name), Some(name)) => vec![(key_name, key), (name, element.clone())],
                (Some(name), None) => vec![(name, element.clone())],
                _ => Vec::new(),
            };
            for (name, value) in pairs {
                this.set(over.assigns, name, value);
            }
            let flow = this.deeper(at, |this| this.nodes(body, &element));
            this.variables.truncate(mark);
            flow
        };
        match &value {
            Value::List(list) => {
                for (index, element) in list.iter().enumerate() {
                    let index = i64::try_from(index).unwrap_or(i64::MAX);
                    if one(self, Value::Int(index), element.clone())? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, element) in map.iter() {
                    if one(self, Value::from(key.as_str()), element.clone())? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Int(count) => {
                if second.is_some() {
                    return Err(Flaw::new(at, format!("can't use {count} to iterate over more than one variable")));
                }
                for index in 0..*count {
                    if one(self, Value::Int(index), Value::Int(index))? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Nil => {}
            other => return Err(Flaw::new(at, format!("range can't iterate over {other}"))),
        }
        let flow = if is_empty { self.deeper(at, |this| this.nodes(otherwise, dot))? } else { Flow::On };
        self.variables.truncate(known);
        Ok(flow)
    }

    fn template(&mut self, at: usize, name: &str, data: Option<&Pipe>, dot: &Value) -> Result<(), Flaw> {
        let data = match data {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        let parsed = self.parsed;
        let nodes = parsed.defined.get(name).ok_or_else(|| Flaw::new(at, format!("template {name:?} not defined")))?;
        self.spend(at, 1)?;
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), data.clone())]);
        self.deeper(at, |this| this.nodes(nodes, &data))?;
        self.variables = outer;
        Ok(())
    }

    fn set(&mut self, assigns: bool, name: &str, value: Value) {
        if assigns {
            // The parser knows that it is there.
            if let Some((_, known)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                *known = value;
            }
        } else {
            self.variables.push((name.to_owned(), value));
        }
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, Flaw> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(Value::Nil);
        // Of two, a range sets both itself.
        if let [name] = pipe.variables.as_slice() {
            self.set(pipe.assigns, name, value.clone());
        }
        Ok(value)
    }

    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Result<Value, Flaw> {
        let at = command.at;
        self.spend(at, 1)?;
        let is_called = !command.rest.is_empty() || piped.is_some();
        let no_function = |what: String| Err(Flaw::new(at, format!("can't give argument to non-function {what}")));
        match &command.first {
            Operand::Function(function) => self.function(at, *function, &command.rest, dot, piped),
            Operand::Field(names) => self.fields(at, dot.clone(), names, &command.rest, dot, piped),
            Operand::Variable(name, names) => {
                let value = self.variable(name);
                if names.is_empty() && is_called {
                    return no_function(format!("${name}"));
                }
                self.fields(at, value, names, &command.rest, dot, piped)
            }
            Operand::Chain(inner, names) => {
                let value = self.operand(at, inner, dot)?;
                self.fields(at, value, names, &command.rest, dot, piped)
            }
            Operand::Pipe(_) if is_called => no_function("a parenthesized pipeline".to_owned()),
            Operand::Dot if is_called => no_function(".".to_owned()),
            Operand::Literal(value) if is_called => no_function(value.to_string()),
            Operand::Nil => Err(Flaw::new(at, "nil is not a command")),
            operand => self.operand(at, operand, dot),
        }
    }

    fn variable(&self, name: &str) -> Value {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map_or(Value::Nil, |(_, value)| value.clone())
    }

    /// An operand that stands as an argument, or alone.
    fn operand(&mut self, at: usize, operand: &Operand, dot: &Value) -> Result<Value, Flaw> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Nil => Ok(Value::Nil),
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Field(names) => self.fields(at, dot.clone(), names, &[], dot, None),
            Operand::Variable(name, names) => self.fields(at, self.variable(name), names, &[], dot, None),
            Operand::Function(function) => self.function(at, *function, &[], dot, None),
            Operand::Pipe(pipe) => self.deeper(at, |this| this.pipe(pipe, dot)),
            Operand::Chain(inner, names) => {
                let value = self.operand(at, inner, dot)?;
                self.fields(at, value, names, &[], dot, None)
            }
        }
    }

    /// A chain of fields; what is given as arguments goes to the last, which is a method then.
    fn fields(
        &mut self,
        at: usize,
        mut value: Value,
        names: &[String],
        rest: &[Operand],
        dot: &Value,
        mut piped: Option<Value>,
    ) -> Result<Value, Flaw> {
        for (index, name) in names.iter().enumerate() {
            let is_last = index + 1 == names.len();
            let mut arguments = Vec::new();
            if is_last {
                for operand in rest {
                    arguments.push(self.operand(at, operand, dot)?);
                }
                arguments.extend(piped.take());
            }
            value = field(&value, name, &arguments).map_err(|message| Flaw::new(at, message))?;
        }
        Ok(value)
    }

    fn function(
        &mut self,
        at: usize,
        function: Function,
        operands: &[Operand],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Flaw> {
        let wrong = |message: String| Flaw::new(at, format!("{}: {message}", function.name));
        let (count, plain) = match function.run {
            Run::Plain(count, plain) => (count, plain),
            Run::And | Run::Or => {
                let stops_at = matches!(function.run, Run::Or);
                let mut value = None;
                for operand in operands {
                    let next = self.operand(at, operand, dot)?;
                    if next.is_true() == stops_at {
                        return Ok(next);
                    }
                    value = Some(next);
                }
                return piped.or(value).ok_or_else(|| wrong("wrong number of args: want at least 1 got 0".to_owned()));
            }
        };
        let mut values = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            values.push(self.operand(at, operand, dot)?);
        }
        values.extend(piped);
        if count != ANY && values.len() != count {
            return Err(wrong(format!("wrong number of args: want {count} got {}", values.len())));
        }
        let result = plain(&Arguments { values: &values, now: self.now, budget: self.budget }).map_err(wrong)?;
        self.spend(at, result.weight(self.budget.get()))?;
        if result.as_text().is_some_and(|text| text.len() > LONGEST) {
            return Err(wrong(format!("the result is longer than {} KiB", LONGEST >> 10)));
        }
        Ok(result)
    }
}

/// What a `with` does to the dot and an `if` does not.
#[derive(Clone, Copy, PartialEq)]
enum Dot {
    Stays,
    Moves,
}

/// One field of a value, or a method with its arguments.
fn field(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, String> {
    if let Some(result) = method(receiver, name, arguments) {
        return result;
    }
    match receiver {
        Value::Map(map) if arguments.is_empty() => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
        Value::Map(_) => Err(format!("{name} is not a method but has arguments")),
        // What is not there has nothing, however deep one asks.
        Value::Nil => Ok(Value::Nil),
        other => Err(format!("can't evaluate field {name} in type {}", other.kind())),
    }
}
