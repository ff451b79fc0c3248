//! [`Process`]: a child that cannot outlive its parent.
//!
//! A child that is told to end by its parent outlives a parent that is killed. So each program runs below a supervisor, a
//! few lines of `sh`, whose standard input is a pipe from us. The kernel closes the pipe when our process ends, however
//! it ends; the supervisor then kills the program. Signals go the same way, as words through the pipe, so they cannot
//! hit a stranger that was given the process id of a program that has already ended.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::error::Error;

/// Runs `"$@"`, sends it the signals whose names come in by standard input, kills it at the end of that input.
const SUPERVISE: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
program=$!
{ while read -r signal <&3; do kill -s "$signal" "$program"; done; kill -s KILL "$program"; } 2>/dev/null &
watcher=$!
wait "$program"
status=$?
kill -s KILL "$watcher" 2>/dev/null
exit "$status"
"#;

/// Waits for the end of standard input, then removes `$1`. A server that is being killed at the same instant may still
/// add a file, so it is tried again for 5 s.
const SWEEP: &str = r#"
read -r word
tries=0
until rm -rf "$1" 2>/dev/null || [ "$tries" -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

/// How long a program has to end after it was killed, before we stop waiting for it.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A signal that [`Process::signal`] can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End, please.
    Term,
    /// What Ctrl-C sends.
    Int,
    /// End at once.
    Kill,
    /// Stand still until [`Signal::Cont`]: a server that hangs.
    Stop,
    /// Go on.
    Cont,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Signal::Term => "TERM",
            Signal::Int => "INT",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Cont => "CONT",
        }
    }
}

/// A running program, its output in a file. It is killed when this value is dropped and when our own process ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    supervisor: Child,
    /// Closed to kill.
    lifeline: Option<ChildStdin>,
}

impl Process {
    /// Starts `program` with its output appended to `log`.
    ///
    /// # Errors
    /// [`Error::Io`] when the log cannot be written or there is no `sh`. A program that is missing ends the process
    /// with status 127, as in a shell.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(String, String)],
        log: &Path,
    ) -> Result<Process, Error> {
        let output = File::options().create(true).append(true).open(log).map_err(Error::io("write", log))?;
        let errors = output.try_clone().map_err(Error::io("write", log))?;
        let mut command = shell(SUPERVISE, &format!("leeboard-{name}"));
        command.arg(program).args(arguments).envs(environment.iter().map(|(key, value)| (key, value)));
        command.stdout(output).stderr(errors);
        let (supervisor, lifeline) = spawn(command)?;
        Ok(Process { name: name.into(), log: log.into(), supervisor, lifeline })
    }

    /// What it was called at its start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has; 128 plus the signal when it was killed.
    ///
    /// # Errors
    /// [`Error::Io`] when the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.supervisor.try_wait().map_err(Error::io("wait for", Path::new(&self.name)))
    }

    /// Sends a signal; a program that has ended already does not mind.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(lifeline) = &mut self.lifeline {
            // The pipe is closed on the other side when the program has ended, which is as good.
            let _ended = writeln!(lifeline, "{}", signal.name());
        }
    }

    /// Waits until it has ended by itself; `None` when it still runs after that time.
    ///
    /// # Errors
    /// [`Error::Io`] when the system cannot say.
    pub fn wait(&mut self, within: Duration) -> Result<Option<ExitStatus>, Error> {
        let deadline = Instant::now() + within;
        loop {
            let status = self.ended()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and kills it when it has not done so in that time. `None`: it had to be killed.
    ///
    /// # Errors
    /// [`Error::Io`] when the system cannot say.
    pub fn stop(&mut self, within: Duration) -> Result<Option<ExitStatus>, Error> {
        self.signal(Signal::Term);
        let status = self.wait(within)?;
        if status.is_none() {
            self.kill()?;
        }
        Ok(status)
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::Io`] when the system cannot say.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.lifeline = None;
        self.wait(KILLED_WITHIN).map(drop)
    }

    /// The end of its output, for an error message.
    pub fn last_lines(&self, count: usize) -> String {
        last_lines(&self.log, count).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left who could be told; the supervisor kills it in any case.
        let _unknown = self.kill();
    }
}

/// Removes a directory when it is dropped and when our own process ends.
#[derive(Debug)]
pub(super) struct Sweeper {
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Sweeper {
    pub(super) fn of(directory: &Path) -> Result<Sweeper, Error> {
        let mut command = shell(SWEEP, "leeboard-sweeper");
        command.arg(directory).stdout(Stdio::null()).stderr(Stdio::null());
        let (shell, lifeline) = spawn(command)?;
        Ok(Sweeper { shell, lifeline })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.lifeline = None;
        let _unknown = self.shell.wait();
    }
}

fn shell(script: &str, name: &str) -> Command {
    let mut command = Command::new("sh");
    // A group of its own: Ctrl-C is for us, we then end the servers in their order.
    command.args(["-c", script, name]).stdin(Stdio::piped()).process_group(0);
    command
}

fn spawn(mut command: Command) -> Result<(Child, Option<ChildStdin>), Error> {
    let mut child = command.spawn().map_err(Error::io("run", Path::new("sh")))?;
    let lifeline = child.stdin.take();
    Ok((child, lifeline))
}

/// The last lines of a file, without reading more than its end.
fn last_lines(file: &Path, count: usize) -> io::Result<String> {
    const END: u64 = 16 * 1024;
    let length = fs::metadata(file)?.len();
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(count)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_ENVIRONMENT: &[(String, String)] = &[];

    fn sh(script: &str, log: &Path) -> Process {
        Process::start("test", Path::new("sh"), ["-c", script], NO_ENVIRONMENT, log).unwrap()
    }

    #[test]
    fn its_end_and_its_output_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sh("echo one; echo two >&2; exit 7", &folder.path().join("log"));
        let status = process.wait(Duration::from_secs(5)).unwrap().expect("it ends");
        assert_eq!(status.code(), Some(7));
        assert_eq!(process.last_lines(1), "two");
        assert_eq!(process.last_lines(9), "one\ntwo");
    }

    #[test]
    fn a_program_that_is_missing_is_an_end_with_127() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let log = folder.path().join("log");
        let mut process = Process::start("test", &missing, [""; 0], NO_ENVIRONMENT, &log).unwrap();
        assert_eq!(process.wait(Duration::from_secs(5)).unwrap().and_then(|status| status.code()), Some(127));
    }

    #[test]
    fn it_is_asked_first_and_killed_when_it_does_not_listen() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            // script                                                            status of `stop`
            ("trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done", Some(3)),
            ("trap '' TERM; echo up; while :; do sleep 0.02; done", None),
        ];
        for (number, (script, expected)) in cases.into_iter().enumerate() {
            let mut process = sh(script, &folder.path().join(number.to_string()));
            while process.last_lines(1) != "up" {
                thread::sleep(Duration::from_millis(5));
            }
            let status = process.stop(Duration::from_millis(500)).unwrap();
            assert_eq!(status.and_then(|status| status.code()), expected, "{script}");
            assert!(process.ended().unwrap().is_some(), "{script}");
        }
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let process = sh("echo $$; exec sleep 60", &folder.path().join("log"));
        while process.last_lines(1).is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        let id = PathBuf::from("/proc").join(process.last_lines(1));
        drop(process);
        assert!(!id.exists(), "{} is still there", id.display());
    }

    #[test]
    fn a_swept_directory_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("a/b");
        fs::create_dir_all(&directory).unwrap();
        drop(Sweeper::of(&folder.path().join("a")).unwrap());
        assert!(!directory.exists());
    }
}
