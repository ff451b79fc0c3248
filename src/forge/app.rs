//! What a GitHub App does for itself: the token of an hour, and its own account
//! (<https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app>).

use jiff::Timestamp;
use serde::Deserialize;

use super::budget::Urgency;
use super::call::Call;
use super::error::Error;
use super::http::Forge;
use super::limits::retry_after;
use super::pull::Account;
use super::sign_in::{self, App, Lease};

impl Forge {
    /// Lets go of the App's token, which the forge does not take any more. `false`: there was none to let go.
    pub(super) async fn forget_lease(&self) -> bool {
        self.app_token().lock().await.take().is_some()
    }

    /// A token for an hour.
    pub(super) async fn lease(&self, app: &App) -> Result<Lease, Error> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Token {
            token: String,
            expires_at: Timestamp,
        }
        let installation = match app.installation() {
            Some(installation) => installation,
            None => {
                let call = Call::get("list the App's installations", &["app", "installations"]);
                let installations: Vec<Installation> = self.as_app(app, call.gives(Ok)).await?;
                match installations.as_slice() {
                    [only] => only.id,
                    [] => return Err(self.unusable("the App is installed nowhere")),
                    _ => return Err(self.unusable("the App has several installations: name one")),
                }
            }
        };
        let path = ["app", "installations", &installation.to_string(), "access_tokens"];
        let call = Call::post("get a token for the App", &path, serde_json::json!({})).repeatable();
        let lease = call.gives(|token: Token| {
            let ends = token.expires_at;
            Ok(Lease { token: crate::git::Secret::new(token.token.into_bytes()), ends })
        });
        self.as_app(app, lease).await
    }

    /// The App's account: `name[bot]`, whose id is another than the App's.
    pub(super) async fn app_account(&self, app: &App) -> Result<Account, Error> {
        #[derive(Deserialize)]
        struct Slug {
            slug: String,
        }
        let call = Call::get("read the App", &["app"]).gives(|app: Slug| Ok(app.slug));
        let login = format!("{}[bot]", self.as_app(app, call).await?);
        let call = Call::get(format!("read the account {login}"), &["users", &login])
            .gives(|user: super::github::User| Ok(Account::from(user)));
        let action = call.action.clone();
        let read = self.send(&call, Urgency::Urgent).await;
        read.map(|read| read.value).map_err(|failure| self.told(failure, &action))
    }

    /// A request that the App itself makes, not one of its installations. It does not count against their limits.
    async fn as_app<T>(&self, app: &App, call: Call<T>) -> Result<T, Error> {
        let jwt = app.jwt(Timestamp::now()).map_err(|_| self.unusable("the App's private key does not sign"))?;
        let exchanged = self.exchange(&call, sign_in::bearer(&jwt)).await;
        let now = Timestamp::now();
        let (answer, _) = exchanged.map_err(|broken| {
            self.rest(None, now);
            self.broken(broken, &call)
        })?;
        if matches!(answer.status.as_u16(), 408 | 425 | 429 | 500..) {
            let until = self.rest(retry_after(&answer.headers, now), now);
            let (action, forge, status) = (call.action.clone(), self.address(), answer.status.as_u16());
            return Err(Error::Unavailable { action, forge, status, until });
        }
        (call.read)(&answer).map_err(|unread| self.unread(&call.action, &answer, unread))
    }
}
