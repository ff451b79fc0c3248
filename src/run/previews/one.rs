//! One pull request, from its head to what it is told.
//!
//! **In:** an open pull request. **Out:** its comment and its status. **May not:** believe the forge's own merge; run
//! anything of what the pull request brings; or show a fork what only the cluster knows.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use super::super::Daemon;
use super::affected::Merge;
use super::collect::{self, Asking, TooLarge};
use super::followed::Followed;
use super::told::{Previewed, Text, Told, flavour};
use crate::api::leeboard::{CommentMode, ForkPolicy, UnreachablePolicy};
use crate::forge::{self, Permission, Pull};
use crate::git::{Merged, Oid};
use crate::preview::comment::{self, Notice, Options, notice};
use crate::preview::full::full;
use crate::preview::mask::Masks;
use crate::preview::risk::{self, Failing, Risk, Standards};
use crate::preview::status::{Judgement, Status, Unreachable};
use crate::preview::{self, Preview};
use crate::server::ui;

/// What branch protection knows the status by.
const CONTEXT: &str = "leeboard/preview";

/// Looks at an open pull request, and tells it what it would change.
///
/// # Errors
/// What keeps it from being told, in one sentence: it is looked at again.
pub(super) async fn look(
    daemon: &Arc<Daemon>,
    followed: &Followed,
    forge: &forge::Repository,
    pull: &Pull,
    told: &mut Told,
) -> Result<(), String> {
    if pull.is_draft && followed.policy.skip_drafts {
        return Ok(());
    }
    let begun = Instant::now();
    let mut link = pull.page.clone();
    let Some(asking) = allowed(followed, forge, pull).await? else {
        return told.judge(forge, pull.head, CONTEXT, Status::fork(), link).await.map_err(|error| error.to_string());
    };
    // A head that was judged stays so until there is another word.
    let is_known = told.previewed.as_ref().is_some_and(|previewed| *previewed.pull.head == pull.head.to_string());
    if !is_known {
        told.judge(forge, pull.head, CONTEXT, Status::pending(), link.clone())
            .await
            .map_err(|error| error.to_string())?;
    }
    let found = preview(daemon, followed, forge, pull, asking).await?;
    let flavour = flavour(forge.forge().kind());
    let notice = |about: &preview::Pull, why: &Notice| notice(flavour, &followed.instance, about, why);
    let (text, status) = match found {
        Found::Conflict { about, paths } => {
            let files = paths.len();
            let comment = notice(&about, &Notice::Conflict { files: paths });
            (Text::of(comment, &about, true), Status::conflict(files))
        }
        Found::TooLarge { about, objects } => {
            let comment = notice(&about, &Notice::TooLarge { objects });
            (Text::of(comment, &about, true), Status::too_large(objects))
        }
        Found::Preview { preview, tree } => {
            let risks = risk::assess(&preview, &Standards::default());
            let masks = Masks::of(&preview, Vec::new());
            let page = page(daemon, followed, &preview, &risks, &masks);
            link = page.clone().or(link);
            let options = Options { took: Some(begun.elapsed()), link: page, ..Options::new(flavour) };
            let comment = comment::write(&preview, &risks, &masks, &options.lowered_to(followed.policy.max_bytes));
            told.previewed = Some(Previewed::of(&preview, tree));
            let status = Status::of(&preview, &risks, &masks, &judgement(followed));
            (Text::of(comment, &preview.pull, !preview.is_empty()), status)
        }
    };
    if followed.policy.comment == CommentMode::Update {
        told.say(forge, pull.number, text).await.map_err(|error| error.to_string())?;
    }
    followed.keep(pull, told);
    told.judge(forge, pull.head, CONTEXT, status, link).await.map_err(|error| error.to_string())
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
    forge: &forge::Repository,
    pull: &Pull,
    asking: Asking,
) -> Result<Found, String> {
    let mirror = daemon.repositories.mirrors().mirror(&followed.url);
    let head = match forge.forge().kind().head_reference(pull.number) {
        Some(reference) => reference,
        None => format!("refs/heads/{}", pull.source_branch),
    };
    let asked = [format!("refs/heads/{}", followed.branch), head.clone()];
    let refreshed = mirror.refresh(&asked).await.map_err(|error| error.to_string())?;
    let commit = |revision: &str| match refreshed.commit(revision) {
        Some(commit) => commit.clone().map_err(|error| error.to_string()),
        None => Err(format!("the repository has no {revision}")),
    };
    let (base, newest) = (commit(&asked[0])?, commit(&head)?);
    if newest.id != pull.head {
        return Err(format!("its head is {} by now", newest.id.short()));
    }
    let about =
        preview::Pull { number: pull.number, head: pull.head.to_string().into(), base: base.id.to_string().into() };
    match mirror.merged(base.id, pull.head).await.map_err(|error| error.to_string())? {
        Merged::Conflict { paths } => Ok(Found::Conflict { about, paths }),
        Merged::Clean(merged) => {
            let base = mirror.snapshot_at(base.id).map_err(|error| error.to_string())?;
            let tree = merged.root();
            let merge = Merge { url: followed.url.clone(), branch: followed.branch.clone(), base, merged };
            Ok(match collect::preview(daemon, &merge, about.clone(), followed.instance.clone(), asking).await {
                Ok(preview) => Found::Preview { preview: Box::new(preview), tree },
                Err(TooLarge { objects }) => Found::TooLarge { about, objects },
            })
        }
    }
}

/// Whether it is looked at, and how closely; `None`: not at all.
async fn allowed(followed: &Followed, forge: &forge::Repository, pull: &Pull) -> Result<Option<Asking>, String> {
    if !pull.is_fork {
        return Ok(Some(Asking::Clusters));
    }
    Ok(match followed.policy.forks {
        ForkPolicy::None => None,
        ForkPolicy::All => Some(Asking::Nobody),
        ForkPolicy::Members => {
            let permission = forge.permission(&pull.author).await.map_err(|error| error.to_string())?;
            (permission >= Permission::Write).then_some(Asking::Nobody)
        }
    })
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

fn judgement(followed: &Followed) -> Judgement {
    Judgement {
        // The CRD lets no other words in.
        fail: followed.policy.fail.iter().filter_map(|word| Failing::from_str(word).ok()).collect(),
        unreachable: match followed.policy.unreachable {
            UnreachablePolicy::Neutral => Unreachable::Neutral,
            UnreachablePolicy::Fail => Unreachable::Fail,
            UnreachablePolicy::Success => Unreachable::Success,
        },
        accepted: None,
    }
}
