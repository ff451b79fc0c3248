//! Debian's sshd on loopback, which serves repositories to keys of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where sshd is installed, if it is.
fn binary() -> Option<PathBuf> {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().map(PathBuf::from).find(|path| path.exists())
}

impl Sshd {
    /// `None` when this machine has no sshd. `accepts` is what it takes from a client's environment.
    pub(crate) fn start(accepts: &str) -> Option<Self> {
        let binary = binary()?;
        let folder = tempfile::tempdir().unwrap();
        for (key, kind) in
            [("host", "ed25519"), ("host_rsa", "rsa"), ("ed25519", "ed25519"), ("rsa", "rsa"), ("stranger", "ed25519")]
        {
            let path = folder.path().join(key);
            run(Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(path));
        }
        // The form that older tools write.
        let pem = folder.path().join("rsa_pem");
        std::fs::copy(folder.path().join("rsa"), &pem).unwrap();
        run(Command::new("ssh-keygen").args(["-q", "-p", "-N", "", "-m", "PEM", "-f"]).arg(&pem));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join("authorized_keys"), read("ed25519.pub") + &read("rsa.pub")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\n{accepts}\n",
            at("host"),
            at("host_rsa"),
            at("authorized_keys"),
        );
        std::fs::write(folder.path().join("sshd_config"), config).unwrap();
        // sshd started by root wants this folder for its unprivileged half.
        let _ = std::fs::create_dir("/run/sshd");
        let mut process =
            Command::new(binary).args(["-D", "-e", "-f", &at("sshd_config")]).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = BufReader::new(process.stderr.take().unwrap()).lines();
        assert!(words.any(|line| line.unwrap().contains("Server listening")), "sshd does not start");
        // It must not stop because nobody reads what it has to say; the thread ends with it.
        std::thread::spawn(move || words.for_each(drop));
        Some(Sshd { folder, port, process })
    }

    pub(crate) fn url(&self, repository: &Path) -> String {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, repository.display())
    }

    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// A line of `known_hosts` that names this server and one of the keys.
    pub(crate) fn known_host(&self, key: &str) -> Vec<u8> {
        let key = String::from_utf8(self.key(&format!("{key}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port).into_bytes()
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
