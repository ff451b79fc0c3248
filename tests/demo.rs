//! What the demo puts into git and tells people to type, and what it does when they do; the tour is run by CI.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use leeboard::cli::demo::{ENVIRONMENTS, branch, commands, contents, pull_commands};

const URL: &str = "file:///srv/shop.git";

/// The commands among what is printed, in order.
fn printed(directory: &Path) -> Vec<String> {
    commands(directory).lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// Runs a script, with nothing of the person's own settings of git.
fn sh(directory: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(directory);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Tess Tester").env(format!("GIT_{role}_EMAIL"), "tess@example.com");
    }
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(inherited);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_address_is_that_of_the_demos_own_repository() {
    let files = contents(URL);
    for (path, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("git.example.com"), "{}", path.display());
    }
    for environment in ENVIRONMENTS {
        let directory = Path::new("clusters").join(environment);
        let applications = String::from_utf8(files[&directory.join("kustomization.yaml")].clone()).unwrap();
        assert!(applications.contains(&format!("repoURL: {URL}")), "{environment}");
        assert!(applications.contains(&format!("targetRevision: {}", branch(environment))), "{environment}");
        let projects = String::from_utf8(files[&directory.join("projects.yaml")].clone()).unwrap();
        assert_eq!(projects.matches(URL).count(), 3, "{environment}");
    }
}

#[test]
fn the_commands_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let (demo, seed) = (folder.path().join("the demo"), folder.path().join("seed"));
    for (path, bytes) in contents(URL) {
        let path = seed.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir(&demo).unwrap();
    let bare = demo.join("shop.git");
    let bare = bare.display();
    sh(folder.path(), &format!("git init -q --bare '{bare}'"));
    sh(&seed, &format!("git init -q -b env/dev; git add -A; git commit -qm first; git push -q '{bare}' env/dev"));

    let commands = printed(Path::new("the demo"));
    let push = commands.iter().take_while(|command| !command.contains("/kubectl"));
    let script: Vec<&str> = push.map(String::as_str).collect();
    assert_eq!(script.len(), 3, "{script:?}");
    sh(folder.path(), &script.join("\n"));

    let show = format!("git --git-dir '{bare}' show env/dev:apps/web/overlays/dev/kustomization.yaml");
    assert!(sh(folder.path(), &show).contains("newTag: 1.5.0"));
    let subjects = sh(folder.path(), &format!("git --git-dir '{bare}' log --format=%s env/dev"));
    assert_eq!(subjects, "Raise web to 1.5.0\nfirst\n");
}

#[test]
#[cfg(target_os = "linux")]
fn the_document_tells_the_same_commands() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md")).unwrap();
    for command in printed(Path::new(".leeboard-demo")) {
        assert!(document.lines().any(|line| line == command), "docs/getting-started.md does not say: {command}");
    }
}

/// What the demo prints, line by line.
struct Window {
    demo: Child,
    lines: mpsc::Receiver<String>,
}

impl Window {
    fn open(directory: &Path, arguments: &[&str]) -> Window {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_leeboard"));
        let mut demo = demo.arg("demo").args(arguments).current_dir(directory).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(demo.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Window { demo, lines }
    }

    /// Reads on until a line holds this: the lines before it.
    fn until(&self, words: &str) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(600);
        let mut read = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return read;
            }
            read.push(line);
        }
        panic!("no line with “{words}”:\n{}", read.join("\n"));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // A lifeline takes all that it started along.
        self.demo.kill().ok();
        self.demo.wait().ok();
    }
}

/// The process that is the daemon of the demo in this directory.
#[cfg(target_os = "linux")]
fn daemon_of(directory: &Path) -> String {
    let data = directory.join(".leeboard-demo/data").display().to_string();
    let is_daemon = |process: &fs::DirEntry| {
        let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&str> = command.split('\0').collect();
        words.first().is_some_and(|program| program.ends_with("/leeboard")) && words.contains(&data.as_str())
    };
    let process = fs::read_dir("/proc").unwrap().flatten().find(is_daemon).unwrap();
    process.file_name().into_string().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn who_kills_the_daemon_sees_it_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().canonicalize().unwrap();
    let mut window = Window::open(&directory, &[]);
    window.until("Your turn");
    sh(&directory, &format!("kill -9 {}", daemon_of(&directory)));
    window.until("was killed, and started again");
    sh(&directory, "rm -rf shop");
    let push: Vec<String> =
        printed(Path::new(".leeboard-demo")).into_iter().take_while(|command| !command.contains("/kubectl")).collect();
    sh(&directory, &push.join("\n"));
    window.until("all of it is at");
    sh(&directory, &format!("kill -INT {}", window.demo.id()));
    assert!(window.demo.wait().unwrap().success());
    assert!(!directory.join(".leeboard-demo").exists(), "nothing is left behind");
}

/// What a forge answers to everybody.
fn asked(url: &str) -> Result<String, String> {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).map_err(|error| error.to_string())?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer)
}

#[test]
#[cfg(target_os = "linux")]
fn who_follows_the_demos_words_opens_a_pull_request_and_reads_what_it_would_change() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().canonicalize().unwrap();
    let mut window = Window::open(&directory, &["--forge"]);
    window.until("Open a pull request");
    let said = window.until("Ctrl-C");
    let commands: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("  ")).collect();
    let [clone, edit, push, page] = commands[..] else { panic!("{said:#?}") };
    sh(&directory, &[clone, edit, push].join("\n"));
    let comments = page.replace("/robin/", "/api/v1/repos/robin/").replace("/pulls/", "/issues/") + "/comments";
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = asked(&comments);
        let is_told = |text: &String| text.contains("-        image: registry.example.com/shop/web:1.4.1");
        if answer.as_ref().is_ok_and(is_told) {
            break;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    sh(&directory, &format!("kill -INT {}", window.demo.id()));
    assert!(window.demo.wait().unwrap().success());
    assert!(asked(page).is_err(), "the forge is still there");
}

#[test]
#[cfg(target_os = "linux")]
fn the_document_tells_how_a_pull_request_is_opened() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md")).unwrap();
    let url = "http://robin:…@127.0.0.1:24444/robin/shop.git";
    let text = pull_commands(url, "http://127.0.0.1:24444/robin/shop/pulls/1", ["robin", "…"]);
    for line in text.lines().filter_map(|line| line.strip_prefix("  ")) {
        assert!(document.lines().any(|own| own.trim() == line), "docs/getting-started.md does not say: {line}");
    }
}
