//! From a merge result to a [`Preview`]: each application that it reaches, rendered before and after, and planned.
//!
//! **In:** a [`Merge`]. **Out:** the values of [`crate::preview`]. **May not:** write anything anywhere; ask a cluster for
//! what the pull request does not change; or follow rules that the pull request itself brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt as _;
use smol_str::SmolStr;

use super::super::Daemon;
use super::super::look::{self, Look, Trouble};
use super::super::memory::{Memory, Trial};
use super::super::reconcile::{automated_policy, idle_run};
use super::affected::{Candidate, Merge, affected};
use super::policies::Asked;
use super::{live, policies};
use crate::api::argo::{Application, Destination, PreviewRule};
use crate::error::Diagnostic;
use crate::object::{Object, annotation};
use crate::plan::Plan;
use crate::plan::prune::Stays;
use crate::preview::attribute::{self, Declared};
use crate::preview::rules;
use crate::preview::{
    ApplicationPreview, ChangeKind, EnvironmentPreview, Facts, Held, HeldBecause, Leftovers, Outcome, Preview, Pull,
    Reach, Removal,
};

/// Applications that are compared at once.
const AT_ONCE: usize = 8;
/// Applications of applications of applications: deeper ones are compared once their parents are synced.
const DEPTH: usize = 8;
/// Objects of all merge results together: more cost more than a preview may.
const MOST_OBJECTS: usize = 20_000;

/// It renders to more than a preview may cost.
pub(in crate::run) struct TooLarge {
    /// Objects so far.
    pub(in crate::run) objects: usize,
}

/// One application, compared.
struct Compared {
    place: Place,
    name: SmolStr,
    outcome: Outcome,
    reach: Reach,
    base: Vec<Arc<Object>>,
    merged: Vec<Arc<Object>>,
    facts: Facts,
    asked: Asked,
    rules: Vec<PreviewRule>,
}

/// The row of the table that an application is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    environment: SmolStr,
    cluster: SmolStr,
}

/// Compares all that a merge reaches.
///
/// # Errors
/// When it is too much.
pub(in crate::run) async fn preview(
    daemon: &Daemon,
    merge: &Merge,
    pull: Pull,
    instance: SmolStr,
    trial: Trial,
) -> Result<Preview, TooLarge> {
    let (mut waiting, troubled) = affected(daemon, merge, trial).await;
    let rendered = AtomicUsize::new(0);
    // By application; one that moves has two places.
    let mut compared: BTreeMap<SmolStr, Vec<Compared>> = BTreeMap::new();
    let mut note = |places: Vec<Compared>| {
        if let Some(one) = places.first() {
            compared.insert(one.name.clone(), places);
        }
    };
    troubled.iter().for_each(|(application, trouble)| note(vec![failed(daemon, application, trouble)]));
    for _ in 0..DEPTH {
        let done: Vec<(Vec<Compared>, Vec<Child>)> = futures::stream::iter(std::mem::take(&mut waiting))
            .map(|candidate| async {
                let left = left_behind(daemon, &candidate, trial).await;
                let (one, children) = compare(daemon, merge, candidate, trial, &rendered).await;
                (std::iter::once(one).chain(left).collect(), children)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let objects = rendered.load(Ordering::Relaxed);
        if objects > MOST_OBJECTS {
            return Err(TooLarge { objects });
        }
        let (ones, children): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        ones.into_iter().for_each(&mut note);
        // One that changes with its definition is compared again: the look at its old self does not count.
        for child in children.into_iter().flatten() {
            match child.after {
                Some(application) => match redefined(daemon, merge, application, child.before, trial).await {
                    Ok(candidate) => waiting.push(candidate),
                    Err((application, trouble)) => note(vec![failed(daemon, &application, &trouble)]),
                },
                None => {
                    if let Some(one) = removed(daemon, merge, child.before, trial).await {
                        note(vec![one]);
                    }
                }
            }
        }
        if waiting.is_empty() {
            break;
        }
    }
    Ok(judged(assembled(compared.into_values().flatten()), pull, instance).await)
}

/// An Application that is an object of another, and changes.
struct Child {
    before: Option<Arc<Application>>,
    after: Option<Arc<Application>>,
}

/// An application whose definition changes, or which is new.
async fn redefined(
    daemon: &Daemon,
    merge: &Merge,
    application: Arc<Application>,
    was: Option<Arc<Application>>,
    trial: Trial,
) -> Result<Candidate, (Arc<Application>, Trouble)> {
    let known = daemon.written.application(application.name());
    let memory = daemon.memory_of(known.as_ref().unwrap_or(&application), trial);
    match merge.commits(daemon, &application).await {
        Ok(commits) => Ok(Candidate { application, was, commits, memory }),
        Err(trouble) => Err((application, trouble)),
    }
}

/// What becomes of an application that goes.
async fn removed(daemon: &Daemon, merge: &Merge, gone: Option<Arc<Application>>, trial: Trial) -> Option<Compared> {
    let known = daemon.written.application(gone?.name())?;
    let mut memory = daemon.memory_of(&known, trial);
    let commits = merge.commits(daemon, &known).await.ok()?;
    let look = look::trial(daemon, &known, &mut memory, commits.before).await.ok()?;
    let objects = if known.cascade().is_some() { Leftovers::Go } else { Leftovers::Stay };
    Some(left(daemon, &look, &known, (objects, None), trial).await)
}

/// What becomes of an application's objects that goes from a cluster, perhaps to another one.
async fn left(
    daemon: &Daemon,
    look: &Look,
    application: &Application,
    (leftovers, moves_to): (Leftovers, Option<SmolStr>),
    trial: Trial,
) -> Compared {
    let base = objects(look);
    let declared = attribute::declared(&base, &[]);
    let (bodies, reach) = match trial {
        Trial::Own => (live::bodies(look, &declared).await, Reach::Compared),
        Trial::Strangers => (BTreeMap::new(), Reach::NotAsked),
    };
    let facts = match trial {
        Trial::Own => live::facts(look, &declared, &bodies).await,
        Trial::Strangers => Facts::default(),
    };
    let asked = asked(daemon, look, trial).await;
    let mut changes = attribute::planned(declared, None, bodies).changes;
    if leftovers == Leftovers::Stay {
        changes.iter_mut().for_each(|change| change.kind = ChangeKind::Stays(Stays::NotRequested));
    }
    let outcome = Outcome::Removed(Removal { changes, objects: leftovers, moves_to, hash: None });
    Compared { outcome, reach, base, facts, asked, ..blank(daemon, application) }
}

/// What may be asked of the cluster of a look.
async fn asked(daemon: &Daemon, look: &Look, trial: Trial) -> Asked {
    match trial {
        Trial::Own => Asked {
            cluster: Some(look.cluster.clone()),
            watched: daemon.previews.watches.of(daemon, &look.cluster).await.ok(),
            ..Asked::default()
        },
        Trial::Strangers => Asked::default(),
    }
}

/// What stays behind of an application that moves to another cluster: a sync deletes only where it applies.
async fn left_behind(daemon: &Daemon, candidate: &Candidate, trial: Trial) -> Option<Compared> {
    let Candidate { application, was, commits, memory } = candidate;
    let was = was.as_ref().filter(|was| moves(daemon, was, application))?;
    let look = look::trial(daemon, was, &mut memory.for_trial(trial), commits.before.clone()).await.ok()?;
    let moves_to = Some(place(daemon, application).cluster);
    Some(left(daemon, &look, was, (Leftovers::Stay, moves_to), trial).await)
}

/// True when an application goes to another cluster.
fn moves(daemon: &Daemon, was: &Application, application: &Application) -> bool {
    let server = |application: &Application| {
        let target = daemon.destinations.target(&application.spec.destination).ok()?;
        Some(target.cluster.server().to_owned())
    };
    match (server(was), server(application)) {
        (Some(from), Some(to)) => from != to,
        _ => place(daemon, was).cluster != place(daemon, application).cluster,
    }
}

async fn compare(
    daemon: &Daemon,
    merge: &Merge,
    candidate: Candidate,
    trial: Trial,
    rendered: &AtomicUsize,
) -> (Compared, Vec<Child>) {
    let Candidate { application, was, commits, mut memory } = candidate;
    // One that goes to another project takes the rules of its old one along.
    let mut rules = rules(daemon, &application);
    let old = was.as_ref().filter(|was| was.spec.project() != application.spec.project());
    rules.extend(old.into_iter().flat_map(|was| self::rules(daemon, was)));
    let base = match &was {
        None => Vec::new(),
        Some(was) => {
            match look::trial(daemon, was, &mut memory.for_trial(trial), commits.before).await {
                Ok(look) => objects(&look),
                // Without it nothing can be said of what the pull request changes.
                Err(trouble) if trouble.again.is_some() => return (failed(daemon, &application, &trouble), Vec::new()),
                // What does not render brings nothing to compare with.
                Err(_) => Vec::new(),
            }
        }
    };
    let look = match look::trial(daemon, &application, &mut memory, commits.after).await {
        Ok(look) => look,
        Err(_) if merge.removes_source_of(&application) => {
            let held = Held { because: HeldBecause::DirectoryGone, prunes: base.len(), of: base.len() };
            let compared = Compared { outcome: Outcome::Held(held), base, ..blank(daemon, &application) };
            return (compared, Vec::new());
        }
        Err(trouble) => return (failed(daemon, &application, &trouble), Vec::new()),
    };
    let merged = objects(&look);
    if rendered.fetch_add(merged.len(), Ordering::Relaxed) > MOST_OBJECTS {
        // There will be no preview.
        return (blank(daemon, &application), Vec::new());
    }
    let declared = attribute::declared(&base, &merged);
    let children = children(daemon, &declared);
    // Where it goes to it is new.
    let (base, declared) = match was.as_ref().is_some_and(|was| moves(daemon, was, &application)) {
        true => (Vec::new(), attribute::declared(&[], &merged)),
        false => (base, declared),
    };
    let reach = match trial {
        Trial::Own => reach(&look),
        Trial::Strangers => Reach::NotAsked,
    };
    if reach != Reach::Compared {
        // What does not answer now would hold up what can be said.
        let outcome = Outcome::Planned(attribute::planned(declared, None, BTreeMap::new()));
        return (Compared { outcome, reach, base, merged, rules, ..blank(daemon, &application) }, children);
    }
    let plan = plan(daemon, &look, &mut memory).await;
    let bodies = live::bodies(&look, &declared).await;
    let mut facts = live::facts(&look, &declared, &bodies).await;
    let reach = self::reach(&look);
    let plan = (reach == Reach::Compared).then_some(&plan);
    let mut planned = attribute::planned(declared, plan, bodies);
    let foretold = live::foretell(&look, &mut planned.changes).await;
    facts.undeclared = foretold.undeclared;
    let asked = Asked { foreseen: foretold.foreseen, ..asked(daemon, &look, trial).await };
    let outcome = Outcome::Planned(planned);
    (Compared { outcome, reach, base, merged, facts, asked, rules, ..blank(daemon, &application) }, children)
}

/// The plan of a sync that begins now.
async fn plan(daemon: &Daemon, look: &Look, memory: &mut Memory) -> Plan {
    memory.inventory.take_stock(&look.content.desired, &look.owner, &look.live());
    look.proved_plan(daemon, memory, &automated_policy(&look.application), &idle_run(look)).await
}

fn reach(look: &Look) -> Reach {
    match look.live().incomplete.as_slice() {
        [] => Reach::Compared,
        incomplete => Reach::Unreachable(incomplete.join("; ").into()),
    }
}

fn objects(look: &Look) -> Vec<Arc<Object>> {
    look.content.desired.objects.iter().map(|wanted| wanted.object.clone()).collect()
}

/// The Applications among what changes.
fn children(daemon: &Daemon, declared: &[Declared]) -> Vec<Child> {
    let is_application = |one: &&Declared| {
        one.key.kind == "Application"
            && one.key.group == crate::api::ARGO_GROUP
            && one.key.namespace.as_deref() == Some(daemon.options.namespace.as_str())
    };
    let read = |object: &Option<Arc<Object>>| {
        let application = crate::api::decode::<Application>(&object.as_ref()?.body).ok()?;
        Some(Arc::new(application))
    };
    let child = |one: &Declared| Child { before: read(&one.before), after: read(&one.after) };
    declared.iter().filter(is_application).map(child).collect()
}

fn place(daemon: &Daemon, application: &Application) -> Place {
    let destination = &application.spec.destination;
    let cluster = match destination.is_in_cluster() {
        true => Destination::IN_CLUSTER_NAME.to_owned(),
        false => destination.name.clone().or_else(|| destination.server.clone()).unwrap_or_default(),
    };
    let environment = match daemon.environment_above(application) {
        Some(environment) => environment.name().into(),
        None => application.annotation(annotation::ENVIRONMENT).unwrap_or(application.spec.project()).into(),
    };
    Place { environment, cluster: cluster.into() }
}

fn failed(daemon: &Daemon, application: &Application, trouble: &Trouble) -> Compared {
    let problems = match trouble.problems.as_slice() {
        [] => vec![Diagnostic::new(trouble.message.clone())],
        problems => problems.to_vec(),
    };
    // What can pass by itself is nobody's fault who wrote the pull request.
    let (outcome, reach) = match trouble.again {
        None => (Outcome::Failed(problems), Reach::Compared),
        Some(_) => (nothing(), Reach::Unreachable(trouble.message.clone().into())),
    };
    Compared { outcome, reach, ..blank(daemon, application) }
}

/// An application of which nothing is known yet.
fn blank(daemon: &Daemon, application: &Application) -> Compared {
    Compared {
        place: place(daemon, application),
        name: application.name().into(),
        outcome: nothing(),
        reach: Reach::Compared,
        base: Vec::new(),
        merged: Vec::new(),
        facts: Facts::default(),
        asked: Asked::default(),
        rules: rules(daemon, application),
    }
}

/// The rules of an application's project, as the cluster has them.
fn rules(daemon: &Daemon, application: &Application) -> Vec<PreviewRule> {
    match daemon.written.project(application.spec.project()) {
        Some(Ok(project)) => project.spec.previews.as_ref().map(|previews| previews.rules.clone()).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn nothing() -> Outcome {
    Outcome::Planned(attribute::planned(Vec::new(), None, BTreeMap::new()))
}

/// What was compared, by environment; applications of which nothing changes are left out.
fn assembled(compared: impl IntoIterator<Item = Compared>) -> Vec<(EnvironmentPreview, Asked)> {
    let mut environments: BTreeMap<Place, (EnvironmentPreview, Asked)> = BTreeMap::new();
    for one in compared {
        if one.outcome.is_quiet() && one.reach == Reach::Compared {
            continue;
        }
        let place = one.place.clone();
        let (environment, asked) = environments.entry(one.place).or_insert_with(|| {
            let environment = EnvironmentPreview {
                name: place.environment,
                cluster: place.cluster,
                reach: Reach::Compared,
                applications: Vec::new(),
                facts: Facts::default(),
            };
            (environment, Asked::default())
        });
        asked.cluster = asked.cluster.take().or(one.asked.cluster);
        asked.watched = asked.watched.take().or(one.asked.watched);
        asked.foreseen.extend(one.asked.foreseen);
        asked.rules.insert(one.name.clone(), one.rules);
        if environment.reach == Reach::Compared {
            environment.reach = one.reach;
        }
        environment.facts.add(Facts { base: one.base, merged: one.merged, ..one.facts });
        environment.applications.push(ApplicationPreview { name: one.name, outcome: one.outcome });
    }
    for (environment, _) in environments.values_mut() {
        environment.applications.sort_by(|a, b| a.name.cmp(&b.name));
        attribute::transfer(&mut environment.applications);
    }
    environments.into_values().collect()
}

/// The whole, with what policies and rules say to it.
async fn judged(environments: Vec<(EnvironmentPreview, Asked)>, pull: Pull, instance: SmolStr) -> Preview {
    let mut judged = Vec::with_capacity(environments.len());
    for (mut environment, mut asked) in environments {
        let rules = std::mem::take(&mut asked.rules);
        tokio::task::block_in_place(|| rules::remark_all(&mut environment, |name| rules.get(name).map(Vec::as_slice)));
        policies::judge(&mut environment, asked).await;
        judged.push(environment);
    }
    Preview { instance, pull, environments: judged, deployed: Vec::new(), carried: Vec::new() }
}
