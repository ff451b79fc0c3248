//! What it would be to write a promotion: merged, rendered and planned as a sync would plan it, before anything is written.
//!
//! **In:** a promotion, where the branch stands. **Out:** a [`Proposal`]. **May not:** write anything; or plan the same two
//! commits twice.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::memory::Trial;
use super::super::previews::{Merge, TooLarge, compared};
use super::Subject;
use crate::api::leeboard::promotion::{PlanSummary, Promotion, PromotionKind, WriteMode};
use crate::git::{Brought, Holding, Merged, Mirror, Oid, Snapshot};
use crate::object::ObjectKey;
use crate::plan::of_wanted;
use crate::policy::Says;
use crate::preview::mask::Masks;
use crate::preview::{ChangeKind, Outcome, Preview, Pull, Reach};
use crate::promote::candidate::short;
use crate::promote::machine::Proposal;
use crate::sync::status::images;

/// What a look at two commits has found.
#[derive(Clone)]
pub(super) struct Planned {
    /// Where the branch stood.
    pub(super) base: Oid,
    /// What would be carried: the promotion's commit, or what others have made of it.
    pub(super) commit: Oid,
    /// What it would be.
    pub(super) proposal: Proposal,
    /// What comes with it.
    pub(super) brought: Brought,
    /// Every image that would be in the objects that it reaches, and those that are.
    pub(super) images: Images,
    /// When that commit was made.
    pub(super) committed: Timestamp,
    /// The files that the branch would hold.
    pub(super) files: Option<Snapshot>,
}

/// Images by the names that objects have for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    /// With the promotion.
    pub(super) wanted: BTreeSet<String>,
    /// Without it.
    pub(super) deployed: BTreeSet<String>,
}

impl Images {
    fn of(preview: &Preview) -> Self {
        let mut found = Images::default();
        for environment in &preview.environments {
            environment.facts.merged.iter().for_each(|object| images(&object.body, &mut found.wanted));
            environment.facts.base.iter().for_each(|object| images(&object.body, &mut found.deployed));
        }
        found
    }
}

/// What it would be to write a promotion now, with `commit` in place of its own where others have pushed to its branch.
pub(super) async fn plan(subject: &Subject<'_>, promotion: &Promotion, commit: Oid) -> Result<Planned, String> {
    let daemon = subject.daemon;
    let mirror = daemon.repositories.mirrors().mirror(&subject.url);
    let base = daemon.repositories.commit(&subject.url, &subject.branch).await;
    let base = base.map_err(|error| format!("{}: {error}", subject.branch))?.id;
    if let Some(known) = daemon.promotions.planned.lock().get(promotion.name())
        && (known.base, known.commit) == (base, commit)
        && !matches!(known.proposal, Proposal::Unknown(_))
    {
        return Ok(known.clone());
    }
    let (proposal, images, files) = match proposed(subject, promotion, &mirror, base, commit).await {
        Ok(found) => found,
        Err(error) => (Proposal::Unknown(error.to_string()), Images::default(), None),
    };
    // The merge has no time of its own.
    let committed = mirror.snapshot_at(commit).map_or(Timestamp::UNIX_EPOCH, |snapshot| snapshot.commit().time);
    let brought = mirror.brought(base, commit).await.unwrap_or_default();
    let planned = Planned { base, commit, proposal, brought, images, committed, files };
    daemon.promotions.planned.lock().insert(promotion.name().into(), planned.clone());
    Ok(planned)
}

/// What an environment's branch holds by promotions, also where history does not tell.
pub(super) fn held(subject: &Subject<'_>) -> Vec<Holding> {
    let all = subject.daemon.promotions.of(subject.environment.name());
    let holding = |one: &Promotion| {
        let write = one.status.as_ref()?.write.as_ref()?;
        let is_carried = one.spec.kind != PromotionKind::Rollback && write.taken_back.is_none();
        let by = write.commit.as_ref().filter(|_| is_carried)?.parse().ok()?;
        one.status.as_ref()?.written_at.as_ref()?;
        Some(Holding { by, commit: one.spec.commit.parse().ok()? })
    };
    all.iter().filter_map(|one| holding(one)).collect()
}

async fn proposed(
    subject: &Subject<'_>,
    promotion: &Promotion,
    mirror: &Mirror,
    base: Oid,
    commit: Oid,
) -> Result<(Proposal, Images, Option<Snapshot>), crate::git::Error> {
    let nothing = |proposal| Ok((proposal, Images::default(), None));
    if mirror.snapshot_at(commit).is_err() {
        // A person may name a commit that no branch of ours stands on.
        let refreshed = mirror.refresh(&[commit.to_string()]).await?;
        if let Some(Err(error)) = refreshed.commit(&commit.to_string()) {
            return Err(error.clone());
        }
    }
    let merged = if promotion.spec.kind == PromotionKind::Rollback {
        let back = mirror.snapshot_at(commit)?;
        if back.root() == mirror.snapshot_at(base)?.root() {
            return nothing(Proposal::Needless(format!("{} holds just that", subject.branch)));
        }
        back
    } else {
        let effective = mirror.effective(base).await?;
        let is_held = |known: &Holding| {
            Ok::<_, crate::git::Error>(mirror.holds(effective, known.by)? && mirror.holds(known.commit, commit)?)
        };
        let mut is_there = mirror.holds(effective, commit)?;
        for known in held(subject) {
            is_there |= is_held(&known).unwrap_or(false);
        }
        if is_there {
            return nothing(Proposal::Needless(format!("{} has {}", subject.branch, short(&commit.to_string()))));
        }
        let mode = subject.policy.write.as_ref().map(|write| write.mode).unwrap_or_default();
        if mode == WriteMode::FastForward && !mirror.holds(commit, base)? {
            let own = mirror.brought(commit, base).await?.subjects;
            return nothing(Proposal::Broken(diverged(&subject.branch, &own)));
        }
        match mirror.joined(base, commit, &held(subject)).await? {
            Merged::Clean(merged) => merged,
            Merged::Conflict { paths } => {
                let ours = mirror.last_to_change(base, &paths).await?;
                let theirs = mirror.last_to_change(commit, &paths).await?;
                let who = match (ours, theirs) {
                    (Some(ours), Some(theirs)) => {
                        format!(" (last changed on {} by {ours}, and by {theirs})", subject.branch)
                    }
                    _ => String::new(),
                };
                return nothing(Proposal::Conflict(format!("both have changed {}{who}", paths.join(", "))));
            }
        }
    };
    let files = Some(merged.clone());
    let merge =
        Merge { url: subject.url.clone(), branch: subject.branch.clone(), base: mirror.snapshot_at(base)?, merged };
    let about = Pull { number: 0, head: commit.to_string().into(), base: base.to_string().into() };
    let instance = promotion.name().into();
    Ok(match compared(subject.daemon, &merge, about, instance, Trial::Own).await {
        Ok(preview) => (judged(subject, &preview), Images::of(&preview), files),
        Err(TooLarge { objects }) => {
            let why = format!("it renders to more objects than can be planned ({objects})");
            (Proposal::Broken(why), Images::default(), files)
        }
    })
}

/// `not a fast-forward: 2 commits only on env/prod: …`.
pub(super) fn diverged(branch: &str, own: &[String]) -> String {
    let commits = if own.len() == 1 { "1 commit".to_owned() } else { format!("{} commits", own.len()) };
    let few: Vec<&str> = own.iter().take(5).map(String::as_str).collect();
    format!("not a fast-forward: {commits} only on {branch}: {}", few.join("; "))
}

/// What speaks against it, or the plan.
fn judged(subject: &Subject<'_>, preview: &Preview) -> Proposal {
    let mut summary = PlanSummary::default();
    let mut wanted: Vec<(String, &ObjectKey, Option<&serde_json::Value>)> = Vec::new();
    let mut found = BTreeSet::new();
    let masks = Masks::of(preview, Vec::new());
    for environment in &preview.environments {
        if let Reach::Unreachable(why) = &environment.reach {
            return Proposal::Unknown(format!("{} does not answer: {why}", environment.cluster));
        }
        for application in &environment.applications {
            let name = &application.name;
            match &application.outcome {
                Outcome::Failed(problems) => {
                    let first = problems.first().map(ToString::to_string).unwrap_or_default();
                    return Proposal::Broken(format!("{name} would not render: {first}"));
                }
                Outcome::Held(held) => {
                    return Proposal::Broken(format!("{name} would lose {} of {} objects", held.prunes, held.of));
                }
                Outcome::Planned(planned) => {
                    if let Some(refusal) = planned.refusals.first() {
                        return Proposal::Broken(format!("{name}: {refusal}"));
                    }
                    if let Some(held) = &planned.guarded {
                        return Proposal::Broken(format!("{name} would lose {} of {} objects", held.prunes, held.of));
                    }
                }
                Outcome::Removed(_) => {}
            }
            for change in application.outcome.changes() {
                if let Some(refused) = &change.refused {
                    let words = masks.finish(&masks.answer(&change.key, refused));
                    return Proposal::Broken(format!("the API server would refuse {}: {words}", change.key));
                }
                if let Some(verdict) = change.verdicts.iter().find(|verdict| verdict.says == Says::Denies) {
                    let words = masks.finish(&masks.text(&verdict.message));
                    return Proposal::Broken(format!("policy {} refuses {}: {words}", verdict.policy, change.key));
                }
                match change.kind {
                    ChangeKind::Create => summary.added += 1,
                    ChangeKind::Change | ChangeKind::Transferred { .. } => summary.changed += 1,
                    ChangeKind::Replace => summary.replaced += 1,
                    ChangeKind::Delete => summary.removed += 1,
                    ChangeKind::Stays(_) | ChangeKind::AlreadySo => {}
                }
                if let Some(body) = change.after_body() {
                    images(body, &mut found);
                }
                wanted.push((format!("{}/{name}", environment.name), &change.key, change.after_body()));
            }
        }
    }
    wanted.sort_by(|(a, key, _), (b, other, _)| (a, key).cmp(&(b, other)));
    let parts = wanted.iter().map(|(name, key, body)| (name.as_str(), *key, *body));
    summary.hash = of_wanted(&subject.daemon.data_dir.plan_key, parts).to_string();
    summary.images = found.into_iter().collect();
    Proposal::Ready(summary)
}
