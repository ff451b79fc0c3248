//! The queries of MetricTemplates: the part of Go's `text/template` that Flagger's documentation uses.
//!
//! **In:** a query's text, the [`Variables`] of one check. **Out:** the query, or an [`Error`] with its place.
//! **May not:** loop, branch, or call anything but the functions of Flagger: a query that needs more is refused by
//! name, never sent half rendered.
//!
//! Understood: `{{ name }}`, `{{- name -}}`, comments, string literals, `{{ variables.KEY }}`,
//! `{{ index variables "KEY" }}`, and the pipelines `{{ "KEY" | index variables }}`.

use std::collections::BTreeMap;

/// What the functions answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// The Canary's name.
    pub name: String,
    /// The Canary's namespace.
    pub namespace: String,
    /// The target's name.
    pub target: String,
    /// The apex Service.
    pub service: String,
    /// The Ingress, else the target.
    pub ingress: String,
    /// The route, else the target; of Knative the latest created revision.
    pub route: String,
    /// The check's interval, as written.
    pub interval: String,
    /// The check's `templateVariables`.
    pub variables: BTreeMap<String, String>,
}

/// Where in a template something is, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

/// Why a template cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", .position.line, .position.column)]
pub struct Error {
    /// Where.
    pub position: Position,
    /// What.
    pub problem: TemplateProblem,
}

/// What is wrong in a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// `{{` without `}}`.
    #[error("unclosed action")]
    Unclosed,
    /// `{{ }}`.
    #[error("missing value for command")]
    Empty,
    /// A text without its second quote.
    #[error("unterminated quoted string")]
    UnclosedString,
    /// Flagger has no such function.
    #[error("function {0:?} not defined")]
    UnknownFunction(String),
    /// `templateVariables` lacks the key.
    #[error("map has no entry for key {0:?}")]
    MissingKey(String),
    /// A function with arguments it does not take, or a value that is none.
    #[error("{0} cannot be used so")]
    Misused(String),
    /// Something that Go's templates know and queries do not need.
    #[error("{0:?} is not supported in queries")]
    Unsupported(String),
}

/// Renders a query.
///
/// # Errors
/// With the first thing in the template that cannot be rendered, and its place.
pub fn render(template: &str, variables: &Variables) -> Result<String, Error> {
    let mut out = String::with_capacity(template.len());
    let mut rest = 0;
    while let Some(found) = template[rest..].find("{{") {
        let open = rest + found;
        let mut action = open + 2;
        let text = &template[rest..open];
        let trims_left = template[action..].starts_with('-') && template[action + 1..].starts_with(char::is_whitespace);
        out.push_str(if trims_left { text.trim_end() } else { text });
        if trims_left {
            action += 1;
        }
        let place = Source { template, open };
        let close = close_of(&place, action)?;
        let mut inner = &template[action..close];
        rest = close + 2;
        if let Some(before) = inner.strip_suffix('-')
            && before.ends_with(char::is_whitespace)
        {
            inner = before;
            rest += template[rest..].len() - template[rest..].trim_start().len();
        }
        if inner.trim_start().starts_with("/*") {
            continue;
        }
        out.push_str(&evaluate(&place, action, inner, variables)?);
    }
    out.push_str(&template[rest..]);
    Ok(out)
}

/// The text an action is in, for the place of what is wrong with it.
struct Source<'a> {
    template: &'a str,
    open: usize,
}

impl Source<'_> {
    fn error(&self, at: usize, problem: TemplateProblem) -> Error {
        let before = &self.template[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let position =
            Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 };
        Error { position, problem }
    }
}

/// Where the `}}` of an action stands; braces within strings and comments do not count.
fn close_of(place: &Source<'_>, start: usize) -> Result<usize, Error> {
    let text = place.template;
    let body = &text[start..];
    if let Some(comment) = body.trim_start().strip_prefix("/*") {
        let after = comment.find("*/").ok_or_else(|| place.error(place.open, TemplateProblem::Unclosed))?;
        let from = text.len() - comment.len() + after;
        return text[from..]
            .find("}}")
            .map(|at| from + at)
            .ok_or_else(|| place.error(place.open, TemplateProblem::Unclosed));
    }
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' | '`' => loop {
                match characters.next() {
                    Some((_, '\\')) if character == '"' => drop(characters.next()),
                    Some((_, found)) if found == character => break,
                    Some((_, '\n')) if character == '"' => {
                        return Err(place.error(start + at, TemplateProblem::UnclosedString));
                    }
                    Some(_) => {}
                    None => return Err(place.error(start + at, TemplateProblem::UnclosedString)),
                }
            },
            '}' if body[at..].starts_with("}}") => return Ok(start + at),
            _ => {}
        }
    }
    Err(place.error(place.open, TemplateProblem::Unclosed))
}

/// One word of an action.
#[derive(Clone, Debug, PartialEq)]
enum Word {
    Text(String),
    /// A function, with the fields asked of its result: `variables.KEY`.
    Call(String, Vec<String>),
    Pipe,
}

/// What a command gives.
#[derive(Clone, Copy)]
enum Given<'a> {
    Text(&'a str),
    Map(&'a BTreeMap<String, String>),
}

fn evaluate(place: &Source<'_>, start: usize, inner: &str, variables: &Variables) -> Result<String, Error> {
    let words = words(place, start, inner)?;
    if words.is_empty() {
        return Err(place.error(place.open, TemplateProblem::Empty));
    }
    let mut piped: Option<String> = None;
    let mut commands = words.split(|(_, word)| *word == Word::Pipe).peekable();
    while let Some(command) = commands.next() {
        let Some((at, head)) = command.first() else {
            return Err(place.error(place.open, TemplateProblem::Empty));
        };
        let misused = |name: &str| place.error(*at, TemplateProblem::Misused(name.to_owned()));
        let result = match head {
            Word::Call(name, fields) if name == "index" => {
                let Some((_, map)) = command.get(1) else { return Err(misused("index")) };
                let key = match (command.get(2), &piped, fields.is_empty()) {
                    (Some((at, Word::Text(key))), None, true) if command.len() == 3 => (*at, key.clone()),
                    (None, Some(key), true) => (*at, key.clone()),
                    _ => return Err(misused("index")),
                };
                match map {
                    Word::Call(name, fields) if fields.is_empty() => match call(name, variables) {
                        Some(Given::Map(map)) => lookup(place, key.0, map, &key.1)?,
                        Some(Given::Text(_)) => return Err(misused("index")),
                        None => return Err(place.error(*at, TemplateProblem::UnknownFunction(name.clone()))),
                    },
                    _ => return Err(misused("index")),
                }
            }
            Word::Call(name, fields) => {
                let given = call(name, variables)
                    .ok_or_else(|| place.error(*at, TemplateProblem::UnknownFunction(name.clone())))?;
                if command.len() > 1 || piped.is_some() {
                    return Err(misused(name));
                }
                match (given, fields.as_slice()) {
                    (Given::Text(text), []) => text.to_owned(),
                    (Given::Map(map), [key]) => lookup(place, *at, map, key)?,
                    _ => return Err(misused(name)),
                }
            }
            Word::Text(text) if command.len() == 1 && piped.is_none() => text.clone(),
            Word::Text(text) => return Err(misused(text)),
            Word::Pipe => return Err(place.error(*at, TemplateProblem::Empty)),
        };
        if commands.peek().is_none() {
            return Ok(result);
        }
        piped = Some(result);
    }
    Err(place.error(place.open, TemplateProblem::Empty))
}

fn call<'a>(name: &str, variables: &'a Variables) -> Option<Given<'a>> {
    Some(match name {
        "name" => Given::Text(&variables.name),
        "namespace" => Given::Text(&variables.namespace),
        "target" => Given::Text(&variables.target),
        "service" => Given::Text(&variables.service),
        "ingress" => Given::Text(&variables.ingress),
        "route" => Given::Text(&variables.route),
        "interval" => Given::Text(&variables.interval),
        "variables" => Given::Map(&variables.variables),
        _ => return None,
    })
}

fn lookup(place: &Source<'_>, at: usize, map: &BTreeMap<String, String>, key: &str) -> Result<String, Error> {
    map.get(key).cloned().ok_or_else(|| place.error(at, TemplateProblem::MissingKey(key.to_owned())))
}

fn words(place: &Source<'_>, start: usize, inner: &str) -> Result<Vec<(usize, Word)>, Error> {
    let mut words = Vec::new();
    let mut rest = inner;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(words) };
        let at = start + (inner.len() - rest.len());
        let unsupported = |text: &str| place.error(at, TemplateProblem::Unsupported(text.to_owned()));
        let (word, length) = match first {
            '|' => (Word::Pipe, 1),
            '"' => {
                // A string of Go is, as far as queries need it, one of JSON.
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                match stream.next() {
                    Some(Ok(text)) => (Word::Text(text), stream.byte_offset()),
                    _ => return Err(unsupported(rest.trim_end())),
                }
            }
            '`' => match rest[1..].find('`') {
                Some(end) => (Word::Text(rest[1..=end].to_owned()), end + 2),
                None => return Err(place.error(at, TemplateProblem::UnclosedString)),
            },
            _ => {
                let length = rest.find(|c: char| c.is_whitespace() || c == '|').unwrap_or(rest.len());
                let text = &rest[..length];
                let mut parts = text.split('.').map(str::to_owned);
                let name = parts.next().unwrap_or_default();
                let fields: Vec<String> = parts.collect();
                let is_name = |part: &String| {
                    part.starts_with(|c: char| c.is_alphabetic() || c == '_')
                        && part.chars().all(|c| c.is_alphanumeric() || c == '_')
                };
                const KEYWORDS: [&str; 10] =
                    ["if", "else", "end", "range", "with", "define", "block", "template", "break", "continue"];
                if !is_name(&name) || !fields.iter().all(is_name) || KEYWORDS.contains(&text) {
                    return Err(unsupported(text));
                }
                (Word::Call(name, fields), length)
            }
        };
        words.push((at, word));
        rest = &rest[length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables {
            name: "web".into(),
            namespace: "shop".into(),
            target: "web-app".into(),
            service: "web-service".into(),
            ingress: "web-ingress".into(),
            route: "web-route".into(),
            interval: "1m".into(),
            variables: [("code", "5..")].map(|(key, value)| (key.into(), value.into())).into(),
        }
    }

    #[test]
    fn the_functions_of_flagger_are_replaced() {
        let cases = [
            // template, rendered
            ("", ""),
            ("sum(x)", "sum(x)"),
            ("{{ name }} {{namespace}} {{ target }}", "web shop web-app"),
            ("{{ service }} {{ ingress }} {{ route }}", "web-service web-ingress web-route"),
            (r#"x{ns="{{ namespace }}"}[{{ interval }}]"#, r#"x{ns="shop"}[1m]"#),
            ("a {{- name -}} b", "awebb"),
            ("a{{/* a comment }} */}}b{{- /* c */ -}} d", "abd"),
            ("{{ variables.code }}", "5.."),
            (r#"{{ index variables "code" }}"#, "5.."),
            (r#"{{ "code" | index variables }}"#, "5.."),
            (r#"{{ "a\"}}" }}{{ `b\` }}"#, r#"a"}}b\"#),
            ("{ } }} {", "{ } }} {"),
        ];
        for (template, rendered) in cases {
            assert_eq!(render(template, &variables()).as_deref(), Ok(rendered), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_rendered_is_told_with_its_place() {
        let cases = [
            // template, what is said
            ("a\n  {{ nam }}", "line 2, column 6: function \"nam\" not defined"),
            ("é{{ variables.nope }}", "line 1, column 5: map has no entry for key \"nope\""),
            (r#"{{ index variables "nope" }}"#, "line 1, column 20: map has no entry for key \"nope\""),
            ("a {{ name", "line 1, column 3: unclosed action"),
            ("a {{ /* name", "line 1, column 3: unclosed action"),
            ("{{ }}", "line 1, column 1: missing value for command"),
            ("{{ | name }}", "line 1, column 1: missing value for command"),
            ("{{ name | }}", "line 1, column 1: missing value for command"),
            ("{{ \"a }}", "line 1, column 4: unterminated quoted string"),
            ("{{ variables }}", "line 1, column 4: variables cannot be used so"),
            ("{{ name.x }}", "line 1, column 4: name cannot be used so"),
            ("{{ name target }}", "line 1, column 4: name cannot be used so"),
            ("{{ index name \"x\" }}", "line 1, column 4: index cannot be used so"),
            ("{{ if name }}", "line 1, column 4: \"if\" is not supported in queries"),
            // Go reads a minus without its space as a number.
            ("a {{-name}}", "line 1, column 5: \"-name\" is not supported in queries"),
            ("{{ .Name }}", "line 1, column 4: \".Name\" is not supported in queries"),
            ("{{ $x := 1 }}", "line 1, column 4: \"$x\" is not supported in queries"),
        ];
        for (template, said) in cases {
            assert_eq!(render(template, &variables()).unwrap_err().to_string(), said, "{template}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(template in "(\\{\\{|\\}\\}|-| |\"|`|/\\*|\\*/|\\||[a-zé.\\\\\n]|name|variables|index){0,12}") {
            let _ = render(&template, &variables());
        }
    }
}
