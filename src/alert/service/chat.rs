//! Slack (<https://docs.slack.dev/reference/methods/chat.postMessage>) and Microsoft Teams
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
//!
//! Slack's threads (`groupingKey`, `deliveryPolicy`) are not there: each message is one of its own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Accepted, Content, Delivery, post};
use crate::object::secret::Masked;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::alert) struct Slack {
    token: String,
    /// An incoming webhook in the place of a token: not Argo CD's, but what many have.
    url: String,
    #[serde(rename = "apiURL")]
    api_url: String,
    username: String,
    icon: String,
    disable_unfurl: bool,
    insecure_skip_verify: bool,
}

impl Default for Slack {
    fn default() -> Self {
        Slack {
            token: String::new(),
            url: String::new(),
            api_url: "https://slack.com/api/".to_owned(),
            username: String::new(),
            icon: String::new(),
            disable_unfurl: false,
            insecure_skip_verify: false,
        }
    }
}

impl Slack {
    pub(super) fn delivery(&self, channel: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let mut body = json!({"text": content.message()});
        let own = |name: &str, default: &str| {
            let text = content.text(name).unwrap_or(default);
            (!text.is_empty()).then(|| text.to_owned())
        };
        if let Some(username) = own("username", &self.username) {
            body["username"] = username.into();
        }
        if let Some(icon) = own("icon", &self.icon) {
            let is_emoji = icon.len() > 2 && icon.starts_with(':') && icon.ends_with(':');
            body[if is_emoji { "icon_emoji" } else { "icon_url" }] = icon.into();
        }
        for name in ["attachments", "blocks"] {
            if let Some(list) = content.json(name)? {
                body[name] = list;
            }
        }
        if self.disable_unfurl {
            body["unfurl_links"] = false.into();
            body["unfurl_media"] = false.into();
        }
        if !self.url.is_empty() {
            let call = post(&self.url, &body, self.insecure_skip_verify, Accepted::ByStatus);
            return Ok(Delivery::Requests(vec![call]));
        }
        if self.token.is_empty() {
            return Err("it has no `token`".to_owned());
        }
        if channel.is_empty() {
            return Err("no channel is named".to_owned());
        }
        body["channel"] = channel.into();
        let url = format!("{}/chat.postMessage", self.api_url.trim_end_matches('/'));
        let mut call = post(&url, &body, self.insecure_skip_verify, Accepted::ByOk);
        call.headers.push(("Authorization".to_owned(), Masked::new(format!("Bearer {}", self.token))));
        Ok(Delivery::Requests(vec![call]))
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::alert) struct Teams {
    recipient_urls: BTreeMap<String, String>,
    insecure_skip_verify: bool,
}

impl Teams {
    fn url(&self, recipient: &str) -> Result<&str, String> {
        let url = self.recipient_urls.get(recipient);
        url.map(String::as_str).ok_or_else(|| format!("`recipientUrls` has no `{recipient}`"))
    }

    /// To an incoming webhook of a channel.
    pub(super) fn card(&self, recipient: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let url = self.url(recipient)?;
        let body = match content.json("template")? {
            Some(whole) => whole,
            None => message_card(content)?,
        };
        Ok(Delivery::Requests(vec![post(url, &body, self.insecure_skip_verify, Accepted::ByOne)]))
    }

    /// To a workflow of Power Automate.
    pub(super) fn adaptive_card(&self, recipient: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let url = self.url(recipient)?;
        let body = match content.json("template")? {
            Some(whole) => whole,
            None => {
                let card = content.json("adaptiveCard")?.map_or_else(|| adaptive_card(content), Ok)?;
                json!({"type": "message", "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": card,
                }]})
            }
        };
        Ok(Delivery::Requests(vec![post(url, &body, self.insecure_skip_verify, Accepted::ByStatus)]))
    }
}

fn message_card(content: &Content<'_>) -> Result<Json, String> {
    let title = content.text("title").unwrap_or_default();
    let text = content.text("text").unwrap_or(content.message());
    let mut card = json!({
        "@type": "MessageCard",
        "context": "https://schema.org/extensions",
        "title": title,
        "summary": content.text("summary").unwrap_or_default(),
        "text": text,
    });
    if let Some(color) = content.text("themeColor") {
        card["themeColor"] = color.into();
    }
    let mut sections = match content.json("sections")? {
        Some(Json::Array(sections)) => sections,
        Some(_) => return Err("sections is no list".to_owned()),
        None => Vec::new(),
    };
    sections.extend(content.json("facts")?.map(|facts| json!({"facts": facts})));
    if !sections.is_empty() {
        card["sections"] = sections.into();
    }
    if let Some(actions) = content.json("potentialAction")? {
        card["potentialAction"] = actions;
    }
    Ok(card)
}

fn adaptive_card(content: &Content<'_>) -> Result<Json, String> {
    let mut body = Vec::new();
    if let Some(title) = content.text("title") {
        body.push(json!({"type": "TextBlock", "text": title, "size": "Large", "weight": "Bolder", "wrap": true}));
    }
    let text = content.text("text").unwrap_or(content.message());
    if !text.is_empty() {
        body.push(json!({"type": "TextBlock", "text": text, "wrap": true}));
    }
    if let Some(Json::Array(facts)) = content.json("facts")? {
        let facts: Vec<Json> =
            facts.iter().map(|fact| json!({"title": fact["name"], "value": fact["value"]})).collect();
        body.push(json!({"type": "FactSet", "facts": facts}));
    }
    let mut card = json!({"type": "AdaptiveCard", "version": "1.4", "body": body});
    if let Some(Json::Array(actions)) = content.json("potentialAction")? {
        let open = actions.iter().filter_map(|action| {
            let url = action.pointer("/targets/0/uri")?;
            Some(json!({"type": "Action.OpenUrl", "title": action["name"], "url": url}))
        });
        card["actions"] = open.collect::<Vec<_>>().into();
    }
    Ok(card)
}
