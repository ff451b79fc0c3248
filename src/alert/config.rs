//! `argocd-notifications-cm` with `argocd-notifications-secret`, read key by key: one that makes no sense disturbs no other.

use std::collections::BTreeMap;

use crate::object::secret::{self, Masked};
use crate::template::Value;
use crate::yaml::Node;

use super::message::MessageTemplate;
use super::names::{self, Scene};
use super::service::Service;
use super::subscription::Subscription;
use super::when::Expression;
use super::{catalog, document};

/// The ConfigMap.
pub const CONFIG_MAP: &str = "argocd-notifications-cm";
/// The Secret that `$key` in it means.
pub const SECRET: &str = "argocd-notifications-secret";

/// All that is configured; what is not is from the [`catalog`].
#[derive(Default)]
pub struct Configuration {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) templates: BTreeMap<String, MessageTemplate>,
    pub(super) triggers: BTreeMap<String, Vec<Condition>>,
    pub(super) subscriptions: Vec<Subscription>,
    default_triggers: Vec<String>,
    service_triggers: BTreeMap<String, Vec<String>>,
    context: Value,
    secrets: Value,
    hidden: Vec<Masked>,
    asks_for_commits: bool,
}

/// One condition of a trigger.
#[derive(Debug)]
pub struct Condition {
    /// As it is written: what is told is remembered under its hash.
    pub when: String,
    /// The same, read.
    pub is_so: Expression,
    /// What it is told once for.
    pub once_per: Option<Expression>,
    /// The templates that are sent.
    pub send: Vec<String>,
}

/// A key that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Which.
    pub key: String,
    /// Where in it, and why.
    pub message: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

impl Configuration {
    /// Reads it; what cannot be read is left away and told.
    pub fn read(data: &BTreeMap<String, String>, secrets: &BTreeMap<String, Masked>) -> (Self, Vec<Mistake>) {
        let mut config = catalog::configuration();
        config.hidden = secrets.values().cloned().collect();
        let texts = secrets.iter().filter_map(|(key, value)| Some((key.clone(), Value::from(value.expose_text()?))));
        config.secrets = texts.collect::<BTreeMap<_, _>>().into();
        let mut mistakes = Vec::new();
        for (key, text) in data {
            config.asks_for_commits |= text.contains("GetCommitMetadata");
            if let Err(message) = config.take_in(key, text, secrets) {
                let message = secret::redact(&message, &config.hidden);
                mistakes.push(Mistake { key: key.clone(), message });
            }
        }
        mistakes.extend(config.unknown_templates());
        (config, mistakes)
    }

    pub(super) fn take_in(&mut self, key: &str, text: &str, secrets: &BTreeMap<String, Masked>) -> Result<(), String> {
        match key.split_once('.').unwrap_or((key, "")) {
            ("service", name) => {
                let (kind, name) = match name.split('.').collect::<Vec<_>>()[..] {
                    [kind] if !kind.is_empty() => (kind, kind),
                    [kind, name] => (kind, name),
                    _ => return Err("`service.<type>` or `service.<type>.<name>` is needed".to_owned()),
                };
                // Also one that cannot be read takes the place of what was there.
                self.services.remove(name);
                let service = Service::read(kind, text, secrets)?;
                self.services.insert(name.to_owned(), service);
            }
            ("template", name) => {
                self.templates.remove(name);
                self.templates.insert(name.to_owned(), MessageTemplate::read(text)?);
            }
            ("trigger", name) => {
                self.triggers.remove(name);
                self.triggers.insert(name.to_owned(), conditions(text)?);
            }
            ("defaultTriggers", "") => self.default_triggers = listed(text)?,
            ("defaultTriggers", service) => drop(self.service_triggers.insert(service.to_owned(), listed(text)?)),
            ("subscriptions", "") => self.subscriptions = Subscription::read_all(text)?,
            ("context", "") => self.context = context(text)?,
            // Others' keys are not ours to judge.
            _ => {}
        }
        Ok(())
    }

    /// The triggers of a subscription that names none.
    pub(super) fn default_triggers(&self, service: &str) -> &[String] {
        self.service_triggers.get(service).unwrap_or(&self.default_triggers)
    }

    /// What conditions and templates see of an application.
    pub fn names(&self, scene: &Scene) -> Value {
        names::names(scene, &self.context, &self.secrets)
    }

    /// A text without the values of secrets.
    pub fn redact(&self, text: &str) -> String {
        secret::redact(text, &self.hidden)
    }

    /// Whether there is anyone to tell anything.
    pub fn has_services(&self) -> bool {
        !self.services.is_empty()
    }

    /// Whether there is a service of this name.
    pub fn has_service(&self, name: &str) -> bool {
        self.services.contains_key(name)
    }

    /// Whether a condition asks what time it is: it may become true without anything happening.
    pub fn asks_for_time(&self) -> bool {
        let mut conditions = self.triggers.values().flatten();
        conditions.any(|condition| condition.when.contains("now(") || condition.when.contains("time.Now"))
    }

    /// Whether somebody wants to know more of a commit than its name.
    pub fn asks_for_commits(&self) -> bool {
        self.asks_for_commits
    }

    fn unknown_templates(&self) -> Vec<Mistake> {
        let conditions =
            self.triggers.iter().flat_map(|(name, all)| all.iter().map(move |condition| (name, condition)));
        let sent = conditions.flat_map(|(name, condition)| condition.send.iter().map(move |template| (name, template)));
        let unknown = sent.filter(|(_, template)| !self.templates.contains_key(*template));
        let mistake = |(name, template): (&String, &String)| Mistake {
            key: format!("trigger.{name}"),
            message: format!("there is no template `{template}`"),
        };
        unknown.map(mistake).collect()
    }
}

fn listed(text: &str) -> Result<Vec<String>, String> {
    document::document(text)?.map(|root| document::texts(&root)).transpose().map(Option::unwrap_or_default)
}

fn context(text: &str) -> Result<Value, String> {
    let Some(root) = document::document(text)? else { return Ok(Value::map([])) };
    let entries = root.as_mapping().ok_or_else(|| document::at(&root, "a mapping of names to texts is needed"))?;
    let one = |entry: &crate::yaml::Entry| Ok((document::text(&entry.key)?, document::text(&entry.value)?.into()));
    Ok(entries.iter().map(one).collect::<Result<BTreeMap<_, Value>, String>>()?.into())
}

/// The conditions of a trigger: a list, or the one.
fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let Some(root) = document::document(text)? else { return Ok(Vec::new()) };
    let single = std::slice::from_ref(&root);
    root.as_sequence().unwrap_or(single).iter().map(condition).collect()
}

fn condition(node: &Node) -> Result<Condition, String> {
    if !node.is_mapping() {
        return Err(document::at(node, format!("a mapping with `when` and `send` is needed, not {}", node.describe())));
    }
    let expression = |name: &str| match node.get(name) {
        None => Ok(None),
        Some(field) => {
            let text = document::text(field)?;
            let read = Expression::parse(&text).map_err(|error| document::within(field, name, &error))?;
            Ok::<_, String>(Some((text, read)))
        }
    };
    // Without a word it is never so.
    let never = || ("false".to_owned(), Expression::parse("false"));
    let (when, is_so) = match expression("when")? {
        Some((text, read)) => (text, read),
        None => (String::new(), never().1.map_err(|error| error.to_string())?),
    };
    let once_per = expression("oncePer")?.map(|(_, read)| read);
    let send = node.get("send").map(document::texts).transpose()?.unwrap_or_default();
    Ok(Condition { when, is_so, once_per, send })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop, proptest};

    #[test]
    fn a_key_that_makes_no_sense_disturbs_no_other() {
        let data = [
            ("service.webhook.hook", "url: https://hooks.example.com/$token"),
            ("service.nosuch", "a: b"),
            ("service.slack", "token: [1]"),
            ("template.good", "message: hello"),
            ("template.bad", "message: '{{ .x '"),
            ("trigger.good", "- when: true\n  send: [good]"),
            ("trigger.bad", "- when: app.x ==\n  send: [good]"),
            ("trigger.lost", "- when: true\n  send: [nowhere]"),
            ("subscriptions", "- recipients: [slack:a]\n  selector: 'a b'"),
            ("context", "region: east\nreplicas: 3"),
            ("other", "{"),
        ];
        let data = data.map(|(key, text)| (key.to_owned(), text.to_owned())).into_iter().collect();
        let secrets = BTreeMap::from([("token".to_owned(), Masked::new("s3cret"))]);
        let (config, mistakes) = Configuration::read(&data, &secrets);
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let expected = [
            "service.nosuch: there is no service of the type `nosuch`",
            "service.slack: token: invalid type: sequence, expected a string",
            "subscriptions: line 2, column 13: `a b` is no label selector",
            "template.bad: line 1, column 10: message: line 1, column 7: unclosed action",
            "trigger.bad: line 1, column 17: when: the expression ends too early",
            "trigger.lost: there is no template `nowhere`",
        ];
        assert_eq!(told, expected);
        assert!(config.services.contains_key("hook") && config.templates.contains_key("good"));
        assert!(config.triggers.contains_key("good") && config.triggers.contains_key("on-deployed"));
        assert_eq!(config.context, Value::map([("region", "east".into()), ("replicas", "3".into())]));
        assert_eq!(config.redact("it is s3cret"), "it is •••••");
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "- ",
            "when: ",
            "send: ",
            "oncePer: ",
            "[a]",
            "{",
            "}",
            "'",
            "\"",
            "|\n  ",
            "\n",
            "  ",
            "app.x",
            "{{",
            "}}",
            "message: ",
            "slack: ",
            "&a ",
            "*a",
            "recipients: ",
            "selector: ",
            "a in (b,",
            "!=",
            "é",
            "token: ",
            "$key",
            "url: ",
            ": ",
            "#",
            "1e9",
            "~",
        ]);
        prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in pieces(), any in ".*") {
            let secrets = BTreeMap::from([("key".to_owned(), Masked::new("value"))]);
            let keys = ["service.slack", "service.webhook.a.b", "template.a", "trigger.a", "subscriptions", "context", "defaultTriggers.a"];
            for text in [&text, &any] {
                let data = keys.iter().map(|key| ((*key).to_owned(), text.clone())).collect();
                let (config, _) = Configuration::read(&data, &secrets);
                let annotations = [("notifications.argoproj.io/subscriptions", text.as_str())];
                let _ = crate::alert::subscription::destinations(&config, annotations.into_iter(), &BTreeMap::new());
            }
        }
    }
}
