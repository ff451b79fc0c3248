use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const HASH: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn image(text: &str) -> Image {
    text.parse().unwrap()
}

#[test]
fn an_image_is_written_with_its_version() {
    let tag = |text: &str| Version::Tag(Tag::new(text).unwrap());
    let digest = || Version::Digest(Digest::new(HASH).unwrap());
    let cases = [
        ("web=1.4.2".to_owned(), "web", None, tag("1.4.2")),
        ("h.x:5000/web=1".into(), "h.x:5000/web", None, tag("1")),
        (format!("web={HASH}"), "web", None, digest()),
        (format!("web@{HASH}"), "web", None, digest()),
        ("web=ghcr.io/org/web:1".into(), "web", Some("ghcr.io/org/web"), tag("1")),
        (format!("web=other@{HASH}"), "web", Some("other"), digest()),
    ];
    for (text, name, new_name, version) in cases {
        let image = image(&text);
        assert_eq!((image.name(), image.new_name(), image.version()), (name, new_name, &version), "{text}");
    }
    for wrong in ["web", "web=", "=1", "web=org/web", "web@1", "web:1", &format!("web=web:1@{HASH}"), "Web=1"] {
        assert!(wrong.parse::<Image>().is_err(), "{wrong}");
    }
}

fn edited(text: &str, place: &Place, wish: &str) -> Result<String, Error> {
    let edited = edit(&"kustomization.yaml".into(), text.as_bytes(), place, &image(wish))?;
    Ok(String::from_utf8(edited).unwrap())
}

fn field(path: &str) -> Place {
    Place::Field(path.parse().unwrap())
}

#[test]
fn the_version_of_an_entry_is_replaced_and_nothing_else() {
    let cases = [
        // the list, what is wished, the list then
        ("- name: web\n  newTag: v1\n", "web=v2", "- name: web\n  newTag: v2\n"),
        ("- name: web\n  newTag: 'v1' # ours\n", "web=v2", "- name: web\n  newTag: 'v2' # ours\n"),
        ("- name: web\n  newTag: \"1.1\"\n", "web=1.2", "- name: web\n  newTag: \"1.2\"\n"),
        ("- name: web\n  newTag: v1\n", "web=1.2", "- name: web\n  newTag: \"1.2\"\n"),
        ("- name: web\n  newTag: 1.2\n", "web=1.2", "- name: web\n  newTag: \"1.2\"\n"),
        ("- name: web\n  newTag: 1.2.3\n", "web=1.2.3", "- name: web\n  newTag: 1.2.3\n"),
        ("- name: web\n  newTag: !!str 1.2\n", "web=1.2", "- name: web\n  newTag: !!str 1.2\n"),
        ("-   name: web\n    newTag:    v1\n", "web=v2", "-   name: web\n    newTag:    v2\n"),
        ("- newTag: v1\n\n  # the shop\n  name: web\n", "web=v2", "- newTag: v2\n\n  # the shop\n  name: web\n"),
        ("  - name: web\n    newTag:\n      v1\n", "web=v2", "  - name: web\n    newTag:\n      v2\n"),
        ("-\n  name: web\n  newTag: v1\n", "web=v2", "-\n  name: web\n  newTag: v2\n"),
        ("- {newTag: v1, name: web}\n", "web=v2", "- {newTag: v2, name: web}\n"),
        (
            "- name: other\n  newTag: v1\n- name: web\n  newTag: v1\n",
            "web=v2",
            "- name: other\n  newTag: v1\n- name: web\n  newTag: v2\n",
        ),
        ("- name: web\n  newTag: &v v1\n", "web=v2", "- name: web\n  newTag: &v v2\n"),
        ("- name: web\n  newTag: # later\n", "web=v2", "- name: web\n  newTag: v2 # later\n"),
        ("- name: web\n  newTag: ~\n", "web=v2", "- name: web\n  newTag: v2\n"),
        ("- name: web\n  newTag: \"\"\n", "web=v2", "- name: web\n  newTag: \"v2\"\n"),
        ("- name: web # ours\n", "web=v2", "- name: web # ours\n  newTag: v2\n"),
        (
            "- name: web\n  newName: x/web\n  tagSuffix: -a\n",
            "web=v2",
            "- name: web\n  newName: x/web\n  newTag: v2\n  tagSuffix: -a\n",
        ),
        ("- {name: web}\n", "web=v2", "- {name: web, newTag: v2}\n"),
        ("- {\"name\": \"web\"}\n", "web=v2", "- {\"name\": \"web\", \"newTag\": \"v2\"}\n"),
        // another name
        ("- name: web\n  newTag: v1\n", "web=ghcr.io/web:v2", "- name: web\n  newName: ghcr.io/web\n  newTag: v2\n"),
        ("- name: web\n", "web=ghcr.io/web:v2", "- name: web\n  newName: ghcr.io/web\n  newTag: v2\n"),
        ("- name: web\n  newName: x\n", "web=ghcr.io/web:v2", "- name: web\n  newName: ghcr.io/web\n  newTag: v2\n"),
        ("- {name: web}\n", "web=ghcr.io/web:v2", "- {name: web, newName: ghcr.io/web, newTag: v2}\n"),
    ];
    for (list, wish, expected) in cases {
        let around = |list: &str| format!("# top\nresources: [a.yaml]\nimages:\n{list}# between\nnamePrefix: a-\n");
        assert_eq!(edited(&around(list), &Place::Kustomization, wish), Ok(around(expected)), "{list}");
        let crlf = |list: &str| around(list).replace('\n', "\r\n");
        assert_eq!(edited(&crlf(list), &Place::Kustomization, wish), Ok(crlf(expected)), "{list} with CRLF");
        let at_the_end = |list: &str| format!("images:\n{}", list.trim_end());
        assert_eq!(
            edited(&at_the_end(list), &Place::Kustomization, wish),
            Ok(at_the_end(expected)),
            "{list} at the end"
        );
    }
}

#[test]
fn a_digest_takes_the_place_of_the_tag_and_a_tag_that_of_the_digest() {
    let other = HASH.replace('0', "9");
    let cases = [
        ("- name: web\n  newTag: v1 # ours\n".to_owned(), HASH, format!("- name: web\n  digest: {HASH} # ours\n")),
        (format!("- name: web\n  digest: {HASH}\n"), "v2", "- name: web\n  newTag: v2\n".to_owned()),
        (format!("- name: web\n  digest: {other}\n"), HASH, format!("- name: web\n  digest: {HASH}\n")),
        (
            format!("- name: web\n  newTag: v1\n  # pinned\n  digest: {other} # by hand\n  newName: x\n"),
            HASH,
            format!("- name: web\n  digest: {HASH}\n  # pinned\n  newName: x\n"),
        ),
        (format!("- digest: {other}\n  name: web\n  newTag: v1\n"), "v2", "- newTag: v2\n  name: web\n".to_owned()),
        (format!("- {{name: web, newTag: v1, digest: {other}}}\n"), "v2", "- {name: web, newTag: v2}\n".to_owned()),
        (
            "- {\"name\": \"web\", \"newTag\": \"v1\"}\n".to_owned(),
            HASH,
            format!("- {{\"name\": \"web\", \"digest\": \"{HASH}\"}}\n"),
        ),
    ];
    for (list, version, expected) in cases {
        let around = |list: &str| format!("images:\n{list}namePrefix: a-\n");
        let wish = format!("web={version}");
        assert_eq!(edited(&around(&list), &Place::Kustomization, &wish), Ok(around(&expected)), "{list}");
        let at_the_end = |list: &str| format!("images:\n{}", list.trim_end());
        let expected = at_the_end(&expected);
        assert_eq!(edited(&at_the_end(&list), &Place::Kustomization, &wish), Ok(expected), "{list} at the end");
    }
}

#[test]
fn a_missing_entry_is_put_behind_the_others_as_they_are_written() {
    let cases = [
        // the file, with another image in it
        (
            "images:\n- name: a\n  newTag: v1\nx: 1\n",
            "images:\n- name: a\n  newTag: v1\n- name: web\n  newTag: v2\nx: 1\n",
        ),
        (
            "images:\n  -   name: 'a' # first\n      newTag: \"1\" # one\n\n# more\nx: 1\n",
            "images:\n  -   name: 'a' # first\n      newTag: \"1\" # one\n  -   name: 'web'\n      newTag: \"v2\"\n\n# more\nx: 1\n",
        ),
        ("images:\n-\n  name: a\n", "images:\n-\n  name: a\n- name: web\n  newTag: v2\n"),
        ("images:\n- {name: a, newTag: v1}\n", "images:\n- {name: a, newTag: v1}\n- {name: web, newTag: v2}\n"),
        ("images: [{name: a, newTag: v1}] # all\n", "images: [{name: a, newTag: v1}, {name: web, newTag: v2}] # all\n"),
        ("images: [{name: a},]\n", "images: [{name: a}, {name: web, newTag: v2},]\n"),
        (
            "images: [\n  {name: a}, # a\n  {name: b} # b\n]\n",
            "images: [\n  {name: a}, # a\n  {name: b}, # b\n  {name: web, newTag: v2}\n]\n",
        ),
        ("images: [\n  {name: b}, # b, c\n]\n", "images: [\n  {name: b}, # b, c\n  {name: web, newTag: v2},\n]\n"),
        ("images: []\n", "images:\n- name: web\n  newTag: v2\n"),
        (
            "images: [] # none\nresources:\n  - a\n",
            "images: # none\n  - name: web\n    newTag: v2\nresources:\n  - a\n",
        ),
        ("images:\nx: 1\n", "images:\n- name: web\n  newTag: v2\nx: 1\n"),
        ("images: null\n", "images:\n- name: web\n  newTag: v2\n"),
        ("resources:\n  - a\n", "resources:\n  - a\nimages:\n  - name: web\n    newTag: v2\n"),
        ("resources: [a]", "resources: [a]\nimages:\n- name: web\n  newTag: v2"),
        ("---\nresources:\n- a # c\n# end\n", "---\nresources:\n- a # c\nimages:\n- name: web\n  newTag: v2\n# end\n"),
        ("a: |\n  x\n", "a: |\n  x\nimages:\n- name: web\n  newTag: v2\n"),
        ("a: &x [b]\nc: *x\n", "a: &x [b]\nc: *x\nimages:\n- name: web\n  newTag: v2\n"),
        ("\u{feff}a: 1\n", "\u{feff}a: 1\nimages:\n- name: web\n  newTag: v2\n"),
        ("{}\n", "{images: [{name: web, newTag: v2}]}\n"),
        ("{\"a\": 1}\n", "{\"a\": 1, \"images\": [{\"name\": \"web\", \"newTag\": \"v2\"}]}\n"),
        ("{\"images\": []}\n", "{\"images\": [{\"name\": \"web\", \"newTag\": \"v2\"}]}\n"),
        (
            "{\n  \"images\": [\n    {\"name\": \"a\"}\n  ]\n}\n",
            "{\n  \"images\": [\n    {\"name\": \"a\"},\n    {\"name\": \"web\", \"newTag\": \"v2\"}\n  ]\n}\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(edited(text, &Place::Kustomization, "web=v2"), Ok(expected.to_owned()), "{text}");
        if !text.contains('\n') {
            continue;
        }
        let (text, expected) = (text.replace('\n', "\r\n"), expected.replace('\n', "\r\n"));
        assert_eq!(edited(&text, &Place::Kustomization, "web=v2"), Ok(expected), "{text} with CRLF");
    }
}

#[test]
fn what_cannot_be_changed_alone_is_refused_with_its_place() {
    let cases = [
        // the file, the place, what is wrong
        ("images:\n- name: web\n newTag: v1\n", "3:2", "invalid YAML"),
        ("a: 1\na: 2\n", "2:1", "the key `a` is already defined"),
        ("# nothing\n", "", "the file holds nothing"),
        ("- a\n", "1:1", "`a kustomization` must be a mapping, found a list"),
        ("a: 1\n---\nb: 1\n", "3:1", "a kustomization is one document, this file has 2"),
        ("images: web\n", "1:9", "`images` must be a list, found a scalar"),
        ("images: [web]\n", "1:10", "`an entry of `images`` must be a mapping, found a scalar"),
        ("images:\n- name: web\n- name: web\n", "3:3", "two entries of `images` are called `web`"),
        ("imageTags:\n- name: web\n  newTag: v1\n", "2:3", "`imageTags` names `web` too, and wins over `images`"),
        ("images:\n- name: web\n  newTag: [v1]\n", "3:11", "`newTag` must be a scalar, found a list"),
        ("images:\n- name: web\n  newTag: |-\n    v1\n", "4:5", "the value of `newTag` is written on lines of its own"),
        (
            "x: &v v1\nimages:\n- name: web\n  newTag: *v\n",
            "4:3",
            "`newTag` is an alias: its value is written elsewhere",
        ),
        ("x: &v {newTag: v1}\nimages:\n- name: web\n  <<: *v\n", "1:8", "`newTag` is an alias"),
        ("x: &l [{name: web}]\nimages: *l\n", "2:1", "`images` is an alias"),
        ("x: &i {name: web}\nimages: [*i]\n", "1:7", "`images` is an alias"),
        ("images:\n- name: web\n  newTag: &v v1\nx: *v\n", "3:14", "would change another value too"),
        ("images: &l\n- name: web\n  newTag: v1\nx: *l\n", "3:11", "would change another value too"),
        ("a: |\n  x", "2:3", "would change another value too"),
    ];
    for (text, place, what) in cases {
        let error = edited(text, &Place::Kustomization, "web=v2").unwrap_err();
        let shown = error.to_string();
        let start = format!("kustomization.yaml{}{place}: ", if place.is_empty() { "" } else { ":" });
        assert!(shown.contains(what), "{text}: {shown}");
        assert!(shown.starts_with(&start), "{text}: {shown}, expected at {start}");
    }
    let utf16: Vec<u8> = "\u{feff}a: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = edit(&"k".into(), &utf16, &Place::Kustomization, &image("web=v2")).unwrap_err();
    assert_eq!(error.problem, Problem::NotUtf8);
}

#[test]
fn a_field_gets_what_it_holds_already() {
    let application =
        "spec:\n  source:\n    helm:\n      parameters:\n      - name: image.tag\n        value: v1 # set\n";
    let cases = [
        // the file, the field, the wish, the file then
        (
            "image:\n  repository: web\n  tag: v1\n".to_owned(),
            "image.tag",
            "web=v2",
            "image:\n  repository: web\n  tag: v2\n".to_owned(),
        ),
        ("image: {tag: v1}\n".into(), "/image/tag", "web=1.2", "image: {tag: \"1.2\"}\n".into()),
        ("tag:\n".into(), "tag", "web=v2", "tag: v2\n".into()),
        (
            format!("d: {HASH}\n"),
            "d",
            &format!("web={}", HASH.replace('0', "9")),
            format!("d: {}\n", HASH.replace('0', "9")),
        ),
        ("i: ghcr.io/org/web:v1\n".into(), "i", "web=v2", "i: ghcr.io/org/web:v2\n".into()),
        ("i: 'web:v1'\n".into(), "i", &format!("web={HASH}"), format!("i: 'web@{HASH}'\n")),
        (format!("i: web:v1@{HASH}\n"), "i", "web=x.y/web:v2", "i: x.y/web:v2\n".into()),
        (
            application.into(),
            "spec.source.helm.parameters[name=image.tag].value",
            "web=v2",
            application.replace("v1", "v2"),
        ),
        ("a: 1\n---\nb: {c: [{d: v1}]}\n".into(), "b.c[0].d", "web=v2", "a: 1\n---\nb: {c: [{d: v2}]}\n".into()),
        // lists, as Argo CD has them
        ("l:\n- a:1\n- web:v1 # ours\n".into(), "l", "web=v2", "l:\n- a:1\n- web:v2 # ours\n".into()),
        ("l: [web=x.y/web:v1]\n".into(), "l", "web=v2", "l: [web=x.y/web:v2]\n".into()),
        ("l:\n- web:v1\n".into(), "l", "web=x.y/web:v2", "l:\n- web=x.y/web:v2\n".into()),
        ("l:\n  - \"a:1\"\nm: 1\n".into(), "l", "web=v2", "l:\n  - \"a:1\"\n  - \"web:v2\"\nm: 1\n".into()),
        ("l: [a:1]\n".into(), "l", "web=x.y/web:v2", "l: [a:1, web=x.y/web:v2]\n".into()),
        ("l: []\n".into(), "l", "web=v2", "l: [web:v2]\n".into()),
    ];
    for (text, path, wish, expected) in cases {
        assert_eq!(edited(&text, &field(path), wish), Ok(expected.clone()), "{text}");
        assert_eq!(edited(&expected, &field(path), wish), Ok(expected), "again");
    }
}

#[test]
fn a_field_that_is_not_for_the_image_is_refused() {
    let cases = [
        ("a: 1\n", "image.tag", "web=v2", "there is no `image.tag`"),
        ("image:\n  x: 1\n", "image.tag", "web=v2", "there is no `image.tag`"),
        ("tag: v1\n---\ntag: v1\n", "tag", "web=v2", "2 documents of this file have a field `tag`"),
        ("tag: {a: 1}\n", "tag", "web=v2", "must be a tag, a digest, an image or a list of images, found a mapping"),
        ("tag: a tag\n", "tag", "web=v2", "must be a tag, a digest, an image or a list of images, found a scalar"),
        ("i: other:v1\n", "i", "web=v2", "`i` holds another image, `other:v1`"),
        ("x: &v v1\ntag: *v\n", "tag", "web=v2", "`tag` is an alias"),
        ("x: &v {tag: v1}\nimage: *v\n", "image.tag", "web=v2", "`image.tag` is an alias"),
        ("tag: &v v1\nx: *v\n", "tag", "web=v2", "would change another value too"),
    ];
    for (text, path, wish, what) in cases {
        let error = edited(text, &field(path), wish).unwrap_err().to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
    let digest = format!("web={HASH}");
    let error = edited("tag: v1\n", &field("tag"), &digest).unwrap_err();
    assert!(error.to_string().ends_with("`tag` holds a tag, and is to hold a digest"), "{error}");
    let error = edited(&format!("digest: {HASH}\n"), &field("digest"), "web=v1").unwrap_err();
    assert!(error.to_string().ends_with("`digest` holds a digest, and is to hold a tag"), "{error}");
}

#[test]
fn what_a_file_says_is_found() {
    let found = |new_name: Option<&str>, tag: Option<&str>, digest: Option<&str>| Found {
        new_name: new_name.map(Into::into),
        tag: tag.map(|tag| Tag::new(tag).unwrap()),
        digest: digest.map(|digest| Digest::new(digest).unwrap()),
    };
    let list = format!("images:\n- name: web\n  newName: x.y/web\n  digest: {HASH}\n- {{name: a, newTag: 1.2}}\n");
    let cases = [
        (list.as_str(), Place::Kustomization, "web", Some(found(Some("x.y/web"), None, Some(HASH)))),
        (&list, Place::Kustomization, "a", Some(found(None, Some("1.2"), None))),
        (&list, Place::Kustomization, "b", None),
        ("a: 1\n", Place::Kustomization, "b", None),
        ("i: x.y/web:v1\n", field("i"), "web", Some(found(Some("x.y/web"), Some("v1"), None))),
        ("i: [a:1, web=b:2]\n", field("i"), "web", Some(found(Some("b"), Some("2"), None))),
        ("i:\n", field("i"), "web", None),
    ];
    for (text, place, name, expected) in cases {
        assert_eq!(find(&"k".into(), text.as_bytes(), &place, name), Ok(expected), "{name} in {text}");
    }
}

/// One way to write a kustomization with at least so many of these images.
fn layout(least: usize) -> impl Strategy<Value = String> {
    let names = prop::sample::subsequence(vec!["web", "api", "db", "cache"], least..=4).prop_shuffle();
    let version = prop::sample::select(vec!["v1", "\"1.0\"", "'2'", "1.2.3", "~", ""]);
    let key = prop::sample::select(vec!["newTag", "newTag", "digest"]);
    let comment = prop::sample::select(vec!["", " # one", "  # newTag: v0"]);
    let style = prop::sample::select(vec!["block", "first", "flow", "bare"]);
    let items = prop::collection::vec((version, key, comment, style), 4);
    let indent = prop::sample::select(vec!["", "  ", "    "]);
    let gap = prop::sample::select(vec![" ", "   "]);
    let around = vec!["", "# c\n", "resources:\n- a # x\n", "x: {a: [1, \"b\"]}\n\n", "t: |\n  a\n\n"];
    let around = prop::sample::select(around);
    let end = prop::sample::select(vec!["\n", "\r\n", ""]);
    (names, items, indent, gap, around.clone(), around, end).prop_map(
        |(names, items, indent, gap, before, after, end)| {
            let mut text = before.to_owned();
            if !names.is_empty() {
                text.push_str("images:\n");
            }
            let deeper = format!("{indent} {gap}");
            for (name, (version, key, comment, style)) in names.into_iter().zip(items) {
                let _ = match style {
                    "block" => writeln!(text, "{indent}-{gap}name: {name}{comment}\n{deeper}{key}: {version}{comment}"),
                    "first" => writeln!(text, "{indent}-{gap}{key}: {version}\n{deeper}# about\n{deeper}name: {name}"),
                    "flow" => writeln!(text, "{indent}-{gap}{{name: {name}, newName: x.y/z}}{comment}"),
                    _ => writeln!(text, "{indent}-{gap}name: '{name}'{comment}"),
                };
            }
            text.push_str(&after.replace("x:", "y:").replace("t:", "u:").replace("resources:", "components:"));
            let text = if text.is_empty() { "a: 1\n".to_owned() } else { text };
            match end {
                "\n" => text,
                "" => text.trim_end().to_owned(),
                line_break => text.replace('\n', line_break),
            }
        },
    )
}

fn wish() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["web", "api", "db", "cache", "other"]);
    let hash = HASH.to_owned();
    let version = prop::sample::select(vec!["v2".to_owned(), "1.5".into(), "7".into(), "x.y/z:v3".into(), hash]);
    (name, version).prop_map(|(name, version)| format!("{name}={version}"))
}

/// The lines of a text that are not in another one, in order.
fn lines_only_in<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let mut rest: Vec<&str> = other.split_inclusive('\n').collect();
    text.split_inclusive('\n')
        .filter(|line| match rest.iter().position(|other| other == line) {
            Some(at) => {
                rest.remove(at);
                false
            }
            None => true,
        })
        .collect()
}

proptest! {
    #[test]
    fn an_edited_file_says_what_is_wished_and_few_lines_differ(text in layout(0), wish in wish()) {
        // A text at the very end, or no document at all: refused, as the cases above show.
        let Ok(after) = edited(&text, &Place::Kustomization, &wish) else {
            let is_odd = text.ends_with("  a") || !text.lines().any(|line| !line.is_empty() && !line.starts_with('#'));
            prop_assert!(is_odd, "refused: {:?}", text);
            return Ok(());
        };
        let image = image(&wish);
        let found = find(&"k".into(), after.as_bytes(), &Place::Kustomization, image.name()).unwrap().unwrap();
        prop_assert!(found.is(&image), "{found:?} in {after}");
        // The rest is as kustomize reads it, too.
        let values = |text: &str| {
            let root = yaml::parse(&"k".into(), text.as_bytes()).unwrap().swap_remove(0).root;
            let mut value = root.to_value(yaml::Resolve::V2).unwrap();
            let map = value.as_object_mut().unwrap();
            let images = map.remove("images").unwrap_or_default();
            let others: Vec<serde_json::Value> = images.as_array().into_iter().flatten()
                .filter(|item| item["name"] != image.name()).cloned().collect();
            (value, others)
        };
        prop_assert_eq!(values(&text), values(&after));
        // A version and a name are two lines, those of a new entry at most four; at the very end a line break is put in
        // front of them.
        let has_no_end = !text.ends_with('\n');
        prop_assert!(lines_only_in(&text, &after).len() <= 2 + usize::from(has_no_end), "{text}\nto\n{after}");
        prop_assert!(lines_only_in(&after, &text).len() <= 4 + usize::from(has_no_end), "{text}\nto\n{after}");
        prop_assert_eq!(after.ends_with('\n'), text.ends_with('\n'));
        prop_assert_eq!(after.contains("\r\n"), text.contains("\r\n"));
        prop_assert_eq!(&edited(&after, &Place::Kustomization, &wish).unwrap(), &after);
    }

    #[test]
    fn edits_of_two_images_commute(
        text in layout(2),
        versions in prop::sample::subsequence(vec!["v2", "1.5", "x.y/z:v3", HASH], 2).prop_shuffle(),
    ) {
        // What is missing is put at the end, in the order in which it comes: the two are there.
        let names: Vec<&str> = ["web", "api", "db", "cache"].into_iter()
            .filter(|name| find(&"k".into(), text.as_bytes(), &Place::Kustomization, name).unwrap().is_some()).collect();
        let wishes: Vec<String> =
            names.iter().zip(versions).map(|(name, version)| format!("{name}={version}")).collect();
        let both = |first: &str, second: &str| {
            edited(&text, &Place::Kustomization, first).and_then(|text| edited(&text, &Place::Kustomization, second))
        };
        let there = both(&wishes[0], &wishes[1]);
        prop_assert!(there.is_ok(), "{there:?} for {text}");
        prop_assert_eq!(there, both(&wishes[1], &wishes[0]));
    }
}
