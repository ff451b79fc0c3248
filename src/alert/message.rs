//! Templates of messages: a text for all services, and sections for single ones. Each text in them is a template.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use super::document;
use crate::template::{Template, Value};
use crate::yaml::Node;

/// A `template.<name>`.
#[derive(Debug)]
pub struct MessageTemplate {
    sections: Vec<(String, Part)>,
}

#[derive(Debug)]
enum Part {
    Text { path: String, template: Template },
    Fixed(Json),
    List(Vec<Part>),
    Map(Vec<(String, Part)>),
}

/// What a template has become: `message`, and the section of the service that it is for.
pub type Message = Map<String, Json>;

impl MessageTemplate {
    /// Reads one.
    ///
    /// # Errors
    /// When it is no YAML or one of its texts no template, with the place.
    pub fn read(text: &str) -> Result<Self, String> {
        let Some(root) = document::document(text)? else { return Ok(MessageTemplate { sections: Vec::new() }) };
        match part(&root, "")? {
            Part::Map(sections) => Ok(MessageTemplate { sections }),
            _ => Err(document::at(&root, "a mapping is needed, with `message` or a service's name as key")),
        }
    }

    /// Renders what concerns a service into a message, over what an earlier template has put there.
    ///
    /// # Errors
    /// When one of the texts cannot be rendered, with its place.
    pub fn render(&self, into: &mut Message, kind: &str, names: &Value, now: Timestamp) -> Result<(), String> {
        for (name, part) in &self.sections {
            if name == "message" || name == kind {
                let rendered = part.render(names, now)?;
                merge(into.entry(name.clone()).or_insert(Json::Null), rendered);
            }
        }
        Ok(())
    }
}

fn part(node: &Node, path: &str) -> Result<Part, String> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(entries) = node.as_mapping() {
        let one = |entry: &crate::yaml::Entry| {
            let name = document::text(&entry.key)?;
            let part = part(&entry.value, &below(&name))?;
            Ok((name, part))
        };
        return Ok(Part::Map(entries.iter().map(one).collect::<Result<_, String>>()?));
    }
    if let Some(items) = node.as_sequence() {
        let items = items.iter().enumerate().map(|(index, item)| part(item, &below(&index.to_string())));
        return Ok(Part::List(items.collect::<Result<_, _>>()?));
    }
    match document::value(node)? {
        Json::String(text) => {
            let template = Template::parse(&text).map_err(|error| document::within(node, path, &error))?;
            Ok(Part::Text { path: path.to_owned(), template })
        }
        other => Ok(Part::Fixed(other)),
    }
}

impl Part {
    fn render(&self, names: &Value, now: Timestamp) -> Result<Json, String> {
        match self {
            Part::Text { path, template } => {
                template.render(names, now).map(Json::String).map_err(|error| format!("{path}: {error}"))
            }
            Part::Fixed(value) => Ok(value.clone()),
            Part::List(items) => items.iter().map(|item| item.render(names, now)).collect(),
            Part::Map(entries) => {
                entries.iter().map(|(name, part)| Ok((name.clone(), part.render(names, now)?))).collect()
            }
        }
    }
}

/// Lays one over the other; an empty text covers nothing.
fn merge(into: &mut Json, over: Json) {
    match (into, over) {
        (Json::Object(into), Json::Object(over)) => {
            for (key, value) in over {
                merge(into.entry(key).or_insert(Json::Null), value);
            }
        }
        (Json::String(_), Json::String(text)) if text.is_empty() => {}
        (into, over) => *into = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn later_templates_are_laid_over_earlier_ones_for_their_service_only() {
        let names = Value::from(&json!({"app": {"metadata": {"name": "web"}}}));
        let first = "message: 'App {{.app.metadata.name}}'\nslack: {attachments: '[]', notifyBroadcast: true}\nemail: {subject: '{{fail \"no\"}}'}";
        let second = "message: ''\nslack:\n  attachments: '[{{.app.metadata.name}}]'";
        let mut message = Message::new();
        for text in [first, second] {
            let template = MessageTemplate::read(text).unwrap();
            template.render(&mut message, "slack", &names, Timestamp::UNIX_EPOCH).unwrap();
        }
        let expected = json!({"message": "App web", "slack": {"attachments": "[web]", "notifyBroadcast": true}});
        assert_eq!(Json::Object(message.clone()), expected);
        let error = MessageTemplate::read(first).unwrap().render(&mut message, "email", &names, Timestamp::UNIX_EPOCH);
        assert_eq!(error.unwrap_err(), "email.subject: line 1, column 3: fail: no");
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_place() {
        let cases = [
            ("message: |\n  a\n  {{ .x ", "line 3, column 9: message: unclosed action"),
            ("message: [", "line 1, column 10: invalid YAML"),
            ("- a", "line 1, column 1: a mapping is needed"),
        ];
        for (text, expected) in cases {
            let error = MessageTemplate::read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
