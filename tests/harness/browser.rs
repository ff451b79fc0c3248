//! A real browser that looks at a page. The pictures are for people; a test says that there is one.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A picture takes some seconds, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// Takes a picture of a page, as wide as a laptop's window and `height` pixels high, into `screenshots` in Cargo's folder
/// for tests. `None`, told in a line, where no Chromium is installed.
pub fn screenshot(url: &str, name: &str, height: u32) -> Option<PathBuf> {
    let is_there = |name: &&str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    let Some(chromium) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there) else {
        println!("left out: the picture of {name}: no Chromium is installed");
        return None;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let (picture, profile) = (folder.join(format!("{name}.png")), tempfile::tempdir().unwrap());
    let _ = std::fs::remove_file(&picture);
    let mut browser = Command::new(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size=1280,{height}"))
        .arg(format!("--screenshot={}", picture.display()))
        // Nothing is asked of the world outside.
        .args(["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", url])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while browser.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = browser.kill();
    let output = browser.wait_with_output().unwrap();
    assert!(picture.is_file(), "no picture of {url}: {}", String::from_utf8_lossy(&output.stderr));
    println!("a picture of {name}: {}", picture.display());
    Some(picture)
}
