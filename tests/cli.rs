//! What a person sees: the real binary on small trees, good and bad.
//!
//! Each directory below `tests/fixtures/cli` is a case: `command` has the arguments, `in` the tree in which it is run
//! (the top of a work tree of git), `expected` the exit code and all that was printed. `LEEBOARD_BLESS=1` writes the
//! expectations anew; read the difference before you commit it.

#![expect(clippy::unwrap_used, reason = "a test that can't set up its tree fails")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cli")
}

/// Copies a tree; links stay links, wherever they lead.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(&source).unwrap(), &target).unwrap();
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// The binary with an environment that does not depend on who runs the test.
fn leeboard(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
    command.current_dir(directory).env_clear().env("LANG", "C.UTF-8").stdin(Stdio::null());
    command
}

/// The tree of a case in a directory of its own.
fn tree(case: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&cases().join(case).join("in"), directory.path());
    fs::create_dir_all(directory.path().join(".git")).unwrap();
    directory
}

fn shown(output: &Output, directory: &Path) -> String {
    let root = directory.canonicalize().unwrap();
    let seconds = regex::Regex::new(r"(?m)^\d+\.\d\d s$").unwrap();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(root.to_str().unwrap(), "ROOT");
        seconds.replace_all(&text, "0.08 s").into_owned()
    };
    let exit = output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
    format!("exit {exit}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_case_prints_what_is_expected() {
    let mut names: Vec<String> =
        fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut wrong = Vec::new();
    for name in names {
        let case = cases().join(&name);
        let directory = tree(&name);
        let arguments = fs::read_to_string(case.join("command")).unwrap();
        let output = leeboard(directory.path()).args(arguments.split_whitespace()).output().unwrap();
        let found = shown(&output, directory.path());
        if std::env::var_os("LEEBOARD_BLESS").is_some() {
            fs::write(case.join("expected"), &found).unwrap();
        }
        let expected = fs::read_to_string(case.join("expected")).unwrap_or_default();
        if found != expected {
            wrong.push(format!("== {name}: leeboard {}\n-- expected\n{expected}\n-- found\n{found}", arguments.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_tree_without_git_is_built_as_kustomize_would() {
    let directory = tree("build-overlay");
    fs::remove_dir(directory.path().join(".git")).unwrap();
    let output = leeboard(&directory.path().join("overlays/dev")).arg("build").output().unwrap();
    let expected = fs::read_to_string(cases().join("build-overlay/expected")).unwrap();
    assert_eq!(shown(&output, directory.path()), expected);
}

#[test]
fn the_output_goes_where_it_is_told_to() {
    let directory = tree("build-overlay");
    let output = leeboard(directory.path()).args(["build", "overlays/dev", "-o", "out.yaml"]).output().unwrap();
    assert_eq!(shown(&output, directory.path()), "exit 0\n--- stdout\n--- stderr\n");
    let expected = fs::read_to_string(cases().join("build-overlay/expected")).unwrap();
    let written = fs::read_to_string(directory.path().join("out.yaml")).unwrap();
    assert_eq!(format!("exit 0\n--- stdout\n{written}--- stderr\n"), expected);
}

#[test]
fn a_directory_gets_one_file_for_each_object() {
    let directory = tree("explain-object");
    fs::create_dir(directory.path().join("out")).unwrap();
    let output = leeboard(directory.path()).args(["build", "prod", "-o", "out"]).output().unwrap();
    assert_eq!(shown(&output, directory.path()), "exit 0\n--- stdout\n--- stderr\n");
    let mut names: Vec<String> = fs::read_dir(directory.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // As kustomize 5.8.2 names them.
    assert_eq!(names, ["apps_v1_deployment_prod-web.yaml", "v1_configmap_prod-settings-6g6gd9868f.yaml"]);
}

#[test]
fn a_kustomization_on_stdin_stands_in_the_working_directory() {
    let directory = tree("build-overlay");
    let dev = directory.path().join("overlays/dev");
    let kustomization = fs::File::open(dev.join("kustomization.yaml")).unwrap();
    // What is there does not count.
    fs::write(dev.join("kustomization.yml"), "resource: []").unwrap();
    let output = leeboard(&dev).args(["build", "-"]).stdin(kustomization).output().unwrap();
    let expected = fs::read_to_string(cases().join("build-overlay/expected")).unwrap();
    assert_eq!(shown(&output, directory.path()), expected);
}

#[test]
fn flags_of_kustomize_change_nothing_or_are_refused() {
    let directory = tree("build-overlay");
    let build = |flags: &str| {
        let flags = flags.split_whitespace();
        let output = leeboard(directory.path()).arg("build").args(flags).arg("overlays/dev").output().unwrap();
        shown(&output, directory.path())
    };
    let expected = fs::read_to_string(cases().join("build-overlay/expected")).unwrap();
    let taken = [
        "--as-current-user",
        "-e A=b --env C",
        "--network-name bridge",
        "--helm-command helm --helm-kube-version 1.30 --helm-api-versions v1 --helm-debug",
        "--load-restrictor LoadRestrictionsRootOnly",
        "--load-restrictor=LoadRestrictionsNone",
    ];
    for flags in taken {
        assert_eq!(build(flags), expected, "{flags}");
    }
    let refused = [
        // flags, why
        ("--enable-alpha-plugins", "rendering never runs a program"),
        ("--enable-alpha-plugins --enable-exec", "rendering never runs a program"),
        ("--enable-exec", "rendering never runs a program"),
        ("--network", "rendering never runs a program"),
        ("--mount type=bind,src=/,dst=/host", "rendering never runs a program"),
        ("--enable-helm", "this version renders no charts"),
    ];
    for (flags, why) in refused {
        let flag = flags.split_whitespace().next().unwrap();
        let expected = format!("exit 1\n--- stdout\n--- stderr\nerror: `{flag}` is refused: {why}\n");
        assert_eq!(build(flags), expected, "{flags}");
    }
}

#[test]
fn files_may_lie_beside_the_kustomization_for_those_who_ask() {
    let directory = tree("build-overlay");
    fs::write(directory.path().join("overlays/dev/kustomization.yaml"), "resources: [../../base/service.yaml]\n")
        .unwrap();
    let build = |flags: &[&str]| {
        let output = leeboard(directory.path()).args(["build", "overlays/dev"]).args(flags).output().unwrap();
        (output.status.code(), shown(&output, directory.path()))
    };
    let (code, said) = build(&[]);
    assert!(code == Some(1) && said.contains("lies outside of the directory of its kustomization"), "{said}");
    let (code, said) = build(&["--load-restrictor", "LoadRestrictionsNone"]);
    assert!(code == Some(0) && said.contains("kind: Service\n"), "{said}");
}

#[test]
fn a_base_may_be_in_another_repository() {
    let base = tree("explain-object");
    fs::remove_dir(base.path().join(".git")).unwrap();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(base.path()).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{arguments:?}");
    };
    git(&["init", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--message=one"]);
    git(&["tag", "v1"]);
    fs::write(base.path().join("base/web.yaml"), "not YAML: [").unwrap();
    git(&["commit", "--all", "--message=two"]);

    let state = tempfile::tempdir().unwrap();
    let build = |resource: &str| {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("resources: ['{resource}']\nnamePrefix: far-\n");
        fs::write(directory.path().join("kustomization.yaml"), text).unwrap();
        let mut command = leeboard(directory.path());
        let output = command.env("XDG_CACHE_HOME", state.path()).args(["build", "."]).output().unwrap();
        let names = [(base.path(), "BASE"), (state.path(), "STATE")];
        names.into_iter().fold(shown(&output, directory.path()), |text, (path, name)| {
            text.replace(path.canonicalize().unwrap().to_str().unwrap().trim_start_matches('/'), name)
        })
    };
    let url = format!("file://{}", base.path().canonicalize().unwrap().display());

    let printed = build(&format!("{url}//prod?ref=v1"));
    assert!(printed.starts_with("exit 0") && printed.contains("name: far-prod-web\n"), "{printed}");
    let cases = [
        // resource, what is said
        (format!("{url}//prod"), "base/web.yaml:1:11"),
        (format!("{url}//prod?ref=v9"), "v9"),
        (format!("{url}//nowhere?ref=v1"), "is a directory without a kustomization file"),
        (format!("{url}//../../etc?ref=v1"), "lies outside of its repository"),
        (
            format!("{url}//prod?ref=--upload-pack=touch"),
            "`--upload-pack=touch` is no branch, tag or commit: it begins with `-`",
        ),
        (
            "https://example.com/manifests/all.yaml".to_owned(),
            "it is the address of a file, and only repositories are read",
        ),
    ];
    for (resource, expected) in cases {
        let said = build(&resource);
        println!("{said}");
        assert!(said.starts_with("exit 1") && said.contains(expected), "{resource}: {said}");
    }
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let directory = tree("build-unknown-field");
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = leeboard(directory.path());
        let output = command.args(["build", "."]).args(arguments).envs(environment.iter().copied()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    #[allow(clippy::type_complexity, reason = "a table")]
    let cases: [(&[&str], &[(&str, &str)], bool); 4] = [
        (&[], &[], false),
        (&["--color", "always"], &[], true),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
    ];
    for (arguments, environment, coloured) in cases {
        let found = run(arguments, environment);
        assert_eq!(found.contains('\u{1b}'), coloured, "{arguments:?} {environment:?}: {found}");
    }
    let ascii = run(&[], &[("LC_ALL", "C")]);
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let directory = tree("build-overlay");
    let mut child = leeboard(directory.path())
        .args(["build", "overlays/dev"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.is_empty()), (Some(0), true));
}

#[test]
fn an_object_on_stdin_is_judged() {
    use std::io::Write as _;
    let directory = tempfile::tempdir().unwrap();
    let mut child = leeboard(directory.path())
        .args(["health", "-f", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let object = b"apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {}\nstatus: {phase: Failed, message: out}\n";
    child.stdin.take().unwrap().write_all(object).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"status\":\"Degraded\",\"message\":\"out\"}\n");
}

#[test]
fn completions_know_the_commands() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = leeboard(directory.path()).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for command in ["build", "check", "crds"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}
