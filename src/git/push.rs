//! Moving one branch of a server: the request and what it says to it (gitprotocol-pack, "Pushing Data To a Server").
//!
//! **In:** what the server has told, the move. **Out:** the message before the pack, the report after it. **May not:** do
//! I/O; or push over what another one has pushed meanwhile: the move names where the branch stands.

use bytes::BytesMut;

use super::error::Error;
use super::oid::Oid;
use super::packet::{self, Packet};
use super::protocol::{self, Fault, Greeting};
use super::url::RepoUrl;

/// A branch that is to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    /// Its full name: `refs/heads/main`.
    pub(super) name: String,
    /// Where it must stand.
    pub(super) old: Oid,
    /// Where it is to stand.
    pub(super) new: Oid,
}

impl Update {
    /// The server's no, with its reason.
    pub(super) fn refused(&self, url: &RepoUrl, reason: impl Into<String>) -> Error {
        let branch = self.name.trim_start_matches("refs/heads/").to_owned();
        Error::PushRefused { url: url.clone(), branch, reason: reason.into() }
    }
}

/// What the server says when it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// What is wrong with the pack.
    unpack: Option<String>,
    /// Why the branch was not moved; the inner `None` when it was, the outer when it says neither.
    moved: Option<Option<String>>,
    /// What it says to people: hooks and forges give their reasons here.
    words: String,
}

/// Whether the answer comes in bands, which it does where the server can.
fn has_bands(greeting: &Greeting) -> bool {
    let (Greeting::V2(capabilities) | Greeting::V0(capabilities, _)) = greeting;
    capabilities.has("side-band-64k")
}

/// What is sent before the pack.
pub(super) fn request(greeting: &Greeting, update: &Update) -> Vec<u8> {
    let (Greeting::V2(capabilities) | Greeting::V0(capabilities, _)) = greeting;
    let options = ["report-status", "side-band-64k"].into_iter().filter(|option| capabilities.has(option));
    let agent = capabilities.has("agent").then_some(protocol::AGENT);
    let options: Vec<&str> = options.chain(agent).collect();
    let mut message = Vec::new();
    let Update { name, old, new } = update;
    packet::put(&mut message, &format!("{old} {new} {name}\0 {}", options.join(" ")));
    message.extend_from_slice(packet::FLUSH);
    message
}

/// Reads the report off `buffer`; `None` while it is not whole.
pub(super) fn take_report(greeting: &Greeting, buffer: &mut BytesMut) -> Result<Option<Report>, Fault> {
    let mut rest = buffer.clone();
    let mut report = Report::default();
    let mut banded = BytesMut::new();
    loop {
        let Some(packet) = packet::take(&mut rest)? else { return Ok(None) };
        match &packet {
            Packet::Flush => break,
            Packet::Data(data) if has_bands(greeting) => match data.first() {
                Some(1) => banded.extend_from_slice(&data[1..]),
                Some(2) => report.words.push_str(&String::from_utf8_lossy(&data[1..])),
                Some(3) => return Err(Fault::Server(protocol::clean(&String::from_utf8_lossy(&data[1..])))),
                _ => return Err(Fault::Odd("a piece of the report belongs to no band".into())),
            },
            Packet::Data(_) => report.hear(&packet)?,
            Packet::Delimiter | Packet::End => return Err(Fault::Odd("unexpected frame in the report".into())),
        }
    }
    while let Some(packet @ Packet::Data(_)) = packet::take(&mut banded)? {
        report.hear(&packet)?;
    }
    *buffer = rest;
    Ok(Some(report))
}

impl Report {
    fn hear(&mut self, line: &Packet) -> Result<(), Fault> {
        let line = line.text().ok_or_else(|| Fault::Odd("a line of the report is not UTF-8".into()))?;
        if let Some(result) = line.strip_prefix("unpack ") {
            self.unpack = (result != "ok").then(|| protocol::clean(result));
        } else if line.starts_with("ok ") {
            self.moved = Some(None);
        } else if let Some(refused) = line.strip_prefix("ng ") {
            self.moved = Some(Some(protocol::clean(refused.split_once(' ').map_or("", |(_, reason)| reason))));
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::PushRefused`] with the server's reasons when the branch does not stand where it was to stand.
    pub(super) fn outcome(self, url: &RepoUrl, update: &Update) -> Result<(), Error> {
        let reason = match (self.unpack, self.moved) {
            (None, Some(None)) => return Ok(()),
            (Some(reason), _) | (None, Some(Some(reason))) => reason,
            (None, None) => "it does not say whether it has taken it".into(),
        };
        let words = protocol::clean(&self.words);
        let reason = if words.is_empty() { reason } else { format!("{reason}: {words}") };
        Err(update.refused(url, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";

    fn update() -> Update {
        Update { name: "refs/heads/main".into(), old: OLD.parse().unwrap(), new: NEW.parse().unwrap() }
    }

    fn greeting(capabilities: &str) -> Greeting {
        let mut message = Vec::new();
        packet::put(&mut message, &format!("{OLD} refs/heads/main\0{capabilities}"));
        message.extend_from_slice(packet::FLUSH);
        protocol::greeting(BytesMut::from(&message[..])).unwrap()
    }

    fn banded(bands: &[(u8, &[u8])]) -> Vec<u8> {
        let mut message = Vec::new();
        for (band, text) in bands {
            message.extend_from_slice(format!("{:04x}", text.len() + 5).as_bytes());
            message.push(*band);
            message.extend_from_slice(text);
        }
        [&message, packet::FLUSH].concat()
    }

    #[test]
    fn the_request_names_where_the_branch_stands() {
        let cases = [
            ("report-status delete-refs side-band-64k agent=git/2", " report-status side-band-64k agent=leeboard/"),
            ("report-status", " report-status\n0000"),
        ];
        for (capabilities, expected) in cases {
            let message = String::from_utf8(request(&greeting(capabilities), &update())).unwrap();
            let (command, options) = message.split_once('\0').unwrap();
            assert_eq!(&command[4..], format!("{OLD} {NEW} refs/heads/main"));
            assert!(options.starts_with(expected) && message.ends_with("0000"), "{message}");
        }
    }

    /// The lines of a report, with the end.
    fn lines(lines: &[&str]) -> Vec<u8> {
        let mut message = Vec::new();
        lines.iter().for_each(|line| packet::put(&mut message, line));
        [&message, packet::FLUSH].concat()
    }

    #[test]
    fn the_report_is_whole_or_not_there() {
        let inner = lines(&["unpack ok", "ok refs/heads/main"]);
        let halves = banded(&[(2, b"checking\n"), (1, &inner[..20]), (1, &inner[20..])]);
        for (capabilities, message) in [("report-status", &inner), ("report-status side-band-64k", &halves)] {
            let greeting = greeting(capabilities);
            for cut in 0..message.len() {
                assert_eq!(take_report(&greeting, &mut BytesMut::from(&message[..cut])), Ok(None), "cut at {cut}");
            }
            let report = take_report(&greeting, &mut BytesMut::from(&message[..])).unwrap().unwrap();
            assert_eq!(report.outcome(&RepoUrl::parse("https://h/r").unwrap(), &update()), Ok(()));
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let url = RepoUrl::parse("https://h/r").unwrap();
        let cases = [
            // what it says to people, the report, the reason
            (
                "error: Not allowed to push\nto protected branch main\n",
                &["unpack ok", "ng refs/heads/main pre-receive hook declined"][..],
                "pre-receive hook declined: error: Not allowed to push to protected branch main",
            ),
            ("", &["unpack disk is full"], "disk is full"),
            ("", &["unpack ok"], "it does not say whether it has taken it"),
            ("", &[], "it does not say whether it has taken it"),
        ];
        for (words, report, expected) in cases {
            let message = banded(&[(2, words.as_bytes()), (1, &lines(report))]);
            let report = take_report(&greeting("side-band-64k"), &mut BytesMut::from(&message[..])).unwrap().unwrap();
            let Err(Error::PushRefused { reason, branch, .. }) = report.outcome(&url, &update()) else { panic!() };
            assert_eq!((reason.as_str(), branch.as_str()), (expected, "main"));
        }
        let fatal = banded(&[(3, b"out of memory")]);
        let fatal = take_report(&greeting("side-band-64k"), &mut BytesMut::from(&fatal[..]));
        assert_eq!(fatal, Err(Fault::Server("out of memory".into())));
    }
}
