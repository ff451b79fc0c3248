//! One pull request, from its head to what it is told.
//!
//! **In:** an open pull request. **Out:** its comment and its status. **May not:** believe the forge's own merge; run
//! anything of what the pull request brings; or show a fork what only the cluster knows.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Instant;

use smol_str::SmolStr;
use tracing::warn;

use super::super::Daemon;
use super::super::memory::Trial;
use super::affected::Merge;
use super::carried;
use super::collect::{self, TooLarge};
use super::followed::{Followed, LABEL};
use super::told::{Previewed, Text, Told, Verdict, Verdicts, Words, flavour, taken};
use crate::api::leeboard::{CommentMode, ForkPolicy, StatusMode, UnreachablePolicy};
use crate::forge::{self, Permission, Pull, Source};
use crate::git::{Merged, Oid};
use crate::preview::comment::{self, Comment, Data, Flavour, Notice, Options, notice};
use crate::preview::full::full;
use crate::preview::mask::Masks;
use crate::preview::risk::{self, Failing, Risk, Standards};
use crate::preview::status::{Judgement, Status, Unreachable};
use crate::preview::{self, Preview};
use crate::server::ui;

/// What branch protection knows the status by, or with an environment's name behind it those of each.
const CONTEXT: &str = "leeboard/preview";

/// Looks at an open pull request, and tells it what it would change. What the forge does not take of that is handed back,
/// in one sentence.
///
/// # Errors
/// What keeps it from being told, in one sentence: it is looked at again.
pub(super) async fn look(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    pull: &Pull,
    told: &mut Told,
) -> Result<Option<String>, String> {
    if pull.is_draft && followed.policy.skip_drafts {
        return Ok(None);
    }
    let begun = Instant::now();
    let mut link = pull.page.clone();
    let (trial, head) = match admitted(followed, forge, pull).await? {
        Ok(admitted) => admitted,
        Err(status) => {
            let verdicts = each(daemon, followed, &status);
            return taken(told.judge(forge, pull.head, verdicts, link.as_ref()).await);
        }
    };
    // A head that was judged stays so until there is another word.
    let is_known = told.previewed.as_ref().is_some_and(|previewed| *previewed.pull.head == pull.head.to_string());
    if !is_known {
        let pending = each(daemon, followed, &Status::pending());
        // What it does not take now is told once there is a comment.
        taken(told.judge(forge, pull.head, pending, link.as_ref()).await)?;
    }
    let found = preview(daemon, followed, pull, head, trial).await?;
    let flavour = flavour(forge.forge().kind());
    let notice = |about: &preview::Pull, why: &Notice| notice(flavour, &followed.instance, about, why);
    let (text, verdicts) = match found {
        Found::Conflict { about, paths } => {
            let files = paths.len();
            let comment = notice(&about, &Notice::Conflict { files: paths });
            (Text::of(comment, &about, true), each(daemon, followed, &Status::conflict(files)))
        }
        Found::TooLarge { about, objects } => {
            let comment = notice(&about, &Notice::TooLarge { objects });
            (Text::of(comment, &about, true), each(daemon, followed, &Status::too_large(objects)))
        }
        Found::Preview { preview, tree } => {
            let previewed = Previewed::of(&preview, tree, told.previewed.as_ref());
            let accepted = previewed.accepted.clone();
            told.previewed = Some(previewed);
            // A large one takes a while.
            let is_app = forge.forge().is_app();
            let (page, comment, verdicts) = tokio::task::block_in_place(|| {
                written(daemon, followed, (flavour, is_app), &preview, accepted.as_deref(), begun)
            });
            link = page.or(link);
            (Text::of(comment, &preview.pull, preview.is_news()), verdicts)
        }
    };
    // Where nobody may comment the status still speaks, and the other way round.
    let uncommented = match followed.policy.comment {
        CommentMode::Update => taken(told.say(forge, pull.number, text).await)?,
        CommentMode::None => None,
    };
    followed.keep(pull, told);
    let unjudged = taken(told.judge(forge, pull.head, verdicts, link.as_ref()).await)?;
    Ok(uncommented.or(unjudged))
}

/// This status, as often as the Environments want one.
fn each(daemon: &Daemon, followed: &Followed, status: &Status) -> Verdicts {
    contexts(daemon, followed).into_iter().map(|(context, _)| (context, status.clone().into())).collect()
}

/// What branch protection knows the statuses by, each with its environment when it is of one.
fn contexts(daemon: &Daemon, followed: &Followed) -> Vec<(String, Option<SmolStr>)> {
    match followed.policy.status {
        StatusMode::Single => vec![(CONTEXT.to_owned(), None)],
        StatusMode::PerEnvironment => {
            let environments = followed.environments(daemon).into_iter();
            environments.map(|one| (format!("{CONTEXT}/{}", one.name()), Some(one.name().into()))).collect()
        }
        StatusMode::None => Vec::new(),
    }
}

/// What a look at the two commits found.
enum Found {
    Conflict { about: preview::Pull, paths: Vec<String> },
    TooLarge { about: preview::Pull, objects: usize },
    Preview { preview: Box<Preview>, tree: Oid },
}

async fn preview(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    pull: &Pull,
    head: String,
    trial: Trial,
) -> Result<Found, String> {
    let (about, merged) = merged(daemon, followed, pull, head).await?;
    let merge = match merged {
        Ok(merge) => merge,
        Err(paths) => return Ok(Found::Conflict { about, paths }),
    };
    let tree = merge.merged.root();
    Ok(match collect::preview(daemon, &merge, about.clone(), followed.instance.clone(), trial).await {
        Ok(preview) => {
            let (deployed, carried) = (followed.deployed(pull.number), carried::steps(daemon, &merge));
            let preview = Box::new(Preview { deployed, carried, ..preview });
            Found::Preview { preview, tree }
        }
        Err(TooLarge { objects }) => Found::TooLarge { about, objects },
    })
}

/// What the target branch would be with the pull request, whose head git can have as `head`; or the paths that conflict.
///
/// # Errors
/// When the repository does not have what the forge says it has.
pub(super) async fn merged(
    daemon: &Daemon,
    followed: &Followed,
    pull: &Pull,
    head: String,
) -> Result<(preview::Pull, Result<Merge, Vec<String>>), String> {
    let mirror = daemon.repositories.mirrors().mirror(&followed.url);
    let asked = [format!("refs/heads/{}", followed.branch), head];
    let refreshed = mirror.refresh(&asked).await.map_err(|error| error.to_string())?;
    let commit = |revision: &str| match refreshed.commit(revision) {
        Some(commit) => commit.clone().map_err(|error| error.to_string()),
        None => Err(format!("the repository has no {revision}")),
    };
    let (base, newest) = (commit(&asked[0])?, commit(&asked[1])?);
    if newest.id != pull.head {
        return Err(format!("its head is {} by now", newest.id.short()));
    }
    let about =
        preview::Pull { number: pull.number, head: pull.head.to_string().into(), base: base.id.to_string().into() };
    let merge = match mirror.merged(base.id, pull.head).await.map_err(|error| error.to_string())? {
        Merged::Conflict { paths } => Err(paths),
        Merged::Clean(merged) => {
            let base = mirror.snapshot_at(base.id).map_err(|error| error.to_string())?;
            Ok(Merge { url: followed.url.clone(), branch: followed.branch.clone(), base, merged })
        }
    };
    Ok((about, merge))
}

/// How closely it is looked at, and as what git can have its head; or the status that says why it is not looked at.
pub(super) async fn admitted(
    followed: &Followed,
    forge: &forge::Repository,
    pull: &Pull,
) -> Result<Result<(Trial, String), Status>, String> {
    let Some(trial) = allowed(followed, forge, pull).await? else {
        let label = (followed.policy.forks == ForkPolicy::Label).then_some(LABEL);
        return Ok(Err(Status::fork(label)));
    };
    // What is in the repository that we follow, and no other, is fetched at the word of who opens a pull request.
    Ok(match forge.source(pull) {
        Some(Source { repository: None, reference }) => Ok((trial, reference)),
        _ => Err(Status::elsewhere()),
    })
}

/// Whether it is looked at, and how closely; `None`: not at all.
async fn allowed(followed: &Followed, forge: &forge::Repository, pull: &Pull) -> Result<Option<Trial>, String> {
    if !pull.is_fork {
        return Ok(Some(Trial::Own));
    }
    Ok(match followed.policy.forks {
        ForkPolicy::None => None,
        ForkPolicy::All => Some(Trial::Strangers),
        ForkPolicy::Label => followed.is_let_in(pull).then_some(Trial::Strangers),
        ForkPolicy::Members => {
            let permission = forge.permission(&pull.author).await.map_err(|error| error.to_string())?;
            (permission >= Permission::Write).then_some(Trial::Strangers)
        }
    })
}

/// What it is told: where its page is, the comment, the status.
fn written(
    daemon: &Daemon,
    followed: &Followed,
    (flavour, is_app): (Flavour, bool),
    preview: &Preview,
    accepted: Option<&str>,
    begun: Instant,
) -> (Option<String>, Comment, Verdicts) {
    let risks = risk::assess(preview, &Standards::default());
    let masks = Masks::of(preview, Vec::new());
    let page = page(daemon, followed, preview, &risks, &masks);
    let options = Options { took: Some(begun.elapsed()), link: page.clone(), ..Options::new(flavour) };
    let options = options.lowered_to(followed.policy.max_bytes);
    let comment = comment::write(preview, &risks, &masks, &options);
    let is_accepted = accepted.is_some() && accepted == Data::of(preview).plan.as_deref();
    let verdict = |preview: &Preview, risks: &[Risk], comment: Option<&Comment>| Verdict {
        status: Status::of(preview, risks, &masks, &judgement(followed, preview, is_accepted)),
        words: comment.map(|comment| Words::of(comment, preview, risks, &masks)),
    };
    let verdicts = contexts(daemon, followed).into_iter().map(|(context, environment)| {
        let verdict = match environment {
            None => verdict(preview, &risks, is_app.then_some(&comment)),
            Some(name) => {
                let of_it = preview.of_environment(&name);
                let risks = risk::assess(&of_it, &Standards::default());
                let own = is_app.then(|| comment::write(&of_it, &risks, &masks, &options));
                verdict(&of_it, &risks, own.as_ref())
            }
        };
        (context, verdict)
    });
    let verdicts = verdicts.collect();
    (page, comment, verdicts)
}

/// Makes the page that shows all of it; where it is, when there is a way to it.
fn page(daemon: &Daemon, followed: &Followed, preview: &Preview, risks: &[Risk], masks: &Masks) -> Option<String> {
    let url = daemon.options.url.as_ref().filter(|_| !preview.is_empty())?;
    let number = preview.pull.number.to_string();
    let name = daemon.data_dir.page_key.name(&[followed.url.normal(), &followed.branch, &number]);
    let html = ui::preview(&full(preview, risks, masks), &followed.url.to_string()).map_err(|error| error.to_string());
    match html.and_then(|html| daemon.pages.put(name.clone(), &html).map_err(|error| error.to_string())) {
        Ok(()) => Some(url.preview(&name)),
        Err(error) => {
            warn!(repository = %followed.url, pull = preview.pull.number, error, "No page of a preview");
            None
        }
    }
}

fn judgement(followed: &Followed, preview: &Preview, is_accepted: bool) -> Judgement {
    Judgement {
        // The CRD lets no other words in.
        fail: followed.policy.fail.iter().filter_map(|word| Failing::from_str(word).ok()).collect(),
        unreachable: match followed.policy.unreachable {
            UnreachablePolicy::Neutral => Unreachable::Neutral,
            UnreachablePolicy::Fail => Unreachable::Fail,
            UnreachablePolicy::Success => Unreachable::Success,
        },
        accepted: Data::of(preview).plan.filter(|_| is_accepted),
    }
}
