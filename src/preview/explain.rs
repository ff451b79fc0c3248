//! The answer to `/leeboard explain OBJECT`: which file and which transformer gave each field its value.
//!
//! **In:** what is known of the object in each application that a pull request reaches. **Out:** Markdown. **May not:**
//! show a value: where it comes from is no secret, what it is may be one.

use smol_str::SmolStr;

use super::escape;
use crate::error::Diagnostic;
use crate::kustomize::Step;
use crate::kustomize::explained::{Meant, NoSuch};

/// What an application has under the name that was asked for.
pub type Found<'a> = Result<Result<Vec<Meant<'a>>, NoSuch>, Vec<Diagnostic>>;

/// Bytes of an answer: a fraction of what any forge takes.
const MOST: usize = 16 << 10;

/// The answer about `wanted`, at a commit, for applications by their names.
pub fn answer(wanted: &str, applications: &[(SmolStr, Found<'_>)]) -> String {
    let mut text = String::new();
    let mut missing: Option<&NoSuch> = None;
    for (application, found) in applications {
        match found {
            Ok(Ok(meant)) => {
                for one in meant {
                    push(&mut text, application, one);
                }
            }
            Ok(Err(no_such)) => {
                if missing.is_none_or(|known| no_such.nearness() > known.nearness()) {
                    missing = Some(no_such);
                }
            }
            Err(problems) => {
                let application = escape::code(application);
                let why = problems.first().map(ToString::to_string).unwrap_or_default();
                text.push_str(&format!("Application {application} does not render: {}\n\n", escape::code(&why)));
            }
        }
    }
    match (text.is_empty(), missing) {
        (false, _) => text,
        (true, Some(no_such)) => format!("{}\n", escape::code(&no_such.to_string())),
        (true, None) => {
            let wanted = escape::code(wanted);
            format!(
                "No application that this pull request reaches is made by a kustomization: nothing is known of {wanted}.\n"
            )
        }
    }
}

fn push(text: &mut String, application: &str, meant: &Meant<'_>) {
    let key = escape::code(&meant.object.key.to_string());
    let mut lines = String::new();
    let mut left = meant.fields.len();
    for (path, steps) in &meant.fields {
        if text.len() + lines.len() > MOST {
            break;
        }
        lines.push_str(&format!("{}\n", line(path)));
        for step in steps {
            lines.push_str(&format!("  {}\n", line(&told(step))));
        }
        left -= 1;
    }
    let lines: String = lines.lines().map(|line| format!("{}\n", escape::guarded(line))).collect();
    text.push_str(&format!("{key} in application {}:\n\n{}", escape::code(application), escape::fence("", &lines)));
    if left > 0 {
        let one = escape::code("OBJECT.FIELD");
        text.push_str(&format!("\nand {left} more fields: ask for one of them as {one}.\n"));
    }
    text.push('\n');
}

/// `clusters/dev/patch.yaml:4:3  patches at clusters/dev/kustomization.yaml:3:3`
fn told(step: &Step) -> String {
    let place = step.written_at.as_ref().or(step.at.as_ref()).map(ToString::to_string).unwrap_or_default();
    let via = step.at.as_ref().filter(|_| step.written_at.is_some());
    let by = via.map_or_else(|| step.by.to_string(), |via| format!("{} at {via}", step.by));
    let end = if step.value.is_none() { ", which takes it away" } else { "" };
    format!("{place}  {by}{end}").trim_start().to_owned()
}

fn line(text: &str) -> String {
    let text = escape::visible(text).replace(['\n', '\t'], " ");
    escape::unmarked(&escape::cut(&text, escape::LONGEST_LINE)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Origin;
    use crate::kustomize::explained::{Explained, find};
    use crate::object::Object;

    fn explained(name: &str, fields: &[(&str, &[Step])]) -> Explained {
        let body = serde_json::json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}});
        Explained {
            object: Object::from_value(body, None).unwrap(),
            former_names: name.strip_prefix("dev-").map(Into::into).into_iter().collect(),
            fields: fields.iter().map(|(path, steps)| ((*path).into(), steps.to_vec())).collect(),
        }
    }

    fn step(by: &str, at: &str, written_at: Option<&str>, value: Option<&str>) -> Step {
        let origin = |text: &str| Origin::file(text);
        Step { by: by.into(), at: Some(origin(at)), written_at: written_at.map(origin), value: value.map(Into::into) }
    }

    #[test]
    fn every_step_is_told_without_its_value() {
        let steps = [
            step("resources", "base/web.yaml", None, Some("1")),
            step("patches", "dev/kustomization.yaml", Some("dev/more.yaml"), Some("a secret")),
        ];
        let gone = [step("patches", "dev/kustomization.yaml", None, None)];
        let known = [explained("dev-web", &[("spec.replicas", &steps), ("spec.paused", &gone)])];
        let found = find(&known, "Deployment/web.spec").map_err(|error| panic!("{error}"));
        let text = answer("Deployment/web.spec", &[("dev".into(), Ok(found))]);
        assert_eq!(
            text,
            "`Deployment/dev-web` in application `dev`:\n\n~~~\nspec.replicas\n  base/web.yaml  resources\n  dev/more.yaml  \
             patches at dev/kustomization.yaml\nspec.paused\n  dev/kustomization.yaml  patches, which takes it away\n~~~\n\n"
        );
    }

    #[test]
    fn what_is_not_there_is_said_with_what_was_meant() {
        let known = [explained("web", &[("spec.replicas", &[])])];
        let other = [explained("a-name-far-away", &[])];
        let cases = [
            // what was asked for, what is answered
            ("Deployment/wbe", "no object is called `Deployment/wbe`; did you mean `Deployment/web`?"),
            ("Deployment/web.spec.replica", "has no field `spec.replica`; did you mean `spec.replicas`?"),
        ];
        for (wanted, expected) in cases {
            let applications = [("a".into(), Ok(find(&other, wanted))), ("b".into(), Ok(find(&known, wanted)))];
            let text = answer(wanted, &applications);
            assert!(text.contains(expected), "{text}");
        }
        assert!(answer("Deployment/@org", &[]).contains("`Deployment/@org`"));
    }

    #[test]
    fn an_answer_has_an_end() {
        let path = "metadata.annotations.".repeat(20);
        let steps = [step("resources", "~~~\n/merge", None, Some("1"))];
        let fields: Vec<(&str, &[Step])> = (0..1_000).map(|_| (path.as_str(), &steps[..])).collect();
        let known = [explained("web", &fields)];
        let text = answer("Deployment/web", &[("dev".into(), Ok(find(&known, "Deployment/web")))]);
        assert!(text.len() < 2 * MOST && text.contains("more fields: ask for one of them"), "{}", text.len());
        assert!(!text.lines().any(|line| line.starts_with('/')));
    }
}
