//! What people ask of environments in comments: done where the cluster would let them do it themselves.
//!
//! **In:** a wish, whose it is, on which pull request it stands. **Out:** what the command of the same name writes, in their
//! name; an answer. **May not:** do anything for an account that nobody has mapped to a person, or that the API server would
//! not let that person do; do the same comment twice; or take a word for one about a plan that came after it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::ask::{PROMOTION_VERSION, key};
use crate::api::leeboard::promotion::{Promotion, PromotionKind, PromotionSpec, Word, WordVerdict};
use crate::api::leeboard::{Environment, ForgeUser};
use crate::api::{LEEBOARD_GROUP, VERSION};
use crate::forge::Account;
use crate::git::RepoUrl;
use crate::live::client::{Error, Part};
use crate::object::{Object, ObjectKey};
use crate::preview::command::{Verb, Wish};
use crate::preview::phrase::{Phrase, say};
use crate::promote::asked::{self, Unclear, line};
use crate::promote::gate::Asker;
use crate::promote::message::counts;
use crate::run::Daemon;

/// What was asked for longer ago is not what somebody wants now: it lay unread while nobody could read it.
const STALE: SignedDuration = SignedDuration::from_hours(1);
/// Forges tell times in whole seconds.
const TICK: SignedDuration = SignedDuration::from_secs(1);
/// Others may say something at the same time.
const TRIES: usize = 5;

/// A wish in a comment.
pub(in crate::run) struct Asked<'a> {
    pub(in crate::run) wish: &'a Wish,
    /// Whose comment it is.
    pub(in crate::run) account: &'a Account,
    /// When it was written.
    pub(in crate::run) at: Timestamp,
    /// Which comment it is.
    pub(in crate::run) via: String,
    /// The pull request that it stands on.
    pub(in crate::run) pull: u64,
    /// The repository of that.
    pub(in crate::run) url: &'a RepoUrl,
}

/// What came of a wish.
pub(in crate::run) enum Heard {
    /// It is done: a sentence.
    Done(Phrase),
    /// It is not: why.
    Refused(Phrase),
    /// It is of nobody that is known here.
    OfStranger,
}

/// Whose wish it is, and of which environment.
struct Speaker<'a> {
    daemon: &'a Daemon,
    environment: Arc<Environment>,
    person: ForgeUser,
    asked: &'a Asked<'a>,
    /// What follows the environment's name.
    rest: &'a [String],
}

/// Does what a comment asks for.
///
/// # Errors
/// When the cluster does not answer, in one sentence: it is asked again.
pub(in crate::run) async fn heed(daemon: &Daemon, asked: &Asked<'_>) -> Result<Heard, String> {
    let all = daemon.written.environments();
    let here = |environment: &&Arc<Environment>| {
        RepoUrl::parse(&environment.spec.repo_url).is_ok_and(|url| url.is_same_repository(asked.url))
    };
    let here: Vec<_> = all.iter().filter(here).cloned().collect();
    let words = &asked.wish.words;
    let named = words.first().and_then(|word| here.iter().find(|environment| environment.name() == word));
    let (environment, rest) = match named {
        Some(environment) => (Some(environment), &words[1..]),
        None => (of_pull(daemon, &here, asked.pull), &words[..]),
    };
    let Some(environment) = environment else {
        let is_known = here.iter().any(|environment| person(environment, asked.account).is_some());
        let names: Vec<&str> = here.iter().map(|environment| environment.name()).collect();
        let why = say("say which environment: {}", &[&names.join(" ")]);
        return Ok(if is_known { Heard::Refused(why) } else { Heard::OfStranger });
    };
    let Some(person) = person(environment, asked.account) else { return Ok(Heard::OfStranger) };
    let speaker = Speaker { daemon, environment: environment.clone(), person: person.clone(), asked, rest };
    let done = match speaker.may_not().await? {
        Some(why) => Err(why),
        None => speaker.act().await?,
    };
    Ok(done.map_or_else(Heard::Refused, Heard::Done))
}

/// Whether the risks of what a pull request does to these environments may be taken at somebody's word.
///
/// # Errors
/// When the cluster does not answer, in one sentence.
pub(in crate::run) async fn may_take_risks(
    daemon: &Daemon,
    environments: &[Arc<Environment>],
    account: &Account,
) -> Result<Heard, String> {
    for environment in environments {
        let Some(person) = person(environment, account) else { return Ok(Heard::OfStranger) };
        let promotions = object("Promotion", environment, environment.name());
        if !may(daemon, person, "approve", &promotions).await? {
            return Ok(Heard::Refused(forbidden(person, "approve", &promotions)));
        }
    }
    let who = environments.first().and_then(|environment| person(environment, account));
    let taken = |person: &ForgeUser| Heard::Done(say("{} takes the risks of this plan", &[&person.user]));
    Ok(who.map_or(Heard::OfStranger, taken))
}

fn person<'a>(environment: &'a Environment, account: &Account) -> Option<&'a ForgeUser> {
    let forge = environment.spec.previews.as_ref().and_then(|previews| previews.forge.as_ref());
    forge.and_then(|forge| forge.person(&account.id, &account.login))
}

/// The environment that a pull request carries a commit to.
fn of_pull<'a>(daemon: &Daemon, here: &'a [Arc<Environment>], number: u64) -> Option<&'a Arc<Environment>> {
    here.iter().find(|environment| {
        let all = daemon.promotions.of(environment.name());
        let mut open = all.iter().filter(|one| !one.phase().is_final());
        open.any(|one| one.status.as_ref().and_then(|status| status.write.as_ref()?.pull_request) == Some(number))
    })
}

fn object(kind: &str, environment: &Environment, name: &str) -> ObjectKey {
    let namespace = Some(environment.namespace().into());
    ObjectKey { group: LEEBOARD_GROUP.into(), kind: kind.into(), namespace, name: name.into() }
}

async fn may(daemon: &Daemon, person: &ForgeUser, verb: &str, object: &ObjectKey) -> Result<bool, String> {
    let allowed = daemon.cluster.may((&person.user, &person.groups), verb, object).await;
    allowed.map_err(|error| format!("the cluster does not say what {} may: {error}", person.user))
}

fn forbidden(person: &ForgeUser, verb: &str, object: &ObjectKey) -> Phrase {
    let resource = format!("{}s.leeboard.dev", object.kind.to_ascii_lowercase());
    match object.name.as_str() {
        "" => say("user {} may not {} {}", &[&person.user, &verb, &resource]),
        name => say("user {} may not {} {} of {}", &[&person.user, &verb, &resource, &name]),
    }
}

/// What was done, or why it was not.
type Answer = Result<Phrase, Phrase>;

impl Speaker<'_> {
    /// Why it is not done, when the cluster would not let them do it.
    async fn may_not(&self) -> Result<Option<Phrase>, String> {
        let name = self.environment.name();
        let (verb, object) = match self.asked.wish.verb {
            Verb::Approve | Verb::Reject => ("approve", object("Promotion", &self.environment, name)),
            Verb::Promote | Verb::Rollback => ("create", object("Promotion", &self.environment, "")),
            Verb::Abort => ("patch", object("Promotion", &self.environment, "")),
            Verb::Hold | Verb::Resume | Verb::Lock | Verb::Unlock => {
                ("patch", object("Environment", &self.environment, name))
            }
        };
        let is_allowed = may(self.daemon, &self.person, verb, &object).await?;
        Ok((!is_allowed).then(|| forbidden(&self.person, verb, &object)))
    }

    async fn act(&self) -> Result<Answer, String> {
        if Timestamp::now().duration_since(self.asked.at) > STALE {
            return Ok(Err(say("that was written more than an hour ago: write it again", &[])));
        }
        match self.asked.wish.verb {
            Verb::Approve => self.say(WordVerdict::Approve).await,
            Verb::Reject => self.say(WordVerdict::Reject).await,
            Verb::Promote => {
                let all = self.daemon.written.environments();
                let all = || all.iter().map(|environment| &**environment);
                let commit = match self.rest {
                    [] => asked::next(&self.environment, all()),
                    [commit] => asked::whole(commit, all()),
                    _ => return Ok(Err(say("write one commit, or none", &[]))),
                };
                let commit = match commit {
                    Ok(commit) => commit,
                    Err(unclear) => return Ok(Err(said(&unclear))),
                };
                let from = asked::source(&self.environment, all(), &commit);
                let spec = PromotionSpec { commit, from, ..PromotionSpec::default() };
                self.begin(spec).await
            }
            Verb::Rollback => match asked::before(&self.environment) {
                Ok(commit) => {
                    let (kind, reason) = (PromotionKind::Rollback, self.reason());
                    self.begin(PromotionSpec { commit, kind, reason, ..PromotionSpec::default() }).await
                }
                Err(unclear) => Ok(Err(said(&unclear))),
            },
            Verb::Abort => self.abort().await,
            Verb::Hold => self.close("hold", "is held").await,
            Verb::Lock => self.close("locked", "is locked").await,
            Verb::Resume => self.open("hold", "goes on by itself").await,
            Verb::Unlock => self.open("locked", "is open").await,
        }
    }

    fn reason(&self) -> Option<String> {
        (!self.rest.is_empty()).then(|| line(&self.rest.join(" ")))
    }

    /// The promotion that is under way, as it is now.
    async fn open_promotion(&self) -> Result<Result<Promotion, Phrase>, String> {
        let name = self.environment.name();
        let all = self.daemon.promotions.of(name);
        let Some(open) = asked::open(all.iter().map(|one| &**one), name) else {
            return Ok(Err(said(&Unclear::NothingOpen(name.to_owned()))));
        };
        let found = self.daemon.cluster.get_as(&key(open), PROMOTION_VERSION).await;
        found.map(Ok).map_err(|error| format!("{} not read: {error}", open.name()))
    }

    /// Writes a yes or a no onto the promotion that is under way.
    async fn say(&self, verdict: WordVerdict) -> Result<Answer, String> {
        for _ in 0..TRIES {
            let found = match self.open_promotion().await? {
                Ok(found) => found,
                Err(why) => return Ok(Err(why)),
            };
            let plan = match asked::judged(&found) {
                Ok(plan) => plan,
                Err(unclear) => return Ok(Err(said(&unclear))),
            };
            let done = match verdict {
                WordVerdict::Approve => "approved",
                WordVerdict::Reject => "rejected",
            };
            let name = found.name();
            let told = match counts(&plan) {
                changes if changes.is_empty() => say(&format!("{{}} is {done}"), &[&name]),
                changes => say(&format!("{{}} is {done}: {{}}"), &[&name, &changes]),
            };
            if found.spec.approvals.iter().any(|word| word.via.as_ref() == Some(&self.asked.via)) {
                return Ok(Ok(told));
            }
            let is_later = plan.since.as_ref().is_some_and(|Time(since)| since.duration_since(self.asked.at) > TICK);
            if is_later {
                return Ok(Err(say("{} has another plan since then: look at it, and say it again", &[&name])));
            }
            if verdict == WordVerdict::Approve && self.is_own(&found) {
                let user = &self.person.user;
                return Ok(Err(say("{} does not count: what {} carries is their own", &[user, &name])));
            }
            let word = Word {
                user: self.person.user.clone(),
                groups: self.person.groups.clone(),
                verdict,
                plan_hash: plan.hash,
                comment: self.reason(),
                at: Some(Time(self.asked.at)),
                account: Some(self.asked.account.login.clone()),
                via: Some(self.asked.via.clone()),
            };
            let words: Vec<&Word> = found.spec.approvals.iter().chain([&word]).collect();
            let version = &found.metadata.resource_version;
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"approvals": words}});
            match self.daemon.cluster.merge_patch(&key(&found), PROMOTION_VERSION, Part::Whole, &patch).await {
                Ok(_) => return Ok(Ok(told)),
                Err(Error::Conflict(_)) => {}
                Err(error) => return refused(found.name(), &error),
            }
        }
        Err(format!("promotions into {} change faster than a word can be written", self.environment.name()))
    }

    /// A gate would not count it, because they have made or asked for what is carried.
    fn is_own(&self, promotion: &Promotion) -> bool {
        let gates = self.environment.spec.promotion.iter().flat_map(|policy| &policy.gates);
        let mut approvals = gates.filter_map(|gate| gate.approval.as_ref());
        let planned = self.daemon.promotions.planned.lock();
        let authors = planned.get(promotion.name()).map(|planned| planned.brought.authors.clone()).unwrap_or_default();
        let asker = Asker { requested_by: promotion.spec.requested_by.clone(), authors };
        approvals.any(|gate| gate.not_author()) && asker.is(&self.person.user, Some(&self.asked.account.login))
    }

    /// Makes a Promotion in their name.
    async fn begin(&self, spec: PromotionSpec) -> Result<Answer, String> {
        let spec = PromotionSpec {
            environment: self.environment.name().into(),
            requested_by: Some(self.person.user.clone()),
            via: Some(self.asked.via.clone()),
            ..spec
        };
        for _ in 0..TRIES {
            let all = self.daemon.promotions.of(self.environment.name());
            if let Some(known) = all.iter().find(|one| one.spec.via == spec.via) {
                return Ok(Ok(say("{} has begun", &[&known.name()])));
            }
            let name = match asked::attempt(all.iter().map(|one| &**one), &spec) {
                Ok(name) => name,
                Err(unclear) => return Ok(Err(said(&unclear))),
            };
            let promotion = Promotion::owned_by(&self.environment, &name, spec.clone());
            let body = serde_json::to_value(&promotion).map_err(|error| error.to_string())?;
            let object = Object::from_value(body, None).map_err(|error| error.to_string())?;
            match self.daemon.cluster.create(&object).await {
                Ok(made) => {
                    if let Some(Ok(made)) = made.body.as_ref().map(crate::api::decode::<Promotion>) {
                        self.daemon.promotions.see(made);
                        self.daemon.promotions.look_at(self.environment.name());
                    }
                    return Ok(Ok(say("{} begins", &[&name])));
                }
                // Somebody was faster: the watch tells who.
                Err(Error::AlreadyExists(_)) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
                Err(error) => return refused(&name, &error),
            }
        }
        Err(format!("no Promotion into {} could be made: others are faster", self.environment.name()))
    }

    async fn abort(&self) -> Result<Answer, String> {
        let found = match self.open_promotion().await? {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        let patch = json!({"spec": {"abort": self.lock(&self.reason().unwrap_or_default())}});
        match self.daemon.cluster.merge_patch(&key(&found), PROMOTION_VERSION, Part::Whole, &patch).await {
            Ok(_) => Ok(Ok(say("{} is aborted", &[&found.name()]))),
            Err(error) => refused(found.name(), &error),
        }
    }

    fn lock(&self, reason: &str) -> Value {
        let since = self.asked.at.round(Unit::Second).unwrap_or(self.asked.at).to_string();
        json!({"reason": reason, "by": self.person.user, "since": since})
    }

    /// Lets nothing enter, or nothing by itself.
    async fn close(&self, field: &str, done: &str) -> Result<Answer, String> {
        let Some(reason) = self.reason() else {
            return Ok(Err(say("say why: everybody who waits is told", &[])));
        };
        let mut lock = self.lock(&reason);
        lock["until"] = Value::Null;
        self.change(field, &lock, done).await
    }

    async fn open(&self, field: &str, done: &str) -> Result<Answer, String> {
        self.change(field, &Value::Null, done).await
    }

    async fn change(&self, field: &str, value: &Value, done: &str) -> Result<Answer, String> {
        let mut fields = serde_json::Map::new();
        fields.insert(field.to_owned(), value.clone());
        let name = self.environment.name();
        let key = object("Environment", &self.environment, name);
        let patch = json!({"spec": {"promotion": fields}});
        match self.daemon.cluster.merge_patch(&key, VERSION, Part::Whole, &patch).await {
            Ok(_) => Ok(Ok(say(&format!("{{}} {done}"), &[&name]))),
            Err(error) => refused(name, &error),
        }
    }
}

/// Words that hold what somebody has written.
fn said(unclear: &Unclear) -> Phrase {
    say("{}", &[unclear])
}

/// What the API server does not take will not be taken later either.
fn refused(name: &str, error: &Error) -> Result<Answer, String> {
    match error {
        Error::Forbidden(_) | Error::AdmissionRefused { .. } | Error::Invalid { .. } | Error::NotFound(_) => {
            let words = error.message().unwrap_or("the API server does not take it");
            Ok(Err(say("{}", &[&words])))
        }
        error => Err(format!("{name} not written: {error}")),
    }
}
