//! The language, by its words. What the API server makes of the same is in `tests/policies`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::value::written;
use super::{Budget, Expression, Fault, Run, Value, Variable};
use crate::policy::judge::with_room;

fn globals() -> BTreeMap<&'static str, Value> {
    let object = json!({
        "metadata": {"name": "web", "labels": {"app": "web", "app.kubernetes.io/name": "w"}},
        "spec": {"replicas": 3, "share": 1.5, "list": [3, 1, 2], "nothing": null,
            "containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2", "port": 80}]},
    });
    [("object", Value::from(&object)), ("authorizer", Value::Unknown("nobody knows"))].into()
}

/// What an expression says, in one word.
fn says(text: &str) -> String {
    said(text, Budget::of(100_000), false)
}

fn said(text: &str, mut budget: Budget, is_partial: bool) -> String {
    let expression = match Expression::read(text) {
        Ok(expression) => expression,
        Err(unreadable) => return format!("unreadable: {unreadable}"),
    };
    let result = with_room(|| {
        let mut run = Run::new(globals(), &[]);
        if is_partial {
            run = run.partial("object");
        }
        run.evaluate(&expression, &mut budget)
    });
    match result.expect("it does not panic") {
        Ok(Value::Optional(None)) => "none".into(),
        Ok(Value::Optional(Some(value))) => format!("some {}", written(&value).unwrap_or_default()),
        Ok(value) => written(&value).unwrap_or_else(|| value.type_name().to_owned()),
        Err(Fault::Error(error)) => format!("error: {error}"),
        Err(Fault::Unknown(why)) => format!("unknown: {why}"),
        Err(Fault::Exhausted) => "exhausted".into(),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(says(text), *expected, "{text}");
    }
}

#[test]
fn operators_mean_what_the_language_says() {
    check(&[
        // expression, value
        ("1 + 2 * 3", "7"),
        ("7 / 2", "3"),
        ("-7 % 3", "-1"),
        ("1 / 0", "error: division by zero"),
        ("1 % 0", "error: modulus by zero"),
        ("9223372036854775807 + 1", "error: integer overflow"),
        ("1u + 2u", "3"),
        ("1u - 2u", "error: integer overflow"),
        ("1 + 1u", "error: no such overload"),
        ("1.5 + 1.5", "3"),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", "[1, 2]"),
        ("1 == 1.0 && 1u == 1", "true"),
        ("1 == '1'", "false"),
        ("1 < 1.5 && 2u > 1.5", "true"),
        ("'a' < 1", "error: no such overload"),
        ("[1, 'a'] == [1.0, 'a']", "true"),
        ("{'a': 1} == {'a': 1u}", "true"),
        ("!true ? 1 : 2", "2"),
        ("1 ? 1 : 2", "error: no such overload"),
        ("2 in [1, 2]", "true"),
        ("'app' in object.metadata.labels", "true"),
        ("'\\u00e9' == 'é' && r'\\n' == '\\\\n'", "true"),
        ("b'abc'.size()", "3"),
        ("type(1) == int && type('a') == string && type(object) == map", "true"),
        ("{'a': 1, 'a': 2}", "error: Failed with repeated key"),
        ("1 +", "unreadable: 1:4: Syntax error: mismatched input '<EOF>' expecting expression"),
        ("a.B{c: 1}", "unreadable: it has a `a.B{…}`, and there are no such messages"),
    ]);
}

#[test]
fn what_decides_counts_wherever_it_stands() {
    check(&[
        ("true || object.spec.missing", "true"),
        ("object.spec.missing || true", "true"),
        ("object.spec.missing && false", "false"),
        ("object.spec.missing || false", "error: no such key: missing"),
        ("authorizer.group('').check('get') || true", "true"),
        ("authorizer.group('').check('get') && true", "unknown: nobody knows"),
        ("object.spec.missing || authorizer.x", "unknown: nobody knows"),
        ("1 || false", "error: no such overload"),
        ("[1, 2].exists(x, x / 0 == 1 || x == 2)", "true"),
        ("[1, 2].all(x, x / 0 == 1 && x == 1)", "false"),
        ("authorizer == 1", "unknown: nobody knows"),
        ("[authorizer]", "unknown: nobody knows"),
        ("nobody", "unknown: `nobody` is not known here"),
        ("'a'.unheard('b')", "unknown: the function `unheard` is not known here"),
    ]);
}

#[test]
fn fields_and_elements_are_found_or_missed() {
    check(&[
        ("object.metadata.name", "web"),
        ("object.metadata.labels['app.kubernetes.io/name']", "w"),
        ("object.metadata.labels.`app.kubernetes.io/name`", "w"),
        ("object.spec.missing", "error: no such key: missing"),
        ("object['missing']", "error: no such key: missing"),
        ("object.spec.list[3]", "error: index out of bounds: 3"),
        ("object.spec.list[-1]", "error: index out of bounds: -1"),
        ("object.spec.list['a']", "error: no such overload"),
        ("has(object.spec.replicas) && !has(object.spec.missing)", "true"),
        ("has(object.missing.replicas)", "error: no such key: missing"),
        ("object.?spec.?replicas", "some 3"),
        ("object.?missing.?replicas.orValue(7)", "7"),
        ("object.?missing.replicas.orValue(7)", "7"),
        ("object[?'spec'].replicas.orValue(7)", "3"),
        ("object.spec.list[?9].hasValue()", "false"),
        ("object.?missing.or(object.?spec).hasValue()", "true"),
        ("object.?spec.optMap(s, s.replicas + 1)", "some 4"),
        ("object.?missing.optMap(s, s.replicas + 1).orValue(0)", "0"),
        ("object.?spec.optFlatMap(s, s.?share)", "some 1.5"),
        ("optional.none().value()", "error: optional.none() dereference"),
        ("[?object.?missing, ?object.spec.?replicas]", "[3]"),
        ("{?'a': object.?missing, 'b': 1}", r#"{"b":1}"#),
        ("optional.ofNonZeroValue('')", "none"),
    ]);
}

#[test]
fn loops_run_over_lists_and_keys() {
    check(&[
        ("object.spec.containers.all(c, c.image.contains(':'))", "true"),
        ("object.spec.containers.exists(c, has(c.port))", "true"),
        ("object.spec.containers.exists_one(c, c.name == 'a')", "true"),
        ("object.spec.containers.map(c, c.name)", r#"["a", "b"]"#),
        ("object.spec.containers.map(c, has(c.port), c.port)", "[80]"),
        ("object.spec.containers.filter(c, c.name != 'a').size()", "1"),
        ("object.metadata.labels.all(k, k.startsWith('app'))", "true"),
        ("object.spec.containers.all(c, c.port > 0)", "error: no such key: port"),
        ("[[1], [2, 3]].map(l, l.map(x, x * 2))", "[[2], [4, 6]]"),
        ("object.spec.replicas.all(x, true)", "error: no such overload"),
        ("[1].map(x, x).map(x, [2].map(y, x + y))", "[[3]]"),
        ("[].all(x, false) && ![].exists(x, true)", "true"),
    ]);
}

#[test]
fn texts_have_kubernetes_functions() {
    check(&[
        ("'héllo'.size() == 5 && size('héllo') == 5", "true"),
        ("'hello'.charAt(4) + 'hello'.charAt(5)", "o"),
        ("'hello'.charAt(6)", "error: index out of range: 6"),
        ("'hello'.indexOf('l')", "2"),
        ("'hello'.indexOf('l', 3)", "3"),
        ("'hello'.lastIndexOf('l')", "3"),
        ("['a', 'b'].join('-')", "a-b"),
        ("'Hello'.lowerAscii() + 'Hello'.upperAscii()", "helloHELLO"),
        ("'a.b.c'.replace('.', '')", "abc"),
        ("'a.b.c'.replace('.', '-', 1)", "a-b.c"),
        ("'a.b.c'.split('.')", r#"["a", "b", "c"]"#),
        ("'a.b.c'.split('.', 2)", r#"["a", "b.c"]"#),
        ("'abc'.split('')", r#"["a", "b", "c"]"#),
        ("'abc'.split('', 2)", r#"["a", "bc"]"#),
        ("'hello'.substring(1, 3) + 'hello'.substring(3)", "ello"),
        ("'hello'.substring(3, 1)", "error: invalid substring range. start: 3, end: 1"),
        ("'  x '.trim()", "x"),
        ("'%s has %d of %.2f%%'.format(['web', 3, 1.5])", "web has 3 of 1.50%"),
        ("'%s'.format([])", "error: index out of range"),
        ("'registry.example/x:1'.matches('^registry[.]example/')", "true"),
        ("'abc 123'.find('[0-9]+')", "123"),
        ("'a1b22'.findAll('[0-9]+')", r#"["1", "22"]"#),
        ("'a1b22'.findAll('[0-9]+', 1)", r#"["1"]"#),
        ("'a'.matches('(')", "unknown: the pattern `(` is not understood here"),
        ("'a'.matches(1)", "error: no such overload"),
        ("string(3) + string(1.0) + string(true) + string(duration('90m'))", "31true5400s"),
        ("int('42') + int(1.9) + int(timestamp('1970-01-01T00:00:01Z'))", "44"),
        ("int('x')", "error: type conversion error from 'string' to 'int'"),
    ]);
}

#[test]
fn lists_quantities_addresses_and_times_are_known() {
    check(&[
        ("[1, 2, 3].sum() + [3, 1, 2].max() - [3, 1, 2].min()", "8"),
        ("[1, 2].isSorted() && !['b', 'a'].isSorted()", "true"),
        ("['a', 'b', 'a'].lastIndexOf('a') - ['a', 'b'].indexOf('z')", "3"),
        ("[].max()", "error: max called on empty list"),
        ("sets.contains([1, 2], [2]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])", "true"),
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", "true"),
        ("quantity('500m').add(quantity('0.5')).asInteger()", "1"),
        ("quantity('2').sub(1).compareTo(quantity('1'))", "0"),
        ("isQuantity('1.5Gi') && !isQuantity('1.5GG')", "true"),
        ("quantity('500m').isInteger()", "false"),
        ("ip('192.168.0.1').family() + ip('::1').family()", "10"),
        ("isIP('1.2.3.4') && !isIP('1.2.3') && !isIP('::ffff:1.2.3.4')", "true"),
        ("ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1')", "true"),
        ("ip('169.254.1.1').isLinkLocalUnicast() && ip('127.0.0.1').isLoopback()", "true"),
        ("cidr('10.1.0.0/16').containsIP('10.1.2.3') && !cidr('10.1.0.0/16').containsIP(ip('10.2.0.0'))", "true"),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR('10.0.0.0/8')", "true"),
        ("string(cidr('10.1.2.3/8').masked()) + '|' + string(cidr('10.1.2.3/8').prefixLength())", "10.0.0.0/8|8"),
        ("url('https://a.example:8080/x/y?q=1&q=2').getHostname()", "a.example"),
        ("url('https://a.example:8080/x/y?q=1&q=2').getPort()", "8080"),
        ("url('https://a.example/x/y?q=1&q=2').getQuery()['q']", r#"["1", "2"]"#),
        ("url('https://a.example/x/y').getEscapedPath() + url('https://[::1]:1/').getHost()", "/x/y[::1]:1"),
        ("isURL('https://a.example') && isURL('/x') && !isURL('a.example')", "true"),
        ("!format.dns1123Label().validate('web-1').hasValue()", "true"),
        ("format.named('dns1123Label').value().validate('Web').hasValue()", "true"),
        ("duration('1h').getMinutes() + timestamp('2026-02-03T04:05:06Z').getHours()", "64"),
        ("timestamp('2026-02-03T04:05:06Z') - timestamp('2026-02-03T04:05:00Z') == duration('6s')", "true"),
        ("timestamp('2026-02-03T04:05:06Z') + duration('-6s')", "2026-02-03T04:05:00Z"),
    ]);
}

#[test]
fn a_field_that_may_be_set_later_is_not_known_to_be_missing() {
    let cases = [
        // expression, what it says of an object as it was written
        ("object.spec.missing == 1", "unknown: `missing` is not written, and the API server may set it"),
        (
            "object.spec.containers.all(c, c.pull == 'Always')",
            "unknown: `pull` is not written, and the API server may set it",
        ),
        ("object.metadata.labels.team == 'a'", "error: no such key: team"),
        ("object.metadata.annotations['x'] == 'a'", "error: no such key: annotations"),
        ("object.spec.missing == 1 || true", "true"),
        ("has(object.spec.missing)", "false"),
    ];
    for (text, expected) in cases {
        assert_eq!(said(text, Budget::of(10_000), true), expected, "{text}");
    }
}

#[test]
fn variables_know_those_before_them_and_are_found_once() {
    let variable = |name: &str, text: &str| Variable { name: name.into(), means: Expression::read(text) };
    let variables = [
        variable("a", "[1, 2, 3].map(x, x * 2).sum()"),
        variable("b", "variables.a + 1"),
        variable("c", "variables.d"),
        variable("d", "1"),
        variable("wrong", "object.spec.missing"),
    ];
    let cases = [
        ("variables.b + variables.a", Ok("25")),
        ("variables.c", Err(r#"composited variable "c" fails to evaluate: no such key: d"#)),
        ("variables.wrong", Err(r#"composited variable "wrong" fails to evaluate: no such key: missing"#)),
        ("variables.wrong || true", Ok("true")),
    ];
    for (text, expected) in cases {
        let expression = Expression::read(text).unwrap();
        let mut run = Run::new(globals(), &variables);
        let found = match run.evaluate(&expression, &mut Budget::of(1_000)) {
            Ok(value) => Ok(written(&value).unwrap()),
            Err(Fault::Error(error)) => Err(error),
            Err(fault) => panic!("{text}: {fault:?}"),
        };
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }
    let mut budget = Budget::of(1_000);
    let (again, mut run) = (Expression::read("variables.a == variables.a").unwrap(), Run::new(globals(), &variables));
    run.evaluate(&again, &mut budget).unwrap();
    let mut scarce = Budget::of(30);
    run.evaluate(&again, &mut scarce).unwrap();
}

#[test]
fn bombs_end() {
    let ten = "[1,2,3,4,5,6,7,8,9,0]";
    let nested = (0..9).fold("true".to_owned(), |inner, at| format!("{ten}.all(x{at}, {inner})"));
    let doubled = (0..40).fold("'ab'".to_owned(), |inner, at| format!("[{inner}].map(s{at}, s{at} + s{at})[0]"));
    let shared = (0..18).fold("[0]".to_owned(), |inner, at| {
        format!("[{inner}].map(v{at}, [v{at}, v{at}, v{at}, v{at}, v{at}, v{at}, v{at}, v{at}])[0]")
    });
    let replaced = "[1,2,3,4,5,6,7].map(x, 'aaaaaaaaaaaaaaaa').join('').replace('a', [1,2,3,4,5,6,7,8].map(x, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb').join('')).replace('b', 'cccccccccccccccccccccccccccc').size()";
    let cases = [
        (nested, "exhausted"),
        (doubled, "exhausted"),
        (format!("{shared} == {shared}"), "exhausted"),
        (replaced.to_owned(), "exhausted"),
        ("'a'.matches('((((a{99}){99}){99}){99})')".to_owned(), "exhausted"),
        (format!("1{}", "+1".repeat(5_000)), "unreadable: it is longer or deeper than is evaluated"),
        (format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000)), "1"),
        (
            format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)),
            "unreadable: 0:0: expression recursion limit exceeded: 96",
        ),
        (format!("x{}", ".a()".repeat(4_000)), "unreadable: it is longer or deeper than is evaluated"),
        ("x".repeat(20_000), "unreadable: it is longer or deeper than is evaluated"),
    ];
    for (text, expected) in cases {
        let begun = std::time::Instant::now();
        let shown: String = text.chars().take(60).collect();
        assert_eq!(says(&text), expected, "{shown}…");
        assert!(begun.elapsed().as_secs() < 10, "{shown}… took {:?}", begun.elapsed());
    }
}

#[test]
fn what_grows_by_being_shared_is_paid_for_each_time_it_is_met() {
    let eight = |name: &str| format!("[{}]", [name; 8].join(","));
    let mut variables = vec![Variable { name: "v0".into(), means: Expression::read("[0]") }];
    for at in 1..20 {
        let means = Expression::read(&eight(&format!("variables.v{}", at - 1)));
        variables.push(Variable { name: format!("v{at}"), means });
    }
    let expression = Expression::read("variables.v19 == variables.v18").unwrap();
    let found = Run::new(globals(), &variables).evaluate(&expression, &mut Budget::of(1_000_000));
    assert!(matches!(found, Err(Fault::Exhausted)), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}") {
        says(&text);
    }

    #[test]
    fn nor_does_a_text_that_looks_like_one(parts in prop::collection::vec(prop::sample::select(vec![
        "object", ".spec", ".?x", "[0]", "[?1]", ".map(", "x,", "x", ")", "(", " && ", " || ", "!", "-", "1", "'a'", "1.5", "2u",
        ".all(", ".exists_one(", ".filter(", "has(", " + ", " / ", " % ", " == ", " < ", " in ", "?", ":", "[", "]", "{", "}", ",",
        ".size()", ".matches(", ".substring(", ".format(", ".split(", "quantity(", "ip(", "cidr(", "url(", "timestamp(",
        "duration(", ".optMap(", "optional.of(", "`", "\"", "'''", "\\x", "b'", "r'", "//", "\n", "9223372036854775807", "-1",
    ]), 0..24)) {
        says(&parts.concat());
    }

    #[test]
    fn no_function_panics_over_values_that_it_was_not_made_for(
        name in prop::sample::select(vec![
            "size", "charAt", "indexOf", "lastIndexOf", "join", "replace", "split", "substring", "trim", "format", "matches",
            "find", "findAll", "sum", "min", "max", "isSorted", "add", "sub", "compareTo", "containsIP", "containsCIDR", "masked",
            "getHours", "getFullYear", "getMilliseconds", "getQuery", "validate", "value", "orValue", "int", "uint", "double",
            "string", "timestamp", "duration", "quantity", "ip", "cidr", "url", "math.greatest", "sets.contains", "_+_", "_-_", "_%_",
        ]),
        values in prop::collection::vec(prop::sample::select(vec![
            "0", "-1", "1", "5u", "1.5", "-9223372036854775807 - 1", "18446744073709551615u", "'é'", "''", "'a,b'", "b'x'", "null", "true",
            "[1, 2]", "['a']", "[]", "{'a': 1}", "object", "authorizer", "duration('-9000h')", "timestamp('9999-12-31T23:59:59Z')",
            "timestamp('0001-01-01T00:00:00Z')", "quantity('-9223372036854775807')", "ip('::')", "cidr('::/0')", "cidr('0.0.0.0/0')",
            "url('/')", "optional.none()", "format.labelValue()", "1.0 / 0.0", "0.0 / 0.0", "int",
        ]), 0..4),
    ) {
        let values = values.iter().map(|text| Expression::read(text).unwrap()).collect::<Vec<_>>();
        let mut run = Run::new(globals(), &[]);
        let values: Vec<Value> =
            values.iter().filter_map(|value| run.evaluate(value, &mut Budget::of(1_000)).ok()).collect();
        let _either = super::functions::call(name, None, &values, &mut Budget::of(10_000), &mut Default::default());
        let _same = super::functions::call(name, values.first(), values.get(1..).unwrap_or_default(), &mut Budget::of(10_000), &mut Default::default());
    }
}
