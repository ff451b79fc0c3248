//! Mail over SMTP.
//!
//! On port 465 TLS begins with the first byte. On others it begins with STARTTLS: always when there is a password, else
//! where the server offers it.

use serde::Deserialize;

use super::{Content, Delivery};
use crate::object::secret::Masked;

/// A mail server, and who writes.
#[derive(Clone, Deserialize)]
pub struct Server {
    /// Its name or address.
    pub host: String,
    /// Its port.
    #[serde(default = "submission")]
    pub port: u16,
    /// The login's name.
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    password: String,
    from: String,
    #[serde(default)]
    html: bool,
    /// Whether any certificate will do.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

fn submission() -> u16 {
    587
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A mail.
#[derive(Debug)]
pub struct Mail {
    /// Who takes it.
    pub server: Server,
    /// Who it is from.
    pub from: String,
    /// Who it is for: one or several, with commas between.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its body.
    pub body: String,
    /// Whether that is HTML.
    pub is_html: bool,
}

impl Server {
    /// Name and password, when there is a name.
    pub fn login(&self) -> Option<(&str, Masked)> {
        (!self.username.is_empty()).then(|| (self.username.as_str(), Masked::new(&self.password)))
    }

    pub(super) fn delivery(&self, recipient: &str, content: &Content<'_>) -> Result<Delivery, String> {
        if recipient.is_empty() {
            return Err("no address is named".to_owned());
        }
        Ok(Delivery::Mail(Mail {
            server: self.clone(),
            from: self.from.clone(),
            to: recipient.to_owned(),
            subject: content.text("subject").unwrap_or_default().trim().replace(['\r', '\n'], " "),
            body: content.text("body").unwrap_or(content.message()).to_owned(),
            is_html: self.html,
        }))
    }
}
