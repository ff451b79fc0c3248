//! A check run: what GitHub shows of a commit on a page of its own, and at the lines of its files.

use serde_json::{Value, json};

use super::super::status::{Annotation, Level, Report, State};

/// Of a summary, and of a text.
const TEXT: usize = 65_535;
/// With one request.
const ANNOTATIONS: usize = 50;

/// What is sent, for a new one and for one that is there.
pub(super) fn body(report: &Report) -> Value {
    let status = &report.status;
    let (progress, conclusion) = match status.state {
        State::Pending => ("in_progress", None),
        State::Success => ("completed", Some("success")),
        State::Neutral => ("completed", Some("neutral")),
        State::Failure => ("completed", Some("failure")),
        // Ours to repair, not the author's.
        State::Error => ("completed", Some("cancelled")),
    };
    let cut = |text: &str| text.chars().take(TEXT).collect::<String>();
    let mut body = json!({
        "name": status.context,
        "head_sha": status.commit.to_string(),
        "status": progress,
        "output": {"title": status.line(), "summary": cut(&report.summary), "text": cut(&report.text)},
    });
    let annotations: Vec<Value> = report.annotations.iter().take(ANNOTATIONS).map(annotation).collect();
    if !annotations.is_empty() {
        body["output"]["annotations"] = json!(annotations);
    }
    if let Some(conclusion) = conclusion {
        body["conclusion"] = json!(conclusion);
    }
    if let Some(page) = &status.page {
        body["details_url"] = json!(page);
    }
    body
}

fn annotation(annotation: &Annotation) -> Value {
    let level = match annotation.level {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Failure => "failure",
    };
    let Annotation { path, line, message, .. } = annotation;
    json!({"path": path, "start_line": line, "end_line": line, "annotation_level": level, "message": message})
}
