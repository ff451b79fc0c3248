//! Tokens of a condition become a tree.

use super::Flaw;
use super::builtin::Builtin;
use super::lex::{self, Lexeme, Token};
use super::operator::{self, Binary, Unary};
use crate::template::Value;

/// Deeper ones are refused before the stack is.
const DEPTH: usize = 48;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Literal(Value),
    Name(String),
    /// `#`: the element that a predicate looks at.
    Element,
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `a ? b : c`.
    Choice(Box<Node>, Box<Node>, Box<Node>),
    Member {
        base: Box<Node>,
        key: Box<Node>,
        is_optional: bool,
    },
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    /// `base.name(…)`.
    Method {
        base: Box<Node>,
        name: String,
        arguments: Vec<Node>,
        is_optional: bool,
    },
    Builtin {
        builtin: Builtin,
        arguments: Vec<Node>,
        predicate: Option<Box<Node>>,
    },
    /// A chain with a `?.` in it: all of it is nil when that finds nothing.
    Chain(Box<Node>),
}

pub(super) fn parse(text: &str) -> Result<Node, Flaw> {
    let mut parser = Parser { tokens: lex::tokens(text)?, next: 0, end: text.len(), depth: 0, predicates: 0 };
    let node = parser.expression(0)?;
    match parser.tokens.get(parser.next) {
        None => Ok(node),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
    predicates: usize,
}

impl Parser {
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |token| token.at)
    }

    fn peek(&self) -> Option<&Lexeme> {
        self.tokens.get(self.next).map(|token| &token.what)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Lexeme::Sign(found)) if *found == sign)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Flaw> {
        if self.takes(sign) { Ok(()) } else { Err(Flaw::new(self.at(), format!("`{sign}` is missing"))) }
    }

    fn unexpected(&self) -> Flaw {
        let what = match self.peek() {
            None => return Flaw::new(self.at(), "the expression ends too early"),
            Some(Lexeme::Name(name)) => format!("`{name}`"),
            Some(Lexeme::Text(text)) => format!("{text:?}"),
            Some(Lexeme::Int(int)) => format!("`{int}`"),
            Some(Lexeme::Float(float)) => format!("`{float}`"),
            Some(Lexeme::Sign(sign)) => format!("`{sign}`"),
        };
        Flaw::new(self.at(), format!("unexpected {what}"))
    }

    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.depth >= DEPTH {
            return Err(Flaw::new(self.at(), format!("more than {DEPTH} levels deep")));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    /// The operator that stands here, and how many tokens it takes: `not in` takes two.
    fn operator(&self) -> Option<(Binary, Negated, usize)> {
        let word = |index: usize| match self.tokens.get(index).map(|token| &token.what) {
            Some(Lexeme::Name(name)) => Some(name.as_str()),
            Some(Lexeme::Sign(sign)) => Some(*sign),
            _ => None,
        };
        if word(self.next)? == "not" {
            let operator = operator::binary(word(self.next + 1)?).filter(|operator| operator.may_be_negated())?;
            return Some((operator, Negated::Yes, 2));
        }
        Some((operator::binary(word(self.next)?)?, Negated::No, 1))
    }

    fn expression(&mut self, least: u16) -> Result<Node, Flaw> {
        self.deeper(|this| {
            let mut left = this.unary()?;
            while let Some((operator, negated, tokens)) = this.operator() {
                let precedence = operator.precedence();
                if precedence < least {
                    break;
                }
                let at = this.at();
                this.next += tokens;
                if operator == Binary::Pipe {
                    left = this.piped(left)?;
                    continue;
                }
                let right = this.expression(if operator.is_right() { precedence } else { precedence + 1 })?;
                let node = Node { at, what: What::Binary(operator, Box::new(left), Box::new(right)) };
                left = match negated {
                    Negated::Yes => Node { at, what: What::Unary(Unary::Not, Box::new(node)) },
                    Negated::No => node,
                };
            }
            if least == 0 { this.choice(left) } else { Ok(left) }
        })
    }

    fn choice(&mut self, condition: Node) -> Result<Node, Flaw> {
        let at = self.at();
        if !self.takes("?") {
            return Ok(condition);
        }
        let yes = self.expression(0)?;
        self.expect(":")?;
        let no = self.expression(0)?;
        Ok(Node { at, what: What::Choice(Box::new(condition), Box::new(yes), Box::new(no)) })
    }

    fn unary(&mut self) -> Result<Node, Flaw> {
        let at = self.at();
        let word = match self.peek() {
            Some(Lexeme::Name(name)) => name.as_str(),
            Some(Lexeme::Sign(sign)) => sign,
            _ => "",
        };
        let Some(operator) = operator::unary(word) else {
            let base = self.primary()?;
            return self.postfix(base);
        };
        self.next += 1;
        let operand = self.expression(operator.precedence())?;
        Ok(Node { at, what: What::Unary(operator, Box::new(operand)) })
    }

    fn primary(&mut self) -> Result<Node, Flaw> {
        let at = self.at();
        let Some(what) = self.peek().cloned() else { return Err(self.unexpected()) };
        let what = match what {
            Lexeme::Int(int) => What::Literal(Value::Int(int)),
            Lexeme::Float(float) => What::Literal(Value::Float(float)),
            Lexeme::Text(text) => What::Literal(Value::from(text)),
            Lexeme::Sign("#") if self.predicates > 0 => What::Element,
            // `.x` is `#.x`: the point is read as a part of the chain.
            Lexeme::Sign(".") if self.predicates > 0 => return Ok(Node { at, what: What::Element }),
            Lexeme::Sign("(") => {
                self.next += 1;
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Lexeme::Sign("[") => {
                self.next += 1;
                return Ok(Node { at, what: What::Array(self.list("]")?) });
            }
            Lexeme::Sign("{") => {
                self.next += 1;
                return self.map(at);
            }
            Lexeme::Name(name) => match name.as_str() {
                "true" => What::Literal(Value::Bool(true)),
                "false" => What::Literal(Value::Bool(false)),
                "nil" => What::Literal(Value::Nil),
                word if operator::binary(word).is_some() => return Err(self.unexpected()),
                _ => {
                    self.next += 1;
                    return if self.is("(") { self.call(at, &name) } else { Ok(Node { at, what: What::Name(name) }) };
                }
            },
            Lexeme::Sign(_) => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(Node { at, what })
    }

    /// Expressions with commas between, and what ends them.
    fn list(&mut self, end: &str) -> Result<Vec<Node>, Flaw> {
        let mut list = Vec::new();
        while !self.takes(end) {
            if !list.is_empty() {
                self.expect(",")?;
                if self.takes(end) {
                    break;
                }
            }
            list.push(self.expression(0)?);
        }
        Ok(list)
    }

    fn map(&mut self, at: usize) -> Result<Node, Flaw> {
        let mut entries = Vec::new();
        while !self.takes("}") {
            if !entries.is_empty() {
                self.expect(",")?;
                if self.takes("}") {
                    break;
                }
            }
            let key_at = self.at();
            let key = match self.peek().cloned() {
                Some(Lexeme::Name(name) | Lexeme::Text(name)) => Value::from(name),
                Some(Lexeme::Int(int)) => Value::from(int.to_string()),
                _ => return Err(self.unexpected()),
            };
            self.next += 1;
            self.expect(":")?;
            entries.push((Node { at: key_at, what: What::Literal(key) }, self.expression(0)?));
        }
        Ok(Node { at, what: What::Map(entries) })
    }

    /// A function by its name, its parenthesis not read yet.
    fn call(&mut self, at: usize, name: &str) -> Result<Node, Flaw> {
        let builtin = Builtin::find(name).ok_or_else(|| Flaw::new(at, format!("there is no function `{name}`")))?;
        self.next += 1;
        self.arguments(at, builtin, Vec::new())
    }

    /// The rest of a call behind its `(`, some of whose arguments may be known.
    fn arguments(&mut self, at: usize, builtin: Builtin, mut arguments: Vec<Node>) -> Result<Node, Flaw> {
        let mut predicate = None;
        if builtin.has_predicate() {
            if arguments.is_empty() {
                arguments.push(self.expression(0)?);
                if !self.is(")") {
                    self.expect(",")?;
                }
            }
            if !self.is(")") {
                predicate = Some(Box::new(self.predicate()?));
            }
            self.expect(")")?;
        } else {
            arguments.extend(self.list(")")?);
        }
        builtin.check(arguments.len(), predicate.is_some()).map_err(|message| Flaw::new(at, message))?;
        Ok(Node { at, what: What::Builtin { builtin, arguments, predicate } })
    }

    fn predicate(&mut self) -> Result<Node, Flaw> {
        let has_braces = self.takes("{");
        self.predicates += 1;
        let node = self.expression(0);
        self.predicates -= 1;
        let node = node?;
        if has_braces {
            self.expect("}")?;
        }
        Ok(node)
    }

    /// `value | function(…)`: the value is its first argument.
    fn piped(&mut self, value: Node) -> Result<Node, Flaw> {
        let at = self.at();
        let Some(Lexeme::Name(name)) = self.peek().cloned() else { return Err(self.unexpected()) };
        let builtin = Builtin::find(&name).ok_or_else(|| Flaw::new(at, format!("there is no function `{name}`")))?;
        self.next += 1;
        self.expect("(")?;
        let call = self.arguments(at, builtin, vec![value])?;
        self.postfix(call)
    }

    /// What follows a value: fields, indices, calls.
    fn postfix(&mut self, mut node: Node) -> Result<Node, Flaw> {
        let mut is_chain = false;
        loop {
            let at = self.at();
            let is_optional = self.is("?.");
            is_chain |= is_optional;
            if is_optional || self.is(".") {
                self.next += 1;
                if is_optional && self.is("[") {
                    self.next += 1;
                    node = self.index(at, node, is_optional)?;
                    continue;
                }
                let name_at = self.at();
                let Some(Lexeme::Name(name)) = self.peek().cloned() else { return Err(self.unexpected()) };
                self.next += 1;
                let base = Box::new(node);
                let what = if self.takes("(") {
                    What::Method { base, name, arguments: self.list(")")?, is_optional }
                } else {
                    let key = Box::new(Node { at: name_at, what: What::Literal(Value::from(name)) });
                    What::Member { base, key, is_optional }
                };
                node = Node { at: name_at, what };
            } else if self.takes("[") {
                node = self.index(at, node, false)?;
            } else {
                break;
            }
        }
        Ok(if is_chain { Node { at: node.at, what: What::Chain(Box::new(node)) } } else { node })
    }

    fn index(&mut self, at: usize, base: Node, is_optional: bool) -> Result<Node, Flaw> {
        let base = Box::new(base);
        let from = if self.is(":") { None } else { Some(Box::new(self.expression(0)?)) };
        if self.takes(":") {
            let to = if self.is("]") { None } else { Some(Box::new(self.expression(0)?)) };
            self.expect("]")?;
            return Ok(Node { at, what: What::Slice { base, from, to } });
        }
        self.expect("]")?;
        let key = from.ok_or_else(|| Flaw::new(at, "an index is missing"))?;
        Ok(Node { at, what: What::Member { base, key, is_optional } })
    }
}

enum Negated {
    Yes,
    No,
}
