//! git's wire protocol, versions 2 and 0, as a pure reader and writer of messages (gitprotocol-v2, gitprotocol-pack).
//!
//! **In:** bytes of the server. **Out:** refs, requests, pieces of a pack. **May not:** do I/O.
//!
//! Version 2 is what is asked for: the server then sends only the refs that were asked for, and any commit can be
//! fetched by its id. Version 0 is understood because some forges know nothing else.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::error::Error;
use super::oid::Oid;
use super::packet::{self, BadFrame, Packet};
use super::url::RepoUrl;

/// Servers send a sign of life every five seconds while they put a pack together.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// A list of refs above this size is nobody's repository.
pub(super) const MAX_REFS_BYTES: usize = 32 << 20;

/// What a conversation is for, by the name of the program on the far side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Fetching.
    UploadPack,
    /// Pushing.
    ReceivePack,
}

impl Service {
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::UploadPack => "git-upload-pack",
            Service::ReceivePack => "git-receive-pack",
        }
    }

    /// Of a request, its result or the advertisement before it, over HTTP.
    pub(super) fn content_type(self, message: &str) -> String {
        format!("application/x-{self}-{message}")
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A ref that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ref {
    pub(super) name: String,
    pub(super) id: Oid,
    /// What an annotated tag points to.
    pub(super) peeled: Option<Oid>,
    /// What a symbolic ref points to: HEAD names the default branch.
    pub(super) target: Option<String>,
}

/// What a server says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// It takes commands.
    V2(Capabilities),
    /// It has said all that it has.
    V0(Capabilities, Vec<Ref>),
}

/// What a server can do: words, some with a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities(Vec<String>);

impl Capabilities {
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name) || self.value(name).is_some()
    }
}

impl Greeting {
    /// Mirrors hold SHA-1 repositories.
    pub(super) fn refuse_sha256(&self, url: &RepoUrl) -> Result<(), Error> {
        let (Greeting::V2(capabilities) | Greeting::V0(capabilities, _)) = self;
        match capabilities.value("object-format") {
            None | Some("sha1") => Ok(()),
            Some(_) => Err(Error::Unsupported { url: url.clone(), reason: "its object ids are SHA-256" }),
        }
    }
}

/// What a message holds instead of what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends too early.
    Cut,
    /// It does not follow the protocol.
    Odd(String),
    /// The server reports an error in its own words.
    Server(String),
}

impl Fault {
    /// The same, with the repository at which it happened.
    pub(super) fn at(self, url: &RepoUrl) -> Error {
        let url = url.clone();
        match self {
            Fault::Cut => Error::Cut { url },
            Fault::Odd(reason) => Error::Protocol { url, reason },
            Fault::Server(message) => Error::Server { url, message },
        }
    }
}

impl From<BadFrame> for Fault {
    fn from(bad: BadFrame) -> Self {
        Fault::Odd(bad.to_string())
    }
}

pub(super) const AGENT: &str = concat!("agent=leeboard/", env!("CARGO_PKG_VERSION"));

/// Reads the greeting, which must be all of `buffer`.
///
/// Over HTTP a line naming the service and a flush come first; over ssh they don't.
pub(super) fn greeting(mut buffer: BytesMut) -> Result<Greeting, Fault> {
    match take_greeting(&mut buffer)? {
        Some(greeting) => Ok(greeting),
        None => Err(Fault::Cut),
    }
}

/// Reads the greeting off `buffer`; `None` while it is not whole. Nothing is taken until then.
pub(super) fn take_greeting(buffer: &mut BytesMut) -> Result<Option<Greeting>, Fault> {
    let mut rest = buffer.clone();
    let mut lines = Vec::new();
    loop {
        let Some(packet) = packet::take(&mut rest)? else { return Ok(None) };
        match packet {
            Packet::Data(_) => {
                let line = packet.text().ok_or_else(|| Fault::Odd("a line is not UTF-8".into()))?;
                refuse_error(line)?;
                if !line.starts_with("# service=") && line != "version 1" {
                    lines.push(line.to_owned());
                }
            }
            // The flush that follows the name of the service.
            Packet::Flush if lines.is_empty() && buffer.len() > 8 && buffer[4..].starts_with(b"# service=") => {
                if rest.is_empty() {
                    return Ok(None);
                }
                if rest.starts_with(packet::FLUSH) {
                    return Err(Fault::Odd("the advertisement is empty".into()));
                }
            }
            Packet::Flush => break,
            Packet::Delimiter | Packet::End => return Err(Fault::Odd("unexpected frame in the greeting".into())),
        }
    }
    *buffer = rest;
    if lines.first().is_some_and(|line| line == "version 2") {
        return Ok(Some(Greeting::V2(Capabilities(lines.split_off(1)))));
    }
    version_0(&lines).map(Some)
}

fn version_0(lines: &[String]) -> Result<Greeting, Fault> {
    let mut capabilities = Capabilities::default();
    let mut refs: Vec<Ref> = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        let line = match line.split_once('\0') {
            Some((line, words)) if number == 0 => {
                capabilities = Capabilities(words.split(' ').map(str::to_owned).collect());
                line
            }
            _ => line,
        };
        let (id, name) = line.split_once(' ').ok_or_else(|| Fault::Odd("a ref without a name".into()))?;
        if id == "shallow" || name == "capabilities^{}" {
            continue;
        }
        let id = oid(id)?;
        match name.strip_suffix("^{}") {
            None => refs.push(Ref { name: name.into(), id, peeled: None, target: None }),
            Some(tag) => {
                if let Some(last) = refs.last_mut().filter(|last| last.name == tag) {
                    last.peeled = Some(id);
                }
            }
        }
    }
    if capabilities.0.is_empty() {
        return Err(Fault::Odd("the advertisement names no capability".into()));
    }
    let default = capabilities.0.iter().find_map(|word| word.strip_prefix("symref=HEAD:")).map(str::to_owned);
    if let Some(head) = refs.iter_mut().find(|head| head.name == "HEAD") {
        head.target = default;
    }
    Ok(Greeting::V0(capabilities, refs))
}

/// The command for the refs that begin with one of `prefixes`; all refs when there is none.
pub(super) fn ls_refs(capabilities: &Capabilities, prefixes: &[String]) -> Vec<u8> {
    let mut message = command("ls-refs", capabilities);
    packet::put(&mut message, "peel");
    packet::put(&mut message, "symrefs");
    for prefix in prefixes {
        packet::put(&mut message, &format!("ref-prefix {prefix}"));
    }
    message.extend_from_slice(packet::FLUSH);
    message
}

fn command(name: &str, capabilities: &Capabilities) -> Vec<u8> {
    let mut message = Vec::new();
    packet::put(&mut message, &format!("command={name}"));
    if capabilities.has("agent") {
        packet::put(&mut message, AGENT);
    }
    if capabilities.has("object-format") {
        packet::put(&mut message, "object-format=sha1");
    }
    message.extend_from_slice(packet::DELIMITER);
    message
}

/// Reads the answer to [`ls_refs`] off `buffer`; `None` while it is not whole.
pub(super) fn take_refs(buffer: &mut BytesMut) -> Result<Option<Vec<Ref>>, Fault> {
    let mut rest = buffer.clone();
    let mut refs = Vec::new();
    loop {
        let Some(packet) = packet::take(&mut rest)? else { return Ok(None) };
        match packet {
            Packet::Data(_) => {
                let line = packet.text().ok_or_else(|| Fault::Odd("a ref's name is not UTF-8".into()))?;
                refuse_error(line)?;
                let mut words = line.split(' ');
                let (id, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                if id == "unborn" {
                    continue;
                }
                let mut found = Ref { name: name.into(), id: oid(id)?, peeled: None, target: None };
                for word in words {
                    if let Some(peeled) = word.strip_prefix("peeled:") {
                        found.peeled = Some(oid(peeled)?);
                    } else if let Some(target) = word.strip_prefix("symref-target:") {
                        found.target = Some(target.into());
                    }
                }
                refs.push(found);
            }
            Packet::Flush => break,
            Packet::Delimiter | Packet::End => return Err(Fault::Odd("unexpected frame among the refs".into())),
        }
    }
    *buffer = rest;
    Ok(Some(refs))
}

fn oid(text: &str) -> Result<Oid, Fault> {
    text.parse().map_err(|_| Fault::Odd("an object id is malformed".into()))
}

/// The request for a pack with all of `wants` that `haves` do not bring along.
///
/// There is no negotiation: what we have is told at once and the server takes of it what it knows, which is one round
/// trip, and right for a mirror that is never far behind.
pub(super) fn fetch(greeting: &Greeting, wants: &[Oid], haves: &[Oid]) -> Vec<u8> {
    match greeting {
        Greeting::V2(capabilities) => {
            let mut message = command("fetch", capabilities);
            for option in ["thin-pack", "no-progress", "ofs-delta"] {
                packet::put(&mut message, option);
            }
            for want in wants {
                packet::put(&mut message, &format!("want {want}"));
            }
            for have in haves {
                packet::put(&mut message, &format!("have {have}"));
            }
            packet::put(&mut message, "done");
            message.extend_from_slice(packet::FLUSH);
            message
        }
        Greeting::V0(capabilities, _) => {
            let options = ["thin-pack", "no-progress", "ofs-delta", "side-band-64k"];
            let mut options: Vec<&str> = options.into_iter().filter(|option| capabilities.has(option)).collect();
            if capabilities.has("agent") {
                options.push(AGENT);
            }
            let mut message = Vec::new();
            for (number, want) in wants.iter().enumerate() {
                match number {
                    0 => packet::put(&mut message, &format!("want {want} {}", options.join(" "))),
                    _ => packet::put(&mut message, &format!("want {want}")),
                }
            }
            message.extend_from_slice(packet::FLUSH);
            for have in haves {
                packet::put(&mut message, &format!("have {have}"));
            }
            packet::put(&mut message, "done");
            message
        }
    }
}

/// The server's answer to [`fetch`], from which the pack is taken as it arrives.
#[derive(Debug)]
pub(super) struct PackAnswer {
    buffer: BytesMut,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the pack: acknowledgements and the like.
    Head,
    /// In the pack, which is one band of three.
    Pack,
    /// After the flush that ends it.
    End,
}

impl PackAnswer {
    pub(super) fn new() -> Self {
        PackAnswer { buffer: BytesMut::new(), place: Place::Head }
    }

    /// Takes what arrived; gives the pieces of the pack in it.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<Vec<Bytes>, Fault> {
        self.buffer.extend_from_slice(chunk);
        let mut pieces = Vec::new();
        while self.place != Place::End {
            let Some(packet) = packet::take(&mut self.buffer)? else { break };
            match (self.place, &packet) {
                (Place::Head, Packet::Data(data)) => match packet.text() {
                    Some("packfile" | "NAK") => self.place = Place::Pack,
                    Some(line) if line.starts_with("ACK ") => self.place = Place::Pack,
                    Some(line) => refuse_error(line)?,
                    None => return Err(Fault::Odd(format!("{} unexpected bytes before the pack", data.len()))),
                },
                (Place::Head, _) => {}
                (Place::Pack, Packet::Data(data)) => match data.first() {
                    Some(1) => pieces.push(data.slice(1..)),
                    Some(2) => {}
                    // Version 0 acknowledges again for a commit that the first one already implied.
                    Some(b'A') if data.starts_with(b"ACK ") => {}
                    Some(3) => return Err(Fault::Server(clean(&String::from_utf8_lossy(&data[1..])))),
                    _ => return Err(Fault::Odd("a piece of the pack belongs to no band".into())),
                },
                (Place::Pack, Packet::Flush) => self.place = Place::End,
                (Place::Pack, _) => return Err(Fault::Odd("unexpected frame in the pack".into())),
                (Place::End, _) => {}
            }
        }
        Ok(pieces)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.place == Place::End
    }
}

fn refuse_error(line: &str) -> Result<(), Fault> {
    match line.strip_prefix("ERR ") {
        Some(message) => Err(Fault::Server(clean(message))),
        None => Ok(()),
    }
}

/// A stranger's words on one short line.
pub(super) fn clean(message: &str) -> String {
    let words: Vec<&str> =
        message.split(|c: char| c.is_control() || c == ' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn message(lines: &[&str]) -> BytesMut {
        let mut message = Vec::new();
        for line in lines {
            match *line {
                "0000" => message.extend_from_slice(packet::FLUSH),
                "0001" => message.extend_from_slice(packet::DELIMITER),
                line => packet::put(&mut message, line),
            }
        }
        BytesMut::from(&message[..])
    }

    #[test]
    fn the_greeting_tells_the_version() {
        let v2 = message(&["# service=git-upload-pack", "0000", "version 2", "agent=git/2", "ls-refs=unborn", "0000"]);
        let Greeting::V2(capabilities) = greeting(v2).unwrap() else { panic!("version 0") };
        assert!(capabilities.has("ls-refs") && capabilities.has("agent") && !capabilities.has("fetch"));

        let first = format!("{ONE} HEAD\0ofs-delta symref=HEAD:refs/heads/main agent=git/2");
        let lines = [
            &*first,
            &format!("{ONE} refs/heads/main"),
            &format!("{ONE} refs/tags/v1"),
            &format!("{TWO} refs/tags/v1^{{}}"),
            "0000",
        ];
        let Greeting::V0(_, refs) = greeting(message(&lines)).unwrap() else { panic!("version 2") };
        let told: Vec<_> = refs.iter().map(|r| (r.name.as_str(), r.peeled.is_some(), r.target.as_deref())).collect();
        assert_eq!(
            told,
            [("HEAD", false, Some("refs/heads/main")), ("refs/heads/main", false, None), ("refs/tags/v1", true, None)]
        );
    }

    #[test]
    fn what_is_no_greeting_is_never_an_empty_repository() {
        let cut = message(&["# service=git-upload-pack", "0000", "version 2"]);
        let nothing = message(&["# service=git-upload-pack", "0000", "0000"]);
        let error = message(&["ERR no such\u{1b} repository", "0000"]);
        let cases = [
            (BytesMut::new(), Fault::Cut),
            (cut, Fault::Cut),
            (nothing, Fault::Odd("the advertisement is empty".into())),
            (BytesMut::from("0000"), Fault::Odd("the advertisement names no capability".into())),
            (BytesMut::from("<html>"), Fault::Odd(BadFrame.to_string())),
            (error, Fault::Server("no such repository".into())),
        ];
        for (bytes, expected) in cases {
            assert_eq!(greeting(bytes.clone()), Err(expected), "{bytes:?}");
        }
        let empty = message(&[&format!("{} capabilities^{{}}\0ofs-delta", "0".repeat(40)), "0000"]);
        assert!(matches!(greeting(empty), Ok(Greeting::V0(_, refs)) if refs.is_empty()));
    }

    #[test]
    fn refs_come_whole_or_not_at_all() {
        let lines = [
            &*format!("{ONE} HEAD symref-target:refs/heads/main"),
            &format!("{ONE} refs/tags/v1 peeled:{TWO}"),
            "0000",
        ];
        let whole = message(&lines);
        for cut in 0..whole.len() {
            assert_eq!(take_refs(&mut BytesMut::from(&whole[..cut])), Ok(None), "cut at {cut}");
        }
        let refs = take_refs(&mut whole.clone()).unwrap().unwrap();
        assert_eq!(refs[0].target.as_deref(), Some("refs/heads/main"));
        assert_eq!(refs[1].peeled.unwrap().to_string(), TWO);
    }

    #[test]
    fn a_pack_ends_with_a_flush_and_not_before() {
        let acknowledged = format!("ACK {ONE}");
        let heads =
            [&["packfile"][..], &["shallow-info", "0001", "packfile"], &["NAK"], &[&acknowledged, &acknowledged]];
        for head in heads {
            let mut bytes = message(head).to_vec();
            bytes.extend_from_slice(b"0009\x01PACK0009\x02note0006\x01!0000");
            let mut answer = PackAnswer::new();
            let mut pack = Vec::new();
            for byte in &bytes {
                assert!(!answer.is_complete());
                answer.feed(&[*byte]).unwrap().iter().for_each(|piece| pack.extend_from_slice(piece));
            }
            assert!(answer.is_complete(), "{head:?}");
            assert_eq!(pack, b"PACK!", "{head:?}");
        }
        let failed = PackAnswer::new().feed(b"000dpackfile\n000a\x03oops\n").unwrap_err();
        assert_eq!(failed, Fault::Server("oops".into()));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_is_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            // As it is, and inside a frame, where more of the reader sees it.
            let framed = [format!("{:04x}", bytes.len() + 4).as_bytes(), &bytes, b"0000"].concat();
            for bytes in [&bytes, &framed] {
                let _ = greeting(BytesMut::from(&bytes[..]));
                let _ = take_refs(&mut BytesMut::from(&bytes[..]));
                let _ = PackAnswer::new().feed(bytes);
                let _ = PackAnswer::new().feed(&[&b"000dpackfile\n"[..], bytes].concat());
            }
        }
    }
}
