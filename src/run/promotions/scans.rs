//! The gate `vulnerabilities`: reports and waivers are brought together, and judged.
//!
//! **In:** what a promotion would bring, where reports are. **Out:** an [`Answer`]. **May not:** judge; take what could not be
//! read for nothing; or read waivers from anywhere but the commit that would be deployed.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};

use super::super::web;
use super::ask::About;
use super::see;
use crate::api::leeboard::vulnerabilities::{ReportPlace, ReportSource, VulnerabilityGate};
use crate::git::{Kind, Snapshot};
use crate::live::client::{Error, ListOptions};
use crate::object::{GroupKind, annotation};
use crate::promote::gate::Answer;
use crate::promote::vulnerability::{
    Case, CriticalWaivers, Delivery, Digest, Image, Report, Verdict, Waivers, judge, report,
};

/// The kind of the trivy-operator.
const OPERATOR: (&str, &str, &str) = ("aquasecurity.github.io", "VulnerabilityReport", "v1alpha1");
/// Before it is judged again: a report may have come.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// So many images are named in the evidence.
const SHOWN: usize = 20;
/// How long a server of reports may think.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was read of reports.
#[derive(Default)]
struct Found {
    reports: Vec<Report>,
    unreadable: Vec<report::Error>,
}

impl Found {
    fn take(&mut self, delivery: &Delivery<'_>) {
        match delivery.read() {
            Ok(reports) => self.reports.extend(reports),
            Err(error) => self.unreadable.push(error),
        }
    }
}

impl About<'_> {
    pub(super) async fn vulnerabilities(&self, gate: &VulnerabilityGate) -> Answer {
        let later = self.subject.now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
        let Some((planned, files)) = self.planned.and_then(|planned| Some((planned, planned.files.as_ref()?))) else {
            return Answer::wait("there is no plan whose images could be looked at").again(later);
        };
        let rules = match gate.rules(self.critical_waivers()) {
            Ok(rules) => rules,
            Err(problems) => {
                let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return Answer::fail(words.join("; "));
            }
        };
        let mut wanted: Vec<Image> = planned.images.wanted.iter().map(|name| Image::new(name)).collect();
        if let Err(why) = self.resolve(&mut wanted).await {
            return Answer::error(why).again(later);
        }
        let deployed: Vec<Image> = planned.images.deployed.iter().map(|name| Image::new(name)).collect();
        let mut found = Found::default();
        for source in &gate.sources {
            let looked = match source.from {
                ReportPlace::File => {
                    of_files(source, files, planned.committed, &mut found).map_err(|error| error.to_string())
                }
                ReportPlace::Cluster => self.of_cluster(source, &mut found).await,
                ReportPlace::Url => self.of_server(source, &wanted, &mut found).await,
                ReportPlace::Oci => self.of_registry(source, &wanted, &mut found).await,
            };
            if let Err(why) = looked {
                return Answer::error(format!("reports cannot be read: {why}")).again(later);
            }
        }
        let path = self.subject.environment.spec.path();
        let file = if path == "." { gate.waivers().to_owned() } else { format!("{path}/{}", gate.waivers()) };
        let waivers = match files.read(&file) {
            Ok(bytes) => Waivers::read(&file, bytes.as_deref().unwrap_or_default()),
            Err(error) => return Answer::error(format!("{file} cannot be read: {error}")).again(later),
        };
        let case = Case {
            images: &wanted,
            deployed: &deployed,
            reports: &found.reports,
            unreadable: &found.unreadable,
            waivers: &waivers,
        };
        let verdict = judge(&case, &rules, self.subject.now);
        let message = verdict.message();
        let answer = match &verdict {
            Verdict::Pass(passed) => match passed.until {
                Some(until) => Answer::pass(message).again(until),
                None => Answer::pass(message),
            },
            Verdict::Wait(_) => Answer::wait(message).again(later),
            // A person can write a waiver: into the commit that comes next.
            Verdict::NeedsWaiver(_) | Verdict::Refuse(_) => Answer::fail(message),
        };
        answer.with("images", pinned(&wanted)).with("reports", found.reports.len().to_string())
    }

    /// What a tag means is asked once, and is then what the answer is about.
    pub(super) async fn resolve(&self, images: &mut [Image]) -> Result<(), String> {
        for image in images.iter_mut().filter(|image| image.digest.is_none()) {
            let digest = self.subject.daemon.images.digest(&image.name).await;
            let digest = digest.map_err(|why| format!("{}: its digest is not known: {why}", image.name))?;
            image.digest = digest.and_then(|digest| Digest::parse(digest.as_str()));
        }
        Ok(())
    }

    fn critical_waivers(&self) -> CriticalWaivers {
        let project = self.subject.daemon.written.project(self.subject.environment.spec.project());
        let allows = project.and_then(Result::ok).is_some_and(|project| project.permits(annotation::CRITICAL_WAIVERS));
        if allows { CriticalWaivers::Allowed } else { CriticalWaivers::Forbidden }
    }

    /// What the trivy-operator says of the environment's cluster.
    async fn of_cluster(&self, source: &ReportSource, found: &mut Found) -> Result<(), String> {
        let daemon = self.subject.daemon;
        let applications = see::applications(daemon, self.subject.environment.name());
        let Some(root) = applications.first() else { return Ok(()) };
        let target = daemon.destinations.target(&root.spec.destination).map_err(|error| error.to_string())?;
        let (group, kind, version) = OPERATOR;
        let all = match target.cluster.list(&GroupKind::new(group, kind), version, &ListOptions::default()).await {
            Ok(all) => all,
            // Without the operator there are none; each image is missed.
            Err(Error::NoKind { .. }) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        for body in all {
            let text = |pointer: &str| body.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
            let name = format!("VulnerabilityReport {}/{}", text("/metadata/namespace"), text("/metadata/name"));
            let bytes = serde_json::to_vec(&body).unwrap_or_default();
            found.take(&Delivery {
                source: &name,
                bytes: &bytes,
                scanner: source.scanner,
                asked_for: None,
                received: None,
            });
        }
        Ok(())
    }

    /// What a server says of each image.
    async fn of_server(&self, source: &ReportSource, images: &[Image], found: &mut Found) -> Result<(), String> {
        let template = source.url.as_deref().unwrap_or_default();
        for digest in images.iter().filter_map(|image| image.digest.as_ref()) {
            let url = template.replace("{digest}", digest.as_str());
            let request = self.subject.daemon.web.request(Method::GET, &url, false)?.timeout(PATIENCE);
            let (status, bytes) = web::answer(request).await?;
            match status {
                200..=299 => self.deliver(&url, &bytes, source, digest, found),
                // It knows no such image: it is missed.
                404 => {}
                _ => return Err(format!("{url} answers {status}")),
            }
        }
        Ok(())
    }

    /// What is attached to each image in its registry.
    async fn of_registry(&self, source: &ReportSource, images: &[Image], found: &mut Found) -> Result<(), String> {
        for image in images {
            let Some(digest) = &image.digest else { continue };
            let kind = source.artifact_type.as_deref();
            let all =
                self.subject.daemon.images.attached(&image.name, digest.as_str(), kind, report::MAX_BYTES).await?;
            for document in all {
                // Without a type all is looked at, also what is no report: a signature, a list of parts.
                let mut one = Found::default();
                self.deliver(&document.name, &document.bytes, source, digest, &mut one);
                found.reports.extend(one.reports);
                found.unreadable.extend(one.unreadable.into_iter().filter(|_| kind.is_some()));
            }
        }
        Ok(())
    }

    fn deliver(&self, from: &str, bytes: &[u8], source: &ReportSource, of: &Digest, found: &mut Found) {
        found.take(&Delivery {
            source: from,
            bytes,
            scanner: source.scanner,
            asked_for: Some(of.clone()),
            received: Some(self.subject.now),
        });
    }
}

/// Images by their digests, as the evidence has them.
pub(super) fn pinned(images: &[Image]) -> String {
    images.iter().take(SHOWN).map(Image::pinned).collect::<Vec<String>>().join(" ")
}

/// What files of the repository say, as the commit to be deployed has them.
fn of_files(
    source: &ReportSource,
    files: &Snapshot,
    committed: Timestamp,
    found: &mut Found,
) -> Result<(), crate::git::Error> {
    let path = source.path.as_deref().unwrap_or_default().trim_matches('/');
    let paths = match files.entry(path)? {
        Some((Kind::Tree, _)) => {
            let listed = files.list(path)?.unwrap_or_else(|| Arc::from([]));
            let blobs = listed.iter().filter(|entry| matches!(entry.kind, Kind::Blob));
            blobs.map(|entry| format!("{path}/{}", entry.name)).collect()
        }
        Some(_) => vec![path.to_owned()],
        None => Vec::new(),
    };
    for path in paths {
        let Some(bytes) = files.read(&path)? else { continue };
        found.take(&Delivery {
            source: &path,
            bytes: &bytes,
            scanner: source.scanner,
            asked_for: None,
            received: Some(committed),
        });
    }
    Ok(())
}
