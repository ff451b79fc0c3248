use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn render(text: &str) -> Result<String, Error> {
    let data = json!({"name": "web", "list": ["a", "b"], "none": null, "deep": {"er": {"x": 1}}});
    Template::parse(text)?.render(&Value::from(&data), Timestamp::UNIX_EPOCH)
}

#[test]
fn an_error_says_where_and_what() {
    let cases = [
        ("a\n  {{ .name ", "line 2, column 12: unclosed action"),
        ("{{ if .name }}", "line 1, column 15: {{if}} without {{end}}"),
        ("é {{ nosuch . }}", "line 1, column 6: function \"nosuch\" not defined"),
        ("{{ $x }}", "line 1, column 4: undefined variable `$x`"),
        ("{{ env \"HOME\" }}", "line 1, column 4: function \"env\" is refused: a template sees nothing of the machine"),
        ("{{ .name.first }}", "line 1, column 4: can't evaluate field first in type string"),
        ("\n{{ index .list 7 }}", "line 2, column 4: index: index out of range: 7"),
        ("{{ template \"x\" }}", "line 1, column 1: template \"x\" not defined"),
        ("{{ end }}", "line 1, column 1: unexpected {{end}}"),
        ("{{ break }}", "line 1, column 1: {{break}} outside {{range}}"),
        ("{{ trim }}", "line 1, column 4: trim: wrong number of args: want 1 got 0"),
    ];
    for (text, expected) in cases {
        assert_eq!(render(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn what_would_not_end_or_not_fit_is_stopped() {
    let cases = [
        // template, what is said
        ("{{ range until 1000000000 }}x{{ end }}", "does too much"),
        ("{{ range 1000000000 }}{{ end }}", "does too much"),
        ("{{ repeat 1000000000 \"x\" }}", "longer than 1024 KiB"),
        ("{{ printf \"%999999999d\" 1 }}", "a width of 999999999 is too much"),
        ("{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}", "more than 100 levels deep"),
        ("{{ $x := \"xxxxxxxx\" }}{{ range until 40 }}{{ $x = print $x $x }}{{ end }}", "longer than 1024 KiB"),
        ("{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "does too much"),
        ("{{ $x := list 1 }}{{ range until 100000 }}{{ $x = list $x }}{{ end }}", "does too much"),
        ("{{ replace \"\" (repeat 1000 \"y\") (repeat 10000 \"x\") }}", "longer than 1024 KiB"),
        ("{{ indent 1000000 (repeat 1000 \"\\n\") }}", "longer than 1024 KiB"),
    ];
    for (text, expected) in cases {
        let error = render(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let nested = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(render(&format!("{{{{ {nested} }}}}")).unwrap_err().to_string().contains("more than 64 levels deep"));
    assert!(render(&"{{if 1}}".repeat(1000)).unwrap_err().to_string().contains("more than 64 levels deep"));
}

#[test]
fn the_time_is_the_one_that_is_given() {
    let now: Timestamp = "2026-11-22T10:20:30.5Z".parse().unwrap();
    let cases = [
        ("{{ now.UTC.Format \"2006-01-02T15:04:05.000Z07:00\" }}", "2026-11-22T10:20:30.500Z"),
        ("{{ dateInZone \"Mon 2 Jan 15:04 MST\" now \"Europe/Berlin\" }}", "Sun 22 Nov 11:20 CET"),
        ("{{ ago (dateModify \"-90m\" now) }}", "1h30m0s"),
        ("{{ (dateModify \"1h\" now).After now }}", "true"),
    ];
    for (text, expected) in cases {
        let rendered = Template::parse(text).and_then(|template| template.render(&Value::Nil, now));
        assert_eq!(rendered.as_deref(), Ok(expected), "{text}");
    }
}

/// Pieces of templates, in any order: mostly they make no sense, and some do.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "if ",
        "range ",
        "with ",
        "end",
        "else",
        "define \"a\"",
        "template \"a\" .",
        "break",
        ".name",
        ".list",
        ".none.x",
        "$",
        "$x",
        " := ",
        " = ",
        ",",
        "|",
        "(",
        ")",
        "\"t\"",
        "`r`",
        "'c'",
        "1",
        "-2.5",
        "1e9",
        "0x1F",
        "printf \"%5.2v\" ",
        "index ",
        "slice ",
        "len ",
        "trunc 3 ",
        "until 5",
        "dict ",
        "é",
        "/*",
        "*/",
        "nil",
        "true",
        "\\",
        "\n",
        "regexFind ",
        "date ",
        "now",
        ".Format ",
        "substr 1 2 ",
        "abbrev 5 ",
        "splitn \"a\" 2 ",
        "round ",
        "toJson ",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in pieces(), any in ".*") {
        let _ = render(&text);
        let _ = render(&format!("{{{{{text}}}}}"));
        let _ = render(&any);
        let _ = render(&format!("{{{{ printf {any:?} .name .list 3 }}}}"));
        let _ = render(&format!("{{{{ date {any:?} now }}}}"));
    }
}
