//! What conditions and templates see: the application, and functions that Argo CD gives them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::git::{Commit, RepoUrl};
use crate::template::{Duration, Native, Value, parse_rfc3339};

/// An application as it stood at a moment.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The Application.
    pub app: Json,
    /// Its AppProject.
    pub project: Json,
    /// What is known of its commits.
    pub commits: Vec<Commit>,
    /// The moment.
    pub now: Timestamp,
}

/// All names but those of a destination.
pub fn names(scene: &Scene, context: &Value, secrets: &Value) -> Value {
    Value::map([
        ("app", Value::from(&scene.app)),
        ("appProject", Value::from(&scene.project)),
        ("context", context.clone()),
        ("secrets", secrets.clone()),
        ("time", time(scene.now)),
        ("strings", strings()),
        ("repo", repo(&scene.commits)),
        ("sync", sync()),
    ])
}

/// The same with more names.
pub fn with<const N: usize>(names: &Value, more: [(&str, &str); N]) -> Value {
    let Value::Map(map) = names else { return names.clone() };
    let mut map: BTreeMap<String, Value> = (**map).clone();
    map.extend(more.map(|(name, text)| (name.to_owned(), Value::from(text))));
    map.into()
}

fn text(arguments: &[Value], index: usize) -> Result<&str, String> {
    let value = arguments.get(index).ok_or_else(|| format!("argument {} is missing", index + 1))?;
    value.as_text().ok_or_else(|| format!("a text is needed, not {}", value.kind()))
}

fn function(name: &'static str, run: fn(&[Value]) -> Result<Value, String>) -> Value {
    Value::Function(Native::new(name, run))
}

fn time(now: Timestamp) -> Value {
    let nanos = |nanos: i64| Value::Duration(Duration(nanos));
    let second = Duration::SECOND.0;
    let layouts = [
        ("Layout", "01/02 03:04:05PM '06 -0700"),
        ("ANSIC", "Mon Jan _2 15:04:05 2006"),
        ("UnixDate", "Mon Jan _2 15:04:05 MST 2006"),
        ("RubyDate", "Mon Jan 02 15:04:05 -0700 2006"),
        ("RFC822", "02 Jan 06 15:04 MST"),
        ("RFC822Z", "02 Jan 06 15:04 -0700"),
        ("RFC850", "Monday, 02-Jan-06 15:04:05 MST"),
        ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
        ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
        ("RFC3339", "2006-01-02T15:04:05Z07:00"),
        ("RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"),
        ("Kitchen", "3:04PM"),
        ("Stamp", "Jan _2 15:04:05"),
        ("StampMilli", "Jan _2 15:04:05.000"),
        ("StampMicro", "Jan _2 15:04:05.000000"),
        ("StampNano", "Jan _2 15:04:05.000000000"),
    ];
    let parse = function("time.Parse", |arguments| {
        let text = text(arguments, 0)?;
        parse_rfc3339(text).map(Value::from).ok_or_else(|| format!("{text:?} is no time as RFC 3339 has it"))
    });
    let now = Native::new("time.Now", move |_| Ok(now.to_zoned(TimeZone::system()).into()));
    let entries = [
        ("Now", Value::Function(now)),
        ("Parse", parse),
        ("Nanosecond", nanos(1)),
        ("Microsecond", nanos(1_000)),
        ("Millisecond", nanos(1_000_000)),
        ("Second", nanos(second)),
        ("Minute", nanos(60 * second)),
        ("Hour", nanos(3600 * second)),
    ];
    let layouts = layouts.map(|(name, layout)| (name.to_owned(), Value::from(layout)));
    let entries = entries.map(|(name, value)| (name.to_owned(), value));
    entries.into_iter().chain(layouts).collect::<BTreeMap<_, _>>().into()
}

fn strings() -> Value {
    Value::map([
        (
            "ReplaceAll",
            function("strings.ReplaceAll", |arguments| {
                let (whole, old, new) = (text(arguments, 0)?, text(arguments, 1)?, text(arguments, 2)?);
                if whole.len() + whole.matches(old).count().saturating_mul(new.len()) > 1 << 20 {
                    return Err("the text would be too long".to_owned());
                }
                Ok(whole.replace(old, new).into())
            }),
        ),
        ("ToUpper", function("strings.ToUpper", |arguments| Ok(text(arguments, 0)?.to_uppercase().into()))),
        ("ToLower", function("strings.ToLower", |arguments| Ok(text(arguments, 0)?.to_lowercase().into()))),
    ])
}

fn repo(commits: &[Commit]) -> Value {
    let commits: Arc<[Commit]> = commits.into();
    let metadata = Native::new("repo.GetCommitMetadata", move |arguments| {
        let wanted = text(arguments, 0)?;
        let commit = commits.iter().find(|commit| commit.id.to_string() == wanted);
        let commit = commit.ok_or_else(|| format!("the commit {wanted:?} is not one that the application follows"))?;
        Ok(Value::map([
            ("Message", Value::from(&*commit.subject)),
            ("Author", Value::from(&*commit.author)),
            ("Date", commit.time.to_zoned(TimeZone::UTC).into()),
            ("Tags", Vec::new().into()),
        ]))
    });
    let url = |arguments: &[Value]| {
        let written = text(arguments, 0)?;
        RepoUrl::parse(written).map_err(|error| error.to_string())
    };
    Value::map([
        ("GetCommitMetadata", Value::Function(metadata)),
        (
            "RepoURLToHTTPS",
            Value::Function(Native::new("repo.RepoURLToHTTPS", move |arguments| {
                let url = url(arguments)?;
                Ok(format!("https://{}/{}", url.host(), path(&url, text(arguments, 0)?)).into())
            })),
        ),
        (
            "FullNameByRepoURL",
            Value::Function(Native::new("repo.FullNameByRepoURL", move |arguments| {
                let url = url(arguments)?;
                let path = path(&url, text(arguments, 0)?);
                let names: Vec<&str> =
                    path.trim_end_matches(".git").split('/').filter(|name| !name.is_empty()).collect();
                Ok(names[..names.len().min(2)].join("/").into())
            })),
        ),
        (
            "QueryEscape",
            function("repo.QueryEscape", |arguments| {
                let bytes = text(arguments, 0)?.bytes().map(|byte| match byte {
                    b' ' => "+".to_owned(),
                    byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
                    byte => format!("%{byte:02X}"),
                });
                Ok(bytes.collect::<String>().into())
            }),
        ),
    ])
}

/// What stands behind the host of a repository's address, as it was written.
fn path(url: &RepoUrl, written: &str) -> String {
    let behind = written.split_once(url.host()).map_or(written, |(_, behind)| behind);
    // A port, or the colon of scp's form.
    let behind = behind.strip_prefix(':').unwrap_or(behind);
    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    let is_port = digits > 0 && behind[digits..].starts_with('/');
    behind[if is_port { digits } else { 0 }..].trim_start_matches('/').to_owned()
}

fn sync() -> Value {
    let info = function("sync.GetInfoItem", |arguments| {
        let app = arguments.first().map(Value::to_json).unwrap_or_default();
        let wanted = text(arguments, 1)?;
        let places = ["/status/operationState/operation/info", "/operation/info"];
        let mut items = places.iter().filter_map(|place| app.pointer(place)?.as_array()).flatten();
        let found = items.find(|item| item["name"] == wanted).and_then(|item| item["value"].as_str());
        found.map(Value::from).ok_or_else(|| format!("the sync has no info {wanted:?}"))
    });
    Value::map([("GetInfoItem", info)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Oid;
    use crate::template::Template;
    use serde_json::json;

    #[test]
    fn the_functions_that_argo_cd_documents_are_there() {
        let commit = Commit {
            id: Oid::from_bytes([0xab; 20]),
            subject: "Fix cart".into(),
            author: "Ada <ada@example.com>".into(),
            time: "2026-11-22T10:00:00Z".parse().unwrap(),
        };
        let app =
            json!({"status": {"operationState": {"operation": {"info": [{"name": "ticket", "value": "SHOP-7"}]}}}});
        let now = "2026-11-22T10:30:00Z".parse().unwrap();
        let scene = Scene { app, project: json!({}), commits: vec![commit], now };
        let names = names(&scene, &Value::map([("region", "east".into())]), &Value::map([("token", "x".into())]));
        let names = with(&names, [("serviceType", "slack"), ("recipient", "general")]);
        let sha = "ab".repeat(20);
        let cases = [
            (
                "{{.context.region}} {{.secrets.token}} {{.serviceType}} {{.recipient}}".to_owned(),
                "east x slack general",
            ),
            (format!("{{{{(call .repo.GetCommitMetadata {sha:?}).Author}}}}"), "Ada <ada@example.com>"),
            (format!("{{{{(call .repo.GetCommitMetadata {sha:?}).Date.Format .time.Kitchen}}}}"), "10:00AM"),
            (
                "{{call .repo.RepoURLToHTTPS \"git@git.example.com:shop/web.git\"}}".into(),
                "https://git.example.com/shop/web.git",
            ),
            (
                "{{call .repo.RepoURLToHTTPS \"ssh://git@git.example.com:2222/shop/web.git\"}}".into(),
                "https://git.example.com/shop/web.git",
            ),
            ("{{call .repo.FullNameByRepoURL \"https://github.com/shop/web.git\"}}".into(), "shop/web"),
            ("{{call .repo.QueryEscape \"a b/c\"}}".into(), "a+b%2Fc"),
            ("{{call .strings.ReplaceAll \"a-b\" \"-\" \"_\"}} {{call .strings.ToUpper \"a\"}}".into(), "a_b A"),
            ("{{call .sync.GetInfoItem .app \"ticket\"}}".into(), "SHOP-7"),
            ("{{(call .time.Now).Sub (call .time.Parse \"2026-11-22T10:00:00Z\")}}".into(), "30m0s"),
        ];
        for (text, expected) in cases {
            let rendered = Template::parse(&text).and_then(|template| template.render(&names, now));
            assert_eq!(rendered.as_deref(), Ok(expected), "{text}");
        }
        let unknown =
            Template::parse("{{call .repo.GetCommitMetadata \"0\"}}").unwrap().render(&names, now).unwrap_err();
        assert!(unknown.message.contains("is not one that the application follows"), "{unknown}");
    }
}
