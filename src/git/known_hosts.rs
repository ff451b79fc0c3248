//! OpenSSH's `known_hosts`: which keys a host may show (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::PublicKey;
use sha1::Sha1;

/// The keys that are known for one host.
#[derive(Debug, Default)]
pub(super) struct HostKeys {
    trusted: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

/// What the known hosts say about a key that a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    /// No key is known for the host.
    Unknown,
    /// Other keys are known for the host, or this one is revoked.
    Changed,
}

impl HostKeys {
    /// Finds the lines about `host`. Lines that can't be read are passed over, as OpenSSH does.
    pub(super) fn find(known_hosts: &str, host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        let mut found = HostKeys::default();
        for line in known_hosts.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let (marker, line) = match line.strip_prefix('@') {
                Some(marked) => marked.split_once(char::is_whitespace).unwrap_or((marked, "")),
                None => ("", line),
            };
            let Some((patterns, key)) = line.split_once(char::is_whitespace) else { continue };
            if !is_named(&name, patterns) {
                continue;
            }
            let Ok(key) = PublicKey::from_openssh(key.trim()) else { continue };
            match marker {
                "" => found.trusted.push(key),
                "revoked" => found.revoked.push(key),
                // Authorities of host certificates are not supported: what they vouch for stays unknown.
                _ => {}
            }
        }
        found
    }

    /// The keys in the order in which they stand.
    pub(super) fn trusted(&self) -> &[PublicKey] {
        &self.trusted
    }

    pub(super) fn verdict(&self, key: &PublicKey) -> Verdict {
        let is_in = |keys: &[PublicKey]| keys.iter().any(|known| known.key_data() == key.key_data());
        if is_in(&self.revoked) {
            Verdict::Changed
        } else if is_in(&self.trusted) {
            Verdict::Trusted
        } else if self.trusted.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Changed
        }
    }
}

/// Comma-separated patterns with `*` and `?`; one with `!` excludes; `|1|salt|hash` hides the name.
fn is_named(name: &str, patterns: &str) -> bool {
    let mut named = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(name.as_bytes(), excluded.to_ascii_lowercase().as_bytes()) => return false,
            Some(_) => {}
            None if pattern.starts_with("|1|") => named |= is_hash_of(name, pattern),
            None => named |= matches(name.as_bytes(), pattern.to_ascii_lowercase().as_bytes()),
        }
    }
    named
}

fn is_hash_of(name: &str, pattern: &str) -> bool {
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut parts = pattern.split('|').skip(2).map(|part| base64.decode(part));
    let (Some(Ok(salt)), Some(Ok(hash))) = (parts.next(), parts.next()) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

fn matches(name: &[u8], pattern: &[u8]) -> bool {
    match (name, pattern) {
        ([], []) => true,
        (_, [b'*', rest @ ..]) => matches(name, rest) || (!name.is_empty() && matches(&name[1..], pattern)),
        ([_, name @ ..], [b'?', rest @ ..]) => matches(name, rest),
        ([first, name @ ..], [expected, rest @ ..]) if first == expected => matches(name, rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";

    #[test]
    fn a_key_is_trusted_only_for_the_hosts_it_stands_beside() {
        let known = format!(
            "# comment\ngit.example.com,[git.example.com]:2222 {ONE} comment\n*.wild.example,!bad.wild.example {ONE}\n\
             @cert-authority *.ca.example {ONE}\n@revoked revoked.example {ONE}\nrevoked.example {ONE}\nbroken\nh broken\n\
             |1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {ONE}\n"
        );
        let cases = [
            ("git.example.com", 22, Verdict::Trusted),
            ("git.example.com", 2222, Verdict::Trusted),
            ("git.example.com", 2223, Verdict::Unknown),
            ("example.com", 22, Verdict::Unknown),
            ("a.wild.example", 22, Verdict::Trusted),
            ("bad.wild.example", 22, Verdict::Unknown),
            ("x.ca.example", 22, Verdict::Unknown),
            ("revoked.example", 22, Verdict::Changed),
            ("192.168.1.61", 22, Verdict::Trusted),
            ("192.168.1.62", 22, Verdict::Unknown),
        ];
        let (one, two) = (PublicKey::from_openssh(ONE).unwrap(), PublicKey::from_openssh(TWO).unwrap());
        for (host, port, expected) in cases {
            let keys = HostKeys::find(&known, host, port);
            assert_eq!(keys.verdict(&one), expected, "{host}:{port}");
            let other = if expected == Verdict::Unknown { Verdict::Unknown } else { Verdict::Changed };
            assert_eq!(keys.verdict(&two), other, "another key of {host}:{port}");
        }
    }
}
