//! What a build says does not depend on how many threads work on it.

use leeboard::kustomize::{Options, build};
use leeboard::source::{Files, TreePath};

use super::fixtures::{asked, fixtures, folder};
use super::trees::{Disk, Tree, difference, printed, said};

/// All that a build says: objects and warnings, or problems.
fn outcome(files: &dyn Files, root: &TreePath, options: &Options) -> String {
    match build(files, root, options) {
        Ok(rendered) => printed(&rendered) + &said(&rendered.warnings),
        Err(problems) => said(&problems),
    }
}

/// What differs between one thread and several.
fn judge(name: &str, files: &dyn Files, root: &TreePath, options: &Options) -> Result<String, String> {
    let [one, several] = [1, 4].map(|workers| outcome(files, root, &Options { workers, ..options.clone() }));
    if one == several { Ok(one) } else { Err(format!("== {name}\n{}", difference(&one, &several))) }
}

#[test]
fn every_fixture_gives_the_same_on_several_threads() {
    let wrong: Vec<String> = fixtures()
        .iter()
        .filter_map(|fixture| {
            let (root, options) = asked(fixture);
            let name = fixture.strip_prefix(folder()).unwrap().display().to_string();
            judge(&name, &Disk(fixture.join("in")), &root, &options).err()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Bases side by side, each of more objects than one thread takes at a time; `labels`: those of some objects.
fn many(labels: &[(&str, &str)]) -> Tree {
    const BASES: usize = 6;
    const OBJECTS: usize = 60;
    let mut files = Vec::new();
    let bases: String = (0..BASES).map(|base| format!("- base{base}\n")).collect();
    files.push((
        "kustomization.yaml".to_owned(),
        format!(
            "resources:\n{bases}namespace: shop\ncommonLabels: {{team: a}}\nimages: [{{name: web, newTag: '2'}}]\n"
        ),
    ));
    for base in 0..BASES {
        let resources: String = (0..OBJECTS).map(|at| format!("- {at}.yaml\n")).collect();
        files.push((
            format!("base{base}/kustomization.yaml"),
            format!(
                "resources:\n{resources}namePrefix: b{base}-\n\
                 configMapGenerator: [{{name: settings, literals: [base={base}]}}]\n"
            ),
        ));
        for at in 0..OBJECTS {
            let file = format!("base{base}/{at}.yaml");
            let labels = labels.iter().find(|(of, _)| *of == file).map_or("{}", |(_, labels)| labels);
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: pod-{at}, labels: {labels}}}\nspec:\n  containers:\n  \
                 - {{name: web, image: web, envFrom: [{{configMapRef: {{name: settings}}}}]}}\n"
            );
            files.push((file, text));
        }
    }
    Tree(files.into_iter().map(|(path, text)| (TreePath::new(&path).unwrap(), text.into_bytes().into())).collect())
}

#[test]
fn hundreds_of_objects_are_the_same_on_several_threads() {
    type Labels<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Labels<'_>, &str, usize); 3] = [
        // labels of some objects, what is said, and how often
        (&[], "\n    image: web:2\n", 6 * 60),
        (&[("base1/7.yaml", "text"), ("base1/50.yaml", "text"), ("base4/2.yaml", "text")], "base1/7.yaml:3:", 1),
        (&[("base1/7.yaml", "["), ("base3/50.yaml", "]"), ("base3/2.yaml", "*a")], ".yaml:", 3),
    ];
    for (labels, text, count) in cases {
        for _ in 0..5 {
            let said = judge("many", &many(labels), &TreePath::root(), &Options::default()).unwrap();
            assert_eq!(said.matches(text).count(), count, "{text} with {labels:?}:\n{said}");
        }
    }
}
