//! Tokens become a tree.

use std::collections::BTreeMap;

use super::Flaw;
use super::function::{self, Function};
use super::lex::{self, Lexeme, Token};
use super::value::Value;

/// Blocks in blocks, and parentheses in parentheses: deeper ones are refused before the stack is.
const DEPTH: usize = 64;

pub(super) type Nodes = Vec<Node>;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If { at: usize, branches: Vec<(Pipe, Nodes)>, otherwise: Nodes },
    With { at: usize, branches: Vec<(Pipe, Nodes)>, otherwise: Nodes },
    Range { at: usize, over: Pipe, body: Nodes, otherwise: Nodes },
    Break,
    Continue,
    Template { at: usize, name: String, data: Option<Pipe> },
}

/// `$a, $b := command | command`.
#[derive(Clone, Debug)]
pub(super) struct Pipe {
    pub(super) at: usize,
    pub(super) variables: Vec<String>,
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) first: Operand,
    pub(super) rest: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Dot,
    Nil,
    Literal(Value),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Function(Function),
    Pipe(Box<Pipe>),
    Chain(Box<Operand>, Vec<String>),
}

/// A parsed text: what is rendered, and what it defines.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) main: Nodes,
    pub(super) defined: BTreeMap<String, Nodes>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, Flaw> {
    let tokens = lex::tokens(text)?;
    let mut parser = Parser {
        tokens,
        next: 0,
        end: text.len(),
        depth: 0,
        loops: 0,
        scope: vec![String::new()],
        defined: BTreeMap::new(),
    };
    let (main, ended) = parser.nodes()?;
    match ended {
        Ended::Text => Ok(Parsed { main, defined: parser.defined }),
        Ended::End(at) | Ended::Else(at) => Err(Flaw::new(at, format!("unexpected {{{{{}}}}}", ended.word()))),
    }
}

/// What a list of nodes ended at.
enum Ended {
    Text,
    End(usize),
    Else(usize),
}

impl Ended {
    fn word(&self) -> &'static str {
        match self {
            Ended::Else(_) => "else",
            _ => "end",
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
    loops: usize,
    /// The variables that are known here, the innermost last.
    scope: Vec<String>,
    defined: BTreeMap<String, Nodes>,
}

impl Parser {
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |token| token.at)
    }

    fn peek(&self) -> Option<&Lexeme> {
        self.tokens.get(self.next).map(|token| &token.what)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Lexeme::Space) {
            self.next += 1;
        }
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

    fn nodes(&mut self) -> Result<(Nodes, Ended), Flaw> {
        let mut nodes = Vec::new();
        loop {
            let at = self.at();
            match self.tokens.get(self.next).map(|token| token.what.clone()) {
                None => return Ok((nodes, Ended::Text)),
                Some(Lexeme::Text(text)) => {
                    self.next += 1;
                    nodes.push(Node::Text(text));
                }
                Some(_) => {
                    // An action begins with `Open`: the scanner gives nothing else outside of one.
                    self.next += 1;
                    self.skip_space();
                    let keyword = match self.peek() {
                        Some(Lexeme::Name(name)) => name.clone(),
                        _ => String::new(),
                    };
                    match keyword.as_str() {
                        "end" => {
                            self.next += 1;
                            self.close("end")?;
                            return Ok((nodes, Ended::End(at)));
                        }
                        "else" => {
                            self.next += 1;
                            return Ok((nodes, Ended::Else(at)));
                        }
                        keyword => {
                            let node = self.deeper(|this| this.action(at, keyword))?;
                            nodes.extend(node);
                        }
                    }
                }
            }
        }
    }

    fn close(&mut self, context: &str) -> Result<(), Flaw> {
        self.skip_space();
        match self.peek() {
            Some(Lexeme::Close) => {
                self.next += 1;
                Ok(())
            }
            _ => Err(self.unexpected(context)),
        }
    }

    fn unexpected(&self, context: &str) -> Flaw {
        let what = match self.peek() {
            None => "end of the text".to_owned(),
            Some(Lexeme::Close) => "`}}`".to_owned(),
            Some(Lexeme::Name(name)) => format!("`{name}`"),
            Some(Lexeme::Field(name)) => format!("`.{name}`"),
            Some(Lexeme::Variable(name)) => format!("`${name}`"),
            Some(Lexeme::Quoted(text)) => format!("{text:?}"),
            Some(Lexeme::Int(_) | Lexeme::Float(_)) => "a number".to_owned(),
            Some(Lexeme::Pipe) => "`|`".to_owned(),
            Some(Lexeme::Comma) => "`,`".to_owned(),
            Some(Lexeme::Declare) => "`:=`".to_owned(),
            Some(Lexeme::Assign) => "`=`".to_owned(),
            Some(Lexeme::LeftParen) => "`(`".to_owned(),
            Some(Lexeme::RightParen) => "`)`".to_owned(),
            Some(Lexeme::Dot) => "`.`".to_owned(),
            Some(Lexeme::Space | Lexeme::Open | Lexeme::Text(_)) => "text".to_owned(),
        };
        Flaw::new(self.at(), format!("unexpected {what} in {context}"))
    }

    /// An action behind its `{{`; definitions leave nothing where they stand.
    fn action(&mut self, at: usize, keyword: &str) -> Result<Option<Node>, Flaw> {
        let known = self.scope.len();
        let node = match keyword {
            "if" | "with" => {
                self.next += 1;
                let (branches, otherwise) = self.branches(keyword)?;
                Some(match keyword {
                    "if" => Node::If { at, branches, otherwise },
                    _ => Node::With { at, branches, otherwise },
                })
            }
            "range" => {
                self.next += 1;
                Some(self.range(at)?)
            }
            "break" | "continue" if self.loops == 0 => {
                return Err(Flaw::new(at, format!("{{{{{keyword}}}}} outside {{{{range}}}}")));
            }
            "break" | "continue" => {
                self.next += 1;
                self.close(keyword)?;
                return Ok(Some(if keyword == "break" { Node::Break } else { Node::Continue }));
            }
            "define" => {
                self.next += 1;
                self.define(at)?;
                None
            }
            "template" | "block" => {
                self.next += 1;
                Some(self.template(at, keyword)?)
            }
            _ => {
                let pipe = self.pipe("command", 1)?;
                self.close("command")?;
                // What an action declares is known behind it.
                return Ok(Some(Node::Action(pipe)));
            }
        };
        self.scope.truncate(known);
        Ok(node)
    }

    fn branches(&mut self, keyword: &str) -> Result<(Vec<(Pipe, Nodes)>, Nodes), Flaw> {
        let mut branches = Vec::new();
        loop {
            let pipe = self.pipe(keyword, 1)?;
            self.close(keyword)?;
            let known = self.scope.len();
            let (body, ended) = self.nodes()?;
            self.scope.truncate(known);
            branches.push((pipe, body));
            match ended {
                Ended::End(_) => return Ok((branches, Vec::new())),
                Ended::Text => return Err(Flaw::new(self.end, format!("{{{{{keyword}}}}} without {{{{end}}}}"))),
                Ended::Else(_) => {}
            }
            self.skip_space();
            if self.peek() == Some(&Lexeme::Name(keyword.to_owned())) {
                self.next += 1;
                continue;
            }
            return Ok((branches, self.otherwise(keyword)?));
        }
    }

    /// Behind an `else` that is the last.
    fn otherwise(&mut self, keyword: &str) -> Result<Nodes, Flaw> {
        self.close("else")?;
        let known = self.scope.len();
        let (nodes, ended) = self.nodes()?;
        self.scope.truncate(known);
        match ended {
            Ended::End(_) => Ok(nodes),
            Ended::Else(at) => Err(Flaw::new(at, "expected {{end}}, found {{else}}")),
            Ended::Text => Err(Flaw::new(self.end, format!("{{{{{keyword}}}}} without {{{{end}}}}"))),
        }
    }

    fn range(&mut self, at: usize) -> Result<Node, Flaw> {
        let over = self.pipe("range", 2)?;
        self.close("range")?;
        self.loops += 1;
        let known = self.scope.len();
        let body = self.nodes();
        self.scope.truncate(known);
        self.loops -= 1;
        let (body, ended) = body?;
        let otherwise = match ended {
            Ended::End(_) => Vec::new(),
            Ended::Else(_) => self.otherwise("range")?,
            Ended::Text => return Err(Flaw::new(self.end, "{{range}} without {{end}}")),
        };
        Ok(Node::Range { at, over, body, otherwise })
    }

    fn quoted(&mut self, context: &str) -> Result<String, Flaw> {
        self.skip_space();
        let Some(Lexeme::Quoted(name)) = self.peek().cloned() else { return Err(self.unexpected(context)) };
        self.next += 1;
        Ok(name)
    }

    fn define(&mut self, at: usize) -> Result<(), Flaw> {
        if self.depth > 1 {
            return Err(Flaw::new(at, "unexpected {{define}} inside of another action"));
        }
        let name = self.quoted("define clause")?;
        self.close("define clause")?;
        self.body_of(at, name)
    }

    /// The nodes of a definition, up to its end; they know no variables but `$`.
    fn body_of(&mut self, at: usize, name: String) -> Result<(), Flaw> {
        let scope = std::mem::replace(&mut self.scope, vec![String::new()]);
        let loops = std::mem::take(&mut self.loops);
        let (nodes, ended) = self.nodes()?;
        self.scope = scope;
        self.loops = loops;
        match ended {
            Ended::End(_) => {}
            Ended::Else(at) => return Err(Flaw::new(at, "unexpected {{else}} in a definition")),
            Ended::Text => return Err(Flaw::new(self.end, "definition without {{end}}")),
        }
        // A definition without anything in it takes the place of none.
        let is_empty =
            |nodes: &Nodes| nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        match self.defined.get(&name) {
            Some(known) if !is_empty(known) && !is_empty(&nodes) => {
                return Err(Flaw::new(at, format!("multiple definition of template {name:?}")));
            }
            Some(_) if is_empty(&nodes) => {}
            _ => drop(self.defined.insert(name, nodes)),
        }
        Ok(())
    }

    fn template(&mut self, at: usize, keyword: &str) -> Result<Node, Flaw> {
        let name = self.quoted("template clause")?;
        self.skip_space();
        let data = match self.peek() {
            Some(Lexeme::Close) if keyword == "template" => None,
            _ => Some(self.pipe(keyword, 1)?),
        };
        self.close(keyword)?;
        if keyword == "block" {
            self.body_of(at, name.clone())?;
        }
        Ok(Node::Template { at, name, data })
    }

    /// A pipeline that may declare so many variables.
    fn pipe(&mut self, context: &str, may_declare: usize) -> Result<Pipe, Flaw> {
        self.skip_space();
        let at = self.at();
        let (variables, assigns) = self.declared(may_declare)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            self.skip_space();
            if matches!(self.peek(), Some(Lexeme::Close | Lexeme::RightParen)) {
                break;
            }
            let command = self.deeper(|this| this.command(context))?;
            let cannot_run = matches!(command.first, Operand::Dot | Operand::Nil | Operand::Literal(_));
            if !commands.is_empty() && cannot_run {
                return Err(Flaw::new(
                    command.at,
                    format!("non executable command in pipeline stage {}", commands.len() + 1),
                ));
            }
            commands.push(command);
            self.skip_space();
            if self.peek() != Some(&Lexeme::Pipe) {
                break;
            }
            self.next += 1;
        }
        if commands.is_empty() {
            return Err(Flaw::new(at, format!("missing value for {context}")));
        }
        if !assigns {
            self.scope.extend(variables.iter().cloned());
        }
        Ok(Pipe { at, variables, assigns, commands })
    }

    fn declared(&mut self, most: usize) -> Result<(Vec<String>, bool), Flaw> {
        let start = self.next;
        let mut names = Vec::new();
        while let Some(Lexeme::Variable(name)) = self.peek().cloned() {
            self.next += 1;
            self.skip_space();
            names.push(name);
            match self.peek() {
                Some(Lexeme::Declare) => {
                    self.next += 1;
                    return Ok((names, false));
                }
                Some(Lexeme::Assign) => {
                    self.next += 1;
                    if let Some(name) = names.iter().find(|name| !self.scope.contains(name)) {
                        return Err(Flaw::new(self.at(), format!("undefined variable `${name}`")));
                    }
                    return Ok((names, true));
                }
                Some(Lexeme::Comma) if names.len() < most => {
                    self.next += 1;
                    self.skip_space();
                }
                Some(Lexeme::Comma) => return Err(Flaw::new(self.at(), "too many declarations")),
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    fn command(&mut self, context: &str) -> Result<Command, Flaw> {
        let at = self.at();
        let first = self.operand(context)?;
        let mut rest = Vec::new();
        loop {
            match self.peek() {
                Some(Lexeme::Space) => {
                    self.skip_space();
                    if matches!(self.peek(), Some(Lexeme::Close | Lexeme::RightParen | Lexeme::Pipe)) {
                        break;
                    }
                    rest.push(self.operand(context)?);
                }
                Some(Lexeme::Close | Lexeme::RightParen | Lexeme::Pipe) => break,
                _ => return Err(self.unexpected("operand")),
            }
        }
        Ok(Command { at, first, rest })
    }

    fn operand(&mut self, context: &str) -> Result<Operand, Flaw> {
        let at = self.at();
        let Some(what) = self.peek().cloned() else { return Err(self.unexpected(context)) };
        let mut operand = match what {
            Lexeme::Dot => Operand::Dot,
            Lexeme::Int(number) => Operand::Literal(Value::Int(number)),
            Lexeme::Float(number) => Operand::Literal(Value::Float(number)),
            Lexeme::Quoted(text) => Operand::Literal(Value::from(text)),
            Lexeme::Field(name) => Operand::Field(vec![name]),
            Lexeme::Variable(name) => {
                if !self.scope.contains(&name) {
                    return Err(Flaw::new(at, format!("undefined variable `${name}`")));
                }
                Operand::Variable(name, Vec::new())
            }
            Lexeme::Name(name) => match name.as_str() {
                "true" => Operand::Literal(Value::Bool(true)),
                "false" => Operand::Literal(Value::Bool(false)),
                "nil" => Operand::Nil,
                name => Operand::Function(function::find(name).map_err(|message| Flaw::new(at, message))?),
            },
            Lexeme::LeftParen => {
                self.next += 1;
                let inner = self.deeper(|this| this.pipe("parenthesized pipeline", 1))?;
                self.skip_space();
                if self.peek() != Some(&Lexeme::RightParen) {
                    return Err(self.unexpected("parenthesized pipeline"));
                }
                Operand::Pipe(Box::new(inner))
            }
            _ => return Err(self.unexpected(context)),
        };
        self.next += 1;
        while let Some(Lexeme::Field(name)) = self.peek().cloned() {
            match &mut operand {
                Operand::Field(names) | Operand::Variable(_, names) | Operand::Chain(_, names) => names.push(name),
                Operand::Function(_) | Operand::Pipe(_) => operand = Operand::Chain(Box::new(operand), vec![name]),
                Operand::Dot | Operand::Nil | Operand::Literal(_) => {
                    return Err(self.unexpected("a field of a literal"));
                }
            }
            self.next += 1;
        }
        Ok(operand)
    }
}
