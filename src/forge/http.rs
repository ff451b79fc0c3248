//! [`Forge`]: one forge as one credential reaches it. The only place of this room that knows the network.
//!
//! A request leaves when the budget lets it, is repeated when that can do no harm, and follows a redirect only when it
//! reads and stays on the host.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, IF_NONE_MATCH, LOCATION};
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Client, Url};
use tokio::time::Instant;
use tracing::{trace, warn};

use super::budget::{Backoff, Budget, Leave, Urgency};
use super::call::{Answer, Call, Repeat, Unread, plain};
use super::client::{Broken, client, is_link_local, receive};
use super::dialect::{self, Dialect};
use super::error::Error;
use super::failure::Failure;
use super::kind::{Kind, RepoName};
use super::limits::{limits, retry_after};
use super::pull::Account;
use super::remembered::Remembered;
use super::repository::Repository;
use super::sign_in::{self, Access, Credential, Lease};
use crate::git::RepoUrl;

const MOST_REDIRECTS: usize = 3;

/// How long things take; tests are in more of a hurry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// How long one call may wait for its turn, and for a forge in trouble, in all.
    pub(super) patience: Duration,
    pub(super) backoff: Backoff,
    /// How long a request may take.
    pub(super) request: Duration,
    /// Between two writes on GitHub, as it asks for.
    pub(super) between_writes: Duration,
    /// How long a forge may think about whether something can be merged, or need to see a branch.
    pub(super) merge: Duration,
    /// The first wait for that.
    pub(super) merge_poll: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            patience: Duration::from_secs(45),
            backoff: Backoff::default(),
            request: Duration::from_secs(30),
            between_writes: Duration::from_secs(1),
            merge: Duration::from_secs(60),
            merge_poll: Duration::from_millis(250),
        }
    }
}

/// One forge, as one credential reaches it. Share it: its limits are those of the credential.
pub struct Forge {
    kind: Kind,
    site: Url,
    api: Url,
    client: Client,
    credential: Option<Credential>,
    /// The token of the App, while it lasts.
    lease: tokio::sync::Mutex<Option<Lease>>,
    budget: Mutex<Budget>,
    /// When the last write was made; held during a write, so that there is one at a time.
    writes: tokio::sync::Mutex<Option<Instant>>,
    me: tokio::sync::OnceCell<Account>,
    remembered: Mutex<Remembered>,
    pub(super) timing: Timing,
}

impl std::fmt::Debug for Forge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forge").field("kind", &self.kind).field("site", &self.site.as_str()).finish_non_exhaustive()
    }
}

/// A result, and whether the forge had to send us elsewhere for it.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) value: T,
    pub(super) was_moved: bool,
}

impl Forge {
    /// A forge at the address where people find it: `https://git.example.com`, with a path if it has one.
    ///
    /// # Errors
    /// When the address or what is given to reach it cannot be used.
    pub fn new(kind: Kind, site: &str, access: &Access) -> Result<Arc<Forge>, Error> {
        Forge::with_timing(kind, site, access, Timing::default()).map(Arc::new)
    }

    pub(super) fn with_timing(kind: Kind, site: &str, access: &Access, timing: Timing) -> Result<Forge, Error> {
        let unusable = |problem| Error::Credential { forge: plain(site, 200), problem };
        let mut site = Url::parse(site).map_err(|_| unusable("its address is no URL"))?;
        if !matches!(site.scheme(), "http" | "https") || site.host_str().is_none() {
            return Err(unusable("its address is no http or https URL"));
        }
        if is_link_local(&site) {
            return Err(unusable("link-local addresses are not asked"));
        }
        // Whatever else stands there is no part of it, and may be secret.
        site.set_query(None);
        site.set_fragment(None);
        // Neither can fail of a URL with a host.
        let _ = site.set_username("");
        let _ = site.set_password(None);
        Ok(Forge {
            kind,
            api: kind.api(&site),
            client: client(access, timing.request).map_err(unusable)?,
            site,
            credential: access.credential.clone(),
            lease: tokio::sync::Mutex::default(),
            budget: Mutex::default(),
            writes: tokio::sync::Mutex::default(),
            me: tokio::sync::OnceCell::new(),
            remembered: Mutex::default(),
            timing,
        })
    }

    /// Which forge it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn api(&self) -> &Url {
        &self.api
    }

    pub(super) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// True when we are a GitHub App.
    pub fn is_app(&self) -> bool {
        matches!(self.credential, Some(Credential::App(_)))
    }

    pub(super) fn app_token(&self) -> &tokio::sync::Mutex<Option<Lease>> {
        &self.lease
    }

    /// The address at which people find it, for messages.
    pub fn address(&self) -> String {
        self.site.as_str().trim_end_matches('/').to_owned()
    }

    /// One repository on it.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] when the address is none of a repository here.
    pub fn repository(self: &Arc<Self>, url: &RepoUrl) -> Result<Repository, Error> {
        let is_here = self.site.host_str().is_some_and(|host| is_same_site(host, url.host()));
        let name = self.kind.repository(url, self.site.path()).filter(|_| is_here);
        let name = name.ok_or_else(|| Error::Elsewhere { forge: self.address(), url: url.to_string() })?;
        Ok(self.named(name))
    }

    /// Where git finds another repository here, by its name.
    pub(super) fn clone_url(&self, name: &str) -> Option<RepoUrl> {
        let name = RepoName::parse(self.kind, name)?;
        let before = if self.kind == Kind::BitbucketServer { "/scm" } else { "" };
        RepoUrl::parse(&format!("{}{before}/{name}.git", self.address())).ok()
    }

    pub(super) fn named(self: &Arc<Self>, name: RepoName) -> Repository {
        Repository::new(self.clone(), name)
    }

    /// Our own account; asked once.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn myself(&self) -> Result<Account, Error> {
        let account = self.me.get_or_try_init(async || match &self.credential {
            Some(Credential::App(app)) => self.app_account(app).await,
            _ => match self.send(&self.dialect().myself(), Urgency::Urgent).await {
                Ok(read) => Ok(read.value),
                Err(failure) => Err(self.told(failure, "read the token's own account")),
            },
        });
        account.await.cloned()
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        dialect::of(self.kind)
    }

    /// Sends a call until there is an answer that means something.
    pub(super) async fn send<T>(&self, call: &Call<T>, urgency: Urgency) -> Result<Read<T>, Failure> {
        let deadline = Timestamp::now() + self.timing.patience;
        let mut was_renewed = false;
        loop {
            self.admit(call, urgency, deadline).await?;
            let authorization = self.authorization().await?;
            let turn = self.turn(call).await;
            let exchanged = self.exchange(call, authorization).await;
            drop(turn);
            let now = Timestamp::now();
            let (answer, was_moved) = match exchanged {
                Ok(exchanged) => exchanged,
                Err(broken @ (Broken::TooLarge | Broken::Elsewhere(_))) => {
                    return Err(self.broken(broken, call).into());
                }
                Err(broken) => {
                    let until = self.rest(None, now);
                    let is_harmless = matches!(broken, Broken::Unsent(_)) || call.repeat == Repeat::Safe;
                    if is_harmless && until < deadline {
                        continue;
                    }
                    return Err(self.broken(broken, call).into());
                }
            };
            let heard = limits(self.kind, &answer, now);
            self.budget.lock().heard(heard);
            if let Some(until) = heard.closed_until {
                if until < deadline {
                    continue;
                }
                return Err(self.limited(&call.action, until).into());
            }
            let status = answer.status.as_u16();
            if matches!(status, 408 | 425 | 500..) {
                let until = self.rest(retry_after(&answer.headers, now), now);
                match call.repeat {
                    Repeat::Safe if until < deadline => continue,
                    Repeat::Safe => {
                        let (action, forge) = (call.action.clone(), self.address());
                        return Err(Error::Unavailable { action, forge, status, until }.into());
                    }
                    Repeat::Unsafe => {
                        let reason = format!("it answers {status}");
                        return Err(self.broken(Broken::Lost(reason), call).into());
                    }
                }
            }
            self.budget.lock().well();
            if answer.status.is_redirection() {
                return Err(self.redirected(call, &answer));
            }
            match (call.read)(&answer) {
                Ok(value) => return Ok(Read { value, was_moved }),
                Err(Unread::Refused) if status == 401 && !was_renewed && self.forget_lease().await => {
                    was_renewed = true;
                }
                Err(unread) => return Err(self.unread(&call.action, &answer, unread).into()),
            }
        }
    }

    /// Waits until the request may leave, if that is soon.
    async fn admit<T>(&self, call: &Call<T>, urgency: Urgency, deadline: Timestamp) -> Result<(), Error> {
        loop {
            let now = Timestamp::now();
            let leave = self.budget.lock().leave(urgency, now);
            let until = match leave {
                Leave::Now => return Ok(()),
                Leave::Limited(until) | Leave::Resting(until) if until < deadline => until,
                Leave::Limited(until) => return Err(self.limited(&call.action, until)),
                Leave::Resting(until) => {
                    return Err(Error::Resting { action: call.action.clone(), forge: self.address(), until });
                }
            };
            let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            // A little later than told, and not all at once.
            tokio::time::sleep(wait + Duration::from_millis(1) + wait.mul_f64(dice() / 20.0)).await;
        }
    }

    /// One write at a time; on GitHub with some time between.
    async fn turn<T>(&self, call: &Call<T>) -> Option<tokio::sync::MutexGuard<'_, Option<Instant>>> {
        if !call.is_write() {
            return None;
        }
        let mut last = self.writes.lock().await;
        if let Some(last) = last.filter(|_| self.kind == Kind::GitHub) {
            tokio::time::sleep_until(last + self.timing.between_writes).await;
        }
        *last = Some(Instant::now());
        Some(last)
    }

    /// The forge is in trouble; returns when it is asked again.
    pub(super) fn rest(&self, told: Option<Timestamp>, now: Timestamp) -> Timestamp {
        self.budget.lock().failed(told, self.timing.backoff, dice(), now)
    }

    /// One request and its answer; a read is followed to where it is on the same host.
    pub(super) async fn exchange<T>(
        &self,
        call: &Call<T>,
        authorization: Option<(HeaderName, HeaderValue)>,
    ) -> Result<(Answer, bool), Broken> {
        let mut url = call.url(&self.api);
        for redirects in 0.. {
            trace!(method = %call.method, path = url.path(), "Request to a forge");
            let mut request = self.client.request(call.method.clone(), url.clone());
            if let Some((name, value)) = &authorization {
                request = request.header(name, value);
            }
            request = match self.kind {
                Kind::GitHub => {
                    request.header(ACCEPT, "application/vnd.github+json").header("x-github-api-version", "2022-11-28")
                }
                // Without it some writes count as forged by a web page.
                Kind::BitbucketServer => {
                    request.header(ACCEPT, "application/json").header("x-atlassian-token", "no-check")
                }
                _ => request.header(ACCEPT, "application/json"),
            };
            if let Some(body) = &call.body {
                request = request.json(body);
            }
            // Elsewhere an answer that is the same counts as much as another.
            let is_remembered = self.kind == Kind::GitHub && !call.is_write();
            if let Some(tag) = self.remembered.lock().tag(url.as_str()).filter(|_| is_remembered) {
                request = request.header(IF_NONE_MATCH, tag);
            }
            let mut answer = receive(request).await?;
            if is_remembered {
                let known = self.remembered.lock().resolve(url.as_str(), answer);
                answer = known.ok_or_else(|| Broken::Lost("it says that nothing is new to nobody".into()))?;
            }
            let was_moved = redirects > 0;
            if !answer.status.is_redirection() || call.method != Method::GET {
                return Ok((answer, was_moved));
            }
            let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
            match to {
                Some(to) if to.origin() == url.origin() && redirects < MOST_REDIRECTS => url = to,
                Some(to) if to.origin() != url.origin() => {
                    return Err(Broken::Elsewhere(to.origin().ascii_serialization()));
                }
                _ => return Ok((answer, was_moved)),
            }
        }
        Err(Broken::Lost("too many redirects".into()))
    }

    /// The header that says who we are.
    async fn authorization(&self) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        let header = match &self.credential {
            None => return Ok(None),
            Some(Credential::Token(token)) => sign_in::header(self.kind, token),
            Some(Credential::Basic { user, password }) => sign_in::basic(user, password),
            Some(Credential::App(app)) => {
                let mut lease = self.lease.lock().await;
                if !lease.as_ref().is_some_and(|lease| lease.is_good(Timestamp::now())) {
                    *lease = Some(self.lease(app).await?);
                }
                lease.as_ref().and_then(|lease| sign_in::header(self.kind, &lease.token))
            }
        };
        header.map(Some).ok_or_else(|| self.unusable("the token does not fit into a header"))
    }

    /// A repository has another name: said once for each.
    pub(super) fn note_move(&self, from: &RepoName, to: &RepoName) {
        warn!(forge = self.address(), %from, %to, "A repository was renamed");
    }
}

/// Hosts that lead to the same forge: ssh may have one of its own.
fn is_same_site(site: &str, host: &str) -> bool {
    let known = |host| Kind::of_host(host).map(|kind| (kind, host.rsplit('.').nth(1).unwrap_or_default()));
    site.eq_ignore_ascii_case(host) || (known(site).is_some() && known(site) == known(host))
}

/// A number between 0 and 1, of the randomness that hash maps have.
fn dice() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
