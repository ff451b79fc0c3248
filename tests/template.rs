//! Templates against Go's text/template with sprig, conditions against expr-lang: what `tests/template-reference` has made of
//! each case.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use leeboard::alert::when::Expression;
use leeboard::template::{Duration, Native, Template, Value, parse_rfc3339};
use serde_json::Value as Json;

fn fixture(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/template").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The data of the cases, with the functions that the reference has added to it.
fn data(cases: &Json) -> Value {
    let Value::Map(map) = Value::from(&cases["data"]) else { unreachable!("the fixture has an object there") };
    let parse = Native::new("Parse", |arguments| {
        let text = arguments.first().and_then(Value::as_text).ok_or("a text is needed")?;
        parse_rfc3339(text).map(Value::from).ok_or_else(|| format!("{text:?} is no time"))
    });
    let (second, minute) = (Duration::SECOND, Duration(60 * Duration::SECOND.0));
    let time =
        [("Parse", Value::Function(parse)), ("Minute", Value::Duration(minute)), ("Second", Value::Duration(second))];
    let mut map = (*map).clone();
    map.insert("time".into(), Value::map(time));
    map.into()
}

#[test]
fn what_go_makes_of_a_template_is_made_here() {
    let cases = fixture("cases.json");
    let data = data(&cases);
    let expected = fixture("expected.json");
    let expected = expected.as_array().unwrap();
    assert_eq!(expected.len(), cases["templates"].as_array().unwrap().len(), "run tests/template-reference again");
    let mut wrong = Vec::new();
    for case in expected {
        let text = case["template"].as_str().unwrap();
        let made = Template::parse(text).and_then(|template| template.render(&data, Timestamp::UNIX_EPOCH));
        match (&made, case["error"].as_str()) {
            (Err(_), Some(_)) => {}
            // Go's two kinds of whole numbers are one here.
            (Ok(output), None) if *output == case["output"].as_str().unwrap_or_default().replace("int64", "int") => {}
            _ => wrong.push(format!("{text:?}\n  Go:   {}{}\n  here: {made:?}", case["output"], case["error"])),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
}

#[test]
fn what_expr_makes_of_a_condition_is_made_here() {
    let cases = fixture("conditions.json");
    let data = data(&cases);
    let expected = fixture("conditions-expected.json");
    let expected = expected.as_array().unwrap();
    assert_eq!(expected.len(), cases["conditions"].as_array().unwrap().len(), "run tests/template-reference again");
    let mut wrong = Vec::new();
    for case in expected {
        let text = case["condition"].as_str().unwrap();
        let made = Expression::parse(text).and_then(|condition| condition.evaluate(&data, Timestamp::UNIX_EPOCH));
        let made = made.map(|value| value.to_string());
        match (&made, case["error"].as_str()) {
            (Err(_), Some(_)) => {}
            (Ok(value), None) if value == case["value"].as_str().unwrap_or_default() => {}
            _ => wrong.push(format!("{text}\n  expr: {}{}\n  here: {made:?}", case["value"], case["error"])),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
}
