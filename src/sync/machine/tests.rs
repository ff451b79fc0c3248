//! Runs the transcripts in `tests/cases/sync`: commands, each followed by what the machine answered, indented.
//!
//! A transcript opens with the sentence that it proves. `LEEBOARD_BLESS=1` writes the answers anew.
//!
//! | command | means |
//! | --- | --- |
//! | `object Kind/name [wave=1] [hook=PreSync] [delete=HookFailed] [live=healthy] [guarded=true] [guards=true]` | git wants it; `live`: in sync |
//! | `extra Kind/name [wave=1] [options=Prune=confirm]` | git no longer has it |
//! | `createNamespace` | the destination namespace is not there, and is to be made |
//! | `start`, `resume Sync 1` | plan, and begin |
//! | `applied Kind/name [health] [generation=2] [version=7]`, `fails Kind/name why`, `deleting Kind/name`, `deleted Kind/name` | a step has ended |
//! | `seen Kind/name health [generation=2] [version=7] [uid=x] [deleting=true]`, `gone Kind/name [uid=x]` | the live view |
//! | `confirmed`, `overdue Kind/name`, `superseded`, `terminated`, `timeout` | other events |
//! | `results`, `chores`, `at` | print what is on record |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::api::argo::{AppProject, Destination, SyncOptions};
use crate::health::Health;
use crate::live::LiveView;
use crate::object::Object;
use crate::object::tracking::Tracking;
use crate::plan::{Baseline, Inputs, Inventory, Owner, PlanKey, Policy, Project, Run, Scope, desired, plan};

#[test]
fn transcripts() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sync");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no transcripts in {}", folder.display());
    for file in files {
        let written = std::fs::read_to_string(&file).unwrap();
        let played = play(&written);
        if std::env::var_os("LEEBOARD_BLESS").is_some() {
            std::fs::write(&file, played).unwrap();
        } else {
            assert_eq!(played, written, "{}", file.display());
        }
    }
}

/// The transcript with the answers that the machine gives now.
fn play(transcript: &str) -> String {
    let mut player = Player::default();
    let mut played = String::new();
    for line in transcript.lines().filter(|line| !line.starts_with("    ")) {
        played.push_str(line);
        played.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for answer in player.command(line).lines() {
            writeln!(played, "    {answer}").unwrap();
        }
    }
    played
}

#[derive(Default)]
struct Player {
    objects: Vec<Object>,
    live: LiveView,
    in_sync: Vec<ObjectKey>,
    inventory: Inventory,
    options: SyncOptions,
    guarded: BTreeSet<ObjectKey>,
    guards: BTreeSet<ObjectKey>,
    operation: Option<Operation>,
}

/// `Kind/name word … option=value …`
struct Words<'a> {
    object: &'a str,
    words: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let mut all = text.split_whitespace();
        let object = all.next().unwrap_or_default();
        let (options, words): (Vec<_>, Vec<_>) = all.partition(|word| word.contains('='));
        Words { object, words, options: options.into_iter().filter_map(|option| option.split_once('=')).collect() }
    }

    fn key(&self) -> ObjectKey {
        let (kind, name) = self.object.split_once('/').expect("Kind/name");
        let is_cluster_scoped = matches!(kind, "Namespace" | "CustomResourceDefinition");
        ObjectKey {
            group: group(kind).into(),
            kind: kind.into(),
            namespace: (!is_cluster_scoped).then(|| "shop".into()),
            name: name.into(),
        }
    }

    fn uid(&self) -> SmolStr {
        self.options.get("uid").map_or_else(|| SmolStr::new(self.object), |uid| SmolStr::new(*uid))
    }

    fn generation(&self) -> i64 {
        self.options.get("generation").map_or(1, |generation| generation.parse().unwrap())
    }

    /// The resource version.
    fn version(&self) -> SmolStr {
        self.options.get("version").map_or("1".into(), SmolStr::new)
    }

    fn health(&self) -> Option<Verdict> {
        self.words.first().map(|word| verdict(word))
    }
}

fn group(kind: &str) -> &'static str {
    match kind {
        "Deployment" => "apps",
        "Job" => "batch",
        "CustomResourceDefinition" => "apiextensions.k8s.io",
        _ => "",
    }
}

fn verdict(word: &str) -> Verdict {
    let status = match word {
        "healthy" => Health::Healthy,
        "progressing" => Health::Progressing,
        "degraded" => Health::Degraded,
        "suspended" => Health::Suspended,
        other => panic!("`{other}` is no health"),
    };
    let message = if status == Health::Degraded { "it broke" } else { "" };
    Verdict { status, message: message.into() }
}

fn owner() -> Owner {
    let destination = Destination {
        name: Some(Destination::IN_CLUSTER_NAME.into()),
        namespace: Some("shop".into()),
        ..Destination::default()
    };
    Owner::new("web", "leeboard", "web", destination)
}

impl Player {
    fn command(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = Words::new(rest);
        match verb {
            "object" => self.object(&words),
            "extra" => self.extra(&words),
            "createNamespace" => {
                self.options.create_namespace = true;
                String::new()
            }
            "start" => self.start(None),
            "resume" => self.start(Some((Phase::parse(words.object).unwrap(), Wave(words.words[0].parse().unwrap())))),
            "results" => self.results(),
            "chores" => self.chores(),
            "at" => self.operation().at().map(|(phase, wave)| format!("{phase} {wave}")).unwrap_or_default(),
            _ => {
                let event = event(verb, rest, &words);
                let next = self.operation().on(event);
                self.answer(&next)
            }
        }
    }

    fn operation(&mut self) -> &mut Operation {
        self.operation.as_mut().expect("`start` comes first")
    }

    fn object(&mut self, words: &Words<'_>) -> String {
        let key = words.key();
        let mut annotations = json!({});
        for (option, name) in [
            ("wave", "argocd.argoproj.io/sync-wave"),
            ("hook", "argocd.argoproj.io/hook"),
            ("delete", "argocd.argoproj.io/hook-delete-policy"),
        ] {
            if let Some(value) = words.options.get(option) {
                annotations[name] = (*value).into();
            }
        }
        let api_version = if key.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", key.group) };
        let mut body = json!({"apiVersion": api_version, "kind": key.kind.as_str(),
            "metadata": {"name": key.name.as_str(), "annotations": annotations}});
        if let Some(namespace) = &key.namespace {
            body["metadata"]["namespace"] = namespace.as_str().into();
        }
        self.objects.push(Object::from_value(body, None).unwrap());
        if words.options.contains_key("guarded") {
            self.guarded.insert(key.clone());
        }
        if words.options.contains_key("guards") {
            self.guards.insert(key.clone());
        }
        if let Some(health) = words.options.get("live") {
            self.in_sync.push(key.clone());
            self.keep(record(words, Some(verdict(health))));
        }
        String::new()
    }

    fn extra(&mut self, words: &Words<'_>) -> String {
        let record = Record {
            wave: words.options.get("wave").map_or(0, |wave| wave.parse().unwrap()),
            sync_options: words.options.get("options").map(|options| (*options).into()),
            ..record(words, None)
        };
        self.inventory.insert(&record.key, &record.uid);
        self.keep(record);
        String::new()
    }

    fn keep(&mut self, record: Record) {
        self.live.records.insert(record.key.clone(), Arc::new(record));
    }

    fn start(&mut self, from: Option<(Phase, Wave)>) -> String {
        let plan = self.plan();
        let mut operation = match from {
            Some(from) => Operation::resume(plan, from),
            None => Operation::new(plan),
        };
        operation = operation.guarded(self.guarded.clone(), self.guards.clone());
        let next = operation.start();
        self.operation = Some(operation);
        self.answer(&next)
    }

    fn plan(&self) -> Plan {
        let owner = owner();
        let scope = |kind: &crate::object::GroupKind| {
            let is_cluster_scoped = matches!(&*kind.kind, "Namespace" | "CustomResourceDefinition");
            Some(if is_cluster_scoped { Scope::Cluster } else { Scope::Namespaced })
        };
        let desired = desired(self.objects.clone(), &owner, &scope);
        let in_sync = desired.objects.iter().filter(|wanted| self.in_sync.contains(&wanted.object.key));
        let baselines = in_sync
            .map(|wanted| (wanted.object.key.clone(), Baseline::Applied { desired: wanted.hash, projection: 1 }))
            .collect();
        plan(&Inputs {
            owner: &owner,
            desired: &desired,
            live: &self.live,
            baselines: &baselines,
            inventory: &self.inventory,
            others: &BTreeMap::new(),
            project: &Project::new(&AppProject::permissive("leeboard")),
            policy: &Policy {
                prune: true,
                allow_empty: true,
                hooks: true,
                options: self.options.clone(),
                ..Policy::default()
            },
            run: &Run { revision: "0123456789".into(), started: 1_000, attempt: 0, resumed: None },
            key: &PlanKey::new([7; 32]),
        })
    }

    fn answer(&mut self, next: &Next) -> String {
        match next {
            Next::Run(steps) => {
                let steps: Vec<_> = steps.iter().map(|step| format!("{} {}", verb(step), label(&step.key))).collect();
                steps.join("\n")
            }
            Next::Wait(waiting) => waiting.to_string(),
            Next::Done(end) => {
                let end = match end {
                    End::Succeeded => "succeeded",
                    End::Superseded => "superseded",
                    End::Failed(_) => "failed",
                    End::Terminated(_) => "terminated",
                    End::Refused { .. } => "refused",
                };
                format!("{end}: {}", self.operation().message())
            }
        }
    }

    fn results(&mut self) -> String {
        let results = self.operation().results().iter().map(|result| {
            let phase = result.hook_phase.map(|phase| phase.as_str()).unwrap_or("-");
            let status = if result.status.is_empty() { "-" } else { &result.status };
            format!("{} {}/{} {status} {phase} {}", result.sync_phase, result.kind, result.name, result.message)
        });
        results.collect::<Vec<_>>().join("\n")
    }

    fn chores(&mut self) -> String {
        let chores = self.operation().chores();
        let lines = chores.iter().map(|chore| match chore {
            Chore::Delete(hook) => format!("delete {}", label(&hook.object.key)),
            Chore::Release(hook) => format!("release {}", label(&hook.object.key)),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn event(verb: &str, rest: &str, words: &Words<'_>) -> Event {
    let key = || words.key();
    match verb {
        "applied" => finished(
            key(),
            Ok(Outcome::Applied {
                uid: words.uid(),
                generation: words.generation(),
                resource_version: words.version(),
                health: words.health(),
                message: "applied".into(),
            }),
        ),
        "fails" => {
            let message = rest.split_once(' ').map(|(_, why)| why.to_owned()).unwrap_or_default();
            finished(key(), Err(Failure { message, is_transient: false }))
        }
        "deleting" => finished(key(), Ok(Outcome::Deleting { uid: words.uid() })),
        "deleted" => finished(key(), Ok(Outcome::Gone)),
        "seen" => Event::Seen(Arc::new(record(words, words.health()))),
        "gone" => Event::Gone { key: key(), uid: words.uid() },
        "overdue" => Event::Overdue(key()),
        "confirmed" => Event::Confirmed,
        "superseded" => Event::Superseded,
        "terminated" => Event::Terminated(Terminator::Person),
        "timeout" => Event::Terminated(Terminator::Timeout),
        other => panic!("`{other}` is no command"),
    }
}

fn finished(key: ObjectKey, result: Result<Outcome, Failure>) -> Event {
    Event::Finished { key, result }
}

fn record(words: &Words<'_>, health: Option<Verdict>) -> Record {
    let owner = owner();
    let key = words.key();
    Record {
        version: "v1".into(),
        uid: words.uid(),
        resource_version: words.version(),
        generation: words.generation(),
        tracking: Some(Tracking { application: owner.application, key: key.clone() }),
        part_of: Some(owner.part_of),
        projection: Some(1),
        deleting: words.options.contains_key("deleting"),
        health,
        wave: 0,
        is_hook: false,
        sync_options: None,
        keep: false,
        compare_options: None,
        ignore_health: false,
        plan: None,
        key,
    }
}

fn verb(step: &Step) -> &'static str {
    match step.action {
        Action::Create(_) => "create",
        Action::Apply(_) => "apply",
        Action::Replace(_) => "replace",
        Action::Recreate(_) => "recreate",
        Action::Hook(_) => "run",
        Action::ClearHook(_) => "clear",
        Action::Prune(_) => "prune",
        Action::Keep => "keep",
    }
}

fn label(key: &ObjectKey) -> String {
    format!("{}/{}", key.kind, key.name)
}

/// One sync, driven with choices that chance makes; returns the wave of each step in the order of execution.
fn drive(plan: &Plan, choices: &[u8]) -> (Vec<(Phase, Wave)>, End) {
    let waves: BTreeMap<(ObjectKey, bool), Vec<(Phase, Wave)>> =
        plan.steps().fold(BTreeMap::new(), |mut waves, (phase, wave, step)| {
            let is_clear = matches!(step.action, Action::ClearHook(_));
            waves.entry((step.key.clone(), is_clear)).or_default().push((phase, wave));
            waves
        });
    let mut ran = Vec::new();
    let mut times: BTreeMap<(ObjectKey, bool), usize> = BTreeMap::new();
    let mut choices = choices.iter().copied().cycle();
    let mut operation = Operation::new(plan.clone());
    let mut flying: Vec<(Step, SmolStr)> = Vec::new();
    let mut next = operation.start();
    for _ in 0..10_000 {
        match next {
            Next::Done(end) => {
                assert!(flying.is_empty(), "it ended while a step was being executed");
                return (ran, end);
            }
            Next::Run(steps) => {
                assert!(flying.is_empty(), "a batch began before the one before it had ended");
                for step in steps {
                    let id = (step.key.clone(), matches!(step.action, Action::ClearHook(_)));
                    let time = times.entry(id.clone()).or_default();
                    ran.push(waves[&id][*time]);
                    *time += 1;
                    flying.push((step, "uid".into()));
                }
                next = Next::Wait(Waiting { waits_for: WaitsFor::Answer, objects: BTreeSet::new() });
            }
            Next::Wait(waiting) => {
                let choice = choices.next().unwrap_or_default();
                let event = match flying.pop() {
                    Some((step, uid)) => finished(step.key.clone(), outcome(&step, uid, choice)),
                    None => nudge(&waiting, choice),
                };
                next = operation.on(event);
            }
        }
    }
    panic!("it never ended: {}", operation.message());
}

fn outcome(step: &Step, uid: SmolStr, choice: u8) -> Result<Outcome, Failure> {
    let health = |word| Some(verdict(word));
    let applied = |health| {
        let (uid, resource_version) = (uid.clone(), "1".into());
        Ok(Outcome::Applied { uid, generation: 1, resource_version, health, message: String::new() })
    };
    match (&step.action, choice % 16) {
        (_, 0) => Err(Failure { message: "no".into(), is_transient: false }),
        (Action::Prune(_) | Action::ClearHook(_), n) if n % 2 == 0 => Ok(Outcome::Deleting { uid }),
        (Action::Prune(_) | Action::ClearHook(_), _) => Ok(Outcome::Gone),
        (_, 1) => applied(health("degraded")),
        (_, n) if n % 2 == 0 => applied(health("progressing")),
        (_, _) => applied(health("healthy")),
    }
}

/// What a wait is for happens to the first object, or something else does.
fn nudge(waiting: &Waiting, choice: u8) -> Event {
    let key = waiting.objects.first().expect("a wait names what it is for").clone();
    let uid = SmolStr::new("uid");
    let seen = |word: &str| {
        let text = format!("{}/{}", key.kind, key.name);
        let record = record(&Words::new(&text), Some(verdict(word)));
        Event::Seen(Arc::new(Record { uid: uid.clone(), key: key.clone(), ..record }))
    };
    match (waiting.waits_for, choice % 16) {
        (_, 0) => Event::Superseded,
        (_, 1) => Event::Overdue(key),
        (WaitsFor::Confirmation, _) => Event::Confirmed,
        (WaitsFor::Deletion, _) => Event::Gone { key, uid },
        (_, 2) => seen("degraded"),
        (_, 3) => Event::Gone { key, uid },
        (_, _) => seen("healthy"),
    }
}

proptest::proptest! {
    /// Whatever happens, a sync ends, its waves never overlap, and one that failed runs nothing but SyncFail hooks after.
    #[test]
    fn no_order_of_events_breaks_the_barriers(choices in proptest::collection::vec(0u8.., 1..60)) {
        let mut player = Player::default();
        for line in [
            "object Job/both hook=PreSync,PostSync",
            "object Job/alarm hook=SyncFail",
            "object CustomResourceDefinition/widgets.example.com wave=-1",
            "object ConfigMap/a",
            "object Deployment/a",
            "object Deployment/b",
            "object Deployment/kept live=progressing",
            "object Deployment/c wave=1",
            "object Job/in-wave hook=Sync wave=1",
            "extra ConfigMap/old",
            "extra Deployment/older wave=1",
            "extra Secret/oldest options=Prune=confirm",
        ] {
            player.command(line);
        }
        let plan = player.plan();
        let (ran, end) = drive(&plan, &choices);
        proptest::prop_assert!(ran.is_sorted(), "{:?}", ran);
        let fails = ran.iter().any(|(phase, _)| *phase == Phase::SyncFail);
        match end {
            End::Succeeded => proptest::prop_assert!(!fails && ran.last().map(|at| at.0) == Some(Phase::PostSync)),
            End::Failed(failed) => proptest::prop_assert!(!failed.is_empty()),
            other => proptest::prop_assert_eq!(other, End::Superseded),
        }
    }
}
