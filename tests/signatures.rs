//! The gate `signature`: what counts as a signature of an image, and what a promotion is told where none does.
//!
//! What cosign has written is under `tests/fixtures/signatures`.

#![expect(clippy::unwrap_used, reason = "a test that can't make its input fails")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use leeboard::api::leeboard::promotion::Gate;
use leeboard::promote::gate::Kind;
use leeboard::promote::signature::{Document, Key, NoKey, Objection, Scope, judge};
use leeboard::promote::vulnerability::Image;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The image that all of them have signed, and the one of `other-image` and `attestation`.
const DIGEST: &str = "sha256:812cb54c3e0cb0790d88ccf0303e94d9e98c48b88ba7494c4cb215c62d59f8b1";
const OTHER: &str = "sha256:0b1df8579a2c37029971149d9805b14c301a0de3dbede17d385d07f9acda6677";
const KINDS: [&str; 4] = ["p256", "p384", "ed25519", "rsa"];

fn fixture(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/signatures/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn key(of: &str) -> Key {
    Key::parse(&fixture(&format!("{of}/cosign.pub"))).unwrap()
}

fn image(digest: &str) -> Image {
    Image::new(&format!("registry.example.com/shop/web:1.4@{digest}"))
}

/// The signature in the note of the tag's manifest.
fn note(of: &str) -> String {
    let manifest: Value = serde_json::from_slice(&fixture(&format!("{of}/tag.json"))).unwrap();
    manifest["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap().to_owned()
}

fn payload(of: &str) -> Document {
    Document::Payload { bytes: fixture(&format!("{of}/payload.json")), signature: note(of) }
}

fn bundle(of: &str) -> Document {
    Document::Bundle(fixture(&format!("{of}/bundle.json")))
}

/// The bundle with something else at these places.
fn changed(of: &str, changes: &[(&str, Value)]) -> Document {
    let mut bundle: Value = serde_json::from_slice(&fixture(&format!("{of}/bundle.json"))).unwrap();
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bundle.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    Document::Bundle(bundle.to_string().into_bytes())
}

/// What a promotion is told of an image without the image's name.
fn said(found: Result<&Key, Objection>) -> String {
    let said = found.unwrap_err().to_string();
    said.split_once(": ").unwrap().1.to_owned()
}

#[test]
fn what_cosign_has_signed_is_by_its_key_in_both_forms() {
    let all: Vec<Key> = KINDS.map(key).into();
    for (of, own) in KINDS.iter().zip(&all) {
        for document in [payload(of), bundle(of)] {
            let documents = [document];
            let signer = judge(&image(DIGEST), &documents, &all).unwrap();
            assert_eq!(signer.to_string(), own.to_string(), "{of}");
            for (number, other) in all.iter().enumerate().filter(|(_, other)| other.to_string() != own.to_string()) {
                let found = judge(&image(DIGEST), &documents, std::slice::from_ref(other));
                assert_eq!(said(found), "its signature is by none of the keys", "{of}, {}", KINDS[number]);
            }
        }
    }
}

/// cosign 2 signs the message with a key of Ed25519, cosign 3 (the fixture) its hash.
#[test]
fn a_key_of_ed25519_counts_in_both_of_its_ways() {
    let signing = SigningKey::from_bytes(&[7; 32]);
    let head = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    let public = pem(&[&head[..], signing.verifying_key().as_bytes()].concat());
    let bytes = fixture("ed25519/payload.json");
    let signature = STANDARD.encode(signing.sign(&bytes).to_bytes());
    let documents = [Document::Payload { bytes, signature }];
    assert!(judge(&image(DIGEST), &documents, &[Key::parse(public.as_bytes()).unwrap()]).is_ok());
    assert_eq!(said(judge(&image(DIGEST), &documents, &[key("ed25519")])), "its signature is by none of the keys");
}

#[test]
fn what_is_no_signature_of_the_image_by_the_key_says_why() {
    let own = || (fixture("p256/payload.json"), note("p256"));
    let with_note = |signature: &str| Document::Payload { bytes: own().0, signature: signature.into() };
    let with_payload = |bytes: Vec<u8>| Document::Payload { bytes, signature: own().1 };
    let envelope: Value = serde_json::from_slice(&fixture("p256/bundle.json")).unwrap();
    let statement = STANDARD.decode(envelope["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let of_statement = envelope["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap().to_owned();
    let retold = STANDARD.encode(String::from_utf8(statement.clone()).unwrap().replace(&DIGEST[7..], &OTHER[7..]));
    let payload_retold = String::from_utf8(own().0).unwrap().replace(DIGEST, OTHER).into_bytes();
    let longer = STANDARD.encode([STANDARD.decode(own().1).unwrap(), vec![0]].concat());
    let certificate = json!({"certificate": {"rawBytes": "MAA="}});
    let by_none = "its signature is by none of the keys";
    let cases = [
        // what there is, the image's digest, what is said
        (vec![], DIGEST, "no signature"),
        (vec![payload("other-image")], DIGEST, &format!("the signature is of another image, {OTHER}")),
        (vec![bundle("other-image")], DIGEST, &format!("the signature is of another image, {OTHER}")),
        (vec![payload("p256")], OTHER, &format!("the signature is of another image, {DIGEST}")),
        // What was changed afterwards is signed by nobody.
        (vec![with_payload(payload_retold)], OTHER, by_none),
        (vec![changed("p256", &[("/dsseEnvelope/payload", json!(retold))])], OTHER, by_none),
        // An attestation is about the image, and does not let it run.
        (
            vec![bundle("attestation")],
            OTHER,
            "what is signed is no signature of an image, but https://example.com/test/v1",
        ),
        // The signature of one form is none in the other.
        (vec![Document::Payload { bytes: statement, signature: of_statement }], DIGEST, by_none),
        (vec![changed("p256", &[("/dsseEnvelope/signatures/0/sig", json!(own().1))])], DIGEST, by_none),
        // Not what was signed, or not as it was.
        (vec![with_note("")], DIGEST, by_none),
        (vec![with_note(&longer)], DIGEST, by_none),
        (vec![with_note(&note("ed25519"))], DIGEST, by_none),
        (vec![payload("p384"), bundle("rsa")], DIGEST, "none of its 2 signatures is by one of the keys"),
        (vec![with_note("MEQC*")], DIGEST, "its signature cannot be read: the signature is no base64"),
        (
            vec![changed("p256", &[("/dsseEnvelope/payload", json!("e30"))])],
            DIGEST,
            "its signature cannot be read: the statement is no base64",
        ),
        (
            vec![changed("p256", &[("/dsseEnvelope/payloadType", json!("text/plain"))])],
            DIGEST,
            "its signature cannot be read: the bundle holds another thing than a statement",
        ),
        (vec![changed("p256", &[("/dsseEnvelope/signatures", json!([]))])], DIGEST, by_none),
        (
            vec![changed("p256", &[("/dsseEnvelope", Value::Null)])],
            DIGEST,
            "its signature cannot be read: the bundle holds no statement",
        ),
        (
            vec![changed("p256", &[("/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.2"))])],
            DIGEST,
            "its signature cannot be read: it is a bundle of another version than 0.3",
        ),
        (vec![Document::Bundle(b"[]".into())], DIGEST, "its signature cannot be read: it is no bundle of sigstore"),
        (
            vec![changed("p384", &[("/verificationMaterial", certificate)])],
            DIGEST,
            "it is signed without a key (keyless), which does not count",
        ),
        (vec![Document::Lost("blob is too large".into())], DIGEST, "its signature cannot be read: blob is too large"),
        // The nearest is told of several.
        (
            vec![Document::Lost("gone".into()), bundle("p384"), bundle("other-image")],
            DIGEST,
            &format!("the signature is of another image, {OTHER}"),
        ),
    ];
    for (documents, digest, expected) in cases {
        let keys = [key("p256")];
        assert_eq!(said(judge(&image(digest), &documents, &keys)), *expected, "{documents:?}");
    }
}

#[test]
fn one_signature_that_counts_is_enough_and_the_image_is_told_by_its_digest() {
    let keys = [key("rsa"), key("p256")];
    let documents = [Document::Lost("gone".into()), bundle("p384"), bundle("other-image"), payload("p256")];
    assert_eq!(judge(&image(DIGEST), &documents, &keys).unwrap().to_string(), keys[1].to_string());

    let none = judge(&image(DIGEST), &[], &keys).unwrap_err();
    assert_eq!(none.to_string(), "registry.example.com/shop/web@sha256:812cb54c3e0c…: no signature");
    // What a tag means has to be known first.
    let unknown = judge(&Image::new("web:1.4"), &[payload("p256")], &keys).unwrap_err();
    assert_eq!(unknown.to_string(), "web:1.4: its digest is not known, so no signature can be said to be of it");
}

#[test]
fn what_is_no_public_key_is_refused_with_the_reason() {
    let own = String::from_utf8(fixture("p256/cosign.pub")).unwrap();
    let not_pem = "it is no public key in PEM (`-----BEGIN PUBLIC KEY-----`)";
    let malformed = "its bytes are no public key";
    let cases = [
        // text, what is said
        (String::new(), not_pem),
        ("cosign.pub".into(), not_pem),
        (own.replace("-----END PUBLIC KEY-----", ""), not_pem),
        (own.replace("PUBLIC KEY", "PRIVATE KEY"), not_pem),
        (own.replace("PUBLIC KEY", "CERTIFICATE"), not_pem),
        (own.repeat(2), "it holds several public keys: write each as a key of its own"),
        ("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".into(), malformed),
        (pem(b"not DER"), malformed),
        (
            String::from_utf8(fixture("p521.pub")).unwrap(),
            "it is of a kind that is not known: take ECDSA (P-256 or P-384), Ed25519 or RSA",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Key::parse(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
    }
    assert!(Key::parse(format!("of the shop's pipeline\n{own}").as_bytes()).is_ok());
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

/// The bytes between the lines of a key.
fn der(of: &str) -> Vec<u8> {
    let text = String::from_utf8(fixture(&format!("{of}/cosign.pub"))).unwrap();
    STANDARD.decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

#[test]
fn what_is_cut_anywhere_or_goes_on_is_refused() {
    for of in KINDS {
        let whole = der(of);
        assert!(Key::parse(pem(&whole).as_bytes()).is_ok());
        for end in 0..whole.len() {
            assert_eq!(Key::parse(pem(&whole[..end]).as_bytes()).unwrap_err(), NoKey::Malformed, "{of} to {end}");
        }
        assert_eq!(Key::parse(pem(&[&whole[..], &[0]].concat()).as_bytes()).unwrap_err(), NoKey::Malformed, "{of}");

        let keys = [key(of)];
        let (bytes, signature) = (fixture(&format!("{of}/payload.json")), STANDARD.decode(note(of)).unwrap());
        for end in 0..signature.len() {
            let cut = Document::Payload { bytes: bytes.clone(), signature: STANDARD.encode(&signature[..end]) };
            assert!(judge(&image(DIGEST), &[cut], &keys).is_err(), "{of}: the signature to {end}");
        }
    }
    let keys = [key("p256")];
    let (payload, bundle) = (fixture("p256/payload.json"), fixture("p256/bundle.json"));
    for end in 0..payload.len() {
        let cut = Document::Payload { bytes: payload[..end].to_vec(), signature: note("p256") };
        assert!(judge(&image(DIGEST), &[cut], &keys).is_err(), "the payload to {end}");
    }
    for end in 0..bundle.len() {
        let cut = Document::Bundle(bundle[..end].to_vec());
        assert!(judge(&image(DIGEST), &[cut], &keys).is_err(), "the bundle to {end}");
    }
}

proptest! {
    /// Nothing that a stranger writes counts, or ends the daemon.
    #[test]
    fn nothing_else_counts(at in 0_usize..240, mask in 1_u8.., der_at in 0_usize..91, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = [key("p256")];
        let mut bytes = fixture("p256/payload.json");
        bytes[at] ^= mask;
        let payload = Document::Payload { bytes, signature: note("p256") };
        let documents = [payload, Document::Bundle(noise.clone()), Document::Payload { bytes: noise.clone(), signature: note("p256") }];
        prop_assert!(judge(&image(DIGEST), &documents, &keys).is_err());

        // Another key, if it is one at all.
        let mut other = der("p256");
        other[der_at] ^= mask;
        for text in [pem(&other).into_bytes(), pem(&noise).into_bytes(), noise] {
            if let Ok(key) = Key::parse(&text) {
                prop_assert!(judge(&image(DIGEST), &[self::payload("p256"), bundle("p256")], &[key]).is_err());
            }
        }
    }
}

#[test]
fn patterns_say_which_images_have_to_be_signed_by_any_of_their_names() {
    let cases: [(&[&str], &str, bool); 10] = [
        // patterns, image, whether it has to be
        (&[], "web", true),
        (&["registry.example.com/shop/*"], "registry.example.com/shop/web:1.4", true),
        (&["registry.example.com/shop/*"], "Registry.Example.com/shop/web:1.4", true),
        (&["registry.example.com/shop/*"], "registry.example.com/shop/api/web:1.4", false),
        (&["registry.example.com/**"], "registry.example.com/shop/api/web:1.4", true),
        (&["registry.example.com/**"], "other.example.com/shop/web:1.4", false),
        (&["docker.io/library/web"], "web:1.4", true),
        (&["web"], "web:1.4", true),
        (&["other", "we?"], "web", true),
        (&["other"], "web", false),
    ];
    for (patterns, image, expected) in cases {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(Scope::new(&patterns).unwrap().has(&Image::new(image)), expected, "{patterns:?} {image}");
    }
    let patterns = ["web".into(), "{api".into()];
    let (pattern, why) = Scope::new(&patterns).map(|_| ()).unwrap_err();
    assert_eq!((pattern, why.to_string().as_str()), ("{api", "a `{` is not closed"));
}

#[test]
fn the_example_of_the_page_is_a_gate_with_all_that_it_says() {
    let page = std::fs::read_to_string(format!("{}/docs/signatures.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let example = page.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0;
    let written: Value = serde_yaml::from_str(example).unwrap();
    let gate: Gate = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(Kind::of(&gate), Some(Kind::Signature));
    // What is no field of it would be missing here.
    assert_eq!(serde_json::to_value(&gate).unwrap(), written);
}
