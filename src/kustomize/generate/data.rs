//! The pairs of keys and values that a generator's sources say.

use std::collections::HashSet;

use smol_str::SmolStr;

use crate::error::{Diagnostic, Origin};
use crate::kustomize::entry::GeneratorArgs;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::field::{Text, handed_over};
use crate::kustomize::load::Loader;
use crate::source::TreePath;

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::kustomize) struct Pair {
    pub(in crate::kustomize) key: SmolStr,
    pub(in crate::kustomize) value: Vec<u8>,
}

/// All pairs of a generator, from env files, literals and files in this order.
///
/// # Errors
/// When a source can't be read or says no pair, or a key is said twice.
pub(in crate::kustomize) fn pairs(
    args: &GeneratorArgs,
    loader: &Loader<'_>,
    directory: &TreePath,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Vec<Pair>, Error> {
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |pair: Pair, at: &Text| {
        if !seen.insert(pair.key.clone()) {
            return Err(Error::at(&at.node, Problem::RepeatedKey { key: pair.key.to_string() }));
        }
        pairs.push(pair);
        Ok(())
    };
    for entry in &args.envs {
        let (path, bytes) = loader.read(directory, entry)?;
        for pair in env(&path, &bytes, warnings)? {
            add(pair, entry)?;
        }
    }
    for entry in &args.literals {
        add(literal(entry)?, entry)?;
    }
    for entry in &args.files {
        let (key, path) = file(entry)?;
        let (_, bytes) = loader.read(directory, &path)?;
        add(Pair { key, value: bytes.to_vec() }, entry)?;
    }
    Ok(pairs)
}

/// `key=value`; one pair of quotes around the value is removed.
fn literal(entry: &Text) -> Result<Pair, Error> {
    let refused = || Error::at(&entry.node, Problem::NotAPair { pair: entry.value.to_string() });
    let (key, value) = entry.value.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(refused)?;
    let unquoted =
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
    Ok(Pair { key: key.into(), value: handed_over(unquoted).into_owned().into_bytes() })
}

/// `path` or `key=path`.
fn file(entry: &Text) -> Result<(SmolStr, Text), Error> {
    match entry.value.split('=').collect::<Vec<&str>>().as_slice() {
        [path] => {
            let name = path.rsplit('/').next().unwrap_or(path);
            Ok((name.into(), entry.clone()))
        }
        [key, path] if !key.is_empty() && !path.is_empty() => {
            Ok(((*key).into(), Text { value: (*path).into(), ..entry.clone() }))
        }
        [_, _] => Err(Error::at(&entry.node, Problem::NotAPair { pair: entry.value.to_string() })),
        _ => Err(Error::at(&entry.node, Problem::ManyEquals { pair: entry.value.to_string() })),
    }
}

/// Lines of `key=value`; comments, empty lines and values without a key say nothing, a key alone has an empty value.
fn env(path: &TreePath, bytes: &[u8], warnings: &mut Vec<Diagnostic>) -> Result<Vec<Pair>, Error> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Error::of_file(path, Problem::EnvNotText { path: path.to_string() }))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pairs = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if key.is_empty() {
            let line_number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let problem = Problem::EnvWithoutKey { path: path.to_string(), line: number + 1 };
            let origin = Origin::new(path.to_string(), line_number, 1);
            // The line is not shown: it may be a secret's value.
            let warning = Error { problem: Box::new(problem), origin: Some(origin), line: None };
            warnings.push(warning.diagnostic());
            continue;
        }
        pairs.push(Pair { key: key.into(), value: value.as_bytes().to_vec() });
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_lose_one_pair_of_quotes() {
        let cases = [
            // literal, key and value
            ("a=b", Some(("a", "b"))),
            ("a=b=c", Some(("a", "b=c"))),
            ("a=", Some(("a", ""))),
            (r#"a="b c""#, Some(("a", "b c"))),
            ("a='b'", Some(("a", "b"))),
            (r#"a="b'"#, Some(("a", r#""b'"#))),
            (r#"a="b"c""#, Some(("a", r#"b"c"#))),
            ("a='", Some(("a", "'"))),
            ("abc", None),
            ("=b", None),
        ];
        for (text, expected) in cases {
            let found = literal(&Text::new(text)).ok();
            let found = found.map(|pair| (pair.key, String::from_utf8(pair.value).unwrap()));
            assert_eq!(found.as_ref().map(|(key, value)| (key.as_str(), value.as_str())), expected, "{text}");
        }
    }

    #[test]
    fn env_files_are_read_line_by_line() {
        let text = "\u{feff}A=1\r\n  B= x \n# comment\n\nC\nD='q'\nexport E=1";
        let found: Vec<(String, String)> = env(&TreePath::new("a.env").unwrap(), text.as_bytes(), &mut Vec::new())
            .unwrap()
            .into_iter()
            .map(|pair| (pair.key.to_string(), String::from_utf8(pair.value).unwrap()))
            .collect();
        let expected = [("A", "1"), ("B", " x "), ("C", ""), ("D", "'q'"), ("export E", "1")];
        assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
