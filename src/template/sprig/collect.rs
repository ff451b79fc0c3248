//! Lists and dictionaries.

use std::collections::BTreeMap;

use super::super::function::{ANY, Arguments, Table};
use super::super::value::Value;
use super::{int_of, list_of, text_of};

pub(super) const TABLE: Table = &[
    ("list", ANY, |a| Ok(a.values.to_vec().into())),
    ("tuple", ANY, |a| Ok(a.values.to_vec().into())),
    ("first", 1, |a| Ok(a.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    ("last", 1, |a| Ok(a.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    ("rest", 1, |a| Ok(a.list(0)?.get(1..).unwrap_or_default().to_vec().into())),
    ("initial", 1, |a| Ok(a.list(0)?.split_last().map(|(_, initial)| initial.to_vec()).unwrap_or_default().into())),
    ("append", 2, appended),
    ("push", 2, appended),
    ("prepend", 2, |a| {
        a.count(2, 2)?;
        Ok([std::slice::from_ref(a.any(1)?), a.list(0)?].concat().into())
    }),
    ("concat", ANY, |a| {
        let lists: Vec<&[Value]> = a.values.iter().map(list_of).collect::<Result<_, _>>()?;
        a.spend(lists.iter().map(|list| list.len()).sum())?;
        Ok(lists.concat().into())
    }),
    ("reverse", 1, |a| Ok(a.list(0)?.iter().rev().cloned().collect::<Vec<_>>().into())),
    ("compact", 1, |a| Ok(a.list(0)?.iter().filter(|value| value.is_true()).cloned().collect::<Vec<_>>().into())),
    ("uniq", 1, |a| {
        let mut seen: Vec<Value> = Vec::new();
        for value in a.list(0)? {
            a.spend(seen.len())?;
            if !seen.contains(value) {
                seen.push(value.clone());
            }
        }
        Ok(seen.into())
    }),
    ("without", ANY, |a| {
        let kept = a.list(0)?.iter().filter(|value| !a.values[1..].contains(value));
        Ok(kept.cloned().collect::<Vec<_>>().into())
    }),
    ("has", 2, |a| match a.any(1)? {
        Value::Nil => Ok(false.into()),
        list => Ok(list_of(list)?.contains(a.any(0)?).into()),
    }),
    ("sortAlpha", 1, |a| {
        let mut texts: Vec<String> = match a.any(0)? {
            Value::List(list) => list.iter().map(text_of).collect(),
            other => vec![text_of(other)],
        };
        texts.sort();
        Ok(texts.into_iter().map(Value::from).collect::<Vec<_>>().into())
    }),
    ("until", 1, |a| {
        let end = int_of(a.any(0)?);
        counted(a, 0, end, if end < 0 { -1 } else { 1 })
    }),
    ("untilStep", 3, |a| counted(a, a.int(0)?, a.int(1)?, a.int(2)?)),
    ("dict", ANY, |a| {
        let mut map = BTreeMap::new();
        for pair in a.values.chunks(2) {
            map.insert(text_of(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| "".into()));
        }
        Ok(map.into())
    }),
    ("get", 2, |a| Ok(a.map(0)?.get(a.text(1)?).cloned().unwrap_or_else(|| "".into()))),
    ("hasKey", 2, |a| Ok(a.map(0)?.contains_key(a.text(1)?).into())),
    ("keys", ANY, |a| {
        let mut keys = Vec::new();
        for index in 0..a.values.len() {
            keys.extend(a.map(index)?.keys().map(|key| Value::from(key.as_str())));
        }
        Ok(keys.into())
    }),
    ("values", 1, |a| Ok(a.map(0)?.values().cloned().collect::<Vec<_>>().into())),
    ("pick", ANY, |a| {
        let kept = a.map(0)?.iter().filter(|(key, _)| is_named(a, key));
        Ok(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>().into())
    }),
    ("omit", ANY, |a| {
        let kept = a.map(0)?.iter().filter(|(key, _)| !is_named(a, key));
        Ok(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>().into())
    }),
    ("pluck", ANY, |a| {
        let key = a.text(0)?;
        let mut found = Vec::new();
        for index in 1..a.values.len() {
            found.extend(a.map(index)?.get(key).cloned());
        }
        Ok(found.into())
    }),
    ("dig", ANY, |a| {
        a.count(3, usize::MAX)?;
        let (keys, rest) = a.values.split_at(a.values.len() - 2);
        let mut value = &rest[1];
        for key in keys {
            let Value::Map(map) = value else { return Err(super::expected("map", value)) };
            match key.as_text().and_then(|key| map.get(key)) {
                Some(inner) => value = inner,
                None => return Ok(rest[0].clone()),
            }
        }
        Ok(value.clone())
    }),
];

fn appended(a: &Arguments<'_>) -> Result<Value, String> {
    a.count(2, 2)?;
    Ok([a.list(0)?, std::slice::from_ref(a.any(1)?)].concat().into())
}

fn is_named(a: &Arguments<'_>, key: &str) -> bool {
    a.values[1..].iter().any(|value| value.as_text() == Some(key))
}

fn counted(a: &Arguments<'_>, from: i64, to: i64, step: i64) -> Result<Value, String> {
    let mut list = Vec::new();
    let mut at = from;
    while step != 0 && if step > 0 { at < to } else { at > to } {
        a.spend(1)?;
        list.push(Value::Int(at));
        at = at.saturating_add(step);
    }
    Ok(list.into())
}
