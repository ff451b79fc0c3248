use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::template::{Duration, Native, parse_rfc3339};

fn evaluate(text: &str) -> Result<Value, Error> {
    let app = json!({
        "metadata": {"name": "web", "annotations": {"example.com/version": "v0.1"}, "labels": {"team": "shop"}},
        "spec": {"sources": [{"repoURL": "a"}, {"repoURL": "b"}]},
        "status": {
            "sync": {"status": "OutOfSync", "revision": "abc"},
            "health": {"status": "Healthy", "lastTransitionTime": "2026-11-22T10:00:00Z"},
            "operationState": {
                "phase": "Succeeded", "startedAt": "2026-11-22T09:59:00Z", "finishedAt": "2026-11-22T10:00:30Z",
                "syncResult": {"revision": "def"}, "retryCount": 2,
            },
            "conditions": [{"type": "SyncError"}, {"type": "Other"}],
        },
    });
    let parse = Native::new("time.Parse", |arguments| {
        let text = arguments.first().and_then(Value::as_text).ok_or("a text is needed")?;
        parse_rfc3339(text).map(Value::from).ok_or_else(|| format!("{text:?} is no time"))
    });
    let time =
        Value::map([("Parse", Value::Function(parse)), ("Minute", Value::Duration(Duration(60 * Duration::SECOND.0)))]);
    let names = Value::map([("app", Value::from(&app)), ("time", time)]);
    Expression::parse(text)?.evaluate(&names, "2026-11-22T10:06:00Z".parse::<Timestamp>().unwrap())
}

#[test]
fn what_argo_cds_documentation_and_catalog_write_is_understood() {
    let cases = [
        ("app.status.sync.status == 'Unknown'", "false"),
        ("app.status.operationState.phase in ['Succeeded']", "true"),
        ("app.status?.operationState.phase in ['Error', 'Failed']", "false"),
        ("app.status.operationState != nil and app.status.operationState.phase in ['Running']", "false"),
        ("app.metadata.deletionTimestamp != nil", "false"),
        ("app.status.operationState?.syncResult?.revision", "def"),
        ("app.metadata.annotations[\"example.com/version\"]", "v0.1"),
        ("now().Sub(time.Parse(app.status?.operationState.startedAt)).Minutes() >= 5", "true"),
        (
            "app.status.operationState != nil and app.status.operationState.phase in ['Succeeded'] and \
             app.status.health.status == 'Healthy' and (!time.Parse(app.status.health.lastTransitionTime)\
             .Add(1 * time.Minute).Before(time.Parse(app.status.operationState.finishedAt)) or \
             time.Parse(app.status.health.lastTransitionTime).Before(time.Parse(app.status.operationState.startedAt)))",
            "true",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text).map(|value| value.to_string()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn operators_bind_and_convert_as_they_do_in_expr() {
    let cases = [
        // arithmetic
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3.5"),
        ("7 % 4 - -1", "4"),
        ("2 ** 3 ** 2", "512"),
        ("1 == 1.0", "true"),
        ("'a' + \"b\" + `c`", "abc"),
        ("0x10 + 1_000", "1016"),
        ("2 * time.Minute + time.Minute", "3m0s"),
        // logic
        ("true or false and false", "true"),
        ("!true || not false", "true"),
        ("not (1 in [1, 2])", "false"),
        ("3 not in [1, 2]", "true"),
        ("'team' in app.metadata.labels", "true"),
        ("false and app.nothing.at.all", "false"),
        ("nil == app.status.nothing", "true"),
        ("'a' < 'b' && 1.5 >= 1", "true"),
        // texts
        ("app.metadata.name matches '^w.b$'", "true"),
        ("'abc' contains 'b' and 'abc' startsWith 'ab' and 'abc' endsWith 'bc'", "true"),
        ("'abc' not contains 'x'", "true"),
        // choices
        ("app.spec.source != nil ? 'one' : 'many'", "many"),
        ("app.status.nothing ?? 'none'", "none"),
        ("app.nothing?.at.all", "<nil>"),
        ("app.nothing?.at.all ?? 1 + 1", "2"),
        ("app?.metadata?.name", "web"),
        // lists and maps
        ("[1, 2, 3][-1]", "3"),
        ("[1, 2, 3][1:]", "[2 3]"),
        ("{a: 1, 'b': 2}.b", "2"),
        ("1..3", "[1 2 3]"),
        ("len(app.spec.sources)", "2"),
        ("any(app.status.conditions, {.type == 'SyncError'})", "true"),
        ("all(app.status.conditions, .type matches 'E')", "false"),
        ("none([1, 2], # > 2)", "true"),
        ("filter(1..5, # % 2 == 1)", "[1 3 5]"),
        ("map(app.spec.sources, .repoURL) | join('-')", "a-b"),
        ("count([1, 2, 3], {# > 1})", "2"),
        ("find([1, 2, 3], # > 1)", "2"),
        // functions
        ("upper('a') + lower('B') + trim(' c ')", "Abc"),
        ("split('a-b', '-')[1]", "b"),
        ("int('7') + int(1.9)", "8"),
        ("string(1) + type('')", "1string"),
        ("duration('90s') > time.Minute", "true"),
        ("date('2026-11-22T10:00:00Z') < now()", "true"),
        ("keys({a: 1})[0] + first(['x']) + last(['y'])", "axy"),
        ("fromJSON('{\"a\": [1]}').a", "[1]"),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text).map(|value| value.to_string()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn an_error_says_where_and_what() {
    let cases = [
        ("", "line 1, column 1: the expression ends too early"),
        ("app.status ==", "line 1, column 14: the expression ends too early"),
        ("1 2", "line 1, column 3: unexpected `2`"),
        ("app.\n  [x]", "line 2, column 3: unexpected `[`"),
        ("'open", "line 1, column 1: a text without an end"),
        ("(1", "line 1, column 3: `)` is missing"),
        ("nosuch(1)", "line 1, column 1: there is no function `nosuch`"),
        ("len(1, 2)", "line 1, column 1: 1 arguments are needed, not 2"),
        ("app.nothing.at", "line 1, column 13: cannot fetch at from nil"),
        ("app.metadata and true", "line 1, column 5: a bool is needed, not map"),
        ("1 < 'a'", "line 1, column 3: < is not for int and string"),
        ("time.Parse('x')", "line 1, column 6: time.Parse: \"x\" is no time"),
        ("1..1000000000", "line 1, column 2: the condition does too much"),
        ("# == 1", "line 1, column 1: unexpected `#`"),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text).unwrap_err().to_string(), expected, "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(evaluate(&deep).unwrap_err().to_string().contains("more than 48 levels deep"));
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "app",
        ".status",
        "?.sync",
        "?.",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "'a'",
        "\"",
        "`r`",
        "1",
        "2.5",
        "1e9",
        "..",
        "-",
        "not ",
        " in ",
        " and ",
        "||",
        "==",
        "<",
        "?",
        ":",
        "??",
        "any(",
        "filter(",
        "#",
        ".x",
        ",",
        "nil",
        "true",
        " matches ",
        "len(",
        "time.Parse(",
        "now()",
        ".Sub(",
        "é",
        "\\",
        "\n",
        "0x",
        "|",
        "join(",
        "replace(",
        "9223372036854775807",
        "%",
        "**",
        "[-1:]",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in pieces(), any in ".*") {
        let _ = evaluate(&text);
        let _ = evaluate(&any);
    }
}
