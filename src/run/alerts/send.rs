//! Sends one message.

use std::time::Duration;

use super::super::mail::{self, Mail};
use super::super::{Daemon, aws, web};
use crate::alert::service::{Call, CommitStatus, Delivery, Mail as Written};
use crate::canary::metric::{To, aws as signature};
use crate::forge::Status;
use crate::git::RepoUrl;
use crate::object::secret::Masked;

/// How long whoever is told may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// # Errors
/// When it is not taken, in a sentence.
pub(super) async fn send(daemon: &Daemon, delivery: &Delivery) -> Result<(), String> {
    match delivery {
        Delivery::Requests(calls) => {
            let mut failed = "there is nobody to send it to".to_owned();
            let mut is_taken = false;
            // All of a cluster are told; one is enough.
            for call in calls {
                match request(daemon, call).await {
                    Ok(()) => is_taken = true,
                    Err(why) => failed = why,
                }
            }
            if is_taken { Ok(()) } else { Err(failed) }
        }
        Delivery::Mail(mail) => write(mail).await,
        Delivery::Aws(signed) => {
            let key = aws::access_key(daemon, &signed.keys).await?;
            let request = signature::signed(signed.request.clone(), &key, super::super::look::now());
            let To::Url(url) = &request.to else { return Ok(()) };
            let mut call = daemon.web.request(request.method.clone(), url, false)?.timeout(PATIENCE);
            for (name, value) in &request.headers {
                call = call.header(name, value.expose());
            }
            let (status, body) = web::answer(call.body(request.body.clone())).await?;
            crate::alert::service::Accepted::ByStatus.judge(status, &body)
        }
        Delivery::Status(status) => put(daemon, status).await,
    }
}

async fn request(daemon: &Daemon, call: &Call) -> Result<(), String> {
    let url = call.url.expose_text().unwrap_or_default();
    let mut request = daemon.web.request(call.method.clone(), url, call.skips_tls_check)?.timeout(PATIENCE);
    for (name, value) in &call.headers {
        request = request.header(name, value.expose());
    }
    let (status, body) = web::answer(request.body(call.body.clone())).await?;
    call.accepted.judge(status, &body)
}

async fn write(mail: &Written) -> Result<(), String> {
    let login = mail.server.login();
    let password = login.as_ref().map_or("", |(_, password)| Masked::expose_text(password).unwrap_or_default());
    let login = login.as_ref().map(|(name, _)| (*name, password));
    let message = Mail {
        from: &mail.from,
        to: &mail.to,
        subject: mail.subject.clone(),
        text: mail.body.clone(),
        is_html: mail.is_html,
    };
    mail::Server::of(&mail.server).send(login, message).await
}

async fn put(daemon: &Daemon, status: &CommitStatus) -> Result<(), String> {
    let url = RepoUrl::parse(&status.repository).map_err(|error| error.to_string())?;
    let repository = daemon.previews.forges.repository(&url, None).await.map_err(|error| error.to_string())?;
    let commit = status.commit.parse().map_err(|_| format!("`{}` is no commit", status.commit))?;
    let status = Status {
        commit,
        branch: None,
        context: status.label.clone(),
        state: status.state,
        description: status.description.clone(),
        page: status.page.clone(),
    };
    repository.put_status(&status).await.map_err(|error| error.to_string())
}
