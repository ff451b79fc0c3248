//! Alerts and notifications by e-mail: one message over SMTP.
//!
//! **In:** a server's address, a login, the message. **Out:** nothing, or why it was not taken. **May not:** send a password
//! or a message in the clear unless the configuration says so; connect to a link-local address.

use std::time::Duration;

use lettre::message::{Mailboxes, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::alert::service as alert;
use crate::git::egress;

/// How long a server may think about each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// A mail server: `smtps://host[:465]`, `smtp://host[:587]` (TLS by STARTTLS), `smtp://host[:25]?tls=none`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    /// Whether any certificate will do.
    trusts_all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// From the first byte.
    Tls,
    /// After a greeting in the clear.
    StartTls,
    /// The same, where the server offers it.
    Offered,
    /// None: for a server on the same machine or in the same pod.
    Clear,
}

/// What is sent.
pub(super) struct Mail<'a> {
    pub(super) from: &'a str,
    /// One or several, with commas between.
    pub(super) to: &'a str,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) is_html: bool,
}

impl Server {
    /// # Errors
    /// When the address is no such URL, in a sentence.
    pub(super) fn parse(address: &str) -> Result<Self, String> {
        // It may hold a password: it is not shown.
        let wrong =
            || "its address is no mail server: smtps://host or smtp://host:587 is needed, without user and password";
        let url = reqwest::Url::parse(address).map_err(|_| wrong())?;
        let is_clear = url.query_pairs().any(|(name, value)| name == "tls" && value == "none");
        let (security, port) = match (url.scheme(), is_clear) {
            ("smtps", false) => (Security::Tls, 465),
            ("smtp", false) => (Security::StartTls, 587),
            ("smtp", true) => (Security::Clear, 25),
            _ => return Err(wrong().to_owned()),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong().to_owned());
        }
        Ok(Server { host: host.to_owned(), port: url.port().unwrap_or(port), security, trusts_all: false })
    }

    /// The server of a notification: by its port, and whether it wants a password.
    pub(super) fn of(server: &alert::Server) -> Self {
        let security = match (server.port, server.login()) {
            (465, _) => Security::Tls,
            (_, Some(_)) => Security::StartTls,
            (_, None) => Security::Offered,
        };
        Server { host: server.host.clone(), port: server.port, security, trusts_all: server.insecure_skip_verify }
    }

    /// Sends one message; `login` is name and password.
    ///
    /// # Errors
    /// When it is not taken, in the server's words.
    pub(super) async fn send(&self, login: Option<(&str, &str)>, mail: Mail<'_>) -> Result<(), String> {
        if login.is_some() && self.security == Security::Clear {
            return Err("a password is not sent in the clear: leave `tls=none` away".to_owned());
        }
        let message = message(mail)?;
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses = egress::lookup(bare, self.port).await.map_err(|error| error.to_string())?;
        let address = addresses.first().ok_or("its server has no address")?;
        let trust = || {
            let parameters = TlsParameters::builder(bare.to_owned()).dangerous_accept_invalid_certs(self.trusts_all);
            parameters.build().map_err(|error| error.to_string())
        };
        let tls = match self.security {
            Security::Tls => Tls::Wrapper(trust()?),
            Security::StartTls => Tls::Required(trust()?),
            Security::Offered => Tls::Opportunistic(trust()?),
            Security::Clear => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string());
        let builder = builder.port(self.port).tls(tls).timeout(Some(PATIENCE));
        let transport = match login {
            Some((name, password)) => builder.credentials(Credentials::new(name.to_owned(), password.to_owned())),
            None => builder,
        };
        transport.build().send(message).await.map(drop).map_err(|error| error.to_string())
    }
}

fn message(mail: Mail<'_>) -> Result<Message, String> {
    let from = mail.from.parse().map_err(|_| format!("`{}` is no mail address", mail.from))?;
    let to: Mailboxes = mail.to.parse().map_err(|_| format!("`{}` is no mail address", mail.to))?;
    let message = Message::builder().from(from).mailbox(lettre::message::header::To::from(to)).subject(mail.subject);
    let kind = if mail.is_html { ContentType::TEXT_HTML } else { ContentType::TEXT_PLAIN };
    message.header(kind).body(mail.text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_host_port_and_how_safe() {
        let server = |port, security| Server { host: "mail.example.com".into(), port, security, trusts_all: false };
        let cases = [
            ("smtps://mail.example.com", Some(server(465, Security::Tls))),
            ("smtps://mail.example.com:4650", Some(server(4650, Security::Tls))),
            ("smtp://mail.example.com", Some(server(587, Security::StartTls))),
            ("smtp://mail.example.com:2525?tls=none", Some(server(2525, Security::Clear))),
            ("smtps://mail.example.com?tls=none", None),
            ("smtps://me:secret@mail.example.com", None),
            ("https://mail.example.com", None),
            ("mail.example.com", None),
        ];
        for (address, expected) in cases {
            let found = Server::parse(address);
            assert!(found.as_ref().is_err_and(|error| !error.contains("secret")) || found.is_ok());
            assert_eq!(found.ok(), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_sent_says_why() {
        let server = Server::parse("smtp://127.0.0.1:9?tls=none").unwrap();
        let mail = |from, to| Mail {
            from,
            to,
            subject: "web.shop: error".into(),
            text: "Rolling back".into(),
            is_html: false,
        };
        let cases = [
            (Some(("me", "secret")), "a@example.com", "b@example.com", "a password is not sent in the clear"),
            (None, "leeboard", "b@example.com", "`leeboard` is no mail address"),
            (None, "a@example.com", "general", "`general` is no mail address"),
            (None, "Leeboard <a@example.com>", "b@example.com, c@example.com", "Connection"),
        ];
        for (login, from, to, expected) in cases {
            let error = server.send(login, mail(from, to)).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let far = Server::parse("smtp://169.254.169.254:25?tls=none").unwrap();
        let refused = far.send(None, mail("a@example.com", "b@example.com")).await.unwrap_err();
        assert_eq!(refused, "the address is link-local");
    }
}
