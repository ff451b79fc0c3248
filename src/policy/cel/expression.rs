//! From an expression's text to what is evaluated.

use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::parser::PrattParser;

use super::value::Value;

/// Longer texts are no rule that anybody reads.
const LONGEST: usize = 16 << 10;
/// Deeper ones cost more of the stack than an evaluation has.
const DEEPEST: usize = 120;
/// A chain of operators is as deep as it is long for the parser, which recurses to free it.
const STACK: usize = 64 << 20;

/// An expression, read once.
#[derive(Clone, Debug)]
pub struct Expression {
    /// As it was written.
    pub text: Arc<str>,
    pub(super) root: Arc<Node>,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The parser does not understand it.
    #[error("{0}")]
    Syntax(String),
    /// It is more than is read.
    #[error("it is longer or deeper than is evaluated")]
    TooLarge,
    /// It makes messages of a protocol that objects do not speak.
    #[error("it has a `{0}{{…}}`, and there are no such messages")]
    Message(String),
}

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Value),
    Name(String),
    Select {
        of: Box<Node>,
        field: Arc<str>,
    },
    /// `has(of.field)`
    Has {
        of: Box<Node>,
        field: Arc<str>,
    },
    /// `of.?field`, and `of[?key]`
    MaybeSelect {
        of: Box<Node>,
        key: Box<Node>,
    },
    Index {
        of: Box<Node>,
        key: Box<Node>,
    },
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    If(Box<[Node; 3]>),
    /// Whether to go on: an error is no reason to stop.
    NotFalse(Box<Node>),
    Call {
        name: String,
        of: Option<Box<Node>>,
        arguments: Vec<Node>,
    },
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    Fold(Box<Fold>),
    /// `of.optMap(name, body)`; a flat one gives an optional itself.
    Bind {
        of: Box<Node>,
        name: String,
        body: Box<Node>,
        is_flat: bool,
    },
}

/// What `all`, `exists`, `map` and the like are made of.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) over: Node,
    pub(super) name: String,
    pub(super) result: String,
    pub(super) begin: Node,
    pub(super) while_: Node,
    pub(super) step: Step,
    pub(super) end: Node,
}

/// One turn of a [`Fold`].
#[derive(Debug)]
pub(super) enum Step {
    /// The list gets one more: said so, it is not copied each time.
    Push {
        when: Option<Node>,
        item: Node,
    },
    Set(Node),
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none, or more than is read.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > LONGEST {
            return Err(Unreadable::TooLarge);
        }
        let owned = text.to_owned();
        let reading = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let parser = PrattParser::new().enable_optional_syntax(true).enable_ident_escape_syntax(true);
            let tree = parser.parse(&owned).map_err(|errors| Unreadable::Syntax(first_line(&errors.to_string())))?;
            node(&tree, 0)
        });
        // A parser that panics has not understood it either.
        let read = reading.ok().and_then(|reading| reading.join().ok());
        let root = read.unwrap_or_else(|| Err(Unreadable::Syntax("the parser gave up".into())))?;
        Ok(Expression { text: text.into(), root: Arc::new(root) })
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("ERROR: <input>:").unwrap_or(line).to_owned()
}

/// Functions whose names have a dot: what stands before it is no value.
const QUALIFIED: &[(&str, &[&str])] = &[
    ("ip", &["isCanonical"]),
    ("sets", &["contains", "equivalent", "intersects"]),
    ("optional", &["of", "none", "ofNonZeroValue"]),
    ("format", &["named", "dns1123Label", "dns1123Subdomain", "labelValue", "qualifiedName"]),
    ("math", &["greatest", "least"]),
];

fn node(tree: &IdedExpr, depth: usize) -> Result<Node, Unreadable> {
    if depth > DEEPEST {
        return Err(Unreadable::TooLarge);
    }
    let depth = depth + 1;
    let boxed = |tree: &IdedExpr| node(tree, depth).map(Box::new);
    Ok(match &tree.expr {
        Expr::Unspecified => return Err(Unreadable::Syntax("an operand is missing".into())),
        Expr::Literal(literal) => Node::Literal(value(literal)),
        Expr::Ident(name) => Node::Name(name.trim_start_matches('.').to_owned()),
        Expr::Select(select) => {
            let (of, field) = (boxed(&select.operand)?, select.field.as_str().into());
            if select.test { Node::Has { of, field } } else { Node::Select { of, field } }
        }
        Expr::Call(call) => return self::call(call, depth),
        Expr::List(list) => {
            let items = list.elements.iter().enumerate();
            let items = items.map(|(at, item)| Ok((node(item, depth)?, list.optional_indices.contains(&at))));
            Node::List(items.collect::<Result<_, _>>()?)
        }
        Expr::Map(map) => {
            let entries = map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    Ok((node(&entry.key, depth)?, node(&entry.value, depth)?, entry.optional))
                }
                EntryExpr::StructField(field) => Err(Unreadable::Message(field.field.clone())),
            });
            Node::Map(entries.collect::<Result<_, _>>()?)
        }
        Expr::Struct(message) => return Err(Unreadable::Message(message.type_name.clone())),
        Expr::Comprehension(fold) => Node::Fold(Box::new(self::fold(fold, depth)?)),
    })
}

fn call(call: &CallExpr, depth: usize) -> Result<Node, Unreadable> {
    let mut arguments = call.args.iter().map(|argument| node(argument, depth)).collect::<Result<Vec<_>, _>>()?;
    let name = call.func_name.as_str();
    if let Some(target) = &call.target {
        if let Expr::Ident(space) = &target.expr
            && QUALIFIED.iter().any(|(known, names)| known == space && names.contains(&name))
        {
            return Ok(Node::Call { name: format!("{space}.{name}"), of: None, arguments });
        }
        let of = Box::new(node(target, depth)?);
        return Ok(match (name, arguments.len()) {
            ("optMap" | "optFlatMap", 2) => {
                let body = arguments.pop().map(Box::new);
                match (arguments.pop(), body) {
                    (Some(Node::Name(bound)), Some(body)) => {
                        Node::Bind { of, name: bound, body, is_flat: name == "optFlatMap" }
                    }
                    _ => return Err(Unreadable::Syntax("argument must be a simple name".into())),
                }
            }
            _ => Node::Call { name: name.to_owned(), of: Some(of), arguments },
        });
    }
    Ok(match (name, <[Node; 1]>::try_from(arguments)) {
        ("!_", Ok([of])) => Node::Not(Box::new(of)),
        ("@not_strictly_false", Ok([of])) => Node::NotFalse(Box::new(of)),
        (_, Ok(one)) => Node::Call { name: name.to_owned(), of: None, arguments: one.into() },
        ("_&&_", Err(all)) => Node::And(all),
        ("_||_", Err(all)) => Node::Or(all),
        (_, Err(some)) => match (name, <[Node; 2]>::try_from(some)) {
            ("_[_]", Ok([of, key])) => Node::Index { of: Box::new(of), key: Box::new(key) },
            ("_?._" | "_[?_]", Ok([of, key])) => Node::MaybeSelect { of: Box::new(of), key: Box::new(key) },
            (_, Ok(two)) => Node::Call { name: name.to_owned(), of: None, arguments: two.into() },
            (_, Err(more)) => match (name, <[Node; 3]>::try_from(more)) {
                ("_?_:_", Ok(three)) => Node::If(Box::new(three)),
                (_, Ok(three)) => Node::Call { name: name.to_owned(), of: None, arguments: three.into() },
                (_, Err(arguments)) => Node::Call { name: name.to_owned(), of: None, arguments },
            },
        },
    })
}

fn fold(fold: &ComprehensionExpr, depth: usize) -> Result<Fold, Unreadable> {
    if fold.iter_var2.is_some() {
        return Err(Unreadable::Syntax("loops over two variables are not known here".into()));
    }
    let is_result = |tree: &IdedExpr| matches!(&tree.expr, Expr::Ident(name) if *name == fold.accu_var);
    let pushed = |tree: &IdedExpr| -> Option<Result<Node, Unreadable>> {
        let Expr::Call(call) = &tree.expr else { return None };
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("_+_", [left, IdedExpr { expr: Expr::List(list), .. }]) if is_result(left) && list.elements.len() == 1 => {
                Some(node(&list.elements[0], depth))
            }
            _ => None,
        }
    };
    let step = match (pushed(&fold.loop_step), &fold.loop_step.expr) {
        (Some(item), _) => Step::Push { when: None, item: item? },
        (None, Expr::Call(call)) if call.func_name == "_?_:_" && call.args.len() == 3 => match pushed(&call.args[1]) {
            Some(item) if is_result(&call.args[2]) => {
                Step::Push { when: Some(node(&call.args[0], depth)?), item: item? }
            }
            _ => Step::Set(node(&fold.loop_step, depth)?),
        },
        _ => Step::Set(node(&fold.loop_step, depth)?),
    };
    Ok(Fold {
        over: node(&fold.iter_range, depth)?,
        name: fold.iter_var.clone(),
        result: fold.accu_var.clone(),
        begin: node(&fold.accu_init, depth)?,
        while_: node(&fold.loop_cond, depth)?,
        step,
        end: node(&fold.result, depth)?,
    })
}

fn value(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(bool) => Value::Bool(*bool.inner()),
        LiteralValue::Bytes(bytes) => Value::Bytes(bytes.inner().into()),
        LiteralValue::Double(double) => Value::Double(*double.inner()),
        LiteralValue::Int(int) => Value::Int(*int.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(text) => Value::text(text.inner()),
        LiteralValue::UInt(uint) => Value::Uint(*uint.inner()),
    }
}
