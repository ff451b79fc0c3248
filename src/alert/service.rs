//! The services that messages go to, one file each: from configuration, recipient and message to what is sent.

mod alertmanager;
mod aws;
mod chat;
mod forge;
mod mail;
mod pagerduty;
mod webhook;

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::document;
use super::message::Message;
use super::subscription::Destination;
use crate::object::secret::Masked;
use crate::template::Value;

pub use self::aws::Signed;
pub use self::forge::CommitStatus;
pub use self::mail::{Mail, Server};

/// What is to be sent.
#[derive(Debug)]
pub enum Delivery {
    /// Requests, of which one has to be taken.
    Requests(Vec<Call>),
    /// A mail.
    Mail(Mail),
    /// A request that AWS wants signed.
    Aws(Signed),
    /// A word about a commit.
    Status(CommitStatus),
}

/// A request.
#[derive(Debug)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Where it goes; tokens may be part of it.
    pub url: Masked,
    /// Its headers.
    pub headers: Vec<(String, Masked)>,
    /// Its body.
    pub body: String,
    /// Whether any certificate will do.
    pub skips_tls_check: bool,
    /// What says that it was taken.
    pub accepted: Accepted,
}

/// What an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// A status of 200 to 299.
    ByStatus,
    /// The same, and `"ok": true` in it.
    ByOk,
    /// The same, and the body `1`.
    ByOne,
}

impl Accepted {
    /// Whether this answer says that the message was taken; what is wrong if not.
    ///
    /// # Errors
    /// When it was not.
    pub fn judge(self, status: u16, body: &[u8]) -> Result<(), String> {
        let text = || String::from_utf8_lossy(body).chars().take(200).collect::<String>();
        if !(200..300).contains(&status) {
            return Err(format!("the answer was {status} {}", text()).trim_end().to_owned());
        }
        match self {
            Accepted::ByStatus => Ok(()),
            Accepted::ByOk => match serde_json::from_slice::<Json>(body) {
                Ok(answer) if answer["ok"] == true => Ok(()),
                Ok(answer) => Err(format!("the answer was {}", answer["error"])),
                Err(_) => Err(format!("the answer was {}", text())),
            },
            Accepted::ByOne if body == b"1" => Ok(()),
            Accepted::ByOne => Err(format!("the answer was {}", text())),
        }
    }
}

/// A `service.<type>`.
pub(super) enum Service {
    Slack(chat::Slack),
    Teams(chat::Teams),
    Workflows(chat::Teams),
    Mail(mail::Server),
    Webhook(webhook::Webhook),
    Alertmanager(alertmanager::Alertmanager),
    PagerDuty(pagerduty::PagerDuty),
    Sns(aws::Aws),
    Sqs(aws::Aws),
    Forge(forge::Forge),
}

/// User and password.
#[derive(Deserialize)]
struct BasicAuth {
    username: String,
    password: String,
}

impl BasicAuth {
    fn header(&self) -> (String, Masked) {
        use base64::Engine as _;
        let both = format!("{}:{}", self.username, self.password);
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both));
        ("Authorization".to_owned(), Masked::new(value))
    }
}

impl Service {
    /// Reads the configuration of a service, with the values of secrets in the place of `$key`.
    pub(super) fn read(kind: &str, text: &str, secrets: &BTreeMap<String, Masked>) -> Result<Self, String> {
        let mut options = match document::document(text)? {
            Some(root) => document::value(&root)?,
            None => Json::Object(serde_json::Map::new()),
        };
        reveal(&mut options, secrets);
        Ok(match kind {
            "slack" => Service::Slack(read(options)?),
            "teams" => Service::Teams(read(options)?),
            "teams-workflows" => Service::Workflows(read(options)?),
            "email" => Service::Mail(read(options)?),
            "webhook" => Service::Webhook(read(options)?),
            "alertmanager" => Service::Alertmanager(read(options)?),
            "pagerdutyv2" => Service::PagerDuty(read(options)?),
            "awssns" => Service::Sns(read(options)?),
            "awssqs" => Service::Sqs(read(options)?),
            "github" => Service::Forge(forge::Forge::new(forge::Kind::GitHub)),
            "gitlab" => Service::Forge(forge::Forge::new(forge::Kind::GitLab)),
            "gitea" | "forgejo" => Service::Forge(forge::Forge::new(forge::Kind::Gitea)),
            other => return Err(format!("there is no service of the type `{other}`")),
        })
    }

    /// The section of a template that is for it.
    pub(super) fn section(&self) -> &'static str {
        match self {
            Service::Slack(_) => "slack",
            Service::Teams(_) => "teams",
            Service::Workflows(_) => "teams-workflows",
            Service::Mail(_) => "email",
            Service::Webhook(_) => "webhook",
            Service::Alertmanager(_) => "alertmanager",
            Service::PagerDuty(_) => "pagerdutyv2",
            Service::Sns(_) => "awssns",
            Service::Sqs(_) => "awssqs",
            Service::Forge(forge) => forge.section(),
        }
    }

    /// What is sent.
    pub(super) fn delivery(
        &self,
        to: &Destination,
        message: &Message,
        names: &Value,
        now: Timestamp,
    ) -> Result<Delivery, String> {
        let content = Content { message, section: message.get(self.section()).unwrap_or(&Json::Null) };
        match self {
            Service::Slack(slack) => slack.delivery(&to.recipient, &content),
            Service::Teams(teams) => teams.card(&to.recipient, &content),
            Service::Workflows(teams) => teams.adaptive_card(&to.recipient, &content),
            Service::Mail(server) => server.delivery(&to.recipient, &content),
            Service::Webhook(webhook) => webhook.delivery(&to.service, &content),
            Service::Alertmanager(alertmanager) => alertmanager.delivery(&content, names, now),
            Service::PagerDuty(pagerduty) => pagerduty.delivery(&to.recipient, &content),
            Service::Sns(aws) => aws.sns(&to.recipient, &content),
            Service::Sqs(aws) => aws.sqs(&to.recipient, &content),
            Service::Forge(forge) => forge.delivery(&content, names),
        }
    }
}

/// A rendered message as one service sees it.
struct Content<'a> {
    message: &'a Message,
    section: &'a Json,
}

impl Content<'_> {
    /// The text that is for all.
    fn message(&self) -> &str {
        self.message.get("message").and_then(Json::as_str).unwrap_or_default().trim_end_matches('\n')
    }

    /// A text of the service's own section, if there is something in it.
    fn text(&self, name: &str) -> Option<&str> {
        self.section.get(name)?.as_str().filter(|text| !text.trim().is_empty())
    }

    /// A text of the section that holds JSON.
    fn json(&self, name: &str) -> Result<Option<Json>, String> {
        let read = |text| serde_json::from_str(text).map_err(|error| format!("{name} is no JSON: {error}"));
        self.text(name).map(read).transpose()
    }
}

fn read<T: DeserializeOwned>(options: Json) -> Result<T, String> {
    serde_path_to_error::deserialize(options).map_err(|error| match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    })
}

/// Puts the values of secrets where texts say `$key`; a key that is not there stays as it is written.
fn reveal(value: &mut Json, secrets: &BTreeMap<String, Masked>) {
    match value {
        Json::String(text) => *text = revealed(text, secrets),
        Json::Array(items) => items.iter_mut().for_each(|item| reveal(item, secrets)),
        Json::Object(map) => map.values_mut().for_each(|item| reveal(item, secrets)),
        _ => {}
    }
}

fn revealed(text: &str, secrets: &BTreeMap<String, Masked>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name = &rest[at + 1..];
        let is_of_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let (key, behind) = name.split_at(name.find(|c| !is_of_key(c)).unwrap_or(name.len()));
        match secrets.get(key).and_then(Masked::expose_text) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[at..=at + key.len()]),
        }
        rest = behind;
    }
    out + rest
}

/// A JSON body, posted.
fn post(url: &str, body: &Json, skips_tls_check: bool, accepted: Accepted) -> Call {
    Call {
        method: Method::POST,
        url: Masked::new(url),
        headers: vec![("Content-Type".to_owned(), Masked::new("application/json; charset=utf-8"))],
        body: body.to_string(),
        skips_tls_check,
        accepted,
    }
}

#[cfg(test)]
mod tests;
