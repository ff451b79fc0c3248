//! What is to be told now: every condition that has become true and was not told to everyone who wants to hear of it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::config::{Configuration, Mistake};
use super::message::Message;
use super::names;
use super::notified::Notified;
use super::service::Delivery;
use super::subscription::{Destination, Destinations};
use crate::template::Value;

/// One thing to tell to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// What it is remembered by when it was told: Argo CD's key.
    pub key: String,
    /// Why.
    pub trigger: String,
    /// To whom.
    pub destination: Destination,
    templates: Vec<String>,
}

/// What a look at an application gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// To be told.
    pub due: Vec<Due>,
    /// What could not be found out.
    pub mistakes: Vec<Mistake>,
    /// Whether something was forgotten: its reason is gone.
    pub forgot: bool,
    /// The keys of what is not so: what was to be told of it is not remembered when it is told late.
    pub over: BTreeSet<String>,
}

/// Looks at an application: `names` is what conditions see.
pub fn look(
    config: &Configuration,
    destinations: &Destinations,
    names: &Value,
    notified: &mut Notified,
    now: Timestamp,
) -> Looked {
    let mut looked = Looked::default();
    for (trigger, destinations) in destinations {
        let mistake = |message: String| Mistake { key: format!("trigger.{trigger}"), message };
        let Some(conditions) = config.triggers.get(trigger) else {
            looked.mistakes.push(mistake("somebody subscribes to it, and it is not configured".to_owned()));
            continue;
        };
        for (index, condition) in conditions.iter().enumerate() {
            let hash = URL_SAFE_NO_PAD.encode(Sha1::digest(condition.when.as_bytes()));
            let keys = destinations
                .iter()
                .map(|to| (to, format!("{trigger}:[{index}].{hash}:{}:{}", to.service, to.recipient)));
            // What cannot be found out is not so, as Argo CD has it: fields of a status come one by one.
            let is_so = condition.is_so.evaluate(names, now) == Ok(Value::Bool(true));
            if !is_so {
                for (_, key) in keys {
                    looked.forgot |= notified.forget(&key);
                    looked.over.insert(key);
                }
                continue;
            }
            let once = match condition.once_per.as_ref().map(|per| per.evaluate(names, now)).transpose() {
                Ok(once) => once.map(|once| once.to_string()).filter(|once| !once.is_empty()),
                Err(error) => {
                    looked.mistakes.push(mistake(format!("oncePer: {error}")));
                    None
                }
            };
            for (to, key) in keys {
                let key = once.as_ref().map_or_else(|| key.clone(), |once| format!("{once}:{key}"));
                if !notified.has(&key) {
                    let (trigger, templates) = (trigger.clone(), condition.send.clone());
                    looked.due.push(Due { key, trigger, destination: to.clone(), templates });
                }
            }
        }
    }
    looked
}

/// In which form it is told.
///
/// # Errors
/// When there is no such service, a template cannot be rendered, or the service takes no such message.
pub fn delivery(config: &Configuration, due: &Due, names: &Value, now: Timestamp) -> Result<Delivery, Mistake> {
    let to = &due.destination;
    let service = config.services.get(&to.service).ok_or_else(|| Mistake {
        key: format!("service.{}", to.service),
        message: "somebody subscribes with it, and it is not configured".to_owned(),
    })?;
    let names = names::with(names, [("serviceType", &to.service), ("recipient", &to.recipient)]);
    let mut message = Message::new();
    for name in &due.templates {
        let mistake = |message: String| Mistake { key: format!("template.{name}"), message };
        let template = config.templates.get(name).ok_or_else(|| mistake("it is not configured".to_owned()))?;
        template
            .render(&mut message, service.section(), &names, now)
            .map_err(|message| mistake(config.redact(&message)))?;
    }
    service
        .delivery(to, &message, &names, now)
        .map_err(|message| Mistake { key: format!("service.{}", to.service), message: config.redact(&message) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::names::{Scene, names};
    use crate::alert::subscription;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn config() -> Configuration {
        let data = [
            ("trigger.broken", "- when: app.broken\n  send: [app-created]"),
            ("trigger.per", "- when: app.broken\n  oncePer: app.revision\n  send: [app-created]"),
        ];
        let data = data.map(|(key, text)| (key.to_owned(), text.to_owned())).into_iter().collect();
        Configuration::read(&data, &BTreeMap::new()).0
    }

    fn look_at(app: serde_json::Value, notified: &mut Notified) -> (Vec<String>, bool) {
        let config = config();
        let annotations = [
            ("notifications.argoproj.io/subscribe.broken.slack", "ops"),
            ("notifications.argoproj.io/subscribe.per.slack", "ops"),
        ];
        let destinations = subscription::destinations(&config, annotations.into_iter(), &BTreeMap::new());
        let now = Timestamp::UNIX_EPOCH;
        let scene = Scene { app, project: json!({}), commits: Vec::new(), now };
        let looked = look(&config, &destinations, &names(&scene, &Value::Nil, &Value::Nil), notified, now);
        assert_eq!(looked.mistakes, []);
        for due in &looked.due {
            notified.tell(&due.key, 0);
        }
        (looked.due.into_iter().map(|due| due.key).collect(), looked.forgot)
    }

    #[test]
    fn a_condition_is_told_when_it_becomes_true_and_once_per_value() {
        let mut notified = Notified::default();
        // As Argo CD's own controller writes it: base64 of the SHA-1 of `app.broken`.
        let key = "[0].zuW1HLw2WYH1Rj-A59BuLEjJQfM";
        let (plain, per) = (format!("broken:{key}:slack:ops"), format!("per:{key}:slack:ops"));
        let cases = [
            // broken, revision, what is told, what is forgotten
            (false, "a", vec![], false),
            (true, "a", vec![plain.clone(), format!("a:{per}")], false),
            (true, "a", vec![], false),
            (true, "b", vec![format!("b:{per}")], false),
            (false, "b", vec![], true),
            (true, "b", vec![plain.clone()], false),
        ];
        for (step, (broken, revision, told, forgot)) in cases.into_iter().enumerate() {
            let found = look_at(json!({"broken": broken, "revision": revision}), &mut notified);
            assert_eq!(found, (told, forgot), "step {step}");
        }
    }

    #[test]
    fn who_subscribes_to_what_is_not_there_is_told_so() {
        let config = config();
        let annotations = [("notifications.argoproj.io/subscribe.nosuch.slack", "ops")];
        let destinations = subscription::destinations(&config, annotations.into_iter(), &BTreeMap::new());
        let looked = look(&config, &destinations, &Value::Nil, &mut Notified::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            looked.mistakes[0].to_string(),
            "trigger.nosuch: somebody subscribes to it, and it is not configured"
        );
    }
}
