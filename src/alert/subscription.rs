//! Who wants to hear of what: annotations of Applications and AppProjects, and the configuration's own list.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::config::Configuration;
use super::document;
use crate::yaml::Node;

/// What annotations begin with.
const PREFIX: &str = "notifications.argoproj.io/";

/// A recipient of one service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// The service, by its name in the configuration.
    pub service: String,
    /// A channel, an address; empty where the service says it all.
    pub recipient: String,
}

/// Triggers, and who is told.
pub type Destinations = BTreeMap<String, BTreeSet<Destination>>;

/// An entry of `subscriptions`.
#[derive(Clone, Debug)]
pub struct Subscription {
    recipients: Vec<Destination>,
    triggers: Vec<String>,
    selector: Vec<Requirement>,
}

/// A part of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Everyone who is to be told of an application.
pub fn destinations<'a>(
    config: &Configuration,
    annotations: impl Iterator<Item = (&'a str, &'a str)>,
    labels: &BTreeMap<String, String>,
) -> Destinations {
    let mut found = Destinations::new();
    for subscription in &config.subscriptions {
        if subscription.selector.iter().all(|requirement| requirement.holds(labels)) {
            for destination in &subscription.recipients {
                add(&mut found, config, &subscription.triggers, destination);
            }
        }
    }
    for (key, value) in annotations {
        let Some(rest) = key.strip_prefix(PREFIX) else { continue };
        if let Some(rest) = rest.strip_prefix("subscribe.") {
            let mut parts = rest.split('.');
            let first = parts.next().unwrap_or_default();
            let (triggers, service) = match parts.next() {
                Some(service) => (vec![first.to_owned()], service),
                None => (Vec::new(), first),
            };
            for recipient in recipients(value) {
                add(&mut found, config, &triggers, &Destination { service: service.to_owned(), recipient });
            }
        } else if rest.starts_with("subscriptions")
            // One that makes no sense subscribes nobody.
            && let Ok(listed) = listed(value)
        {
            for (triggers, destination) in listed {
                add(&mut found, config, &triggers, &destination);
            }
        }
    }
    found
}

fn add(found: &mut Destinations, config: &Configuration, triggers: &[String], destination: &Destination) {
    let triggers = if triggers.is_empty() { config.default_triggers(&destination.service) } else { triggers };
    for trigger in triggers {
        found.entry(trigger.clone()).or_default().insert(destination.clone());
    }
}

/// `a;b`; nothing is the one recipient without a name.
fn recipients(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec![String::new()];
    }
    value.split(';').map(str::trim).filter(|recipient| !recipient.is_empty()).map(str::to_owned).collect()
}

/// The annotation `subscriptions`: a list of triggers and destinations.
fn listed(text: &str) -> Result<Vec<(Vec<String>, Destination)>, String> {
    let Some(root) = document::document(text)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in root.as_sequence().unwrap_or_default() {
        let triggers = entry.get("trigger").map(document::texts).transpose()?.unwrap_or_default();
        for destination in entry.get("destinations").and_then(Node::as_sequence).unwrap_or_default() {
            let service = destination.get("service").map(document::text).transpose()?.unwrap_or_default();
            let recipients = destination.get("recipients").map(document::texts).transpose()?.unwrap_or_default();
            let all = recipients.into_iter().map(|recipient| Destination { service: service.clone(), recipient });
            found.extend(all.map(|destination| (triggers.clone(), destination)));
        }
    }
    Ok(found)
}

impl Subscription {
    /// Reads the list `subscriptions`.
    ///
    /// # Errors
    /// When it makes no sense, with the place.
    pub(super) fn read_all(text: &str) -> Result<Vec<Self>, String> {
        let Some(root) = document::document(text)? else { return Ok(Vec::new()) };
        let entries = root.as_sequence().ok_or_else(|| document::at(&root, "a list of subscriptions is needed"))?;
        let one = |entry: &Node| {
            let texts = |key: &str| entry.get(key).map(document::texts).transpose().map(Option::unwrap_or_default);
            let recipients = texts("recipients")?.into_iter().map(|recipient| {
                // As Argo CD has it: what stands behind a second colon is cut off.
                let mut parts = recipient.split(':').map(str::to_owned);
                Destination { service: parts.next().unwrap_or_default(), recipient: parts.next().unwrap_or_default() }
            });
            let selector = match entry.get("selector") {
                Some(node) => selector(&document::text(node)?).map_err(|why| document::at(node, why))?,
                None => Vec::new(),
            };
            Ok(Subscription { recipients: recipients.collect(), triggers: texts("triggers")?, selector })
        };
        entries.iter().map(one).collect()
    }
}

/// A label selector as kubectl takes it: `a=b,c!=d,e in (f,g),h,!i`.
fn selector(text: &str) -> Result<Vec<Requirement>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        // A comma between parentheses parts values.
        let close =
            rest.find('(').filter(|open| rest.find(',').is_none_or(|comma| *open < comma)).and_then(|_| rest.find(')'));
        let end = rest[close.unwrap_or(0)..].find(',').map_or(rest.len(), |comma| comma + close.unwrap_or(0));
        found.push(requirement(rest[..end].trim()).ok_or_else(|| format!("`{}` is no label selector", &rest[..end]))?);
        rest = rest[end..].trim_start_matches(',').trim();
    }
    Ok(found)
}

fn requirement(text: &str) -> Option<Requirement> {
    let values = |text: &str| -> Option<Vec<String>> {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let key = |text: &str| {
        let key = text.trim();
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        is_key.then(|| key.to_owned())
    };
    if let Some((name, list)) = text.split_once(" notin ") {
        return Some(Requirement::NotIn(key(name)?, values(list)?));
    }
    if let Some((name, list)) = text.split_once(" in ") {
        return Some(Requirement::In(key(name)?, values(list)?));
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn(key(name)?, vec![value.trim().to_owned()]));
    }
    if let Some((name, value)) = text.split_once('=') {
        return Some(Requirement::In(key(name)?, vec![value.trim_start_matches('=').trim().to_owned()]));
    }
    match text.strip_prefix('!') {
        Some(name) => Some(Requirement::Absent(key(name)?)),
        None => Some(Requirement::Exists(key(text)?)),
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => !labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_and_the_configuration_say_who_is_told() {
        let data = [
            ("defaultTriggers", "- on-a"),
            ("defaultTriggers.pager", "[on-b, on-c]"),
            (
                "subscriptions",
                "- recipients: [slack:ops, hook]\n  triggers: [on-x]\n- recipients: [slack:shop]\n  selector: team=shop\n  triggers: on-x\n",
            ),
        ];
        let data = data.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        let (config, mistakes) = Configuration::read(&data, &BTreeMap::new());
        assert_eq!(mistakes, []);
        let listed = "- trigger: [on-y, on-z]\n  destinations:\n  - service: mail\n    recipients: [a@example.com, b@example.com]\n";
        let annotations = [
            ("notifications.argoproj.io/subscribe.on-x.slack", "one; two;"),
            ("notifications.argoproj.io/subscribe.slack", "three"),
            ("notifications.argoproj.io/subscribe.pager", ""),
            ("notifications.argoproj.io/subscriptions", listed),
            ("notifications.argoproj.io/other.on-x.slack", "four"),
        ];
        let told = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let found = destinations(&config, annotations.into_iter(), &labels);
            let lines = found.into_iter().map(|(trigger, who)| {
                let who: Vec<String> = who.into_iter().map(|to| format!("{}:{}", to.service, to.recipient)).collect();
                format!("{trigger} {}", who.join(" "))
            });
            lines.collect::<Vec<_>>()
        };
        let both = "mail:a@example.com mail:b@example.com";
        let plain = ["on-a slack:three", "on-b pager:", "on-c pager:", "on-x hook: slack:one slack:ops slack:two"];
        assert_eq!(told(&[])[..4], plain);
        assert_eq!(told(&[])[4..], [format!("on-y {both}"), format!("on-z {both}")]);
        assert_eq!(told(&[("team", "shop")])[3], "on-x hook: slack:one slack:ops slack:shop slack:two");
    }

    #[test]
    fn selectors_are_those_of_kubectl() {
        let labels = BTreeMap::from([("team".to_owned(), "shop".to_owned()), ("tier".to_owned(), "web".to_owned())]);
        let cases = [
            ("", Some(true)),
            ("team=shop", Some(true)),
            ("team==shop,tier!=db", Some(true)),
            ("team in (a, shop),tier", Some(true)),
            ("team notin (shop)", Some(false)),
            ("!team", Some(false)),
            ("!other", Some(true)),
            ("team=a", Some(false)),
            ("team in shop", None),
            ("te am", None),
        ];
        for (text, expected) in cases {
            let holds = selector(text).ok().map(|all| all.iter().all(|requirement| requirement.holds(&labels)));
            assert_eq!(holds, expected, "{text}");
        }
    }
}
