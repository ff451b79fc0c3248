//! Who asks Google: tokens for Cloud Monitoring, kept until shortly before they end.
//!
//! Of a key that the user names, else of the daemon's own identity, which the metadata server knows. That server has a
//! link-local address, which nobody may name: here it is asked for one path of its own, and its answer goes to Google only.

use std::collections::HashMap;
use std::env;
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;

use super::super::look::now;
use super::super::{Daemon, web};
use crate::canary::metric::google::{self, METADATA_HEADER, METADATA_PATH, Token};
use crate::canary::metric::{Credentials, Request, To};
use crate::object::secret::Masked;

/// The metadata server; its name is one for the same, which would have to be looked up.
const METADATA_SERVER: &str = "169.254.169.254";
/// Where it is, if elsewhere; Google's own clients read it too.
const METADATA_HOST: &str = "GCE_METADATA_HOST";
const PATIENCE: Duration = Duration::from_secs(5);

/// Tokens that were given; by the whole key, so that nobody gets one who only knows its name.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<Option<Masked>, Token>>);

impl Tokens {
    fn find(&self, key: Option<&Masked>) -> Option<Token> {
        self.0.lock().get(&key.cloned()).filter(|token| token.holds(now())).cloned()
    }

    fn keep(&self, key: Option<Masked>, token: Token) {
        let mut tokens = self.0.lock();
        // Keys that are used no more leave nothing behind.
        tokens.retain(|_, token| token.holds(now()));
        tokens.insert(key, token);
    }
}

/// The same request with a token; one that needs none is as it was.
///
/// # Errors
/// When there is none, in a sentence.
pub(super) async fn authorized(daemon: &Daemon, mut request: Request) -> Result<Request, String> {
    let (Credentials::Google { service_account_key: key }, To::Url(url)) = (&request.credentials, &request.to) else {
        return Ok(request);
    };
    let tokens = &daemon.canaries.tokens;
    let token = match (tokens.find(key.as_ref()), key) {
        (_, None) if !google::is_googles(url) => {
            return Err("the daemon's own Google identity goes to `https://*.googleapis.com` only: \
                        for another `provider.address` the Secret has to have `serviceAccountKey`"
                .into());
        }
        (Some(token), _) => token,
        (None, key) => {
            let token = match key {
                Some(key) => of_key(daemon, key).await?,
                None => own(daemon).await?,
            };
            tokens.keep(key.clone(), token.clone());
            token
        }
    };
    let bearer = format!("Bearer {}", token.text.expose_text().unwrap_or_default());
    request.headers.push(("Authorization".to_owned(), Masked::new(bearer)));
    request.credentials = Credentials::None;
    Ok(request)
}

/// A token of whoever has this key.
async fn of_key(daemon: &Daemon, key: &Masked) -> Result<Token, String> {
    let asked = google::request(key, now()).map_err(|error| error.to_string())?;
    let call = daemon.web.request(Method::POST, &asked.url, false)?;
    let call = call.header("Content-Type", "application/x-www-form-urlencoded").body(asked.form.expose().to_vec());
    given(&asked.url, call).await
}

/// A token of the daemon's own identity.
async fn own(daemon: &Daemon) -> Result<Token, String> {
    let host = env::var(METADATA_HOST).ok().filter(|host| !host.is_empty());
    let url = format!("http://{}{METADATA_PATH}", host.as_deref().unwrap_or(METADATA_SERVER));
    let (name, value) = METADATA_HEADER;
    let token = given(&url, daemon.web.trusted(Method::GET, &url).header(name, value)).await;
    token.map_err(|why| format!("the Secret has no `serviceAccountKey`, and the machine gives no identity: {why}"))
}

async fn given(url: &str, call: reqwest::RequestBuilder) -> Result<Token, String> {
    let failed = |why: String| format!("no token of Google from {url}: {why}");
    let (status, body) = web::answer(call.timeout(PATIENCE)).await.map_err(&failed)?;
    match status {
        200..=299 => google::read(&body, now()).map_err(|error| failed(error.to_string())),
        // `{"error": …, "error_description": …}`; anything else is of no help.
        _ => {
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let words = said["error_description"].as_str().or(said["error"].as_str()).unwrap_or_default();
            let words = words.chars().take(200).collect::<String>();
            Err(failed(format!("status {status} {words}").trim_end().to_owned()))
        }
    }
}
